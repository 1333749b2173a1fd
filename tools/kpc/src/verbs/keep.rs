//! Verbs that change what is recorded: variables, disks, machines by the list, copies of the store.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::api;
use crate::args::{Copy, DiskSet, MachineImport, MachineRename, MachineReplace, VarSet, VarUnset};
use crate::bmc::logins::write_secret;
use crate::client::Client;
use crate::config::Config;
use crate::verbs::machine::tell;
use crate::verbs::{Verdict, say};

/// One call and one line.
async fn done(
    client: &Client,
    path: &str,
    call: &impl serde::Serialize,
    as_json: bool,
    words: &str,
) -> Verdict {
    let answer: Value = client.post(path, call).await?;
    if as_json {
        say(answer)?
    } else {
        say(words)?
    }
    Ok(0)
}

/// `kpc var set`.
pub(crate) async fn var_set(client: &Client, set: &VarSet) -> Verdict {
    // All are read before the first is set.
    let mut values = Vec::new();
    for pair in &set.values {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}`: write KEY=VALUE"))?;
        values.push((key.to_owned(), typed(value)));
    }
    for (key, value) in values {
        let words = format!("{}: {key} = {value}", set.scope);
        let call = api::Var { scope: set.scope.clone(), key, value: Some(value) };
        done(client, "/v1/var", &call, set.json, &words).await?;
    }
    Ok(0)
}

/// A value that reads as JSON keeps its type; anything else is text.
fn typed(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))
}

/// `kpc var unset`.
pub(crate) async fn var_unset(client: &Client, unset: &VarUnset) -> Verdict {
    for key in &unset.keys {
        let call = api::Var { scope: unset.scope.clone(), key: key.clone(), value: None };
        done(client, "/v1/var", &call, unset.json, &format!("{}: {key} is unset", unset.scope)).await?;
    }
    Ok(0)
}

/// `kpc disk set`.
pub(crate) async fn disk_set(client: &Client, set: &DiskSet) -> Verdict {
    let call = api::Disk { name: set.machine.clone(), serial: set.serial.clone() };
    let words = match &set.serial {
        Some(serial) => format!("{}: its orders may write disk {serial}, and no other", set.machine),
        None => format!("{}: the profile's rule chooses the disk", set.machine),
    };
    done(client, "/v1/disk", &call, set.json, &words).await
}

/// `kpc machine rename`.
pub(crate) async fn rename(client: &Client, rename: &MachineRename) -> Verdict {
    let call = api::Rename { from: rename.from.clone(), to: rename.to.clone() };
    done(client, "/v1/rename", &call, rename.json, &format!("{} is {} now", rename.from, rename.to)).await
}

/// `kpc machine replace`.
pub(crate) async fn replace(client: &Client, replace: &MachineReplace) -> Verdict {
    let call = api::Replace { old: replace.old.clone(), new: replace.new.clone() };
    let words = format!("{} takes the place of {}, which is retired", replace.new, replace.old);
    done(client, "/v1/replace", &call, replace.json, &words).await
}

/// `kpc machine import`.
pub(crate) async fn import(client: &Client, import: &MachineImport) -> Verdict {
    let said = |error: std::io::Error| format!("{}: {error}", import.file.display());
    let text = if import.file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(said)?;
        text
    } else {
        std::fs::read_to_string(&import.file).map_err(said)?
    };
    let list = machines(&text).map_err(|(line, what)| format!("{}:{line}: {what}", import.file.display()))?;
    tell(client.post("/v1/import", &list).await?, import.json)
}

/// The machines of a CSV text (RFC 4180), a fault with its line.
fn machines(text: &str) -> Result<Vec<api::AddMachine>, (usize, String)> {
    const COLUMNS: [&str; 7] = ["name", "mac", "uuid", "serial", "bmc", "rack", "roles"];
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().ok_or((1, "empty; the first line names the columns".to_owned()))?;
    let head: Vec<String> = fields(head).into_iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    if let Some(strange) = head.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err((1, format!("no column `{strange}`; there are {}", COLUMNS.join(", "))));
    }
    if !head.iter().any(|name| name == "name") {
        return Err((1, "no column `name` in the first line".to_owned()));
    }
    let mut list: Vec<api::AddMachine> = Vec::new();
    for (number, line) in lines {
        let values = fields(line);
        if values.len() > head.len() {
            return Err((number + 1, format!("{} values under {} columns", values.len(), head.len())));
        }
        let value = |column: &str| {
            let at = head.iter().position(|name| name == column)?;
            values.get(at).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let words = |column: &str| {
            let text = value(column).unwrap_or_default();
            text.split([' ', ';']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let name = value("name").ok_or((number + 1, "no name".to_owned()))?;
        if list.iter().any(|known| known.name == name) {
            return Err((number + 1, format!("{name} is there twice")));
        }
        list.push(api::AddMachine {
            name,
            macs: words("mac"),
            uuid: value("uuid"),
            bmc: value("bmc"),
            serial: value("serial"),
            rack: value("rack"),
            roles: words("roles"),
        });
    }
    Ok(list)
}

/// The fields of one line; quotes may hold commas, two quotes are one.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

/// `kpc backup`.
pub(crate) async fn backup(client: &Client, copy: &Copy) -> Verdict {
    let text = client.get_text("/v1/backup").await?;
    write_secret(&copy.file, text.as_bytes())?;
    let (file, octets) = (copy.file.display().to_string(), text.len());
    if copy.json {
        say(json!({ "file": file, "octets": octets }))?;
    } else {
        say(format_args!("{octets} octets in {file}; it holds claims: keep it as private as the store"))?;
    }
    Ok(0)
}

/// `kpc restore`: offline, while the server stands still; the store that is there is kept beside.
pub(crate) fn restore(config: &Config, copy: &Copy) -> Result<u8, Failure> {
    if std::os::unix::net::UnixStream::connect(&config.socket).is_ok() {
        return Err(Failure::Other(format!(
            "a server stands behind {}: stop it first (systemctl stop kpc)",
            config.socket.display()
        )));
    }
    let text =
        std::fs::read_to_string(&copy.file).map_err(|error| format!("{}: {error}", copy.file.display()))?;
    let records = fleet::backup::read(&text).map_err(|error| format!("{}: {error}", copy.file.display()))?;
    let records = fleet::backup::restored(records, crate::serve::now(), "kpc restore");
    let store = config.data_dir.join("fleet.redb");
    let aside = config.data_dir.join("fleet.redb.before-restore");
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    std::fs::create_dir_all(&config.data_dir).map_err(|error| said(&config.data_dir, &error))?;
    let beside = config.data_dir.join("fleet.redb.new");
    let _ = std::fs::remove_file(&beside);
    fleet::store::RedbStore::create(&beside, &records).map_err(|error| said(&beside, &error))?;
    if store.exists() {
        std::fs::rename(&store, &aside).map_err(|error| said(&aside, &error))?;
    }
    std::fs::rename(&beside, &store).map_err(|error| said(&store, &error))?;
    let (count, store) = (records.len(), store.display().to_string());
    if copy.json {
        say(json!({ "store": store, "records": count }))?;
    } else {
        say(format_args!(
            "{count} records in {store}; orders that were open are void, the store before is {}",
            aside.display()
        ))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_come_by_the_list() {
        let text = "name,mac,bmc,roles\r\nn1,52:54:00:00:00:01 52:54:00:00:00:02,10.0.0.1,control compute\r\n\r\nn2,\"52:54:00:00:00:03\",,\n";
        let list = machines(text).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].macs.len(), 2);
        assert_eq!(list[0].roles, ["control", "compute"]);
        assert_eq!((list[1].name.as_str(), list[1].bmc.as_deref()), ("n2", None));
    }

    #[test]
    fn faults_of_a_list_have_their_line() {
        let line = |text: &str| machines(text).err().map(|(line, _)| line);
        assert_eq!(line(""), Some(1));
        assert_eq!(line("mac\n"), Some(1));
        assert_eq!(line("name,color\n"), Some(1));
        assert_eq!(line("name,mac\nn1,a\nn1,b\n"), Some(3));
        assert_eq!(line("name,mac\n,a\n"), Some(2));
        assert_eq!(line("name,mac\nn1,a,b\n"), Some(2));
    }

    #[test]
    fn values_keep_their_type() {
        assert_eq!(typed("true"), Value::Bool(true));
        assert_eq!(typed("1.5"), json!(1.5));
        assert_eq!(typed("eno1"), json!("eno1"));
        assert_eq!(typed("\"7\""), json!("7"));
        assert_eq!(typed("[\"a\"]"), json!(["a"]));
    }
}
