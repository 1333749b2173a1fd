//! A machine's BMC: opening a session that is known to be the right one, reading the power, and single power commands.
//! A BMC's GUID and serial are compared with the record before anything is written; the password goes out over suites
//! 17 and 3 only.

use std::net::SocketAddr;

use fleet::{BmcAction, Hint, HintCode, MachineId, Observation, PowerAction, Uuid};

use crate::bmc::session::{Fault, Kind, Session};
use crate::serve::jobs;
use crate::serve::state::State;

pub(crate) use crate::bmc::session::Bmcs as Login;

/// A machine and where its BMC is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) machine: MachineId,
    pub(crate) name: String,
    pub(crate) bmc: Option<SocketAddr>,
    /// Every UUID that the machine's BMC may rightly show.
    pub(crate) known: Vec<Uuid>,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Nothing answers.
    Silent(String),
    /// It answers, and takes none of our logins.
    Login(String),
    /// It answers, and is not to be used.
    Refused(String),
}

impl Unopened {
    /// In words, after the fleet was told of a BMC that cannot be used.
    pub(crate) fn told(self, state: &State, machine: MachineId) -> String {
        let (code, words) = match self {
            Self::Silent(words) => (HintCode::BmcSilent, words),
            Self::Login(words) => (HintCode::BmcLogin, words),
            Self::Refused(words) => return words,
        };
        state.observe(Observation::BmcFault { machine, hint: Hint::new(code, &words) });
        words
    }
}

/// Opens a session and compares the GUID that the BMC showed with what is recorded for the machine.
pub(crate) async fn open(state: &State, login: &Login, target: &Target) -> Result<Session, Unopened> {
    let refused = |words: &str| Unopened::Refused(words.to_owned());
    let address = target
        .bmc
        .ok_or_else(|| refused("no BMC is recorded; add it with `kpc machine add … --bmc ADDRESS`"))?;
    let bmc = login.session(address).await.map_err(|Fault { kind, words }| match kind {
        Kind::Silent | Kind::Unreachable => Unopened::Silent(words),
        Kind::Login => Unopened::Login(words),
        Kind::Unconfirmed | Kind::Other => Unopened::Refused(words),
    })?;
    match is_right(state, &bmc, target, address).await {
        Ok(()) => Ok(bmc),
        Err(why) => {
            bmc.close().await;
            Err(Unopened::Refused(why))
        }
    }
}

async fn is_right(state: &State, bmc: &Session, target: &Target, address: SocketAddr) -> Result<(), String> {
    let shown = bmc.managed_system_guid();
    // IPMI sends a GUID least significant octet first, many BMCs as SMBIOS has it: the known UUID that it equals in
    // any order is what it means.
    let same = target.known.iter().find(|known| ipmi::guid_matches_uuid(shown, known.0));
    let guid = same.copied().unwrap_or(Uuid(ipmi::guid::reversed(shown)));
    let other = !target.known.is_empty() && guid.is_telling() && same.is_none();
    let machine = target.machine;
    let doubt = state.read(|fleet, _| fleet.machine(machine).and_then(|machine| machine.bmc_doubt.clone()));
    if let Some(doubt) = doubt {
        return Err(format!("{doubt}; nothing was written (`kpc resolve {}` after looking)", target.name));
    }
    let allowed = !other && state.read(|fleet, _| fleet.is_bmc_of(machine, guid));
    let kept = state
        .change(move |fleet, now| fleet.observe(now, Observation::BmcIdentity { machine, guid }))
        .await?;
    if allowed && kept.is_ok() {
        return Ok(());
    }
    let known = target.known.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    Err(format!(
        "the BMC at {address} shows GUID {guid}, {} is recorded with {known}: did DHCP swap the BMCs' addresses? \
         nothing was written",
        target.name
    ))
}

/// Compares the serial in the BMC's inventory with the machine's. Many BMCs have none, which says nothing.
pub(crate) async fn check_serial(state: &State, bmc: &mut Session, target: &Target) -> Result<(), String> {
    let Ok(Some(serial)) = bmc.product_serial().await else { return Ok(()) };
    if serial.trim().is_empty() {
        return Ok(());
    }
    let (machine, shown) = (target.machine, serial.clone());
    let kept = state.change(move |fleet, now| fleet.observe(now, Observation::BmcSerial { machine, serial }));
    if kept.await?.is_ok() {
        return Ok(());
    }
    let known = state.read(|fleet, _| fleet.machine(machine).and_then(|machine| machine.serial.clone()));
    Err(format!(
        "the BMC of {} shows serial {}, recorded is {}: wrong BMC recorded? nothing was written",
        target.name,
        fleet::text::clean(&shown, 64),
        known.unwrap_or_default()
    ))
}

/// Whether the power is on.
pub(crate) async fn status(state: &State, login: &Login, target: &Target) -> Result<bool, String> {
    look(state, login, target, false).await.map(|(on, _)| on)
}

/// Whether the power is on and, where it is asked for, whether the BMC starts the firmware as UEFI.
pub(crate) async fn look(
    state: &State,
    login: &Login,
    target: &Target,
    mode: bool,
) -> Result<(bool, Option<bool>), String> {
    let opened = open(state, login, target).await;
    let mut bmc = opened.map_err(|error| error.told(state, target.machine))?;
    let on = bmc.power_on().await.map_err(|fault| fault.to_string());
    let efi = if mode && on.is_ok() { bmc.boot_mode().await } else { None };
    bmc.close().await;
    let on = on?;
    state.observe(Observation::PowerVerified { machine: target.machine, on });
    Ok((on, efi))
}

/// What is asked of the power.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Status,
    Command(PowerAction),
}

impl Action {
    /// Reads the words of the API.
    pub(crate) fn parse(word: &str, hard: bool) -> Result<Self, &'static str> {
        Ok(match (word, hard) {
            ("status", false) => Self::Status,
            ("on", false) => Self::Command(PowerAction::On),
            ("off", false) => Self::Command(PowerAction::SoftOff),
            ("off", true) => Self::Command(PowerAction::Off),
            ("cycle", false) => Self::Command(PowerAction::Cycle),
            ("reset", false) => Self::Command(PowerAction::Reset),
            ("status" | "on" | "cycle" | "reset", true) => return Err("--hard goes with off"),
            _ => return Err("the action is on, off, cycle, reset or status"),
        })
    }
}

/// One power action; answers what was done. `force` cuts the power of a machine that writes its disk.
pub(crate) async fn act(
    state: &State,
    login: &Login,
    target: &Target,
    action: Action,
    (by, force): (&str, bool),
) -> Result<String, String> {
    let Action::Command(action) = action else {
        return status(state, login, target).await.map(|on| if on { "on" } else { "off" }.to_owned());
    };
    let (machine, by) = (target.machine, by.to_owned());
    let job = state
        .change(move |fleet, now| {
            fleet.start_job(now, &by, machine, vec![BmcAction::Power { action }], force)
        })
        .await?
        .map_err(|refusal| refusal.to_string())?;
    jobs::carry(state, login, job).await.map(|()| match action {
        PowerAction::SoftOff => "off".to_owned(),
        action => format!("power {} sent", action.word()),
    })
}
