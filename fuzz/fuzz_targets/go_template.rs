//! Any bytes as a template, rendered under small limits: no panic, nothing beyond the limits, nothing left of a failure.
#![no_main]

use go_template::{Function, Functions, Limits, List, Map, MissingKey, StringMap, Template, Value};
use libfuzzer_sys::fuzz_target;

fn data() -> Value {
    let nested: Map = [("k", Value::from("v")), ("n", Value::from(2.0)), ("nul", Value::Nil)].into_iter().collect();
    let query: StringMap = [("mac", &b"52:54:00:12:34:56"[..]), ("q", b"<\xff>")].into_iter().collect();
    let items = vec![Value::from("a"), Value::Nil, Value::from(nested.clone()), Value::from(1e21)];
    Map::from_iter([
        ("s", Value::from("h\u{e9}llo")),
        ("raw", Value::from(&b"\x00\xff\xe2\x80"[..])),
        ("n", Value::from(8080.0)),
        ("b", Value::from(true)),
        ("nul", Value::Nil),
        ("l", Value::from(List::appended(items))),
        ("m", Value::from(nested)),
        ("q", Value::from(query)),
        ("f", Value::from(Function::new(0, None, |values| Ok(values.to_vec().into())))),
    ])
    .into()
}

fuzz_target!(|source: &[u8]| {
    let mut functions = Functions::new();
    let _ = functions.insert("join", Function::new(1, Some(2), |values| Ok(values.last().cloned().unwrap_or_default())));
    let Ok(template) = Template::parse("t", source, &functions) else { return };
    let limits = Limits { output: 1 << 16, memory: 1 << 20, steps: 20_000, depth: 1_000 };
    for missing_key in [MissingKey::Error, MissingKey::Default, MissingKey::Zero] {
        let mut out = b"before".to_vec();
        let result = template.clone().with_missing_key(missing_key).render(&data(), &limits, &mut out);
        assert!(out.starts_with(b"before") && out.len() <= 6 + limits.output);
        if let Err(error) = result {
            assert_eq!(out, b"before");
            assert!(!error.to_string().is_empty() && error.line() > 0);
        }
    }
});
