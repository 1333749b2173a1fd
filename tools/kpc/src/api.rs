//! The operators' API as JSON values, shared by the server and the verbs. Served on the socket and, read-only, to the
//! page; ids of machines are their names.

use serde::{Deserialize, Serialize};

/// `POST /v1/machines`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddMachine {
    /// Its name.
    pub(crate) name: String,
    /// Its MAC addresses.
    #[serde(default)]
    pub(crate) macs: Vec<String>,
    /// Its SMBIOS UUID.
    #[serde(default)]
    pub(crate) uuid: Option<String>,
    /// Its BMC, `ADDRESS` or `ADDRESS:PORT`.
    #[serde(default)]
    pub(crate) bmc: Option<String>,
    /// Its chassis' serial.
    #[serde(default)]
    pub(crate) serial: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub(crate) rack: Option<String>,
    /// Its groups in the inventory.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
}

/// One BMC of `POST /v1/bmc`: what a scan logged in at.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scanned {
    /// The BMC's address.
    pub(crate) address: std::net::IpAddr,
    /// Its UDP port.
    pub(crate) port: u16,
    /// The login that it took; none where the keeper has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<crate::bmc::logins::Login>,
    /// The system GUID that it showed, as a UUID.
    pub(crate) guid: Option<String>,
    /// The serial in its FRU data.
    pub(crate) serial: Option<String>,
    /// The machine's name; `None`: by the rule.
    pub(crate) name: Option<String>,
    /// The naming rule, `kpc-{}`.
    pub(crate) naming: String,
    /// Where it stands.
    pub(crate) rack: Option<String>,
}

/// `POST /v1/rename`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    /// Its name now.
    pub(crate) from: String,
    /// Its name from then on.
    pub(crate) to: String,
}

/// `POST /v1/replace`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    /// The name that stays; what it names now is retired.
    pub(crate) old: String,
    /// The machine that gets it.
    pub(crate) new: String,
}

/// `POST /v1/disk`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    /// The machine.
    pub(crate) name: String,
    /// Its disk's serial; `None`: the profile's rule chooses.
    pub(crate) serial: Option<String>,
}

/// `POST /v1/var`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Var {
    /// `group:G` or `host:H`.
    pub(crate) scope: String,
    /// The variable.
    pub(crate) key: String,
    /// Its value with its JSON type; `None` unsets it.
    pub(crate) value: Option<serde_json::Value>,
}

/// `POST /v1/adopt-unknown`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdoptUnknown {
    /// The address that was heard.
    pub(crate) mac: String,
    /// The name that it gets; `None`: `node-N`.
    pub(crate) name: Option<String>,
}

/// `POST /v1/plan` and `POST /v1/provision`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provision {
    /// Selections; for `/v1/provision` the names that the plan listed.
    pub(crate) selection: Vec<String>,
    /// The profile's name.
    pub(crate) profile: String,
    /// Roles of the machines.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// `auto`, `uefi` or `bios`.
    pub(crate) firmware: String,
    /// Machines between power-on and registration at a time.
    pub(crate) max_in_flight: usize,
    /// Milliseconds between two power-ons.
    #[serde(default)]
    pub(crate) stagger_ms: Option<u64>,
    /// Start no further machine after this many failures.
    pub(crate) max_failures: usize,
    /// The disk that may be written, by serial; for one machine.
    #[serde(default)]
    pub(crate) disk: Option<String>,
    /// The disk whose data is given up, by serial; for one machine.
    #[serde(default)]
    pub(crate) wipe: Option<String>,
    /// Whether to start though another PXE responder is heard on the machines' network.
    #[serde(default)]
    pub(crate) despite_responders: bool,
    /// Whether registered machines, each named, are done again (`reinstall`).
    #[serde(default)]
    pub(crate) again: bool,
}

/// What `POST /v1/provision` answers.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Started {
    /// The machines whose orders were given.
    pub(crate) machines: Vec<String>,
    /// The machines that got none, with the reason.
    pub(crate) refused: Vec<RefusedMachine>,
}

/// What `POST /v1/plan` answers.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// The profile's name.
    pub(crate) profile: String,
    /// What the profile does to a machine: `live` runs from memory.
    pub(crate) kind: String,
    /// One entry a machine that would be started.
    pub(crate) machines: Vec<PlannedMachine>,
    /// One entry a machine that is refused, with the reason.
    pub(crate) refused: Vec<RefusedMachine>,
}

/// A machine of a plan.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PlannedMachine {
    /// Its name.
    pub(crate) name: String,
    /// Its BMC's address.
    pub(crate) bmc: Option<String>,
    /// `on`, `off`, or why that is not known.
    pub(crate) power: String,
    /// What will be done to the power.
    pub(crate) action: String,
    /// What the operator may want otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// A machine that a plan refuses.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RefusedMachine {
    /// Its name.
    pub(crate) name: String,
    /// Why, and what to do instead.
    pub(crate) reason: String,
}

/// `POST /v1/label`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    /// Selections.
    pub(crate) selection: Vec<String>,
    /// All their groups in the inventory from then on; `None` leaves them.
    #[serde(default)]
    pub(crate) roles: Option<Vec<String>>,
    /// Where they stand; `None` leaves it.
    #[serde(default)]
    pub(crate) rack: Option<String>,
}

/// `POST /v1/cancel`, `/v1/retire`, `/v1/retry`, `/v1/adopt`, `/v1/resolve`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selected {
    /// Selections.
    pub(crate) selection: Vec<String>,
}

/// `POST /v1/power`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    /// Selections.
    pub(crate) selection: Vec<String>,
    /// `on`, `off`, `cycle`, `reset` or `status`.
    pub(crate) action: String,
    /// With `off`: cuts the power instead of asking the system to shut down.
    #[serde(default)]
    pub(crate) hard: bool,
    /// Also while its disk is being written.
    #[serde(default)]
    pub(crate) force: bool,
}

/// One machine's outcome of a verb over many.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// The machine's name.
    pub(crate) name: String,
    /// Whether it went well.
    pub(crate) ok: bool,
    /// What happened, or why not.
    pub(crate) detail: String,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Fault {
    /// One line that says what is wrong and what mends it.
    pub(crate) error: String,
}
