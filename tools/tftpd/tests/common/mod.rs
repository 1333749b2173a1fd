//! A tftpd of its own for a test, on a free port, ended with it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that ends with its test.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port(ip: IpAddr) -> u16 {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

pub fn tftpd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tftpd"))
}

/// Starts a server and waits until it answers.
pub fn serve(root: &Path, ip: &str, flags: &[&str]) -> (Guard, SocketAddr) {
    serve_with(tftpd(), root, ip, flags)
}

pub fn serve_with(mut command: Command, root: &Path, ip: &str, flags: &[&str]) -> (Guard, SocketAddr) {
    let ip: IpAddr = ip.parse().unwrap();
    let address = SocketAddr::new(ip, free_port(ip));
    command.args(["--log-level", "error", "--listen", &address.to_string(), "--root"]).arg(root).args(flags);
    let guard = Guard(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    wait_answer(address);
    (guard, address)
}

/// Waits until something answers requests at an address.
pub fn wait_answer(address: SocketAddr) {
    let probe = UdpSocket::bind((address.ip(), 0)).unwrap();
    probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let start = Instant::now();
    loop {
        let _ = probe.send_to(b"\0\x01no-such-file\0octet\0", address);
        if probe.recv(&mut [0; 600]).is_ok() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no answer at {address}");
    }
}

/// Octets that depend on their place.
pub fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The first answer to a datagram.
pub fn ask(address: SocketAddr, datagram: &[u8], wait: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((address.ip(), 0)).unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send_to(datagram, address).unwrap();
    let mut buffer = [0; 2048];
    let octets = socket.recv(&mut buffer).ok()?;
    Some(buffer[..octets].to_vec())
}

/// Gets a file with our own client.
pub fn get(address: SocketAddr, name: &str, out: &Path, flags: &[&str]) -> bool {
    let url = format!("tftp://{address}/{name}");
    tftpd().args(["get", "--quiet", "--output"]).arg(out).args(flags).arg(url).status().unwrap().success()
}

/// Whether this runs as root; says that a test is skipped where not.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// A peer's program, unpacked under `KPC_PEERS_DIR` or installed; says that a test is skipped without it.
pub fn peer(name: &str) -> Option<(PathBuf, String)> {
    let peers = PathBuf::from(std::env::var_os("KPC_PEERS_DIR").unwrap_or_default()).join("root");
    let folders = ["usr/sbin", "usr/bin"];
    let places =
        folders.iter().map(|folder| peers.join(folder)).chain(folders.map(|f| Path::new("/").join(f)));
    let found = places.map(|place| place.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: peer {name} is missing");
    }
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|folder| peers.join(folder).display().to_string()).join(":");
    found.map(|program| (program, libraries))
}
