//! The logins for BMCs: those that a scan kept, by address, and the configuration's for the others. The server has them,
//! or the keeper where there is one (`keeper`).

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ipmi::driver::Credentials;
use zeroize::Zeroizing;

use super::logins::{ByAddress, Logins, Who};
use crate::config::Config;

/// Logins by address, and one for the rest. Clones share them.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Inner>);

struct Inner {
    path: PathBuf,
    each: RwLock<Logins>,
    rest: Option<Credentials>,
}

impl Vault {
    /// What the configuration names. A password that others can read is refused.
    pub(crate) fn configured(config: &Config) -> Result<Self, String> {
        let rest =
            config.bmc.password_file.as_deref().map(|path| login(&config.bmc.user, path)).transpose()?;
        Self::open(config.bmc_logins(), rest)
    }

    /// What `path` keeps, and `rest` for addresses that are not in it.
    pub(crate) fn open(path: PathBuf, rest: Option<Credentials>) -> Result<Self, String> {
        let each = if path.exists() { Logins::read(&path)? } else { Logins::default() };
        Ok(Self(Arc::new(Inner { path, each: RwLock::new(each), rest })))
    }

    /// The login for one BMC.
    pub(crate) fn of(&self, address: IpAddr) -> Result<Credentials, String> {
        let each = self.0.each.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = each.of(&Who { address: Some(address), ..Who::default() }) {
            return login.credentials();
        }
        self.0.rest.clone().ok_or_else(|| {
            "no BMC password: `kpc bmc scan RANGE --credentials FILE --save`, or bmc.password_file in kpc.toml"
                .to_owned()
        })
    }

    /// Whether a login is kept for this very address.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        self.0.each.read().unwrap_or_else(PoisonError::into_inner).names(address)
    }

    /// Keeps logins, on disk before this returns. Waits for the disk.
    pub(crate) fn keep(&self, logins: ByAddress) -> Result<(), String> {
        let mut each = self.0.each.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = each.clone();
        for (address, login) in logins {
            changed.set(address, login);
        }
        changed.write(&self.0.path)?;
        *each = changed;
        Ok(())
    }
}

/// The login whose password is a file's first line.
pub(crate) fn login(user: &str, path: &Path) -> Result<Credentials, String> {
    let said = |error: std::io::Error| format!("{}: {error} (bmc.password_file)", path.display());
    if fs::metadata(path).map_err(said)?.permissions().mode() & 0o077 != 0 {
        return Err(format!("{}: others can read this password; run: chmod 600 {0}", path.display()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(said)?);
    let password = text.lines().next().unwrap_or_default();
    Credentials::new(user, password.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
}
