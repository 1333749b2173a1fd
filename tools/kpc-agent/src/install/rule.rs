//! Which disk is written. Pure: disks in, one disk or the reason why none. When more than one may be meant, a person
//! has to say which.

use std::fmt;

use disk::Signature;

/// A disk as the kernel shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Disk {
    /// `sda`.
    pub(crate) name: String,
    /// Its serial number; empty where it shows none.
    pub(crate) serial: String,
    /// Its model.
    pub(crate) model: String,
    /// Its size.
    pub(crate) octets: u64,
    /// Of which kind it is.
    pub(crate) kind: Kind,
    /// What lies on it.
    pub(crate) signatures: Vec<Signature>,
}

/// Kinds of disks that a rule may name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// NVM Express.
    Nvme,
    /// Does not rotate.
    Ssd,
    /// Rotates, or does not say.
    Hdd,
}

impl Kind {
    /// The word of rules and reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nvme => "nvme",
            Self::Ssd => "ssd",
            Self::Hdd => "hdd",
        }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = if self.serial.is_empty() { "no serial" } else { &self.serial };
        write!(f, "{} ({serial}, {} {}", self.name, size(self.octets), self.kind.word())?;
        for found in &self.signatures {
            write!(f, ", {found}")?;
        }
        f.write_str(")")
    }
}

/// `20 GiB`, `512 MiB`.
fn size(octets: u64) -> String {
    match octets >> 30 {
        0..10 => format!("{} MiB", octets >> 20),
        gib => format!("{gib} GiB"),
    }
}

/// Which disk is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Choice {
    /// The one with this serial number.
    Serial(String),
    /// By a rule, among those that are large enough.
    Rule { rule: Rule, min_octets: u64 },
}

/// A rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rule {
    extreme: Extreme,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extreme {
    Only,
    Smallest,
    Largest,
}

impl Rule {
    /// `only`, `smallest`, `largest-nvme`, …
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (word, kind) = text.split_once('-').map_or((text, None), |(word, kind)| (word, Some(kind)));
        let extreme = match word {
            "only" => Extreme::Only,
            "smallest" => Extreme::Smallest,
            "largest" => Extreme::Largest,
            _ => return Err(format!("the disk rule `{text}` is not known here")),
        };
        let kind = match kind {
            None => None,
            Some("nvme") => Some(Kind::Nvme),
            Some("ssd") => Some(Kind::Ssd),
            Some("hdd") => Some(Kind::Hdd),
            Some(_) => return Err(format!("the disk rule `{text}` is not known here")),
        };
        Ok(Self { extreme, kind })
    }
}

impl Choice {
    /// The one disk that is meant, or why there is none.
    pub(crate) fn choose<'a>(&self, disks: &'a [Disk]) -> Result<&'a Disk, String> {
        let chosen = match self {
            Self::Serial(serial) => by_serial(disks, serial.trim())?,
            Self::Rule { rule, min_octets } => rule.choose(disks, *min_octets)?,
        };
        if chosen.serial.is_empty() {
            return Err(format!("{chosen} shows no serial number, by which alone it could be granted"));
        }
        match disks.iter().filter(|disk| disk.serial == chosen.serial).count() {
            1 => Ok(chosen),
            _ => Err(format!("more than one disk shows the serial {}: {}", chosen.serial, list(disks))),
        }
    }
}

fn by_serial<'a>(disks: &'a [Disk], serial: &str) -> Result<&'a Disk, String> {
    let found = disks.iter().find(|disk| disk.serial == serial);
    found.ok_or_else(|| format!("no disk has the serial {serial}; there are: {}", list(disks)))
}

impl Rule {
    fn choose<'a>(&self, disks: &'a [Disk], min_octets: u64) -> Result<&'a Disk, String> {
        let counts =
            |disk: &&Disk| disk.octets >= min_octets && self.kind.is_none_or(|kind| disk.kind == kind);
        let candidates: Vec<&Disk> = disks.iter().filter(counts).collect();
        let best = match self.extreme {
            Extreme::Only => None,
            Extreme::Smallest => candidates.iter().map(|disk| disk.octets).min(),
            Extreme::Largest => candidates.iter().map(|disk| disk.octets).max(),
        };
        let mut left = candidates.iter().filter(|disk| best.is_none_or(|octets| disk.octets == octets));
        match (left.next(), left.next()) {
            (Some(disk), None) => Ok(disk),
            (None, _) => Err(format!("no disk fits the rule; there are: {}", list(disks))),
            (Some(_), Some(_)) => Err(format!(
                "more than one disk fits the rule, a person has to name one by its serial: {}",
                list(disks)
            )),
        }
    }
}

fn list(disks: &[Disk]) -> String {
    if disks.is_empty() {
        return "none at all (is the driver of the controller in the initrd?)".to_owned();
    }
    disks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, serial: &str, gib: u64, kind: Kind) -> Disk {
        let (name, serial) = (name.to_owned(), serial.to_owned());
        Disk { name, serial, model: String::new(), octets: gib << 30, kind, signatures: Vec::new() }
    }

    fn choose<'a>(disks: &'a [Disk], rule: &str, gib: u64) -> Result<&'a str, String> {
        let choice = Choice::Rule { rule: Rule::parse(rule).unwrap(), min_octets: gib << 30 };
        choice.choose(disks).map(|disk| disk.name.as_str())
    }

    #[test]
    fn the_only_one_or_none() {
        let one = [disk("sda", "A", 10, Kind::Ssd), disk("sdb", "B", 1, Kind::Hdd)];
        assert_eq!(choose(&one, "only", 5), Ok("sda"));
        let why = choose(&one, "only", 0).unwrap_err();
        assert!(why.contains("sda (A, 10 GiB ssd)") && why.contains("by its serial"), "{why}");
        assert!(choose(&[], "only", 0).unwrap_err().contains("none at all"));
        assert!(choose(&one, "only", 50).unwrap_err().contains("no disk fits"));
    }

    #[test]
    fn extremes_by_kind() {
        let all = [
            disk("nvme0n1", "N", 900, Kind::Nvme),
            disk("sda", "A", 400, Kind::Ssd),
            disk("sdb", "B", 800, Kind::Ssd),
            disk("sdc", "C", 4000, Kind::Hdd),
            disk("sdd", "D", 4000, Kind::Hdd),
        ];
        assert_eq!(choose(&all, "smallest", 0), Ok("sda"));
        assert_eq!(choose(&all, "smallest", 500), Ok("sdb"));
        assert_eq!(choose(&all, "largest-ssd", 0), Ok("sdb"));
        assert_eq!(choose(&all, "largest-nvme", 0), Ok("nvme0n1"));
        assert_eq!(choose(&all, "only-nvme", 0), Ok("nvme0n1"));
        assert!(choose(&all, "largest", 0).is_err(), "two of the same size");
        for bad in ["", "biggest", "largest-tape", "only-"] {
            assert!(Rule::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn by_serial_and_never_without_one() {
        let all =
            [disk("sda", "A", 4, Kind::Hdd), disk("sdb", "A", 4, Kind::Hdd), disk("sdc", "C", 4, Kind::Hdd)];
        let by = |serial: &str| Choice::Serial(serial.into()).choose(&all).map(|disk| disk.name.as_str());
        assert_eq!(by(" C "), Ok("sdc"));
        assert!(by("A").unwrap_err().contains("more than one disk shows"), "two paths to one disk");
        assert!(by("X").unwrap_err().contains("there are: sda"));
        assert!(
            choose(&[disk("sda", "", 4, Kind::Hdd)], "only", 0).unwrap_err().contains("no serial number")
        );
    }
}
