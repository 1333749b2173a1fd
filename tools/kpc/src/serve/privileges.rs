//! Privileges end before the runtime starts its threads: another account where one is named, no capability, and no way
//! to new ones.

use std::path::Path;

use caps::CapSet;
use nix::unistd::{Gid, Uid, User, chown, geteuid, setgid, setgroups, setuid};

/// Becomes `user` for good and gives it the data folder. `root` keeps the account and drops every capability all the
/// same. An unprivileged process stays what it is.
pub(crate) fn drop_to(user: &str, data_dir: &Path) -> Result<(), String> {
    if geteuid().is_root() {
        become_account(user, data_dir)?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| format!("capabilities: {error}"))?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| format!("no new privileges: {error}"))?;
    check()
}

fn become_account(user: &str, data_dir: &Path) -> Result<(), String> {
    let account = User::from_name(user).map_err(|error| format!("account {user}: {error}"))?.ok_or_else(|| {
        format!("no account `{user}`: make it with `useradd --system --no-create-home {user}`, or name one with `user = …` in kpc.toml")
    })?;
    if account.uid == Uid::from_raw(0) {
        return Ok(());
    }
    give(data_dir, account.uid, account.gid)?;
    setgroups(&[account.gid]).map_err(|error| format!("groups of {user}: {error}"))?;
    setgid(account.gid).map_err(|error| format!("group of {user}: {error}"))?;
    setuid(account.uid).map_err(|error| format!("account {user}: {error}"))
}

/// What the kernel says of us, whatever the calls said.
fn check() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("/proc/self/status: {error}"))?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let held = ["CapPrm:", "CapEff:", "CapAmb:"].iter().any(|set| !field(set).trim_matches('0').is_empty());
    if held || field("NoNewPrivs:") != "1" {
        return Err("privileges are still held after they were dropped; not going on".to_owned());
    }
    Ok(())
}

/// The data folder and what stands directly in it belong to the account.
fn give(folder: &Path, uid: Uid, gid: Gid) -> Result<(), String> {
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    chown(folder, Some(uid), Some(gid)).map_err(|error| said(folder, &error))?;
    for entry in std::fs::read_dir(folder).map_err(|error| said(folder, &error))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // Never through a link that the account may have put there.
            std::os::unix::fs::lchown(entry.path(), Some(uid.as_raw()), Some(gid.as_raw()))
                .map_err(|error| said(&entry.path(), &error))?;
        }
    }
    Ok(())
}
