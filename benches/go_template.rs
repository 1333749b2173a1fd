//! `bench-go-template`: parsing and rendering beside gotmpl, gtmpl-ng and, where a `go` is found, Go itself.
//!
//! Processor time in interleaved rounds, the median of the ratios to ours and their spread. All render the same bytes,
//! which is checked first. `GO=path` names another Go; without one its column is left out and said so.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::process::Command;

use go_template::{Functions, Limits, Map, MissingKey, Template, Value};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 31;

/// A machine's configuration of about 10 KiB, in the manner of the templates people have: units with fields,
/// conditions, loops and a `printf` here and there.
fn source() -> String {
    let unit = r#"
    - name: "{{.name}}-N.service"
      enable: {{if .enabled}}true{{else}}false{{end}}
      contents: |
        [Unit]
        Description={{.description}} on {{.host.name}}
        Requires=network-online.target
        [Service]
        Environment="ENDPOINT=http://{{.host.address}}:8080/ignition?mac={{.request.query.mac}}"
        ExecStart=/usr/bin/install {{range $i, $key := .keys}}{{if $i}},{{end}}{{$key}}{{end}} {{index .host "address"}}
        {{- with .proxy}}
        Environment=PROXY={{.}}
        {{- end}}
        RestartSec={{printf "%s-%03d" .name 7}}
"#;
    (0..18).map(|number| unit.replace("-N", &format!("-{number}"))).collect()
}

fn data() -> serde_json::Value {
    serde_json::json!({
        "name": "etcd", "enabled": true, "description": "store of the cluster", "proxy": "http://10.0.0.1:3128",
        "host": {"name": "node1", "address": "10.0.0.11"},
        "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "ssh-rsa AAAAB3NzaC1yc2E", "ssh-dss AAAAB3NzaC1kc3M"],
        "request": {"query": {"mac": "52:54:00:12:34:56", "uuid": "c0ffee"}, "raw_query": "mac=52-54-00-12-34-56"},
    })
}

fn gotmpl_value(json: &serde_json::Value) -> gotmpl::Value {
    match json {
        serde_json::Value::Null => gotmpl::Value::Nil,
        serde_json::Value::Bool(truth) => gotmpl::Value::Bool(*truth),
        serde_json::Value::Number(number) => gotmpl::Value::Float(number.as_f64().unwrap()),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => items.iter().map(gotmpl_value).collect::<Vec<_>>().into(),
        serde_json::Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), gotmpl_value(value)))
            .collect::<BTreeMap<_, _>>()
            .into(),
    }
}

fn gtmpl_value(json: &serde_json::Value) -> gtmpl_ng::Value {
    match json {
        serde_json::Value::Null => gtmpl_ng::Value::Nil,
        serde_json::Value::Bool(truth) => (*truth).into(),
        serde_json::Value::Number(number) => number.as_f64().unwrap().into(),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => items.iter().map(gtmpl_value).collect::<Vec<_>>().into(),
        serde_json::Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), gtmpl_value(value)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

/// Nanoseconds of processor time that this thread has had.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds of a call, over enough calls to see.
fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = spent();
    for _ in 0..calls {
        call();
    }
    (spent() - start) / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values.get(values.len() * part / 8).copied().unwrap_or(f64::NAN);
    (at(4), at(1), at(7))
}

/// One who renders or parses.
type Contestant<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Runs the calls in turns and prints each beside the first.
fn compare(what: &str, calls: u32, contestants: &mut [Contestant<'_>]) {
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(contestants.iter_mut().map(|(_, call)| time(calls, call)).collect());
    }
    for (at, (name, _)) in contestants.iter().enumerate() {
        let column = |row: &Vec<f64>| row.get(at).copied().unwrap_or(f64::NAN);
        let (time, ..) = median(rounds.iter().map(column).collect());
        let ratios = rounds.iter().map(|row| column(row) / row.first().copied().unwrap_or(f64::NAN));
        let (ratio, low, high) = median(ratios.collect());
        println!(
            "{what:<8} {name:<12} {:>9.1} us   {ratio:>5.2} x ours (1/8 to 7/8: {low:.2} to {high:.2})",
            time / 1e3
        );
    }
}

/// Go's text/template on the same template and data: median microseconds to parse and to render.
fn go(source: &str, data: &serde_json::Value, want: &[u8]) -> Result<(f64, f64), String> {
    let go = std::env::var("GO").unwrap_or_else(|_| "go".to_owned());
    let folder = std::env::temp_dir().join(format!("bench-go-template-{}", std::process::id()));
    let run = || {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("main.go"), include_str!("go_template.go"))?;
        std::fs::write(folder.join("template"), source)?;
        std::fs::write(folder.join("data.json"), data.to_string())?;
        Command::new(&go).args(["run", "main.go"]).current_dir(&folder).env("GO111MODULE", "off").output()
    };
    let output = run();
    let _ = std::fs::remove_dir_all(&folder);
    let output = output.map_err(|error| format!("{go}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (times, text) =
        output.stdout.split_at(output.stdout.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    assert_eq!(text.get(1..), Some(want), "Go renders other bytes");
    let times: Vec<f64> =
        String::from_utf8_lossy(times).split(' ').filter_map(|time| time.parse().ok()).collect();
    match times[..] {
        [parse, render] => Ok((parse, render)),
        _ => Err("no times".to_owned()),
    }
}

/// Templates that a stranger might send, under the default limits: what each costs at most.
fn hostile() {
    let data = Map::from_iter([("s", "x".repeat(1 << 20)), ("u", "é\u{2028}".repeat(1 << 18))]).into();
    let mut worst = 0.0_f64;
    for source in [
        "{{range 1000000000000}}{{end}}",
        "{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}",
        "{{range 1000000}}{{if eq $.s $.s}}{{end}}{{end}}",
        "{{range 100}}{{$.s}}{{end}}",
        "{{$x := \"x\"}}{{range 100}}{{$x = print $x $x}}{{end}}",
        "{{range 1000}}{{$x := js $.u}}{{end}}",
        "{{range 1000}}{{$x := printf \"%+q\" $.u}}{{end}}",
        "{{range 1000}}{{$x := printf \"%1000000d\" 1}}{{end}}",
        "{{range 100000}}{{$x := printf \"%1s\" $.u}}{{end}}",
        "{{range 100000}}{{$x := printf \"%.1000g\" 5e-324}}{{end}}",
        "{{range 1000000}}{{$x := printf \"%s%s%s%s\" 1 2 3 4}}{{end}}",
        "{{range 1000000}}{{index $ $.s}}{{end}}",
    ] {
        let template = Template::parse("t", source.as_bytes(), &Functions::new()).unwrap();
        let mut outcome = String::new();
        let spent = time(1, || {
            let result = template.render_to_vec(&data, &Limits::default());
            outcome = result
                .map_or_else(|error| error.message().to_owned(), |text| format!("{} bytes", text.len()));
        });
        worst = worst.max(spent / 1e6);
        println!("hostile  {:>7.1} ms  {source}  {outcome}", spent / 1e6);
    }
    println!("hostile  {worst:>7.1} ms  at most");
}

fn main() {
    hostile();
    let (source, json) = (source(), data());
    let functions = Functions::new();
    let limits = Limits::default();
    let data = Value::from(&json);
    let ours =
        Template::parse("t", source.as_bytes(), &functions).unwrap().with_missing_key(MissingKey::Error);
    let text = ours.render_to_vec(&data, &limits).unwrap();
    println!("template {} bytes, text {} bytes, {ROUNDS} rounds", source.len(), text.len());

    let gotmpl = gotmpl::Template::new("t").missing_key(gotmpl::MissingKey::Error).parse(&source).unwrap();
    let gotmpl_data = gotmpl_value(&json);
    assert_eq!(
        gotmpl.execute_to_string(&gotmpl_data).unwrap().as_bytes(),
        text,
        "gotmpl renders other bytes"
    );
    let mut gtmpl = gtmpl_ng::Template::default();
    gtmpl.parse(source.as_str()).unwrap();
    let gtmpl_data = gtmpl_ng::Context::from(gtmpl_value(&json));
    assert_eq!(gtmpl.render(&gtmpl_data).unwrap().as_bytes(), text, "gtmpl-ng renders other bytes");

    let mut out = Vec::new();
    compare(
        "render",
        200,
        &mut [
            (
                "go-template",
                Box::new(|| {
                    out.clear();
                    ours.render(black_box(&data), &limits, &mut out).unwrap();
                }),
            ),
            (
                "gotmpl",
                Box::new(|| drop(black_box(gotmpl.execute_to_string(black_box(&gotmpl_data)).unwrap()))),
            ),
            ("gtmpl-ng", Box::new(|| drop(black_box(gtmpl.render(black_box(&gtmpl_data)).unwrap())))),
        ],
    );
    compare(
        "parse",
        50,
        &mut [
            (
                "go-template",
                Box::new(|| drop(black_box(Template::parse("t", source.as_bytes(), &functions).unwrap()))),
            ),
            ("gotmpl", Box::new(|| drop(black_box(gotmpl::Template::new("t").parse(&source).unwrap())))),
            (
                "gtmpl-ng",
                Box::new(|| {
                    let mut template = gtmpl_ng::Template::default();
                    template.parse(source.as_str()).unwrap();
                    black_box(template);
                }),
            ),
        ],
    );
    match go(&source, &json, &text) {
        Ok((parse, render)) => {
            println!(
                "Go: render {render:.1} us, parse {parse:.1} us (medians of its processor time, collector included)"
            )
        }
        Err(why) => println!("Go: left out, no usable `go` ({})", why.lines().next().unwrap_or_default()),
    }
}
