//! Networks as racks have them: a second rack behind a real DHCP relay (dnsmasq's), BMCs behind a tagged VLAN, a BMC that
//! shares its interface with the system and is silent after a reset, and the boot mode that a BMC has. `kpc serve`,
//! Debian's dhcpd and our own virtual BMCs in namespaces. Needs root.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod kpc_rack;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use kpc_rack::{BIOS, HOST, LEASES, LIMIT, Machine, Rack, X64_UEFI, argument, inside, ip, nft, text};
use kpc_tests::{binary, is_root, peer, run_within, wait_for};
use lab::Vlan;
use proxy_dhcp::MacAddr;
use serde_json::json;

/// The relay: on the deploy host's segment, and in the second rack.
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 3);
const RELAY_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 79, 2, 1);
/// The deploy host and a BMC on the management VLAN.
const OURS: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 1);
const BMC: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 5);
const VLAN: u16 = 100;

fn lay_out(rack: &Rack) {
    rack.write("loaders/undionly.kpxe", vec![1; 3000]);
    rack.write("loaders/snponly.efi", vec![1; 3000]);
    rack.write("assets/vmlinuz", vec![2; 4000]);
    rack.write(
        "bootcfg/profiles/live.json",
        "{\"id\": \"live\", \"name\": \"live\", \"boot\": {\"kernel\": \"/assets/vmlinuz\", \"initrd\": []}}",
    );
    fs::create_dir_all(rack.path("bootcfg/groups")).unwrap();
    rack.write("bmc-password", "of-the-bmcs\n");
    rack.write("logins", "user = \"admin\"\npassword = \"of-the-bmcs\"\n");
    for file in ["bmc-password", "logins"] {
        fs::set_permissions(rack.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn configuration(rack: &Rack, more: &str) -> String {
    let folder = rack.folder.path().display();
    format!(
        "[bootcfg]\ndata = \"{folder}/bootcfg\"\nassets = \"{folder}/assets\"\nlive_profiles = [\"live\"]\n\
         [bmc]\nuser = \"admin\"\npassword_file = \"{folder}/bmc-password\"\n{more}"
    )
}

/// A virtual BMC whose power and boot flags are files; `on_power` runs when the power is switched.
fn bmc(rack: &mut Rack, namespace: &str, listen: &str, name: &str, on_power: &str) {
    let script = format!(
        "#!/bin/sh\ncd '{}'\necho \"$@\" >> {name}.calls\ncase \"$1 $2\" in\n\
         'power on'|'power cycle'|'power reset') echo on > {name}.power\n{on_power}\n;;\n\
         'power off') echo off > {name}.power ;;\n\
         status*) cat {name}.power 2>/dev/null || echo off ;;\nesac\n",
        text(rack.folder.path())
    );
    rack.write(&format!("{name}.sh"), script);
    let path = rack.path(&format!("{name}.sh"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut bmcd = rack.command(namespace, binary("ipmi"));
    bmcd.args(["bmcd", "--listen", listen, "--user", "admin", "--password-file"]);
    bmcd.arg(rack.path("bmc-password")).arg("--command").arg(path);
    rack.keep(&mut bmcd, &format!("{name}.log"));
    let port = listen.rsplit_once(':').unwrap().1.parse().unwrap();
    rack.wait_for_port(namespace, port);
}

/// RFC 2131 §4.1, RFC 3046: the rack's machines are heard through its relay, loaded across its router, and known by name.
#[test]
fn a_rack_behind_a_relay_boots() {
    if !is_root() || peer("dhcpd").is_none() || peer("dnsmasq").is_none() {
        return;
    }
    let mut rack = Rack::new("relay");
    lay_out(&rack);
    let (switch, host) = (rack.name("s"), rack.name("host"));
    let leases = rack.host_on("leases", &switch, LEASES, MacAddr([0x52, 0x54, 0, 0x79, 0, 2]));
    let relay = rack.host_on("relay", &switch, RELAY, MacAddr([0x52, 0x54, 0, 0x79, 0, 3]));
    let second = rack.switch("s2");
    rack.plug(&relay, &second, "eth1", MacAddr([0x52, 0x54, 0, 0x79, 2, 1]));
    inside(&relay, || {
        ip(&format!("addr add {RELAY_INSIDE}/24 dev eth1\n"));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    });
    for namespace in [&host, &leases] {
        inside(namespace, || ip(&format!("route add 10.79.2.0/24 via {RELAY}\n")));
    }
    let machine = Machine::plug(&mut rack, &second, "r2-01", 11, BIOS, [10, 79, 2]);
    let stranger = Machine::plug(&mut rack, &switch, "here", 12, X64_UEFI, [10, 79, 0]);
    for (one, gateway) in [(&machine, RELAY_INSIDE), (&stranger, RELAY)] {
        inside(&one.namespace, || ip(&format!("route add default via {gateway}\n")));
    }
    let conf = format!(
        "authoritative; ping-check false; ddns-update-style none; default-lease-time 600;\n\
         subnet 10.79.0.0 netmask 255.255.255.0 {{ }}\n\
         subnet 10.79.2.0 netmask 255.255.255.0 {{ option routers {RELAY_INSIDE}; }}\n{}{}",
        machine.host_block(""),
        stranger.host_block("")
    );
    assert!(rack.dhcpd(&leases, &conf));
    let mut relaying = rack.command(&relay, peer("dnsmasq").unwrap());
    relaying.args([
        "-k",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        "--log-dhcp",
        "--log-facility=-",
    ]);
    relaying.arg(format!("--dhcp-relay={RELAY_INSIDE},{LEASES}"));
    rack.keep(relaying.arg(format!("--dhcp-relay={RELAY_INSIDE},{HOST}")), "relay.log");
    rack.wait_for_port(&relay, 67);
    let config = configuration(
        &rack,
        &format!("[[rack]]\nname = \"r2\"\nrelays = [\"{RELAY_INSIDE}\"]\nnaming = \"r2-{{}}\"\n"),
    );
    rack.serve(&config);
    rack.good(&["machine", "add", "r2-01", "--mac", &machine.mac.to_string(), "--rack", "r2"]);
    assert_eq!(rack.order("@rack:r2", "live", false)["machines"][0], "r2-01");

    inside(&machine.namespace, || {
        let (server, file) = machine.boot_file();
        assert_eq!((server, file.as_str()), (HOST, "undionly.kpxe"));
        assert_eq!(machine.tftp(server, &file, 10).unwrap().len(), 3000);
        let script = machine.lease(true).file;
        assert_eq!(script, format!("http://{HOST}:8080/boot.ipxe"));
        let mac = machine.mac.to_string().replace(':', "-");
        let (status, script) = machine.http(&format!("http://{HOST}:8080/ipxe?mac={mac}"), None, None);
        assert_eq!(status, 200);
        let script = String::from_utf8(script).unwrap();
        assert_eq!(machine.http(&argument(&script, "kpc.kernel"), None, None).1.len(), 4000);
        let register = json!({ "claim": argument(&script, "kpc.claim"), "hostname": "x",
            "interfaces": [{ "name": "eth0", "mac": machine.mac.to_string(), "addresses": [machine.address] }] });
        let url = format!("{}/v1/register", argument(&script, "kpc.server"));
        assert_eq!(machine.http(&url, Some(&register), None).0, 200);
    });
    let shown = rack.status("r2-01");
    assert_eq!((&shown["lifecycle"], &shown["rack"]), (&json!("registered"), &json!("r2")), "{shown}");
    let phases: Vec<&str> =
        shown["phases"].as_array().unwrap().iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["seen", "offered", "loader", "script", "kernel", "registered"], "{shown}");
    let relayed = rack.log("relay.log");
    assert!(relayed.contains("DHCP relay"), "it went through the relay: {relayed}");
    // The first rack's machines are heard as before, and without an order are offered nothing but their disk.
    inside(&stranger.namespace, || assert!(stranger.discover(false, 2).2.is_none()));
}

/// IEEE 802.1Q: BMCs on a management VLAN are found, named and spoken to by its interface; a way to them that leaves by
/// the default gateway is told.
#[test]
fn bmcs_behind_a_tagged_vlan_are_reached_by_its_interface() {
    if !is_root() || peer("dhcpd").is_none() {
        return;
    }
    let mut rack = Rack::new("vlan");
    lay_out(&rack);
    let host = rack.name("host");
    let far = rack.namespace("bmcs");
    inside(&far, || {
        ip(&format!("link add trunk type veth peer name eth1 netns {host}\nlink set trunk up\n"))
    });
    inside(&host, || ip("link set eth1 up\n"));
    let mut cables = Vec::new();
    for (namespace, trunk, address) in [(&host, "eth1", OURS), (&far, "trunk", BMC)] {
        inside(namespace, || {
            // This kernel may make no VLAN interface: frames get their tag on the way from one that is like it.
            ip(&format!(
                "link add eth0.100 type veth peer name untagged\nlink set untagged up\nlink set eth0.100 up\n\
                 addr add {address}/24 dev eth0.100\n"
            ));
            cables.push(Vlan::start("untagged", trunk, VLAN).unwrap());
        });
    }
    bmc(&mut rack, &far, &format!("{BMC}:623"), "n1", "");
    let config = configuration(
        &rack,
        "[network.bmc]\ninterface = \"eth0.100\"\nranges = [\"10.80.0.4-6\"]\n\
         [[rack]]\nname = \"r1\"\nnaming = \"r1-{}\"\nbmc_ranges = [\"10.80.0.5\"]\n",
    );
    rack.serve(&config);
    // The verb looks at this host's routes, so it runs where the server does.
    let scan = || {
        let mut scan = rack.command(&host, binary("kpc"));
        scan.arg("--config").arg(rack.path("kpc.toml")).args(["bmc", "scan", "--save", "--credentials"]);
        run_within(scan.arg(rack.path("logins")), LIMIT)
    };
    let (good, said) = scan();
    assert!(good && said.contains("10.80.0.5") && said.contains("r1-"), "{said}");
    assert!(!said.contains("warning"), "its own interface: {said}");
    let name = said.split_whitespace().find(|word| word.starts_with("r1-")).unwrap().to_owned();
    let (good, said) = rack.kpc(&["power", "on", &name]);
    assert!(good, "{said}\n{}", rack.log("serve.log"));
    assert!(rack.log("n1.calls").contains("power on"));
    // Another VLAN's frames do not reach it.
    drop(cables.remove(0));
    inside(&host, || cables.push(Vlan::start("untagged", "eth1", VLAN + 1).unwrap()));
    let (good, said) = rack.kpc(&["power", "status", &name]);
    assert!(!good && said.contains("no answer"), "{said}");
    assert_eq!(rack.status(&name)["hint"], "bmc-silent");
    // Without an address on it packets to BMCs would leave by the default gateway.
    inside(&host, || {
        ip(&format!("addr del {OURS}/24 dev eth0.100\nroute add default via {RELAY} dev eth0\n"));
    });
    let (_, said) = scan();
    assert!(
        said.contains("warning: the route to the BMCs at 10.80.0.4-6 is the default gateway's, by eth0"),
        "{said}"
    );
}

/// A BMC that shares its interface loses its link when the system starts: expected, shown as such, and not failed.
#[test]
fn a_bmc_that_is_silent_after_a_reset_is_waited_for() {
    if !is_root() || peer("dhcpd").is_none() || peer("nft").is_none() {
        return;
    }
    let mut rack = Rack::new("shared");
    lay_out(&rack);
    let host = rack.name("host");
    let nft = nft();
    // It takes the command, and answers when its link is about to go.
    let until_away = "while [ ! -e n1.away ]; do sleep 0.1; done";
    bmc(&mut rack, &host, "127.0.0.1:6230", "n1", until_away);
    let config = configuration(&rack, "silent_after_power = \"75s\"\n");
    rack.serve(&config);
    rack.good(&["machine", "add", "n1", "--mac", "52:54:00:79:00:0b", "--bmc", "127.0.0.1:6230"]);
    rack.good(&["provision", "n1", "--profile", "live", "--yes"]);
    wait_for("the command", LIMIT, || rack.log("n1.calls").contains("power on"));
    let away = format!(
        "{nft} 'add table inet link; add chain inet link input {{ type filter hook input priority 0; }}; \
         add rule inet link input udp dport 6230 drop'"
    );
    let (good, said) = run_within(rack.command(&host, "sh").args(["-c", &away]), LIMIT);
    assert!(good, "{said}");
    rack.write("n1.away", "");
    wait_for("word of the silence", LIMIT, || {
        let shown = rack.status("n1");
        assert!(shown["failed"].is_null(), "{shown}\n{}", rack.log("serve.log"));
        shown["note"].as_str().is_some_and(|note| note.contains("silent after the power command"))
    });
    let (good, said) = rack.kpc(&["status"]);
    assert!(good && said.contains("expected for 75 s") && said.contains("0 failed"), "{said}");
    let back = format!("{nft} delete table inet link");
    let (good, said) = run_within(rack.command(&host, "sh").args(["-c", &back]), LIMIT);
    assert!(good, "{said}");
    wait_for("the BMC's word that power is on", LIMIT, || {
        let shown = rack.status("n1");
        assert!(shown["failed"].is_null(), "{shown}");
        shown["power"] == true && shown["phase"] == "power_verified"
    });
    let calls = rack.log("n1.calls");
    assert_eq!(calls.matches("power on").count(), 1, "nothing was sent twice: {calls}");
}

/// Firmware that was never heard boots as its BMC has it; once heard, as it was heard.
#[test]
fn the_boot_mode_is_the_last_heard_else_the_bmcs() {
    if !is_root() || peer("dhcpd").is_none() {
        return;
    }
    let mut rack = Rack::new("mode");
    lay_out(&rack);
    let (switch, host) = (rack.name("s"), rack.name("host"));
    bmc(&mut rack, &host, "127.0.0.1:6230", "n1", "");
    let machine = Machine::plug(&mut rack, &switch, "n1", 11, BIOS, [10, 79, 0]);
    let config = configuration(&rack, "");
    rack.serve(&config);
    // Somebody has set the BMC to UEFI before us.
    let mut set = rack.command(&host, binary("ipmi"));
    set.args(["-I", "lanplus", "-H", "127.0.0.1", "-p", "6230", "-U", "admin", "-f"])
        .arg(rack.path("bmc-password"));
    let (good, said) = run_within(set.args(["chassis", "bootdev", "pxe", "options=efiboot"]), LIMIT);
    assert!(good, "{said}");
    rack.good(&["machine", "add", "n1", "--mac", &machine.mac.to_string(), "--bmc", "127.0.0.1:6230"]);
    let plan = || {
        rack.call(
            "/v1/plan",
            &json!({ "selection": ["n1"], "profile": "live", "firmware": "auto",
        "max_in_flight": 1, "max_failures": 1 }),
        )
    };
    let action = plan()["machines"][0]["action"].as_str().unwrap().to_owned();
    assert!(action.contains("UEFI (as its BMC has it)"), "{action}");
    rack.good(&["provision", "n1", "--profile", "live", "--yes"]);
    wait_for("the power", LIMIT, || rack.log("n1.calls").contains("power on"));
    assert!(rack.log("n1.calls").contains("boot pxe"), "{}", rack.log("n1.calls"));
    // Its own firmware says BIOS.
    inside(&machine.namespace, || assert!(machine.discover(false, 2).2.is_some()));
    rack.good(&["cancel", "n1"]);
    wait_for("its job's end", LIMIT, || rack.status("n1")["power"] == true);
    let action = plan()["machines"][0]["action"].as_str().unwrap().to_owned();
    assert!(action.ends_with("legacy BIOS"), "{action}");
}
