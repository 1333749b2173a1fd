//! What a server tells its application: one event per packet, borrowed, so that a sink that only counts costs nothing.

use crate::program::BootFile;
use crate::reply::Stage;
use crate::request::Port;
use crate::responder::Ignored;
use crate::why::Finding;
use crate::wire::{ClientArch, MacAddr, MessageType, ParseError};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// Takes events. Called between receive and send: it must not block.
pub type EventSink = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// One thing that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A reply was sent.
    Offered {
        /// The machine.
        mac: MacAddr,
        /// Its identifier, option 97 as it came.
        uuid: Option<[u8; 16]>,
        /// The architecture the rule matched.
        arch: ClientArch,
        /// Which step of the boot it serves.
        stage: Stage,
        /// The file it names; an OFFER in BINL form names none.
        file: Option<BootFile<'a>>,
        /// The interface.
        interface: &'a str,
        /// The port that was asked.
        port: Port,
        /// OFFER or ACK.
        message: MessageType,
        /// Where it went.
        to: SocketAddrV4,
        /// The rule that led to it.
        rule: &'a str,
        /// DISCOVERs of this boot answered with a loader and none with a script: above 2, the loader loads itself.
        loaders: u32,
    },
    /// A packet was left without an answer.
    Ignored {
        /// The machine, when the packet could be read.
        mac: Option<MacAddr>,
        /// The interface.
        interface: &'a str,
        /// The port that was asked.
        port: Port,
        /// Why.
        reason: Reason<'a>,
    },
    /// Another PXE responder answered on this network.
    ForeignResponder {
        /// Its address.
        server: Ipv4Addr,
        /// The machine it answered.
        mac: Option<MacAddr>,
        /// The interface.
        interface: &'a str,
    },
    /// A lease server answered somebody: an OFFER or ACK that says nothing of PXE. Told once a minute for each.
    LeaseServer {
        /// Its identifier (option 54), else its address.
        server: Ipv4Addr,
        /// The machine it answered.
        mac: Option<MacAddr>,
        /// The interface.
        interface: &'a str,
    },
    /// A machine's boot did not go on.
    Stuck {
        /// The machine and what is missing.
        finding: Finding,
    },
    /// A machine that boots was told that there is no IPv6 router.
    RouterSolicitationAnswered {
        /// The machine.
        mac: MacAddr,
        /// The interface.
        interface: &'a str,
    },
    /// The system refused something; the server goes on.
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The interface.
        interface: &'a str,
        /// What the system said.
        error: io::Error,
    },
}

/// Why a packet was left without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// It is no DHCP message.
    #[error("malformed: {0}")]
    Malformed(ParseError),
    /// The policy or the protocol says so.
    #[error("{0}")]
    Ignored(Ignored),
    /// The embedder says so.
    #[error("{0}")]
    Decided(&'a str),
    /// It was addressed to another host.
    #[error("addressed to {0}")]
    NotForUs(Ipv4Addr),
    /// It asks more often than its allowance.
    #[error("asks too often")]
    TooOften,
    /// Too many answers are being held back.
    #[error("too many answers are being held back")]
    TooManyDelayed,
    /// The reply would be longer than the client takes.
    #[error("the reply is longer than the client takes (option 57)")]
    TooLong,
}
