//! `kpc why` and `kpc check`: what a machine would get and which bytes, and what is wrong with the files it comes from.

use std::fmt::Write as _;

use serde_json::Value;

use crate::args::{Listing, Why};
use crate::client::Client;
use crate::verbs::{Verdict, say};

/// `kpc why`.
pub(crate) async fn why(client: &Client, why: &Why) -> Verdict {
    let who = why.machine.as_ref().or(why.mac.as_ref()).ok_or("which machine?")?;
    let answer: Value = client.get(&format!("/v1/why?machine={}", plain(who)?)).await?;
    if why.json {
        say(&answer)?;
    } else {
        say(words(&answer).trim_end())?;
    }
    Ok(0)
}

/// What goes into a URL as it is.
pub(crate) fn plain(word: &str) -> Result<&str, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    if word.chars().all(good) { Ok(word) } else { Err(format!("`{word}` is no name and no MAC")) }
}

fn words(answer: &Value) -> String {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or("-");
    let labels: Vec<String> = answer
        .get("labels")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|pair| Some(format!("{}={}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)))
        .collect();
    let mut out = format!("{}  {}\n  now        {}\n", text("machine"), labels.join(" "), text("decision"));
    if let Some(hint) = answer.get("hint").filter(|hint| hint.is_object()) {
        let part = |key: &str| hint.get(key).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(
            out,
            "  stops at   [{}] {}\n  do         {}",
            part("code"),
            part("text"),
            part("remedy")
        );
    }
    if let Some(profile) = answer.get("profile").and_then(Value::as_str) {
        let _ = writeln!(out, "  profile    profiles/{profile}.json");
    }
    let group = |group: &Value| {
        let part = |key: &str| group.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("groups/{}.json by {} (its profile: {})", part("group"), part("selector"), part("profile"))
    };
    if let Some(chosen) = answer.get("group").filter(|chosen| chosen.is_object()) {
        let _ = writeln!(out, "  group      {}", group(chosen));
    }
    for one in answer.get("matching").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(out, "  matches    {}", group(one));
    }
    for one in answer.get("configs").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| one.get(key).and_then(Value::as_str);
        let endpoint = part("endpoint").unwrap_or_default();
        if let Some(error) = part("error") {
            let _ = writeln!(out, "  /{endpoint}  fault: {error}");
            continue;
        }
        let octets = one.get("octets").and_then(Value::as_u64).unwrap_or(0);
        let template = part("template").map(|name| format!(" from {name}")).unwrap_or_default();
        let _ = writeln!(out, "  /{endpoint}  {octets} octets{template}");
        for line in part("text").unwrap_or_default().lines() {
            let _ = writeln!(out, "      {line}");
        }
    }
    out
}

/// `kpc check`.
pub(crate) async fn check(client: &Client, listing: &Listing) -> Verdict {
    let findings: Vec<Value> = client.get("/v1/check").await?;
    let is_error = |finding: &Value| finding.get("severity").and_then(Value::as_str) == Some("error");
    let errors = findings.iter().filter(|finding| is_error(finding)).count();
    if listing.json {
        say(Value::from(findings.clone()))?;
    } else {
        for finding in &findings {
            let part = |key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default();
            let number = |key: &str| finding.get(key).and_then(Value::as_u64).unwrap_or(0);
            let place = match number("line") {
                0 => part("file").to_owned(),
                line => format!("{}:{line}:{}", part("file"), number("column")),
            };
            say(format_args!("{place}: {}[{}]: {}", part("severity"), part("code"), part("message")))?;
        }
        say(format_args!("{errors} errors, {} warnings", findings.len() - errors))?;
    }
    Ok(u8::from(errors > 0))
}
