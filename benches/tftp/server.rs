//! What is measured: our server, the floor, and the peers, each started the same way.

use crate::{Outcome, SERVER_NS};
use kpc_benches::processors::Side;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server under test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Ours,
    Floor,
    /// Ours, from memory.
    Rendered,
    Dnsmasq,
    Hpa,
    Atftpd,
    AsyncTftp,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Rendered => "ours, bytes",
            Self::Dnsmasq => "dnsmasq",
            Self::Hpa => "tftpd-hpa",
            Self::Atftpd => "atftpd",
            Self::AsyncTftp => "async-tftp",
        }
    }

    /// Whether it grants windows (RFC 7440).
    pub(crate) const fn has_windows(self) -> bool {
        !matches!(self, Self::Dnsmasq | Self::Hpa)
    }
}

fn peer(name: &str) -> Option<PathBuf> {
    let peers = PathBuf::from(std::env::var_os("KPC_PEERS_DIR")?).join("root");
    let installed = ["/usr/sbin", "/usr/bin"].map(PathBuf::from);
    let unpacked = ["usr/sbin", "usr/bin"].map(|folder| peers.join(folder));
    unpacked.into_iter().chain(installed).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) kind: Kind,
}

/// Octets of memory and seconds of CPU of a process and its children.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: f64,
    pub(crate) peak_kib: u64,
}

impl Server {
    /// Starts it in its namespace; `None` if the program is not here. In a crowd of clients, peers that share the work
    /// among processes or threads have all processors.
    pub(crate) fn start(kind: Kind, address: SocketAddr, root: &Path, crowd: bool) -> Outcome<Option<Self>> {
        let myself = std::env::current_exe().map_err(|error| error.to_string())?;
        let (program, arguments): (PathBuf, Vec<String>) = match kind {
            Kind::Ours => (myself, vec!["serve".into(), address.to_string(), root.display().to_string()]),
            Kind::Rendered => {
                (myself, vec!["rendered".into(), address.to_string(), root.display().to_string()])
            }
            Kind::Floor => (myself, vec!["floor".into(), address.to_string(), root.display().to_string()]),
            Kind::AsyncTftp => {
                (myself, vec!["async".into(), address.to_string(), root.display().to_string()])
            }
            Kind::Dnsmasq => {
                let Some(program) = peer("dnsmasq") else { return Ok(None) };
                let port = address.port();
                assert_eq!(port, 69, "dnsmasq has no option for its port");
                let flags = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--enable-tftp"];
                let more = ["--user=root", "--tftp-max=4000", "--pid-file=", "--log-facility=/dev/null"];
                let root = format!("--tftp-root={}", root.display());
                (program, flags.iter().chain(&more).map(|&flag| flag.to_owned()).chain([root]).collect())
            }
            Kind::Hpa => {
                let Some(program) = peer("in.tftpd") else { return Ok(None) };
                let flags = ["--foreground", "--user", "root", "--secure", "--address"];
                let place = [address.to_string(), root.display().to_string()];
                (program, flags.iter().map(|&flag| flag.to_owned()).chain(place).collect())
            }
            Kind::Atftpd => {
                let Some(program) = peer("atftpd") else { return Ok(None) };
                let flags = [
                    "--daemon",
                    "--no-fork",
                    "--user",
                    "root.root",
                    "--maxthread",
                    "1000",
                    "--logfile",
                    "/dev/null",
                ];
                let place = ["--port".into(), address.port().to_string(), root.display().to_string()];
                (program, flags.iter().map(|&flag| flag.to_owned()).chain(place).collect())
            }
        };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", SERVER_NS]).arg(program).args(arguments);
        if let Some(peers) = std::env::var_os("KPC_PEERS_DIR") {
            let tree = Path::new(&peers).join("root");
            let folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
            let paths = folders.map(|folder| tree.join(folder).display().to_string()).join(":");
            command.env("LD_LIBRARY_PATH", paths);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match kind {
            Kind::Hpa | Kind::Atftpd if crowd => command.spawn(),
            _ => Side::Server.run(|| command.spawn()),
        };
        let mut child = child.map_err(|error| error.to_string())?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !crate::net::listens(address.port())? {
            if Instant::now() > deadline || !matches!(child.try_wait(), Ok(None)) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} does not listen", kind.name()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(Self { child, kind }))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id() // `ip netns exec` becomes the program
    }

    pub(crate) fn usage(&self) -> Usage {
        let id = self.id();
        // Threads that live say it in nanoseconds; processes and threads that are gone, in ticks.
        let cpu = match self.kind {
            Kind::Hpa | Kind::Atftpd => {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
                let numbers = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
                let ticks = numbers.split_whitespace().skip(11).take(4);
                ticks.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0
            }
            _ => {
                let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
                let stats =
                    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
                let run = |stat: String| stat.split_whitespace().next()?.parse::<f64>().ok();
                stats.filter_map(run).sum::<f64>() / 1e9
            }
        };
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = peak.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        Usage { cpu, peak_kib }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
