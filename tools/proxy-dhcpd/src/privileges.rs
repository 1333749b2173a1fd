//! Root is given up once the sockets are open; two capabilities stay, to open them again when interfaces change.

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{User, setgroups, setresgid, setresuid};

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegeError {
    #[error("no user `{0}`: name one with --user")]
    NoSuchUser(String),
    #[error("becoming `{user}`: {source}")]
    Become { user: String, source: nix::Error },
    #[error("keeping CAP_NET_RAW and CAP_NET_BIND_SERVICE only: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
}

/// Becomes `user` and keeps CAP_NET_RAW and CAP_NET_BIND_SERVICE, nothing else. Does nothing when not root.
/// Must run before the runtime starts: capabilities are per thread.
pub(crate) fn drop_to(user: &str) -> Result<(), PrivilegeError> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let kept: CapsHashSet = [Capability::CAP_NET_RAW, Capability::CAP_NET_BIND_SERVICE].into_iter().collect();
    for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
        caps::drop(None, CapSet::Bounding, *capability)?;
    }
    if user != "root" {
        let failed = |source| PrivilegeError::Become { user: user.to_owned(), source };
        let account = User::from_name(user).map_err(failed)?;
        let account = account.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))?;
        nix::sys::prctl::set_keepcaps(true).map_err(failed)?;
        setgroups(&[account.gid]).map_err(failed)?;
        setresgid(account.gid, account.gid, account.gid).map_err(failed)?;
        setresuid(account.uid, account.uid, account.uid).map_err(failed)?;
        nix::sys::prctl::set_keepcaps(false).map_err(failed)?;
    }
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::clear(None, CapSet::Inheritable)?;
    Ok(())
}
