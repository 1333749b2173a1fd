//! The calls of an installing agent: each is repeated until it is answered. What the server refuses is a value.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::console::warn;
use crate::http;

/// Longest answer.
const LARGEST: u64 = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The server, under one claim.
#[derive(Debug)]
pub(crate) struct Server {
    /// `http://host:port`.
    pub(crate) url: String,
    /// The secret of this boot.
    pub(crate) claim: String,
    /// What waits between two tries.
    pub(crate) pause: fn(Duration),
}

/// A refusal: asking again changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    /// 400, 403, 409, …
    pub(crate) status: u16,
    /// The server's words.
    pub(crate) words: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The JSON of the body; null where it has none.
    pub(crate) value: Value,
    /// The server's clock.
    pub(crate) date: Option<SystemTime>,
}

impl Server {
    /// Asks until there is an answer: no connection, 5xx and 429 are tried again.
    pub(crate) fn call(&self, path: &str, body: &Value) -> Result<Answer, Refused> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.once(path, body) {
                Ok(answer) => return answer,
                Err(error) => warn(format!("{path}: {error}; again in {} s", pause.as_secs())),
            }
            (self.pause)(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells how far this boot is, once; a report that is lost stops nothing.
    pub(crate) fn tell(&self, phase: &str, detail: &str) {
        match self.once("/v1/report", &self.report(phase, detail)) {
            Ok(Ok(_)) => {}
            Ok(Err(refused)) => warn(format!("report {phase}: {}", refused.words)),
            Err(error) => warn(format!("report {phase}: {error}")),
        }
    }

    /// The body of a report.
    pub(crate) fn report(&self, phase: &str, detail: &str) -> Value {
        json!({ "claim": self.claim, "phase": phase, "detail": detail })
    }

    fn once(&self, path: &str, body: &Value) -> Result<Result<Answer, Refused>, String> {
        let response = http::post(&format!("{}{path}", self.url), &body.to_string())?;
        let (status, date) = (response.status, response.date);
        let octets = response.into_bytes(LARGEST)?;
        let value: Value = serde_json::from_slice(&octets).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return Ok(Ok(Answer { value, date }));
        }
        let words = value.get("error").and_then(Value::as_str).map_or_else(
            || String::from_utf8_lossy(&octets).lines().next().unwrap_or_default().to_owned(),
            str::to_owned,
        );
        match status {
            400..500 if status != 408 && status != 429 => Ok(Err(Refused { status, words })),
            _ => Err(format!("the server answered {status} {words}")),
        }
    }
}
