//! dnsmasq's tags: which flags set one, and the condition that a flag with tags stands for.

use crate::rule::{Condition, MacMask, OptionTest, OptionValue};

/// Flags that set tags.
pub(super) const FLAGS: &[&str] = &[
    "dhcp-userclass",
    "dhcp-vendorclass",
    "dhcp-match",
    "dhcp-mac",
    "dhcp-circuitid",
    "dhcp-remoteid",
    "tag-if",
    "dhcp-host",
];

/// Names of options that dhcp-match takes beside numbers.
const OPTION_NAMES: &[(&str, u8)] = &[
    ("vendor-class", 60),
    ("tftp-server", 66),
    ("bootfile-name", 67),
    ("user-class", 77),
    ("client-arch", 93),
    ("client-interface-id", 94),
    ("client-machine-id", 97),
];

/// Every tag with the conditions that set it.
#[derive(Debug, Default)]
pub(super) struct Tags(Vec<(String, Condition)>);

impl Tags {
    /// Reads a flag that sets tags; others are left alone.
    pub(super) fn read(&mut self, flag: &str, value: &str) -> Result<(), String> {
        if !FLAGS.contains(&flag) {
            return Ok(());
        }
        if flag == "dhcp-host" {
            return self.host(value);
        }
        let (tag, rest) = value.split_once(',').unwrap_or((value, ""));
        let tag = strip(tag, &["set:", "net:"]).to_owned();
        let contains = |code| OptionTest { code, value: OptionValue::Contains(rest.as_bytes().to_vec()) };
        let mut condition = Condition::default();
        match flag {
            "dhcp-userclass" => condition.options.push(contains(77)),
            "dhcp-vendorclass" => condition.options.push(contains(60)),
            "dhcp-match" => condition.options.push(option_match(rest)?),
            "dhcp-mac" => condition.mac = Some(mac(rest).ok_or("not a hardware address")?),
            "dhcp-circuitid" => condition.circuit_id = Some(octets(rest)),
            "dhcp-remoteid" => condition.remote_id = Some(octets(rest)),
            _ => {
                let names: Vec<&str> = rest.split(',').collect();
                condition = self.all(&names);
            }
        }
        self.0.push((tag, condition));
        Ok(())
    }

    /// `MAC,set:tag,…` or `MAC,ignore`; hosts by name or client id mean nothing to a proxy.
    fn host(&mut self, value: &str) -> Result<(), String> {
        let macs: Vec<MacMask> = value.split(',').filter_map(mac).collect();
        let tags =
            value.split(',').filter_map(|word| word.strip_prefix("set:").or(word.strip_prefix("net:")));
        for tag in tags.chain(value.split(',').any(|word| word == "ignore").then_some("ignore-host")) {
            for mac in &macs {
                self.0.push((tag.to_owned(), Condition { mac: Some(*mac), ..Condition::default() }));
            }
        }
        Ok(())
    }

    /// The condition of the tags before a flag's value, and the value behind them.
    pub(super) fn condition<'v>(&self, value: &'v str) -> (Condition, &'v str) {
        let (mut names, mut rest) = (Vec::new(), value);
        loop {
            let (word, tail) = rest.split_once(',').unwrap_or((rest, ""));
            if !word.starts_with("tag:") && !word.starts_with("net:") {
                return (self.all(&names), rest);
            }
            names.push(word);
            rest = tail;
        }
    }

    fn all(&self, names: &[&str]) -> Condition {
        let mut all: Vec<Condition> = Vec::new();
        let mut none = Vec::new();
        for name in names {
            let name = strip(name, &["tag:", "net:"]);
            match name.strip_prefix(['#', '!']) {
                Some(absent) => none.push(self.one(absent)),
                None => all.push(self.one(name)),
            }
        }
        let mut condition = all.pop().unwrap_or_default();
        condition.none.extend(none);
        condition.none.extend(all.into_iter().map(not)); // none of them may fail
        condition
    }

    /// Whether one tag is set. A tag that no flag sets is the name of an interface.
    fn one(&self, name: &str) -> Condition {
        let setters = self.0.iter().filter(|(tag, _)| tag == name);
        let mut any: Vec<Condition> = setters.map(|(_, condition)| condition.clone()).collect();
        match any.len() {
            0 => Condition { interface: Some(name.to_owned()), ..Condition::default() },
            1 => any.pop().unwrap_or_default(),
            _ => Condition { any, ..Condition::default() },
        }
    }
}

fn not(condition: Condition) -> Condition {
    Condition { none: vec![condition], ..Condition::default() }
}

fn strip<'t>(word: &'t str, prefixes: &[&str]) -> &'t str {
    prefixes.iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word)
}

/// `NUMBER|option:NAME[,VALUE]`: a number, addresses and hexadecimal are octets, anything else is text; text may stand
/// anywhere in the option, as dnsmasq has it.
fn option_match(text: &str) -> Result<OptionTest, String> {
    let (name, value) = text.split_once(',').map_or((text, None), |(name, value)| (name, Some(value)));
    let name = strip(name, &["option:"]);
    let known = OPTION_NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
    let code = known.or_else(|| name.parse().ok()).ok_or_else(|| format!("no option `{name}`"))?;
    let value = match value {
        None => OptionValue::Present,
        // Options 93 and 94 hold numbers of 16 bits.
        Some(number) if code == 93 => match number.parse::<u16>() {
            Ok(number) => OptionValue::Equals(number.to_be_bytes().to_vec()),
            Err(_) => OptionValue::Equals(octets(number)),
        },
        Some(value) if value.contains(':') => OptionValue::Equals(octets(value)),
        Some(value) => OptionValue::Contains(value.as_bytes().to_vec()),
    };
    Ok(OptionTest { code, value })
}

/// Hexadecimal with colons, else text.
fn octets(text: &str) -> Vec<u8> {
    let hex: Option<Vec<u8>> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    match hex {
        Some(octets) if text.contains(':') => octets,
        _ => text.as_bytes().to_vec(),
    }
}

/// Six octets with colons or dashes; `*` stands for any.
fn mac(text: &str) -> Option<MacMask> {
    let mut mask = MacMask { address: [0; 6], mask: [0; 6] };
    let mut words = text.split([':', '-']);
    for (address, mask) in mask.address.iter_mut().zip(&mut mask.mask) {
        let word = words.next()?;
        if word != "*" {
            (*address, *mask) = (u8::from_str_radix(word, 16).ok()?, 0xff);
        }
    }
    words.next().is_none().then_some(mask)
}
