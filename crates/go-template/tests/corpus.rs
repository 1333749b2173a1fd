//! Replays templates recorded from matchbox (Go 1.27.3): the same bytes, or an error where Go gave one.
//! `cases/extract.py` made the files.
#![cfg(feature = "serde_json")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use go_template::{Functions, Limits, Map, MissingKey, StringMap, Template, Value};

fn replay(json: &str) {
    let cases: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let source = STANDARD.decode(case["source"].as_str().unwrap()).unwrap();
        let mut data: Map =
            case["data"].as_object().unwrap().iter().map(|(k, v)| (k, Value::from(v))).collect();
        let query: StringMap = case["query"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key, value.as_str().unwrap().as_bytes()))
            .collect();
        let request: Map =
            [("query", Value::from(query)), ("raw_query", Value::from(case["raw_query"].as_str().unwrap()))]
                .into_iter()
                .collect();
        data.insert("request", request);
        let got = Template::parse(name, &source, &Functions::new())
            .map_err(|error| error.to_string())
            .and_then(|template| {
                template
                    .with_missing_key(MissingKey::Error)
                    .render_to_vec(&data.into(), &Limits::default())
                    .map_err(|error| error.to_string())
            });
        let want = case["expect"].as_str().map(|text| STANDARD.decode(text).unwrap());
        match (&got, &want) {
            (Ok(got), Some(want)) if got == want => {}
            (Err(_), None) => {}
            _ => {
                let show =
                    |bytes: &Vec<u8>| String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
                let source: String = String::from_utf8_lossy(&source).chars().take(200).collect();
                wrong.push(format!(
                    "{name}: {source:?}\n  got  {:?}\n  want {:?}",
                    got.as_ref().map(show),
                    want.as_ref().map(show)
                ));
            }
        }
    }
    println!("{} of {} as recorded", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn templates() {
    replay(include_str!("cases/main.json"));
}

#[test]
fn malformed_and_hostile_templates() {
    replay(include_str!("cases/malformed.json"));
}
