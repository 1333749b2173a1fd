//! Replays templates that nobody wrote by hand, as Go rendered them: `cases/generate.py 3000 1`, answered by
//! `cases/oracle.go` with Go 1.19.8 and joined by `cases/record.py`. `examples/render-lines.rs` says how to try others.
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

#[test]
fn generated_templates() {
    let recorded: serde_json::Value = serde_json::from_str(include_str!("cases/generated.json")).unwrap();
    let data: Vec<Value> = recorded["data"].as_array().unwrap().iter().map(data).collect();
    let cases = recorded["cases"].as_array().unwrap();
    assert!(cases.len() > 1000);
    let mut wrong = Vec::new();
    for case in cases {
        let source = STANDARD.decode(case[0].as_str().unwrap()).unwrap();
        let data = &data[usize::try_from(case[1].as_u64().unwrap()).unwrap()];
        let missing = match case[2].as_str().unwrap() {
            "error" => MissingKey::Error,
            "zero" => MissingKey::Zero,
            _ => MissingKey::Default,
        };
        let got = Template::parse("t", &source, &Functions::new())
            .map_err(|error| error.to_string())
            .and_then(|template| {
                let template = template.with_missing_key(missing);
                template.render_to_vec(data, &Limits::default()).map_err(|error| error.to_string())
            });
        let want = case[3].as_str().map(|text| STANDARD.decode(text).unwrap());
        if got.as_ref().ok() != want.as_ref() {
            wrong.push(format!("{:?}\n  got  {got:?}\n  want {want:?}", String::from_utf8_lossy(&source)));
        }
    }
    println!("{} of {} as Go", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
}

fn data(pair: &serde_json::Value) -> Value {
    let mut data: Map =
        pair[0].as_object().unwrap().iter().map(|(key, value)| (key, Value::from(value))).collect();
    let query: StringMap = pair[1]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key, value.as_str().unwrap().as_bytes()))
        .collect();
    data.insert("request", Map::from_iter([("query", Value::from(query))]));
    data.into()
}
