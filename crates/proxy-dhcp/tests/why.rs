//! Each way a boot stops, as datagrams in virtual time: the finding names the step that is missing, once, and a boot
//! that goes well is not spoken of.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use proxy_dhcp::MacAddr;
use proxy_dhcp::why::{Missing, Why};
use proxy_dhcp::wire::frame::UdpFrame;
use proxy_dhcp::wire::{Header, Op, Writer, code};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const US: [u8; 4] = [10, 0, 0, 2];

struct Boot {
    why: Why,
    now: Instant,
    xid: u32,
    arch: u8,
    found: Vec<Missing>,
}

impl Boot {
    fn new(arch: u8) -> Self {
        Self { why: Why::new(64, 0), now: Instant::now(), xid: 1, arch, found: Vec::new() }
    }

    fn wait(&mut self, seconds: f32) -> &mut Self {
        let end = self.now + Duration::from_secs_f32(seconds);
        while let Some(due) = self.why.poll_timeout().filter(|due| *due <= end) {
            while let Some(finding) = self.why.poll_finding(due) {
                assert_eq!(finding.mac, MacAddr(MAC));
                self.found.push(finding.missing);
            }
        }
        self.now = end;
        self
    }

    fn send(
        &mut self,
        op: Op,
        ports: (u16, u16),
        source: [u8; 4],
        kind: u8,
        file: &str,
        options: &[(u8, &[u8])],
    ) {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&MAC);
        let yiaddr = if options.is_empty() && op == Op::Reply { Ipv4Addr::new(10, 0, 0, 100) } else { none };
        let siaddr = if file.is_empty() { none } else { source.into() };
        let (xid, htype, hlen) = (self.xid, 1, 6);
        let header = Header {
            op,
            htype,
            hlen,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            ciaddr: none,
            yiaddr,
            siaddr,
            giaddr: none,
            chaddr,
        };
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, &header, b"", file.as_bytes());
        writer.option(code::MESSAGE_TYPE, &[kind]);
        options.iter().for_each(|(code, value)| writer.option(*code, value));
        writer.finish();
        self.see(ports.0, ports.1, source, &octets);
    }

    fn see(&mut self, from: u16, to: u16, source: [u8; 4], payload: &[u8]) {
        let frame = UdpFrame {
            source_mac: MacAddr(MAC),
            destination_mac: MacAddr::BROADCAST,
            source: SocketAddrV4::new(source.into(), from),
            destination: SocketAddrV4::new(Ipv4Addr::BROADCAST, to),
            payload,
        };
        self.why.see(self.now, &frame);
    }

    fn client(&mut self, kind: u8, port: u16, class: Option<&[u8]>) -> &mut Self {
        let arch = [0, self.arch];
        let mut options: Vec<(u8, &[u8])> =
            vec![(code::VENDOR_CLASS, b"PXEClient:Arch"), (code::CLIENT_ARCH, &arch)];
        options.extend(class.map(|class| (code::USER_CLASS, class)));
        self.send(Op::Request, (68, port), [0; 4], kind, "", &options);
        self.wait(0.1)
    }

    fn discover(&mut self) -> &mut Self {
        self.xid += 1;
        self.client(1, 67, None)
    }

    fn discover_as_ipxe(&mut self) -> &mut Self {
        self.xid += 1;
        self.client(1, 67, Some(b"iPXE"))
    }

    fn request(&mut self) -> &mut Self {
        self.client(3, 67, None)
    }

    fn ask_boot_server(&mut self) -> &mut Self {
        self.client(3, 4011, None)
    }

    fn pxe(&mut self, server: [u8; 4], port: u16, file: &str) -> &mut Self {
        let kind = if port == 67 { 2 } else { 5 };
        self.send(
            Op::Reply,
            (port, 68),
            server,
            kind,
            file,
            &[(code::VENDOR_CLASS, b"PXEClient"), (code::SERVER_ID, &server)],
        );
        self.wait(0.1)
    }

    fn lease(&mut self, kind: u8) -> &mut Self {
        self.send(Op::Reply, (67, 68), [10, 0, 0, 1], kind, "", &[]);
        self.wait(0.1)
    }

    fn read(&mut self, file: &str, port: u16) -> &mut Self {
        self.see(port, 69, [10, 0, 0, 100], format!("\0\u{1}{file}\0octet\0").as_bytes());
        self.wait(0.1)
    }

    /// UEFI up to the file it was told.
    fn uefi(file: &str) -> Self {
        let mut boot = Self::new(7);
        boot.discover().lease(2).pxe(US, 67, "").request().lease(5).ask_boot_server().pxe(US, 4011, file);
        boot
    }

    #[track_caller]
    fn ends(&mut self, words: &str) {
        self.wait(130.0);
        let found: Vec<String> = self.found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{found:?}");
    }
}

#[test]
fn nobody_answers() {
    Boot::new(7).discover().lease(2).lease(5).discover_as_ipxe().ends("no answer of a PXE server");
}

#[test]
fn no_lease() {
    Boot::new(7).discover().pxe(US, 67, "").client(1, 67, None).ends("does the DHCP server have an address");
}

#[test]
fn offers_are_not_taken() {
    let mut boot = Boot::new(7);
    for _ in 0..3 {
        boot.discover().lease(2).pxe(US, 67, "").wait(8.0);
    }
    boot.ends("offer sent 3×, no DHCPREQUEST: the firmware takes none");
}

#[test]
fn port_4011_is_not_reached() {
    Boot::new(7)
        .discover()
        .lease(2)
        .pxe(US, 67, "")
        .request()
        .lease(5)
        .ends("offer sent 1×, no request on 4011");
    // A firmware that gives up earlier and begins again.
    let mut boot = Boot::new(7);
    boot.discover().lease(2).pxe(US, 67, "").request().lease(5).wait(15.0);
    boot.discover().lease(2).pxe(US, 67, "").wait(5.0);
    assert_eq!(boot.found, [Missing::BootServerRequest { offers: 1 }]);
}

#[test]
fn port_4011_does_not_answer() {
    let mut boot = Boot::new(7);
    boot.discover().lease(2).pxe(US, 67, "").request().lease(5).ask_boot_server().ends("drop udp/4011");
}

#[test]
fn an_answer_noted_before_its_request_is_seen_counts() {
    let mut boot = Boot::new(7);
    boot.discover()
        .lease(2)
        .pxe(US, 67, "")
        .request()
        .lease(5)
        .pxe(US, 4011, "snponly.efi")
        .ask_boot_server();
    boot.read("snponly.efi", 1000).discover_as_ipxe().pxe(US, 67, "http://x").request().wait(130.0);
    assert_eq!(boot.found, []);
}

#[test]
fn no_file_is_read() {
    Boot::uefi("snponly.efi").ends("no TFTP read of snponly.efi: udp/69 blocked?");
}

#[test]
fn the_read_is_not_answered() {
    let mut boot = Boot::uefi("snponly.efi");
    boot.read("snponly.efi", 1000).wait(2.0).read("snponly.efi", 1000).wait(2.0).read("snponly.efi", 1000);
    boot.ends("repeated, not answered");
}

#[test]
fn the_loader_is_of_another_architecture() {
    Boot::uefi("undionly.kpxe")
        .read("undionly.kpxe", 1)
        .read("undionly.kpxe", 2)
        .ends("wrong architecture, the machine is x64-uefi");
    let mut bios = Boot::new(0);
    bios.discover()
        .lease(2)
        .pxe(US, 67, "snponly.efi")
        .request()
        .read("snponly.efi", 1)
        .ends("the machine is bios");
}

#[test]
fn secure_boot_refuses_the_loader() {
    Boot::uefi("snponly.efi").read("snponly.efi", 1).read("snponly.efi", 2).ends("Secure Boot refuses");
    let mut again = Boot::uefi("snponly.efi");
    again.read("snponly.efi", 1).read("snponly.efi", 2).wait(2.0).discover().wait(5.0);
    assert_eq!(again.found.len(), 1);
}

#[test]
fn grub_has_no_next_server() {
    let mut boot = Boot::uefi("shimx64.efi");
    boot.read("shimx64.efi", 1)
        .read("revocations_sbat.efi", 2)
        .read("grubx64.efi", 3)
        .ends("which has no next-server");
}

#[test]
fn the_loader_loads_itself() {
    let mut boot = Boot::new(0);
    boot.discover();
    for _ in 0..6 {
        boot.pxe(US, 67, "undionly.kpxe").request().read("undionly.kpxe", 1).wait(4.0).discover_as_ipxe();
    }
    boot.wait(1.0);
    assert_eq!(boot.found, [Missing::ScriptRequest { loaders: 3 }]);
}

#[test]
fn a_second_responder_wins() {
    let mut boot = Boot::new(7);
    boot.discover()
        .lease(2)
        .pxe(US, 67, "")
        .pxe([10, 0, 0, 9], 67, "")
        .request()
        .lease(5)
        .ends("second PXE responder, 10.0.0.9");
}

#[test]
fn a_second_responder_that_is_first_is_still_the_second() {
    let mut boot = Boot::new(7);
    boot.why = Why::new(64, 0).server(US.into());
    boot.discover()
        .lease(2)
        .pxe([10, 0, 0, 9], 67, "")
        .pxe(US, 67, "")
        .request()
        .lease(5)
        .ends("second PXE responder, 10.0.0.9");
}

/// iPXE prefers a menu to a script: it leaves, and the firmware tries its next way to boot.
#[test]
fn a_second_responder_takes_ipxe_away() {
    for (seconds, named) in [(2.0, 1), (300.0, 0)] {
        let mut boot = Boot::new(7);
        boot.discover_as_ipxe().lease(2).pxe(US, 67, "http://10.0.0.2/x").pxe([10, 0, 0, 9], 67, "");
        boot.request().lease(5).wait(seconds).discover().wait(4.0);
        let second = Missing::SecondResponder { server: [10, 0, 0, 9].into() };
        assert_eq!(boot.found.iter().filter(|found| **found == second).count(), named, "{:?}", boot.found);
    }
}

#[test]
fn a_machine_that_asks_our_port_4011_took_our_answer() {
    let mut boot = Boot::new(7);
    boot.discover().lease(2).pxe(US, 67, "").pxe([10, 0, 0, 9], 67, "").request().lease(5);
    boot.ask_boot_server().pxe(US, 4011, "snponly.efi").ends("no TFTP read of snponly.efi");
}

#[test]
fn boots_that_go_well_are_not_spoken_of() {
    let mut boot = Boot::uefi("snponly.efi");
    boot.read("snponly.efi", 1).read("snponly.efi", 2).wait(5.0);
    boot.discover_as_ipxe().lease(2).pxe(US, 67, "http://10.0.0.2/x").request().lease(5).wait(130.0);
    assert_eq!(boot.found, []);
    let mut chain = Boot::new(0);
    chain
        .discover()
        .lease(2)
        .pxe(US, 67, "undionly.kpxe")
        .request()
        .lease(5)
        .wait(16.0)
        .read("undionly.kpxe", 1)
        .wait(3.0);
    chain.discover_as_ipxe().pxe(US, 67, "http://10.0.0.2/x").request().wait(130.0);
    assert_eq!(chain.found, []);
    let mut pxelinux = Boot::new(0);
    pxelinux.discover().lease(2).pxe(US, 67, "pxelinux.0").request().lease(5).read("pxelinux.0", 1);
    pxelinux.read("ldlinux.c32", 2).read("pxelinux.cfg/default", 3).wait(130.0);
    assert_eq!(pxelinux.found, []);
}
