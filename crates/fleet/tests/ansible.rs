//! The real `ansible-inventory` reads what we print. Found on PATH or by ANSIBLE_INVENTORY; skipped without.
#![cfg(unix)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command as Process;

use fleet::inventory::{DhcpServer, Include, known_hosts, list_text, reservations, static_text};
use fleet::*;
use serde_json::Value;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// Three registered machines; the first says things that Ansible would run.
fn registered() -> Fleet {
    let mut fleet = Fleet::new(Config::default());
    for n in 1..=3u8 {
        let (mac, address) = (Mac([2, 0, 0, 0, 0, n]), [10, 77, 0, 100 + n].into());
        let new = NewMachine { name: format!("kpc-0{n}"), macs: vec![mac], ..NewMachine::default() };
        fleet.command(now(), "op", Command::AddMachine(new)).unwrap();
        let mut order = Provision::new(format!("kpc-0{n}").parse().unwrap(), "p", Role::Live);
        order.roles = vec!["control".into(), "compute".into()];
        fleet.command(now(), "op", Command::Provision(order)).unwrap();
        let claim = fleet.claim(now(), &Sighting::of(mac), [n; 16]).unwrap();
        let serial = "{{ lookup('pipe', 'touch /tmp/owned') }}{% raw %}".to_owned();
        let interface = Interface { name: "{{ 7 * 7 }}".into(), mac: Some(mac), addresses: vec![address] };
        let ssh_host_keys =
            vec![format!("ssh-ed25519 {} root@{{{{ 1 }}}}", "AAAA".repeat(12)), "@cert-authority * x".into()];
        let facts = Facts {
            serial,
            ssh_host_keys,
            hostname: "{{ 1 }}".into(),
            interfaces: vec![interface],
            ..Facts::default()
        };
        let registration =
            Registration { claim: Some(claim.secret), peer: Some(address), facts, ..Registration::default() };
        fleet.register(now(), &registration).unwrap();
    }
    let set = |scope: &str, key: &str, value: Value| Command::SetVar {
        scope: scope.into(),
        key: key.into(),
        value: Some(value),
    };
    fleet.command(now(), "op", set("group:control", "ansible_become", true.into())).unwrap();
    fleet.command(now(), "op", set("host:kpc-02", "weight", 7.into())).unwrap();
    fleet
}

// anchors: one call of --list with `_meta`, groups in full form, types kept.
#[test]
fn ansible_reads_the_inventory() {
    let program = std::env::var("ANSIBLE_INVENTORY").unwrap_or_else(|_| "ansible-inventory".into());
    if Process::new(&program).arg("--version").output().is_err() {
        println!("skipped: no ansible-inventory (set ANSIBLE_INVENTORY)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (script, list) = (dir.path().join("inventory.sh"), dir.path().join("list.json"));
    std::fs::write(&list, list_text(&registered(), Include::Registered)).unwrap();
    let calls = dir.path().join("calls");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho \"$@\" >> {}\nexec cat {}\n", calls.display(), list.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Process::new(&program)
        .args(["-i", script.to_str().unwrap(), "--list"])
        .env("ANSIBLE_LOCAL_TEMP", dir.path())
        .env("ANSIBLE_INVENTORY_UNPARSED_FAILED", "1")
        .env_remove("ANSIBLE_INVENTORY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hosts = |group: &str| read[group]["hosts"].as_array().unwrap().len();
    assert_eq!((hosts("control"), hosts("compute"), hosts("kpc")), (3, 3, 3));
    let vars = &read["_meta"]["hostvars"];
    assert_eq!(
        (&vars["kpc-01"]["ansible_become"], &vars["kpc-02"]["weight"]),
        (&Value::Bool(true), &Value::from(7))
    );
    assert_eq!(vars["kpc-03"]["ansible_host"], "10.77.0.103");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("{{"));
    assert_eq!(
        std::fs::read_to_string(&calls).unwrap().lines().collect::<Vec<_>>(),
        ["--list"],
        "asked once, not per host"
    );
}

// The static file is the same inventory to Ansible.
#[test]
fn ansible_reads_the_static_inventory() {
    let program = std::env::var("ANSIBLE_INVENTORY").unwrap_or_else(|_| "ansible-inventory".into());
    if Process::new(&program).arg("--version").output().is_err() {
        println!("skipped: no ansible-inventory (set ANSIBLE_INVENTORY)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kpc.yml");
    std::fs::write(&file, static_text(&registered(), Include::Registered)).unwrap();
    let mut ansible = Process::new(&program);
    ansible.args(["-i", file.to_str().unwrap(), "--list"]).env("ANSIBLE_LOCAL_TEMP", dir.path());
    let output = ansible
        .env("ANSIBLE_INVENTORY_UNPARSED_FAILED", "1")
        .env_remove("ANSIBLE_INVENTORY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["control"]["hosts"], serde_json::json!(["kpc-01", "kpc-02", "kpc-03"]));
    let vars = &read["_meta"]["hostvars"];
    assert_eq!(
        (&vars["kpc-01"]["ansible_become"], &vars["kpc-02"]["weight"]),
        (&Value::Bool(true), &Value::from(7))
    );
}

// sshd(8), dnsmasq(8), dhcpd.conf(5).
#[test]
fn the_other_files_hold_one_line_per_machine() {
    let fleet = registered();
    let hosts = known_hosts(&fleet, Include::Registered);
    assert_eq!(hosts.lines().count(), 3);
    assert_eq!(
        hosts.lines().next().unwrap(),
        format!("kpc-01,10.77.0.101 ssh-ed25519 {}", "AAAA".repeat(12))
    );
    let lines = reservations(&fleet, Include::Registered, DhcpServer::Dnsmasq);
    assert_eq!(lines.lines().last(), Some("dhcp-host=02:00:00:00:00:03,10.77.0.103,kpc-03"));
    let blocks = reservations(&fleet, Include::Registered, DhcpServer::Dhcpd);
    assert!(
        blocks.starts_with(
            "host kpc-01 { hardware ethernet 02:00:00:00:00:01; fixed-address 10.77.0.101; option"
        )
    );
}
