//! Six ways to fail, six kinds; and the faults a virtual BMC can be told to have.
#![cfg(feature = "tokio")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{Bmc, BmcConfig, BmcServer, Credentials, Machine, MachineError, sweep};
use ipmi::responder::{Config, Faults};
use ipmi::script::PowerStatus;
use ipmi::session::UserName;
use ipmi::{CipherSuite, Privilege};

/// A machine that writes down what it was told.
#[derive(Clone, Default)]
struct Log {
    on: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<ChassisControl>>>,
}

impl Machine for Log {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        self.told.lock().unwrap().push(control);
        self.on.store(control.leaves_power().unwrap_or(true), Ordering::SeqCst);
        Ok(())
    }
    async fn boot_device(&mut self, _: BootFlags) -> Result<(), MachineError> {
        Ok(())
    }
    async fn status(&mut self) -> Result<bool, MachineError> {
        Ok(self.on.load(Ordering::SeqCst))
    }
}

fn config() -> Config {
    Config::new([1; 16], UserName::new(b"root").unwrap(), Secret::new(b"calvin").unwrap())
}

fn bmc(config: Config) -> (SocketAddr, Log) {
    let server = BmcServer::bind((Ipv4Addr::LOCALHOST, 0).into(), config).unwrap();
    let (addr, log) = (server.local_addr().unwrap(), Log::default());
    tokio::spawn(server.run(log.clone(), Arc::new(|_| {}), std::future::pending()));
    (addr, log)
}

fn login(addr: SocketAddr, user: &str, password: &[u8]) -> BmcConfig {
    let mut config = BmcConfig::new(addr, Credentials::new(user, password).unwrap());
    config.session.timeout = Duration::from_millis(50);
    config.session.max_timeout = Duration::from_millis(100);
    config
}

/// The kind that a lone BMC and a sweep both tell.
async fn kind(config: BmcConfig) -> &'static str {
    let alone = Bmc::connect(config.clone()).await.map(drop).unwrap_err().kind();
    let mut swept = None;
    let targets = vec![(config.addr, config.session, PowerStatus)];
    sweep(targets, Default::default(), |_, outcome| swept = outcome.map(drop).err().map(|e| e.kind()))
        .await
        .unwrap();
    assert_eq!(swept, Some(alone));
    alone
}

#[tokio::test]
async fn a_wrong_password() {
    let (addr, _) = bmc(config());
    assert_eq!(kind(login(addr, "root", b"guess")).await, "wrong-password");
}

#[tokio::test]
async fn an_unknown_user() {
    let (addr, _) = bmc(config());
    assert_eq!(kind(login(addr, "toor", b"calvin")).await, "unknown-user");
}

#[tokio::test]
async fn a_privilege_not_granted() {
    let mut config = config();
    config.users[0].privilege = Privilege::User;
    let (addr, _) = bmc(config);
    assert_eq!(kind(login(addr, "root", b"calvin")).await, "privilege");
}

#[tokio::test]
async fn a_suite_refused() {
    let (addr, _) = bmc(config());
    let weak = vec![CipherSuite::from_id(2).unwrap()];
    assert_eq!(kind(login(addr, "root", b"calvin").with_suites(weak)).await, "suite-refused");
}

#[tokio::test]
async fn a_silent_host() {
    let deaf = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert_eq!(kind(login(deaf.local_addr().unwrap(), "root", b"calvin")).await, "silent");
}

#[tokio::test]
async fn an_unreachable_host() {
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert_eq!(kind(login(closed, "root", b"calvin")).await, "unreachable");
}

// A wrong password goes out once: two datagrams that ask, one that says why we leave; nothing more.
#[tokio::test]
async fn no_second_attempt_after_a_wrong_password() {
    let (addr, _) = bmc(config());
    let relay = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let front = relay.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        let (mut client, mut buffer) = (addr, [0; 1024]);
        loop {
            let (length, from) = relay.recv_from(&mut buffer).await.unwrap();
            if from == addr {
                relay.send_to(&buffer[..length], client).await.unwrap();
            } else {
                client = from;
                seen.lock().unwrap().push(buffer[5]);
                relay.send_to(&buffer[..length], addr).await.unwrap();
            }
        }
    });
    assert!(Bmc::connect(login(front, "root", b"guess")).await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Open Session Request, RAKP 1, RAKP 3 (payload types, IPMI v2.0 table 13-16).
    assert_eq!(*asked.lock().unwrap(), [0x10, 0x12, 0x14]);
}

async fn works_through(faults: Faults) {
    let (addr, log) = bmc(Config { faults, ..config() });
    let mut patient = login(addr, "root", b"calvin");
    patient.session.attempts = 16;
    let mut bmc = Bmc::connect(patient).await.unwrap();
    for n in 1..=50 {
        let control = if n % 2 == 1 { ChassisControl::PowerUp } else { ChassisControl::PowerDown };
        bmc.chassis_control(control).await.unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        assert_eq!(bmc.chassis_status().await.unwrap().power_on(), n % 2 == 1, "{faults:?}");
        assert_eq!(log.told.lock().unwrap().len(), n, "{faults:?}");
    }
    bmc.close().await;
}

#[tokio::test]
async fn a_bmc_that_drops() {
    works_through(Faults { drop: 10, ..Faults::default() }).await;
}

#[tokio::test]
async fn a_bmc_that_delays() {
    works_through(Faults { delay: Duration::from_millis(5), ..Faults::default() }).await;
}

#[tokio::test]
async fn a_bmc_that_duplicates() {
    works_through(Faults { duplicate: 50, ..Faults::default() }).await;
}

#[tokio::test]
async fn a_bmc_that_reorders() {
    works_through(Faults { reorder: 20, ..Faults::default() }).await;
}

// "Node busy" means that nothing was done: the command comes again, and is carried out once.
#[tokio::test]
async fn a_bmc_that_is_busy() {
    works_through(Faults { busy: 20, ..Faults::default() }).await;
}
