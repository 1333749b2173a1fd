//! One boot of a machine, seen from outside: numbered phases that never go back, each with a time limit, and what is
//! in its way. Packets that nobody signed move this and nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hint::{Hint, HintCode};
use crate::identity::Mac;
use crate::time::Timestamp;

/// How far a boot has come. The order is the order of a boot; phases may be skipped, never gone back to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// We told the BMC.
    PowerCommanded,
    /// The BMC says that power is on, or the machine was heard since.
    PowerVerified,
    /// A DHCPDISCOVER was heard.
    Seen,
    /// A boot offer was sent.
    Offered,
    /// The loader was sent whole.
    Loader,
    /// iPXE got its script.
    Script,
    /// The kernel was sent whole.
    Kernel,
    /// The agent speaks.
    Agent,
    /// The agent writes a disk.
    Writing,
    /// The agent said that it reboots.
    Reboot,
    /// The machine was sent to its disk.
    DiskBoot,
    /// The system has registered.
    Registered,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 12] = [
        Self::PowerCommanded,
        Self::PowerVerified,
        Self::Seen,
        Self::Offered,
        Self::Loader,
        Self::Script,
        Self::Kernel,
        Self::Agent,
        Self::Writing,
        Self::Reboot,
        Self::DiskBoot,
        Self::Registered,
    ];

    /// The words that people see.
    pub fn words(self) -> &'static str {
        match self {
            Self::PowerCommanded => "power commanded",
            Self::PowerVerified => "power verified",
            Self::Seen => "seen",
            Self::Offered => "offered",
            Self::Loader => "loader",
            Self::Script => "script",
            Self::Kernel => "kernel",
            Self::Agent => "agent",
            Self::Writing => "writing",
            Self::Reboot => "reboot",
            Self::DiskBoot => "disk boot",
            Self::Registered => "registered",
        }
    }

    /// How long it may last; `None` for the last one.
    pub fn limit(self) -> Option<Duration> {
        Some(Duration::from_secs(match self {
            Self::PowerCommanded | Self::Seen => 30,
            Self::Offered | Self::Loader => 90,
            Self::PowerVerified | Self::Script => 240,
            Self::Kernel => 300,
            Self::Agent | Self::Writing | Self::Reboot | Self::DiskBoot => 600,
            Self::Registered => return None,
        }))
    }
}

/// Loader and kernel are told when their transfer has ended, by others than those who hear the machine's next request:
/// that may be heard this much earlier.
const TOLD_LATE: Duration = Duration::from_secs(2);

/// When a phase was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Which.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
}

/// One boot of a machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Counts from one, per machine.
    pub number: u32,
    /// Began then.
    pub began: Timestamp,
    /// The last sign of it.
    pub last: Timestamp,
    /// The interface that it boots from, once heard.
    pub mac: Option<Mac>,
    /// Each phase reached, in the order reached: strictly increasing.
    pub phases: Vec<PhaseTime>,
    /// How often the present phase's packet came.
    pub times: u32,
    /// Per cent written.
    pub progress: Option<u8>,
    /// The last detail reported.
    pub note: String,
    /// Why it goes no further: a cause that is certain, or what is known once a phase lasted too long.
    pub stalled: Option<Hint>,
    /// What seems to be in its way, while its phase may still end well. One that the boot before had too stays.
    pub suspect: Option<Hint>,
    /// Until when a BMC that is silent after a power command counts as one that comes back.
    pub(crate) rests_until: Option<Timestamp>,
    /// The loader or script that it was named last.
    pub(crate) program: String,
    /// Whether a time limit runs: under an open order and before the end.
    pub(crate) deadline: Option<Timestamp>,
}

impl Attempt {
    /// A boot that begins now.
    pub(crate) fn begin(number: u32, now: Timestamp) -> Self {
        Self {
            number,
            began: now,
            last: now,
            mac: None,
            phases: Vec::new(),
            times: 0,
            progress: None,
            note: String::new(),
            stalled: None,
            suspect: None,
            rests_until: None,
            program: String::new(),
            deadline: None,
        }
    }

    /// The phase reached.
    pub fn phase(&self) -> Option<Phase> {
        self.phases.last().map(|reached| reached.phase)
    }

    /// When the phase was reached.
    pub fn since(&self) -> Timestamp {
        self.phases.last().map_or(self.began, |reached| reached.at)
    }

    /// Moves on to `phase`. False when it is nothing new: a phase never goes back. One that is only told late takes its
    /// place before the one that followed it.
    pub(crate) fn reach(&mut self, now: Timestamp, phase: Phase) -> bool {
        self.last = now;
        if let Some((place, at)) = self.place_if_late(now, phase) {
            self.phases.insert(place, PhaseTime { phase, at });
            return true;
        }
        match self.phase() {
            Some(current) if current == phase => {
                self.times = self.times.saturating_add(1);
                false
            }
            Some(current) if current > phase => false,
            _ => {
                self.phases.push(PhaseTime { phase, at: now });
                (self.times, self.stalled) = (1, None);
                self.suspect = self.suspect.take().filter(|hint| phase < disproof(hint.code));
                self.note.clear();
                true
            }
        }
    }

    /// Where a phase belongs that has just ended elsewhere, and since when at the latest it was reached.
    fn place_if_late(&self, now: Timestamp, phase: Phase) -> Option<(usize, Timestamp)> {
        let place = self.phases.iter().position(|reached| reached.phase >= phase)?;
        let next = self.phases.get(place)?;
        let is_late = matches!(phase, Phase::Loader | Phase::Kernel)
            && next.phase != phase
            && now.since(next.at) <= TOLD_LATE;
        is_late.then_some((place, next.at))
    }
}

/// The phase that shows that a cause is none any more.
pub(crate) fn disproof(code: HintCode) -> Phase {
    use HintCode as Code;
    match code {
        Code::WrongLoader | Code::LoaderRefused | Code::LoaderLoop | Code::GrubNoNextServer => Phase::Script,
        Code::KernelCut | Code::AssetMissing => Phase::Agent,
        _ => Phase::Loader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_that_is_told_late_takes_its_place() {
        let at = Timestamp::from_millis;
        let mut attempt = Attempt::begin(1, at(0));
        assert!(attempt.reach(at(1), Phase::Seen) && attempt.reach(at(10), Phase::Script));
        attempt.note = "n".into();
        assert!(attempt.reach(at(15), Phase::Loader), "it belongs before the script");
        assert!(!attempt.reach(at(16), Phase::Loader) && !attempt.reach(at(16), Phase::Offered));
        assert_eq!((attempt.phase(), attempt.note.as_str()), (Some(Phase::Script), "n"));
        let times: Vec<_> = attempt.phases.iter().map(|reached| (reached.phase, reached.at)).collect();
        assert_eq!(times, [(Phase::Seen, at(1)), (Phase::Loader, at(10)), (Phase::Script, at(10))]);
        assert!(attempt.reach(at(20), Phase::Agent));
        assert!(!attempt.reach(at(2021), Phase::Kernel), "another transfer, not this boot's");
        assert!(attempt.reach(at(2020), Phase::Kernel));
    }

    #[test]
    fn phases_are_skipped_and_never_gone_back_to() {
        let now = Timestamp::from_millis(1);
        let mut attempt = Attempt::begin(1, now);
        assert!(attempt.reach(now, Phase::Offered) && attempt.reach(now, Phase::Kernel));
        assert!(!attempt.reach(now, Phase::Seen) && !attempt.reach(now, Phase::Kernel));
        assert_eq!((attempt.phase(), attempt.times, attempt.phases.len()), (Some(Phase::Kernel), 2, 2));
    }

    #[test]
    fn a_suspicion_stays_until_it_is_disproved() {
        let now = Timestamp::from_millis(1);
        let mut attempt = Attempt::begin(1, now);
        attempt.suspect = Some(Hint::new(HintCode::LoaderRefused, "read, not run"));
        assert!(attempt.reach(now, Phase::Offered) && attempt.reach(now, Phase::Loader));
        assert!(attempt.suspect.is_some());
        assert!(attempt.reach(now, Phase::Script) && attempt.suspect.is_none());
    }

    #[test]
    fn phases_are_numbered_in_the_order_of_a_boot() {
        for (at, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, at);
        }
    }
}
