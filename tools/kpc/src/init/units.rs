//! systemd's units, and the start: by systemd where it runs, else by the one line that is printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Plan;
use super::files::{Written, text};
use crate::args::Init;

const SERVICE: &str = include_str!("../../../../packaging/systemd/kpc.service");
const NAME: &str = "kpc.service";

/// Where a package's units are.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// Whether the package is installed, whose units have a keeper of the BMCs' logins.
pub(super) fn has_keeper() -> bool {
    PACKAGED.iter().any(|folder| Path::new(folder).join("kpc-bmc.socket").exists())
}

/// Writes the unit where systemd is in use and no package has brought it.
pub(super) fn write(plan: &Plan, arguments: &Init) -> Result<Vec<Written>, String> {
    let packaged = PACKAGED.iter().map(|folder| Path::new(folder).join(NAME)).find(|path| path.exists());
    if let Some(path) = packaged {
        return Ok(vec![Written::kept(path)]);
    }
    if !arguments.units.is_dir() {
        return Ok(Vec::new());
    }
    Ok(vec![text(&arguments.units.join(NAME), &service(&program()?, &plan.config, &plan.data))?])
}

/// The unit for this program and these places.
pub(super) fn service(program: &Path, config: &Path, data: &Path) -> String {
    let mut text = SERVICE
        .replace("@KPC@", &program.display().to_string())
        .replace("@CONFIG@", &config.display().to_string())
        .replace("@DATA@", &data.display().to_string());
    if data != Path::new("/var/lib/kpc") {
        text = text.replace("StateDirectory=kpc\nStateDirectoryMode=0700\n", "");
    }
    text
}

fn program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))
}

/// Starts the server by systemd, or says the line that does.
pub(super) fn start(plan: &Plan, arguments: &Init) -> Result<String, String> {
    let by_hand = format!("{} serve --config {}", program()?.display(), plan.config.display());
    let systemd = Path::new("/run/systemd/system").is_dir();
    if !systemd {
        return Ok(format!("no systemd here; run: {by_hand}"));
    }
    if arguments.no_start {
        return Ok(format!("not started; run: systemctl enable --now {NAME}"));
    }
    for words in [&["daemon-reload"][..], &["enable", "--now", NAME]] {
        let done = Command::new("systemctl").args(words).stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("systemctl: {error}; run: {by_hand}"))?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr);
            return Err(format!(
                "systemctl {}: {}; `journalctl -u {NAME}` says more",
                words.join(" "),
                why.trim()
            ));
        }
    }
    Ok(format!("{NAME} is started and starts with the host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_no_mark_left() {
        let unit =
            service(Path::new("/usr/bin/kpc"), Path::new("/etc/kpc/kpc.toml"), Path::new("/var/lib/kpc"));
        assert!(!unit.contains('@') || unit.contains("@system-service"), "{unit}");
        assert!(!unit.contains("@KPC@") && !unit.contains("@DATA@") && !unit.contains("@CONFIG@"));
        assert!(unit.contains("StateDirectory=kpc"));
        let other = service(Path::new("/k"), Path::new("/c"), Path::new("/srv/kpc"));
        assert!(!other.contains("StateDirectory="));
    }
}
