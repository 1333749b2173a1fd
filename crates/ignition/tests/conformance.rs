//! The recorded verdicts and documents of the reference programs: every case, in process.
//!
//! `tests/cases/` was made for this project; each case says what Ignition, Flatcar's Ignition, Butane,
//! container-linux-config-transpiler, ign-converter or bootcfg v0.4.0 said. The documentation's snippets are looked for
//! in `$CONFORMANCE_DIR/ignition/upstream`.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod common;

use std::path::{Path, PathBuf};

use common::Directory;
use ignition::convert::{self, Options};
use ignition::files::{Files, NoFiles};
use ignition::{Config, Report, Severity, SpecVersion, Style};
use serde_json::{Map, Value};

/// Members that are null or empty do not count; `data:` URLs count by their octets.
fn canonical(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            Some(Value::Array(items.iter().map(|item| canonical(item).unwrap_or(Value::Null)).collect()))
        }
        Value::Object(members) => {
            let mut out = Map::new();
            for (key, value) in members {
                if let Some(value) = canonical(value) {
                    out.insert(key.clone(), value);
                }
            }
            embedded(&mut out);
            (!out.is_empty()).then_some(Value::Object(out))
        }
        other => Some(other.clone()),
    }
}

fn embedded(object: &mut Map<String, Value>) {
    let Some(Ok(mut octets)) = object.get("source").and_then(Value::as_str).map(ignition::data_url::decode)
    else {
        return;
    };
    if object.get("compression").and_then(Value::as_str) == Some("gzip") {
        let mut plain = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(&octets[..]);
        if std::io::Read::read_to_end(&mut reader, &mut plain).is_ok() {
            octets = plain;
            object.remove("compression");
        }
    } else if object.get("compression").and_then(Value::as_str) == Some("") {
        object.remove("compression");
    }
    object.insert("source".to_owned(), Value::String(format!("{octets:?}")));
}

/// Kind, path (`None`: any), code.
type Found = (String, Option<String>, String);

fn findings(report: &Report) -> Vec<Found> {
    let mut found = Vec::new();
    for entry in report.entries().iter().filter(|entry| entry.severity != Severity::Info) {
        let this = (entry.severity.to_string(), Some(entry.path.to_string()), entry.code.to_owned());
        if !found.contains(&this) {
            found.push(this);
        }
    }
    found
}

fn compare_verdict(expect: &Value, report: &Report) -> Result<(), String> {
    if report.is_fatal() == expect["ok"].as_bool().unwrap() {
        return Err(format!("valid should be {}", expect["ok"]));
    }
    let mut rest = findings(report);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut wanted: Vec<Found> = Vec::new();
    for entry in expect["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] != "info") {
        wanted.push((text(&entry["kind"]).unwrap(), text(&entry["path"]), text(&entry["code"]).unwrap()));
        // Every located entry has the reference's line.
        if let (Some(line), Some(path)) = (entry["line"].as_u64(), entry["path"].as_str()) {
            let same =
                |found: &&ignition::Entry| found.path.to_string() == path && found.code == entry["code"];
            let ours =
                report.entries().iter().find(same).and_then(|found| found.place).map(|place| place.line);
            if ours.is_some_and(|ours| u64::from(ours) != line) {
                return Err(format!("{path} is in line {line}, not {ours:?}"));
            }
        }
    }
    wanted.sort_by_key(|(_, path, _)| path.is_none());
    for (kind, path, code) in wanted {
        let same = |found: &Found| found.0 == kind && found.2 == code && (path.is_none() || found.1 == path);
        let place = rest.iter().position(same).ok_or_else(|| format!("missing {kind} {path:?} {code}"))?;
        rest.remove(place);
    }
    match rest.first() {
        Some(extra) if expect["extra_ok"] != true => Err(format!("unexpected {extra:?}")),
        _ => Ok(()),
    }
}

struct Case {
    folder: PathBuf,
    what: Value,
}

impl Case {
    fn text(&self, name: &str) -> Option<&str> {
        self.what[name].as_str()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(self.text(name).unwrap())).unwrap()
    }

    fn files(&self) -> Box<dyn Files> {
        match self.text("files_dir") {
            Some(name) => Box::new(Directory(self.folder.join(name))),
            None => Box::new(NoFiles),
        }
    }

    fn check(&self) -> (Option<String>, Report) {
        let source = self.file("in");
        let files = self.files();
        let style = Style { pretty: true, ..Style::TIDY };
        match self.text("dialect") {
            Some("butane") => {
                let raw = self.what["raw"] == true;
                let options =
                    ignition::butane::Options { files: &*files, raw, no_compression: false, lint: false };
                let (made, report) = ignition::butane::check(&source, &options);
                (made.map(|made| made.to_json(style)), report)
            }
            Some("clc") => {
                let platform =
                    self.text("platform").map(|name| ignition::clc::Platform::parse(name).unwrap());
                let options = ignition::clc::Options { files: &*files, platform, lint: false };
                let (made, report) = ignition::clc::check(&source, &options);
                (made.map(|made| made.to_json(style)), report)
            }
            Some("fuze") => match ignition::fuze::transpile(&source) {
                Ok(made) => (Some(String::from_utf8(made).unwrap()), Report::default()),
                Err(report) => (None, report),
            },
            _ => {
                let (config, report) = ignition::check(&source);
                (config.map(|config| config.to_json(style)), report)
            }
        }
    }

    fn run(&self) -> Result<(), String> {
        let expect = &self.what["expect"];
        let style = Style { pretty: true, ..Style::TIDY };
        let made = match self.text("op").unwrap() {
            "validate" => return compare_verdict(expect, &self.check().1),
            "transpile" => {
                let (made, report) = self.check();
                made.filter(|_| !report.is_fatal()).ok_or(report)
            }
            "merge" => {
                let read = |name| Config::parse(&self.file(name)).map(|(config, _)| config);
                read("parent").and_then(|parent| {
                    let merged = ignition::merge::merge(parent, read("child")?, true)?;
                    Ok(merged.config.to_json(style))
                })
            }
            "convert" => {
                let to = SpecVersion::parse(self.text("to").unwrap()).unwrap();
                let mut options = Options::default();
                for entry in
                    self.text("fsmap").unwrap_or_default().split(',').filter(|entry| !entry.is_empty())
                {
                    let (name, path) = entry.split_once('=').unwrap();
                    options.fs_map.insert(name.to_owned(), path.to_owned());
                }
                Config::parse(&self.file("in"))
                    .and_then(|(config, _)| convert::convert(config, to, &options))
                    .map(|(config, _)| config.to_json(style))
            }
            other => panic!("unknown operation {other}"),
        };
        if made.is_ok() != expect["ok"].as_bool().unwrap() {
            return Err(format!("should be ok: {}; {made:?}", expect["ok"]));
        }
        let Ok(made) = made else { return Ok(()) };
        if let Ok(octets) = std::fs::read(self.folder.join("expected.bytes"))
            && octets != made.as_bytes()
        {
            return Err("not the recorded octets".to_owned());
        }
        let expected: Value =
            serde_json::from_slice(&std::fs::read(self.folder.join("expected.json")).unwrap()).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let (expected, made) = (canonical(&expected), canonical(&made));
        if expected == made { Ok(()) } else { Err(format!("expected {expected:?}\n     got {made:?}")) }
    }
}

fn run_all(root: &Path) -> (usize, usize) {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let (mut good, total) = (0, folders.len());
    for folder in folders {
        let what = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        let case = Case { folder, what };
        match case.run() {
            Ok(()) => good += 1,
            Err(why) => println!("{}: {why}", case.folder.display()),
        }
    }
    println!("{good} of {total} in {}", root.display());
    (good, total)
}

#[test]
fn recorded_cases() {
    let (good, total) = run_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert_eq!((good, total), (342, 342));
}

#[test]
fn snippets_of_the_documentation() {
    let Some(root) = std::env::var_os("CONFORMANCE_DIR") else {
        println!("skipped 92 cases: CONFORMANCE_DIR is not set");
        return;
    };
    let root = PathBuf::from(root).join("ignition/upstream/cases");
    if root.is_dir() {
        let (good, total) = run_all(&root);
        assert_eq!(good, total);
    } else {
        println!("skipped 92 cases: {} is not there", root.display());
    }
}
