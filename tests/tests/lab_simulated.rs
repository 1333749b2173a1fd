//! A thousand simulated machines at once against an ordinary `kpc serve`: each is registered with a whole timeline, and
//! the inventory of them is the same octets every time, over a restart too. Real protocols on real sockets; the lease
//! server is dhcproto's. How long it takes is `cargo xtask bench page`'s.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::fs;
use std::process::Command;
use std::time::Duration;

use kpc_tests::{binary, is_root, run_within};

const MACHINES: usize = 1000;
const LIMIT: Duration = Duration::from_secs(300);

/// On the lab's deploy host, once all are registered: the inventory twice, then once from a server that was started anew
/// over the same store. A server that has ended is a zombie until the lab looks.
const LISTS: &str = r#"
set -e
"$KPC" inventory --list > "$KPC_LAB_DIR/first"
"$KPC" inventory --list > "$KPC_LAB_DIR/second"
"$KPC" status --json > "$KPC_LAB_DIR/status.json"
kill "$KPC_SERVE_PID"
tries=0
until [ "$(cut -d' ' -f3 "/proc/$KPC_SERVE_PID/stat" 2>/dev/null || echo Z)" = Z ]; do
  tries=$((tries + 1)); [ $tries -lt 600 ]; sleep 0.1
done
"$KPC" --log-level warn serve --config "$KPC_LAB_DIR/kpc.toml" > "$KPC_LAB_DIR/again.log" 2>&1 &
tries=0
until "$KPC" inventory --list > "$KPC_LAB_DIR/third" 2> /dev/null; do
  tries=$((tries + 1)); [ $tries -lt 600 ]; sleep 0.1
done
kill $!
wait $! || true
"#;

#[test]
fn a_thousand_machines_are_registered_with_whole_timelines_and_one_inventory() {
    if !is_root() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("kpc-lab").tempdir().unwrap();
    let kpc = binary("kpc");
    let mut command = Command::new(&kpc);
    command.args(["lab", "up", "--no-vm", "--once", "--timeout", "240s", "-n", &MACHINES.to_string()]);
    command.args(["--loader-size", "64KiB", "--payload-size", "256KiB"]);
    command.args(["--exec", LISTS]).arg("--dir").arg(dir.path()).env("KPC", &kpc);
    let (good, text) = run_within(&mut command, LIMIT);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    assert!(good, "{text}\n{}\n{}", read("logs/kpc-serve.log"), read("again.log"));
    let summary = text.lines().find(|line| line.contains("timelines whole")).unwrap_or_default();
    println!("{}", summary.trim());
    assert!(
        summary.contains(&format!("{MACHINES} registered, {MACHINES} timelines whole")),
        "{summary}\n{text}"
    );

    let status: serde_json::Value = serde_json::from_str(&read("status.json")).unwrap();
    let machines = status["machines"].as_array().unwrap();
    assert_eq!(machines.len(), MACHINES);
    for machine in machines {
        let phases: Vec<&str> =
            machine["phases"].as_array().unwrap().iter().map(|at| at["phase"].as_str().unwrap()).collect();
        let wanted = [
            "power_commanded",
            "power_verified",
            "seen",
            "offered",
            "loader",
            "script",
            "kernel",
            "agent",
            "registered",
        ];
        assert_eq!(phases, wanted, "{}", machine["name"]);
    }

    let first = read("first");
    let inventory: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(inventory["_meta"]["hostvars"].as_object().unwrap().len(), MACHINES);
    assert_eq!(inventory["lab"]["hosts"].as_array().unwrap().len(), MACHINES);
    assert_eq!(inventory["_meta"]["hostvars"]["sim-0001"]["ansible_host"], "10.77.16.1");
    assert!(first == read("second"), "two lists differ");
    assert!(first == read("third"), "the list differs after a restart: {}", read("again.log"));
}
