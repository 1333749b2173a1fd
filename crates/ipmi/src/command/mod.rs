//! Commands as types in the specification's words, one file per group.
//!
//! A command knows its numbers, its data, the level it needs, and how to read its answer; it knows nothing
//! of sessions or sockets. `driver::Bmc::execute` and `Session::submit` carry it.

pub mod app;
pub mod channel;
pub mod chassis;
pub mod fru;
pub mod lan;
pub mod names;
pub mod reading;
pub mod sdr;
pub mod sel;
pub mod sol;
pub mod user;

use crate::session::{Privilege, Repeat, Request};
use crate::{CompletionCode, ParseError};

/// Network functions (IPMI v2.0 table 5-1).
pub mod net_fn {
    /// Chassis.
    pub const CHASSIS: u8 = 0x00;
    /// Bridge.
    pub const BRIDGE: u8 = 0x02;
    /// Sensor and event.
    pub const SENSOR: u8 = 0x04;
    /// Application: device, session, user.
    pub const APP: u8 = 0x06;
    /// Firmware.
    pub const FIRMWARE: u8 = 0x08;
    /// Storage: SDR, SEL, FRU.
    pub const STORAGE: u8 = 0x0a;
    /// Transport: LAN, SOL.
    pub const TRANSPORT: u8 = 0x0c;
    /// Group extension: DCMI, PICMG, VITA.
    pub const GROUP: u8 = 0x2c;
}

/// One command of the specification.
pub trait Command {
    /// What its answer holds.
    type Reply;
    /// Network function, even.
    const NET_FN: u8;
    /// Command number.
    const COMMAND: u8;
    /// The level it needs (IPMI v2.0 appendix G).
    const PRIVILEGE: Privilege = Privilege::User;
    /// How it may be sent again.
    const REPEAT: Repeat = Repeat::Freely;

    /// Appends its data.
    fn encode(&self, data: &mut Vec<u8>);

    /// Reads the data of an answer whose completion code was 00h.
    fn parse_reply(&self, data: &[u8]) -> Result<Self::Reply, ParseError>;

    /// The request that carries it.
    fn request(&self) -> Request {
        let mut data = Vec::new();
        self.encode(&mut data);
        Request {
            privilege: Self::PRIVILEGE,
            repeat: Self::REPEAT,
            ..Request::new(Self::NET_FN, Self::COMMAND, data)
        }
    }

    /// What a completion code special to this command means (80h..=BEh), if it defines one.
    fn completion_text(&self, _code: CompletionCode) -> Option<&'static str> {
        None
    }
}
