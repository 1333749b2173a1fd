//! Text with facts about a client in it: new paths, and files that are rendered.

use super::ClientFacts;
use regex::bytes::Captures;
use std::net::IpAddr;

/// Names of facts: `ip`, `ip-hex` (as PXELINUX writes it), `mac`, `mac-dash` (as PXELINUX writes it), `arch`, `name`.
pub type Facts = ClientFacts;

fn fact(name: &str, client: &ClientFacts) -> Option<String> {
    match name {
        "ip" => client.ip.map(|ip| ip.to_string()),
        "ip-hex" => client.ip.map(|ip| match ip {
            IpAddr::V4(ip) => format!("{:08X}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032X}", ip.to_bits()),
        }),
        "mac" => client.mac.map(|mac| mac.to_string()),
        "mac-dash" => client.mac.map(|mac| mac.to_string().replace(':', "-")),
        "arch" => client.arch.clone(),
        "name" => client.name.clone(),
        _ => None,
    }
}

const NAMES: [&str; 6] = ["ip", "ip-hex", "mac", "mac-dash", "arch", "name"];

#[derive(Clone, Debug)]
enum Part {
    Text(Vec<u8>),
    Group(usize),
    Fact(&'static str),
}

/// A new path: `$1` is a group of the rule's pattern, `{mac}` a fact, `$$` a dollar.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '{']) {
            let (before, from) = rest.split_at(at);
            parts.push(Part::Text(before.into()));
            if let Some(after) = from.strip_prefix("$$") {
                parts.push(Part::Text(b"$".to_vec()));
                rest = after;
            } else if let Some(after) = from.strip_prefix('$') {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
                let (number, after) = after.split_at(end);
                let number =
                    number.parse().map_err(|_| "`$` is followed by the number of a group".to_owned())?;
                parts.push(Part::Group(number));
                rest = after;
            } else {
                let (name, after) = from
                    .strip_prefix('{')
                    .and_then(|from| from.split_once('}'))
                    .ok_or_else(|| "`{` has no `}`".to_owned())?;
                let known = NAMES.into_iter().find(|known| *known == name);
                let known = known.ok_or_else(|| format!("`{{{name}}}` is none of {}", NAMES.join(", ")))?;
                parts.push(Part::Fact(known));
                rest = after;
            }
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The highest group it uses.
    pub(super) fn groups(&self) -> usize {
        let group = |part: &Part| if let Part::Group(number) = part { *number } else { 0 };
        self.0.iter().map(group).max().unwrap_or(0)
    }

    /// `None` if a fact is unknown.
    pub(super) fn fill(&self, groups: Option<&Captures<'_>>, client: &ClientFacts) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Group(number) => {
                    let group = groups.and_then(|groups| groups.get(*number));
                    out.extend_from_slice(group.map_or(&[], |group| group.as_bytes()));
                }
                Part::Fact(name) => out.extend_from_slice(fact(name, client)?.as_bytes()),
            }
        }
        Some(out)
    }
}

/// Replaces `{{ip}}`, `{{mac}}` and the other facts in a file; an unknown fact becomes nothing, and anything
/// else in braces stays as it is.
///
/// ```
/// # use tftp::rules::{ClientFacts, render};
/// let client = ClientFacts { ip: Some([10, 0, 0, 5].into()), ..ClientFacts::default() };
/// assert_eq!(render(b"set ip={{ip}} {{x}} ${y}", &client), b"set ip=10.0.0.5 {{x}} ${y}");
/// ```
#[must_use]
pub fn render(text: &[u8], client: &ClientFacts) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{{") {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let found = NAMES.into_iter().find_map(|name| {
            let after = from.strip_prefix(b"{{")?.strip_prefix(name.as_bytes())?.strip_prefix(b"}}")?;
            Some((name, after))
        });
        match found {
            Some((name, after)) => {
                out.extend_from_slice(fact(name, client).unwrap_or_default().as_bytes());
                rest = after;
            }
            None => {
                let (brace, after) = from.split_at(1);
                out.extend_from_slice(brace);
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest);
    out
}
