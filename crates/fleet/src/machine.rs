//! A machine: the id we minted, what identifies it, and how far it has come.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::identity::{Mac, MachineId, Uuid};
use crate::time::Timestamp;

/// Most Ethernet addresses one machine may have.
pub const MAX_MACS: usize = 16;

/// How far a machine has come. Moved by operators and authenticated reports only, never by a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lifecycle {
    /// Known from a scan or a sighting; not ours, never ordered for.
    Found,
    /// An operator said that it is ours.
    Adopted,
    /// Its disk was written under a grant and the agent said done.
    Installed,
    /// The system it runs has registered.
    Registered,
    /// Evidence contradicts what is recorded; no order until a person has looked.
    Conflict,
    /// Taken out of service; never ordered for.
    Retired,
}

impl Lifecycle {
    /// The word that people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Adopted => "adopted",
            Self::Installed => "installed",
            Self::Registered => "registered",
            Self::Conflict => "conflict",
            Self::Retired => "retired",
        }
    }
}

/// The board management controller of a machine.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Bmc {
    /// Where it answers.
    pub address: IpAddr,
    /// UDP port; 623 unless a lab says otherwise.
    #[serde(default = "rmcp_port")]
    pub port: u16,
    /// The GUID of RAKP 2. Once known, a BMC that shows another one gets no power and no boot write.
    #[serde(default)]
    pub guid: Option<Uuid>,
}

fn rmcp_port() -> u16 {
    623
}

impl Bmc {
    /// A BMC at this address on UDP port 623, its GUID not yet known.
    pub fn at(address: IpAddr) -> Self {
        Self { address, port: rmcp_port(), guid: None }
    }
}

/// A network interface as the agent reported it. Kept as a fact; identifies nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// The kernel's name, such as `eno1`.
    pub name: String,
    /// Its Ethernet address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

/// A disk as the agent reported it: what an operator chooses from. Kept as a fact; grants nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// The kernel's name, such as `nvme0n1`; another one after the next boot.
    pub name: String,
    /// What orders name it by.
    pub serial: String,
    /// Its maker's words.
    pub model: String,
    /// Its size.
    pub octets: u64,
    /// `nvme`, `ssd` or `hdd`.
    pub kind: String,
    /// What was found on it: partition table, filesystems, LVM, md, Ceph. Empty: nothing.
    pub signatures: Vec<String>,
}

/// What the registered system said of itself, cleaned and bounded.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The host name it runs under; names in the inventory are ours.
    #[serde(default)]
    pub hostname: String,
    /// SMBIOS system serial.
    #[serde(default)]
    pub serial: String,
    /// Its interfaces, at most 32.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// SSH host keys in `authorized_keys` form, at most 8.
    #[serde(default)]
    pub ssh_host_keys: Vec<String>,
    /// SHA-256 of what it fetched and wrote, in hexadecimal, by name.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The agent's version.
    #[serde(default)]
    pub agent_version: String,
    /// Its disks as an installing agent last saw them, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
}

/// A machine and everything durable about it, apart from its orders. Written as JSON it holds its agent's key:
/// that form is for the store, [`crate::MachineStatus`] is for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Our id.
    pub id: MachineId,
    /// Its name: chosen by the operator or by us, unique, a host name.
    pub name: String,
    /// Ethernet addresses that select it.
    pub macs: Vec<Mac>,
    /// SMBIOS UUID. Narrows, never selects.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// Serial as the operator wrote it or the first registration said.
    #[serde(default)]
    pub serial: Option<String>,
    /// Its BMC.
    #[serde(default)]
    pub bmc: Option<Bmc>,
    /// Why its BMC is in doubt: it is told nothing until a person has looked.
    #[serde(default)]
    pub bmc_doubt: Option<String>,
    /// The disk that its orders name unless they name another, by serial.
    #[serde(default)]
    pub disk: Option<String>,
    /// Where it stands, for `@rack:R`.
    #[serde(default)]
    pub rack: Option<String>,
    /// Inventory groups, chosen by operators.
    #[serde(default)]
    pub roles: Vec<String>,
    /// How far it has come.
    pub lifecycle: Lifecycle,
    /// Why, when it is a conflict.
    #[serde(default)]
    pub conflict: Option<String>,
    /// Address of its registered system.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// What the registered system said.
    #[serde(default)]
    pub facts: Facts,
    /// What is known of its SSH host keys beside `facts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host_keys: Option<Box<crate::host_keys::HostKeys>>,
    /// When it last registered.
    #[serde(default)]
    pub registered_at: Option<Timestamp>,
    /// The key of the system that registered; later registrations need it.
    #[serde(default)]
    pub key: Option<crate::register::AgentKey>,
    /// How many boot attempts it has had.
    #[serde(default)]
    pub attempts: u32,
    /// How many power commands we have sent; a claim from before the last one may be taken over.
    #[serde(default)]
    pub power_epoch: u32,
    /// Whether its firmware was last heard to be UEFI. Written along with the next change: a packet alone costs no
    /// write.
    #[serde(default)]
    pub uefi: Option<bool>,
    /// When it became known.
    pub added_at: Timestamp,
}

impl Machine {
    /// Whether `uuid` contradicts what is recorded: both say something, and not the same.
    pub fn contradicts(&self, uuid: Uuid) -> Option<Uuid> {
        let known = self.uuid.filter(|known| known.is_telling())?;
        (uuid.is_telling() && !known.matches(uuid)).then_some(known)
    }

    /// Whether `uuid` (option 97) is this machine's board according to its record or its BMC's GUID.
    pub fn is_board(&self, uuid: Uuid) -> bool {
        let guid = self.bmc.as_ref().and_then(|bmc| bmc.guid);
        uuid.is_telling() && [self.uuid, guid].into_iter().flatten().any(|known| known.matches(uuid))
    }
}
