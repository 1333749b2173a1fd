//! Clients that the recorded packets do not have: what they send, and the answer they take.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proxy_dhcp::wire::{Header, Message, Op, Writer, code};
use proxy_dhcp::{
    Arrival, BootProgram, BootRequest, ClientArch, Ignored, Policy, Port, Reply, Responder, Stage, Subnet,
};
use std::net::{Ipv4Addr, SocketAddrV4};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn discover(mac: [u8; 6], options: &[(u8, &[u8])]) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut chaddr = [0; 16];
    chaddr[..6].copy_from_slice(&mac);
    let header = Header {
        op: Op::Request,
        htype: 1,
        hlen: 6,
        hops: 0,
        xid: 7,
        secs: 0,
        flags: 0x8000,
        ciaddr: none,
        yiaddr: none,
        siaddr: none,
        giaddr: none,
        chaddr,
    };
    let mut octets = Vec::new();
    let mut writer = Writer::new(&mut octets, &header, b"", b"");
    writer.option(code::MESSAGE_TYPE, &[1]);
    options.iter().for_each(|(code, value)| writer.option(*code, value));
    writer.finish();
    octets
}

/// What a responder says to a DISCOVER; the reply's octets go to `check` too.
fn respond<T>(policy: Policy, octets: &[u8], check: impl FnOnce(Result<Reply<'_>, Ignored>) -> T) -> T {
    let subnets = [Subnet { address: OURS, mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let arrival = Arrival { interface: "eth0", subnets: &subnets, port: Port::Dhcp, source };
    let responder = Responder::new(policy);
    check(responder.respond(&BootRequest::new(Message::parse(octets).unwrap(), arrival)))
}

fn usual() -> Policy {
    Policy::default_for("http://{server}:8080/boot.ipxe")
}

/// The file of the OFFER, its architecture and stage.
fn file(octets: &[u8]) -> (Option<String>, ClientArch, Stage) {
    respond(usual(), octets, |reply| {
        let reply = reply.unwrap();
        (reply.file().map(|file| file.to_string()), reply.arch(), reply.stage())
    })
}

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

/// A Raspberry Pi's boot ROM says BIOS. It takes an offer with "Raspberry Pi Boot" in option 43, and then reads its own
/// files from the server, without port 4011.
#[test]
fn a_raspberry_pi_is_told_the_words_it_looks_for() {
    let pi = discover(
        [0xdc, 0xa6, 0x32, 1, 2, 3],
        &[(code::VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001"), (code::CLIENT_ARCH, &[0, 0])],
    );
    let no_rule = respond(usual(), &pi, |reply| reply.map(|_| ()));
    assert_eq!(no_rule, Err(Ignored::NoRule { arch: ClientArch::ArmRpiboot, ipxe: false }));
    let policy = Policy::builder().boot(ClientArch::ArmRpiboot, BootProgram::new("bootcode.bin")).build();
    respond(policy, &pi, |reply| {
        let mut octets = Vec::new();
        reply.unwrap().encode(&mut octets).unwrap();
        let offer = Message::parse(&octets).unwrap();
        let vendor = b"\x06\x01\x03\x0a\x04\0PXE\x09\x14\0\0\x11Raspberry Pi Boot\xff";
        assert_eq!(offer.options().first(code::VENDOR_SPECIFIC), Some(&vendor[..]));
        assert_eq!((offer.siaddr, offer.file()), (OURS, &b"bootcode.bin"[..]));
    });
}

/// iPXE from a stick or a CD asks by itself: its first DISCOVER already says who it is.
#[test]
fn ipxe_from_a_medium_gets_its_script_at_once() {
    let bios: (u8, &[u8]) = (code::CLIENT_ARCH, &[0, 0]);
    let efi: (u8, &[u8]) = (code::CLIENT_ARCH, &[0, 7]);
    let class: (u8, &[u8]) = (code::VENDOR_CLASS, b"PXEClient:Arch:00007:UNDI:003010");
    for (arch, user_class) in
        [(bios, &b"iPXE"[..]), (efi, b"iPXE"), (efi, b"\x04iPXE"), (efi, b"\x03foo\x04iPXE")]
    {
        let (file, _, stage) = file(&discover(MAC, &[arch, class, (code::USER_CLASS, user_class)]));
        assert_eq!((file.as_deref(), stage), (Some("http://10.0.0.2:8080/boot.ipxe"), Stage::Ipxe));
    }
    let options: (u8, &[u8]) = (code::IPXE, &[0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e, 0x13, 1, 1]);
    assert_eq!(file(&discover(MAC, &[efi, class, options])).2, Stage::Ipxe, "option 175 alone");
}

/// RFC 4578 §2.1: several architectures, the one it wants most first; the first that we have something for wins.
#[test]
fn of_several_architectures_the_first_with_a_rule_is_served() {
    let class: (u8, &[u8]) = (code::VENDOR_CLASS, b"PXEClient");
    for (archs, wanted) in [
        (&[0, 7, 0, 0][..], ClientArch::X64Uefi),
        (&[0, 0, 0, 7], ClientArch::Bios),
        (&[0, 2, 0, 7], ClientArch::X64Uefi), // Itanium has no loader
        (&[0, 9, 0, 6], ClientArch::X64Uefi), // EFI byte code is served as x64
        (&[0xff, 0xff, 0, 11], ClientArch::Arm64Uefi),
    ] {
        assert_eq!(file(&discover(MAC, &[class, (code::CLIENT_ARCH, archs)])).1, wanted, "{archs:?}");
    }
}

/// UEFI 2.10 §24.7.3: HTTP Boot of every architecture, also where the firmware says byte code.
#[test]
fn http_boot_has_a_url_for_every_architecture() {
    for (arch, wanted) in [
        (0x0f, "http://10.0.0.2:8080/assets/ia32/"),
        (0x10, "http://10.0.0.2:8080/assets/"),
        (0x11, "http://10.0.0.2:8080/assets/"),
        (0x12, "http://10.0.0.2:8080/assets/arm32/"),
        (0x13, "http://10.0.0.2:8080/assets/arm64/"),
        (0x1c, "http://10.0.0.2:8080/assets/riscv64/"),
    ] {
        let class = format!("HTTPClient:Arch:{arch:05}:UNDI:003001");
        let octets =
            discover(MAC, &[(code::VENDOR_CLASS, class.as_bytes()), (code::CLIENT_ARCH, &[0, arch])]);
        let file = file(&octets).0.unwrap();
        assert!(file.starts_with(wanted) && file.ends_with(".efi"), "{arch:#x}: {file}");
    }
}

/// Neither U-Boot (vendor class `U-Boot.armv8`) nor GRUB's own DISCOVER (none at all) asks for a PXE answer.
#[test]
fn clients_that_do_not_say_pxe_are_left_to_the_lease_server() {
    let u_boot = discover(MAC, &[(code::VENDOR_CLASS, b"U-Boot.armv8"), (code::CLIENT_ARCH, &[0, 0x16])]);
    let grub = discover(MAC, &[]);
    for octets in [u_boot, grub] {
        let ignored = respond(usual(), &octets, |reply| reply.map(|_| ()));
        assert_eq!(ignored, Err(Ignored::NotNetworkBoot));
    }
}
