//! `--map-test`: what the rules make of a path, without a client.

use crate::args::Serve;
use crate::config::{ConfigError, read_rules};
use std::fmt::Write;
use std::path::Path;
use tftp::Rollover;
use tftp::driver::Directory;
use tftp::rules::{Candidate, Rules, Settings, Verdict};

/// The report, for a map that is named.
pub(crate) fn report(args: &Serve, map: &Path, path: &str) -> Result<String, ConfigError> {
    let rules = read_rules(map)?;
    let root = args.root.as_ref();
    let directory = root
        .map(|path| Directory::open(path).map_err(|source| ConfigError::Root { path: path.clone(), source }));
    let directory = directory.transpose()?;
    Ok(explain(&rules, args, path.trim_start_matches('/'), directory.as_ref()))
}

fn explain(rules: &Rules, args: &Serve, path: &str, directory: Option<&Directory>) -> String {
    let client = rules.identify(args.from, args.mac);
    let word = |fact: Option<String>| fact.unwrap_or_else(|| "unknown".to_owned());
    let mut out = String::new();
    let _ = writeln!(out, "path    {path}");
    let _ = writeln!(
        out,
        "client  {} mac {} arch {} name {}",
        args.from,
        word(client.mac.map(|mac| mac.to_string())),
        word(client.arch.clone()),
        word(client.name.clone())
    );
    for (index, verdict) in rules.explain(path.as_bytes(), &client).into_iter().enumerate() {
        let _ = match verdict {
            Verdict::Skipped(why) => writeln!(out, "rule {:<2} no: {why}", index + 1),
            Verdict::Matched(candidate) => writeln!(out, "rule {:<2} {}", index + 1, say(&candidate)),
        };
    }
    let mut candidates = rules.candidates(path.as_bytes(), &client).into_iter();
    let answer = candidates.find(|candidate| match (candidate, directory) {
        (Candidate::Refuse(_), _) | (_, None) => true,
        (Candidate::File { path, .. }, Some(directory)) => directory.open_file(path).is_ok(),
    });
    let _ = match answer {
        Some(answer) if directory.is_some() => writeln!(out, "answer  {}", say(&answer)),
        Some(answer) => writeln!(out, "answer  {} (if it exists: --root DIR looks)", say(&answer)),
        None => writeln!(out, "answer  ERROR 1, none of these exists"),
    };
    out
}

fn say(candidate: &Candidate) -> String {
    let (path, render, settings) = match candidate {
        Candidate::Refuse(message) => return format!("ERROR 2, {message}"),
        Candidate::File { path, render, settings } => (path, render, settings),
    };
    let mut text = String::from_utf8_lossy(path).into_owned();
    let Settings { max_block_size, fragments, hide_transfer_size, rollover } = settings;
    if *render {
        text.push_str(", rendered");
    }
    if let Some(size) = max_block_size {
        let _ = write!(text, ", blksize at most {}", size.octets());
    }
    if let Some(fragments) = fragments {
        text.push_str(if *fragments { ", fragments" } else { ", no fragments" });
    }
    if *hide_transfer_size {
        text.push_str(", no tsize");
    }
    if *rollover == Rollover::One {
        text.push_str(", block 1 follows 65535");
    }
    text
}
