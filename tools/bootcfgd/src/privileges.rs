//! Root is given up once the sockets are open, before the runtime starts its threads. Nothing is kept.

use nix::unistd::{User, geteuid, setgroups, setresgid, setresuid};

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    #[error("no user `{0}`: name one with --user")]
    NoSuchUser(String),
    #[error("becoming `{user}`: {source}")]
    Become { user: String, source: nix::Error },
}

/// Becomes `user` for good, with all capabilities gone. Does nothing when not root, or for `root`.
pub(crate) fn drop_to(user: &str) -> Result<(), PrivilegeError> {
    if !geteuid().is_root() || user == "root" {
        return Ok(());
    }
    let failed = |source| PrivilegeError::Become { user: user.to_owned(), source };
    let account =
        User::from_name(user).map_err(failed)?.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))?;
    setgroups(&[account.gid]).map_err(failed)?;
    setresgid(account.gid, account.gid, account.gid).map_err(failed)?;
    setresuid(account.uid, account.uid, account.uid).map_err(failed)
}
