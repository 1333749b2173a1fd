//! BMC actions: what `provision` and `power` do to a machine over IPMI. A BMC's GUID is compared with the record before
//! anything is written; the password goes out over suites 17 and 3 only.

use std::net::SocketAddr;
use std::time::Duration;

use fleet::{MachineId, Observation, Role, Uuid};
use ipmi::command::chassis::{BootDevice, BootOptions, ChassisControl};
use ipmi::driver::{Bmc, BmcConfig, BmcError};

use crate::serve::state::State;

/// How long a BMC may take from "power on" to saying that it is on.
const POWER_SETTLES: Duration = Duration::from_secs(30);
/// How long a system may take to end by itself.
const SOFT_OFF: Duration = Duration::from_secs(120);
/// How often it is asked meanwhile.
const POWER_ASKED: Duration = Duration::from_millis(500);

pub(crate) use crate::serve::vault::Vault as Login;

/// A machine and where its BMC is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) machine: MachineId,
    pub(crate) name: String,
    pub(crate) bmc: Option<SocketAddr>,
    /// Every UUID that the machine's BMC may rightly show.
    pub(crate) known: Vec<Uuid>,
}

/// What is asked of the power.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Status,
    On,
    Off,
    /// Asks the system to end by itself.
    Soft,
    Cycle,
    Reset,
}

impl Action {
    /// Reads the word of the API.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "status" => Self::Status,
            "on" => Self::On,
            "off" => Self::Off,
            "cycle" => Self::Cycle,
            "reset" => Self::Reset,
            _ => return None,
        })
    }

    fn fleet(self) -> Option<(ChassisControl, fleet::PowerAction)> {
        Some(match self {
            Self::Status => return None,
            Self::On => (ChassisControl::PowerUp, fleet::PowerAction::On),
            Self::Off => (ChassisControl::PowerDown, fleet::PowerAction::Off),
            Self::Soft => (ChassisControl::SoftShutdown, fleet::PowerAction::Off),
            Self::Cycle => (ChassisControl::PowerCycle, fleet::PowerAction::Cycle),
            Self::Reset => (ChassisControl::HardReset, fleet::PowerAction::Reset),
        })
    }
}

/// How a machine is to boot from the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// Ask for UEFI, for legacy BIOS, or (not known) for what BMCs take as legacy BIOS.
    pub(crate) efi: Option<bool>,
    /// What the order does to the machine.
    pub(crate) role: Role,
    /// Whether a running system may be cut.
    pub(crate) again: bool,
}

/// Opens a session and compares the GUID that the BMC showed with what is recorded for the machine.
async fn open(state: &State, login: &Login, target: &Target) -> Result<Bmc, String> {
    let address = target.bmc.ok_or("no BMC is recorded; add it with `kpc machine add … --bmc ADDRESS`")?;
    let config = BmcConfig::new(address, login.of(address.ip())?);
    let bmc = Bmc::connect(config).await.map_err(|error| format!("{address}: {error}"))?;
    let shown = bmc.managed_system_guid();
    // IPMI sends a GUID least significant octet first, many BMCs as SMBIOS has it: the known UUID that it equals in
    // any order is what it means.
    let same = target.known.iter().find(|known| ipmi::guid_matches_uuid(shown, known.0));
    let guid = same.copied().unwrap_or(Uuid(ipmi::guid::reversed(shown)));
    let other = !target.known.is_empty() && guid.is_telling() && same.is_none();
    let machine = target.machine;
    let allowed = !other && state.read(|fleet, _| fleet.is_bmc_of(machine, guid));
    let kept =
        state.change(move |fleet, now| fleet.observe(now, Observation::BmcIdentity { machine, guid })).await;
    if allowed && matches!(kept, Ok(Ok(_))) {
        return Ok(bmc);
    }
    bmc.close().await;
    let _ = kept?;
    let known = target.known.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    Err(format!(
        "the BMC at {address} shows GUID {guid}, {} is recorded with {known}: did DHCP swap the BMCs' addresses? \
         nothing was written",
        target.name
    ))
}

/// Whether the power is on.
pub(crate) async fn status(state: &State, login: &Login, target: &Target) -> Result<bool, String> {
    let mut bmc = open(state, login, target).await?;
    let status = bmc.chassis_status().await.map_err(|error| in_words(&error));
    bmc.close().await;
    let on = status?.power_on();
    state.observe(Observation::PowerVerified { machine: target.machine, on });
    Ok(on)
}

/// One power action; answers what was done.
pub(crate) async fn act(
    state: &State,
    login: &Login,
    target: &Target,
    action: Action,
) -> Result<String, String> {
    let Some((control, told)) = action.fleet() else {
        return status(state, login, target)
            .await
            .map(|on| if on { "on".to_owned() } else { "off".to_owned() });
    };
    let writing = state.read(|fleet, now| {
        fleet
            .status(now)
            .into_iter()
            .any(|status| status.id == target.machine && status.progress.is_some_and(|p| p < 100))
    });
    if writing && !matches!(action, Action::On) {
        return Err("its disk is being written; wait until it is done".to_owned());
    }
    let mut bmc = open(state, login, target).await?;
    let outcome = match command(state, &mut bmc, target, control, told).await {
        Ok(()) if action == Action::Soft => ended(&mut bmc, &target.name).await,
        outcome => outcome.map(|()| format!("power {} sent", told.word())),
    };
    bmc.close().await;
    outcome
}

/// Waits until the system has ended by itself.
async fn ended(bmc: &mut Bmc, name: &str) -> Result<String, String> {
    let mut waited = Duration::ZERO;
    while waited < SOFT_OFF {
        if matches!(bmc.chassis_status().await, Ok(status) if !status.power_on()) {
            return Ok("off".to_owned());
        }
        tokio::time::sleep(POWER_ASKED).await;
        waited += POWER_ASKED;
    }
    Err(format!("still on after {} s: `kpc power off --hard {name}` cuts its power", SOFT_OFF.as_secs()))
}

/// Power-on for a boot from the network: valid bit kept, one-time PXE, then on (or cycle, where it is on), verified.
/// Whatever fails is told to the fleet, which shows it as the machine's fault.
pub(crate) async fn network_boot(
    state: &State,
    login: &Login,
    target: &Target,
    boot: Boot,
) -> Result<(), String> {
    let outcome = async {
        let mut bmc = open(state, login, target).await?;
        let outcome = network_boot_with(state, &mut bmc, target, boot).await;
        bmc.close().await;
        outcome
    }
    .await;
    if let Err(detail) = &outcome {
        state.observe(Observation::BmcError { machine: target.machine, detail: detail.clone() });
    }
    outcome
}

async fn network_boot_with(state: &State, bmc: &mut Bmc, target: &Target, boot: Boot) -> Result<(), String> {
    let on = bmc.chassis_status().await.map_err(|error| in_words(&error))?.power_on();
    if on && boot.role == Role::Install && !boot.again {
        return Err(format!("is powered on now: switch it off first with `kpc power off {}`", target.name));
    }
    let options = BootOptions { efi: boot.efi.unwrap_or(false), persistent: false, keep_valid_bit: true };
    bmc.set_boot_device(BootDevice::Pxe, options)
        .await
        .map_err(|error| format!("boot device: {}", in_words(&error)))?;
    let (control, told) = if on {
        (ChassisControl::PowerCycle, fleet::PowerAction::Cycle)
    } else {
        (ChassisControl::PowerUp, fleet::PowerAction::On)
    };
    command(state, bmc, target, control, told).await?;
    let mut waited = Duration::ZERO;
    loop {
        match bmc.chassis_status().await {
            Ok(status) if status.power_on() => {
                state.observe(Observation::PowerVerified { machine: target.machine, on: true });
                return Ok(());
            }
            Ok(_) if waited >= POWER_SETTLES => {
                return Err("power on was sent; the BMC still says off".to_owned());
            }
            Err(error) if waited >= POWER_SETTLES => return Err(in_words(&error)),
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(POWER_ASKED).await;
        waited += POWER_ASKED;
    }
}

/// The intent is durable before the BMC hears of it.
async fn command(
    state: &State,
    bmc: &mut Bmc,
    target: &Target,
    control: ChassisControl,
    told: fleet::PowerAction,
) -> Result<(), String> {
    let observation = Observation::PowerCommanded { machine: target.machine, action: told };
    state
        .change(move |fleet, now| fleet.observe(now, observation))
        .await?
        .map_err(|ignored| ignored.to_string())?;
    bmc.chassis_control(control)
        .await
        .map_err(|error| format!("power {}: {}", told.word(), in_words(&error)))?;
    Ok(())
}

/// The BMC's refusal, with what to check.
fn in_words(error: &BmcError) -> String {
    error.to_string()
}
