//! What a config asks of a machine, whatever its version: for programs that carry it out.

use std::borrow::Cow;

use crate::data_url::{self, DataUrlError};
use crate::parse::{Body, Config};
use crate::{v2, v3};

/// Where the octets of a file come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source<'c> {
    /// Given in the config.
    Data(Vec<u8>),
    /// To be fetched from this URL.
    Url(&'c str),
}

/// A piece of contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contents<'c> {
    /// The octets or where they are.
    pub source: Source<'c>,
    /// The octets are a gzip stream.
    pub gzip: bool,
    /// `sha512-…` or `sha256-…` of the octets as fetched.
    pub hash: Option<&'c str>,
    /// Headers of the request.
    pub headers: Vec<(&'c str, &'c str)>,
}

/// A user or group: number, name, or neither.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Owner<'c> {
    /// Number.
    pub id: Option<i64>,
    /// Name.
    pub name: Option<&'c str>,
}

/// A file to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File<'c> {
    /// Absolute path (2.x: within [`filesystem`](Self::filesystem)).
    pub path: &'c str,
    /// The filesystem of 2.x; `root` everywhere else.
    pub filesystem: &'c str,
    /// Permission bits; default 0644.
    pub mode: Option<u32>,
    /// Owner.
    pub user: Owner<'c>,
    /// Group.
    pub group: Owner<'c>,
    /// Replaces the file; `None` leaves what is there, an empty file is made if there is none.
    pub contents: Option<Contents<'c>>,
    /// Fragments put at the end, in order.
    pub append: Vec<Contents<'c>>,
    /// Whether an existing file is replaced (3.x: default no; 2.x: default yes).
    pub overwrite: bool,
}

/// A unit of systemd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit<'c> {
    /// File name with extension.
    pub name: &'c str,
    /// The unit file.
    pub contents: Option<&'c str>,
    /// Start it at boot, do not, or leave it.
    pub enabled: Option<bool>,
    /// Never start it.
    pub mask: bool,
    /// Name and contents of the files below `NAME.d`.
    pub dropins: Vec<(&'c str, &'c str)>,
}

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User<'c> {
    /// Login name.
    pub name: &'c str,
    /// Number.
    pub uid: Option<i64>,
    /// As in shadow(5).
    pub password_hash: Option<&'c str>,
    /// Lines of `authorized_keys`.
    pub ssh_authorized_keys: &'c [String],
    /// Login shell.
    pub shell: Option<&'c str>,
    /// Home directory.
    pub home_dir: Option<&'c str>,
    /// First group.
    pub primary_group: Option<&'c str>,
    /// Other groups.
    pub groups: &'c [String],
}

/// A text that is there and not empty.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl Config {
    /// The files to write, in order.
    ///
    /// # Errors
    /// An item is an error when its `data:` URL is malformed; a valid config has none.
    pub fn files(&self) -> impl Iterator<Item = Result<File<'_>, DataUrlError>> {
        let (v2, v3) = match &self.body {
            Body::V1(_) => (None, None),
            Body::V2(config) => (Some(&config.storage.files), None),
            Body::V3(config) => (None, Some(&config.storage.files)),
        };
        v2.into_iter().flatten().map(file_v2).chain(v3.into_iter().flatten().map(file_v3))
    }

    /// The units of systemd, in order.
    pub fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        let (v1, v2, v3) = match &self.body {
            Body::V1(config) => (Some(&config.systemd.units), None, None),
            Body::V2(config) => (None, Some(&config.systemd.units), None),
            Body::V3(config) => (None, None, Some(&config.systemd.units)),
        };
        let v1 = v1.into_iter().flatten().map(|unit| Unit {
            name: &unit.name,
            contents: filled(&unit.contents),
            enabled: unit.enable.then_some(true),
            mask: unit.mask,
            dropins: unit.dropins.iter().map(|dropin| (&*dropin.name, &*dropin.contents)).collect(),
        });
        let v2 = v2.into_iter().flatten().map(|unit| Unit {
            name: &unit.name,
            contents: filled(&unit.contents),
            enabled: unit.enabled.or(unit.enable.then_some(true)),
            mask: unit.mask,
            dropins: unit.dropins.iter().map(|dropin| (&*dropin.name, &*dropin.contents)).collect(),
        });
        let v3 = v3.into_iter().flatten().map(|unit| Unit {
            name: &unit.name,
            contents: unit.contents.as_deref(),
            enabled: unit.enabled,
            mask: unit.mask.unwrap_or_default(),
            dropins: unit
                .dropins
                .iter()
                .map(|dropin| (&*dropin.name, dropin.contents.as_deref().unwrap_or_default()))
                .collect(),
        });
        v1.chain(v2).chain(v3)
    }

    /// The users, in order.
    pub fn users(&self) -> impl Iterator<Item = User<'_>> {
        let (v1, v2, v3) = match &self.body {
            Body::V1(config) => (Some(&config.passwd.users), None, None),
            Body::V2(config) => (None, Some(&config.passwd.users), None),
            Body::V3(config) => (None, None, Some(&config.passwd.users)),
        };
        let v1 = v1.into_iter().flatten().map(|user| User {
            name: &user.name,
            uid: user.create.as_ref().and_then(|create| i64::try_from(create.uid?).ok()),
            password_hash: filled(&user.password_hash),
            ssh_authorized_keys: &user.ssh_authorized_keys,
            shell: user.create.as_ref().and_then(|create| filled(&create.shell)),
            home_dir: user.create.as_ref().and_then(|create| filled(&create.home_dir)),
            primary_group: user.create.as_ref().and_then(|create| filled(&create.primary_group)),
            groups: user.create.as_ref().map(|create| create.groups.as_slice()).unwrap_or_default(),
        });
        let v2 = v2.into_iter().flatten().map(user_v2);
        let v3 = v3.into_iter().flatten().map(|user| User {
            name: &user.name,
            uid: user.uid,
            password_hash: user.password_hash.as_deref(),
            ssh_authorized_keys: &user.ssh_authorized_keys,
            shell: user.shell.as_deref(),
            home_dir: user.home_dir.as_deref(),
            primary_group: user.primary_group.as_deref(),
            groups: &user.groups,
        });
        v1.chain(v2).chain(v3)
    }

    /// The host name, if the config writes one inline to `/etc/hostname`.
    pub fn hostname(&self) -> Option<String> {
        let file = self.files().flatten().filter(|file| file.path == "/etc/hostname").last()?;
        let Source::Data(octets) = file.contents.filter(|contents| !contents.gzip)?.source else {
            return None;
        };
        let text = String::from_utf8(octets).ok()?;
        filled(text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?)
            .map(str::to_owned)
    }
}

fn user_v2(user: &v2::PasswdUser) -> User<'_> {
    let create = user.create.as_ref();
    User {
        name: &user.name,
        uid: user.uid.or_else(|| create.and_then(|create| create.uid)),
        password_hash: user.password_hash.as_deref(),
        ssh_authorized_keys: &user.ssh_authorized_keys,
        shell: filled(&user.shell).or_else(|| create.and_then(|create| filled(&create.shell))),
        home_dir: filled(&user.home_dir).or_else(|| create.and_then(|create| filled(&create.home_dir))),
        primary_group: filled(&user.primary_group)
            .or_else(|| create.and_then(|create| filled(&create.primary_group))),
        groups: match create {
            Some(create) if user.groups.is_empty() => &create.groups,
            _ => &user.groups,
        },
    }
}

fn source(url: &str) -> Result<Source<'_>, DataUrlError> {
    match data_url::decode(url) {
        Ok(octets) => Ok(Source::Data(octets)),
        Err(DataUrlError::NotData) => Ok(Source::Url(url)),
        Err(why) => Err(why),
    }
}

fn mode(mode: Option<i64>) -> Option<u32> {
    mode.and_then(|mode| u32::try_from(mode).ok())
}

fn file_v2(file: &v2::File) -> Result<File<'_>, DataUrlError> {
    fn owner(owner: &Option<v2::Owner>) -> Owner<'_> {
        let owner = owner.as_ref();
        Owner { id: owner.and_then(|owner| owner.id), name: owner.and_then(|owner| filled(&owner.name)) }
    }
    let given = &file.contents;
    let contents = Contents {
        source: if given.source.is_empty() { Source::Data(Vec::new()) } else { source(&given.source)? },
        gzip: given.compression == "gzip",
        hash: given.verification.hash.as_deref(),
        headers: given.http_headers.iter().map(|header| (&*header.name, &*header.value)).collect(),
    };
    let (contents, append) = if file.append { (None, vec![contents]) } else { (Some(contents), Vec::new()) };
    Ok(File {
        path: &file.path,
        filesystem: &file.filesystem,
        mode: mode(file.mode),
        user: owner(&file.user),
        group: owner(&file.group),
        contents,
        append,
        overwrite: file.overwrite.unwrap_or(!file.append),
    })
}

fn file_v3(file: &v3::File) -> Result<File<'_>, DataUrlError> {
    fn contents(resource: &v3::Resource) -> Result<Option<Contents<'_>>, DataUrlError> {
        let Some(url) = resource.source.as_deref() else { return Ok(None) };
        Ok(Some(Contents {
            // An empty source is an empty file: specification, storage.files.contents.source
            source: if url.is_empty() { Source::Data(Vec::new()) } else { source(url)? },
            gzip: resource.compression.as_deref() == Some("gzip"),
            hash: resource.verification.hash.as_deref(),
            headers: resource
                .http_headers
                .iter()
                .filter_map(|header| Some((&*header.name, header.value.as_deref()?)))
                .collect(),
        }))
    }
    let append: Result<Vec<_>, _> =
        file.append.iter().filter_map(|part| contents(part).transpose()).collect();
    Ok(File {
        path: &file.path,
        filesystem: "root",
        mode: mode(file.mode),
        user: Owner { id: file.user.id, name: file.user.name.as_deref() },
        group: Owner { id: file.group.id, name: file.group.name.as_deref() },
        contents: contents(&file.contents)?,
        append: append?,
        overwrite: file.overwrite.unwrap_or_default(),
    })
}

/// The text of octets, for those who print it.
impl Contents<'_> {
    /// The contents as text, if they are given in the config, not compressed and UTF-8.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match &self.source {
            Source::Data(octets) if !self.gzip => std::str::from_utf8(octets).ok().map(Cow::Borrowed),
            _ => None,
        }
    }
}
