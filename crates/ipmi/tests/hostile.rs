//! BMCs that lie: every loop over their answers ends, and ends in an error that says what was wrong.
#![cfg(feature = "tokio")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipmi::CompletionCode;
use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{Bmc, BmcConfig, BmcError, BmcServer, Credentials, Machine, MachineError};
use ipmi::responder::{Config, Delegate};
use ipmi::session::UserName;
use tokio::time::timeout;

type Answer = fn(u8, u8, &[u8]) -> Result<Vec<u8>, CompletionCode>;

/// Answers every command with what a function says.
struct Liar(Answer);

impl Machine for Liar {
    async fn power(&mut self, _: ChassisControl) -> Result<(), MachineError> {
        Ok(())
    }
    async fn boot_device(&mut self, _: BootFlags) -> Result<(), MachineError> {
        Ok(())
    }
    async fn status(&mut self) -> Result<bool, MachineError> {
        Ok(true)
    }
    async fn command(&mut self, net_fn: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, MachineError> {
        (self.0)(net_fn, command, data).map_err(MachineError::Completion)
    }
}

/// A session with a BMC that answers so.
async fn liar(answer: Answer) -> Bmc {
    let mut config = Config::new([1; 16], UserName::new(b"root").unwrap(), Secret::new(b"calvin").unwrap());
    config.delegate = Delegate::Everything;
    let server = BmcServer::bind((Ipv4Addr::LOCALHOST, 0).into(), config).unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.run(Liar(answer), Arc::new(|_| {}), std::future::pending()));
    let login = Credentials::new("root", b"calvin").unwrap();
    Bmc::connect(BmcConfig::new(addr, login)).await.unwrap()
}

async fn ends<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), work).await.expect("it goes on for ever")
}

fn reserve(command: u8) -> Option<Vec<u8>> {
    matches!(command, 0x22 | 0x42).then(|| vec![1, 0])
}

// IPMI v2.0 §33.12: each record names the next; these go in a circle of two.
#[tokio::test]
async fn sensor_records_in_a_circle() {
    let mut bmc = liar(|_, command, data| {
        Ok(reserve(command).unwrap_or_else(|| {
            let next = if data[2] == 1 { 2 } else { 1 };
            vec![next, 0, data[2], data[3], 0x51, 0xc0, 0]
        }))
    })
    .await;
    let outcome = ends(bmc.sensor_data_records()).await;
    assert!(matches!(outcome, Err(BmcError::Malformed(_))), "{outcome:?}");
}

// A record of a length that its parts never fill.
#[tokio::test]
async fn a_record_that_never_comes() {
    let mut bmc = liar(|_, command, data| {
        Ok(reserve(command).unwrap_or_else(|| {
            let header = vec![0xff, 0xff, 1, 0, 0x51, 0x01, 0xff];
            if data[4] == 0 { header } else { vec![0xff, 0xff] }
        }))
    })
    .await;
    let outcome = ends(bmc.sensor_data_records()).await;
    assert!(matches!(outcome, Err(BmcError::Malformed(_))), "{outcome:?}");
}

// More octets than were asked for, and a body that is shorter than what it describes.
#[tokio::test]
async fn more_than_was_asked_for() {
    let mut bmc = liar(|_, command, _| {
        Ok(reserve(command).unwrap_or_else(|| {
            let mut octets = vec![0xff, 0xff, 1, 0, 0x51, 0x01, 3];
            octets.extend([0xee; 200]);
            octets
        }))
    })
    .await;
    let outcome = ends(bmc.sensor_data_records()).await;
    assert!(matches!(outcome, Err(BmcError::Malformed(_))), "{outcome:?}");
}

// §33.11: a reservation that is lost every time is not renewed for ever.
#[tokio::test]
async fn reservations_that_do_not_last() {
    let mut bmc = liar(|_, command, _| reserve(command).ok_or(CompletionCode::RESERVATION_LOST)).await;
    let outcome = ends(bmc.sensor_data_records()).await;
    assert!(matches!(outcome, Err(BmcError::Completion(CompletionCode::RESERVATION_LOST))), "{outcome:?}");
}

// §31.5: an event log that goes in a circle.
#[tokio::test]
async fn an_event_log_in_a_circle() {
    let mut bmc = liar(|_, _, data| {
        let mut entry = vec![if data[2] == 5 { 6 } else { 5 }, 0, data[2], data[3]];
        entry.extend([2; 14]);
        Ok(entry)
    })
    .await;
    let outcome = ends(bmc.event_log()).await;
    assert!(matches!(outcome, Err(BmcError::Malformed(_))), "{outcome:?}");
}

// Platform Management FRU §8: offsets behind the end, and no octets where a size was promised.
#[tokio::test]
async fn fru_offsets_that_lie() {
    let mut bmc = liar(|_, command, data| match command {
        0x10 => Ok(vec![64, 0, 0]),
        _ if data[1] == 0 => Ok([&[8u8][..], &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff]].concat()),
        _ => Ok(vec![0]),
    })
    .await;
    let outcome = ends(bmc.fru_inventory(0)).await;
    assert!(matches!(outcome, Err(BmcError::Malformed(_))), "{outcome:?}");
}

// §22.15: a list of cipher suites without end stops at 64 parts.
#[tokio::test]
async fn cipher_suites_without_end() {
    let mut bmc = liar(|_, _, _| Ok([&[1u8][..], &[0xc0; 16]].concat())).await;
    assert_eq!(ends(bmc.cipher_suite_octets(14, 0)).await.unwrap().len(), 64 * 16);
}

// Answers that are too short for what they answer.
#[tokio::test]
async fn answers_cut_short() {
    let mut bmc = liar(|_, _, _| Ok(Vec::new())).await;
    assert!(matches!(ends(bmc.device_id()).await, Err(BmcError::Malformed(_))));
    assert!(matches!(ends(bmc.chassis_status()).await, Err(BmcError::Malformed(_))));
    assert!(matches!(ends(bmc.system_guid()).await, Err(BmcError::Malformed(_))));
    assert!(matches!(ends(bmc.boot_option(5)).await, Err(BmcError::Malformed(_))));
    assert!(ends(bmc.sensor_data_records()).await.is_err());
    assert!(ends(bmc.event_log()).await.is_err());
    assert!(ends(bmc.fru_data(0)).await.is_err());
}
