//! `[timeouts]`: how long a boot may stay in each phase, and how long orders, claims and grants stand.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::attempt::Phase;
use serde::{Deserialize, Deserializer};

use crate::args::seconds;

/// `[timeouts]`. Every key is a time such as `90s`, `4m` or `500ms`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    /// An install order without a claim. Default `24h`.
    order: Option<Time>,
    /// A claim without a grant or a registration. Default `1h`.
    claim: Option<Time>,
    /// A grant without the agent's `done`. Default `2h`.
    grant: Option<Time>,
    /// Each phase by its name, `power_commanded` to `disk_boot`; the write: since its last report. Defaults: `30s` for
    /// power_commanded and seen, `90s` for offered and loader, `4m` for power_verified and script, `5m` for kernel,
    /// `10m` for the rest.
    phases: BTreeMap<Phase, Time>,
}

/// A time in TOML.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        seconds(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Timeouts {
    /// The fleet's configuration.
    pub(crate) fn fleet(&self) -> fleet::Config {
        let mut config = fleet::Config::default();
        let set = |place: &mut Duration, time: Option<Time>| *place = time.map_or(*place, |time| time.0);
        set(&mut config.order_lifetime, self.order);
        set(&mut config.claim_lifetime, self.claim);
        set(&mut config.grant_lifetime, self.grant);
        for (phase, time) in &self.phases {
            config.phase_limits.set(*phase, time.0);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        let timeouts: Timeouts = toml::from_str("claim = \"5m\"\nphases = { offered = \"3s\" }\n").unwrap();
        let config = timeouts.fleet();
        assert_eq!(config.claim_lifetime, Duration::from_secs(300));
        assert_eq!(config.phase_limits.of(Phase::Offered), Some(Duration::from_secs(3)));
        assert_eq!(config.phase_limits.of(Phase::Seen), Phase::Seen.limit());
        for wrong in ["claim = \"soon\"", "claim = 5", "phases = { lunch = \"1h\" }"] {
            assert!(toml::from_str::<Timeouts>(wrong).is_err(), "{wrong}");
        }
    }
}
