//! Who a virtual BMC is and whom it lets in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Privilege;
use crate::command::app::DeviceId;
use crate::crypto::cipher_suite::CipherSuite;
use crate::crypto::keys::Secret;
use crate::session::UserName;
use crate::wire::session::AuthType;
use crate::wire::status::StatusCode;

/// A user of the BMC.
#[derive(Clone, Debug)]
pub struct User {
    /// The name; empty is the null user.
    pub name: UserName,
    /// The password.
    pub password: Secret,
    /// The highest level this user may have.
    pub privilege: Privilege,
    /// Whether the user may log in.
    pub enabled: bool,
}

/// Habits of real BMCs that a virtual one can take on; the default follows the specification.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Answer "highest level" (0) in Open Session by 0 instead of the level granted: ipmi_sim.
    pub echo_privilege: bool,
    /// Refuse Open Session with two octets instead of eight: ipmi_sim.
    pub short_refusals: bool,
    /// Refuse RAKP 1 in the full length of RAKP 2, with the code of an unnamed user without password:
    /// ipmi_sim.
    pub full_refusals: bool,
    /// The status that refuses a suite; default "no matching suite" (11h).
    pub refused_suite: StatusCode,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            echo_privilege: false,
            short_refusals: false,
            full_refusals: false,
            refused_suite: StatusCode::NO_MATCHING_SUITE,
        }
    }
}

/// What the repositories of a virtual BMC hold, as octets of the specification.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// Sensor data records: the octets behind the record id (version, type, length, body).
    pub records: Vec<Vec<u8>>,
    /// Readings by sensor number: raw, flags, states 7:0, states 14:8.
    pub readings: BTreeMap<u8, [u8; 4]>,
    /// The event log: the octets behind the record id.
    pub log: Vec<[u8; 14]>,
    /// FRU device 0.
    pub fru: Vec<u8>,
}

/// Faults to inject into answers, each in percent; which datagram it hits is drawn from the entropy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Answers never sent.
    pub drop: u8,
    /// Answers sent twice.
    pub duplicate: u8,
    /// Answers held back until the next one.
    pub reorder: u8,
    /// Requests answered "node busy".
    pub busy: u8,
    /// Time by which every answer is late.
    pub delay: Duration,
}

/// Which commands go to the driver as [`super::MachineCall::Command`] instead of being answered here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Delegate {
    /// None: unknown commands are refused with C1h.
    #[default]
    Nothing,
    /// Those this crate does not know.
    Unknown,
    /// All but the session's own (privilege level, close).
    Everything,
}

/// Everything fixed about a virtual BMC.
#[derive(Clone, Debug)]
pub struct Config {
    /// The managed system's GUID, in the order it goes out.
    pub guid: [u8; 16],
    /// The answer to Get Device ID.
    pub device: DeviceId,
    /// The users; the first has number 1.
    pub users: Vec<User>,
    /// K_G; [`Secret::EMPTY`] for one-key login.
    pub k_g: Secret,
    /// Suites that consoles may use; default 3 and 17.
    pub suites: Vec<CipherSuite>,
    /// IPMI 1.5 authentication types that consoles may use, of none, MD5 and password; default none at all.
    pub auth_types: Vec<AuthType>,
    /// Departures from the specification.
    pub habits: Habits,
    /// Commands for the driver.
    pub delegate: Delegate,
    /// Whether consoles may activate Serial over LAN; default false.
    pub sol: bool,
    /// Sensor data records, event log, FRU and readings; default none.
    pub data: Data,
    /// Misbehaviour to inject; default none.
    pub faults: Faults,
    /// Sessions at once, set-ups included; default 36. The longest idle set-up makes room for a new one.
    pub max_sessions: usize,
    /// Idle time after which a session is dropped; default 60 s (IPMI v2.0 §6.12.15).
    pub idle_timeout: Duration,
}

impl Config {
    /// A BMC with this GUID and one administrator.
    pub fn new(guid: [u8; 16], name: UserName, password: Secret) -> Self {
        Self {
            guid,
            device: DeviceId {
                device_id: 0x20,
                revision: 1,
                provides_sdrs: false,
                updating: false,
                firmware_major: 0,
                firmware_minor: 0x10,
                ipmi_version: 0x02,
                additional_support: 0x80,
                manufacturer: 0,
                product: 1,
                auxiliary: None,
            },
            users: vec![User { name, password, privilege: Privilege::Administrator, enabled: true }],
            k_g: Secret::EMPTY,
            suites: vec![CipherSuite::SUITE_3, CipherSuite::SUITE_17],
            auth_types: Vec::new(),
            habits: Habits::default(),
            delegate: Delegate::Nothing,
            sol: false,
            data: Data::default(),
            faults: Faults::default(),
            max_sessions: 36,
            idle_timeout: Duration::from_secs(60),
        }
    }
}
