//! The boot device, and the whole of a network boot: flags kept valid, one-time PXE, then power.

use super::power::{PowerControl, Verified, status};
use super::{Answer, Script, ScriptError, Step};
use crate::command::chassis::{
    BootDevice, BootFlags, BootOptions, ChassisControl, GetBootOptions, GetChassisStatus, SetBootOptions,
};
use crate::session::Request;
use crate::{Command, CompletionCode};

/// What came of setting the boot device.
pub type BootOutcome = Result<(), ScriptError>;

/// Sets the boot device as ipmitool does: set in progress, acknowledge, flags, commit, complete. A BMC that
/// does not know "set in progress" gets the flags alone.
#[derive(Clone, Copy, Debug)]
pub struct SetBootDevice {
    flags: BootFlags,
    keep_valid_bit: bool,
    at: Part,
    /// The BMC knows "set in progress".
    bracketed: bool,
    outcome: BootOutcome,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Start,
    Begin,
    KeepValid,
    Acknowledge,
    Flags,
    Commit,
    Complete,
}

impl SetBootDevice {
    /// This device, so.
    pub fn new(device: BootDevice, options: BootOptions) -> Self {
        Self::with_flags(BootFlags::new(device, options), options.keep_valid_bit)
    }

    /// Exactly these flags.
    pub fn with_flags(flags: BootFlags, keep_valid_bit: bool) -> Self {
        Self { flags, keep_valid_bit, at: Part::Start, bracketed: false, outcome: Ok(()) }
    }

    fn ask(&mut self, at: Part, command: SetBootOptions) -> Step<BootOutcome> {
        self.at = at;
        Step::Ask(command.request())
    }

    fn acknowledge(&mut self) -> Step<BootOutcome> {
        self.ask(Part::Acknowledge, SetBootOptions::acknowledge())
    }
}

impl Script for SetBootDevice {
    type Output = BootOutcome;

    fn next(&mut self, answer: Answer<'_>) -> Step<BootOutcome> {
        let accepted = matches!(answer, Answer::Reply(CompletionCode::OK, _));
        if answer == Answer::Unanswered {
            return Step::Done(Err(ScriptError::Silent));
        }
        match self.at {
            Part::Start => self.ask(Part::Begin, SetBootOptions::progress(1)),
            Part::Begin => {
                self.bracketed = accepted;
                if self.keep_valid_bit {
                    self.ask(Part::KeepValid, SetBootOptions::keep_valid_bit())
                } else {
                    self.acknowledge()
                }
            }
            Part::KeepValid => self.acknowledge(),
            Part::Acknowledge => self.ask(Part::Flags, SetBootOptions::flags(self.flags)),
            Part::Flags => {
                if let Answer::Reply(code, _) = answer
                    && !code.is_ok()
                {
                    self.outcome = Err(ScriptError::Completion(code));
                }
                match (self.bracketed, self.outcome) {
                    (false, outcome) => Step::Done(outcome),
                    (true, Ok(())) => self.ask(Part::Commit, SetBootOptions::progress(2)),
                    (true, Err(_)) => self.ask(Part::Complete, SetBootOptions::progress(0)),
                }
            }
            Part::Commit => self.ask(Part::Complete, SetBootOptions::progress(0)),
            Part::Complete => Step::Done(self.outcome),
        }
    }
}

/// What came of a network boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetbootOutcome {
    /// What was done to the power.
    pub control: ChassisControl,
    /// How that is known.
    pub verified: Verified,
    /// The boot flags read back, where the BMC would say; many answer with the valid bit 0.
    pub read_back: Option<BootFlags>,
}

/// One machine's network boot, back to back: check the GUID, keep the boot flags valid, one-time PXE, read
/// them back, then power on, or reset if the power is on.
#[derive(Clone, Copy, Debug)]
pub struct Netboot {
    expected: Option<[u8; 16]>,
    boot: SetBootDevice,
    at: Stage,
    read_back: Option<BootFlags>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Boot,
    ReadBack,
    Status,
    Power(PowerControl, ChassisControl),
}

impl Netboot {
    /// For EFI or legacy BIOS; with an expected GUID (in any octet order) other machines are left alone.
    pub fn new(efi: bool, expected: Option<[u8; 16]>) -> Self {
        let options = BootOptions { efi, keep_valid_bit: true, ..BootOptions::default() };
        let boot = SetBootDevice::new(BootDevice::Pxe, options);
        Self { expected, boot, at: Stage::Boot, read_back: None }
    }

    fn ask_status(&mut self) -> Request {
        self.at = Stage::Status;
        GetChassisStatus.request()
    }
}

impl Script for Netboot {
    type Output = Result<NetbootOutcome, ScriptError>;

    fn next(&mut self, answer: Answer<'_>) -> Step<Self::Output> {
        if let (Answer::Established { guid, .. }, Some(expected)) = (answer, self.expected)
            && !crate::guid_matches_uuid(guid, expected)
        {
            return Step::Done(Err(ScriptError::WrongMachine(guid)));
        }
        match &mut self.at {
            Stage::Boot => match self.boot.next(answer) {
                Step::Ask(request) => Step::Ask(request),
                Step::Done(Err(error)) => Step::Done(Err(error)),
                Step::Done(Ok(())) => {
                    self.at = Stage::ReadBack;
                    Step::Ask(GetBootOptions { parameter: 5, set: 0, block: 0 }.request())
                }
            },
            Stage::ReadBack => {
                if let Answer::Reply(CompletionCode::OK, [_, _, flags @ ..]) = answer {
                    self.read_back = flags.first_chunk().map(|octets| BootFlags(*octets));
                }
                Step::Ask(self.ask_status())
            }
            Stage::Status => match status(answer) {
                Err(error) => Step::Done(Err(error)),
                Ok(status) => {
                    let control =
                        if status.power_on() { ChassisControl::HardReset } else { ChassisControl::PowerUp };
                    self.at = Stage::Power(PowerControl::new(control), control);
                    Step::Ask(control.request())
                }
            },
            Stage::Power(power, control) => match power.next(answer) {
                Step::Ask(request) => Step::Ask(request),
                Step::Done(Err(error)) => Step::Done(Err(error)),
                Step::Done(Ok(verified)) => {
                    let (control, read_back) = (*control, self.read_back);
                    Step::Done(Ok(NetbootOutcome { control, verified, read_back }))
                }
            },
        }
    }
}
