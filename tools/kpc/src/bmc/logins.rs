//! Who logs in at which BMC: the file that `kpc bmc scan --credentials` reads, and the one that the server keeps. Both
//! have one form, and neither is used where others can read it. A password appears in no text of ours.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ipmi::driver::Credentials;
use serde::{Deserialize, Serialize};

/// A user name and its password.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Login {
    /// The user name on the BMC, at most 16 octets (IPMI v2.0 §22.29).
    pub(crate) user: String,
    /// The password, at most 20 octets (IPMI v2.0 §22.30).
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login {{ user: {:?}, password: … }}", self.user)
    }
}

impl Login {
    /// As the IPMI driver takes it.
    pub(crate) fn credentials(&self) -> Result<Credentials, String> {
        Credentials::new(&self.user, self.password.as_bytes())
            .map_err(|error| format!("user {}: {error}", self.user))
    }
}

/// What tells one BMC from others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who<'a> {
    /// Its address.
    pub(crate) address: Option<IpAddr>,
    /// Its own MAC, where it is known: a BMC on our own network, or its LAN parameters.
    pub(crate) mac: Option<&'a str>,
    /// Its chassis' or board's serial.
    pub(crate) serial: Option<&'a str>,
}

/// Logins: one for most BMCs, others for some, told by address, MAC or serial.
///
/// ```toml
/// user = "root"
/// password = "calvin"
/// [[bmc]]
/// serial = "S1A0001"
/// user = "admin"
/// password = "other"
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logins {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Hidden>,
    #[serde(default)]
    bmc: Vec<One>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct One {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    user: String,
    password: Hidden,
}

impl Logins {
    /// Reads a file of logins. One that others can read is refused.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("{}: {error}", path.display());
        let mode = std::fs::metadata(path).map_err(said)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(format!("{}: others can read these passwords; run: chmod 600 {0}", path.display()));
        }
        let text = std::fs::read_to_string(path).map_err(said)?;
        Self::parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
    }

    /// Reads the text. A fault is told with its line and without the line's text, which may hold a password.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let logins: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or("").matches('\n').count() + 1;
            (line, error.message().lines().next().unwrap_or_default().to_owned())
        })?;
        if logins.user.is_some() != logins.password.is_some() {
            return Err((1, "`user` and `password` go together".to_owned()));
        }
        for one in &logins.bmc {
            if one.address.is_none() && one.mac.is_none() && one.serial.is_none() {
                return Err((1, "a [[bmc]] needs `address`, `mac` or `serial`".to_owned()));
            }
        }
        if logins.user.is_none() && logins.bmc.is_empty() {
            return Err((1, "no login: `user` and `password`, or [[bmc]] tables".to_owned()));
        }
        Ok(logins)
    }

    /// Every login that may be right, the likeliest first: its address, its MAC, then the one for all. Nothing that
    /// names another serial is among them once the serial is known.
    pub(crate) fn of(&self, who: &Who<'_>) -> Option<Login> {
        let same_mac = |one: &One| match (&one.mac, who.mac) {
            (Some(one), Some(mac)) => plain(one) == plain(mac),
            _ => false,
        };
        let named = self
            .bmc
            .iter()
            .find(|one| one.serial.is_some() && one.serial.as_deref() == who.serial)
            .or_else(|| self.bmc.iter().find(|one| same_mac(one)))
            .or_else(|| self.bmc.iter().find(|one| one.address.is_some() && one.address == who.address));
        let login =
            |user: &str, password: &Hidden| Login { user: user.to_owned(), password: password.0.clone() };
        match named {
            Some(one) => Some(login(&one.user, &one.password)),
            None => Some(login(self.user.as_deref()?, self.password.as_ref()?)),
        }
    }

    /// The logins told by a serial: candidates for BMCs that only tell theirs after a login.
    pub(crate) fn by_serial(&self) -> impl Iterator<Item = (&str, Login)> {
        self.bmc.iter().filter_map(|one| {
            let login = Login { user: one.user.clone(), password: one.password.0.clone() };
            Some((one.serial.as_deref()?, login))
        })
    }

    /// Whether one names this address.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        self.bmc.iter().any(|one| one.address == Some(address))
    }

    /// Keeps a login for one address.
    pub(crate) fn set(&mut self, address: IpAddr, login: Login) {
        self.bmc.retain(|one| one.address != Some(address));
        let Login { user, password } = login;
        self.bmc.push(One {
            address: Some(address),
            mac: None,
            serial: None,
            user,
            password: Hidden(password),
        });
        self.bmc.sort_by_key(|one| one.address);
    }

    /// Writes the file whole, readable by its owner alone, in place of the one before.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| format!("{}: {error}", path.display()))?;
        write_secret(path, text.as_bytes())
    }
}

/// Writes a file that its owner alone can read, whole or not at all.
pub(crate) fn write_secret(path: &Path, octets: &[u8]) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let _ = std::fs::remove_file(beside);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside).map_err(said)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(said)?;
    std::fs::rename(beside, path).map_err(said)
}

fn plain(mac: &str) -> String {
    mac.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect()
}

/// The logins by address, for the server's calls.
pub(crate) type ByAddress = BTreeMap<IpAddr, Login>;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "user = \"root\"\npassword = \"calvin\"\n[[bmc]]\nserial = \"S1\"\nuser = \"a\"\npassword = \"b\"\n[[bmc]]\nmac = \"AA-BB-CC-00-00-01\"\nuser = \"m\"\npassword = \"n\"\n[[bmc]]\naddress = \"10.0.0.9\"\nuser = \"x\"\npassword = \"y\"\n";

    #[test]
    fn the_nearest_login_wins() {
        let logins = Logins::parse(TEXT).unwrap();
        let user = |who: Who<'_>| logins.of(&who).map(|login| login.user);
        let nine = Some("10.0.0.9".parse().unwrap());
        assert_eq!(user(Who::default()).as_deref(), Some("root"));
        assert_eq!(user(Who { address: nine, ..Who::default() }).as_deref(), Some("x"));
        assert_eq!(user(Who { address: nine, serial: Some("S1"), mac: None }).as_deref(), Some("a"));
        assert_eq!(user(Who { mac: Some("aa:bb:cc:00:00:01"), ..Who::default() }).as_deref(), Some("m"));
    }

    #[test]
    fn a_fault_shows_no_password() {
        let (line, what) = Logins::parse("user = \"root\"\npassword = hunter2\n").unwrap_err();
        assert_eq!(line, 2);
        assert!(!what.contains("hunter2"), "{what}");
        assert!(Logins::parse("user = \"root\"\n").is_err());
        assert!(Logins::parse("").is_err());
        assert!(!format!("{:?}", Logins::parse(TEXT).unwrap()).contains("calvin"));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = std::env::temp_dir().join(format!("kpc-logins-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("bmc-logins.toml");
        let mut logins = Logins::default();
        let login = |user: &str| Login { user: user.to_owned(), password: "p".to_owned() };
        logins.set("10.0.0.2".parse().unwrap(), login("one"));
        logins.set("10.0.0.2".parse().unwrap(), login("two"));
        logins.write(&path).unwrap();
        let again = Logins::read(&path).unwrap();
        let two = Who { address: Some("10.0.0.2".parse().unwrap()), ..Who::default() };
        assert_eq!(again.of(&two).unwrap().user, "two");
        assert!(again.of(&Who::default()).is_none());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Logins::read(&path).unwrap_err().contains("chmod 600"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
