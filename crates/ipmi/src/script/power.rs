//! Power: status, and control that is carried out once.

use super::{Answer, Script, ScriptError, Step};
use crate::Command;
use crate::CompletionCode;
use crate::command::chassis::{ChassisControl, ChassisStatus, GetChassisStatus};

/// Get Chassis Status.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerStatus;

pub(super) fn status(answer: Answer<'_>) -> Result<ChassisStatus, ScriptError> {
    match answer {
        Answer::Reply(CompletionCode::OK, data) => {
            GetChassisStatus.parse_reply(data).map_err(ScriptError::Malformed)
        }
        Answer::Reply(code, _) => Err(ScriptError::Completion(code)),
        _ => Err(ScriptError::Silent),
    }
}

impl Script for PowerStatus {
    type Output = Result<ChassisStatus, ScriptError>;

    fn next(&mut self, answer: Answer<'_>) -> Step<Self::Output> {
        match answer {
            Answer::Established { .. } => Step::Ask(GetChassisStatus.request()),
            answer => Step::Done(status(answer)),
        }
    }
}

/// How it is known that a power command was carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// The BMC answered it.
    Answered,
    /// Its answer was lost; the power state is the one it leaves.
    ByState,
    /// Its answer was lost on every try, while the BMC answered other commands in the same session: the
    /// same datagram was sent several times and taken at most once.
    Delivered,
}

/// Chassis Control, carried out once: a lost datagram is repeated as it was, so that a BMC which had it
/// drops the repeat (IPMI v2.0 §6.12.13); when the answer stays lost, the effect is looked at before
/// anything else is sent.
#[derive(Clone, Copy, Debug)]
pub struct PowerControl {
    control: ChassisControl,
    verifying: bool,
}

impl PowerControl {
    /// This command.
    pub fn new(control: ChassisControl) -> Self {
        Self { control, verifying: false }
    }
}

impl Script for PowerControl {
    type Output = Result<Verified, ScriptError>;

    fn next(&mut self, answer: Answer<'_>) -> Step<Self::Output> {
        if self.verifying {
            let Ok(status) = status(answer) else { return Step::Done(Err(ScriptError::Unconfirmed)) };
            return Step::Done(match self.control.leaves_power() {
                Some(on) if on == status.power_on() => Ok(Verified::ByState),
                Some(_) => Err(ScriptError::Unconfirmed),
                None => Ok(Verified::Delivered),
            });
        }
        match answer {
            Answer::Established { .. } => Step::Ask(self.control.request()),
            Answer::Reply(CompletionCode::OK | CompletionCode::DUPLICATE, _) => {
                Step::Done(Ok(Verified::Answered))
            }
            Answer::Reply(code, _) => Step::Done(Err(ScriptError::Completion(code))),
            Answer::Unanswered => {
                self.verifying = true;
                Step::Ask(GetChassisStatus.request())
            }
        }
    }
}
