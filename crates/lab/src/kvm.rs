//! Whether hardware virtualization works here. /dev/kvm may exist and hang a guest after its firmware, so the lab's
//! own kernel is started once with a short time-out; the answer is kept until the next boot of the host.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::parts::Parts;
use crate::process::Process;
use crate::qemu::Accelerator;

/// Hardware that works needs one second to the kernel's first line.
const PATIENCE: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(50);

/// Tries; `dir` keeps the answer. `KPC_LAB_ACCEL=tcg` or `kvm` skips the trial.
///
/// # Errors
/// [`LabError`] when QEMU cannot be started at all, or the variable says something else.
pub fn choose(parts: &Parts, dir: &Path) -> Result<Accelerator> {
    match std::env::var("KPC_LAB_ACCEL").as_deref() {
        Ok("tcg") => return Ok(Accelerator::Tcg),
        Ok("kvm") => return Ok(Accelerator::Kvm),
        Ok(other) => return Err(LabError::Config(format!("KPC_LAB_ACCEL={other}: tcg or kvm"))),
        Err(_) => {}
    }
    if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accelerator::Tcg);
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let verdict = dir.join("accelerator");
    let known = std::fs::read_to_string(&verdict).unwrap_or_default();
    if let Some(answer) = known.strip_prefix(boot.trim()) {
        return Ok(if answer.trim() == "kvm" { Accelerator::Kvm } else { Accelerator::Tcg });
    }
    let works = boots(parts, dir)?;
    let word = if works { "kvm" } else { "tcg" };
    // Not kept: tried again next time.
    let _ = std::fs::write(verdict, format!("{} {word}\n", boot.trim()));
    Ok(if works { Accelerator::Kvm } else { Accelerator::Tcg })
}

#[expect(clippy::disallowed_methods, reason = "the lab runs in real time")]
fn boots(parts: &Parts, dir: &Path) -> Result<bool> {
    let serial = dir.join("kvm-trial.serial.log");
    let _ = std::fs::remove_file(&serial); // an old answer must not count
    let mut command = Command::new(&parts.qemu);
    command.args([
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "256",
        "-nodefaults",
        "-vga",
        "none",
        "-display",
        "none",
    ]);
    command.args(["-monitor", "none", "-no-reboot", "-append", "console=ttyS0 panic=-1"]);
    command.arg("-kernel").arg(&parts.kernel);
    command.arg("-serial").arg(format!("file:{}", serial.display()));
    command.stdin(Stdio::null());
    let mut trial = Process::spawn("the KVM trial", command, &dir.join("kvm-trial.log"))?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let printed = std::fs::read(&serial).unwrap_or_default();
        if printed.windows(13).any(|window| window == b"Linux version") {
            return Ok(true);
        }
        if trial.ended()?.is_some() {
            return Ok(false);
        }
        std::thread::sleep(TICK);
    }
    Ok(false)
}
