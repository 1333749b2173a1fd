//! The network and the two servers, each in its namespace, and what they cost.

use crate::generator::Run;
use kpc_benches::processors::Side;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server's address, and its hardware address.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 1];
/// What machines on port 4011 call their address. Nobody has it: the kernel of the generator's end drops the answers.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);

/// Two namespaces joined by a veth; `eth0` in both.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) host: String,
    pub(crate) client: String,
}

fn run(line: &str) {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap()).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{line} (network namespaces need root)");
}

impl Net {
    pub(crate) fn new() -> Self {
        let tag = format!("kpc-bench-dhcp-{}", std::process::id());
        let net = Self { host: format!("{tag}-h"), client: format!("{tag}-c") };
        for name in [&net.host, &net.client] {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!("ip -n {} link add eth0 type veth peer name eth0 netns {}", net.host, net.client));
        run(&format!("ip -n {} link set eth0 address 02:00:00:00:77:01", net.host));
        run(&format!("ip -n {} addr add {SERVER}/24 dev eth0", net.host));
        for name in [&net.host, &net.client] {
            run(&format!("ip -n {name} link set eth0 up"));
        }
        run(&format!(
            "ip -n {} neigh add {CLIENT} lladdr 52:54:00:00:00:01 dev eth0 nud permanent",
            net.host
        ));
        net
    }

    /// Runs `work` on a thread inside a namespace; sockets it makes stay there.
    pub(crate) fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(File::open(format!("/var/run/netns/{name}")).unwrap(), CloneFlags::CLONE_NEWNET)
                    .unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in [&self.host, &self.client] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Which server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Ours,
    OursLogging,
    Dnsmasq,
    /// One call to receive, one to send.
    Floor,
    /// The same, with the decision between them.
    Stateless,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    _log: tempfile::NamedTempFile,
}

impl Server {
    pub(crate) fn start(net: &Net, peer: Peer) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &net.host]);
        match peer {
            Peer::Ours | Peer::OursLogging => {
                command.arg(ours()).args(["--interface", "eth0", "--user", "root"]);
                let level = if matches!(peer, Peer::Ours) { "error" } else { "info" };
                command.args(["--log-format", "json", "--log-level", level]);
            }
            Peer::Floor | Peer::Stateless => {
                let which = if matches!(peer, Peer::Floor) { "floor" } else { "stateless" };
                command.arg(std::env::current_exe().unwrap()).arg(which);
            }
            Peer::Dnsmasq => {
                command.args([
                    "dnsmasq",
                    "-k",
                    "--conf-file=/dev/null",
                    "--port=0",
                    "--user=root",
                    "--quiet-dhcp",
                ]);
                command.args([
                    "--interface=eth0",
                    "--bind-interfaces",
                    "--dhcp-range=10.77.0.1,proxy",
                    "--log-facility=/dev/null",
                ]);
                command.args([
                    "--dhcp-userclass=set:ipxe,iPXE",
                    "--pxe-service=tag:#ipxe,x86PC,Chain,undionly.kpxe",
                ]);
                command.args(["--pxe-service=tag:ipxe,x86PC,iPXE,http://10.77.0.1:8080/boot.ipxe"]);
                command.args(["--pxe-service=tag:#ipxe,x86-64_EFI,Chain,snponly.efi"]);
            }
        }
        let out = log.reopen().unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let child = Side::Server.run(|| command.spawn()).unwrap();
        let start = Instant::now();
        while !Net::inside(&net.host, || {
            std::fs::read_to_string("/proc/thread-self/net/udp").unwrap().contains(":0FAB ")
        }) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{peer:?} did not start: {}",
                std::fs::read_to_string(log.path()).unwrap()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, _log: log }
    }

    /// Runs `work` and puts the server's CPU time into its result.
    pub(crate) fn measure(&self, work: impl FnOnce() -> Run) -> Run {
        let before = self.cpu();
        let run = work();
        std::thread::sleep(Duration::from_millis(150)); // what it writes behind
        Run { cpu: self.cpu() - before, ..run }
    }

    /// CPU time of every thread, from the scheduler's own count in nanoseconds.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let times =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
        let times = times.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Duration::from_nanos(times.sum())
    }

    /// The most memory it ever had resident, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// proxy-dhcpd as it is installed, built beside this program by `cargo xtask bench`; or the one in `KPC_BIN_DIR`.
fn ours() -> PathBuf {
    let program = match std::env::var_os("KPC_BIN_DIR") {
        Some(folder) => PathBuf::from(folder).join("proxy-dhcpd"),
        None => std::env::current_exe().unwrap().with_file_name("proxy-dhcpd"),
    };
    assert!(program.exists(), "{} is missing: run `cargo xtask bench proxy-dhcp`", program.display());
    program
}
