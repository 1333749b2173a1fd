//! Container Linux Config: the YAML of Container Linux, with its sugar and dynamic data, to Ignition 2.3.0.
//!
//! As container-linux-config-transpiler v0.9.0 did it, but without a process-wide flag for local files.

mod dynamic;
pub mod model;
pub mod options;
mod source;
mod sugar;
mod tables;
mod translate;

pub use dynamic::{PLATFORMS, Platform};
pub use model::Config;

use crate::decode::{Cx, Decode as _, Format, Shape};
use crate::encode::Style;
use crate::files::{Files, NoFiles};
use crate::origins::Origins;
use crate::report::{At, Entry, Path, Report, Step};
use crate::tree::Cursor;
use crate::version::SpecVersion;
use crate::{Body, v2, yaml};

/// How to transpile.
#[derive(Clone, Copy)]
pub struct Options<'o> {
    /// Local files the config may refer to.
    pub files: &'o dyn Files,
    /// Where the machine runs; needed for dynamic data.
    pub platform: Option<Platform>,
    /// Says what looks like a mistake as well: see [`crate::lint`].
    pub lint: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { files: &NoFiles, platform: None, lint: false }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("platform", &self.platform).finish_non_exhaustive()
    }
}

/// Container Linux Config to the JSON of Ignition 2.3.0.
///
/// ```
/// let (json, _) = ignition::clc::transpile(b"docker: {flags: [--debug]}", &Default::default()).unwrap();
/// assert!(String::from_utf8(json).unwrap().contains("20-clct-docker.conf"));
/// ```
///
/// # Errors
/// All findings, if at least one is an error.
pub fn transpile(source: &[u8], options: &Options<'_>) -> Result<(Vec<u8>, Report), Report> {
    match check(source, options) {
        (Some(config), report) if !report.is_fatal() => Ok((config.to_json(Style::GO).into_bytes(), report)),
        (_, report) => Err(report),
    }
}

/// Reads and translates, and says everything that is to be said, at places in the YAML.
pub fn check(source: &[u8], options: &Options<'_>) -> (Option<crate::Config>, Report) {
    let mut report = Report::default();
    let tree = match yaml::parse_as(source, yaml::Library::Fork) {
        Ok(tree) => tree,
        Err(why) => return (None, crate::parse::yaml_syntax(source, &why)),
    };
    let mut config = Config::default();
    match tree.root() {
        None => report.warn("configuration-is-empty", "Configuration is empty", &At::ROOT),
        Some(root) => {
            let mut cx = Cx::new(&mut report, Format::Yaml2, 0).reading(&tree, 4);
            config.decode(&mut cx, root, &At::ROOT);
        }
    }
    let mut later = Report::default();
    source::check(&config, &mut later);
    let mut origins = Origins::default();
    let made = translate::translate(&config, options.platform, options.files, &mut later, &mut origins);
    let mut generated = Report::default();
    v2::validate::validate(&made, 3, &mut generated);
    let made = SpecVersion::v2(3).map(|version| crate::Config { version, body: Body::V2(made) });
    if let Some(config) = made.as_ref().filter(|_| options.lint) {
        crate::lint::lint(config, &mut generated);
    }
    for entry in std::mem::take(generated.entries_mut()) {
        let path = yaml_place(origins.yaml(&entry.path), tree.root());
        later.push(Entry { path, ..entry });
    }
    report.append_unread(later);
    report.locate(&tree);
    (made, report)
}

/// Names that differ between the YAML and what is made of it.
fn yaml_place(path: Path, root: Option<Cursor<'_>>) -> Path {
    let names: Vec<&str> = path
        .0
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        })
        .collect();
    let parent = || {
        let mut parent = path.clone();
        parent.0.pop();
        parent
    };
    match names.as_slice() {
        ["storage", "disks", "partitions", "size_mib"] => parent().key("size"),
        ["storage", "disks", "partitions", "start_mib"] => parent().key("start"),
        ["storage", "files", "contents", rest @ ..] => {
            let mut contents = Path(path.0.iter().take(4).cloned().collect());
            let here = root.and_then(|root| {
                contents.0.iter().try_fold(root, |here, step| match step {
                    Step::Key(key) => here.get(key),
                    Step::Index(index) => here.items().nth(*index as usize),
                })
            });
            let given = |name: &str| here.is_some_and(|here| here.get(name).is_some());
            match (rest, given("remote")) {
                (["source"], true) => contents.key("remote").key("url"),
                (["source"], false) if given("local") => contents.key("local"),
                (["source"], false) if given("inline") => contents.key("inline"),
                (rest, true) => {
                    contents.0.push(Step::Key("remote".into()));
                    contents.0.extend(rest.iter().map(|name| Step::Key((*name).into())));
                    contents
                }
                _ => path,
            }
        }
        _ => path,
    }
}

/// The fields of a Container Linux Config, for schemas.
pub fn shape() -> Shape {
    Config::SHAPE
}
