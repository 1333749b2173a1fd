//! The JSON Schemas: valid documents conform, and mistakes do not.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::path::Path;

use ignition::schema::{Subject, schema};
use ignition::{Config, SpecVersion, butane};
use serde_json::{Value, json};

/// The words of draft 2020-12 that the schemas use; an unknown word fails.
fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    for (word, said) in schema.as_object().unwrap() {
        let good = match word.as_str() {
            "$schema" | "title" | "description" | "properties" => true,
            "type" => {
                let kinds = said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
                kinds.iter().any(|kind| match kind.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("type {other}"),
                })
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match (schema.get("properties").and_then(|known| known.get(name)), said) {
                        (Some(known), _) => conforms(known, value).map_err(|why| format!("{name}.{why}"))?,
                        (None, Value::Bool(false)) => return Err(format!("{name}: unknown")),
                        (None, other) => conforms(other, value)?,
                    }
                }
                true
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .try_for_each(|item| conforms(said, item))
                .map(|()| true)?,
            "required" => value.as_object().is_none_or(|object| {
                said.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
            }),
            "enum" => said.as_array().unwrap().contains(value),
            "const" => said == value,
            "minimum" => value.as_i64().is_none_or(|value| value >= said.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|value| value <= said.as_i64().unwrap()),
            "maxLength" => {
                value.as_str().is_none_or(|value| value.chars().count() as u64 <= said.as_u64().unwrap())
            }
            "pattern" => value.as_str().is_none_or(|value| match said.as_str().unwrap() {
                "^/" | "^(/|(/[^/]+)+)$" => value.starts_with('/'),
                "\\.conf$" => value.ends_with(".conf"),
                _ => true,
            }),
            other => panic!("the schema says {other}"),
        };
        if !good {
            return Err(format!("{word} {said}: {value}"));
        }
    }
    Ok(())
}

fn parsed(subject: Subject) -> Value {
    serde_json::from_str(&schema(subject)).unwrap()
}

#[test]
fn every_version_and_dialect_has_one() {
    let butanes = butane::TARGETS.iter().map(|target| Subject::Butane(*target));
    let ignitions = SpecVersion::all().map(Subject::Ignition);
    let mut count = 0;
    for subject in ignitions.chain(butanes).chain([Subject::Fuze, Subject::Clc]) {
        let schema = parsed(subject);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["properties"].as_object().unwrap().len() > 2, "{subject:?}");
        count += 1;
    }
    assert!(count > 30, "{count}");
    for text in ["1", "2.3.0", "3.4.0", "3.7.0-experimental", "fcos-1.5.0", "openshift-4.14.0", "fuze", "clc"]
    {
        assert!(Subject::parse(text).is_some(), "{text}");
    }
    assert!(Subject::parse("3.9.0").is_none() && Subject::parse("fcos-0.0.1").is_none());
}

#[test]
fn valid_cases_conform() {
    let mut seen = 0;
    for case in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")).unwrap() {
        for file in std::fs::read_dir(case.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let Ok(source) = std::fs::read(&path) else { continue };
            // Unused keys and keys in other cases are warnings at most; a schema refuses them.
            let Ok((config, report)) = Config::parse(&source) else { continue };
            let Ok(value) = serde_json::from_slice::<Value>(&source) else { continue };
            if !report.is_empty() {
                continue;
            }
            if let Err(why) = conforms(&parsed(Subject::Ignition(config.version)), &value) {
                let text = String::from_utf8_lossy(&source);
                assert!(
                    text.contains("\"PATH\"") || text.contains("\"Path\"") || text.contains("\"Storage\""),
                    "{}: {why}\n{text}",
                    path.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn mistakes_do_not() {
    let v3 = parsed(Subject::parse("3.4.0").unwrap());
    let with = |storage: Value| json!({ "ignition": { "version": "3.4.0" }, "storage": storage });
    assert_eq!(conforms(&v3, &with(json!({ "files": [{ "path": "/a", "mode": 420 }] }))), Ok(()));
    for storage in [
        json!({ "files": [{ "mode": 420 }] }),
        json!({ "files": [{ "path": "a" }] }),
        json!({ "files": [{ "path": "/a", "mode": "0644" }] }),
        json!({ "files": [{ "path": "/a", "mod": 420 }] }),
        json!({ "files": { "path": "/a" } }),
        json!({ "raid": [{ "name": "a", "level": "raid12", "devices": [] }] }),
    ] {
        assert!(conforms(&v3, &with(storage.clone())).is_err(), "{storage}");
    }
    assert!(conforms(&v3, &json!({ "ignition": { "version": "3.3.0" } })).is_err());
    let fcos = parsed(Subject::parse("fcos-1.5.0").unwrap());
    let config = json!({ "variant": "fcos", "version": "1.5.0", "storage": { "files": [{ "path": "/a", "contents": { "inline": "x" } }] } });
    assert_eq!(conforms(&fcos, &config), Ok(()));
    assert!(conforms(&fcos, &json!({ "variant": "fcos" })).is_err());
}
