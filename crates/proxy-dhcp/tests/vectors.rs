//! Packets of real firmware (tests/fixtures/README.md): read, written back, and answered.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixtures;

use fixtures::{answer, packets};
use proxy_dhcp::wire::{BootItem, Message, VendorOptions, Writer, code};
use proxy_dhcp::{Ignored, Policy, Responder};
use std::net::Ipv4Addr;

#[test]
fn every_packet_is_written_back_octet_by_octet() {
    // RFC 2131 §2, RFC 2132 §2
    let packets = packets();
    assert_eq!(packets.len(), 60);
    for packet in packets {
        let message = Message::parse(&packet.octets).unwrap();
        let (sname, file) = message.raw_names();
        let mut again = Vec::new();
        let mut writer = Writer::new(&mut again, &message.header(), sname, file);
        for option in message.options() {
            writer.option(option.code, option.value);
        }
        writer.finish();
        assert_eq!(again, packet.octets, "{}", packet.label);
    }
}

#[test]
fn each_client_gets_the_answer_it_takes() {
    // PXE 2.1 §2.2; what each firmware takes is in README.md.
    let responder = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let mut answered = 0;
    for packet in packets() {
        let label = packet.label.as_str();
        let client = label.contains("/client/");
        let result = answer(&responder, &packet);
        if !client {
            assert_eq!(result, Err(Ignored::NotRequest), "{label}");
            continue;
        }
        // (file, option 43, message type) by client, stage and message; `None` is silence.
        let script = |net| format!("http://10.{net}.0.2:8080/boot.ipxe");
        let boot_file = Some(vec![6, 1, 8, 255]);
        let item = |low| Some(vec![71, 4, 0x80, low, 0, 0, 255]);
        let expected = match label {
            _ if label.ends_with("request/68-67") => None,
            "uefi-grub-own/stage2/client/discover/68-67" => None, // GRUB says nothing of network boot
            "bios-chain/stage1/client/discover/68-67" | "bios-pxelinux/stage1/client/discover/68-67" => {
                Some(("undionly.kpxe".to_owned(), boot_file, 2))
            }
            // The class `Lab` is inherited, the vendor class is our own answer's: the chain ends here.
            "bios-chain/stage2/client/discover/68-67"
            | "bios-chain/stage3/client/discover/68-67"
            | "bios-rom/stage1/client/discover/68-67"
            | "uefi-pxe/stage2/client/discover/68-67" => Some((script(77), boot_file, 2)),
            "bios-chain/stage1/client/request/68-4011" | "bios-pxelinux/stage1/client/request/68-4011" => {
                Some(("undionly.kpxe".to_owned(), item(0), 5))
            }
            "bios-chain/stage2/client/request/68-4011" => Some((script(77), item(0), 5)),
            "bios-chain/stage3/client/request/68-4011" | "bios-rom/stage1/client/request/68-4011" => {
                Some((script(77), item(1), 5))
            }
            "uefi-pxe/stage1/client/discover/68-67" | "uefi-grub-own/stage1/client/discover/68-67" => {
                Some((String::new(), None, 2))
            }
            "uefi-pxe/stage1/client/request/4011-4011" | "uefi-grub-own/stage1/client/request/4011-4011" => {
                Some(("snponly.efi".to_owned(), None, 5))
            }
            "uefi-pxe/stage2/client/request/68-4011" => Some((script(77), boot_file, 5)),
            other => panic!("no expectation for {other}"),
        };
        let Some((file, vendor, kind)) = expected else {
            assert!(result.is_err(), "{label}");
            continue;
        };
        let (octets, to) = result.unwrap_or_else(|why| panic!("{label}: {why}"));
        answered += 1;
        let (asked, reply) = (Message::parse(&packet.octets).unwrap(), Message::parse(&octets).unwrap());
        let options = reply.options();
        let server: Ipv4Addr =
            if label.starts_with("uefi-grub") { [10, 78, 0, 2] } else { [10, 77, 0, 2] }.into();
        assert_eq!(String::from_utf8_lossy(reply.file()), file, "{label}");
        assert_eq!(options.first(code::VENDOR_SPECIFIC).map(<[u8]>::to_vec), vendor, "{label}");
        assert_eq!(options.first(code::MESSAGE_TYPE), Some(&[kind][..]), "{label}");
        assert_eq!(options.first(code::SERVER_ID), Some(&server.octets()[..]), "{label}");
        assert_eq!(
            options.first(code::VENDOR_CLASS),
            Some(&b"PXEClient"[..]),
            "{label}: EDK2 and iPXE drop others"
        );
        assert_eq!(options.first(code::CLIENT_UUID), asked.options().first(code::CLIENT_UUID), "{label}");
        assert_eq!((reply.siaddr, reply.xid, reply.chaddr), (server, asked.xid, asked.chaddr), "{label}");
        assert!(octets.len() >= 300, "{label}: BOOTP's minimum");
        if kind == 2 {
            assert_eq!(
                (to.to_string().as_str(), reply.yiaddr),
                ("255.255.255.255:68", Ipv4Addr::UNSPECIFIED)
            );
            assert_eq!(reply.flags & 0x8000, 0x8000, "{label}");
        } else {
            assert_eq!(to, packet.source, "{label}: to the address and port that asked");
        }
    }
    assert_eq!(answered, 16);
}

#[test]
fn a_boot_item_is_answered_with_the_same_item() {
    // PXE 2.1 table 2-1, tag 71
    let responder = Responder::new(Policy::default_for("http://{server}/x"));
    let packets = packets();
    let packet = packets.iter().find(|p| p.label == "bios-rom/stage1/client/request/68-4011").unwrap();
    let (octets, _) = answer(&responder, packet).unwrap();
    let reply = Message::parse(&octets).unwrap();
    let vendor = reply.options().joined(code::VENDOR_SPECIFIC).unwrap();
    assert_eq!(VendorOptions::new(&vendor).boot_item(), Some(BootItem { server_type: 0x8001, layer: 0 }));
    assert_eq!((reply.yiaddr, reply.ciaddr), (Ipv4Addr::new(10, 77, 0, 100), Ipv4Addr::UNSPECIFIED));
}

#[test]
fn nobody_is_answered_without_a_rule() {
    let responder = Responder::new(Policy::builder().build());
    let packets = packets();
    let packet = packets.iter().find(|p| p.label == "uefi-pxe/stage1/client/discover/68-67").unwrap();
    let why = answer(&responder, packet).unwrap_err();
    assert_eq!(why.to_string(), "no rule for x64-uefi: add `--boot x64-uefi=FILE`");
}

#[test]
fn third_parties_are_never_sent_anything() {
    // A reply goes to the source, to a configured relay, or to the segment.
    let responder = Responder::new(Policy::default_for("http://{server}/x"));
    let packets = packets();
    let mut packet =
        packets.into_iter().find(|p| p.label == "uefi-pxe/stage1/client/request/4011-4011").unwrap();
    packet.source = "10.77.0.55:4011".parse().unwrap();
    assert!(matches!(answer(&responder, &packet), Err(Ignored::SpoofedClient { .. })));
    packet.octets[12..16].fill(0);
    assert_eq!(answer(&responder, &packet).unwrap().1, packet.source);
    packet.source = "192.0.2.1:4011".parse().unwrap();
    assert!(matches!(answer(&responder, &packet), Err(Ignored::ForeignSource(_))));
    packet.destination.set_port(67);
    packet.octets[24..28].copy_from_slice(&[192, 0, 2, 9]);
    packet.octets[242] = 1;
    assert!(matches!(answer(&responder, &packet), Err(Ignored::UnknownRelay(_))));
}
