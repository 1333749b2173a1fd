//! `user` (ipmitool's lib/ipmi_user.c).

use ipmi::command::user::{
    GetUserAccess, GetUserName, PasswordOperation, SetUserAccess, SetUserName, SetUserPassword, UserAccess,
};
use ipmi::crypto::keys::Secret;
use ipmi::driver::BmcError;
use ipmi::session::UserName;

use super::{Context, Failed, channel_number, hint, number, privilege_limit, user_id};
use crate::output::line;
use crate::secret;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] => Ok(()),
        ["summary" | "list"] => Ok(()),
        ["summary" | "list", channel] => channel_number(channel).map(drop),
        ["set", "name", user, _] | ["enable" | "disable", user] => user_id(user).map(drop),
        ["set", "password", user] => user_id(user).map(drop),
        ["set", "password", user, password, size @ ..] => {
            user_id(user).and_then(|_| password_size(password, size.first())).map(drop)
        }
        ["test", user, size] | ["test", user, size, _] => {
            user_id(user)?;
            let known = matches!(number(size), Ok(16 | 20));
            if known { Ok(()) } else { Err(format!("Given password length '{size}' is invalid.").into()) }
        }
        ["priv", user, limit] => privilege_limit(limit).and_then(|_| user_id(user)).map(drop),
        ["priv", user, limit, channel] => {
            channel_number(channel)?;
            privilege_limit(limit).and_then(|_| user_id(user)).map(drop)
        }
        ["summary" | "list" | "set" | "enable" | "disable" | "test" | "priv", ..] => {
            Err(USAGE.to_owned().into())
        }
        [word, ..] => Err(format!("Invalid user command: '{word}'").into()),
        [] => Err(format!("Not enough parameters given.\n{USAGE}").into()),
    }
}

const USAGE: &str = "\
User Commands:
    summary      [<channel number>]
    list         [<channel number>]
    set name     <user id> <username>
    set password <user id> [<password> [<16|20>]]
    disable      <user id>
    enable       <user id>
    priv         <user id> <privilege level> [<channel number>]
    test         <user id> <16|20> [<password>]";

/// Whether the 20-octet form is meant; more than 16 octets need it, because a silent cut would lock the user out.
fn password_size(password: &str, size: Option<&&str>) -> Result<bool, Failed> {
    let size = match size {
        Some(size) => match number(size) {
            Ok(size @ (16 | 20)) => size,
            _ => return Err(format!("Invalid password length '{size}'").into()),
        },
        None if password.len() > 16 => 20,
        None => 16,
    };
    if password.len() > usize::from(size) {
        return Err(format!("Password is too long (> {size} bytes)").into());
    }
    Ok(size == 20)
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
    rest.first().map_or(Ok(0x0e), |word| channel_number(word))
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
            context.bmc.execute(&SetUserName { user: user_id(user)?, name }).await?;
            Ok(())
        }
        ["set", "password", user, rest @ ..] => {
            let password = secret_of(rest.first())?;
            let long = match rest {
                [word, size @ ..] => password_size(word, size.first())?,
                [] => password.len() > 16,
            };
            let operation = PasswordOperation::Set { password, long };
            context.bmc.execute(&SetUserPassword { user: user_id(user)?, operation }).await?;
            line(&format!("Set User Password command successful (user {user})"));
            Ok(())
        }
        ["test", user, size, rest @ ..] => {
            let operation =
                PasswordOperation::Test { password: secret_of(rest.first())?, long: *size == "20" };
            match context.bmc.execute(&SetUserPassword { user: user_id(user)?, operation }).await {
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
                Err(BmcError::Completion(_)) => {
                    line("Unknown error");
                    Err(Failed(None))
                }
                Err(error) => Err(error.into()),
            }
        }
        ["enable", user, ..] => {
            let operation = PasswordOperation::Enable;
            context.bmc.execute(&SetUserPassword { user: user_id(user)?, operation }).await?;
            Ok(())
        }
        ["disable", user, ..] => {
            let operation = PasswordOperation::Disable;
            context.bmc.execute(&SetUserPassword { user: user_id(user)?, operation }).await?;
            Ok(())
        }
        ["priv", user, limit, rest @ ..] => {
            let limit = privilege_limit(limit)?;
            let command = SetUserAccess { channel: channel(rest)?, flags: 0, user: user_id(user)?, limit };
            context.bmc.execute(&command).await?;
            line(&format!("Set Privilege Level command successful (user {user})"));
            Ok(())
        }
        _ => hint(USAGE),
    }
}
