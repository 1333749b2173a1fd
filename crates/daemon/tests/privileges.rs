//! The kernel's own words after privileges are given up: the test starts itself again, because what is given up never
//! comes back. Needs root; says so where it is not.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::process::Command;

use daemon::privileges::{Capability, drop_to};

const CHILD: &str = "DAEMON_TEST_GIVES_UP";

/// Runs in the child only.
#[test]
fn child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (user, kept) = what.split_once(' ').unwrap();
    let kept: &[_] = if kept == "raw" { &[Capability::CAP_NET_RAW] } else { &[] };
    drop_to(user, kept).unwrap();
    println!("{}", std::fs::read_to_string("/proc/thread-self/status").unwrap());
    let back = Command::new("cat").arg("/etc/shadow").output().unwrap();
    println!("shadow: {}", back.status.success());
}

fn status_after(what: &str) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root");
        return None;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, what)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim()
}

#[test]
fn another_account_with_nothing() {
    let Some(status) = status_after("nobody none") else { return };
    let nobody = daemon::privileges::account("nobody").unwrap().uid.to_string();
    assert!(field(&status, "Uid:").split_whitespace().all(|uid| uid == nobody), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(&status, set).trim_matches('0'), "", "{set}");
    }
    assert_eq!(field(&status, "NoNewPrivs:"), "1");
    assert_eq!(field(&status, "shadow:"), "false");
}

#[test]
fn one_capability_kept_of_all() {
    let Some(status) = status_after("nobody raw") else { return };
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(
            u64::from_str_radix(field(&status, set), 16),
            Ok(Capability::CAP_NET_RAW.bitmask()),
            "{set}"
        );
    }
    assert_eq!(field(&status, "CapAmb:").trim_matches('0'), "");
}

#[test]
fn root_by_name_keeps_the_account_without_its_powers() {
    let Some(status) = status_after("root none") else { return };
    assert!(field(&status, "Uid:").starts_with("0\t"));
    assert_eq!(field(&status, "CapEff:").trim_matches('0'), "");
}

#[test]
fn an_account_that_is_not_there_is_named_with_a_remedy() {
    let error = daemon::privileges::account("no-such-account").unwrap_err().to_string();
    assert!(error.contains("no-such-account") && error.contains("useradd"), "{error}");
}
