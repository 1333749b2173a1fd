//! dnsmasq's flags as KPC writes them, translated: our answers beside those that dnsmasq gave (tests/fixtures).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixtures;

use fixtures::{answer, packets};
use proxy_dhcp::wire::Message;
use proxy_dhcp::{Ignored, Responder, dnsmasq};

/// KPC's command, and the services that the lab added for UEFI (fixtures/README.md).
const KPC: &str = "--dhcp-range=10.77.0.2,proxy --enable-tftp --tftp-root=/var/lib/tftpboot \
    --dhcp-userclass=set:ipxe,iPXE --pxe-service=tag:#ipxe,x86PC,\"PXE chainload to iPXE\",undionly.kpxe \
    --pxe-service=tag:ipxe,x86PC,\"iPXE\",http://10.77.0.2:8080/boot.ipxe";
const UEFI: &str = " --pxe-service=tag:#ipxe,x86-64_EFI,\"UEFI\",snponly.efi \
    --pxe-service=tag:ipxe,x86-64_EFI,\"iPXE\",http://10.77.0.2:8080/boot.ipxe";

#[test]
fn answers_equal_dnsmasqs_option_by_option() {
    // PXE 2.1 table 2-1
    let mut compared = 0;
    for client in ["bios-chain", "bios-pxelinux", "bios-rom", "uefi-grub-own", "uefi-pxe"] {
        let flags = match client {
            "bios-pxelinux" => KPC.replace("undionly.kpxe", "pxelinux.0"),
            "uefi-pxe" => KPC.to_owned() + UEFI,
            "uefi-grub-own" => KPC.to_owned() + &UEFI.replace("snponly", "grubown"),
            _ => KPC.to_owned(),
        };
        let responder = Responder::new(dnsmasq::translate(&flags, &|_| None).unwrap().policy);
        let packets: Vec<_> = packets().into_iter().filter(|p| p.label.starts_with(client)).collect();
        for (index, packet) in packets.iter().enumerate().filter(|(_, p)| p.label.contains("/client/")) {
            let asked = Message::parse(&packet.octets).unwrap();
            let theirs = packets.iter().skip(index).find(|other| {
                other.label.contains("/proxy/")
                    && other.octets[4..8] == packet.octets[4..8]
                    && other.label.ends_with("offer/67-68") == packet.label.ends_with("discover/68-67")
                    && !packet.label.ends_with("request/68-67")
            });
            let ours = answer(&responder, packet);
            let Some(theirs) = theirs else {
                assert!(ours.is_err(), "{}", packet.label);
                continue;
            };
            let (octets, to) = ours.unwrap_or_else(|why| panic!("{}: {why}", packet.label));
            let (ours, theirs_read) =
                (Message::parse(&octets).unwrap(), Message::parse(&theirs.octets).unwrap());
            assert!(ours.options().iter().eq(theirs_read.options().iter()), "{}: options", packet.label);
            assert_eq!(ours.header(), theirs_read.header(), "{}: {asked:?}", packet.label);
            assert_eq!(
                (ours.file(), ours.sname()),
                (theirs_read.file(), theirs_read.sname()),
                "{}",
                packet.label
            );
            assert_eq!((octets.len(), to), (theirs.octets.len(), theirs.destination), "{}", packet.label);
            compared += 1;
        }
    }
    assert_eq!(compared, 16, "every answer of dnsmasq in the fixtures");
}

#[test]
fn machines_without_a_service_are_left_alone() {
    // dnsmasq offers x64 UEFI a boot it has no file for; the machine then waits and fails.
    let responder = Responder::new(dnsmasq::translate(KPC, &|_| None).unwrap().policy);
    for packet in packets().iter().filter(|p| p.label.starts_with("uefi-pxe/stage1/client")) {
        let why = answer(&responder, packet).unwrap_err();
        assert!(matches!(why, Ignored::NoRule { .. } | Ignored::NotForProxy(_)), "{why}");
    }
}

#[test]
fn every_flag_about_network_boot_is_read() {
    let flags = "dnsmasq -kd --port=0 --dhcp-range=10.0.0.0,proxy -i eth0 --tftp-root=/srv/tftp,eth0 \
        --dhcp-match=set:efi64,option:client-arch,7 --dhcp-match=set:ipxe,175 --dhcp-vendorclass=set:arm,PXEClient:Arch:00011 \
        --dhcp-mac=set:lab,52:54:*:*:*:* --tag-if=set:both,tag:efi64,tag:lab --dhcp-ignore=tag:!lab \
        --dhcp-boot=undionly.kpxe,boot,10.0.0.9 --dhcp-boot=tag:both,snponly.efi --dhcp-host=52:54:00:00:00:09,ignore \
        --pxe-prompt=\"Press F8, please\",5 --pxe-service=x86PC,Local,0 --pxe-service=x86PC,Other,17,10.0.0.7 \
        --pxe-service=x86PC,Named,pxelinux,boothost --dhcp-option=3 --dhcp-reply-delay=2";
    let resolve = |name: &str| (name == "boothost").then_some([10, 0, 0, 8].into());
    let read = dnsmasq::translate(flags, &resolve).unwrap();
    assert_eq!(read.interfaces, ["eth0"]);
    assert_eq!(read.tftp_root.as_deref(), Some("/srv/tftp"));
    let names: Vec<&str> = read.policy.rules().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["--dhcp-ignore", "--dhcp-ignore", "--pxe-service", "--dhcp-boot", "--dhcp-boot"]);
    assert_eq!(read.policy.rules()[2].patience.delay.as_secs(), 2);
    assert_eq!(read.notes.len(), 1, "{:?}", read.notes);
    let unknown = dnsmasq::translate("--pxe-service=x86PC,Named,pxelinux,nowhere", &|_| None).unwrap_err();
    assert!(unknown.to_string().contains("add it to /etc/hosts"), "{unknown}");
}
