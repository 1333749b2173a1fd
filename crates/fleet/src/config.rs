//! The engine's one configuration: how long things may take, and how much is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::attempt::Phase;

/// How long each thing may take and how much is kept. [`Config::default`] is what `kpc serve` runs with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a claim holds without a grant: an install order then fails, a standing order is armed again.
    /// Default 1 h.
    pub claim_lifetime: Duration,
    /// How long an install order waits to be claimed. Default 24 h.
    pub order_lifetime: Duration,
    /// How long after a grant the agent may take to say done. Default 2 h.
    pub grant_lifetime: Duration,
    /// Quiet time after which a DISCOVER of the firmware counts as a new boot. Default 3 s.
    pub reboot_gap: Duration,
    /// How long a power command of ours lets a machine without an address be recognised by its BMC's GUID.
    /// Default 10 min.
    pub power_window: Duration,
    /// Unknown Ethernet addresses kept in memory. Default 1,024.
    pub unknown_machines: usize,
    /// Timeline events kept per machine. Default 256.
    pub timeline_per_machine: usize,
    /// Timeline events kept in all, the unknown's and the fleet's among them. Default 65,536.
    pub timeline_total: usize,
    /// Whether unknown machines get the read-only discovery system. Default false.
    pub discovery: bool,
    /// How long a phase may last before the attempt counts as stalled. Default [`Phase::limit`].
    pub phase_limits: PhaseLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            claim_lifetime: Duration::from_secs(3600),
            order_lifetime: Duration::from_secs(24 * 3600),
            grant_lifetime: Duration::from_secs(2 * 3600),
            reboot_gap: Duration::from_secs(3),
            power_window: Duration::from_secs(600),
            unknown_machines: 1024,
            timeline_per_machine: 256,
            timeline_total: 65_536,
            discovery: false,
            phase_limits: PhaseLimits::default(),
        }
    }
}

/// How long each phase may last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PhaseLimits(BTreeMap<Phase, Duration>);

impl PhaseLimits {
    /// Another limit than [`Phase::limit`]; the last phase has none whatever is said.
    pub fn set(&mut self, phase: Phase, limit: Duration) {
        self.0.insert(phase, limit);
    }

    /// The limit of a phase; `None`: for ever.
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        let default = phase.limit()?;
        Some(self.0.get(&phase).copied().unwrap_or(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_phases_own_unless_said_otherwise() {
        let mut limits = PhaseLimits::default();
        assert_eq!(limits.of(Phase::Seen), Phase::Seen.limit());
        limits.set(Phase::Seen, Duration::from_secs(3));
        limits.set(Phase::Registered, Duration::from_secs(3));
        assert_eq!(
            (limits.of(Phase::Seen), limits.of(Phase::Registered)),
            (Some(Duration::from_secs(3)), None)
        );
    }
}
