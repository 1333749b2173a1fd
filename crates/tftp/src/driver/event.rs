//! What a server tells the application.

use crate::server::Ignored;
use crate::wire::ErrorCode;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Takes events. It is called on the server's own thread and must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// What happened. Addresses are canonical (an IPv4 client of a dual-stack socket is IPv4); paths are as
/// asked for, with octets that are no UTF-8 replaced.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A transfer begins: the file is open.
    Started {
        /// The client.
        peer: SocketAddr,
        /// The file.
        path: String,
        /// Its length in octets as sent, if known.
        size: Option<u64>,
    },
    /// A transfer is over; a write only if it failed (see [`Self::Stored`]).
    Finished {
        /// The client.
        peer: SocketAddr,
        /// The file.
        path: String,
        /// How it ended.
        cause: Cause,
        /// Octets of the file that the client acknowledged.
        octets: u64,
        /// Blocks that the client acknowledged.
        blocks: u64,
        /// Packets that were sent more than once.
        retransmits: u64,
        /// From the request to the end.
        duration: Duration,
    },
    /// A file that a client wrote is complete and in its place.
    Stored {
        /// The client.
        peer: SocketAddr,
        /// The file.
        path: String,
        /// Its length in octets as they came.
        octets: u64,
        /// Blocks that came.
        blocks: u64,
        /// Acknowledgements that were sent more than once.
        retransmits: u64,
        /// From the request to the last acknowledgement.
        duration: Duration,
    },
    /// A request was answered with an ERROR.
    Refused {
        /// The client.
        peer: SocketAddr,
        /// The file; empty if the request was malformed.
        path: String,
        /// The code sent.
        code: ErrorCode,
        /// The message sent.
        reason: String,
    },
    /// A datagram was rightly left unanswered.
    Ignored {
        /// Where it came from.
        peer: SocketAddr,
        /// Why.
        reason: Ignored,
    },
}

/// How a transfer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The client acknowledged the last block.
    Complete,
    /// The client wanted the size only: it ended with an ERROR before the first block. This is what firmware
    /// does (EDK2 with code 8), and it is normal.
    Probe,
    /// The client ended it with an ERROR.
    Aborted {
        /// Its code.
        code: ErrorCode,
        /// Its message.
        message: String,
    },
    /// The client stopped answering.
    TimedOut,
    /// The same client asked anew.
    Replaced,
    /// We could not go on, for example because the file shrank.
    Failed(String),
    /// The server was shut down.
    Shutdown,
}
