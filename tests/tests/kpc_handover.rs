//! What `kpc` hands over once machines are registered: known_hosts, whose keys change only where somebody wanted it;
//! reservations that the DHCP servers themselves take; kolla-ansible's settings; and an inventory in which a machine's
//! words stay words.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod kpc_support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use kpc_support::{ADDRESS, LIMIT, MAC, Served, UUID, argument};
use kpc_tests::{binary, is_root, peer, peer_command, peers, run_within, wait_for};
use serde_json::{Value, json};

/// What the issue names: a serial that is a lookup.
const SERIAL: &str = "{{ lookup('pipe','id') }}";

fn key(letter: &str) -> String {
    format!("ssh-ed25519 {} root@n1", letter.repeat(44))
}

/// Registers the machine's system; the claim is what lets it in the first time, its own key later.
fn register(served: &Served, claim: Option<&str>, host_key: &str) {
    let body = json!({
        "claim": claim, "key": "ab".repeat(32), "uuid": UUID, "serial": SERIAL, "hostname": "n1",
        "interfaces": [{ "name": "eno1", "mac": MAC, "addresses": [ADDRESS] }], "ssh_host_keys": [host_key],
    });
    let (status, text) = served.http("/v1/register", Some(&body));
    assert_eq!(status, 200, "{text}");
}

#[test]
fn registered_machines_are_handed_over() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start("handover");
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    served.good(&["provision", "n1", "--profile", "live", "--role", "control", "--yes"]);
    let (_, script) = served.http(&format!("/ipxe?uuid={UUID}&mac={}", MAC.replace(':', "-")), None);
    // The agent tries the card that booted first.
    assert_eq!(argument(&script, "BOOTIF"), format!("01-{}", MAC.replace(':', "-")));
    register(&served, Some(argument(&script, "kpc.claim")), &key("A"));
    wait_for("it is registered", LIMIT, || served.kpc(&["status"]).0);

    host_keys(&served);
    reservations(&served);
    settings(&served);
    a_selection_means_somebody(&served);
    words_stay_words(&served);
}

/// A changed key is an alarm everywhere, and the old one stays until somebody has accepted the new one.
fn host_keys(served: &Served) {
    let known = || served.good(&["inventory", "--known-hosts"]);
    assert!(known().contains(&key("A").replace(" root@n1", "")), "{}", known());
    register(served, None, &key("B"));
    let (good, text) = served.kpc(&["status"]);
    assert!(!good && text.contains("its SSH host key changed") && text.contains("kpc resolve n1"), "{text}");
    let (_, shown) = served.kpc(&["show", "n1"]);
    assert!(shown.contains("SSH host key changed"), "{shown}");
    let events = served.good(&["events", "--json"]);
    assert!(events.lines().any(|line| line.contains("alarm") && line.contains("SSH host key")), "{events}");
    let page = page(served);
    assert!(page.contains("its SSH host key changed"), "{page}");
    assert!(known().contains(&"A".repeat(44)) && !known().contains(&"B".repeat(44)), "{}", known());
    served.good(&["resolve", "n1"]);
    assert!(known().contains(&"B".repeat(44)) && !known().contains(&"A".repeat(44)), "{}", known());
    assert!(served.kpc(&["status"]).0);
    // ssh itself reads the line.
    if let Some(keygen) = peer_if_there("ssh-keygen") {
        let file = served.folder.path().join("known_hosts");
        fs::write(&file, known()).unwrap();
        let (good, text) = run_within(Command::new(keygen).args(["-F", ADDRESS, "-f"]).arg(&file), LIMIT);
        assert!(good && text.contains("ssh-ed25519"), "{text}");
    }
}

fn peer_if_there(name: &str) -> Option<std::path::PathBuf> {
    ["/usr/bin", "/bin"]
        .iter()
        .map(|folder| std::path::Path::new(folder).join(name))
        .find(|path| path.is_file())
}

fn page(served: &Served) -> String {
    let token = fs::read_to_string(served.folder.path().join("state/page-token")).unwrap();
    let jar = served.folder.path().join("cookies").display().to_string();
    let fetch = |arguments: &[&str]| {
        let mut curl = served.namespace.command("curl");
        run_within(curl.args(["--silent", "--max-time", "20"]).args(arguments), LIMIT).1
    };
    let page = "http://127.0.0.1:8443/";
    let form = format!("token={}", token.trim());
    fetch(&["--data", &form, "--cookie-jar", &jar, "http://127.0.0.1:8443/login"]);
    fetch(&["--cookie", &jar, page])
}

/// Each server reads its own language: dhcpd and dnsmasq check the whole file, Kea's is a list of JSON.
fn reservations(served: &Served) {
    let lines = |server: &str| served.good(&["inventory", "--reservations", server]);
    let file = |name: &str, text: &str| {
        let path = served.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let isc = lines("isc");
    assert_eq!(
        isc.trim(),
        format!("host n1 {{ hardware ethernet {MAC}; fixed-address {ADDRESS}; option host-name \"n1\"; }}")
    );
    if let Some(dhcpd) = peer("dhcpd") {
        let path = file("dhcpd.conf", &format!("subnet 10.78.0.0 netmask 255.255.255.0 {{ }}\n{isc}"));
        let leases = file("leases", "");
        let mut check = peer_command(&dhcpd);
        check.args(["-4", "-t", "--no-pid", "-cf"]).arg(path).arg("-lf").arg(leases);
        let (good, text) = run_within(&mut check, LIMIT);
        assert!(good, "{text}");
    }
    let dnsmasq = lines("dnsmasq");
    assert_eq!(dnsmasq.trim(), format!("dhcp-host={MAC},{ADDRESS},n1"));
    if let Some(program) = peer("dnsmasq") {
        let path = file("dnsmasq.conf", &format!("dhcp-range=10.78.0.50,10.78.0.90\n{dnsmasq}"));
        let (good, text) = run_within(Command::new(program).arg("--test").arg("-C").arg(path), LIMIT);
        assert!(good, "{text}");
    }
    let kea: Value = serde_json::from_str(&format!("[{}]", lines("kea"))).unwrap();
    assert_eq!(kea, json!([{ "hw-address": MAC, "ip-address": ADDRESS, "hostname": "n1" }]));
}

/// A selection that nobody fits is a mistake: one line that says which, and nothing is done.
fn a_selection_means_somebody(served: &Served) {
    for (words, why) in [
        (&["provision", "@failed", "--profile", "live", "--yes"][..], "no machine has failed"),
        (&["provision", "n1", "@rack:none", "--profile", "live", "--yes"], "no machine stands in rack none"),
        (&["power", "off", "@role:nobody"], "role nobody"),
        (&["cancel", "n[2-9]"], "no machine is named n2"),
        (&["adopt", "@found"], "no machine is found"),
        (&["retry", "n1", "nobody"], "no machine is named nobody"),
        (&["machine", "retire", "10.9.9.9"], "no machine has a BMC at 10.9.9.9"),
        (&["power", "off", "@everyone"], "@everyone"),
    ] {
        let (good, told) = served.kpc(words);
        assert!(!good && told.contains(why) && told.lines().count() == 1, "{words:?}: {told}");
    }
    assert!(served.kpc(&["status"]).0, "and n1 is what it was");
}

/// Each key of globals.yml that KPC's sed set, and the interface to the outside; a file changed by hand is kept.
fn settings(served: &Served) {
    let folder = served.folder.path().join("kolla");
    let place = folder.display().to_string();
    let write = [
        "inventory",
        "--write",
        &place,
        "--vip",
        "10.78.0.250",
        "--external-interface",
        "eno2",
        "--registry",
        "10.78.0.1:5000",
        "--insecure-registry",
    ];
    let told = served.good(&write);
    assert!(told.contains("globals.d/50-kpc.yml") && told.contains("kolla-ansible prechecks"), "{told}");
    // Of the groups that kolla-ansible never wants empty, one has a machine.
    let missing = |told: &str| {
        let warned = |group: &&str| told.contains(&format!("no machine has the role {group},"));
        ["control", "network", "compute"].into_iter().filter(warned).collect::<Vec<_>>()
    };
    assert_eq!(missing(&told), ["network", "compute"], "{told}");
    served.good(&["machine", "label", "n1", "--role", "control,network,compute", "--rack", "r7"]);
    assert!(missing(&served.good(&write)).is_empty());
    let listed: Value = serde_json::from_str(&served.good(&["inventory", "--list"])).unwrap();
    assert_eq!(listed["network"]["hosts"], json!(["n1"]));
    for wrong in [vec!["@role:nobody", "--role", "x"], vec!["n1", "--role", "{{ x }}"], vec!["n1"]] {
        let (good, told) = served.kpc(&[&["machine", "label"], wrong.as_slice()].concat());
        assert!(!good && told.lines().count() == 1, "{told}");
    }
    let file = folder.join("globals.d/50-kpc.yml");
    let text = fs::read_to_string(&file).unwrap();
    for line in [
        "kolla_base_distro: \"debian\"",
        "kolla_install_type: \"source\"",
        "kolla_internal_vip_address: \"10.78.0.250\"",
        "docker_registry: \"10.78.0.1:5000\"",
        "docker_registry_insecure: \"yes\"",
        "neutron_external_interface: \"eno2\"",
    ] {
        assert!(text.lines().any(|there| there.starts_with(line)), "{line} in {text}");
    }
    // As Ansible reads it.
    if peer("ansible").is_some() {
        let python = peers().join("venv/bin/python3");
        let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
        let (good, read) = run_within(Command::new(python).args(["-c", script]).arg(&file), LIMIT);
        assert!(good, "{read}");
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!((read.as_object().unwrap().len(), &read["docker_registry_insecure"]), (6, &"yes".into()));
    }
    assert!(fs::read_to_string(folder.join("known_hosts")).unwrap().contains("ssh-ed25519"));
    fs::write(&file, text.replace("eno2", "bond0")).unwrap();
    let told = served.good(&write);
    assert!(told.lines().any(|line| line.contains("kept") && line.contains("50-kpc.yml")), "{told}");
    assert!(fs::read_to_string(&file).unwrap().contains("bond0"));
}

/// Ansible evaluates every variable of the machine, and runs nothing.
fn words_stay_words(served: &Served) {
    let Some(ansible) = peer("ansible") else { return };
    let script = served.folder.path().join("inventory.sh");
    let socket = served.folder.path().join("kpc.sock");
    let text = format!(
        "#!/bin/sh\nexec {} --socket {} inventory \"$@\"\n",
        binary("kpc").display(),
        socket.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(ansible);
    command.env("HOME", served.folder.path()).current_dir(served.folder.path()).arg("-i").arg(&script);
    command.args([
        "n1",
        "-c",
        "local",
        "-m",
        "debug",
        "-a",
        "msg={{ hostvars[inventory_hostname].kpc_serial }}",
    ]);
    let (good, text) = run_within(&mut command, Duration::from_secs(120));
    assert!(good && text.contains("lookup") && !text.contains("uid="), "{text}");
}
