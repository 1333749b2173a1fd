//! `kpc lab up --once`: a machine with real firmware becomes a registered node, and what it took is proven from the
//! outside: the capture of the bridge, the BMC's log, the serial console. No program of ours judges itself here: the
//! capture is read by code that shares nothing with the servers.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use lab::network::{DEPLOY, LEASES};
use lab::{Console, Firmware, Mac, Machine, MachineSpec, Parts};
use sha2::{Digest as _, Sha256};
use testkit::frame::Udp;
use testkit::{DhcpReply, PcapReader, Record, http_exchanges, tftp_reads};

const HTTP_PORT: u16 = 8080;
const BOOT_SERVER: u16 = 4011;

/// Runs a lab of so many machines to its end and returns its directory, or `None` after saying what is missing. Each
/// machine is registered within `limit` seconds of its power-on; on a shared machine `KPC_TIME_FACTOR` stretches that.
fn run(machines: u8, limit: f64, flags: &[&str]) -> Option<tempfile::TempDir> {
    if !kpc_tests::is_root() {
        return None;
    }
    let place = kpc_tests::lab_parts();
    if let Err(error) = Parts::find_with_agent(&place, kpc_tests::agent()) {
        kpc_tests::skip(error);
        return None;
    }
    let dir = tempfile::Builder::new().prefix("kpc-lab").tempdir().unwrap();
    let mut command = Command::new(kpc_tests::binary("kpc"));
    command.args(["lab", "up", "--once", "--timeout", "900s", "-n", &machines.to_string()]).args(flags);
    let status = format!("'{}' status --json > \"$KPC_SOCKET.json\"", kpc_tests::binary("kpc").display());
    command.args(["--exec", &status]).arg("--dir").arg(dir.path());
    let output = command.env("KPC_LAB_PARTS", place).output().unwrap();
    let console = Console::read(&dir.path().join("logs/lab-01.serial.log"));
    assert!(
        output.status.success(),
        "{}\n{}\nthe console's end:\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        console.tail(20).join("\n")
    );
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let text = fs::read_to_string(dir.path().join("kpc.sock.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let factor = std::env::var("KPC_TIME_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let all = status["machines"].as_array().unwrap();
    assert_eq!(all.len(), usize::from(machines));
    for machine in all {
        let taken = machine["elapsed_ms"].as_f64().unwrap() / 1000.0;
        assert_eq!(machine["lifecycle"], "registered", "{machine}");
        assert!(taken <= limit * factor, "{} took {taken} s: {}", machine["name"], machine["phases"]);
    }
    Some(dir)
}

fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn capture(dir: &Path) -> Vec<Record> {
    let file = fs::File::open(dir.join("capture.pcap")).unwrap();
    PcapReader::new(std::io::BufReader::new(file)).unwrap().collect()
}

/// The address that the existing lease server gave; it gave no boot option (RFC 2132 §9.4, §9.5; PXE 2.1).
fn leased(replies: &[DhcpReply], mac: Mac) -> Ipv4Addr {
    let theirs: Vec<_> =
        replies.iter().filter(|reply| *reply.from.ip() == LEASES && reply.mac == mac.0).collect();
    for reply in &theirs {
        assert!(
            reply.file.is_empty() && reply.option(43).is_none() && reply.option(67).is_none(),
            "{reply:?}"
        );
    }
    let ack = theirs.iter().rfind(|reply| reply.message_type() == Some(5)).expect("the lease server's ACK");
    ack.yiaddr
}

/// Everything that holds for a machine, whatever its firmware. `loader` is what the firmware has to load by TFTP.
fn check(dir: &Path, machines: u8, firmware: Firmware, loader: Option<&str>) {
    let records = capture(dir);
    let replies: Vec<DhcpReply> =
        records.iter().filter_map(|record| DhcpReply::parse(&record.frame)).collect();
    for (index, spec) in (0..machines).zip(MachineSpec::numbered(machines, firmware)) {
        let machine = Machine::new(index, spec, &dir.join("logs"), dir);
        let address = leased(&replies, machine.mac);
        power_came_by_ipmi(dir, &records, &machine);
        offers(&replies, &machine, loader);
        loader_arrived_whole(dir, &records, address, loader);
        let served = config_was_fetched(&records, address);
        console_says(dir, &machine, &served);
    }
}

/// RMCP+ from the deploy host to this machine's BMC (IPMI v2.0 §13.6: class 7, payload type in byte 5), and the BMC
/// did what it was told.
fn power_came_by_ipmi(dir: &Path, records: &[Record], machine: &Machine) {
    let bmc = SocketAddrV4::new(machine.bmc, 623);
    let to_bmc = records.iter().filter_map(|record| Udp::parse(&record.frame)).filter(|udp| udp.to == bmc);
    let rmcp: Vec<_> =
        to_bmc.filter(|udp| udp.payload.starts_with(&[6, 0, 0xff, 7]) && *udp.from.ip() == DEPLOY).collect();
    let encrypted = rmcp.iter().filter(|udp| udp.payload.get(4) == Some(&6) && udp.payload[5] & 0xc0 == 0xc0);
    assert!(encrypted.count() >= 2, "authenticated, encrypted commands to {bmc}: {} datagrams", rmcp.len());
    let log = fs::read_to_string(dir.join("logs/bmc.log")).unwrap();
    let name = format!(" {} ", machine.spec.name);
    let ours: Vec<&str> = log.lines().filter(|line| line.contains(&name)).collect();
    assert!(ours.iter().any(|line| line.contains("Power(PowerUp): done")), "{log}");
    assert!(ours.iter().any(|line| line.contains("Boot(")), "one-time PXE: {log}");
}

/// Our offer stands beside the lease server's: no address in it, vendor class PXEClient, our address; on 4011 where the
/// firmware asks there (EDK2).
fn offers(replies: &[DhcpReply], machine: &Machine, loader: Option<&str>) {
    let ours: Vec<_> =
        replies.iter().filter(|reply| *reply.from.ip() == DEPLOY && reply.mac == machine.mac.0).collect();
    let offers: Vec<_> = ours.iter().filter(|reply| reply.from.port() == 67).collect();
    assert!(!offers.is_empty(), "no offer of ours");
    for offer in &offers {
        assert_eq!(offer.message_type(), Some(2), "{offer:?}");
        assert_eq!(offer.option(60), Some(b"PXEClient".as_slice()), "{offer:?}");
        assert_eq!(offer.option(54), Some(DEPLOY.octets().as_slice()), "{offer:?}");
        assert!(offer.option(97).is_some(), "the machine's UUID comes back: {offer:?}");
    }
    let on_4011 = ours.iter().filter(|reply| reply.from.port() == BOOT_SERVER);
    let named = |file: &str| ours.iter().any(|reply| reply.file.ends_with(file));
    match machine.spec.firmware {
        Firmware::Uefi => {
            assert!(on_4011.clone().any(|ack| ack.message_type() == Some(5)), "EDK2 asks on 4011")
        }
        Firmware::BiosMedium | Firmware::BiosRom => assert_eq!(on_4011.count(), 0, "iPXE needs no 4011"),
    }
    assert!(loader.is_none_or(named), "{loader:?} was offered");
    assert!(named("/boot.ipxe"), "the script was offered to iPXE");
    assert!(ours.iter().all(|reply| reply.yiaddr == Ipv4Addr::UNSPECIFIED), "we lease nothing");
}

/// The octets on the wire are the file's (RFC 1350); a size probe before it is usual (anchor: EDK2 asks twice).
fn loader_arrived_whole(dir: &Path, records: &[Record], address: Ipv4Addr, loader: Option<&str>) {
    let reads: Vec<_> = tftp_reads(records).into_iter().filter(|read| *read.client.ip() == address).collect();
    let Some(loader) = loader else {
        assert!(reads.is_empty(), "a ROM's iPXE loads nothing by TFTP");
        return;
    };
    let whole: Vec<_> = reads.iter().filter(|read| read.complete).collect();
    assert_eq!(
        whole.len(),
        1,
        "the loader is read once: {:?}",
        reads.iter().map(|read| &read.file).collect::<Vec<_>>()
    );
    assert!(whole[0].file.ends_with(loader));
    let file = fs::read(dir.join("tftp").join(loader)).unwrap();
    assert_eq!(sha256(&whole[0].octets), sha256(&file), "{} octets of {}", whole[0].octets.len(), file.len());
}

/// The boot script, the rendered script, kernel and initrd, the config, the registration: in this order, each
/// answered. Returns the config as it was on the wire.
fn config_was_fetched(records: &[Record], address: Ipv4Addr) -> Vec<u8> {
    let exchanges = http_exchanges(records, SocketAddrV4::new(DEPLOY, HTTP_PORT));
    let ours: Vec<_> = exchanges.iter().filter(|exchange| *exchange.client.ip() == address).collect();
    let mut at = 0;
    for wanted in
        ["/boot.ipxe", "/ipxe?", "/assets/vmlinuz", "/assets/initrd.img", "/ignition?", "/v1/register"]
    {
        let found = ours[at..]
            .iter()
            .position(|exchange| exchange.target.starts_with(wanted) && exchange.status == 200);
        let asked: Vec<_> = ours.iter().map(|exchange| (&exchange.target, exchange.status)).collect();
        at += found.unwrap_or_else(|| panic!("{wanted} after what came before it: {asked:?}"));
    }
    let config = ours.iter().find(|exchange| exchange.target.starts_with("/ignition?")).unwrap();
    config.body.clone().expect("the config fits one frame")
}

/// What the guest printed equals what lies here and what went over the wire.
fn console_says(dir: &Path, machine: &Machine, served: &[u8]) {
    let console = Console::read(&machine.serial);
    let digests = console.digests();
    for (what, asset) in [("kernel", "vmlinuz"), ("initrd", "initrd.img")] {
        let file = sha256(&fs::read(dir.join("assets").join(asset)).unwrap());
        assert_eq!(digests.get(what).copied(), Some(file.as_str()), "{what}");
    }
    assert_eq!(digests.get("ignition").copied(), Some(sha256(served).as_str()), "ignition");
    let written: BTreeMap<String, &str> = digests
        .iter()
        .filter_map(|(what, hex)| Some((what.strip_prefix("file ")?.to_owned(), *hex)))
        .collect();
    let expected = files_of(served);
    assert!(!expected.is_empty(), "the lab's config writes files");
    for (path, contents) in &expected {
        assert_eq!(written.get(path).copied(), Some(sha256(contents).as_str()), "{path}");
    }
    println!(
        "firmware {:?}\niPXE     {:?}\nkernel   {:?}",
        console.firmware(),
        console.ipxe(),
        console.kernel()
    );
    assert!(console.firmware().is_some() && console.ipxe().is_some() && console.kernel().is_some());
    let starts = if machine.spec.firmware == Firmware::BiosMedium { 2 } else { 1 };
    assert_eq!(console.ipxe_starts(), starts, "the loader is not loaded twice");
    assert_eq!(console.registered_as(), Some(machine.spec.name.as_str()));
}

/// Paths and contents of a config's inline files (RFC 2397 URLs), read without crates/ignition.
fn files_of(config: &[u8]) -> Vec<(String, Vec<u8>)> {
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    let files = config["storage"]["files"].as_array().cloned().unwrap_or_default();
    files
        .iter()
        .map(|file| {
            let source = file["contents"]["source"].as_str().unwrap();
            let data = source.strip_prefix("data:,").expect("plain data: URLs in the lab's config");
            (file["path"].as_str().unwrap().to_owned(), percent_decoded(data))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            octets.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            octets.push(first);
            rest = tail;
        }
    }
    octets
}

#[test]
fn three_bios_machines_register_at_once() {
    if let Some(dir) = run(3, 60.0, &[]) {
        check(dir.path(), 3, Firmware::BiosMedium, Some("undionly.kpxe"));
    }
}

#[test]
fn a_bios_machine_with_an_ipxe_rom_registers() {
    if let Some(dir) = run(1, 60.0, &["--rom"]) {
        check(dir.path(), 1, Firmware::BiosRom, None);
    }
}

#[test]
fn a_uefi_machine_registers() {
    if let Some(dir) = run(1, 150.0, &["--uefi"]) {
        check(dir.path(), 1, Firmware::Uefi, Some("snponly.efi"));
    }
}
