//! Why a BMC could not be asked: six kinds of failure that a person tells apart.

use std::io;
use std::net::SocketAddr;

use crate::guid::Guid;
use crate::script::ScriptError;
use crate::wire::status::StatusCode;
use crate::{CompletionCode, Failure, ParseError};

/// Why a command was not carried out, or is not known to have been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BmcError {
    /// The password is wrong; it is not tried again.
    #[error("{0}: wrong password")]
    WrongPassword(SocketAddr),
    /// K_G, the BMC's own key, is wrong or missing.
    #[error("{0}: wrong K_G (the BMC wants two-key login)")]
    WrongKg(SocketAddr),
    /// The BMC knows no such user.
    #[error("{0}: unknown user")]
    UnknownUser(SocketAddr),
    /// The user may not have the level asked for.
    #[error("{0}: the user may not have this privilege level")]
    Privilege(SocketAddr),
    /// Every cipher suite offered was refused.
    #[error("{0}: cipher suite refused: {1}")]
    SuiteRefused(SocketAddr, StatusCode),
    /// The BMC refuses a session for another reason.
    #[error("{0}: session refused: {1}")]
    Refused(SocketAddr, StatusCode),
    /// Nothing came back.
    #[error("{0}: no answer (is it a BMC, and is IPMI over LAN enabled?)")]
    Silent(SocketAddr),
    /// The network says that the port or host cannot be reached.
    #[error("{addr}: unreachable: {source}")]
    Unreachable {
        /// The BMC.
        addr: SocketAddr,
        /// What the network said.
        source: io::Error,
    },
    /// The BMC answered the command with an error.
    #[error("{0}")]
    Completion(CompletionCode),
    /// The answer's data are not what the specification says.
    #[error("malformed answer: {0}")]
    Malformed(ParseError),
    /// A power command was sent, its answer was lost, and its effect could not be verified.
    #[error("{0}: the command was sent but its effect is not confirmed; look before sending it again")]
    Unconfirmed(SocketAddr),
    /// The BMC's GUID is not the expected one; nothing was written.
    #[error("{addr}: its GUID is {guid}, not the expected one; nothing was written")]
    WrongMachine {
        /// The BMC.
        addr: SocketAddr,
        /// The GUID it has.
        guid: Guid,
    },
    /// A socket could not be made or used.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BmcError {
    /// A stable word for programs: `wrong-password`, `unknown-user`, `privilege`, `suite-refused`, `silent`,
    /// `unreachable` and a few more.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::WrongPassword(_) => "wrong-password",
            Self::WrongKg(_) => "wrong-kg",
            Self::UnknownUser(_) => "unknown-user",
            Self::Privilege(_) | Self::Completion(CompletionCode::PRIVILEGE) => "privilege",
            Self::SuiteRefused(..) => "suite-refused",
            Self::Refused(..) => "refused",
            Self::Silent(_) => "silent",
            Self::Unreachable { .. } => "unreachable",
            Self::Completion(_) => "completion-code",
            Self::Malformed(_) => "malformed",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::WrongMachine { .. } => "wrong-machine",
            Self::Io { .. } => "io",
        }
    }

    /// What a script's own failure means.
    pub fn from_script(addr: SocketAddr, error: ScriptError) -> Self {
        match error {
            ScriptError::Completion(code) => Self::Completion(code),
            ScriptError::Silent => Self::Silent(addr),
            ScriptError::Unconfirmed => Self::Unconfirmed(addr),
            ScriptError::Malformed(error) => Self::Malformed(error),
            ScriptError::WrongMachine(guid) => Self::WrongMachine { addr, guid: Guid(guid) },
        }
    }

    pub(crate) fn from_failure(addr: SocketAddr, failure: Failure) -> Self {
        match failure {
            Failure::WrongPassword => Self::WrongPassword(addr),
            Failure::WrongKg => Self::WrongKg(addr),
            Failure::UnknownUser => Self::UnknownUser(addr),
            Failure::Privilege => Self::Privilege(addr),
            Failure::SuiteRefused(status) => Self::SuiteRefused(addr, status),
            Failure::Refused(status) => Self::Refused(addr, status),
            Failure::Silent => Self::Silent(addr),
        }
    }
}
