//! Renders templates as `tests/cases/oracle.go` does, with this crate instead of Go: one JSON object per line in, one
//! out. Comparing the two is how the crate is checked against Go on templates nobody wrote by hand:
//!
//! ```console
//! $ python3 tests/cases/generate.py 10000 1 > in
//! $ go run tests/cases/oracle.go < in > go.out
//! $ cargo run --example render-lines --features serde_json < in > rust.out
//! $ python3 tests/cases/compare.py in go.out rust.out
//! ```
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::io::BufRead as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use go_template::{Functions, Limits, Map, MissingKey, StringMap, Template, Value};

fn render(request: &serde_json::Value) -> serde_json::Value {
    let source = STANDARD.decode(request["source"].as_str().unwrap_or_default()).expect("base64");
    let missing = match request["missing"].as_str() {
        Some("error") => MissingKey::Error,
        Some("zero") => MissingKey::Zero,
        _ => MissingKey::Default,
    };
    let mut data: Map = match request["data"].as_object() {
        Some(entries) => entries.iter().map(|(key, value)| (key, Value::from(value))).collect(),
        None => Map::new(),
    };
    if let Some(query) = request["query"].as_object() {
        let query: StringMap =
            query.iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().as_bytes())).collect();
        data.insert("request", Map::from_iter([("query", Value::from(query))]));
    }
    let limits = Limits { output: 2 << 20, ..Limits::default() };
    match Template::parse("t", &source, &Functions::new()) {
        Err(error) => serde_json::json!({ "parse": error.to_string() }),
        Ok(template) => match template.with_missing_key(missing).render_to_vec(&data.into(), &limits) {
            Ok(text) => serde_json::json!({ "text": STANDARD.encode(text) }),
            Err(error) => serde_json::json!({ "render": error.to_string() }),
        },
    }
}

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        if !line.trim().is_empty() {
            println!("{}", render(&serde_json::from_str(&line).expect("one JSON object per line")));
        }
    }
}
