//! The page in Debian's Chromium: signing in, a rack that boots before one's eyes, keys, filters, one machine's timeline
//! and config, without script, light and dark. Pictures are left in the folder that `KPC_PICTURES` names.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod browser_support;
mod kpc_support;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use browser_support::Browser;
use kpc_support::{Served, argument};
use kpc_tests::{Guard, binary, is_root, peer};
use serde_json::{Value, json};

const PAGE: &str = "http://127.0.0.1:8443/";
const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
/// The most that the page may weigh, all of it, in octets (issue: 60 KiB).
const MOST_OCTETS: usize = 60 * 1024;
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// A rack of machines that nobody has to switch on: they speak for themselves.
struct Rack {
    served: Served,
    /// Between two steps of a boot, for pictures that look like the truth.
    pace: Duration,
    _bmcs: Vec<Guard>,
}

impl Rack {
    fn new(name: &str, machines: usize) -> Self {
        let served = Served::start(name);
        let bmcs = (1..=machines).map(|number| {
            let (name, mac, uuid) = identity(number);
            let bmc = format!("127.0.0.1:{}", 6230 + number);
            let folder = served.folder.path().join(&name);
            fs::create_dir(&folder).unwrap();
            let mut bmcd = served.namespace.command(binary("ipmi"));
            bmcd.args(["bmcd", "--listen", &bmc, "--user", "admin", "--guid", &uuid, "--password-file"]);
            bmcd.arg(served.folder.path().join("bmc-password"));
            bmcd.arg("--command").arg(served.folder.path().join("power.sh"));
            let guard = Guard::spawn(bmcd.stderr(Stdio::null()).current_dir(&folder));
            served.good(&["machine", "add", &name, "--mac", &mac, "--uuid", &uuid, "--bmc", &bmc]);
            guard
        });
        let bmcs = bmcs.collect();
        let pace = if pictures().is_some() { Duration::from_millis(900) } else { Duration::ZERO };
        Self { served, pace, _bmcs: bmcs }
    }

    fn order(&self, numbers: std::ops::RangeInclusive<usize>) {
        for number in numbers {
            self.served.good(&[
                "provision",
                &identity(number).0,
                "--profile",
                "live",
                "--role",
                "compute",
                "--yes",
            ]);
        }
    }

    /// Goes `steps` far: script, kernel, agent, note, registered.
    fn boot(&self, number: usize, steps: usize) {
        let (_, mac, uuid) = identity(number);
        let (status, script) =
            self.served.http(&format!("/ipxe?uuid={uuid}&mac={}", mac.replace(':', "-")), None);
        assert_eq!(status, 200, "{script}");
        let claim = argument(&script, "kpc.claim").to_owned();
        let report = |phase: &str, detail: &str| {
            let body = json!({ "claim": claim, "phase": phase, "detail": detail });
            let (status, text) = self.served.http("/v1/report", Some(&body));
            assert!(status < 300, "{phase}: {status} {text}");
        };
        let register = || {
            let body = json!({
                "claim": claim, "uuid": uuid, "serial": format!("SN{number:04}"), "hostname": identity(number).0,
                "interfaces": [{ "name": "eth0", "mac": mac, "addresses": [format!("10.78.0.{}", 10 + number)] }],
                "digests": {}, "agent_version": "0.1.0",
            });
            let (status, text) = self.served.http("/v1/register", Some(&body));
            assert_eq!(status, 200, "{text}");
        };
        let all: [&dyn Fn(); 4] = [
            &|| drop(self.served.http("/assets/vmlinuz", None)),
            &|| report("agent", "kpc-agent 0.1.0"),
            &|| report("ignition", if number == 3 { HOSTILE } else { "4 files, 2 units written" }),
            &register,
        ];
        for step in all.iter().take(steps.saturating_sub(1)) {
            std::thread::sleep(self.pace * u32::try_from(1 + number % 4).unwrap());
            step();
        }
    }

    fn fail(&self, number: usize, why: &str) {
        let (_, mac, uuid) = identity(number);
        let (_, script) = self.served.http(&format!("/ipxe?uuid={uuid}&mac={}", mac.replace(':', "-")), None);
        let body = json!({ "claim": argument(&script, "kpc.claim"), "phase": "failed", "detail": why });
        assert!(self.served.http("/v1/report", Some(&body)).0 < 300);
    }

    fn token(&self) -> String {
        fs::read_to_string(self.served.folder.path().join("state/page-token")).unwrap().trim().to_owned()
    }

    fn browser(&self, script: bool) -> Browser<'_> {
        let browser = Browser::start(&self.served.namespace, self.served.folder.path(), (1280, 800), script);
        browser.open(PAGE);
        // The token's field has the focus: a person types and presses Enter.
        let token = self.token();
        let keys: Vec<String> = token.chars().map(String::from).collect();
        browser.press(&keys.iter().map(String::as_str).chain([ENTER]).collect::<Vec<_>>());
        browser.wait("the table", "return document.querySelector('#machines') !== null");
        browser
    }
}

fn identity(number: usize) -> (String, String, String) {
    (
        format!("node{number:02}"),
        format!("52:54:00:aa:01:{number:02x}"),
        format!("6ba7b810-9dad-11d1-80b4-00c04fd4{number:04x}"),
    )
}

fn pictures() -> Option<PathBuf> {
    std::env::var_os("KPC_PICTURES").map(PathBuf::from)
}

fn picture(browser: &Browser<'_>, name: &str) {
    let folder = pictures().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    fs::create_dir_all(&folder).unwrap();
    browser.picture(&folder.join(name));
}

fn peers_are_here() -> bool {
    is_root() && peer("curl").is_some() && peer("chromedriver").is_some() && peer("chromium").is_some()
}

#[test]
fn a_rack_boots_before_ones_eyes() {
    if !peers_are_here() {
        return;
    }
    let rack = Rack::new("page", 12);
    rack.order(1..=10);
    let browser = rack.browser(true);
    browser.wait("the feed", "return document.getElementById('feed').className === 'live'");
    browser.run("window.sameDocument = true");
    let row = |number: usize, test: &str| {
        let name = identity(number).0;
        format!("const row = document.querySelector('tr[data-name={name}]'); return Boolean({test})")
    };

    // Every step of a machine comes to the open page by itself.
    for (number, steps) in [(1, 5), (2, 5), (3, 4), (4, 3), (5, 5), (6, 2), (7, 5)] {
        rack.boot(number, steps);
    }
    rack.fail(8, "disk: no disk of at least 8 GiB; the machine has vda (4 GiB, serial LAB8)");
    browser.wait(
        "a registration",
        &row(1, "row.matches('.registered') && row.innerText.includes('10.78.0.11')"),
    );
    browser.wait("a phase", &row(6, "row.matches('.underway') && row.innerText.includes('kernel')"));
    browser.wait(
        "a failure",
        &row(8, "row.matches('.failed') && row.innerText.includes('no disk of at least')"),
    );
    browser.wait("the note", &row(3, "row.innerText.includes('onerror')"));
    assert_eq!(browser.run("return window.sameDocument"), true, "no reload");
    assert_eq!(browser.run("return document.querySelectorAll('#machines script, #machines img').length"), 0);
    assert_eq!(browser.run("return document.title"), "kpc", "what a machine says is text");
    let counts =
        browser.run("return [...document.querySelectorAll('nav b')].map((count) => count.textContent)");
    assert_eq!(counts, json!(["12", "5", "1", "4", "2"]), "all, under way, failed, registered, idle");
    let said = browser.run("return document.getElementById('say').textContent");
    assert!(said.as_str().unwrap().contains("node08 failed"), "an alert for who cannot see: {said}");
    picture(&browser, "page-light.png");

    // Keys: from row to row, open, close; the focus comes back.
    browser.press(&["j", "j"]);
    assert_eq!(browser.run("return document.activeElement.textContent"), "node02");
    browser.press(&[ENTER]);
    browser.wait("one machine", "return document.getElementById('panel').open");
    let detail = browser.run("return document.getElementById('detail').innerText");
    let detail = detail.as_str().unwrap();
    for part in ["node02", "Timeline", "agent", "Profile", "live, named by its order", "/ignition"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    browser.run("document.querySelector('#config-ignition').open = true");
    let config = browser.run("return document.querySelector('#config-ignition').innerText");
    assert!(config.as_str().unwrap().contains("data:,node02"), "{config}");
    assert!(!config.as_str().unwrap().contains("[redacted]") || config.as_str().unwrap().contains("version"));
    picture(&browser, "page-machine.png");
    browser.press(&[ESCAPE]);
    browser.wait("closed", "return !document.getElementById('panel').open");
    assert_eq!(browser.run("return document.activeElement.textContent"), "node02");

    // The failed one says what to do.
    let hint = "document.querySelector('tr[data-name=node08] td.note').click(); return true";
    browser.run(hint);
    browser.wait(
        "its hint",
        "return document.querySelector('#detail .hint')?.innerText.includes('kpc retry node08')",
    );
    browser.press(&[ESCAPE]);

    // Filters and finding.
    let shown = "return [...document.querySelectorAll('#machines tr')].filter((row) => row.offsetParent !== null).length";
    browser.run("document.querySelector('nav a.failed').click()");
    assert_eq!(browser.run(shown), 1);
    browser.run("document.querySelector('nav a.all').click()");
    browser.press(&["/", "l", "a", "b", "8"]);
    assert_eq!(browser.run(shown), 1, "the serial in the note of node08 is found in any case");
    browser.press(&[ESCAPE]);
    assert_eq!(browser.run(shown), 12);

    dark_and_spoken(&browser);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let weight = "return Promise.all(['/', '/page.js', '/page.css'].map(async (path) => (await (await fetch(path)).blob()).size)).then((sizes) => sizes.reduce((a, b) => a + b))";
    let weight = usize::try_from(browser.run(weight).as_u64().unwrap()).unwrap();
    assert!(weight <= MOST_OCTETS, "{weight} octets");
}

/// Dark where the system is dark; every row read out as text.
fn dark_and_spoken(browser: &Browser<'_>) {
    let paper = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.run(paper);
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.chrome("Emulation.setEmulatedMedia", &dark);
    assert_ne!(browser.run(paper), light);
    picture(browser, "page-dark.png");
    browser.chrome("Emulation.setEmulatedMedia", &json!({ "features": [] }));
    let tree = browser.chrome("Accessibility.getFullAXTree", &json!({}));
    let nodes: Vec<(&str, &str)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["ignored"] != true)
        .map(|node| (word(node, "role"), word(node, "name")))
        .collect();
    let has = |role: &str, name: &dyn Fn(&str) -> bool| nodes.iter().any(|(r, n)| *r == role && name(n));
    assert!(has("table", &|name| name.contains("Each bar")), "the table has a caption");
    assert!(
        has("columnheader", &|name| name == "Phases") && has("rowheader", &|name| name.contains("node01"))
    );
    assert!(
        has("image", &|name| name.contains("script") && name.contains("registered")),
        "a bar is read out"
    );
    assert!(
        has("searchbox", &|name| name == "Find a machine") && has("navigation", &|name| name == "Filter")
    );
    assert!(has("status", &|_| true));
}

fn word<'a>(node: &'a Value, field: &str) -> &'a str {
    node[field]["value"].as_str().unwrap_or_default()
}

#[test]
fn without_script_it_is_a_plain_table() {
    if !peers_are_here() {
        return;
    }
    let rack = Rack::new("plain", 2);
    rack.order(1..=1);
    let browser = rack.browser(false);
    let table = browser.run("return document.querySelector('#machines').innerText");
    assert!(table.as_str().unwrap().contains("node01"), "{table}");
    assert_eq!(
        browser.run("return document.getElementById('feed').textContent"),
        "as of now",
        "no script ran"
    );
    browser.open(&format!("{PAGE}machine/node01"));
    let text = browser.run("return document.body.innerText");
    assert!(text.as_str().unwrap().contains("Timeline"), "{text}");
    browser.open(&format!("{PAGE}?show=idle"));
    let shown = "return [...document.querySelectorAll('#machines tr')].filter((row) => row.offsetParent !== null).length";
    assert_eq!(browser.run(shown), 1, "a filter is a link");
}
