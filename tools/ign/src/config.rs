//! What will happen: the arguments, checked.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::args::{Args, Dialect, ReportForm, Verb};

/// One run of the tool.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) verb: Verb,
    pub(crate) report: ReportForm,
}

impl TryFrom<Args> for Job {
    type Error = String;

    fn try_from(args: Args) -> Result<Self, String> {
        if let Verb::Validate { files, .. } = &args.verb
            && files.iter().filter(|file| *file == Path::new("-")).count() > 1
        {
            return Err("standard input can be read once: give `-` once".to_owned());
        }
        Ok(Self { verb: args.verb, report: args.report })
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
