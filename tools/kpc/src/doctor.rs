//! `kpc doctor`: what would go wrong, before it does. On the deploy host what keeps it from serving; on a node what
//! kolla-ansible's prechecks will say.

mod host;
mod node;

use serde::Serialize;

use crate::Failure;
use crate::args::{Common, Doctor, Patient};
use crate::verbs::say;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// What.
    pub(crate) check: &'static str,
    /// Whether it is as it must be; `None`: it could not be looked at.
    pub(crate) ok: Option<bool>,
    /// What is there, and where it is wrong the remedy.
    pub(crate) detail: String,
}

impl Check {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, ok: Some(true), detail: detail.into() }
    }

    fn bad(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, ok: Some(false), detail: detail.into() }
    }

    fn unknown(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, ok: None, detail: detail.into() }
    }

    fn of(check: &'static str, outcome: Result<String, String>) -> Self {
        match outcome {
            Ok(detail) => Self::good(check, detail),
            Err(detail) => Self::bad(check, detail),
        }
    }
}

/// The verb.
pub(crate) fn doctor(common: &Common, doctor: &Doctor) -> Result<u8, Failure> {
    let checks = match doctor.patient {
        Patient::Host => host::checks(common),
        Patient::Node => node::checks(&node::System::here(doctor.interface.as_deref())),
    };
    if doctor.json {
        say(serde_json::to_string(&checks).map_err(|error| error.to_string())?)?;
    } else {
        for check in &checks {
            let word = match check.ok {
                Some(true) => "ok",
                Some(false) => "WRONG",
                None => "?",
            };
            say(format_args!("  {word:<6} {:<11} {}", check.check, check.detail))?;
        }
        let wrong = checks.iter().filter(|check| check.ok == Some(false)).count();
        say(format_args!("{} checks, {wrong} wrong", checks.len()))?;
    }
    Ok(u8::from(checks.iter().any(|check| check.ok == Some(false))))
}
