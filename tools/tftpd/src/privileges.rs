//! Root is given up once the socket is open; no capability stays.

use caps::CapSet;
use nix::unistd::{User, setgroups, setresgid, setresuid};

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    #[error("no user `{0}`: name one with --user")]
    NoSuchUser(String),
    #[error("becoming `{user}`: {source}")]
    Become { user: String, source: nix::Error },
    #[error("giving up capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
}

/// Becomes `user` and keeps no capability. Does nothing when not root, or when `user` is root.
/// Must run before the runtime starts its threads.
pub(crate) fn drop_to(user: &str) -> Result<(), PrivilegeError> {
    if !nix::unistd::geteuid().is_root() || user == "root" {
        return Ok(());
    }
    let failed = |source| PrivilegeError::Become { user: user.to_owned(), source };
    let account = User::from_name(user).map_err(failed)?;
    let account = account.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))?;
    for capability in caps::read(None, CapSet::Bounding)? {
        caps::drop(None, CapSet::Bounding, capability)?;
    }
    setgroups(&[account.gid]).map_err(failed)?;
    setresgid(account.gid, account.gid, account.gid).map_err(failed)?;
    setresuid(account.uid, account.uid, account.uid).map_err(failed)?;
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    caps::clear(None, CapSet::Inheritable)?;
    Ok(())
}
