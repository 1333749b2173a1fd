//! Our server in a process of its own: this program again, with a data folder as its argument.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bootcfg::Compat;
use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig, serve};
use bootcfg::driver::store::{FileStore, Watch};
use bootcfg::transpile::Ignition;

/// Serves the folder until killed, and prints its address.
pub(crate) fn run(dir: &Path) {
    let hard =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map(|(_, hard)| hard);
    if let Ok(hard) = hard {
        let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard);
    }
    let store = Arc::new(FileStore::open(dir, Compat::Matchbox).unwrap());
    let _watch = Watch::start(store.clone(), |_| ()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(4096).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(socket.into()).unwrap();
        println!("{}", listener.local_addr().unwrap());
        let service = Service::new(ServiceConfig {
            assets: Some(dir.join("assets")),
            transpile: Arc::new(Ignition),
            ..ServiceConfig::new(store)
        });
        let limits = ServeConfig { header_timeout: Duration::from_secs(60), ..ServeConfig::default() };
        serve(listener, Arc::new(service), limits, std::future::pending()).await.unwrap();
    });
}

/// The process, killed when dropped.
pub(crate) struct Child {
    child: std::process::Child,
    pub(crate) addr: SocketAddr,
}

impl Child {
    pub(crate) fn start(dir: &Path) -> Self {
        let mut child =
            Command::new(std::env::current_exe().unwrap()).arg(dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, addr: line.trim().parse().unwrap() }
    }

    /// Processor time of all its threads, those that have ended included.
    pub(crate) fn cpu(&self) -> Duration {
        let id = self.child.id();
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten() {
            if let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) {
                nanos += text.split(' ').next().unwrap().parse::<u64>().unwrap();
            }
        }
        Duration::from_nanos(nanos)
    }

    /// A line of /proc/PID/status, in KiB.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
