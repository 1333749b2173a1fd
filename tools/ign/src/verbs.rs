//! What each verb does.

use std::path::{Path, PathBuf};

use ignition::clc::{PLATFORMS, Platform};
use ignition::convert::{self, Options};
use ignition::merge::Side;
use ignition::{Config, Report, SpecVersion, Style};

use crate::args::{Dialect, ReportForm, Source, Verb};
use crate::config::{Input, Job};
use crate::files::FilesDir;
use crate::print;

/// Runs the job; `false` when an input is invalid.
pub(crate) fn run(job: &Job) -> Result<bool, String> {
    match &job.verb {
        Verb::Validate { files, source, strict } => {
            let mut good = true;
            for file in files {
                let input = Input::read(file)?;
                let report = match input.dialect(source.dialect) {
                    Dialect::Fuze => ignition::fuze::parse(&input.octets).err().unwrap_or_default(),
                    Dialect::Clc => clc(&input, source)?.1,
                    Dialect::Butane => butane(&input, source).1,
                    Dialect::Auto | Dialect::Ignition => ignition::check(&input.octets).1,
                };
                print::report(&input, &report, job.report);
                good &= print::passes(&report, *strict);
            }
            Ok(good)
        }
        Verb::Merge { parent, children, origins } => merge(parent, children, *origins),
        Verb::Convert { file, to, fsmap, allow_loss, sectors } => {
            let to = SpecVersion::parse(to).ok_or_else(|| {
                let known: Vec<String> = SpecVersion::all().map(|version| version.to_string()).collect();
                format!("no version {to:?}; known are {}", known.join(", "))
            })?;
            let mut options = Options { allow_loss: *allow_loss, sectors: *sectors, ..Options::default() };
            for entry in fsmap {
                let (name, path) =
                    entry.split_once('=').ok_or_else(|| format!("--fsmap {entry}: give NAME=PATH"))?;
                options.fs_map.insert(name.to_owned(), path.to_owned());
            }
            let input = Input::read(file)?;
            let made =
                Config::parse(&input.octets).and_then(|(config, _)| convert::convert(config, to, &options));
            Ok(finish(&input, made))
        }
        Verb::Transpile { file, source } => {
            let input = Input::read(file)?;
            let made: Result<Vec<u8>, Report> = match input.dialect(source.dialect) {
                Dialect::Fuze => ignition::fuze::transpile(&input.octets),
                Dialect::Clc => {
                    let (made, report) = clc(&input, source)?;
                    match made {
                        Some(made) if !report.is_fatal() => {
                            print::report(&input, &report, ReportForm::Text);
                            Ok(made.to_json(Style { pretty: true, ..Style::TIDY }).into_bytes())
                        }
                        _ => Err(report),
                    }
                }
                Dialect::Butane => {
                    let (made, report) = butane(&input, source);
                    match made {
                        Some(made) if !report.is_fatal() => {
                            print::report(&input, &report, ReportForm::Text);
                            Ok(made.to_json(Style { pretty: true, ..Style::TIDY }).into_bytes())
                        }
                        _ => Err(report),
                    }
                }
                Dialect::Auto | Dialect::Ignition => match ignition::check(&input.octets).1 {
                    report if report.is_fatal() => Err(report),
                    _ => Ok(input.octets.clone()),
                },
            };
            match made {
                Ok(octets) => {
                    println!("{}", String::from_utf8_lossy(&octets));
                    Ok(true)
                }
                Err(report) => {
                    print::report(&input, &report, ReportForm::Text);
                    Ok(false)
                }
            }
        }
    }
}

fn clc(input: &Input, source: &Source) -> Result<(Option<Config>, Report), String> {
    let platform = match source.platform.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(Platform::parse(name).ok_or_else(|| {
            let known: Vec<&str> = PLATFORMS.iter().map(|(name, _)| *name).collect();
            format!("unsupported platform {name:?}; known are {}", known.join(", "))
        })?),
    };
    let files = source.files_dir.as_deref().map(FilesDir::new);
    let files: &dyn ignition::files::Files = match &files {
        Some(files) => files,
        None => &ignition::files::NoFiles,
    };
    Ok(ignition::clc::check(&input.octets, &ignition::clc::Options { files, platform }))
}

fn butane(input: &Input, source: &Source) -> (Option<ignition::butane::Transpiled>, Report) {
    let files = source.files_dir.as_deref().map(FilesDir::new);
    let files: &dyn ignition::files::Files = match &files {
        Some(files) => files,
        None => &ignition::files::NoFiles,
    };
    let options = ignition::butane::Options { files, raw: source.raw, no_compression: false };
    ignition::butane::check(&input.octets, &options)
}

/// Prints a config and what was said about it.
fn finish(input: &Input, made: Result<(Config, Report), Report>) -> bool {
    match made {
        Ok((config, report)) => {
            print::report(input, &report, ReportForm::Text);
            println!("{}", config.to_json(Style { pretty: true, ..Style::TIDY }));
            true
        }
        Err(report) => {
            print::report(input, &report, ReportForm::Text);
            false
        }
    }
}

fn merge(parent: &Path, children: &[PathBuf], origins: bool) -> Result<bool, String> {
    let read = |path: &Path| -> Result<Option<Config>, String> {
        let input = Input::read(path)?;
        match Config::parse(&input.octets) {
            Ok((config, _)) => Ok(Some(config)),
            Err(report) => {
                print::report(&input, &report, ReportForm::Text);
                Ok(None)
            }
        }
    };
    let Some(mut config) = read(parent)? else { return Ok(false) };
    // Where each part of the merged config comes from: file and place there.
    let mut places: Vec<(ignition::report::Path, PathBuf, ignition::report::Path)> =
        vec![(Default::default(), parent.to_owned(), Default::default())];
    for path in children {
        let Some(child) = read(path)? else { return Ok(false) };
        match ignition::merge::merge(config, child, origins) {
            Ok(merged) => {
                let before = std::mem::take(&mut places);
                for origin in &merged.origins {
                    places.push(match origin.side {
                        Side::Child => (origin.result.clone(), path.clone(), origin.path.clone()),
                        Side::Parent => {
                            let longest = before
                                .iter()
                                .filter(|(place, _, _)| origin.path.0.starts_with(&place.0))
                                .max_by_key(|(place, _, _)| place.0.len());
                            match longest {
                                Some((place, file, there)) => {
                                    let rest = origin.path.0.get(place.0.len()..).unwrap_or_default();
                                    let mut there = there.clone();
                                    there.0.extend_from_slice(rest);
                                    (origin.result.clone(), file.clone(), there)
                                }
                                None => (origin.result.clone(), parent.to_owned(), origin.path.clone()),
                            }
                        }
                    });
                }
                config = merged.config;
            }
            Err(report) => {
                print::report(&Input { name: path.clone(), octets: Vec::new() }, &report, ReportForm::Text);
                return Ok(false);
            }
        }
    }
    if origins {
        for (place, file, there) in &places {
            println!("{place}\t{}\t{there}", file.display());
        }
    } else {
        println!("{}", config.to_json(Style { pretty: true, ..Style::TIDY }));
    }
    Ok(true)
}
