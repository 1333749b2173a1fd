//! `user` (ipmitool's lib/ipmi_user.c).

use ipmi::command::user::{
    GetUserAccess, GetUserName, PasswordOperation, SetUserAccess, SetUserName, SetUserPassword, UserAccess,
};
use ipmi::crypto::keys::Secret;
use ipmi::driver::BmcError;
use ipmi::session::UserName;

use super::{Context, Failed, number};
use crate::output::line;
use crate::secret;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["summary" | "list", ..] => Ok(()),
        ["set", "name" | "password", _, ..] | ["test", _, _, ..] => Ok(()),
        ["enable" | "disable", _, ..] | ["priv", _, _, ..] => Ok(()),
        [word, ..] => Err(format!("Invalid user command: '{word}'").into()),
        [] => Err(String::from("Not enough parameters given.").into()),
    }
}

/// The words ipmitool prints for a privilege limit.
pub(super) fn privilege(number: u8) -> String {
    match number {
        1 => "CALLBACK".into(),
        2 => "USER".into(),
        3 => "OPERATOR".into(),
        4 => "ADMINISTRATOR".into(),
        5 => "OEM".into(),
        15 => "NO ACCESS".into(),
        other => format!("Unknown (0x{other:02X})"),
    }
}

fn channel(rest: &[&str]) -> Result<u8, Failed> {
    rest.first().map_or(Ok(0x0e), |word| number(word))
}

async fn list(context: &mut Context, channel: u8) -> Result<(), Failed> {
    let yes = |set: bool| if set { "true" } else { "false" };
    let (mut user, mut last) = (1u8, 1u8);
    while user <= last {
        let access = context.bmc.execute(&GetUserAccess { channel, user }).await?;
        last = access.maximum;
        let name = match context.bmc.execute(&GetUserName(user)).await {
            Ok(name) => name,
            Err(BmcError::Completion(_)) => String::new(),
            Err(error) => return Err(error.into()),
        };
        let (callin, link, messages) =
            (yes(access.access & 0x40 == 0), yes(access.access & 0x20 != 0), yes(access.access & 0x10 != 0));
        let limit = privilege(access.access & 0x0f);
        if context.csv {
            line(&format!("{user},{name},{callin},{link},{messages},{limit}"));
        } else {
            if user == 1 {
                line("ID  Name\t     Callin  Link Auth\tIPMI Msg   Channel Priv Limit");
            }
            line(&format!("{user:<4}{name:<17}{callin:<8}{link:<11}{messages:<11}{limit}"));
        }
        user += 1;
    }
    Ok(())
}

fn secret_of(word: Option<&&str>) -> Result<Secret, Failed> {
    let password = match word {
        Some(word) => zeroize::Zeroizing::new(word.as_bytes().to_vec()),
        None => secret::from_prompt()?,
    };
    Secret::new(&password).map_err(|error| error.to_string().into())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["list", rest @ ..] => list(context, channel(rest)?).await,
        ["summary", rest @ ..] => {
            let command = GetUserAccess { channel: channel(rest)?, user: 1 };
            let UserAccess { maximum, enabled, fixed_names, .. } = context.bmc.execute(&command).await?;
            if context.csv {
                line(&format!("{maximum},{enabled},{fixed_names}"));
            } else {
                line(&format!("Maximum IDs\t    : {maximum}"));
                line(&format!("Enabled User Count  : {enabled}"));
                line(&format!("Fixed Name Count    : {fixed_names}"));
            }
            Ok(())
        }
        ["set", "name", user, name, ..] => {
            let name = UserName::new(name.as_bytes()).map_err(|error| error.to_string())?;
            context.bmc.execute(&SetUserName { user: number(user)?, name }).await?;
            Ok(())
        }
        ["set", "password", user, rest @ ..] => {
            let password = secret_of(rest.first())?;
            // More than 16 octets need the 20-octet form; a silent cut would lock the user out.
            let long = password.len() > 16 || rest.get(1) == Some(&"20");
            let operation = PasswordOperation::Set { password, long };
            context.bmc.execute(&SetUserPassword { user: number(user)?, operation }).await?;
            line(&format!("Set User Password command successful (user {user})"));
            Ok(())
        }
        ["test", user, size, rest @ ..] => {
            let operation =
                PasswordOperation::Test { password: secret_of(rest.first())?, long: *size == "20" };
            match context.bmc.execute(&SetUserPassword { user: number(user)?, operation }).await {
                Ok(()) => {
                    line("Success");
                    Ok(())
                }
                Err(BmcError::Completion(code)) if code.0 == 0x80 => {
                    line("Failure: password incorrect");
                    Err(Failed(None))
                }
                Err(BmcError::Completion(code)) if code.0 == 0x81 => {
                    line("Failure: wrong password size");
                    Err(Failed(None))
                }
                Err(error) => Err(error.into()),
            }
        }
        ["enable", user, ..] => {
            let operation = PasswordOperation::Enable;
            context.bmc.execute(&SetUserPassword { user: number(user)?, operation }).await?;
            Ok(())
        }
        ["disable", user, ..] => {
            let operation = PasswordOperation::Disable;
            context.bmc.execute(&SetUserPassword { user: number(user)?, operation }).await?;
            Ok(())
        }
        ["priv", user, limit, rest @ ..] => {
            let limit = number(limit)?;
            let command = SetUserAccess { channel: channel(rest)?, flags: 0, user: number(user)?, limit };
            context.bmc.execute(&command).await?;
            line(&format!("Set Privilege Level command successful (user {user})"));
            Ok(())
        }
        _ => Err(String::from("Not enough parameters given.").into()),
    }
}
