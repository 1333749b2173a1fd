//! Root is given up once the sockets are open and before the runtime starts its threads, because capabilities are per
//! thread. What the kernel says afterwards is checked, whatever the calls said.

use caps::{CapSet, CapsHashSet};
use nix::unistd::{User, geteuid, setgroups, setresgid, setresuid};

pub use caps::Capability;

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// The account does not exist.
    #[error(
        "no account `{0}`: make it with `useradd --system --no-create-home {0}`, or name another with --user"
    )]
    NoSuchUser(String),
    /// The system refused to change the account.
    #[error("becoming `{user}`: {source}")]
    Become {
        /// The account.
        user: String,
        /// Why.
        source: nix::Error,
    },
    /// The system refused to change the capabilities.
    #[error("giving up capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// `PR_SET_NO_NEW_PRIVS` was refused.
    #[error("forbidding new privileges: {0}")]
    NoNewPrivileges(nix::Error),
    /// `PR_SET_DUMPABLE` was refused.
    #[error("forbidding cores: {0}")]
    Dumpable(nix::Error),
    /// `/proc/thread-self/status` says that something is still held.
    #[error("privileges are still held after they were given up ({0}); not going on")]
    StillHeld(String),
}

/// The account of that name.
///
/// # Errors
/// [`PrivilegeError::NoSuchUser`], or the system's refusal to say.
pub fn account(user: &str) -> Result<User, PrivilegeError> {
    let failed = |source| PrivilegeError::Become { user: user.to_owned(), source };
    User::from_name(user).map_err(failed)?.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))
}

/// Becomes `user` for good and keeps the capabilities `kept`, nothing else, with no way to new ones.
///
/// A process that is not root keeps its account and, of `kept`, what it already holds. `root` as `user` keeps the
/// account and gives up the capabilities all the same.
///
/// # Errors
/// What the system refused, or what it still grants afterwards. Whoever gets an error must end.
pub fn drop_to(user: &str, kept: &[Capability]) -> Result<(), PrivilegeError> {
    let mut kept: CapsHashSet = kept.iter().copied().collect();
    if geteuid().is_root() {
        for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
        if user != "root" {
            become_account(user)?;
        }
    }
    let held = caps::read(None, CapSet::Permitted)?;
    kept.retain(|capability| held.contains(capability));
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    nix::sys::prctl::set_no_new_privs().map_err(PrivilegeError::NoNewPrivileges)?;
    // After the account: the kernel sets it anew when that changes.
    make_no_core()?;
    check(&kept)
}

/// The kernel makes no core of this process from now on, and no process without CAP_SYS_PTRACE reads its memory
/// (`PR_SET_DUMPABLE`). Whatever holds a password calls it first.
///
/// # Errors
/// The system's refusal.
pub fn make_no_core() -> Result<(), PrivilegeError> {
    nix::sys::prctl::set_dumpable(false).map_err(PrivilegeError::Dumpable)
}

fn become_account(user: &str) -> Result<(), PrivilegeError> {
    let failed = |source| PrivilegeError::Become { user: user.to_owned(), source };
    let account = account(user)?;
    nix::sys::prctl::set_keepcaps(true).map_err(failed)?;
    setgroups(&[account.gid]).map_err(failed)?;
    setresgid(account.gid, account.gid, account.gid).map_err(failed)?;
    setresuid(account.uid, account.uid, account.uid).map_err(failed)?;
    nix::sys::prctl::set_keepcaps(false).map_err(failed)
}

fn check(kept: &CapsHashSet) -> Result<(), PrivilegeError> {
    let status = std::fs::read_to_string("/proc/thread-self/status")
        .map_err(|error| PrivilegeError::StillHeld(format!("/proc/thread-self/status: {error}")))?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let wanted = kept.iter().fold(0, |bits, capability| bits | capability.bitmask());
    for name in ["CapPrm:", "CapEff:", "CapAmb:"] {
        let wanted = if name == "CapAmb:" { 0 } else { wanted };
        if u64::from_str_radix(field(name), 16) != Ok(wanted) {
            return Err(PrivilegeError::StillHeld(format!("{name} {}", field(name))));
        }
    }
    if field("NoNewPrivs:") != "1" {
        return Err(PrivilegeError::StillHeld(format!("NoNewPrivs: {}", field("NoNewPrivs:"))));
    }
    Ok(())
}
