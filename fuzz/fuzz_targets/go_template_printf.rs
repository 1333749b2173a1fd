//! Any bytes as a format of `printf`, and as a string to escape: no panic, nothing beyond the limits.
#![no_main]

use std::sync::LazyLock;

use go_template::{Functions, Limits, Map, Template, Value};
use libfuzzer_sys::fuzz_target;

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    [
        "{{printf .f .i .s .x .l .nul .m 1+2i true 'w'}}",
        "{{printf .f .x}}|{{printf .f .i .i .x}}|{{printf .f .f}}|{{printf .f}}",
        "{{html .f}}{{js .f}}{{urlquery .f}}{{printf \"%q|%+q|%#q|%x|%.3s\" .f .f .f .f .f}}{{len .f}}{{println .f .x}}",
        "{{range $i, $c := .l}}{{printf $.f $i $c}}{{end}}{{slice .f 0 (len .f)}}{{eq .f .s}}{{lt .f .s}}",
    ]
    .iter()
    .filter_map(|source| Template::parse("t", source.as_bytes(), &Functions::new()).ok())
    .collect()
});

fuzz_target!(|input: &[u8]| {
    let (bits, format) = input.split_at_checked(8).unwrap_or((&[], input));
    let number = f64::from_bits(bits.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    let items = vec![Value::from(number), Value::from("x"), Value::Nil];
    let data: Map = [
        ("f", Value::from(format)),
        ("i", Value::from(number as i64)),
        ("s", Value::from("h\u{e9}llo")),
        ("x", Value::from(number)),
        ("l", Value::from(items)),
        ("nul", Value::Nil),
        ("m", Value::from(Map::from_iter([("k", Value::from(number))]))),
    ]
    .into_iter()
    .collect();
    let data = Value::from(data);
    let limits = Limits { output: 1 << 20, memory: 1 << 21, ..Limits::default() };
    for template in TEMPLATES.iter() {
        if let Ok(text) = template.render_to_vec(&data, &limits) {
            assert!(text.len() <= limits.output);
        }
    }
});
