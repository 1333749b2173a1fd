//! Path rules: which file a client gets for the name it asked, and what it needs otherwise (feature `rules`).
//!
//! Pure values: [`Rules::candidates`] names the files to try in order, a driver looks which of them exists.
//! The first rule that matches and whose file exists wins; without any, the name as it was asked.

mod file;
mod pattern;
mod text;

pub use file::RulesError;
pub use pattern::{MacAddr, Network};
pub use text::{Facts, render};

use crate::sender::Rollover;
use crate::wire::BlockSize;
use pattern::MacPattern;
use regex::bytes::Regex;
use std::net::IpAddr;
use text::Template;

/// What is known of a client.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientFacts {
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its MAC address, from the neighbour table or the rules' own list.
    pub mac: Option<MacAddr>,
    /// Its architecture, from the rules' own list or whoever answered its DHCP.
    pub arch: Option<String>,
    /// Its name in the rules' own list.
    pub name: Option<String>,
}

/// A client that the rules know beforehand.
#[derive(Clone, Debug)]
struct Known {
    ip: Option<IpAddr>,
    mac: Option<MacAddr>,
    arch: Option<String>,
    name: Option<String>,
}

/// One rule.
#[derive(Clone, Debug)]
struct Rule {
    path: Option<Regex>,
    from: Vec<Network>,
    mac: Vec<MacPattern>,
    arch: Vec<String>,
    target: Option<Template>,
    refuse: Option<String>,
    render: bool,
    settings: Settings,
}

/// What a client needs otherwise than the server's configuration says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// No larger block.
    pub max_block_size: Option<BlockSize>,
    /// Whether blocks may exceed the egress MTU.
    pub fragments: Option<bool>,
    /// Leave `tsize` out of the answer.
    pub hide_transfer_size: bool,
    /// What follows block 65535.
    pub rollover: Rollover,
}

/// A file to try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Candidate {
    /// Give this file, if it exists; else look at the next.
    File {
        /// Its path below the root.
        path: Vec<u8>,
        /// Whether `{{ip}}` and the like in its text are replaced.
        render: bool,
        /// What the client needs otherwise.
        settings: Settings,
    },
    /// Refuse with ERROR 2 and this message.
    Refuse(String),
}

/// What a rule made of a request, for people who write rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It does not match, for this reason.
    Skipped(&'static str),
    /// It matches and names this.
    Matched(Candidate),
}

/// An ordered list of rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    known: Vec<Known>,
}

impl Rules {
    /// Whether there are no rules, so that every name stands for itself.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Completes what is known of a client by the list of known ones.
    #[must_use]
    pub fn identify(&self, ip: IpAddr, mac: Option<MacAddr>) -> ClientFacts {
        let mut facts = ClientFacts { ip: Some(ip), mac, ..ClientFacts::default() };
        let known = self.known.iter().find(|known| match (known.mac, mac) {
            (Some(known), Some(mac)) => known == mac,
            _ => known.ip == Some(ip),
        });
        if let Some(known) = known {
            facts.mac = facts.mac.or(known.mac);
            facts.arch.clone_from(&known.arch);
            facts.name.clone_from(&known.name);
        }
        facts
    }

    /// The files to try for `path`, best first. A refusal ends the list.
    #[must_use]
    pub fn candidates(&self, path: &[u8], client: &ClientFacts) -> Vec<Candidate> {
        let mut found = Vec::new();
        for rule in &self.rules {
            if let Verdict::Matched(candidate) = rule.apply(path, client) {
                let last = matches!(candidate, Candidate::Refuse(_));
                found.push(candidate);
                if last {
                    return found;
                }
            }
        }
        found.push(Candidate::File { path: path.to_vec(), render: false, settings: Settings::default() });
        found
    }

    /// What each rule makes of `path`, in order.
    #[must_use]
    pub fn explain(&self, path: &[u8], client: &ClientFacts) -> Vec<Verdict> {
        self.rules.iter().map(|rule| rule.apply(path, client)).collect()
    }
}

impl Rule {
    fn apply(&self, path: &[u8], client: &ClientFacts) -> Verdict {
        let groups = match &self.path {
            None => None,
            Some(pattern) => match pattern.captures(path) {
                None => return Verdict::Skipped("the path does not match"),
                groups => groups,
            },
        };
        if !self.from.is_empty() && !client.ip.is_some_and(|ip| self.from.iter().any(|net| net.contains(ip)))
        {
            return Verdict::Skipped("the client's address does not match");
        }
        if !self.mac.is_empty() && !client.mac.is_some_and(|mac| self.mac.iter().any(|one| one.matches(mac)))
        {
            return Verdict::Skipped("the client's MAC address is another or unknown");
        }
        if !self.arch.is_empty() && !client.arch.as_ref().is_some_and(|arch| self.arch.contains(arch)) {
            return Verdict::Skipped("the client's architecture is another or unknown");
        }
        if let Some(message) = &self.refuse {
            return Verdict::Matched(Candidate::Refuse(message.clone()));
        }
        let path = match &self.target {
            None => path.to_vec(),
            Some(target) => match target.fill(groups.as_ref(), client) {
                Some(path) => path,
                None => return Verdict::Skipped("the client's facts that the new path needs are unknown"),
            },
        };
        Verdict::Matched(Candidate::File { path, render: self.render, settings: self.settings })
    }
}
