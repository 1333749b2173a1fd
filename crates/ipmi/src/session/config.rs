//! What a session is opened with: who, with which secrets, which suites, and how patiently.

use std::time::Duration;

use super::quirks::Quirks;
use super::request::Bridge;
use crate::crypto::cipher_suite::CipherSuite;
use crate::crypto::keys::Secret;
use crate::wire::rakp::{MAX_USER_NAME, NAME_ONLY};
use crate::wire::session::AuthType;

/// Privilege levels (IPMI v2.0 §6.8, table 22-18).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Privilege {
    /// May only ask for a call back.
    Callback,
    /// May read.
    User,
    /// May also control power and boot.
    Operator,
    /// May do everything.
    Administrator,
    /// Fixed by the maker.
    Oem,
}

impl Privilege {
    /// Reads the wire number 1..=5.
    pub fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Callback,
            2 => Self::User,
            3 => Self::Operator,
            4 => Self::Administrator,
            5 => Self::Oem,
            _ => return None,
        })
    }

    /// The wire number 1..=5.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::Callback => 1,
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
            Self::Oem => 5,
        }
    }
}

/// Which kind of session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// RMCP+, the sessions of IPMI 2.0.
    V20,
    /// IPMI 1.5: nothing is encrypted and only 16 octets of the password count. With `None` the best type
    /// the BMC offers of MD5, password and none is taken.
    V15(Option<AuthType>),
}

/// How the BMC looks the user up (IPMI v2.0 §13.20).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// By name alone: what everybody uses.
    NameOnly,
    /// By name and privilege level together.
    NameAndPrivilege,
}

/// A user name: up to 16 octets; empty is the null user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserName(Vec<u8>);

/// A user name has more than 16 octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a user name has at most 16 octets, this one has {0}")]
pub struct UserNameTooLong(pub usize);

impl UserName {
    /// Takes up to 16 octets.
    pub fn new(octets: &[u8]) -> Result<Self, UserNameTooLong> {
        if octets.len() > MAX_USER_NAME {
            Err(UserNameTooLong(octets.len()))
        } else {
            Ok(Self(octets.to_vec()))
        }
    }

    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Who logs in. Secrets are wiped when dropped and never shown by `Debug`.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user; empty is the null user.
    pub user: UserName,
    /// The password, up to 20 octets.
    pub password: Secret,
    /// K_G, the BMC's own key; [`Secret::EMPTY`] for one-key login (IPMI v2.0 §13.31).
    pub k_g: Secret,
}

/// A name or secret is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The user name.
    #[error(transparent)]
    User(#[from] UserNameTooLong),
    /// The password or K_G.
    #[error(transparent)]
    Secret(#[from] crate::crypto::keys::SecretTooLong),
}

impl Credentials {
    /// A user and a password, without K_G.
    pub fn new(user: &str, password: &[u8]) -> Result<Self, CredentialsError> {
        Ok(Self {
            user: UserName::new(user.as_bytes())?,
            password: Secret::new(password)?,
            k_g: Secret::EMPTY,
        })
    }

    /// The same with a K_G for two-key login.
    pub fn with_k_g(mut self, k_g: &[u8]) -> Result<Self, CredentialsError> {
        self.k_g = Secret::new(k_g)?;
        Ok(self)
    }
}

/// How a session is opened and kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who logs in.
    pub credentials: Credentials,
    /// Which kind of session; default RMCP+. IPMI 1.5 only when it is asked for by name.
    pub protocol: Protocol,
    /// The highest level the session may use; default Administrator. A session starts at User and is
    /// raised to this level by the first request that needs more (IPMI v2.0 §22.18).
    pub privilege: Privilege,
    /// How the user is looked up; default by name alone.
    pub lookup: Lookup,
    /// Suites to try in turn when the BMC refuses one; default 17, then 3.
    pub suites: Vec<CipherSuite>,
    /// Time to wait for the first answer before repeating; doubles up to `max_timeout`. Default 250 ms.
    pub timeout: Duration,
    /// Longest wait for one answer. Default 2 s.
    pub max_timeout: Duration,
    /// How often a step or request is sent before it counts as unanswered, 1..=20. Default 6 (7.75 s in all).
    pub attempts: u8,
    /// Requests on the way at once, 1..=32. Default 8.
    pub window: u8,
    /// The controller behind the BMC that answers requests; default the BMC itself.
    pub bridge: Option<Bridge>,
    /// Departures of this BMC from the specification; default none.
    pub quirks: Quirks,
    /// Idle time after which Get Device ID keeps the session alive; `None` (the default) never.
    pub keep_alive: Option<Duration>,
}

impl Config {
    /// The defaults for these credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            protocol: Protocol::V20,
            privilege: Privilege::Administrator,
            lookup: Lookup::NameOnly,
            suites: vec![CipherSuite::SUITE_17, CipherSuite::SUITE_3],
            timeout: Duration::from_millis(250),
            max_timeout: Duration::from_secs(2),
            attempts: 6,
            window: 8,
            bridge: None,
            quirks: Quirks::default(),
            keep_alive: None,
        }
    }

    /// Puts the suite that a BMC took last in front, so that the next session is not refused first. A suite that is
    /// not among [`Config::suites`] stays out: what a BMC accepted never weakens what is asked for.
    ///
    /// ```
    /// use ipmi::CipherSuite;
    /// use ipmi::session::{Config, Credentials};
    /// let mut config = Config::new(Credentials::new("root", b"secret")?);
    /// config.prefer(CipherSuite::SUITE_3);
    /// assert_eq!(config.suites, [CipherSuite::SUITE_3, CipherSuite::SUITE_17]);
    /// # Ok::<(), ipmi::session::CredentialsError>(())
    /// ```
    pub fn prefer(&mut self, suite: CipherSuite) {
        if let Some(at) = self.suites.iter().position(|known| *known == suite) {
            let suite = self.suites.remove(at);
            self.suites.insert(0, suite);
        }
    }

    /// The role octet of RAKP 1.
    pub(crate) fn role(&self) -> u8 {
        let flag = match self.lookup {
            Lookup::NameOnly => NAME_ONLY,
            Lookup::NameAndPrivilege => 0,
        };
        self.privilege.to_wire() | flag
    }
}
