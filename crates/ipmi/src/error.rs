//! What is wrong with octets (`ParseError`) and why a packet is left unanswered (`Ignored`).
//!
//! Used by every layer; both are `Copy` values without text on the heap, so that a flood of bad packets
//! costs a counter and nothing else.

/// The octets are not the packet they claim to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet ends inside the named field.
    #[error("truncated in {0}")]
    Truncated(&'static str),
    /// Octets are left over after the named field.
    #[error("octets left over after {0}")]
    Trailing(&'static str),
    /// The named field holds a value the specification does not know.
    #[error("{0} has the unknown value {1:#04x}")]
    Value(&'static str, u8),
    /// A length says something else than the octets that are there.
    #[error("{0} does not agree with the octets present")]
    Length(&'static str),
    /// The named checksum is wrong (IPMI v2.0 §13.8).
    #[error("{0} checksum is wrong")]
    Checksum(&'static str),
    /// The named padding is not as the specification fixes it.
    #[error("{0} padding is wrong")]
    Padding(&'static str),
}

/// A packet rightly left unanswered, with the reason. Drivers count these.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// The octets are no packet.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// It came from another address than the peer's.
    #[error("it came from another address")]
    Stranger,
    /// It is for a session, tag or request that does not exist (any more).
    #[error("nobody waits for it: {0}")]
    Unexpected(&'static str),
    /// Its integrity code or authentication code does not match.
    #[error("its authentication code is wrong")]
    BadAuthCode,
    /// It must be authenticated or encrypted in this session and is not, or the reverse.
    #[error("it is not protected as the session demands")]
    Unprotected,
    /// Its session sequence number was seen already (IPMI v2.0 §6.12.13).
    #[error("its session sequence number was seen already")]
    Repeated,
    /// Its session sequence number lies outside the window (IPMI v2.0 §6.12.13).
    #[error("its session sequence number is out of the window")]
    OutOfWindow,
    /// A limit on sessions or memory is reached.
    #[error("a limit is reached: {0}")]
    Limit(&'static str),
    /// The fault injection of a virtual BMC swallowed it.
    #[error("an injected fault swallowed it")]
    Fault,
}

impl Ignored {
    /// How many reasons there are: the length of a table of counters.
    pub const REASONS: usize = 9;

    /// A small dense number for a table of counters, below [`Ignored::REASONS`].
    pub fn index(&self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::Stranger => 1,
            Self::Unexpected(_) => 2,
            Self::BadAuthCode => 3,
            Self::Unprotected => 4,
            Self::Repeated => 5,
            Self::OutOfWindow => 6,
            Self::Limit(_) => 7,
            Self::Fault => 8,
        }
    }

    /// The names of the reasons, in the order of [`Ignored::index`].
    pub const NAMES: [&'static str; Self::REASONS] = [
        "malformed",
        "stranger",
        "unexpected",
        "bad-auth-code",
        "unprotected",
        "repeated",
        "out-of-window",
        "limit",
        "fault",
    ];
}
