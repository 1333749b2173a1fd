//! `[network.bmc]` and `[[rack]]`: where BMCs are, and how racks differ.

use std::net::Ipv4Addr;

use serde::Deserialize;

/// `[network.bmc]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BmcNetwork {
    /// The interface that reaches the BMCs, such as a tagged VLAN's. Default: the machines' one.
    pub(crate) interface: Option<String>,
    /// Where the BMCs are: `10.100.0.1-254`, `10.100.0.0/24`. Default: none; `kpc bmc scan` then wants a range.
    pub(crate) ranges: Vec<String>,
}

/// One `[[rack]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rack {
    /// Its name, for `@rack:NAME`.
    pub(crate) name: String,
    /// The addresses of the DHCP relays in it (giaddr, RFC 2131 §2). Default: none, it is on the machines' network.
    #[serde(default)]
    pub(crate) relays: Vec<Ipv4Addr>,
    /// Names of machines that a scan finds in it; `{}` is a number. Default: `kpc-{}`.
    #[serde(default)]
    pub(crate) naming: Option<String>,
    /// Where its BMCs are. Default: none.
    #[serde(default)]
    pub(crate) bmc_ranges: Vec<String>,
}

/// What cannot be used, with the remedy.
pub(super) fn check(bmc: Option<&BmcNetwork>, racks: &[Rack]) -> Result<(), String> {
    let ranges = bmc.iter().flat_map(|bmc| bmc.ranges.iter().map(|range| ("network.bmc.ranges", range)));
    let theirs = racks.iter().flat_map(|rack| rack.bmc_ranges.iter().map(|range| ("rack.bmc_ranges", range)));
    for (key, range) in ranges.chain(theirs) {
        ipmi::hostrange::expand(range).map_err(|error| format!("{key} = \"{range}\": {error}"))?;
    }
    for (at, rack) in racks.iter().enumerate() {
        let good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if rack.name.is_empty() || !rack.name.chars().all(good) {
            return Err(format!("[[rack]] name = \"{}\": letters, digits, -, _ and . only", rack.name));
        }
        if racks.iter().skip(at + 1).any(|other| other.name == rack.name) {
            return Err(format!("[[rack]] {} is there twice", rack.name));
        }
        let rule = rack.naming.as_deref().unwrap_or("kpc-{}");
        let name = rule.replace("{}", "01");
        let host =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
        if name.is_empty() || !name.chars().all(host) {
            return Err(format!(
                "[[rack]] naming = \"{rule}\": a host name with {{}} for the number, such as r1-{{}}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn racks(text: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Racks {
            rack: Vec<Rack>,
        }
        let racks: Racks = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        check(None, &racks.rack)
    }

    #[test]
    fn faults_of_racks_are_told() {
        let good = "[[rack]]\nname = \"r1\"\nrelays = [\"10.1.0.1\"]\nnaming = \"r1-{}\"\nbmc_ranges = [\"10.100.1.0/24\"]\n";
        assert_eq!(racks(good), Ok(()));
        for (text, what) in [
            (format!("{good}{good}"), "twice"),
            (good.replace("10.100.1.0/24", "10.100.1.0/99"), "rack.bmc_ranges"),
            (good.replace("r1-{}", "R1 {}"), "naming"),
            (good.replace("\"r1\"", "\"r/1\""), "name"),
            (good.replace("relays", "relay"), "unknown field"),
        ] {
            let error = racks(&text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
