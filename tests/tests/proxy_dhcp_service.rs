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
use proxy_dhcp_net::{
    BIOS, CLIENT, HOST, LONG, LeaseServer, Net, client_message, exchange, in_namespace, run,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
/// How long one request is given before it is sent again, or its silence believed.
const A_WHILE: Duration = Duration::from_millis(500);

fn discover(client: u8) -> Vec<u8> {
    static XID: AtomicU32 = AtomicU32::new(1);
    let mut octets = client_message(1, XID.fetch_add(1, Ordering::Relaxed), NONE, NONE, BIOS);
    octets[33] = client;
    octets
}

/// Server and file of the OFFER for one more DISCOVER, if it comes in [`A_WHILE`].
fn try_offer(socket: &UdpSocket, client: u8) -> Option<(Ipv4Addr, String)> {
    socket.set_read_timeout(Some(A_WHILE)).unwrap();
    let answer = exchange(socket, &discover(client), EVERYBODY, |answer| {
        answer.options().first(code::VENDOR_CLASS) == Some(b"PXEClient")
    })?;
    let answer = Message::parse(&answer).unwrap();
    let server: [u8; 4] = answer.options().first(code::SERVER_ID)?.try_into().unwrap();
    Some((server.into(), String::from_utf8_lossy(answer.file()).into_owned()))
}

/// The same, asked for as a machine does: again and again.
fn offer(socket: &UdpSocket, client: u8) -> (Ipv4Addr, String) {
    let mut offered = None;
    wait_for("an offer", LONG, || {
        offered = try_offer(socket, client);
        offered.is_some()
    });
    offered.unwrap()
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
    assert_eq!(offer(&net.client_socket(CLIENT, 68), 1).0, HOST);

    // Another address.
    let other = Ipv4Addr::new(10, 88, 0, 1);
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    run(&format!("ip -n {host} addr del {HOST}/24 dev eth0"));
    run(&format!("ip -n {segment} addr add 10.88.0.60/24 dev br0"));
    let client = net.client_socket(Ipv4Addr::new(10, 88, 0, 60), 68);
    let mut number = 10_u8;
    let mut ask = || {
        number = number.wrapping_add(1); // each machine has its own allowance
        try_offer(&client, number).map(|(server, _)| server)
    };
    wait_for("an offer from the new address", LONG, || ask() == Some(other));

    // No address, then one again.
    // It may have been said before, while the first change was not seen.
    let reasons = || net.log("proxy.log").matches("10.88.0.60 is not on a subnet of the interface").count();
    let before = reasons();
    run(&format!("ip -n {host} addr flush dev eth0"));
    wait_for("the reason for silence", LONG, || {
        let _ = ask(); // answered while the change is not seen
        reasons() > before
    });
    assert_eq!(ask(), None, "silence without an address");
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    wait_for("an offer from the address that came back", LONG, || ask() == Some(other));

    // The interface goes, and another of its name comes.
    run(&format!("ip -n {host} link del eth0"));
    wait_for("word of the loss", LONG, || net.log("proxy.log").contains("no interface `eth0`"));
    assert!(proxy.is_running());
    run(&format!("ip -n {host} link add eth0 type veth peer name port0 netns {segment}"));
    run(&format!("ip -n {segment} link set port0 master br0"));
    run(&format!("ip -n {segment} link set port0 up"));
    run(&format!("ip -n {host} addr add {other}/24 dev eth0"));
    run(&format!("ip -n {host} link set eth0 up"));
    wait_for("an offer by the new interface", LONG, || ask() == Some(other));
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
        client.set_read_timeout(Some(A_WHILE)).unwrap();
        client.connect((HOST, 67)).unwrap();
        client.send(&[0]).unwrap();
        client.recv(&mut [0; 9]).unwrap_err().kind() == ErrorKind::ConnectionRefused
    };
    let proxy = net.proxy(&[]);
    wait_for("word that nothing is bound to port 67", LONG, refused);
    drop(proxy);
    let proxy = net.proxy(&["--bind-port-67"]);
    assert!(!refused(), "port 67 is occupied");
    let client = net.client_socket(CLIENT, 68);
    assert_eq!(offer(&client, 1).1, "undionly.kpxe");
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
            let patience = nix::sys::time::TimeVal::new(0, A_WHILE.subsec_micros().into());
            s::setsockopt(&socket, s::sockopt::ReceiveTimeout, &patience).unwrap();
            socket
        }))
    }

    /// Sends a DISCOVER in a frame, with a VLAN tag where `vlan` is given, and gives the file of its OFFER
    /// if it comes in [`A_WHILE`].
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

    /// The same, again and again.
    fn answered(&self, client: u8, vlan: Option<u16>) {
        wait_for("an offer on the cable", LONG, || {
            self.ask(client, vlan).as_deref() == Some("undionly.kpxe")
        });
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
    cable.answered(1, None);
    cable.answered(2, Some(0)); // a priority tag
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
    assert_eq!(offer(&client, 4).0, Ipv4Addr::new(10, 99, 0, 1));
}

const HELD_FOR: Duration = Duration::from_millis(1500);

fn held(delay: Duration) -> String {
    format!(
        "[[rule]]\nname = 'slow'\nboot = 'slow.0'\ndelay-ms = {}\nwhen = {{ mac = '52:54:00:77:00:02' }}\n",
        delay.as_millis()
    )
}

/// The files of the next two OFFERs, to a machine whose answer is held back and to another that asks after it, as they
/// come; `between` is called while one is held back.
fn slow_and_other(client: &UdpSocket, between: impl Fn()) -> [String; 2] {
    client.set_read_timeout(Some(LONG)).unwrap();
    let asked = [discover(2), discover(3)];
    let xids = asked.each_ref().map(|asked| Message::parse(asked).unwrap().xid);
    let start = Instant::now();
    for asked in &asked {
        client.send_to(asked, EVERYBODY).unwrap();
    }
    let next = || {
        let mut buffer = [0; 2048];
        loop {
            let length = client.recv(&mut buffer).expect("an answer");
            let Ok(answer) = Message::parse(&buffer[..length]) else { continue };
            if xids.contains(&answer.xid) {
                let file = String::from_utf8_lossy(answer.file()).into_owned();
                assert!(file != "slow.0" || start.elapsed() >= HELD_FOR, "it is held back");
                return file;
            }
        }
    };
    let first = next();
    if first != "slow.0" {
        between();
    }
    [first, next()]
}

#[test]
fn a_held_answer_holds_up_nobody_and_is_sent_before_the_end() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.path("proxy.toml"), held(HELD_FOR)).unwrap();
    let path = net.path("proxy.toml");
    let config = ["--config", path.to_str().unwrap()];
    let client = net.client_socket(CLIENT, 68);

    // The slow machine asks first, the other is answered first (unless this machine sleeps between the two).
    let in_order = ["undionly.kpxe", "slow.0"];
    let proxy = net.proxy(&config);
    wait_for("the other machine's offer before the slow one's", LONG, || {
        slow_and_other(&client, || {}) == in_order
    });
    drop(proxy);

    // SIGTERM while one is held back: it is sent, then the program ends.
    wait_for("a held answer after SIGTERM", LONG, || {
        let mut proxy = net.proxy(&[config[0], config[1], "--drain", "300s"]);
        let came = slow_and_other(&client, || tell(&proxy, Signal::SIGTERM)) == in_order;
        if came {
            ends(&mut proxy);
        }
        came
    });

    // With nothing to send it ends at once, also without a drain.
    for drain in ["300s", "0"] {
        let mut proxy = net.proxy(&[config[0], config[1], "--drain", drain]);
        tell(&proxy, Signal::SIGTERM);
        ends(&mut proxy);
    }
    // A second signal ends it though something is held back.
    std::fs::write(net.path("proxy.toml"), held(LONG * 2)).unwrap();
    let mut proxy = net.proxy(&[config[0], config[1], "--drain", "300s"]);
    client.send_to(&discover(2), EVERYBODY).unwrap();
    assert_eq!(offer(&client, 3).1, "undionly.kpxe");
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
    assert_eq!(offer(&client, 1).1, "one.0");
    // While others ask the server waits for them on their socket: what it was before that wait is not used after it.
    let asking = client.try_clone().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let is_done = done.clone();
    let others = std::thread::spawn(move || {
        for number in (10..200).cycle().take_while(|_| !is_done.load(Ordering::Relaxed)) {
            asking.send_to(&discover(number), EVERYBODY).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for round in 1..=20 {
        let file = if round % 2 == 0 { "two.0" } else { "odd.0" };
        std::fs::write(&path, format!("[boot]\nbios = '{file}'\n")).unwrap();
        tell(&proxy, Signal::SIGHUP);
        wait_for("the new policy", LONG, || {
            net.log("proxy.log").matches("policy read again").count() == round
        });
        assert_eq!(offer(&client, 1).1, file);
    }
    done.store(true, Ordering::Relaxed);
    others.join().unwrap();
    std::fs::write(&path, "[boot]\nbios = 'three.0'\nx46 = 'four.0'\n").unwrap();
    tell(&proxy, Signal::SIGHUP);
    wait_for("word of the mistake", LONG, || {
        net.log("proxy.log").contains("[boot] x46: no such architecture")
    });
    assert_eq!(offer(&client, 1).1, "two.0");
}

#[test]
fn metrics_count_what_happened() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    let _proxy = net.proxy(&["--metrics", "127.0.0.1:9467"]);
    let client = net.client_socket(CLIENT, 68);
    let mut asked = 0;
    for machine in 1..=3 {
        wait_for("an offer", LONG, || {
            asked += 1;
            try_offer(&client, machine).is_some()
        });
    }
    client.send_to(&[1; 20], EVERYBODY).unwrap();
    let page = || {
        in_namespace(&net.host, || {
            let mut stream = TcpStream::connect("127.0.0.1:9467").ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text)
        })
    };
    wait_for("the counters", LONG, || {
        let page = page().unwrap_or_default();
        page.contains(&format!("\nproxy_dhcp_answers_total{{stage=\"firmware\"}} {asked}\n"))
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
    client.set_read_timeout(Some(A_WHILE)).unwrap();
    let mut xid = 76;
    wait_for("an ACK", LONG, || {
        xid += 1;
        let request = client_message(3, xid, CLIENT, NONE, uefi);
        let answer = exchange(&client, &request, SocketAddrV4::new(HOST, 4011), |_| true);
        answer.is_some_and(|answer| Message::parse(&answer).unwrap().file() == b"snponly.efi")
    });
}

#[test]
fn two_capabilities_are_kept_and_nothing_else() {
    if !is_root() {
        return;
    }
    let net = Net::new();
    for (flags, uid) in [(&[][..], "65534"), (&["--user", "root"][..], "0")] {
        let proxy = net.proxy(flags);
        offer(&net.client_socket(CLIENT, 68), 1); // the serving thread is there
        let threads = std::fs::read_dir(format!("/proc/{}/task", proxy.id())).unwrap();
        let mut count = 0;
        for thread in threads {
            // One that ended meanwhile has nothing to say.
            let Ok(status) = std::fs::read_to_string(thread.unwrap().path().join("status")) else { continue };
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
