//! The file that rules are written in (TOML).

use super::pattern::MacPattern;
use super::text::Template;
use super::{Known, MacAddr, Network, Rule, Rules, Settings};
use crate::sender::Rollover;
use crate::wire::BlockSize;
use regex::bytes::Regex;
use serde::Deserialize;
use std::net::IpAddr;
use std::str::FromStr;

/// What is wrong with a file of rules, in words that name the place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RulesError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<RuleEntry>,
    #[serde(default)]
    client: Vec<ClientEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleEntry {
    r#match: Option<String>,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    mac: Vec<String>,
    #[serde(default)]
    arch: Vec<String>,
    path: Option<String>,
    refuse: Option<String>,
    #[serde(default)]
    render: bool,
    max_blksize: Option<u16>,
    fragments: Option<bool>,
    #[serde(default = "yes")]
    tsize: bool,
    rollover: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientEntry {
    ip: Option<IpAddr>,
    mac: Option<String>,
    arch: Option<String>,
    name: Option<String>,
}

const fn yes() -> bool {
    true
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let file: File = toml::from_str(text).map_err(|error| RulesError(error.to_string()))?;
        let mut rules = Self::default();
        for (index, entry) in file.rule.into_iter().enumerate() {
            let rule = rule(entry).map_err(|why| RulesError(format!("rule {}: {why}", index + 1)))?;
            rules.rules.push(rule);
        }
        for (index, entry) in file.client.into_iter().enumerate() {
            let at = |why: &str| RulesError(format!("client {}: {why}", index + 1));
            let mac = entry.mac.as_deref().map(MacAddr::from_str).transpose().map_err(at)?;
            if entry.ip.is_none() && mac.is_none() {
                return Err(at("give it an `ip` or a `mac`"));
            }
            rules.known.push(Known { ip: entry.ip, mac, arch: entry.arch, name: entry.name });
        }
        Ok(rules)
    }
}

fn rule(entry: RuleEntry) -> Result<Rule, String> {
    let path = entry.r#match.as_deref().map(Regex::new).transpose().map_err(|error| error.to_string())?;
    let target = entry.path.as_deref().map(Template::parse).transpose()?;
    let groups = path.as_ref().map_or(0, |pattern| pattern.captures_len() - 1);
    if let Some(wanted) = target.as_ref().map(Template::groups).filter(|&wanted| wanted > groups) {
        return Err(format!("`path` uses group ${wanted}, `match` has {groups}"));
    }
    if entry.refuse.is_some() && target.is_some() {
        return Err("`refuse` and `path` exclude each other".to_owned());
    }
    let max_block_size = match entry.max_blksize {
        None => None,
        Some(octets) => Some(BlockSize::new(octets).ok_or("`max-blksize` is 8 to 65464")?),
    };
    let rollover = match entry.rollover {
        None | Some(0) => Rollover::Zero,
        Some(1) => Rollover::One,
        Some(_) => return Err("`rollover` is 0 or 1".to_owned()),
    };
    Ok(Rule {
        path,
        from: all::<Network>(&entry.from)?,
        mac: all::<MacPattern>(&entry.mac)?,
        arch: entry.arch,
        target,
        refuse: entry.refuse,
        render: entry.render,
        settings: Settings {
            max_block_size,
            fragments: entry.fragments,
            hide_transfer_size: !entry.tsize,
            rollover,
        },
    })
}

fn all<T: FromStr<Err = &'static str>>(texts: &[String]) -> Result<Vec<T>, String> {
    texts.iter().map(|text| text.parse().map_err(|why| format!("`{text}`: {why}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Candidate, ClientFacts};
    use super::*;

    const RULES: &str = r#"
        [[rule]]
        match = "^secret/"
        refuse = "not for you"

        [[rule]]
        match = '^\\?(?:boot\\)?(.+)$'
        from = ["10.0.0.0/24"]
        path = "by-mac/{mac-dash}/$1"

        [[rule]]
        match = "^grub.cfg$"
        arch = ["x64-uefi"]
        path = "grub/{arch}.cfg"
        render = true
        max-blksize = 1024
        tsize = false

        [[client]]
        mac = "52:54:00:12:34:56"
        arch = "x64-uefi"
        name = "node1"
    "#;

    fn paths(path: &str, client: &ClientFacts) -> Vec<String> {
        let rules: Rules = RULES.parse().unwrap();
        let name = |candidate| match candidate {
            Candidate::File { path, render, .. } => {
                format!("{}{}", String::from_utf8_lossy(&path), if render { " rendered" } else { "" })
            }
            Candidate::Refuse(message) => format!("refused: {message}"),
        };
        rules.candidates(path.as_bytes(), client).into_iter().map(name).collect()
    }

    #[test]
    fn the_first_that_exists_wins() {
        let rules: Rules = RULES.parse().unwrap();
        let known = rules.identify([10, 0, 0, 5].into(), "52:54:00:12:34:56".parse().ok());
        assert_eq!(known.name.as_deref(), Some("node1"));
        let all = ["by-mac/52-54-00-12-34-56/grub.cfg", "grub/x64-uefi.cfg rendered", "grub.cfg"];
        assert_eq!(paths("grub.cfg", &known), all);
        assert_eq!(
            paths("boot\\wdsnbp.com", &known),
            ["by-mac/52-54-00-12-34-56/wdsnbp.com", "boot\\wdsnbp.com"]
        );
        // A rule whose facts are unknown does not match.
        let stranger = rules.identify([10, 0, 0, 6].into(), None);
        assert_eq!(paths("grub.cfg", &stranger), ["grub.cfg"]);
        assert_eq!(paths("secret/x", &stranger), ["refused: not for you"]);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| text.parse::<Rules>().unwrap_err().to_string();
        assert!(wrong("[[rule]]\npath = '$2'\nmatch = '(a)'").contains("rule 1: `path` uses group $2"));
        assert!(wrong("[[rule]]\npath = '{serial}'").contains("`{serial}` is none of ip"));
        assert!(wrong("[[rule]]\nmatch = '('").contains("rule 1"));
        assert!(wrong("[[rule]]\nfrom = ['10.0.0.0/40']").contains("10.0.0.0/40"));
        assert!(wrong("[[rule]]\ncolour = 1").contains("colour"));
        assert!(wrong("[[client]]\narch = 'bios'").contains("client 1"));
    }
}
