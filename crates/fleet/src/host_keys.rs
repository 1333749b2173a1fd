//! SSH host keys: what a machine's system showed when it registered is what `known_hosts` says. Other ones are taken
//! without a person only from the first registration of a new installation, which its claim vouches for; at any other
//! time they are an alarm, and the recorded ones stay until a person has accepted the new.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::identity::OrderId;
use crate::machine::Machine;
use crate::text::clean;

/// The boot whose system showed the recorded keys: its order, and the attempt where the system lives in memory and makes
/// new keys at every boot.
pub(crate) type Boot = (OrderId, Option<u32>);

/// What a machine's record has beside the keys that count.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct HostKeys {
    /// The boot that showed the keys that count.
    from: Option<Boot>,
    /// Other keys that it shows now, which nobody has accepted.
    #[serde(default)]
    shown: Vec<String>,
}

/// What a registration's keys mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// None were shown.
    Silent,
    /// The recorded ones.
    Same,
    /// The first ones, or those of a new installation.
    Taken,
    /// Others than recorded, and nothing vouches for them.
    Other,
}

/// Takes keys that were shown with the claim of `boot`, or without one: those that count are in the machine's facts then.
pub(crate) fn take(machine: &mut Machine, shown: &[String], boot: Option<Boot>) -> Verdict {
    let verdict = judge(machine, shown, boot);
    let beside = machine.host_keys.get_or_insert_default();
    match verdict {
        Verdict::Silent => {}
        Verdict::Same | Verdict::Taken => {
            beside.from = boot.or(beside.from);
            beside.shown.clear();
            machine.facts.ssh_host_keys = shown.to_vec();
        }
        Verdict::Other => beside.shown = shown.to_vec(),
    }
    verdict
}

fn judge(machine: &Machine, shown: &[String], boot: Option<Boot>) -> Verdict {
    let (shown, known) = (set(shown), set(&machine.facts.ssh_host_keys));
    if shown.is_empty() {
        return Verdict::Silent;
    }
    if shown == known {
        return Verdict::Same;
    }
    let fresh = boot.is_some() && boot != machine.host_keys.as_ref().and_then(|beside| beside.from);
    if known.is_empty() || fresh { Verdict::Taken } else { Verdict::Other }
}

/// A person accepts what it shows; `false` where it shows nothing new.
pub(crate) fn accept(machine: &mut Machine) -> bool {
    let shown =
        machine.host_keys.as_mut().map(|beside| std::mem::take(&mut beside.shown)).unwrap_or_default();
    let is_new = !shown.is_empty();
    if is_new {
        machine.facts.ssh_host_keys = shown;
    }
    is_new
}

/// What a person reads who should look, where a machine shows other keys.
pub(crate) fn words(machine: &Machine) -> Option<String> {
    let (shown, known) = (set(&machine.host_keys.as_ref()?.shown), set(&machine.facts.ssh_host_keys));
    let first = |keys: &BTreeSet<String>, but: &BTreeSet<String>| {
        keys.difference(but).next().map_or_else(|| "none".to_owned(), |key| short(key))
    };
    (!shown.is_empty()).then(|| {
        format!(
            "its SSH host key changed: it shows {}, known is {}; installed by hand, or another machine? known_hosts keeps \
             the old key; `kpc resolve {}` accepts the new",
            first(&shown, &known),
            first(&known, &shown),
            machine.name
        )
    })
}

/// `type base64` of each, without comments and what is no key.
fn set(keys: &[String]) -> BTreeSet<String> {
    keys.iter().filter_map(|key| host_key(key)).collect()
}

/// A key by its type and its end, which people compare.
fn short(key: &str) -> String {
    let (kind, key) = key.split_once(' ').unwrap_or(("", key));
    let end = key.trim_end_matches('=');
    clean(&format!("{kind} …{}", end.get(end.len().saturating_sub(10)..).unwrap_or_default()), 64)
}

/// `type base64` of a host key in `authorized_keys` form, its comment left out.
pub(crate) fn host_key(line: &str) -> Option<String> {
    const TYPES: [&str; 5] =
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
    let mut words = line.split_ascii_whitespace();
    let (kind, key) = (words.next().filter(|kind| TYPES.contains(kind))?, words.next()?);
    let base64 = key.len() >= 32 && key.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    base64.then(|| format!("{kind} {key}"))
}
