//! Privileges end before the runtime starts its threads: another account where one is named, no capability, and no way
//! to new ones.

use std::path::Path;

use caps::CapSet;
use nix::unistd::{Gid, Uid, User, chown, geteuid, setgid, setgroups, setuid};

/// Becomes `user` for good and gives it the data folder. `root` keeps the account and drops every capability all the
/// same. An unprivileged process stays what it is.
pub(crate) fn drop_to(user: &str, data_dir: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let account = User::from_name(user)
        .map_err(|error| format!("account {user}: {error}"))?
        .ok_or_else(|| format!("no account `{user}`; name one with `user = …` in kpc.toml"))?;
    if account.uid != Uid::from_raw(0) {
        give(data_dir, account.uid, account.gid)?;
        // In a user namespace without the account's mapping this is refused, and rightly said so.
        setgroups(&[account.gid]).map_err(|error| format!("groups of {user}: {error}"))?;
        setgid(account.gid).map_err(|error| format!("group of {user}: {error}"))?;
        setuid(account.uid).map_err(|error| format!("account {user}: {error}"))?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| format!("capabilities: {error}"))?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| format!("no new privileges: {error}"))
}

/// The data folder and what stands directly in it belong to the account.
fn give(folder: &Path, uid: Uid, gid: Gid) -> Result<(), String> {
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    chown(folder, Some(uid), Some(gid)).map_err(|error| said(folder, &error))?;
    for entry in std::fs::read_dir(folder).map_err(|error| said(folder, &error))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            chown(&entry.path(), Some(uid), Some(gid)).map_err(|error| said(&entry.path(), &error))?;
        }
    }
    Ok(())
}
