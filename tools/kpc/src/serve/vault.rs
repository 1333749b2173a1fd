//! The logins that the server has for BMCs: those that a scan kept, by address, and the configuration's for the others.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use ipmi::driver::Credentials;

use crate::bmc::logins::{ByAddress, Logins, Who};

/// Logins by address, and one for the rest. Clones share them.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Inner>);

struct Inner {
    path: PathBuf,
    each: RwLock<Logins>,
    rest: Option<Credentials>,
}

impl Vault {
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
