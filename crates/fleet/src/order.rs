//! An order: an operator's word that a machine shall boot a profile, at most one open per machine.
//!
//! `armed → claimed(boot) → granted(disk) → done | failed | expired | cancelled`. What happens at most once
//! per order is the grant; everything before it may be asked for again.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::hint::HintCode;
use crate::identity::{ClaimSecret, Mac, MachineId, OrderId};
use crate::time::Timestamp;

/// What an order's profile does to its machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs from memory; a standing order, served at every boot until cancelled; never granted a disk.
    Live,
    /// Writes a disk, once.
    Install,
}

/// Who asked for the claim: another one is a second claimer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Claimer {
    /// The Ethernet address of the booting interface.
    pub mac: Mac,
    /// The address that it asked from.
    #[serde(default)]
    pub peer: Option<IpAddr>,
}

impl Claimer {
    /// Whether both may be one boot of one interface. An unknown address contradicts nothing.
    pub fn is(self, other: Self) -> bool {
        self.mac == other.mac && (self.peer.is_none() || other.peer.is_none() || self.peer == other.peer)
    }
}

/// One boot's hold on an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The order.
    pub order: OrderId,
    /// Its machine.
    pub machine: MachineId,
    /// What later requests of this boot show.
    pub secret: ClaimSecret,
    /// Who claimed.
    pub claimer: Claimer,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// The machine's count of power commands when it was claimed.
    pub power_epoch: u32,
    /// When it was first given.
    pub at: Timestamp,
    /// Until when it holds without a grant; [`Timestamp::NEVER`] once a live system has registered under it.
    pub expires: Timestamp,
}

/// The one permission to write a disk. Create-only and durable before the agent hears of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The order that it spends.
    pub order: OrderId,
    /// Its machine.
    pub machine: MachineId,
    /// The claim it was given under.
    pub claim: ClaimSecret,
    /// The nonce that the agent chose when it started: the same one asking again gets the same answer.
    pub nonce: ClaimSecret,
    /// The serial of the one disk that may be written.
    pub serial: String,
    /// When it was given.
    pub at: Timestamp,
}

/// How far an order has come.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum OrderState {
    /// Waits for its machine to boot.
    Armed,
    /// A boot has claimed it.
    Claimed {
        /// That boot's claim.
        claim: Claim,
    },
    /// Its one grant is given.
    Granted {
        /// The claim that asked.
        claim: Claim,
        /// The grant.
        grant: Grant,
    },
    /// The agent said that the disk is written.
    Done {
        /// The claim, whose secret lets the installed system register.
        claim: Claim,
        /// The grant that was used.
        grant: Grant,
    },
    /// Ended without success; nothing more comes of it.
    Failed {
        /// In words for a person.
        reason: String,
        /// Whether its grant had been given, so that a disk may be half written.
        granted: bool,
        /// The cause, where it is known.
        #[serde(default)]
        hint: Option<HintCode>,
    },
    /// Nobody claimed it in time.
    Expired,
    /// An operator took it back.
    Cancelled,
    /// A backup was restored; what happened since is not known.
    Voided,
}

impl OrderState {
    /// The word that people see.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Armed => "armed",
            Self::Claimed { .. } => "claimed",
            Self::Granted { .. } => "granted",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Voided => "voided",
        }
    }
}

/// An operator's word that a machine shall boot a profile. Written as JSON it holds its claim's secret: that
/// form is for the store, [`crate::status::OrderStatus`] is for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Our id.
    pub id: OrderId,
    /// Whom it is for.
    pub machine: MachineId,
    /// What shall boot.
    pub profile: String,
    /// Whether that runs from memory or writes a disk.
    pub role: Role,
    /// The disk that the operator named, if any.
    #[serde(default)]
    pub disk: Option<String>,
    /// The disk whose data the operator gave up, by serial.
    #[serde(default)]
    pub wipe: Option<String>,
    /// Who gave it.
    #[serde(default)]
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when an install order may be claimed; standing orders have no end.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Why it serves nobody until a person has looked.
    #[serde(default)]
    pub frozen: Option<String>,
    /// How far it has come.
    pub state: OrderState,
}

impl Order {
    /// Whether it may still lead to a boot or a grant.
    pub fn is_open(&self) -> bool {
        matches!(self.state, OrderState::Armed | OrderState::Claimed { .. } | OrderState::Granted { .. })
    }

    /// The claim that it stands under, while there is one.
    pub fn claim(&self) -> Option<&Claim> {
        match &self.state {
            OrderState::Claimed { claim }
            | OrderState::Granted { claim, .. }
            | OrderState::Done { claim, .. } => Some(claim),
            _ => None,
        }
    }

    /// When it ends or its claim does, if nothing happens before.
    pub(crate) fn deadline(&self, grant_lifetime: std::time::Duration) -> Option<Timestamp> {
        match &self.state {
            OrderState::Armed => self.expires,
            OrderState::Claimed { claim } => Some(claim.expires).filter(|at| *at != Timestamp::NEVER),
            OrderState::Granted { grant, .. } => Some(grant.at.plus(grant_lifetime)),
            _ => None,
        }
    }
}
