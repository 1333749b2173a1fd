//! What strangers' templates can cost: every limit is met, is told as such, and leaves nothing behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use go_template::{Function, Functions, Limits, Map, RenderError, RenderErrorKind, Template, Value};

fn render(source: &str, limits: &Limits) -> Result<Vec<u8>, RenderError> {
    let data = Map::from_iter([("s", Value::from("x".repeat(1 << 16)))]).into();
    Template::parse("t", source.as_bytes(), &Functions::new()).unwrap().render_to_vec(&data, limits)
}

fn kind(source: &str) -> RenderErrorKind {
    let limits = Limits { output: 1 << 18, memory: 1 << 20, steps: 200_000, depth: 1_000 };
    let error = render(source, &limits).expect_err(source);
    assert!(error.kind().is_limit(), "{error}");
    error.kind()
}

#[test]
fn loops_and_recursion_end() {
    assert_eq!(kind("{{range 1000000000000}}{{end}}"), RenderErrorKind::StepLimit);
    assert_eq!(
        kind("{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}"),
        RenderErrorKind::DepthLimit
    );
    assert_eq!(
        kind("{{define \"r\"}}{{template \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}"),
        RenderErrorKind::DepthLimit
    );
    assert_eq!(kind("{{range 1000000}}{{if eq $.s $.s}}{{end}}{{end}}"), RenderErrorKind::StepLimit);
    assert_eq!(
        kind("{{range 1000000}}{{range 1000000}}{{range 1000000}}{{end}}{{end}}{{end}}"),
        RenderErrorKind::StepLimit
    );
}

#[test]
fn output_and_strings_are_bounded() {
    assert_eq!(kind("{{range 100}}{{$.s}}{{end}}"), RenderErrorKind::OutputLimit);
    assert_eq!(kind("{{range 1000}}{{print (printf \"%100000d\" 1)}}{{end}}"), RenderErrorKind::OutputLimit);
    assert_eq!(kind("{{$x := \"x\"}}{{range 100}}{{$x = print $x $x}}{{end}}"), RenderErrorKind::MemoryLimit);
    assert_eq!(kind("{{range 1000}}{{$x := html $.s}}{{end}}"), RenderErrorKind::MemoryLimit);
    assert_eq!(kind("{{range 1000}}{{$x := slice $.s 1}}{{end}}"), RenderErrorKind::MemoryLimit);
    assert_eq!(kind("{{range 1000}}{{$x := printf \"%.100000f\" 1.5}}{{end}}"), RenderErrorKind::MemoryLimit);
    let limits = Limits { output: 10, ..Limits::default() };
    assert_eq!(render("0123456789", &limits).unwrap(), b"0123456789");
    assert_eq!(render("0123456789{{\"\"}}x", &limits).unwrap_err().kind(), RenderErrorKind::OutputLimit);
}

#[test]
fn what_was_there_stays() {
    let template = Template::parse("t", b"first {{.s}} {{index .s \"x\"}}", &Functions::new()).unwrap();
    let mut out = b"before".to_vec();
    let data = Map::from_iter([("s", Value::from("y"))]).into();
    assert!(template.render(&data, &Limits::default(), &mut out).is_err());
    assert_eq!(out, b"before");
}

/// Nothing is as deep as its text: neither parser, executor nor destructor recurses.
#[test]
fn depth_costs_no_stack() {
    let deep = 30_000;
    let source = format!("{}x{}", "{{if 1}}".repeat(deep), "{{end}}".repeat(deep));
    assert_eq!(render(&source, &Limits::default()).unwrap(), b"x");
    let source = format!("{{{{if 1}}}}x{}{{{{end}}}}", "{{else if 1}}".repeat(deep));
    assert_eq!(render(&source, &Limits::default()).unwrap(), b"x");
    let source = format!("{{{{{}1{}}}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(render(&source, &Limits::default()).unwrap(), b"1");
    let source = format!("{{{{{}1{}}}}}", "(".repeat(10_001), ")".repeat(10_001));
    assert!(
        Template::parse("t", source.as_bytes(), &Functions::new()).unwrap_err().message().contains("depth")
    );
    let source = format!("{{{{.s{}}}}}", " | print".repeat(100_001));
    assert!(
        Template::parse("t", source.as_bytes(), &Functions::new())
            .unwrap_err()
            .message()
            .contains("too long")
    );
    let source = "{{block \"b\" .}}".repeat(deep);
    assert!(Template::parse("t", source.as_bytes(), &Functions::new()).is_err());
    let mut value = Value::from(Vec::<Value>::new());
    for _ in 0..2_000 {
        value = Value::from(vec![value]);
    }
    let template = Template::parse("t", b"{{.}}", &Functions::new()).unwrap();
    let error = template.render_to_vec(&value, &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), RenderErrorKind::DepthLimit);
}

#[test]
fn added_functions_and_their_results_count() {
    let mut functions = Functions::new();
    functions
        .insert(
            "upper",
            Function::new(1, Some(1), |arguments| match arguments {
                [Value::String(text)] => Ok(Value::from(text.to_ascii_uppercase())),
                _ => Err("upper wants a string".to_owned()),
            }),
        )
        .unwrap();
    functions.insert("list", Function::new(0, None, |arguments| Ok(arguments.to_vec().into()))).unwrap();
    functions.insert("len", Function::new(0, None, |_| Ok(Value::from("mine")))).unwrap();
    functions.insert("big", Function::new(0, Some(0), |_| Ok(Value::from(vec![0; 1 << 25])))).unwrap();
    assert!(functions.insert("not good", Function::new(0, None, |_| Ok(Value::Nil))).is_err());
    assert!(functions.insert("1st", Function::new(0, None, |_| Ok(Value::Nil))).is_err());
    let render = |source: &str| {
        Template::parse("t", source.as_bytes(), &functions)
            .map_err(|error| error.message().to_owned())
            .and_then(|template| {
                template
                    .render_to_vec(&Value::Nil, &Limits::default())
                    .map_err(|error| error.message().to_owned())
            })
    };
    assert_eq!(render("{{\"x\" | upper | printf \"%s!\"}}{{len 1 2}}").unwrap(), b"X!mine");
    assert_eq!(render("{{upper 1}}").unwrap_err(), "error calling upper: upper wants a string");
    assert_eq!(render("{{upper}}").unwrap_err(), "wrong number of args for upper: want 1 got 0");
    let nested = render("{{$x := 1}}{{range 5000}}{{$x = list $x}}{{end}}").unwrap_err();
    assert_eq!(
        nested, "values nest too deep",
        "such a value would take the stack with it when it is dropped"
    );
    assert!(render("{{big}}{{big}}{{big}}").unwrap_err().contains("exceeded maximum"));
    assert_eq!(render("{{lower \"x\"}}").unwrap_err(), "function \"lower\" not defined");
}
