//! What to ask one BMC, step by step, as a value: power, boot device, network boot.
//!
//! Pure: `driver::Bmc::run` carries a script for one BMC, `Sweep` one for each of thousands.

mod netboot;
mod power;

pub use netboot::{BootOutcome, Netboot, NetbootOutcome, SetBootDevice};
pub use power::{PowerControl, PowerStatus, Verified};

use crate::session::Request;
use crate::{CipherSuite, CompletionCode};

/// What came of the step before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// The session stands: the first step.
    Established {
        /// The managed system's GUID (RAKP 2); zero in IPMI 1.5.
        guid: [u8; 16],
        /// The suite in force; `None` in IPMI 1.5.
        suite: Option<CipherSuite>,
    },
    /// The BMC answered.
    Reply(CompletionCode, &'a [u8]),
    /// It did not, after every attempt.
    Unanswered,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step<O> {
    /// Ask this.
    Ask(Request),
    /// Nothing more: this came out.
    Done(O),
}

/// A conversation with one BMC.
pub trait Script {
    /// What comes out.
    type Output;

    /// Takes the answer to the last step and says the next one.
    fn next(&mut self, answer: Answer<'_>) -> Step<Self::Output>;
}

/// Why a script ended without what it was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The BMC refused a step.
    #[error("{0}")]
    Completion(CompletionCode),
    /// The BMC fell silent within the session.
    #[error("no answer within the session")]
    Silent,
    /// A power command was sent, its answer was lost and its effect could not be seen.
    #[error("the command was sent but its effect is not confirmed; look before sending it again")]
    Unconfirmed,
    /// The answer's data are not what the specification says.
    #[error("malformed answer: {0}")]
    Malformed(crate::ParseError),
    /// The GUID is not the expected one; nothing was written.
    #[error("its GUID is {}, not the expected one; nothing was written", crate::guid::Guid(*.0))]
    WrongMachine([u8; 16]),
}
