//! Selectors: how people name machines. An empty match is an error, so that a slip of the hand never means
//! "all" and never means "none, and fine".

use std::net::IpAddr;
use std::str::FromStr;

use crate::decide::Identity;
use crate::fleet::Fleet;
use crate::identity::{Mac, MachineId, Sighting};
use crate::machine::Lifecycle;
use crate::text::{is_label, is_machine_name};
use crate::time::Timestamp;

/// Most names that one `name[1-3]` may stand for.
const MAX_EXPANSION: usize = 65_536;

/// One or more machines, as people name them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Selector {
    /// A name, or several by `name[1-3]` or `name[1,4-6]`.
    Names(Vec<String>),
    /// An Ethernet address.
    Mac(Mac),
    /// The address of a BMC.
    Bmc(IpAddr),
    /// `@all`: every machine that is ours and in service.
    All,
    /// `@found`: found and not adopted.
    Found,
    /// `@failed`: whose latest order failed, is frozen, or whose boot stalled.
    Failed,
    /// `@rack:R`.
    Rack(String),
    /// `@role:R`.
    Role(String),
}

/// The text selects nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no selector (a name, name[1-3], a MAC, a BMC address, @all, @found, @failed, @rack:R or @role:R)"
)]
pub struct SelectorError(String);

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError(crate::text::clean(text, 80));
        if let Some(word) = text.strip_prefix('@') {
            return match word.split_once(':') {
                None if word == "all" => Ok(Self::All),
                None if word == "found" => Ok(Self::Found),
                None if word == "failed" => Ok(Self::Failed),
                Some(("rack", name)) if is_label(name) => Ok(Self::Rack(name.into())),
                Some(("role", name)) if is_label(name) => Ok(Self::Role(name.into())),
                _ => Err(wrong()),
            };
        }
        if let Ok(mac) = text.parse::<Mac>() {
            return Ok(Self::Mac(mac));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Bmc(address));
        }
        expand(text)
            .filter(|names| names.iter().all(|name| is_machine_name(name)))
            .map(Self::Names)
            .ok_or_else(wrong)
    }
}

/// `kpc-[01-03,7]` → its names; leading zeros keep the width.
fn expand(text: &str) -> Option<Vec<String>> {
    let Some((head, rest)) = text.split_once('[') else { return Some(vec![text.into()]) };
    let (ranges, tail) = rest.split_once(']')?;
    let mut names = Vec::new();
    for range in ranges.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let digits = |part: &str| {
            (!part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<usize>().ok())
        };
        let (first, last) = (digits(from)??, digits(to)??);
        if first > last || last - first >= MAX_EXPANSION - names.len() {
            return None;
        }
        let width = if from.starts_with('0') { from.len() } else { 0 };
        names.extend((first..=last).map(|n| format!("{head}{n:0width$}{tail}")));
    }
    Some(names)
}

impl Fleet {
    /// The machines that a selector means, by id. `Err` names what matched nothing.
    ///
    /// # Errors
    /// The part of the selector that matches no machine, in words.
    pub fn select(&self, selector: &Selector) -> Result<Vec<MachineId>, String> {
        let ours = |lifecycle| !matches!(lifecycle, Lifecycle::Found | Lifecycle::Retired);
        let those = |want: &dyn Fn(&crate::machine::Machine) -> bool| -> Vec<MachineId> {
            self.machines.values().filter(|machine| want(machine)).map(|machine| machine.id).collect()
        };
        let (found, what) = match selector {
            Selector::Names(names) => {
                let ids = names.iter().map(|name| self.by_name.get(name).copied().ok_or(name));
                match ids.collect::<Result<Vec<_>, _>>() {
                    Ok(ids) => (ids, String::new()),
                    Err(missing) => return Err(format!("no machine is named {missing}")),
                }
            }
            Selector::Mac(mac) => match self.identify(Timestamp::default(), &Sighting::of(*mac)) {
                Identity::Known(id) => (vec![id], String::new()),
                _ => (Vec::new(), format!("has {mac}")),
            },
            Selector::Bmc(address) => (
                those(&|machine| machine.bmc.as_ref().is_some_and(|bmc| bmc.address == *address)),
                format!("has a BMC at {address}"),
            ),
            Selector::All => (those(&|machine| ours(machine.lifecycle)), "is ours".into()),
            Selector::Found => {
                (those(&|machine| machine.lifecycle == Lifecycle::Found), "is found and not adopted".into())
            }
            Selector::Failed => (those(&|machine| self.failure(machine.id).is_some()), "has failed".into()),
            Selector::Rack(rack) => (
                those(&|machine| machine.rack.as_ref() == Some(rack) && ours(machine.lifecycle)),
                format!("stands in rack {rack}"),
            ),
            Selector::Role(role) => (
                those(&|machine| machine.roles.contains(role) && ours(machine.lifecycle)),
                format!("has role {role}"),
            ),
        };
        if found.is_empty() { Err(format!("no machine {what}")) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DESIGN 3: SEL is a name, name[1-3], a MAC, a BMC address, @all, @found, @failed, @rack:R, @role:R.
    #[test]
    fn every_form_is_read() {
        let names = |names: &[&str]| Ok(Selector::Names(names.iter().map(ToString::to_string).collect()));
        assert_eq!("kpc-01".parse(), names(&["kpc-01"]));
        assert_eq!("kpc-[1-3]".parse(), names(&["kpc-1", "kpc-2", "kpc-3"]));
        assert_eq!("kpc-[08-10,2].x".parse(), names(&["kpc-08.x", "kpc-09.x", "kpc-10.x", "kpc-2.x"]));
        assert_eq!("52:54:00:00:00:01".parse(), Ok(Selector::Mac(Mac([0x52, 0x54, 0, 0, 0, 1]))));
        assert_eq!("10.0.0.1".parse(), Ok(Selector::Bmc([10, 0, 0, 1].into())));
        assert_eq!("@all".parse(), Ok(Selector::All));
        assert_eq!("@rack:r1".parse(), Ok(Selector::Rack("r1".into())));
        for bad in ["", "@", "@everything", "@rack:", "a[3-1]", "a[1-999999]", "a[", "A", "a[1-2]}", "{{x}}"]
        {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
