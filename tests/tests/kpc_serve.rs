//! `kpc serve` over its real sockets, without firmware: orders, claims, refusals, privileges, and Ansible reading the
//! inventory of a machine that registered with a hostile name. curl plays the machine; a virtual BMC takes the power
//! commands; everything is in a network namespace of the test.
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
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kpc_support::{ADDRESS, LIMIT, MAC, Served, UUID, argument, write};
use kpc_tests::{binary, is_root, peer, peers, run_within, wait_for};
use serde_json::Value;

const HOSTILE: &str = "{{ lookup('pipe', 'touch CANARY') }}<script>";

#[test]
fn a_machine_goes_from_order_to_inventory_and_nobody_else_is_served() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start("serve");

    // DESIGN 4: no order, no boot answer; an unknown machine is listed and offered nothing.
    let stranger = "/ipxe?mac=52-54-00-bb-00-09&uuid=";
    let (status, script) = served.http(stranger, None);
    assert_eq!(status, 200);
    assert!(!script.contains("kernel") && script.contains("sanboot"), "{script}");
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    let ask = format!("/ipxe?uuid={UUID}&mac={}", MAC.replace(':', "-"));
    let (_, script) = served.http(&ask, None);
    assert!(!script.contains("kernel"), "a known machine without an order boots nothing: {script}");

    // A profile that nobody called live counts as erasing, and says so in the plan; a missing one names what there is.
    let (good, text) = served.kpc(&["provision", "n1", "--profile", "absent", "--yes"]);
    assert!(!good && text.contains("there are: disk, live, wipe"), "{text}");
    let text = served.good(&["provision", "n1", "--profile", "live", "--role", "control", "--yes"]);
    assert!(text.contains("runs from memory"), "{text}");
    // Power by IPMI: one-time PXE, then on. The password is in no command line.
    let calls = served.folder.path().join("power.log");
    wait_for("the BMC was told", LIMIT, || {
        fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("power on"))
    });
    let calls = fs::read_to_string(calls).unwrap();
    assert!(calls.find("boot pxe").unwrap() < calls.find("power on").unwrap(), "{calls}");

    // The claim: asked twice by the same boot it is the same; rendering needs it.
    let (_, first) = served.http(&ask, None);
    let (_, second) = served.http(&ask, None);
    assert_eq!(argument(&first, "kpc.claim"), argument(&second, "kpc.claim"));
    assert_eq!(argument(&first, "kpc.kernel"), format!("http://{ADDRESS}:8080/assets/vmlinuz"));
    let ignition = argument(&first, "ignition.config.url").split_once(":8080").unwrap().1.to_owned();
    assert!(!ignition.contains(argument(&first, "kpc.claim")), "the claim's secret is in no URL");
    let (status, config) = served.http(&ignition, None);
    assert_eq!(status, 200, "{config}");
    assert!(config.contains("data:,n1"), "{config}");
    let (status, refusal) = served
        .http(&ignition.split('&').skip(1).fold("/ignition?".to_owned(), |all, part| all + "&" + part), None);
    assert!(status >= 400 && !refusal.contains("data:,"), "{status} {refusal}");

    // Registration needs the claim's secret; what the machine says of itself stays text.
    let mut body = serde_json::json!({
        "claim": "00000000000000000000000000000000", "uuid": UUID, "serial": HOSTILE, "hostname": HOSTILE,
        "interfaces": [{ "name": "eth0", "mac": MAC, "addresses": [ADDRESS] }],
        "digests": { "files": { HOSTILE: HOSTILE } }, "agent_version": HOSTILE,
    });
    assert_eq!(served.http("/v1/register", Some(&body)).0, 403);
    body["claim"] = argument(&first, "kpc.claim").into();
    let (status, answer) = served.http("/v1/register", Some(&body));
    assert_eq!((status, answer.contains("\"n1\"")), (200, true), "{answer}");
    let shown: Value = serde_json::from_str(&served.good(&["status", "--json"])).unwrap();
    assert_eq!(shown["machines"][0]["lifecycle"], "registered");

    ansible_reads_it(&served);
    privileges_are_gone(&served);
    page_needs_login(&served);
}

/// ansible-core reads the inventory; evaluating every variable runs nothing.
fn ansible_reads_it(served: &Served) {
    let Some(tool) = peer("ansible-inventory") else { return };
    let script = served.folder.path().join("inventory.sh");
    let socket = served.folder.path().join("kpc.sock");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec {} --socket {} inventory \"$@\"\n",
            binary("kpc").display(),
            socket.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let ansible = |program: &Path| {
        let mut command = Command::new(program);
        command
            .current_dir(served.folder.path())
            .env("HOME", served.folder.path())
            .env("ANSIBLE_LOCALHOST_WARNING", "0");
        command.arg("-i").arg(&script);
        command
    };
    let (good, text) = run_within(ansible(&tool).arg("--list"), Duration::from_secs(60));
    assert!(good, "{text}");
    let start = text.find('{').unwrap();
    let listed: Value = serde_json::from_str(&text[start..]).unwrap();
    assert_eq!(listed["control"]["hosts"][0], "n1", "{listed}");
    assert_eq!(listed["_meta"]["hostvars"]["n1"]["ansible_host"], ADDRESS, "{listed}");
    let (good, text) = run_within(
        ansible(&peers().join("venv/bin/ansible")).args([
            "n1",
            "-c",
            "local",
            "-m",
            "debug",
            "-a",
            "var=hostvars[inventory_hostname]",
        ]),
        Duration::from_secs(60),
    );
    assert!(good, "{text}");
    assert!(!served.folder.path().join("CANARY").exists(), "a machine's words ran as code: {text}");
}

/// Another account, no capability, no way to new ones, no password in the command line or environment.
fn privileges_are_gone(served: &Served) {
    let status = fs::read_to_string(served.process().join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(field("Uid:").iter().all(|uid| uid != "0"), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{status}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    for file in ["cmdline", "environ"] {
        let octets = fs::read(served.process().join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&octets).contains("secret-of-the-bmc"), "{file}");
    }
    assert!(!served.log().contains("secret-of-the-bmc"));
}

/// The page: login for reads too, loopback names only, strings of machines escaped.
fn page_needs_login(served: &Served) {
    let token = fs::read_to_string(served.folder.path().join("state/page-token")).unwrap();
    let fetch = |arguments: &[&str]| {
        let mut curl = served.namespace.command("curl");
        curl.args(["--silent", "--max-time", "20"]).args(arguments);
        run_within(&mut curl, LIMIT).1
    };
    let page = "http://127.0.0.1:8443/";
    assert!(!fetch(&[page]).contains("n1"));
    assert!(!fetch(&["http://127.0.0.1:8443/v1/machines"]).contains("n1"));
    let jar = served.folder.path().join("cookies").display().to_string();
    let form = format!("token={}", token.trim());
    assert!(
        !fetch(&["--data", "token=wrong", "--cookie-jar", &jar, "http://127.0.0.1:8443/login"])
            .contains("n1")
    );
    fetch(&["--data", &form, "--cookie-jar", &jar, "http://127.0.0.1:8443/login"]);
    let text = fetch(&["--cookie", &jar, page]);
    assert!(text.contains("n1") && text.contains("registered") && !text.contains("<script>\""), "{text}");
    assert!(!fetch(&["--cookie", &jar, "--header", "Host: evil.example", page]).contains("n1"));
}

#[test]
fn a_second_claimer_freezes_the_order_and_a_broken_profile_names_its_line() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start("faults");
    served.good(&[
        "machine",
        "add",
        "n1",
        "--mac",
        MAC,
        "--mac",
        "52:54:00:aa:00:02",
        "--uuid",
        UUID,
        "--bmc",
        "127.0.0.1:6230",
    ]);
    served.good(&["provision", "n1", "--profile", "live", "--yes"]);
    let ask = |mac: &str| format!("/ipxe?uuid={UUID}&mac={}", mac.replace(':', "-"));
    let (_, script) = served.http(&ask(MAC), None);
    assert!(script.contains("kernel"), "{script}");
    // DESIGN 4: claims are bound; a second claimer freezes the order.
    let (_, other) = served.http(&ask("52:54:00:aa:00:02"), None);
    assert!(!other.contains("kernel") && other.contains("sleep"), "{other}");
    let (_, again) = served.http(&ask(MAC), None);
    assert!(!again.contains("kernel"), "a frozen order serves nobody: {again}");
    let (good, text) = served.kpc(&["status"]);
    assert!(!good && text.contains("frozen"), "exit 1 and the reason: {text}");

    // A wrong configuration is one line with file and line.
    let config = served.folder.path().join("wrong.toml");
    fs::write(&config, "[network.mgmt]\ninterface = \"eth0\"\naddress = \"10.0.0.1\"\ncolour = 1\n").unwrap();
    let mut command = served.namespace.command(binary("kpc"));
    let output = command.arg("serve").arg("--config").arg(&config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("wrong.toml:4") && text.lines().count() == 1, "{text}");
    // A port already taken names the port and what to do.
    let mut command = served.namespace.command(binary("kpc"));
    command.arg("serve").arg("--config").arg(served.folder.path().join("kpc.toml"));
    let output = command.arg("--data-dir").arg(served.folder.path().join("other")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().any(|line| line.starts_with("error:")), "{text}");
}

#[test]
fn a_bmc_that_refuses_is_named_and_the_order_can_be_given_again() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start("power");
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    // A failure says in which phase and why; whoever watches gets an end and exit code 1.
    write(&served.folder, "refuse", "");
    let (good, text) = served.kpc(&["provision", "n1", "--profile", "live", "--yes", "--watch"]);
    assert!(!good && text.contains("FAILED") && text.contains("power: boot device"), "{text}");
    let (good, text) = served.kpc(&["status"]);
    assert!(!good && text.contains("1 failed"), "{text}");
    // Nothing switched it on.
    let calls = fs::read_to_string(served.folder.path().join("power.log")).unwrap();
    assert!(!calls.contains("power on"), "{calls}");
    fs::remove_file(served.folder.path().join("refuse")).unwrap();
    served.good(&["cancel", "n1"]);
    served.good(&["provision", "n1", "--profile", "live", "--yes"]);
    let calls = served.folder.path().join("power.log");
    wait_for("the BMC was told", LIMIT, || {
        fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("power on"))
    });
    // The reader of a listing may go away before its end.
    let socket = served.folder.path().join("kpc.sock");
    let line = format!(
        "'{}' --socket '{}' status | true; exit ${{PIPESTATUS[0]}}",
        binary("kpc").display(),
        socket.display()
    );
    let status = Command::new("bash").args(["-c", &line]).status().unwrap();
    assert_ne!(status.code(), Some(101), "a closed pipe is no panic");
    // A BMC that shows another machine's GUID is told nothing.
    served.good(&["cancel", "n1"]);
    served.good(&["machine", "retire", "n1"]);
    let before = fs::read_to_string(&calls).unwrap();
    let other = "11111111-2222-3333-4444-555555555555";
    served.good(&[
        "machine",
        "add",
        "n2",
        "--mac",
        "52:54:00:aa:00:07",
        "--uuid",
        other,
        "--bmc",
        "127.0.0.1:6230",
    ]);
    let (good, text) = served.kpc(&["provision", "n2", "--profile", "live", "--yes"]);
    assert!(!good && text.contains("shows GUID"), "{text}");
    assert_eq!(fs::read_to_string(&calls).unwrap(), before, "no write to another machine's BMC");
}

#[test]
fn an_installing_agent_is_told_its_image_and_granted_one_disk() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start("install");
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    // An order whose image is not there, or whose digest nobody knows, is not given.
    let order = ["provision", "n1", "--profile", "disk", "--role", "control", "--yes"];
    let (good, text) = served.kpc(&order);
    assert!(!good && text.contains("disk.img.zst") && text.contains("kpc assets add"), "{text}");
    write(&served.folder, "assets/disk.img.zst", "image");
    let (good, text) = served.kpc(&order);
    assert!(!good && text.contains("disk.img.zst.sha256") && text.contains("sha256sum"), "{text}");
    let digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d";
    write(&served.folder, "assets/disk.img.zst.sha256", &format!("{digest}  disk.img.zst\n"));
    let text = served.good(&order);
    assert!(text.contains("n1"), "{text}");

    let (_, script) = served.http(&format!("/ipxe?uuid={UUID}&mac={}", MAC.replace(':', "-")), None);
    assert_eq!(argument(&script, "kpc.role"), "install");
    let claim = argument(&script, "kpc.claim");
    let (status, told) = served.http("/v1/claim", Some(&serde_json::json!({ "claim": claim })));
    assert_eq!(status, 200, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let install = &told["install"];
    assert_eq!((&told["name"], &told["role"]), (&"n1".into(), &"install".into()));
    assert_eq!(install["image"], format!("http://{ADDRESS}:8080/assets/disk.img.zst"));
    assert_eq!((&install["sha256"], &install["format"]), (&digest.into(), &"zstd".into()));
    assert_eq!((&install["octets"], &install["boot_order"]), (&5.into(), &"disk".into()));
    let rule = serde_json::json!({ "serial": null, "rule": "smallest", "min_octets": 1 << 30 });
    assert_eq!(install["disk"], rule);
    let user_data = install["user_data"]["url"].as_str().unwrap().split_once(":8080").unwrap().1;
    assert_eq!(served.http(user_data, None), (200, "#cloud-config\nhostname: n1\n".to_owned()));
    assert!(
        install["user_data"]["meta_data"].as_str().unwrap().ends_with("local-hostname: n1\n"),
        "{install}"
    );
    let nobody = serde_json::json!({ "claim": "00".repeat(16) });
    assert_eq!(served.http("/v1/claim", Some(&nobody)).0, 403);

    // DESIGN 4, the write grant: one disk, once, to one run of the agent; repeats of it hear the same.
    let grant = |nonce: &str, serial: &str, found: &[&str]| {
        let ask = serde_json::json!({ "claim": claim, "nonce": nonce.repeat(16), "serial": serial, "signatures": found });
        served.http("/v1/grant", Some(&ask))
    };
    let (status, refused) = grant("aa", "S1", &["gpt", "ext4"]);
    assert!(status == 409 && refused.contains("holds data"), "{refused}");
    let (status, granted) = grant("aa", "S1", &[]);
    assert!(status == 200 && granted.contains("S1"), "{granted}");
    assert_eq!(grant("aa", "S1", &[]).0, 200);
    assert_eq!((grant("bb", "S1", &[]).0, grant("aa", "S2", &[]).0), (409, 409));
    let (_, script) = served.http(&format!("/ipxe?uuid={UUID}&mac={}", MAC.replace(':', "-")), None);
    assert!(!script.contains("kernel") && script.contains("sanboot"), "granted, so its disk: {script}");
    let report = |phase: &str, detail: &str| {
        served
            .http(
                "/v1/report",
                Some(&serde_json::json!({ "claim": claim, "phase": phase, "detail": detail })),
            )
            .0
    };
    assert_eq!([report("writing", "50 %"), report("done", ""), report("reboot", "")], [204, 204, 204]);
    let register = serde_json::json!({ "claim": claim, "key": "ab".repeat(32), "uuid": UUID, "hostname": "n1",
        "interfaces": [{ "name": "eth0", "mac": MAC, "addresses": [ADDRESS] }] });
    assert_eq!(served.http("/v1/register", Some(&register)).0, 200);
    assert_eq!(served.http("/v1/register", Some(&serde_json::json!({ "key": "ab".repeat(32) }))).0, 200);
    let shown: Value = serde_json::from_str(&served.good(&["status", "--json"])).unwrap();
    assert_eq!(shown["machines"][0]["lifecycle"], "registered");
}
