//! proxy-dhcpd as an operator runs it: changing addresses and interfaces, VLANs, held answers, reload, metrics, systemd's
//! socket, privileges, and its end. Needs root for network namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod proxy_dhcp_net;

use kpc_tests::{Guard, binary, is_root, peer, run_within, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_dhcp::MacAddr;
use proxy_dhcp::wire::frame::{self, UdpFrame};
use proxy_dhcp::wire::{Message, code};
use proxy_dhcp_net::{BIOS, CLIENT, HOST, LeaseServer, Net, client_message, exchange, in_namespace, run};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
const LONG: Duration = Duration::from_secs(20);

fn discover(client: u8) -> Vec<u8> {
    static XID: AtomicU32 = AtomicU32::new(1);
    let mut octets = client_message(1, XID.fetch_add(1, Ordering::Relaxed), NONE, NONE, BIOS);
    octets[33] = client;
    octets
}

/// Server and file of the OFFER for one more DISCOVER.
fn offer(socket: &UdpSocket, client: u8) -> Option<(Ipv4Addr, String)> {
    let answer = exchange(socket, &discover(client), EVERYBODY, |answer| {
        answer.options().first(code::VENDOR_CLASS) == Some(b"PXEClient")
    })?;
    let answer = Message::parse(&answer).unwrap();
    let server: [u8; 4] = answer.options().first(code::SERVER_ID)?.try_into().unwrap();
    Some((server.into(), String::from_utf8_lossy(answer.file()).into_owned()))
}

fn tell(guard: &Guard, signal: Signal) {
    kill(Pid::from_raw(guard.id().try_into().unwrap()), signal).unwrap();
}

fn ends(guard: &mut Guard) {
    wait_for("the end of proxy-dhcpd", LONG, || !guard.is_running());
}

#[test]
fn addresses_and_interfaces_that_change_are_followed() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let (host, segment) = (&net.host, &net.segment);
    let mut proxy = net.proxy(&[]);
    let client = net.client_socket(CLIENT, 68);
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(offer(&client, 1).unwrap().0, HOST);
    drop(client);

    // Another address.
    let other = Ipv4Addr::new(10, 88, 0, 1);
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    run(&format!("ip -n {host} addr del {HOST}/24 dev eth0"));
    run(&format!("ip -n {segment} addr add 10.88.0.60/24 dev br0"));
    let client = net.client_socket(Ipv4Addr::new(10, 88, 0, 60), 68);
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut number = 10;
    let mut asks = |wanted: Option<Ipv4Addr>| {
        number += 1; // each machine has its own allowance
        offer(&client, number).map(|(server, _)| server) == wanted
    };
    wait_for("an offer from the new address", LONG, || asks(Some(other)));

    // No address, then one again.
    run(&format!("ip -n {host} addr flush dev eth0"));
    wait_for("silence without an address", LONG, || asks(None));
    let reason = "10.88.0.60 is not on a subnet of the interface";
    wait_for("the reason", LONG, || net.log("proxy.log").contains(reason));
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    wait_for("an offer from the address that came back", LONG, || asks(Some(other)));

    // The interface goes, and another of its name comes.
    run(&format!("ip -n {host} link del eth0"));
    wait_for("word of the loss", LONG, || net.log("proxy.log").contains("no interface `eth0`"));
    assert!(proxy.is_running());
    run(&format!("ip -n {host} link add eth0 type veth peer name port0 netns {segment}"));
    run(&format!("ip -n {segment} link set port0 master br0"));
    run(&format!("ip -n {segment} link set port0 up"));
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    run(&format!("ip -n {host} link set eth0 up"));
    wait_for("an offer by the new interface", LONG, || asks(Some(other)));
    assert!(proxy.is_running());
}

#[test]
fn port_67_is_bound_only_when_told_and_never_beside_a_lease_server() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let refused = || {
        let client = net.client_socket(CLIENT, 68);
        client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        client.connect((HOST, 67)).unwrap();
        client.send(&[0]).unwrap();
        client.recv(&mut [0; 9]).unwrap_err().kind() == ErrorKind::ConnectionRefused
    };
    let proxy = net.proxy(&[]);
    assert!(refused(), "nothing is bound to port 67");
    drop(proxy);
    let proxy = net.proxy(&["--bind-port-67"]);
    assert!(!refused(), "port 67 is occupied");
    let client = net.client_socket(CLIENT, 68);
    assert_eq!(offer(&client, 1).unwrap().1, "undionly.kpxe");
    drop((proxy, client));

    let Some(_lease) = net.lease_server(LeaseServer::Dhcpd) else { return };
    let mut second = net.on_host(&binary("proxy-dhcpd"));
    let (done, said) = run_within(second.args(["--interface", "eth0", "--bind-port-67"]), LONG);
    assert!(!done && said.contains("a DHCP server runs on this host"), "{said}");
}

/// A packet socket on the segment's side of the server's cable.
struct Cable(std::os::fd::OwnedFd);

impl Cable {
    fn new(net: &Net) -> Self {
        use nix::sys::socket as s;
        Self(in_namespace(&net.segment, || {
            let (family, kind) = (s::AddressFamily::Packet, s::SockType::Raw);
            let socket = s::socket(family, kind, s::SockFlag::SOCK_CLOEXEC, s::SockProtocol::EthAll).unwrap();
            let all = nix::ifaddrs::getifaddrs().unwrap().filter(|one| one.interface_name == "port0");
            let link = all.filter_map(|one| one.address.and_then(|address| address.as_link_addr().copied()));
            s::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &link.last().unwrap()).unwrap();
            let patience = nix::sys::time::TimeVal::new(0, 500_000);
            s::setsockopt(&socket, s::sockopt::ReceiveTimeout, &patience).unwrap();
            socket
        }))
    }

    /// Sends a DISCOVER in a frame, with a VLAN tag where `vlan` is given, and gives the file of its OFFER.
    fn ask(&self, client: u8, vlan: Option<u16>) -> Option<String> {
        use nix::sys::socket::{MsgFlags, recv, send};
        let discover = discover(client);
        let xid = Message::parse(&discover).unwrap().xid;
        let mut octets = vec![0; frame::HEADERS];
        octets.extend(discover);
        let mac = MacAddr([0x52, 0x54, 0, 0, 9, client]);
        assert!(frame::seal(&mut octets, mac, MacAddr::BROADCAST, SocketAddrV4::new(NONE, 68), EVERYBODY));
        if let Some(vlan) = vlan {
            let [high, low] = vlan.to_be_bytes();
            octets.splice(12..12, [0x81, 0x00, high, low]);
        }
        let socket = std::os::fd::AsRawFd::as_raw_fd(&self.0);
        send(socket, &octets, MsgFlags::empty()).unwrap();
        let mut buffer = [0; 2048];
        while let Ok(length) = recv(socket, &mut buffer, MsgFlags::empty()) {
            let Ok(udp) = UdpFrame::parse(&buffer[..length]) else { continue };
            let Ok(answer) = Message::parse(udp.payload) else { continue };
            if answer.xid == xid && answer.op == proxy_dhcp::wire::Op::Reply {
                return Some(String::from_utf8_lossy(answer.file()).into_owned());
            }
        }
        None
    }
}

/// IEEE 802.1Q: a frame of a VLAN is not one of the interface below it; the priority tag (VLAN 0) is no VLAN.
#[test]
fn a_vlan_is_an_interface_of_its_own() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let (host, segment) = (&net.host, &net.segment);
    let proxy = net.proxy(&[]);
    let cable = Cable::new(&net);
    assert_eq!(cable.ask(1, None).as_deref(), Some("undionly.kpxe"));
    assert_eq!(cable.ask(2, Some(0)).as_deref(), Some("undionly.kpxe"), "a priority tag");
    assert_eq!(cable.ask(3, Some(10)), None, "VLAN 10 is not the interface's own network");
    drop(proxy);

    let made = Command::new("ip")
        .args(["-n", host, "link", "add", "link", "eth0", "name", "eth0.10", "type", "vlan", "id", "10"])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: this kernel makes no VLAN interfaces; the frames were tried");
        return;
    }
    run(&format!("ip -n {host} addr add 10.99.0.1/24 dev eth0.10"));
    run(&format!("ip -n {host} link set eth0.10 up"));
    run(&format!("ip -n {segment} link add link br0 name br0.10 type vlan id 10"));
    run(&format!("ip -n {segment} addr add 10.99.0.60/24 dev br0.10"));
    run(&format!("ip -n {segment} link set br0.10 up"));
    run(&format!("ip -n {segment} route replace 255.255.255.255 dev br0.10"));
    let _proxy = net.proxy(&["--interface", "eth0.10"]);
    let client = net.client_socket(Ipv4Addr::new(10, 99, 0, 60), 68);
    assert_eq!(offer(&client, 4).unwrap().0, Ipv4Addr::new(10, 99, 0, 1));
}

const HELD: &str =
    "[[rule]]\nname = 'slow'\nboot = 'slow.0'\ndelay-ms = 1500\nwhen = { mac = '52:54:00:77:00:02' }\n";

#[test]
fn a_held_answer_holds_up_nobody_and_is_sent_before_the_end() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.path("proxy.toml"), HELD).unwrap();
    let path = net.path("proxy.toml");
    let config = ["--config", path.to_str().unwrap()];
    let mut proxy = net.proxy(&config);
    let client = net.client_socket(CLIENT, 68);
    client.set_read_timeout(Some(Duration::from_secs(4))).unwrap();

    // The slow machine asks first, the other is answered first.
    client.send_to(&discover(2), EVERYBODY).unwrap();
    assert_eq!(offer(&client, 3).unwrap().1, "undionly.kpxe");
    let mut buffer = [0; 2048];
    let mut next = || client.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
    let file =
        |octets: Vec<u8>| String::from_utf8_lossy(Message::parse(&octets).unwrap().file()).into_owned();
    assert_eq!(next().map(file).as_deref(), Some("slow.0"));

    // SIGTERM while one is held back: it is sent, then the program ends.
    client.send_to(&discover(2), EVERYBODY).unwrap();
    assert_eq!(offer(&client, 3).unwrap().1, "undionly.kpxe");
    tell(&proxy, Signal::SIGTERM);
    let mut buffer = [0; 2048];
    let length = client.recv(&mut buffer).expect("the held answer, after SIGTERM");
    assert_eq!(Message::parse(&buffer[..length]).unwrap().file(), b"slow.0");
    ends(&mut proxy);

    // With nothing to send it ends at once, also without a drain.
    for drain in ["10s", "0"] {
        let mut proxy = net.proxy(&[config[0], config[1], "--drain", drain]);
        tell(&proxy, Signal::SIGTERM);
        ends(&mut proxy);
    }
    // A second SIGTERM ends it though something is held back.
    let mut proxy = net.proxy(&config);
    client.send_to(&discover(2), EVERYBODY).unwrap();
    assert_eq!(offer(&client, 3).unwrap().1, "undionly.kpxe");
    tell(&proxy, Signal::SIGTERM);
    tell(&proxy, Signal::SIGINT);
    ends(&mut proxy);
}

#[test]
fn sighup_changes_the_policy_and_a_mistake_changes_nothing() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let path = net.path("proxy.toml");
    run(&format!("chmod 755 {}", net.folder.path().display()));
    std::fs::write(&path, "[boot]\nbios = 'one.0'\n").unwrap();
    let proxy = net.proxy(&["--config", path.to_str().unwrap()]);
    let client = net.client_socket(CLIENT, 68);
    assert_eq!(offer(&client, 1).unwrap().1, "one.0");
    std::fs::write(&path, "[boot]\nbios = 'two.0'\n").unwrap();
    tell(&proxy, Signal::SIGHUP);
    wait_for("the new policy", LONG, || net.log("proxy.log").contains("policy read again"));
    assert_eq!(offer(&client, 1).unwrap().1, "two.0");
    std::fs::write(&path, "[boot]\nbios = 'three.0'\nx46 = 'four.0'\n").unwrap();
    tell(&proxy, Signal::SIGHUP);
    wait_for("word of the mistake", LONG, || {
        net.log("proxy.log").contains("[boot] x46: no such architecture")
    });
    assert_eq!(offer(&client, 1).unwrap().1, "two.0");
}

#[test]
fn metrics_count_what_happened() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let _proxy = net.proxy(&["--metrics", "127.0.0.1:9467"]);
    let client = net.client_socket(CLIENT, 68);
    for _ in 0..3 {
        assert!(offer(&client, 1).is_some());
    }
    client.send_to(&[1; 20], EVERYBODY).unwrap();
    let page = || {
        in_namespace(&net.host, || {
            let mut stream = TcpStream::connect("127.0.0.1:9467").unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        })
    };
    wait_for("the counters", LONG, || {
        let page = page();
        page.contains("\nproxy_dhcp_answers_total{stage=\"firmware\"} 3\n")
            && page.contains("\nproxy_dhcp_ignored_total{why=\"malformed\"} 1\n")
    });
}

#[test]
fn systemds_socket_is_port_4011() {
    if !is_root() {
        return;
    }
    let (net, Some(python)) = (Net::new(), peer("python3")) else { return };
    // What systemd does for `ListenDatagram=4011`: the socket is descriptor 3, the variables say so.
    let activate = "import os, socket, sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.bind(('0.0.0.0', 4011))\n\
        os.dup2(s.fileno(), 3)\n\
        os.set_inheritable(3, True)\n\
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[1], sys.argv[1:])\n";
    let mut command = net.on_host(&python);
    command.args(["-c", activate]).arg(binary("proxy-dhcpd")).args(["--interface", "eth0"]);
    let _proxy = Guard::spawn(net.logged(&mut command, "proxy.log"));
    wait_for("the start", LONG, || net.log("proxy.log").contains("answering network boot requests"));
    let bound = in_namespace(&net.host, || std::fs::read_to_string("/proc/thread-self/net/udp").unwrap());
    assert_eq!(bound.matches(":0FAB ").count(), 1, "{bound}");
    // PXE 2.1 §2.2: UEFI asks port 4011 and is answered at the port it asked from.
    let uefi: &[(u8, &[u8])] =
        &[(code::VENDOR_CLASS, b"PXEClient:Arch:00007:UNDI:003000"), (code::CLIENT_ARCH, &[0, 7])];
    let client = net.client_socket(CLIENT, 4011);
    let request = client_message(3, 77, CLIENT, NONE, uefi);
    let answer = exchange(&client, &request, SocketAddrV4::new(HOST, 4011), |_| true).expect("an ACK");
    assert_eq!(Message::parse(&answer).unwrap().file(), b"snponly.efi");
}

#[test]
fn two_capabilities_are_kept_and_nothing_else() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    for (flags, uid) in [(&[][..], "65534"), (&["--user", "root"][..], "0")] {
        let proxy = net.proxy(flags);
        wait_for("the start", LONG, || net.log("proxy.log").contains("answering network boot requests"));
        let threads = std::fs::read_dir(format!("/proc/{}/task", proxy.id())).unwrap();
        let mut count = 0;
        for thread in threads {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
            };
            // CAP_NET_BIND_SERVICE is 10, CAP_NET_RAW 13 (capabilities(7)).
            for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
                assert_eq!(u64::from_str_radix(&field(set)[0], 16).unwrap(), 1 << 10 | 1 << 13, "{status}");
            }
            for set in ["CapInh:", "CapAmb:"] {
                assert_eq!(u64::from_str_radix(&field(set)[0], 16).unwrap(), 0, "{status}");
            }
            assert_eq!(field("Uid:"), [uid; 4], "{status}");
            assert_eq!(field("NoNewPrivs:"), ["1"], "{status}");
            count += 1;
        }
        assert!(count > 1, "the serving thread is one of them");
    }
}
