//! proxy-dhcpd on the host of an existing lease server (ISC dhcpd, dnsmasq): the lease server keeps every datagram of
//! port 67, whoever starts first, and machines boot. Needs root for network namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

mod proxy_dhcp_net;

use kpc_tests::{Guard, is_root, peer, wait_for};
use proxy_dhcp::wire::code;
use proxy_dhcp_net::{BIOS, CLIENT, HOST, LONG, LeaseServer, Net, client_message, exchange};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const COUNT: u32 = 100;

/// 100 unicast renewals and 100 relayed DISCOVERs reach the lease server, and ours answers a machine meanwhile.
fn keeps_its_traffic(kind: LeaseServer, proxy_first: bool) {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let (_proxy, _lease);
    if proxy_first {
        _proxy = net.proxy(&[]);
        let Some(lease) = net.lease_server(kind) else { return };
        _lease = lease;
    } else {
        let Some(lease) = net.lease_server(kind) else { return };
        _lease = lease;
        _proxy = net.proxy(&[]);
    }
    let none = Ipv4Addr::UNSPECIFIED;
    let server = SocketAddrV4::new(HOST, 67);
    let has_lease = |answer: &proxy_dhcp::wire::Message<'_>| !answer.yiaddr.is_unspecified();

    // RFC 2131 §4.1: a relay is answered at its address, port 67. The DISCOVERs are of network boot, so that ours sees
    // reason to answer too; it must not, because the relay is not one of its own.
    let relay = net.client_socket(CLIENT, 67);
    // A lease server that binds its port has not opened every socket yet.
    relay.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut xid = 10_000;
    wait_for("the lease server's first answer", LONG, || {
        xid += 1;
        exchange(&relay, &client_message(1, xid, none, CLIENT, BIOS), server, has_lease).is_some()
    });
    relay.set_read_timeout(Some(LONG)).unwrap();
    let offers = (1..=COUNT).filter(|xid| {
        exchange(&relay, &client_message(1, *xid, none, CLIENT, BIOS), server, has_lease).is_some()
    });
    assert_eq!(offers.count(), COUNT as usize, "relayed DISCOVERs answered by the lease server");
    let id = HOST.octets();
    let address = CLIENT.octets();
    let request: &[(u8, &[u8])] = &[(50, &address), (code::SERVER_ID, &id)];
    assert!(
        exchange(&relay, &client_message(3, 500, none, CLIENT, request), server, has_lease).is_some(),
        "a lease"
    );

    // RFC 2131 §4.3.6, RENEWING: unicast from the leased address.
    let client = net.client_socket(CLIENT, 68);
    let renewals = (1001..=1000 + COUNT).filter(|xid| {
        exchange(&client, &client_message(3, *xid, CLIENT, none, &[]), server, has_lease).is_some()
    });
    assert_eq!(renewals.count(), COUNT as usize, "unicast renewals answered by the lease server");

    let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let ours = exchange(&client, &client_message(1, 7000, none, none, BIOS), broadcast, |answer| {
        answer.options().first(code::VENDOR_CLASS) == Some(b"PXEClient")
    });
    let ours = ours.unwrap_or_else(|| panic!("no proxy answer:\n{}", net.log("proxy.log")));
    assert_eq!(proxy_dhcp::wire::Message::parse(&ours).unwrap().file(), b"undionly.kpxe");
}

#[test]
fn dhcpd_first() {
    keeps_its_traffic(LeaseServer::Dhcpd, false);
}

#[test]
fn dhcpd_second() {
    keeps_its_traffic(LeaseServer::Dhcpd, true);
}

#[test]
fn dnsmasq_first() {
    keeps_its_traffic(LeaseServer::Dnsmasq { bind_interfaces: false }, false);
}

#[test]
fn dnsmasq_second() {
    keeps_its_traffic(LeaseServer::Dnsmasq { bind_interfaces: false }, true);
}

#[test]
fn dnsmasq_bind_interfaces_first() {
    keeps_its_traffic(LeaseServer::Dnsmasq { bind_interfaces: true }, false);
}

#[test]
fn dnsmasq_bind_interfaces_second() {
    keeps_its_traffic(LeaseServer::Dnsmasq { bind_interfaces: true }, true);
}

#[test]
fn a_bios_rom_takes_the_script_beside_dhcpd() {
    let rom = std::path::Path::new("/usr/lib/ipxe/qemu/pxe-e1000.rom");
    if !is_root() || !rom.is_file() {
        return;
    }
    let (net, Some(qemu)) = (Net::new(), peer("qemu-system-x86_64")) else { return };
    let Some(_lease) = net.lease_server(LeaseServer::Dhcpd) else { return };
    let _proxy = net.proxy(&["--answer-router-solicitations"]);
    let Some(python) = peer("python3") else { return };
    std::fs::write(net.path("boot.ipxe"), "#!ipxe\necho KPC-SCRIPT-RUNS\nsleep 300\n").unwrap();
    let mut http = net.on_host(&python);
    http.args(["-m", "http.server", "8080", "--directory"]).arg(net.folder.path());
    let _http = Guard::spawn(net.logged(&mut http, "http.log"));
    let tap = net.tap();
    let mut machine = net.on_segment(&qemu);
    machine.args(
        "-accel tcg -m 256 -display none -nodefaults -vga none -monitor none -machine pc,graphics=off"
            .split(' '),
    );
    machine.arg("-serial").arg(format!("file:{}", net.path("serial").display()));
    machine.arg("-netdev").arg(format!("tap,id=n0,ifname={tap},script=no,downscript=no"));
    machine
        .arg("-device")
        .arg(format!("e1000,netdev=n0,mac=52:54:00:77:00:02,romfile={},bootindex=1", rom.display()));
    let _machine = Guard::spawn(net.logged(&mut machine, "qemu.log"));
    wait_for("the script", Duration::from_secs(240), || net.log("serial").contains("KPC-SCRIPT-RUNS"));
    wait_for("the advertisement's line", LONG, || {
        net.log("proxy.log").contains("told that there is no IPv6 router")
    });
}
