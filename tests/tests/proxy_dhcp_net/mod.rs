//! What the proxy-dhcp tests share: a segment of two namespaces, lease servers without PXE options, and DHCP clients.
#![allow(dead_code, unreachable_pub)]

pub mod firmware;

use kpc_tests::{Guard, binary, peer, peer_command, wait_for};
use nix::sched::{CloneFlags, setns};
use proxy_dhcp::wire::{Header, Message, Op, Writer, code};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a test waits for what must happen: a slow machine is no mistake.
pub const LONG: Duration = Duration::from_secs(90);

pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 60);
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x77, 0, 1];

/// Runs a command that must succeed.
pub fn run(line: &str) {
    let mut words = line.split_whitespace();
    let out = Command::new(words.next().unwrap()).args(words).stderr(Stdio::piped()).output();
    let out = out.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A host namespace (the servers, `eth0`) and a segment namespace (`br0` with the client's address and taps).
pub struct Net {
    pub host: String,
    pub segment: String,
    pub folder: tempfile::TempDir,
    taps: AtomicU32,
}

impl Net {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("kpc-pdhcp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self {
            host: format!("{tag}-h"),
            segment: format!("{tag}-s"),
            folder: tempfile::tempdir().unwrap(),
            taps: AtomicU32::new(0),
        };
        let (host, segment) = (&net.host, &net.segment);
        for name in [host, segment] {
            run(&format!("ip netns add {name}"));
            run(&format!("ip netns exec {name} sysctl -qw net.ipv6.conf.default.accept_dad=0"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!(
            "ip -n {segment} link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        ));
        run(&format!("ip -n {host} link add eth0 type veth peer name port0 netns {segment}"));
        run(&format!("ip -n {segment} link set port0 master br0"));
        for up in ["port0", "br0"] {
            run(&format!("ip -n {segment} link set {up} up"));
        }
        run(&format!("ip -n {host} addr add {HOST}/24 dev eth0"));
        run(&format!("ip -n {host} link set eth0 up"));
        run(&format!("ip -n {segment} addr add {CLIENT}/24 dev br0"));
        run(&format!("ip -n {segment} route add 255.255.255.255 dev br0"));
        net
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command inside the host namespace.
    pub fn on_host(&self, program: &std::path::Path) -> Command {
        inside(&self.host, program)
    }

    /// A command inside the segment namespace.
    pub fn on_segment(&self, program: &std::path::Path) -> Command {
        inside(&self.segment, program)
    }

    /// Standard output and error of a command, into a file.
    pub fn logged<'c>(&self, command: &'c mut Command, name: &str) -> &'c mut Command {
        let log = File::create(self.path(name)).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log)
    }

    pub fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// A tap on the segment, for one machine.
    pub fn tap(&self) -> String {
        let tap = format!("tap{}", self.taps.fetch_add(1, Ordering::Relaxed));
        run(&format!("ip netns exec {} ip tuntap add {tap} mode tap", self.segment));
        run(&format!("ip -n {} link set {tap} master br0", self.segment));
        run(&format!("ip -n {} link set {tap} up", self.segment));
        tap
    }

    /// proxy-dhcpd in the host namespace, with all its sockets open and its signals taken.
    pub fn proxy(&self, more: &[&str]) -> Guard {
        let mut command = self.on_host(&binary("proxy-dhcpd"));
        command.args(["--interface", "eth0", "--log-level", "debug"]).args(more);
        let mut guard = Guard::spawn(self.logged(&mut command, "proxy.log"));
        wait_for("the start of proxy-dhcpd", LONG, || {
            assert!(guard.is_running(), "proxy-dhcpd ended:\n{}", self.log("proxy.log"));
            self.log("proxy.log").contains("answering network boot requests")
        });
        guard
    }

    /// The existing lease server. `None` when it is not installed.
    pub fn lease_server(&self, kind: LeaseServer) -> Option<Guard> {
        self.lease_server_in(&self.host, kind, "")
    }

    /// The lease server in a namespace; `more` goes into dhcpd's subnet block.
    pub fn lease_server_in(&self, namespace: &str, kind: LeaseServer, more: &str) -> Option<Guard> {
        let mac = MAC.map(|octet| format!("{octet:02x}")).join(":");
        let mut command = match kind {
            LeaseServer::Dhcpd => {
                let text = format!(
                    "authoritative; ping-check false; default-lease-time 600;\n\
                     subnet 10.77.0.0 netmask 255.255.255.0 {{ range 10.77.0.100 10.77.0.199; {more} }}\n\
                     host client {{ hardware ethernet {mac}; fixed-address {CLIENT}; }}\n"
                );
                std::fs::write(self.path("dhcpd.conf"), text).unwrap();
                File::create(self.path("leases")).unwrap();
                let program = peer("dhcpd")?;
                let libraries = peer_command(&program);
                let mut command = inside(namespace, &program);
                command.envs(libraries.get_envs().filter_map(|(key, value)| Some((key, value?))));
                command.args(["-4", "-f", "-d", "--no-pid", "-cf"]).arg(self.path("dhcpd.conf"));
                command.arg("-lf").arg(self.path("leases")).arg("eth0");
                command
            }
            LeaseServer::Dnsmasq { bind_interfaces } => {
                let mut command = inside(namespace, &peer("dnsmasq")?);
                command.args(["-k", "--conf-file=/dev/null", "--port=0", "--no-ping", "--user=root"]);
                command.args([
                    "--interface=eth0",
                    "--dhcp-authoritative",
                    "--dhcp-range=10.77.0.100,10.77.0.199",
                ]);
                command.arg(format!("--dhcp-host={mac},{CLIENT}"));
                command.arg(format!("--dhcp-leasefile={}", self.path("leases").display()));
                if bind_interfaces {
                    command.arg("--bind-interfaces");
                }
                command
            }
        };
        let guard = Guard::spawn(self.logged(&mut command, "lease.log"));
        self.wait_for_port(namespace, 67);
        Some(guard)
    }

    /// A third namespace on the segment, 10.77.0.2, for a lease server of its own.
    pub fn third_host(&self) -> String {
        let (name, segment) = (format!("{}-l", self.host), &self.segment);
        run(&format!("ip netns add {name}"));
        run(&format!("ip -n {name} link add eth0 type veth peer name port1 netns {segment}"));
        run(&format!("ip -n {segment} link set port1 master br0"));
        run(&format!("ip -n {segment} link set port1 up"));
        run(&format!("ip -n {name} addr add 10.77.0.2/24 dev eth0"));
        run(&format!("ip -n {name} link set eth0 up"));
        name
    }

    /// dnsmasq as the proxy, with KPC's flags and a service for x64 UEFI.
    pub fn dnsmasq_proxy(&self) -> Option<Guard> {
        let mut command = inside(&self.host, &peer("dnsmasq")?);
        command.args([
            "-k",
            "--conf-file=/dev/null",
            "--port=0",
            "--user=root",
            "--interface=eth0",
            "--log-dhcp",
        ]);
        command.args(["--bind-interfaces", &format!("--dhcp-range={HOST},proxy")]);
        command.arg("--dhcp-userclass=set:ipxe,iPXE");
        for (arch, loader) in [("x86PC", "undionly.kpxe"), ("x86-64_EFI", "snponly.efi")] {
            command.arg(format!("--pxe-service=tag:#ipxe,{arch},Loader,{loader}"));
            command.arg(format!("--pxe-service=tag:ipxe,{arch},iPXE,http://{HOST}:8080/boot.ipxe"));
        }
        let guard = Guard::spawn(self.logged(&mut command, "proxy.log"));
        self.wait_for_port(&self.host, 4011);
        Some(guard)
    }

    /// dnsmasq as a proxy on a host of its own, whose menu UEFI prefers to an answer without one.
    pub fn rogue_proxy(&self) -> Option<Guard> {
        let host = self.third_host();
        let mut command = inside(&host, &peer("dnsmasq")?);
        command.args(["-k", "--conf-file=/dev/null", "--port=0", "--user=root", "--interface=eth0"]);
        command.args(["--bind-interfaces", "--dhcp-range=10.77.0.2,proxy"]);
        command.args(["--pxe-service=x86-64_EFI,One,one.efi", "--pxe-service=x86-64_EFI,Two,two.efi"]);
        let guard = Guard::spawn(self.logged(&mut command, "rogue.log"));
        self.wait_for_port(&host, 4011);
        Some(guard)
    }

    /// Waits until something is bound to a UDP port of a namespace.
    pub fn wait_for_port(&self, namespace: &str, port: u16) {
        let namespace = namespace.to_owned();
        wait_for(&format!("a socket on port {port}"), LONG, move || {
            let table =
                in_namespace(&namespace, || std::fs::read_to_string("/proc/thread-self/net/udp").unwrap());
            table.lines().any(|line| {
                line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&format!(":{port:04X}")))
            })
        });
    }

    /// A UDP socket in the segment namespace. It waits long for an answer.
    pub fn client_socket(&self, address: Ipv4Addr, port: u16) -> UdpSocket {
        let socket = in_namespace(&self.segment, move || UdpSocket::bind((address, port)).unwrap());
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let third = format!("{}-l", self.host);
        for name in [&self.host, &self.segment, &third] {
            let _ = Command::new("ip").stderr(Stdio::null()).args(["netns", "del", name]).status();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum LeaseServer {
    Dhcpd,
    Dnsmasq { bind_interfaces: bool },
}

fn inside(namespace: &str, program: &std::path::Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Runs `work` on a thread inside a namespace; sockets it makes stay there.
pub fn in_namespace<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = File::open(format!("/var/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// A client's message; `options` follow the message type.
pub fn client_message(
    kind: u8,
    xid: u32,
    ciaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: &[(u8, &[u8])],
) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut chaddr = [0; 16];
    chaddr[..6].copy_from_slice(&MAC);
    let hops = u8::from(!giaddr.is_unspecified());
    let header = Header {
        op: Op::Request,
        htype: 1,
        hlen: 6,
        hops,
        xid,
        secs: 0,
        flags: 0,
        ciaddr,
        yiaddr: none,
        siaddr: none,
        giaddr,
        chaddr,
    };
    let mut octets = Vec::new();
    let mut writer = Writer::new(&mut octets, &header, b"", b"");
    writer.option(code::MESSAGE_TYPE, &[kind]);
    for (code, value) in options {
        writer.option(*code, value);
    }
    writer.finish();
    octets
}

/// What makes a request one of BIOS network boot.
pub const BIOS: &[(u8, &[u8])] =
    &[(code::VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001"), (code::CLIENT_ARCH, &[0, 0])];

/// Sends a request and takes the first answer with its transaction id that `wanted` accepts.
pub fn exchange(
    socket: &UdpSocket,
    octets: &[u8],
    to: SocketAddrV4,
    wanted: impl Fn(&Message<'_>) -> bool,
) -> Option<Vec<u8>> {
    let xid = Message::parse(octets).unwrap().xid;
    socket.send_to(octets, to).unwrap();
    let mut buffer = [0; 2048];
    while let Ok((length, _)) = socket.recv_from(&mut buffer) {
        let answer = Message::parse(&buffer[..length]);
        if answer.is_ok_and(|answer| answer.op == Op::Reply && answer.xid == xid && wanted(&answer)) {
            return Some(buffer[..length].to_vec());
        }
    }
    None
}
