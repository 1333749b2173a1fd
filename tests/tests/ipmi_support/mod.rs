//! Peers of the IPMI tests: ipmi_sim, pyghmi, ipmitool, FreeIPMI as processes; our virtual BMC in this one.
//!
//! Peers are found in the folder `KPC_PEERS_DIR` (default `target/peers`): Debian packages unpacked under
//! `root/`, Python packages in the environment `venv/`. What is missing skips its test with one printed line, or fails
//! it where peers are required.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, Machine, MachineError, ScanConfig, scan};
use ipmi::responder::{Config, User};
use ipmi::session::UserName;
use ipmi::wire::session::AuthType;
use ipmi::{CipherSuite, Privilege};

pub const GUID: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";

/// A program of an unpacked Debian package, or of the system; `None` after saying why the test is skipped.
pub fn peer(name: &str) -> Option<Command> {
    kpc_tests::peer(name).map(|path| kpc_tests::peer_command(&path))
}

/// Python with pyghmi: the one of the peers' virtual environment.
pub fn python() -> Option<Command> {
    let venv = kpc_tests::peers().join("venv");
    kpc_tests::peer("fakebmc")?;
    Some(Command::new(venv.join("bin/python3")))
}

/// A port nobody uses just now.
pub fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A child process that ends with its guard.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a BMC answers.
pub async fn answers(addr: SocketAddr) {
    let config =
        ScanConfig { wait: Duration::from_millis(100), rounds: 100, ping: false, ..Default::default() };
    assert_eq!(scan(vec![addr], config, |_| {}).await.unwrap().len(), 1, "no BMC at {addr}");
}

/// ipmi_sim with users root/calvin (administrator), op/op3rator, guest/guest; power and boot device in files.
pub struct Sim {
    pub addr: SocketAddr,
    pub folder: tempfile::TempDir,
    _guard: Guard,
}

impl Sim {
    pub async fn start(k_g: &str) -> Option<Self> {
        Self::start_with(k_g, "").await
    }

    /// The same with one more line in its LAN configuration.
    pub async fn start_with(k_g: &str, more: &str) -> Option<Self> {
        let mut command = peer("ipmi_sim")?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let port = free_port();
        let chassis = include_str!("chassis.sh.in").replace("@D@", path.to_str().unwrap());
        write_program(&path.join("chassis.sh"), &chassis);
        let key = if k_g.is_empty() { String::new() } else { format!("bmc_key \"{k_g}\"") };
        let control = format!("chassis_control \"{} 0x20\"", path.join("chassis.sh").display());
        let conf = include_str!("lan.conf.in")
            .replace("@ADDR@", "127.0.0.1")
            .replace("@PORT@", &port.to_string())
            .replace("@GUID@", "a123456789abcdefa123456789ab0001")
            .replace("@KG@", &key)
            .replace("endlan", &format!("endlan\n{more}"))
            .replace("@CTL@", &control);
        std::fs::write(path.join("lan.conf"), conf).unwrap();
        std::fs::write(path.join("sim.emu"), include_str!("sim.emu")).unwrap();
        std::fs::write(path.join("power"), "1\n").unwrap();
        std::fs::write(path.join("boot"), "default\n").unwrap();
        std::fs::create_dir(path.join("state")).unwrap();
        command.current_dir(path).args(["-n", "-c", "lan.conf", "-f", "sim.emu", "-s", "state"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = Guard(command.spawn().unwrap());
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        answers(addr).await;
        Some(Self { addr, folder, _guard: guard })
    }

    /// The calls its chassis program saw that changed something.
    pub fn changes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("chassis.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(" set ")).map(str::to_owned).collect()
    }
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A machine of flags, and a log of what it was told.
#[derive(Clone, Default)]
pub struct Flags {
    pub on: Arc<AtomicBool>,
    pub log: Arc<Mutex<Vec<String>>>,
}

impl Machine for Flags {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        self.log.lock().unwrap().push(format!("{control:?}"));
        if let Some(on) = control.leaves_power() {
            self.on.store(on, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn boot_device(&mut self, flags: BootFlags) -> Result<(), MachineError> {
        self.log.lock().unwrap().push(format!("{:?}", flags.device()));
        Ok(())
    }

    async fn status(&mut self) -> Result<bool, MachineError> {
        Ok(self.on.load(Ordering::SeqCst))
    }
}

/// Our virtual BMC on a port of its own, with every suite and IPMI 1.5; ends with the value.
pub struct Ours {
    pub addr: SocketAddr,
    pub machine: Flags,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn config() -> Config {
    let user = |name: &str, password: &[u8], privilege| User {
        name: UserName::new(name.as_bytes()).unwrap(),
        password: Secret::new(password).unwrap(),
        privilege,
        enabled: true,
    };
    let mut config = Config::new(GUID, UserName::new(b"root").unwrap(), Secret::new(b"calvin").unwrap());
    config.users.push(user("op", b"op3rator", Privilege::Operator));
    config.users.push(user("long", b"abcdefghijklmnopqrst", Privilege::Administrator));
    config.suites = CipherSuite::ALL.to_vec();
    config.auth_types = vec![AuthType::None, AuthType::Md5, AuthType::Password];
    config
}

impl Ours {
    pub fn start(config: Config) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), config)
    }

    pub fn start_at(addr: SocketAddr, config: Config) -> Self {
        let server = BmcServer::bind(addr, config).unwrap();
        let addr = server.local_addr().unwrap();
        let machine = Flags::default();
        let run = server.run(machine.clone(), Arc::new(|_| {}), std::future::pending());
        let task = tokio::spawn(async move { run.await.unwrap() });
        Self { addr, machine, task }
    }

    pub fn log(&self) -> Vec<String> {
        self.machine.log.lock().unwrap().clone()
    }
}

/// Runs a peer's client to its end without holding the runtime.
pub async fn run(mut command: Command, arguments: &[&str]) -> Output {
    command.args(arguments).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
