//! What will happen: the arguments, checked, and what is read for them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ignition::clc::{PLATFORMS, Platform};
use ignition::{Report, variables};

use crate::args::{Args, Dialect, ReportForm, Source, Verb};
use crate::files::FilesDir;

/// One run of the tool.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) verb: Verb,
    pub(crate) report: ReportForm,
}

impl TryFrom<Args> for Job {
    type Error = String;

    fn try_from(args: Args) -> Result<Self, String> {
        let files: Vec<&Path> = match &args.verb {
            Verb::Validate { files, .. } | Verb::Transpile { files, .. } => {
                files.iter().map(PathBuf::as_path).collect()
            }
            Verb::Merge { parent, children, .. } => {
                std::iter::once(parent.as_path()).chain(children.iter().map(PathBuf::as_path)).collect()
            }
            Verb::Diff { old, new, .. } => vec![old, new],
            Verb::Convert { .. } | Verb::Explain { .. } | Verb::Schema { .. } => Vec::new(),
        };
        if files.iter().filter(|file| **file == Path::new("-")).count() > 1 {
            return Err("standard input can be read once: give `-` once".to_owned());
        }
        Ok(Self { verb: args.verb, report: args.report })
    }
}

/// What sources are read with.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) dialect: Dialect,
    pub(crate) files: FilesDir,
    pub(crate) raw: bool,
    pub(crate) platform: Option<Platform>,
    pub(crate) lint: bool,
    pub(crate) no_compression: bool,
    variables: BTreeMap<String, String>,
}

impl Reading {
    pub(crate) fn new(source: &Source) -> Result<Self, String> {
        let platform = match source.platform.as_deref().filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => Some(Platform::parse(name).ok_or_else(|| {
                let known: Vec<&str> = PLATFORMS.iter().map(|(name, _)| *name).collect();
                format!("unsupported platform {name:?}; known are {}", known.join(", "))
            })?),
        };
        let variables = source.variables.iter().map(|given| {
            let (name, value) =
                given.split_once('=').ok_or_else(|| format!("--var {given}: give NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            dialect: source.dialect,
            files: FilesDir::new(source.files_dir.as_deref()),
            raw: source.raw,
            platform,
            lint: source.lint,
            no_compression: false,
            variables: variables.collect::<Result<_, String>>()?,
        })
    }

    /// Reads an input and puts the variables in; a name without value is a finding about the input.
    pub(crate) fn read(&self, path: &Path) -> Result<(Input, Report), String> {
        let mut input = Input::read(path)?;
        if self.variables.is_empty() {
            return Ok((input, Report::default()));
        }
        let text = String::from_utf8_lossy(&input.octets).into_owned();
        match variables::substitute(&text, &self.variables) {
            Ok(text) => {
                input.octets = text.into_bytes();
                Ok((input, Report::default()))
            }
            Err(report) => Ok((input, report)),
        }
    }
}

/// A text and what it is called in reports.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: PathBuf,
    pub(crate) octets: Vec<u8>,
}

impl Input {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let mut octets = Vec::new();
        let read = if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut octets).map(|_| ())
        } else {
            std::fs::read(path).map(|read| octets = read)
        };
        match read {
            Ok(()) => Ok(Self { name: path.to_owned(), octets }),
            Err(why) => Err(format!("cannot read {}: {why}", path.display())),
        }
    }

    /// The dialect meant by `auto`: what starts like JSON is Ignition.
    pub(crate) fn dialect(&self, given: Dialect) -> Dialect {
        let first = self.octets.iter().find(|octet| !octet.is_ascii_whitespace());
        match (given, first) {
            (Dialect::Auto, Some(b'{') | None) => Dialect::Ignition,
            (Dialect::Auto, Some(_)) if ignition::butane::is_butane(&self.octets) => Dialect::Butane,
            // What both read means Fuze, whose users have no other name for it.
            (Dialect::Auto, Some(_)) if ignition::fuze::parse(&self.octets).is_ok() => Dialect::Fuze,
            (Dialect::Auto, Some(_)) => Dialect::Clc,
            (given, _) => given,
        }
    }
}
