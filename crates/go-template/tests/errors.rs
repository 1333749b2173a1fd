//! Errors say where and what: template, line, column, the piece that failed and the key that was missing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use go_template::{Function, Functions, Limits, Map, MissingKey, RenderErrorKind, Template, Value};

fn data() -> Value {
    Map::from_iter([
        ("s", Value::from("x")),
        ("nul", Value::Nil),
        ("l", Value::from(vec![Value::Nil])),
        ("m", Value::from(Map::new())),
        ("f", Value::from(Function::new(1, Some(1), |values| Ok(values[0].clone())))),
    ])
    .into()
}

fn fault(source: &str) -> (usize, usize, RenderErrorKind, String) {
    let template = Template::parse("t", source.as_bytes(), &Functions::new()).unwrap();
    let error =
        template.with_missing_key(MissingKey::Error).render_to_vec(&data(), &Limits::default()).unwrap_err();
    (error.line(), error.column(), error.kind(), error.message().to_owned())
}

fn parse_fault(source: &str) -> String {
    Template::parse("t", source.as_bytes(), &Functions::new()).unwrap_err().to_string()
}

#[test]
fn rendering_errors_have_a_place() {
    let missing = RenderErrorKind::MissingKey;
    assert_eq!(fault("a\n b {{.x}}"), (2, 6, missing, "map has no entry for key \"x\"".into()));
    assert_eq!(fault("{{if .m.x.y}}{{end}}"), (1, 6, missing, "map has no entry for key \"x\"".into()));
    assert_eq!(fault("{{$n := .nul}}{{$n.x}}"), (1, 17, missing, "nil data; no entry for key \"x\"".into()));
    let wrong = RenderErrorKind::Type;
    assert_eq!(fault("{{.nul.x}}"), (1, 3, wrong, "nil pointer evaluating interface {}.x".into()));
    assert_eq!(
        fault("{{range .l}}{{.x}}{{end}}"),
        (1, 15, wrong, "nil pointer evaluating interface {}.x".into())
    );
    assert_eq!(fault("{{.s.x}}"), (1, 3, wrong, "can't evaluate field x in type interface {}".into()));
    assert_eq!(fault("{{$s := .s}}{{$s.x}}"), (1, 15, wrong, "can't evaluate field x in type string".into()));
    assert_eq!(fault("{{.m 1}}").3, "m is not a method but has arguments");
    assert_eq!(fault("{{1 | .m}}").3, "m is not a method but has arguments");
    assert_eq!(fault("{{$.s | $}}").3, "can't give argument to non-function $");
    assert_eq!(fault("{{nil}}").3, "nil is not a command");
    assert_eq!(fault("{{.f}}").3, "can't print a value of type func");
    let call = RenderErrorKind::Call;
    assert_eq!(
        fault("{{1 | printf}}"),
        (1, 7, call, "wrong type for value; expected string; got int".into())
    );
    assert_eq!(fault("{{len 1 2}}").3, "wrong number of args for len: want 1 got 2");
    assert_eq!(fault("{{call .s}}").3, "error calling call: non-function of type string");
    assert_eq!(fault("{{call .f}}").3, "error calling call: wrong number of args: want 1 got 0");
    assert_eq!(fault("{{eq .s 1}}").3, "error calling eq: incompatible types for comparison: string and int");
    assert_eq!(fault("{{template \"no\"}}").2, RenderErrorKind::UndefinedTemplate);
    assert_eq!(fault("{{$x = 1}}").2, RenderErrorKind::UndefinedVariable);
}

#[test]
fn rendering_errors_show_themselves() {
    let template = Template::parse(
        "boot.ipxe",
        b"{{define \"k\"}}\n{{ .m.args }}{{end}}{{template \"k\" .}}",
        &Functions::new(),
    );
    let error = template
        .unwrap()
        .with_missing_key(MissingKey::Error)
        .render_to_vec(&data(), &Limits::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: boot.ipxe:2:4: executing \"k\" at <.m.args>: map has no entry for key \"args\""
    );
    assert_eq!(
        (error.key(), error.executing(), error.template(), error.context()),
        (Some("args"), "k", "boot.ipxe", ".m.args")
    );
}

#[test]
fn parse_errors_have_a_place() {
    for (source, want) in [
        ("a\n{{.x.}}", "template: t:2:5: unexpected \".\" in operand"),
        ("{{if}}", "template: t:1:5: missing value for if"),
        ("{{if 1}}\n{{else}}", "template: t:2:9: unexpected EOF"),
        ("x{{end}}", "template: t:1:4: unexpected {{end}}"),
        ("{{ .x\n\n", "template: t:3:1: unclosed action started at line 1"),
        ("{{\n\"x}}", "template: t:2:1: unterminated quoted string in action started at line 1"),
        ("{{upper .x}}", "template: t:1:3: function \"upper\" not defined"),
        ("{{$x}}", "template: t:1:3: undefined variable \"$x\""),
        ("{{break}}", "template: t:1:3: {{break}} outside {{range}}"),
        (
            "{{range 3}}{{block \"b\" .}}{{break}}{{end}}{{end}}",
            "template: t:1:29: {{break}} outside {{range}}",
        ),
        ("{{with 1}}{{else if 2}}{{end}}", "template: t:1:18: unexpected \"if\" in input"),
        ("{{1 | 2}}", "template: t:1:7: non executable command in pipeline stage 2"),
        (
            "{{define \"a\"}}x{{end}}{{define \"a\"}}y{{end}}",
            "template: t:1:23: multiple definition of template \"a\"",
        ),
    ] {
        assert_eq!(parse_fault(source), want, "{source:?}");
    }
}
