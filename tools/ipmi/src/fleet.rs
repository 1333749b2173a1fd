//! Many hosts: one script each, one line each, exit code 1 when some failed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::ExitCode;
use std::rc::Rc;

use ipmi::driver::{BmcError, sweep};
use ipmi::script::{Script, ScriptError};
use ipmi::session::Config;
use ipmi::sweep::Config as Pace;
use serde_json::{Value, json};

use crate::remembered::{Noting, Suites};
use crate::{output, target};

/// What is told of a host that did as it was asked.
pub(crate) struct Told {
    pub(crate) text: String,
    /// An object; `host` and `ok` are added.
    pub(crate) json: Value,
    pub(crate) note: Option<String>,
}

/// Runs a script on every host.
pub(crate) async fn run<T, S>(
    hosts: &[String],
    port: u16,
    session: Config,
    pace: Pace,
    as_json: bool,
    script: S,
    tell: impl Fn(&T, &str) -> Told,
) -> ExitCode
where
    S: Script<Output = Result<T, ScriptError>> + Clone,
{
    let (mut targets, mut names) = (Vec::with_capacity(hosts.len()), HashMap::new());
    let mut failures = 0;
    let suites = Rc::new(RefCell::new(Suites::load(&session)));
    for host in hosts {
        match target::resolve(host, port).await {
            Ok(addr) => {
                if names.insert(addr, host.as_str()).is_none() {
                    let mut session = session.clone();
                    suites.borrow().prefer(addr, &mut session);
                    let noting = Noting { script: script.clone(), addr, suites: Rc::clone(&suites) };
                    targets.push((addr, session, noting));
                }
            }
            Err(error) => {
                failures += 1;
                failed(as_json, host, "name", &error);
            }
        }
    }
    let done = |addr, outcome: Result<Result<T, ScriptError>, BmcError>| {
        let host = names.get(&addr).copied().unwrap_or_default();
        let outcome = outcome.and_then(|o| o.map_err(|error| BmcError::from_script(addr, error)));
        match outcome {
            Ok(value) => succeeded(as_json, host, tell(&value, host)),
            Err(error) => {
                failures += 1;
                failed(as_json, host, error.kind(), &error.to_string());
            }
        }
    };
    if let Err(error) = sweep(targets, pace, done).await {
        return output::fail(&format!("asking the hosts: {error}"));
    }
    suites.borrow().save();
    match failures {
        0 => ExitCode::SUCCESS,
        1 => output::fail("1 host failed"),
        n => output::fail(&format!("{n} hosts failed")),
    }
}

fn succeeded(as_json: bool, host: &str, told: Told) {
    if as_json {
        let mut object = json!({"host": host, "ok": true});
        if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), told.json) {
            fields.extend(more);
        }
        output::line(&object.to_string());
    } else {
        output::line(&format!("{host}: {}", told.text));
        if let Some(note) = told.note {
            output::warn(&note);
        }
    }
}

fn failed(as_json: bool, host: &str, kind: &str, error: &str) {
    if as_json {
        output::line(&json!({"host": host, "ok": false, "kind": kind, "error": error}).to_string());
    } else {
        output::error(&format!("{host}: {error}"));
    }
}
