//! Users (IPMI v2.0 §22.26–22.30).

use super::{Command, net_fn};
use crate::ParseError;
use crate::crypto::keys::Secret;
use crate::session::{Privilege, UserName};
use crate::wire::Reader;

/// Get User Access (IPMI v2.0 §22.27).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetUserAccess {
    /// Channel, 0..=15.
    pub channel: u8,
    /// User number, 1..=63.
    pub user: u8,
}

/// What a user may do on a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UserAccess {
    /// How many users there can be.
    pub maximum: u8,
    /// How many are enabled.
    pub enabled: u8,
    /// Bits 7:6 of the second octet: 0 unknown, 1 enabled, 2 disabled.
    pub status: u8,
    /// How many names are fixed.
    pub fixed_names: u8,
    /// Bits: 6 call back only, 5 link authentication, 4 IPMI messaging, 3:0 privilege limit.
    pub access: u8,
}

impl Command for GetUserAccess {
    type Reply = UserAccess;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x44;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, self.user & 0x3f]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<UserAccess, ParseError> {
        let [maximum, enabled, fixed_names, access] = Reader::new(data).array("user access")?;
        let (status, enabled) = (enabled >> 6, enabled & 0x3f);
        Ok(UserAccess { maximum: maximum & 0x3f, enabled, status, fixed_names: fixed_names & 0x3f, access })
    }
}

/// Get User Name (IPMI v2.0 §22.29).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetUserName(pub u8);

impl Command for GetUserName {
    type Reply = String;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x46;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0 & 0x3f);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<String, ParseError> {
        Ok(data.iter().take(16).take_while(|octet| **octet != 0).map(|octet| char::from(*octet)).collect())
    }
}

/// Set User Name (IPMI v2.0 §22.28).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetUserName {
    /// User number, 1..=63.
    pub user: u8,
    /// The name.
    pub name: UserName,
}

impl Command for SetUserName {
    type Reply = ();
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x45;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.user & 0x3f);
        data.extend_from_slice(self.name.as_slice());
        data.resize(17, 0);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}

/// What Set User Password does (IPMI v2.0 §22.30).
#[derive(Clone, Debug)]
pub enum PasswordOperation {
    /// Disable the user.
    Disable,
    /// Enable the user.
    Enable,
    /// Store this password: in 20 octets if `long`, else in 16.
    Set {
        /// The password.
        password: Secret,
        /// The 20-octet form, IPMI 2.0 alone.
        long: bool,
    },
    /// Compare with this password.
    Test {
        /// The password.
        password: Secret,
        /// The 20-octet form.
        long: bool,
    },
}

/// Set User Password (IPMI v2.0 §22.30); completion codes 80h wrong password, 81h wrong length.
#[derive(Clone, Debug)]
pub struct SetUserPassword {
    /// User number, 1..=63.
    pub user: u8,
    /// What to do.
    pub operation: PasswordOperation,
}

impl Command for SetUserPassword {
    type Reply = ();
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x47;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        let (number, password) = match &self.operation {
            PasswordOperation::Disable => (0, None),
            PasswordOperation::Enable => (1, None),
            PasswordOperation::Set { password, long } => (2, Some((password, *long))),
            PasswordOperation::Test { password, long } => (3, Some((password, *long))),
        };
        let long = password.is_some_and(|(_, long)| long);
        data.extend_from_slice(&[self.user & 0x3f | if long { 0x80 } else { 0 }, number]);
        match password {
            Some((password, true)) => data.extend_from_slice(password.padded()),
            Some((password, false)) => data.extend_from_slice(&password.padded_16()),
            None => {}
        }
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}

/// Set User Access (IPMI v2.0 §22.26).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SetUserAccess {
    /// Channel, 0..=15.
    pub channel: u8,
    /// Bits: 7 change bits 6:4, 6 call back only, 5 link authentication, 4 IPMI messaging.
    pub flags: u8,
    /// User number, 1..=63.
    pub user: u8,
    /// Privilege limit 1..=5, 15 for none.
    pub limit: u8,
}

impl Command for SetUserAccess {
    type Reply = ();
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x43;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[
            self.flags & 0xf0 | self.channel & 0x0f,
            self.user & 0x3f,
            self.limit & 0x0f,
        ]);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}
