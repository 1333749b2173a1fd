//! What holds for all bytes: no panic, nothing beyond the limits, the same bytes every time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use go_template::{Function, Functions, Limits, List, Map, MissingKey, StringMap, Template, Value};
use proptest::prelude::*;

fn data() -> Value {
    Map::from_iter([
        ("s", Value::from("héllo")),
        ("n", Value::from(8080.0)),
        ("nul", Value::Nil),
        ("l", Value::from(List::appended(vec![Value::from("a"), Value::Nil, Value::from(1e21)]))),
        ("m", Value::from(Map::from_iter([("k", Value::from("v"))]))),
        ("q", Value::from(StringMap::from_iter([("k", &b"v"[..])]))),
        ("f", Value::from(Function::new(0, None, |values| Ok(values.to_vec().into())))),
    ])
    .into()
}

const LIMITS: Limits = Limits { output: 4096, memory: 65_536, steps: 5_000, depth: 50 };

/// Pieces that make templates more often than random bytes do.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "{{", "}}", "{{- ", " -}}", "{{end}}", "{{else}}", "{{if .s}}", "{{range .l}}", "{{range $i, $e := .m}}", "{{with .m}}",
            "{{else if .nul}}", "{{else with .s}}", "{{define \"T\"}}", "{{template \"T\" .}}", "{{block \"B\" .}}", "{{break}}",
            "{{continue}}", "{{$x := .s}}", "{{$x = 1}}", "{{$x}}", "{{.s}}", "{{.m.k}}", "{{.absent}}", "{{range 9}}", "(", ")", "|",
            "printf \"%v %[2]*d\" ", "index ", "slice ", "len ", "and ", "or ", "eq ", "call .f ", ".l ", "1 ", "nil ", "'a' ", "1.5 ",
            "\"x\" ", "`raw`", "$", ".", " ", "/*", "*/", ":=", "=", ",",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn source() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(piece(), 0..30).prop_map(|pieces| pieces.concat()),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No bytes make it panic, and errors point into the source.
    #[test]
    fn any_bytes(source in source()) {
        let lines = source.iter().filter(|&&byte| byte == b'\n').count() + 1;
        match Template::parse("t", &source, &Functions::new()) {
            Err(error) => prop_assert!((1..=lines).contains(&error.line()) && error.column() > 0, "{error}"),
            Ok(template) => for missing_key in [MissingKey::Default, MissingKey::Zero, MissingKey::Error] {
                let template = template.clone().with_missing_key(missing_key);
                let mut out = b"kept".to_vec();
                match template.render(&data(), &LIMITS, &mut out) {
                    Ok(()) => {
                        prop_assert!(out.len() <= 4 + LIMITS.output);
                        prop_assert_eq!(out.get(4..).unwrap(), template.render_to_vec(&data(), &LIMITS).unwrap());
                    }
                    Err(error) => {
                        prop_assert_eq!(out, b"kept");
                        prop_assert!((1..=lines).contains(&error.line()) && error.column() > 0, "{}", error);
                    }
                }
            },
        }
    }

    /// Text without `{{` is itself, byte for byte.
    #[test]
    fn text_is_itself(text in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assume!(!text.windows(2).any(|pair| pair == b"{{"));
        let template = Template::parse("t", &text, &Functions::new()).unwrap();
        prop_assert_eq!(template.render_to_vec(&Value::Nil, &Limits::default()).unwrap(), text);
    }

    /// What `%q` writes, a template reads back: quoting is the inverse of unquoting.
    #[test]
    fn quoted_strings_read_back(text in prop::collection::vec(any::<u8>(), 0..60), flag in prop::sample::select(vec!["", "+", "#"])) {
        let quote = Template::parse("q", format!("{{{{printf \"%{flag}q\" .}}}}").as_bytes(), &Functions::new()).unwrap();
        let quoted = quote.render_to_vec(&Value::from(text.as_slice()), &Limits::default()).unwrap();
        let source = [b"{{", quoted.as_slice(), b"}}"].concat();
        let back = Template::parse("b", &source, &Functions::new()).unwrap();
        prop_assert_eq!(back.render_to_vec(&Value::Nil, &Limits::default()).unwrap(), text);
    }

    /// A float prints as a number that a template reads as the same float.
    #[test]
    fn floats_read_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite()), form in prop::sample::select(vec!["e", "g", "x"])) {
        let print = Template::parse("p", format!("{{{{printf \"%{}{form}\" .}}}}", if form == "e" { ".17" } else { "" }).as_bytes(), &Functions::new()).unwrap();
        let mut text = print.render_to_vec(&Value::from(number), &Limits::default()).unwrap();
        if !text.iter().any(|byte| b".ep".contains(byte)) {
            text.extend_from_slice(b".0");
        }
        let source = [b"{{eq . ", text.as_slice(), b"}}"].concat();
        let back = Template::parse("b", &source, &Functions::new()).unwrap();
        prop_assert_eq!(back.render_to_vec(&Value::from(number), &Limits::default()).unwrap(), b"true");
    }

    /// Escaped text has none of the characters that would end it.
    #[test]
    fn escapes_hold(text in prop::collection::vec(any::<u8>(), 0..100)) {
        let template = Template::parse("t", b"{{html .}}\xff{{urlquery .}}", &Functions::new()).unwrap();
        let out = template.render_to_vec(&Value::from(text.as_slice()), &Limits::default()).unwrap();
        prop_assert!(!out.iter().any(|byte| b"<>\"'\0".contains(byte)));
    }

    /// Maps are sorted whatever the order of their making.
    #[test]
    fn maps_are_sorted(keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..40)) {
        let mut one = Map::new();
        for (at, key) in keys.iter().enumerate() {
            one.insert(key, i64::try_from(at).unwrap());
        }
        let all: Map = keys.iter().enumerate().map(|(at, key)| (key, i64::try_from(at).unwrap())).collect();
        let flat = |map: &Map| map.iter().map(|(key, value)| (key.to_vec(), format!("{value:?}"))).collect::<Vec<_>>();
        prop_assert_eq!(flat(&one), flat(&all));
        prop_assert!(flat(&one).windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
