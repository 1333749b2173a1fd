//! The assets' folder: opens what a path names, and nothing above it. Answers as Go's `FileServer` does.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// What a path below `/assets/` is.
#[derive(Debug)]
pub(crate) enum Asset {
    /// A file to send.
    File { file: File, size: u64, modified: Option<u64>, name: String },
    /// A folder to list: names, with a slash after those of folders.
    Listing { names: Vec<String>, modified: Option<u64> },
    /// 301 to this.
    Redirect(String),
    /// 404.
    NotFound,
    /// 403.
    Forbidden,
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Assets {
    root: PathBuf,
    confined: bool, // links may not leave the folder
    listing: bool,
}

impl Assets {
    pub(crate) fn new(root: PathBuf, confined: bool, listing: bool) -> Self {
        Self { root, confined, listing }
    }

    /// Looks a decoded path up. Blocks on I/O.
    pub(crate) fn open(&self, path: &[u8]) -> io::Result<Asset> {
        let Ok(path) = std::str::from_utf8(path) else { return Ok(Asset::NotFound) };
        if path.contains('\0') {
            return Ok(Asset::NotFound);
        }
        if path == "index.html" || path.ends_with("/index.html") {
            return Ok(Asset::Redirect("./".into()));
        }
        let clean = crate::path::clean(path);
        let file = match self.open_file(&clean) {
            Ok(file) => file,
            Err(error) => return not_there(error),
        };
        let metadata = file.metadata()?;
        let base = clean.rsplit('/').next().unwrap_or_default();
        let slash = path.is_empty() || path.ends_with('/');
        if !metadata.is_dir() {
            if slash {
                return Ok(Asset::Redirect(format!("../{base}")));
            }
            return Ok(send(file, &metadata, base));
        }
        if !slash {
            return Ok(Asset::Redirect(format!("{base}/")));
        }
        if let Ok(index) = self.open_file(&format!("{clean}/index.html")) {
            let metadata = index.metadata()?;
            if metadata.is_file() {
                return Ok(send(index, &metadata, "index.html"));
            }
        }
        if !self.listing {
            return Ok(Asset::NotFound);
        }
        list(&self.root.join(&clean), &metadata)
    }

    fn open_file(&self, clean: &str) -> io::Result<File> {
        let relative = if clean.is_empty() { "." } else { clean };
        // Not blocking on a FIFO that somebody left there; regular files do not care.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let root =
            rustix::fs::open(&self.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let resolve = if self.confined {
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS
        } else {
            ResolveFlags::empty()
        };
        let file = match rustix::fs::openat2(&root, relative, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::NOSYS) if !self.confined => {
                rustix::fs::openat(&root, relative, flags, Mode::empty())
            }
            other => other,
        };
        Ok(File::from(file?))
    }
}

fn send(file: File, metadata: &std::fs::Metadata, name: &str) -> Asset {
    if !metadata.is_file() {
        return Asset::NotFound;
    }
    Asset::File { file, size: metadata.len(), modified: modified(metadata), name: name.into() }
}

fn modified(metadata: &std::fs::Metadata) -> Option<u64> {
    // Go takes the epoch for "no time".
    u64::try_from(metadata.mtime()).ok().filter(|&seconds| seconds > 0)
}

fn list(path: &Path, metadata: &std::fs::Metadata) -> io::Result<Asset> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    names.sort_by(|a, b| a.trim_end_matches('/').cmp(b.trim_end_matches('/')));
    Ok(Asset::Listing { names, modified: modified(metadata) })
}

fn not_there(error: io::Error) -> io::Result<Asset> {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        // Also a name too long, a loop of links, and a link that leaves a confined folder.
        Some(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::INVAL
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::NXIO,
        ) => Ok(Asset::NotFound),
        Some(Errno::ACCESS | Errno::PERM) => Ok(Asset::Forbidden),
        _ => Err(error),
    }
}

/// The page of a listing, as Go writes it; `doctype` since Go 1.23.
pub(crate) fn listing_page(names: &[String], doctype: bool) -> String {
    let mut page = String::new();
    if doctype {
        page.push_str("<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n");
    }
    page.push_str("<pre>\n");
    for name in names {
        page.push_str("<a href=\"");
        page.push_str(&href(name));
        page.push_str("\">");
        page.push_str(&html_escape(name));
        page.push_str("</a>\n");
    }
    page.push_str("</pre>\n");
    page
}

/// Go's `htmlReplacer`.
pub(crate) fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A relative URL of one name, as Go's `url.URL{Path: name}.String()`.
fn href(name: &str) -> String {
    let mut out = String::new();
    if name.contains(':') {
        out.push_str("./");
    }
    for octet in name.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(octet)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => {
                out.push(char::from(octet));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
