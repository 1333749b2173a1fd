//! From an input of any dialect to a config and what is to be said about the input.

use ignition::butane::{self, Transpiled};
use ignition::{Config, Report, Style, clc, fuze, lint};

use crate::args::Dialect;
use crate::config::{Input, Reading};

/// What an input makes.
#[derive(Debug)]
pub(crate) enum Made {
    /// A config.
    Config(Config),
    /// The document exactly as it is printed, and its config.
    Exactly(Vec<u8>, Config),
    /// What Butane makes; for openshift that is more than a config.
    Butane(Box<Transpiled>),
}

impl Made {
    pub(crate) fn into_config(self) -> Config {
        match self {
            Self::Config(config) | Self::Exactly(_, config) => config,
            Self::Butane(made) => made.into_config(),
        }
    }

    pub(crate) fn to_json(&self, style: Style) -> String {
        match self {
            Self::Config(config) => config.to_json(style),
            Self::Exactly(octets, _) => String::from_utf8_lossy(octets).into_owned(),
            Self::Butane(made) => made.to_json(style),
        }
    }
}

/// Reads an input.
pub(crate) fn make(input: &Input, reading: &Reading) -> (Option<Made>, Report) {
    let octets = input.octets.as_slice();
    match input.dialect(reading.dialect) {
        Dialect::Fuze => fuze_made(octets, reading.lint),
        Dialect::Clc => {
            let options =
                clc::Options { files: &reading.files, platform: reading.platform, lint: reading.lint };
            let (made, report) = clc::check(octets, &options);
            (made.map(Made::Config), report)
        }
        Dialect::Butane => {
            let options = butane::Options {
                files: &reading.files,
                raw: reading.raw,
                no_compression: reading.no_compression,
                lint: reading.lint,
            };
            let (made, report) = butane::check(octets, &options);
            (made.map(|made| Made::Butane(Box::new(made))), report)
        }
        Dialect::Auto | Dialect::Ignition => {
            let (made, report) = if reading.lint { lint::check(octets) } else { ignition::check(octets) };
            (made.map(|made| Made::Exactly(octets.to_vec(), made)), report)
        }
    }
}

fn fuze_made(octets: &[u8], lint: bool) -> (Option<Made>, Report) {
    let json = match fuze::transpile(octets) {
        Ok(json) => json,
        Err(report) => return (None, report),
    };
    // Fuze is not checked by the rules of Ignition: bootcfg v0.4.0 serves what it reads.
    let (config, _) = ignition::check(&json);
    let mut report = Report::default();
    if let Some(config) = config.as_ref().filter(|_| lint) {
        lint::lint(config, &mut report);
    }
    (config.map(|config| Made::Exactly(json, config)), report)
}
