//! A machine operated by a command of the user's: `PROGRAM power on`, `PROGRAM boot pxe efi`, `PROGRAM status`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{Machine, MachineError};
use crate::command::chassis::{BootDevice, BootFlags, ChassisControl};

/// Longest time a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs one program for everything: `power on|off|cycle|reset|diag|soft`; `boot DEVICE [efi] [persistent]`
/// with DEVICE none, pxe, disk, safe, diag, cdrom, bios, floppy; `status`, which prints `on` or `off`.
/// Exit code 0 is success.
#[derive(Clone, Debug)]
pub struct HookMachine {
    program: PathBuf,
}

impl HookMachine {
    /// Takes the program's path.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, MachineError> {
        let failed = |why: String| MachineError::Failed {
            doing: format!("{} {}", self.program.display(), arguments.join(" ")),
            why,
        };
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(HOOK_TIMEOUT, command.output()).await;
        let output = output.map_err(|_| failed("it took more than 30 s".into()))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(output.status.to_string()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Machine for HookMachine {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        let word = match control {
            ChassisControl::PowerDown => "off",
            ChassisControl::PowerUp => "on",
            ChassisControl::PowerCycle => "cycle",
            ChassisControl::HardReset => "reset",
            ChassisControl::DiagnosticInterrupt => "diag",
            ChassisControl::SoftShutdown => "soft",
        };
        self.run(&["power", word]).await.map(drop)
    }

    async fn boot_device(&mut self, flags: BootFlags) -> Result<(), MachineError> {
        let device = match flags.device() {
            _ if !flags.valid() => "none",
            BootDevice::None => "none",
            BootDevice::Pxe => "pxe",
            BootDevice::Disk => "disk",
            BootDevice::SafeDisk => "safe",
            BootDevice::Diagnostic => "diag",
            BootDevice::CdRom => "cdrom",
            BootDevice::BiosSetup => "bios",
            BootDevice::Floppy => "floppy",
            BootDevice::Unknown(_) => return Err(MachineError::Unsupported("this boot device")),
        };
        let mut arguments = vec!["boot", device];
        if flags.valid() && flags.efi() {
            arguments.push("efi");
        }
        if flags.valid() && flags.persistent() {
            arguments.push("persistent");
        }
        self.run(&arguments).await.map(drop)
    }

    async fn status(&mut self) -> Result<bool, MachineError> {
        match self.run(&["status"]).await?.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(MachineError::Failed {
                doing: format!("{} status", self.program.display()),
                why: format!("it printed {other:?} instead of on or off"),
            }),
        }
    }
}
