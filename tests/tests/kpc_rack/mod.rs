//! A rack without firmware: `kpc serve` and Debian's dhcpd on a segment of namespaces, and machines that are scripts. A
//! machine is a namespace with an interface of its own; it speaks DHCP in frames, TFTP and HTTP over the kernel's sockets.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kpc_tests::{Guard, binary, peer, peer_command, run_within, wait_for};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket as s;
use proxy_dhcp::MacAddr;
use proxy_dhcp::wire::frame;
use proxy_dhcp::wire::{Header, Message, Op, Writer, code};
use serde_json::{Value, json};

/// The deploy host.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
/// The existing lease server.
pub const LEASES: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 2);
/// Waits end by a condition; this is how long a slow computer has.
pub const LIMIT: Duration = Duration::from_secs(90);
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Runs `ip` once for many lines.
pub fn ip(lines: &str) {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{lines}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Runs `work` on a thread inside a named namespace.
pub fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(namespace);
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread into a named namespace.
pub fn enter(namespace: &str) {
    setns(File::open(format!("/var/run/netns/{namespace}")).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
}

/// The segment and everything on it.
pub struct Rack {
    tag: String,
    pub folder: tempfile::TempDir,
    namespaces: Vec<String>,
    guards: Vec<Guard>,
}

impl Rack {
    /// A switch and the deploy host on it.
    pub fn new(tag: &str) -> Self {
        let tag = format!("kpc-{tag}-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut rack = Self { tag, folder, namespaces: Vec::new(), guards: Vec::new() };
        let switch = rack.switch("s");
        let host = rack.namespace("host");
        rack.plug(&host, &switch, "eth0", MacAddr([0x52, 0x54, 0, 0x79, 0, 1]));
        inside(&host, || ip(&format!("addr add {HOST}/24 dev eth0\n")));
        rack
    }

    /// The full name of one of its namespaces.
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    /// Makes a namespace.
    pub fn namespace(&mut self, name: &str) -> String {
        let name = self.name(name);
        ip(&format!("netns add {name}\n"));
        self.namespaces.push(name.clone());
        inside(&name, || ip("link set lo up\n"));
        name
    }

    /// Makes a namespace with a bridge `br0`.
    pub fn switch(&mut self, name: &str) -> String {
        let name = self.namespace(name);
        inside(&name, || {
            ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\n");
        });
        name
    }

    /// A cable from an interface of a namespace to a switch.
    pub fn plug(&self, namespace: &str, switch: &str, interface: &str, mac: MacAddr) {
        static PORT: AtomicU32 = AtomicU32::new(0);
        let port = format!("port{}", PORT.fetch_add(1, Ordering::Relaxed));
        inside(switch, || {
            ip(&format!(
                "link add {port} type veth peer name {interface} address {mac} netns {namespace}\n\
                 link set {port} master br0 up\n"
            ));
        });
        inside(namespace, || ip(&format!("link set {interface} up\n")));
    }

    /// A host on the switch with an address.
    pub fn host_on(&mut self, name: &str, switch: &str, address: Ipv4Addr, mac: MacAddr) -> String {
        let namespace = self.namespace(name);
        self.plug(&namespace, switch, "eth0", mac);
        inside(&namespace, || ip(&format!("addr add {address}/24 dev eth0\n")));
        namespace
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// A command inside a namespace.
    pub fn command(&self, namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }

    /// Starts something that ends with the rack, its output in a file.
    pub fn keep(&mut self, command: &mut Command, log: &str) -> u32 {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path(log)).unwrap();
        let guard = Guard::spawn(command.stdout(log.try_clone().unwrap()).stderr(log));
        let id = guard.id();
        self.guards.push(guard);
        id
    }

    /// Debian's dhcpd with this configuration on `eth0` of a namespace, port 67 open when this returns. False where it
    /// is not installed.
    pub fn dhcpd(&mut self, namespace: &str, conf: &str) -> bool {
        let Some(program) = peer("dhcpd") else { return false };
        self.write("dhcpd.conf", conf);
        self.write("leases", "");
        let mut command = self.command(namespace, &program);
        let libraries = peer_command(&program);
        command.envs(libraries.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.args(["-4", "-f", "-d", "--no-pid", "-cf"]).arg(self.path("dhcpd.conf"));
        self.keep(command.arg("-lf").arg(self.path("leases")).arg("eth0"), "dhcpd.log");
        self.wait_for_port(namespace, 67);
        true
    }

    pub fn wait_for_port(&self, namespace: &str, port: u16) {
        let end = format!(":{port:04X}");
        wait_for(&format!("a socket on port {port}"), LIMIT, || {
            let table = inside(namespace, || fs::read_to_string("/proc/thread-self/net/udp").unwrap());
            table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&end)))
        });
    }

    /// `kpc serve` on the deploy host; `more` goes to the end of its configuration. Its process.
    pub fn serve(&mut self, more: &str) -> u32 {
        self.serve_by("exec \"$@\"", more)
    }

    /// The same with its data folder on a file system of this size, which nobody else sees.
    pub fn serve_on_tmpfs(&mut self, more: &str, size: &str) -> u32 {
        let state = text(&self.path("state"));
        fs::create_dir_all(&state).unwrap();
        self.serve_by(&format!("mount -t tmpfs -o size={size} kpc '{state}' && exec \"$@\""), more)
    }

    fn serve_by(&mut self, line: &str, more: &str) -> u32 {
        let folder = self.folder.path().display();
        let text = format!(
            "data_dir = \"{folder}/state\"\nsocket = \"{folder}/kpc.sock\"\n\
             [network.mgmt]\ninterface = \"eth0\"\naddress = \"{HOST}\"\n\
             [tftp]\nroot = \"{folder}/loaders\"\n{more}"
        );
        self.write("kpc.toml", text);
        let host = self.name("host");
        // `ip netns exec` gives its program a mount namespace, and becomes it.
        let mut serve = self.command(&host, "sh");
        serve
            .args(["-c", line, "sh"])
            .arg(binary("kpc"))
            .args(["serve", "--config"])
            .arg(self.path("kpc.toml"));
        let id = self.keep(&mut serve, "serve.log");
        wait_for("kpc serve answers", LIMIT, || {
            let (_, text) = self.kpc(&["status"]);
            assert!(!self.log("serve.log").contains("error: "), "{}", self.log("serve.log"));
            text.contains("machines,")
        });
        id
    }

    pub fn kpc(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(binary("kpc"));
        command.arg("--socket").arg(self.path("kpc.sock")).args(arguments);
        run_within(&mut command, LIMIT)
    }

    pub fn good(&self, arguments: &[&str]) -> String {
        let (good, text) = self.kpc(arguments);
        assert!(good, "kpc {}: {text}\n{}", arguments.join(" "), self.log("serve.log"));
        text
    }

    /// Posts to the operators' socket.
    pub fn call(&self, path: &str, body: &Value) -> Value {
        let mut stream = std::os::unix::net::UnixStream::connect(self.path("kpc.sock")).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: kpc\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// Orders for a machine that a person switches on.
    pub fn order(&self, machine: &str, profile: &str, despite: bool) -> Value {
        let order = json!({ "selection": [machine], "profile": profile, "firmware": "auto", "max_in_flight": 16,
            "max_failures": 99, "despite_responders": despite });
        self.call("/v1/provision", &order)
    }

    /// What `kpc status --json` says of a machine.
    pub fn status(&self, name: &str) -> Value {
        let (_, text) = self.kpc(&["status", "--json"]);
        let shown: Value = serde_json::from_str(&text).unwrap_or_default();
        let machines = shown["machines"].as_array().cloned().unwrap_or_default();
        machines.into_iter().find(|machine| machine["name"] == name).unwrap_or_default()
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.guards.clear();
        for name in &self.namespaces {
            let _ = Command::new("ip").stderr(Stdio::null()).args(["netns", "del", name]).status();
        }
    }
}

/// A machine on a switch.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub mac: MacAddr,
    pub address: Ipv4Addr,
    pub namespace: String,
    /// RFC 4578 §2.1.
    pub arch: u16,
}

/// BIOS, as option 93 has it.
pub const BIOS: u16 = 0;
/// UEFI of x64.
pub const X64_UEFI: u16 = 7;

/// A reply that a machine got.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub yiaddr: Option<Ipv4Addr>,
    pub siaddr: Option<Ipv4Addr>,
    pub server: Option<Ipv4Addr>,
    pub file: String,
    pub pxe: bool,
    pub kind: u8,
}

impl Reply {
    fn read(octets: &[u8], xid: u32) -> Option<Self> {
        let message = Message::parse(octets).ok()?;
        if message.op != Op::Reply || message.xid != xid {
            return None;
        }
        let given = |address: Ipv4Addr| Some(address).filter(|address| !address.is_unspecified());
        let server =
            message.options().first(code::SERVER_ID).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        let file = message.options().first(code::BOOT_FILE).unwrap_or(message.file());
        Some(Self {
            yiaddr: given(message.yiaddr),
            siaddr: given(message.siaddr),
            server: server.map(Ipv4Addr::from),
            file: String::from_utf8_lossy(file).trim_end_matches('\0').to_owned(),
            pxe: message
                .options()
                .first(code::VENDOR_CLASS)
                .is_some_and(|class| class.starts_with(b"PXEClient")),
            kind: message.options().first(code::MESSAGE_TYPE).and_then(|value| value.first().copied())?,
        })
    }
}

impl Machine {
    /// A machine plugged into a switch; its namespace has the address that its lease will have.
    pub fn plug(rack: &mut Rack, switch: &str, name: &str, number: u8, arch: u16, network: [u8; 3]) -> Self {
        let mac = MacAddr([0x52, 0x54, 0, 0x79, network[2], number]);
        let [a, b, c] = network;
        let address = Ipv4Addr::new(a, b, c, number);
        let namespace = rack.host_on(name, switch, address, mac);
        Self { name: name.to_owned(), mac, address, namespace, arch }
    }

    /// A line for dhcpd.
    pub fn host_block(&self, more: &str) -> String {
        format!(
            "host {} {{ hardware ethernet {}; fixed-address {}; {more} }}\n",
            self.name, self.mac, self.address
        )
    }

    fn message(&self, kind: u8, xid: u32, ciaddr: Ipv4Addr, ipxe: bool, more: &[(u8, &[u8])]) -> Vec<u8> {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&self.mac.0);
        let flags = if ciaddr.is_unspecified() { 0x8000 } else { 0 };
        let header = Header {
            op: Op::Request,
            htype: 1,
            hlen: 6,
            hops: 0,
            xid,
            secs: 4,
            flags,
            ciaddr,
            yiaddr: NONE,
            siaddr: NONE,
            giaddr: NONE,
            chaddr,
        };
        let class = format!("PXEClient:Arch:{:05}:UNDI:003000", self.arch);
        let arch = self.arch.to_be_bytes();
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, &header, b"", b"");
        writer.option(code::MESSAGE_TYPE, &[kind]);
        writer.option(code::VENDOR_CLASS, class.as_bytes());
        writer.option(code::CLIENT_ARCH, &arch);
        if ipxe {
            writer.option(77, b"iPXE");
            writer.option(175, &[19, 1, 1, 24, 1, 1]);
        }
        for (code, value) in more {
            writer.option(*code, value);
        }
        writer.finish();
        octets
    }

    /// Sends a message to everybody from an interface without an address, as firmware does.
    fn broadcast(&self, message: &[u8]) {
        let socket = s::socket(
            s::AddressFamily::Packet,
            s::SockType::Raw,
            s::SockFlag::SOCK_CLOEXEC,
            s::SockProtocol::EthAll,
        )
        .unwrap();
        let all = nix::ifaddrs::getifaddrs().unwrap().filter(|one| one.interface_name == "eth0");
        let link = all.filter_map(|one| one.address.and_then(|address| address.as_link_addr().copied()));
        s::bind(socket.as_raw_fd(), &link.last().unwrap()).unwrap();
        let mut octets = vec![0; frame::HEADERS];
        octets.extend(message);
        let (from, to) = (SocketAddrV4::new(NONE, 68), SocketAddrV4::new(Ipv4Addr::BROADCAST, 67));
        assert!(frame::seal(&mut octets, self.mac, MacAddr::BROADCAST, from, to));
        s::send(socket.as_raw_fd(), &octets, s::MsgFlags::empty()).unwrap();
    }

    /// DISCOVER, and the offers of both: an address and a boot program (RFC 2131 §3.1, PXE 2.1 §2.2). `tries` times with
    /// one transaction.
    pub fn discover(&self, ipxe: bool, tries: u32) -> (u32, Option<Reply>, Option<Reply>) {
        let xid = fresh_xid();
        let socket = self.client_socket(68);
        let (mut lease, mut proxy) = (None, None);
        for _ in 0..tries {
            self.broadcast(&self.message(1, xid, NONE, ipxe, &[]));
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end && (lease.is_none() || proxy.is_none()) {
                let Some(reply) = receive(&socket, xid, end) else { break };
                match reply.yiaddr {
                    Some(_) => lease = Some(reply),
                    None if reply.pxe => proxy = Some(reply),
                    None => {}
                }
            }
            if lease.is_some() && proxy.is_some() {
                break;
            }
        }
        (xid, lease, proxy)
    }

    /// REQUEST for the lease, until it is acknowledged.
    pub fn request(&self, xid: u32, lease: &Reply, ipxe: bool) {
        let socket = self.client_socket(68);
        let (address, server) = (lease.yiaddr.unwrap().octets(), lease.server.unwrap().octets());
        for _ in 0..10 {
            self.broadcast(&self.message(3, xid, NONE, ipxe, &[(50, &address), (code::SERVER_ID, &server)]));
            let end = Instant::now() + Duration::from_secs(2);
            while let Some(reply) = receive(&socket, xid, end) {
                if reply.kind == 5 && reply.yiaddr.is_some() {
                    return;
                }
            }
        }
        panic!("{}: no ACK", self.name);
    }

    /// Both offers taken; the boot server's answer.
    pub fn lease(&self, ipxe: bool) -> Reply {
        for _ in 0..5 {
            if let (xid, Some(lease), Some(proxy)) = self.discover(ipxe, 5) {
                self.request(xid, &lease, ipxe);
                return proxy;
            }
        }
        panic!("{}: no lease or no boot offer", self.name);
    }

    /// REQUEST on port 4011 (PXE 2.1 §2.2.4), `tries` times.
    pub fn ask_boot_server(&self, server: Ipv4Addr, tries: u32) -> Option<Reply> {
        let (xid, socket) = (fresh_xid(), self.client_socket(4011));
        for _ in 0..tries {
            socket.send_to(&self.message(3, xid, self.address, false, &[]), (server, 4011)).unwrap();
            let end = Instant::now() + Duration::from_secs(2);
            if let Some(reply) = receive(&socket, xid, end) {
                return Some(reply);
            }
        }
        None
    }

    /// What firmware is named: the proxy's file, else that of port 4011.
    pub fn boot_file(&self) -> (Ipv4Addr, String) {
        let offer = self.lease(false);
        let server = offer.siaddr.or(offer.server).unwrap();
        if !offer.file.is_empty() {
            return (server, offer.file);
        }
        let answer =
            self.ask_boot_server(server, 5).unwrap_or_else(|| panic!("{}: 4011 is silent", self.name));
        (answer.siaddr.unwrap_or(server), answer.file)
    }

    /// Reads a file by TFTP in blocks of 512 (RFC 1350); asks `tries` times.
    pub fn tftp(&self, server: Ipv4Addr, file: &str, tries: u32) -> Result<Vec<u8>, String> {
        let socket = UdpSocket::bind((self.address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let request = [&[0, 1], file.as_bytes(), b"\0octet\0"].concat();
        let (mut last, mut peer) = (request, SocketAddr::from((server, 69)));
        let (mut contents, mut expected, mut silent) = (Vec::new(), 1_u16, 0);
        let mut buffer = [0; 600];
        socket.send_to(&last, peer).unwrap();
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                silent += 1;
                if silent >= tries {
                    return Err("no answer".to_owned());
                }
                socket.send_to(&last, peer).unwrap();
                continue;
            };
            peer = from;
            match &buffer[..length] {
                [0, 3, high, low, data @ ..] if u16::from_be_bytes([*high, *low]) == expected => {
                    contents.extend_from_slice(data);
                    last = vec![0, 4, *high, *low];
                    expected = expected.wrapping_add(1);
                    socket.send_to(&last, peer).unwrap();
                    if data.len() < 512 {
                        return Ok(contents);
                    }
                }
                [0, 5, _, number, ..] => return Err(format!("error {number}")),
                _ => {}
            }
        }
    }

    /// One HTTP request; with `most` the connection is cut after so many octets of the body.
    pub fn http(&self, url: &str, post: Option<&Value>, most: Option<usize>) -> (u16, Vec<u8>) {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}"));
        let (host, path) = rest.split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // iPXE's window is no larger (TCP_MAX_WINDOW_SIZE): what the kernel would hold for a server's client is not here.
        s::setsockopt(&stream, s::sockopt::RcvBuf, &(256 << 10)).unwrap();
        let (method, body) = post.map_or(("GET", String::new()), |body| ("POST", body.to_string()));
        write!(
            stream,
            "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        match most {
            Some(most) => {
                let mut piece = [0; 4096];
                while answer.len() < most {
                    let read = stream.read(&mut piece).unwrap();
                    assert!(read > 0, "{url} ended before the cut");
                    answer.extend_from_slice(&piece[..read]);
                }
            }
            None => drop(stream.read_to_end(&mut answer).unwrap()),
        }
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("{url}: no head"));
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    /// From power-on to the boot script of its order, as BIOS with undionly.kpxe.
    pub fn script(&self) -> (u16, String) {
        let (server, file) = self.boot_file();
        self.tftp(server, &file, 10).unwrap_or_else(|error| panic!("{}: {file}: {error}", self.name));
        self.lease(true);
        let mac = self.mac.to_string().replace(':', "-");
        let (status, body) = self.http(&format!("http://{HOST}:8080/ipxe?mac={mac}"), None, None);
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn client_socket(&self, port: u16) -> UdpSocket {
        // A program that another thread starts holds a copy of the last socket for a moment, between fork and exec.
        let mut bound = None;
        wait_for("the client's port", LIMIT, || {
            bound = UdpSocket::bind((if port == 68 { NONE } else { self.address }, port)).ok();
            bound.is_some()
        });
        let socket = bound.unwrap();
        socket.set_broadcast(true).unwrap();
        socket
    }
}

fn fresh_xid() -> u32 {
    static XID: AtomicU32 = AtomicU32::new(0x7900_0000);
    XID.fetch_add(1, Ordering::Relaxed)
}

/// The next reply of a transaction, until `end`.
fn receive(socket: &UdpSocket, xid: u32, end: Instant) -> Option<Reply> {
    let mut buffer = [0; 2048];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        let (length, _) = socket.recv_from(&mut buffer).ok()?;
        if let Some(reply) = Reply::read(&buffer[..length], xid) {
            return Some(reply);
        }
    }
}

/// The value of a kernel argument in a boot script.
pub fn argument(script: &str, name: &str) -> String {
    let start =
        script.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {script}")) + name.len() + 1;
    script[start..].split_whitespace().next().unwrap().to_owned()
}

/// nft with its libraries, as words for a shell.
pub fn nft() -> String {
    let program = peer("nft").unwrap();
    let command = peer_command(&program);
    let library = |(key, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| {
        format!("{}='{}'", key.display(), value.unwrap_or_default().display())
    };
    let libraries: Vec<String> = command.get_envs().map(library).collect();
    format!("env {} '{}'", libraries.join(" "), text(&program))
}

/// A path as the tests' programs need it.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
