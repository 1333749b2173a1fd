//! What each verb does.

use std::path::{Path, PathBuf};

use ignition::convert::{self, Options};
use ignition::diff::{Change, diff};
use ignition::explain::{explain, explanations};
use ignition::merge::{Side, merge};
use ignition::schema::{Subject, schema};
use ignition::{Config, Report, SpecVersion, Style};

use crate::args::{ReportForm, Verb};
use crate::config::{Input, Job, Reading};
use crate::source::{self, Made};
use crate::{print, sarif};

/// JSON for people.
const PRETTY: Style = Style { pretty: true, ..Style::TIDY };

/// Runs the job; `false` when an input is invalid or, for `diff`, when the inputs differ.
pub(crate) fn run(job: &Job) -> Result<bool, String> {
    match &job.verb {
        Verb::Validate { files, source, strict } => {
            let reading = Reading::new(source)?;
            let (mut all, mut good) = (Vec::new(), true);
            for file in files {
                let (input, mut report) = reading.read(file)?;
                if report.is_empty() {
                    report = source::make(&input, &reading).1;
                }
                good &= print::passes(&report, *strict);
                match job.report {
                    ReportForm::Text => print::text(&input, &report),
                    ReportForm::Json => println!("{}", print::as_json(&report)),
                    ReportForm::Sarif => all.push((input, report)),
                }
            }
            if job.report == ReportForm::Sarif {
                let all: Vec<_> = all.iter().map(|(input, report)| (input, report)).collect();
                println!("{}", sarif::document(&all));
            }
            Ok(good)
        }
        Verb::Merge { parent, children, origins } => merge_files(parent, children, *origins, job.report),
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
            Ok(match made {
                Ok((config, report)) => {
                    failed(&input, &report, job.report);
                    println!("{}", config.to_json(PRETTY));
                    true
                }
                Err(report) => failed(&input, &report, job.report),
            })
        }
        Verb::Transpile { files, source, no_compression } => {
            let mut reading = Reading::new(source)?;
            reading.no_compression = *no_compression;
            transpile(files, &reading, job.report)
        }
        Verb::Diff { old, new, source } => {
            let reading = Reading::new(source)?;
            let old = read_made(old, &reading, job.report)?.map(|(_, made)| made.into_config());
            let new = read_made(new, &reading, job.report)?.map(|(_, made)| made.into_config());
            let (Some(old), Some(new)) = (old, new) else { return Ok(false) };
            let found = diff(&old, &new);
            for difference in &found {
                let (mark, old, new) = match difference.change {
                    Change::Added => ('+', "", ""),
                    Change::Removed => ('-', "", ""),
                    Change::Changed => ('~', " -> ", ""),
                };
                let before = difference.old.as_deref().unwrap_or_default();
                let after = difference.new.as_deref().unwrap_or_default();
                println!("{mark} {}: {before}{old}{after}{new}", difference.path);
            }
            Ok(found.is_empty())
        }
        Verb::Explain { code: None } => {
            let mut codes: Vec<&str> = explanations().map(|explanation| explanation.code).collect();
            codes.sort_unstable();
            println!("{}", codes.join("\n"));
            Ok(true)
        }
        Verb::Explain { code: Some(code) } => match explain(code) {
            Some(explanation) => {
                println!("{}\n    {}\n    {}", explanation.code, explanation.meaning, explanation.remedy);
                Ok(true)
            }
            None => Err(format!("no finding has the code {code:?}; `ign explain` lists them")),
        },
        Verb::Schema { of } => {
            let subject = Subject::parse(of)
                .ok_or_else(|| format!("no schema {of:?}: give 3.4.0, fcos-1.5.0, fuze or clc"))?;
            println!("{}", schema(subject));
            Ok(true)
        }
    }
}

/// Prints what was said about an input whose output goes to standard output; `false` for its callers.
fn failed(input: &Input, report: &Report, form: ReportForm) -> bool {
    match form {
        ReportForm::Text => print::text(input, report),
        ReportForm::Json if !report.is_empty() => eprintln!("{}", print::as_json(report)),
        ReportForm::Sarif if !report.is_empty() => eprintln!("{}", sarif::document(&[(input, report)])),
        ReportForm::Json | ReportForm::Sarif => {}
    }
    false
}

/// Reads one input; `None` if it is invalid, which was said then.
fn read_made(path: &Path, reading: &Reading, form: ReportForm) -> Result<Option<(Input, Made)>, String> {
    let (input, mut report) = reading.read(path)?;
    let mut made = None;
    if report.is_empty() {
        (made, report) = source::make(&input, reading);
    }
    failed(&input, &report, form);
    Ok(made.filter(|_| !report.is_fatal()).map(|made| (input, made)))
}

fn transpile(files: &[PathBuf], reading: &Reading, form: ReportForm) -> Result<bool, String> {
    let mut all = Vec::new();
    for file in files {
        all.push(read_made(file, reading, form)?);
    }
    let Some(all) = all.into_iter().collect::<Option<Vec<_>>>() else { return Ok(false) };
    let mut all = all.into_iter();
    let Some((_, first)) = all.next() else { return Ok(false) };
    if all.len() == 0 {
        println!("{}", first.to_json(PRETTY));
        return Ok(true);
    }
    let mut config = first.into_config();
    for (input, made) in all {
        config = match merge(config, made.into_config(), false) {
            Ok(merged) => merged.config,
            Err(report) => return Ok(failed(&input, &report, form)),
        };
    }
    println!("{}", config.to_json(PRETTY));
    Ok(true)
}

/// Where a part of a merged config comes from: its place, the file, the place there.
type Place = (ignition::report::Path, PathBuf, ignition::report::Path);

fn merge_files(parent: &Path, children: &[PathBuf], origins: bool, form: ReportForm) -> Result<bool, String> {
    let read = |path: &Path| -> Result<Option<Config>, String> {
        let input = Input::read(path)?;
        match Config::parse(&input.octets) {
            Ok((config, _)) => Ok(Some(config)),
            Err(report) => {
                failed(&input, &report, form);
                Ok(None)
            }
        }
    };
    let Some(mut config) = read(parent)? else { return Ok(false) };
    let mut places: Vec<Place> = vec![(Default::default(), parent.to_owned(), Default::default())];
    for path in children {
        let Some(child) = read(path)? else { return Ok(false) };
        match merge(config, child, origins) {
            Ok(merged) => {
                let before = std::mem::take(&mut places);
                for origin in &merged.origins {
                    places.push(match origin.side {
                        Side::Child => (origin.result.clone(), path.clone(), origin.path.clone()),
                        Side::Parent => {
                            let (file, there) = earlier(&before, &origin.path)
                                .unwrap_or_else(|| (parent.to_owned(), origin.path.clone()));
                            (origin.result.clone(), file, there)
                        }
                    });
                }
                config = merged.config;
            }
            Err(report) => {
                let nothing = Input { name: path.clone(), octets: Vec::new() };
                return Ok(failed(&nothing, &report, form));
            }
        }
    }
    if origins {
        for (place, file, there) in &places {
            println!("{place}\t{}\t{there}", file.display());
        }
    } else {
        println!("{}", config.to_json(PRETTY));
    }
    Ok(true)
}

/// Where a place of an earlier result came from.
fn earlier(before: &[Place], path: &ignition::report::Path) -> Option<(PathBuf, ignition::report::Path)> {
    let above = before.iter().filter(|(place, _, _)| path.0.starts_with(&place.0));
    let (place, file, there) = above.max_by_key(|(place, _, _)| place.0.len())?;
    let mut there = there.clone();
    there.0.extend_from_slice(path.0.get(place.0.len()..).unwrap_or_default());
    Some((file.clone(), there))
}
