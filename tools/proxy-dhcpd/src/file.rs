//! The configuration file, key by key. Reading and writing are the same types, so that what `--dnsmasq` prints reads
//! back.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct File {
    /// Interfaces the machines are on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<String>,
    /// TFTP server of boot files that name none: an address, or a name that is resolved at start and on SIGHUP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tftp_server: Option<String>,
    /// Script for iPXE; `{server}` stands for our address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipxe_script: Option<String>,
    /// Whether architectures without a rule get the usual loaders, and iPXE the usual script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) defaults: Option<bool>,
    /// Relay agents that are answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) relays: Vec<Ipv4Addr>,
    /// Whether booting machines are told that there is no IPv6 router.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) answer_router_solicitations: bool,
    /// Whether UDP port 67 is bound; never beside a lease server on this host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) bind_port_67: bool,
    /// File or URL per architecture.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) boot: BTreeMap<String, String>,
    /// Rules, before everything else.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "rule")]
    pub(crate) rules: Vec<RuleTable>,
}

/// `[[rule]]`: conditions, and one of `boot`, `menu`, `local`, `silent`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RuleTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<FormKey>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) silent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_secs: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<PromptTable>,
    #[serde(skip_serializing_if = "When::is_empty")]
    pub(crate) when: When,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) menu: Vec<ItemTable>,
}

/// How a program is given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FormKey {
    Direct,
    Binl,
    Http,
}

/// What is shown before a menu.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptTable {
    pub(crate) text: String,
    pub(crate) timeout: u8,
}

/// `[[rule.menu]]`: one line of a menu.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ItemTable {
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_type: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<FormKey>,
    #[serde(skip_serializing_if = "When::is_empty")]
    pub(crate) when: When,
}

/// Conditions; all that are given must hold. Octets are text, or hexadecimal behind `hex:`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct When {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) arch: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipxe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) features: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) circuit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<OptionTable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) any: Vec<When>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) none: Vec<When>,
}

impl When {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A test of one option: there at all, or with this value, or with these octets somewhere in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionTable {
    pub(crate) code: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) equals: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contains: Option<String>,
}
