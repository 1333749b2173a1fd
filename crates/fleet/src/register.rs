//! Registration: the running system says where it is. Needs the claim of its order, or the key it showed
//! when it first registered.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::attempt::Phase;
use crate::fleet::{AlarmKind, Fleet};
use crate::host_keys::{self, Verdict};
use crate::identity::{ClaimSecret, Mac, MachineId, ParseError, Uuid, hex};
use crate::identity::{is_telling_serial, serials_contradict};
use crate::machine::{Disk, Facts, Interface, Lifecycle, Machine};
use crate::order::{OrderState, Role};
use crate::text::{MAX_DETAIL, clean};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// Most interfaces kept of a registration.
const MAX_INTERFACES: usize = 32;
/// Most addresses kept of an interface.
const MAX_ADDRESSES: usize = 16;
/// Most SSH host keys kept.
const MAX_HOST_KEYS: usize = 8;
/// Most digests kept.
const MAX_DIGESTS: usize = 256;
/// Most disks kept.
const MAX_DISKS: usize = 64;
/// Most signatures kept of a disk.
const MAX_SIGNATURES: usize = 16;

/// What a registered system shows at later registrations: 32 random octets that its agent chose and sent with
/// the first one, under the claim. Never printed by `Debug`.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentKey(pub [u8; 32]);

impl FromStr for AgentKey {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::<32>(text, &[]).map(Self).ok_or(ParseError::Key)
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKey(…)")
    }
}

/// What the running system says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registration {
    /// The claim of its order; needed the first time.
    pub claim: Option<ClaimSecret>,
    /// Its key; later registrations need the one of the first.
    pub key: Option<AgentKey>,
    /// The address that it speaks from.
    pub peer: Option<IpAddr>,
    /// Its SMBIOS UUID.
    pub uuid: Option<Uuid>,
    /// Everything else, as said; cleaned and bounded before it is kept.
    pub facts: Facts,
}

/// The answer to a registration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Registered {
    /// Whose it is.
    pub machine: MachineId,
    /// The name that we chose for it.
    pub name: String,
    /// Whether it was registered before.
    pub again: bool,
}

/// Why a registration was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterRefused {
    /// Neither a claim that stands nor a key that we know.
    #[error("no order stands under this claim, and its key is not known")]
    NoClaim,
    /// The machine's system has another key.
    #[error("another key is registered for {0}")]
    OtherKey(String),
    /// The order is frozen.
    #[error("order frozen: {0}")]
    Frozen(String),
    /// What it says contradicts the record; the machine is in conflict now.
    #[error("{0}")]
    Conflict(String),
}

impl Fleet {
    /// Registers the running system of a machine. Saying it again changes its address and nothing else; other SSH host
    /// keys than before are an alarm, unless they are those of a new installation.
    ///
    /// # Errors
    /// [`RegisterRefused`]; a contradiction also puts the machine into conflict.
    pub fn register(
        &mut self,
        now: Timestamp,
        registration: &Registration,
    ) -> Result<Registered, RegisterRefused> {
        let now = self.tick(now);
        let id = self.authenticate(registration)?;
        let Some(mut machine) = self.machines.get(&id).cloned() else { return Err(RegisterRefused::NoClaim) };
        let mut facts = bounded(&registration.facts);
        if facts.disks.is_empty() {
            facts.disks.clone_from(&machine.facts.disks);
        }
        if let Some(why) = self.contradiction(&machine, registration.uuid, &facts) {
            return Err(self.conflict(now, machine, why));
        }
        let granted = self.latest_order(id).map(|order| (order.id, order.state.clone()));
        if let Some((order, OrderState::Granted { claim, grant })) = granted {
            // The installed system speaks, so the disk is written: its `done` was lost.
            self.done(now, order, OrderState::Done { claim, grant });
            machine = self.machines.get(&id).cloned().unwrap_or(machine);
        }
        self.keep_live_claim(id);
        let host_keys_alarm = self.host_keys(&mut machine, registration, &mut facts);
        let again = machine.lifecycle == Lifecycle::Registered;
        let address = registration.address(&machine);
        let news = !again || machine.address != address;
        if machine.uuid.is_none() {
            machine.uuid = registration.uuid.filter(|uuid| uuid.is_telling());
        }
        if machine.serial.is_none() && is_telling_serial(&facts.serial) {
            machine.serial = Some(facts.serial.clone());
        }
        machine.key = registration.key.or(machine.key);
        (machine.lifecycle, machine.address, machine.facts) = (Lifecycle::Registered, address, facts);
        machine.registered_at = Some(now);
        let name = machine.name.clone();
        self.put_machine(machine);
        self.reach(
            id,
            now,
            Phase::Registered,
            &address.map(|address| address.to_string()).unwrap_or_default(),
        );
        if news {
            self.event(Some(id), EventKind::Registered { address });
        }
        if let Some(why) = host_keys_alarm {
            self.alarm(now, id, AlarmKind::HostKey, why);
        }
        Ok(Registered { machine: id, name, again })
    }

    /// Leaves in `facts` the SSH host keys that count, and with the machine those that wait for a person; returns what
    /// the alarm says, where it is one.
    fn host_keys(
        &self,
        machine: &mut Machine,
        registration: &Registration,
        facts: &mut Facts,
    ) -> Option<String> {
        let order = self.latest_order(machine.id).filter(|_| registration.claim.is_some());
        let boot = order.map(|order| (order.id, (order.role == Role::Live).then_some(machine.attempts)));
        let verdict = host_keys::take(machine, &facts.ssh_host_keys, boot);
        facts.ssh_host_keys.clone_from(&machine.facts.ssh_host_keys);
        let why = host_keys::words(machine).filter(|_| verdict == Verdict::Other);
        why.map(|why| format!("{}: {why}", machine.name))
    }

    /// A live system that has registered keeps its claim until its next boot, to say where it is.
    fn keep_live_claim(&mut self, machine: MachineId) {
        let order = self.latest_order(machine).filter(|order| order.role == Role::Live);
        let claimed = order.map(|order| (order.id, order.state.clone()));
        let Some((id, OrderState::Claimed { mut claim })) = claimed else { return };
        if claim.expires != Timestamp::NEVER {
            claim.expires = Timestamp::NEVER;
            self.set_order(id, OrderState::Claimed { claim }, "");
        }
    }

    /// Whose registration it is, if anybody's.
    fn authenticate(&self, registration: &Registration) -> Result<MachineId, RegisterRefused> {
        let by_claim = registration.claim.and_then(|claim| self.orders.get(self.by_claim.get(&claim)?));
        if let Some(order) = by_claim {
            if let Some(why) = &order.frozen {
                return Err(RegisterRefused::Frozen(why.clone()));
            }
            let stands = matches!(
                (&order.state, order.role),
                (OrderState::Claimed { .. }, Role::Live)
                    | (OrderState::Granted { .. } | OrderState::Done { .. }, Role::Install)
            );
            let latest = self.latest.get(&order.machine) == Some(&order.id);
            let machine = self
                .machines
                .get(&order.machine)
                .filter(|_| stands && latest)
                .ok_or(RegisterRefused::NoClaim)?;
            if matches!(machine.lifecycle, Lifecycle::Retired | Lifecycle::Conflict) {
                return Err(RegisterRefused::NoClaim);
            }
            let installed = order.role == Role::Install && machine.lifecycle == Lifecycle::Registered;
            return match machine.key {
                Some(key) if installed && registration.key != Some(key) => {
                    Err(RegisterRefused::OtherKey(machine.name.clone()))
                }
                _ => Ok(machine.id),
            };
        }
        let key = registration.key.ok_or(RegisterRefused::NoClaim)?;
        let mut known = self
            .machines
            .values()
            .filter(|machine| machine.key == Some(key) && machine.lifecycle == Lifecycle::Registered);
        match (known.next(), known.next()) {
            (Some(machine), None) => Ok(machine.id),
            _ => Err(RegisterRefused::NoClaim),
        }
    }

    /// What in a registration contradicts the record, if anything does.
    fn contradiction(&self, machine: &Machine, uuid: Option<Uuid>, facts: &Facts) -> Option<String> {
        if let Some((said, known)) = uuid.and_then(|uuid| Some((uuid, machine.contradicts(uuid)?))) {
            return Some(format!(
                "{} registered with UUID {said}, recorded is {known}: board swapped?",
                machine.name
            ));
        }
        if let Some(known) = machine.serial.as_ref().filter(|known| serials_contradict(known, &facts.serial))
        {
            let said = &facts.serial;
            return Some(format!(
                "{} registered with serial {said}, recorded is {known}: board swapped?",
                machine.name
            ));
        }
        let macs: Vec<Mac> = facts.interfaces.iter().filter_map(|interface| interface.mac).collect();
        let other = macs
            .iter()
            .find_map(|mac| self.by_mac.get(mac).filter(|of| **of != machine.id).map(|of| (*mac, *of)));
        if let Some((mac, other)) = other {
            return Some(format!(
                "{} registered with interface {mac}, which is {}'s",
                machine.name,
                self.name(other)
            ));
        }
        let none_known = !macs.is_empty() && !macs.iter().any(|mac| machine.macs.contains(mac));
        (none_known && !machine.macs.is_empty())
            .then(|| format!("{} registered without any interface that is recorded for it", machine.name))
    }

    /// Puts a machine into conflict: no order until a person has looked.
    fn conflict(&mut self, now: Timestamp, mut machine: Machine, why: String) -> RegisterRefused {
        let id = machine.id;
        (machine.lifecycle, machine.conflict) = (Lifecycle::Conflict, Some(why.clone()));
        self.put_machine(machine);
        if let Some(order) = self.latest_order(id).filter(|order| order.is_open()).map(|order| order.id) {
            self.freeze(order, why.clone());
        }
        self.alarm(now, id, AlarmKind::Registration, why.clone());
        RegisterRefused::Conflict(why)
    }
}

impl Registration {
    /// The address that others reach the machine at: the one it spoke from when its interfaces have that
    /// one, else the first usable one of a recorded interface, else of any, else the one it spoke from.
    fn address(&self, machine: &Machine) -> Option<IpAddr> {
        let of =
            |interface: &Interface| interface.addresses.iter().copied().find(|address| is_usable(*address));
        let interfaces = || self.facts.interfaces.iter().take(MAX_INTERFACES);
        let own = self.peer.filter(|peer| interfaces().any(|interface| interface.addresses.contains(peer)));
        let recorded = || {
            interfaces()
                .filter(|interface| interface.mac.is_some_and(|mac| machine.macs.contains(&mac)))
                .find_map(of)
        };
        own.or_else(recorded).or_else(|| interfaces().find_map(of)).or(self.peer)
    }
}

/// Whether an address can be reached from elsewhere.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast())
        }
    }
}

/// The facts, cleaned and cut to what is kept.
fn bounded(facts: &Facts) -> Facts {
    Facts {
        hostname: clean(&facts.hostname, 253),
        serial: clean(facts.serial.trim(), 64),
        interfaces: facts
            .interfaces
            .iter()
            .take(MAX_INTERFACES)
            .map(|interface| Interface {
                name: clean(&interface.name, 15),
                mac: interface.mac,
                addresses: interface.addresses.iter().copied().take(MAX_ADDRESSES).collect(),
            })
            .collect(),
        ssh_host_keys: facts.ssh_host_keys.iter().take(MAX_HOST_KEYS).map(|key| clean(key, 1024)).collect(),
        digests: facts
            .digests
            .iter()
            .take(MAX_DIGESTS)
            .map(|(name, digest)| (clean(name, MAX_DETAIL), clean(digest, 128)))
            .collect(),
        agent_version: clean(&facts.agent_version, 32),
        disks: bounded_disks(&facts.disks),
    }
}

/// The disks, cleaned and cut to what is kept.
pub(crate) fn bounded_disks(disks: &[Disk]) -> Vec<Disk> {
    let word = |text: &str| clean(text.trim(), 64);
    let bounded = |disk: &Disk| Disk {
        name: word(&disk.name),
        serial: word(&disk.serial),
        model: word(&disk.model),
        octets: disk.octets,
        kind: clean(&disk.kind, 8),
        signatures: disk.signatures.iter().take(MAX_SIGNATURES).map(|found| word(found)).collect(),
    };
    disks.iter().take(MAX_DISKS).map(bounded).collect()
}
