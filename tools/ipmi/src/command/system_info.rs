//! `mc getsysinfo` and `setsysinfo`: strings in blocks of sixteen octets (IPMI v2.0 §22.14a, §22.14b).

use ipmi::session::{Privilege, Request};

use super::{Context, Failed};
use crate::output::{line, note};

const USAGE: &str = "sysinfo names: system_fw_version, system_name, primary_os_name, os_name";

/// Parameter numbers (table 22-16c).
const NAMES: [(&str, u8); 4] =
    [("system_fw_version", 1), ("system_name", 2), ("primary_os_name", 3), ("os_name", 4)];
/// Blocks that hold one string.
const BLOCKS: u8 = 4;
/// Octets of a string in the first block, behind its encoding and length.
const FIRST: usize = 14;

fn parameter(name: &str) -> Result<u8, Failed> {
    let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    found.ok_or_else(|| format!("Invalid mc/bmc getsysinfo command: {name}\n{USAGE}").into())
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help"] => Ok(()),
        [name, ..] => parameter(name).map(drop),
        [] => Err(format!("Not enough parameters given.\n{USAGE}").into()),
    }
}

/// Prints the string; what the BMC refuses is told, and exits 0 as ipmitool does.
pub(super) async fn get(context: &mut Context, name: &str) -> Result<(), Failed> {
    let (number, mut text, mut length) = (parameter(name)?, Vec::new(), FIRST);
    let mut refused = None;
    for block in 0..BLOCKS {
        let (code, data) = context.bmc.request(Request::new(0x06, 0x59, vec![0, number, block, 0])).await?;
        if !code.is_ok() {
            refused = Some(code);
            break;
        }
        let body = data.get(if block == 0 { 4 } else { 2 }..).unwrap_or_default();
        text.extend_from_slice(body);
        if block == 0 {
            length = data.get(3).copied().unwrap_or(0).into();
        }
        if text.len() >= length {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    line(text.trim_end_matches('\0'));
    match refused {
        None => Ok(()),
        Some(code) if context.json => Err(format!("getsysinfo command failed: {}", code.text()).into()),
        Some(code) => {
            note(&format!("getsysinfo command failed: {}", code.text()));
            Ok(())
        }
    }
}

/// Writes the string.
pub(super) async fn set(context: &mut Context, name: &str, value: &str) -> Result<(), Failed> {
    let number = parameter(name)?;
    let octets: Vec<u8> = value.bytes().take(FIRST + 16 * usize::from(BLOCKS - 1)).collect();
    let (first, rest) = octets.split_at(octets.len().min(FIRST));
    let mut blocks = vec![[&[0, octets.len() as u8][..], first].concat()]; // at most 62
    blocks.extend(rest.chunks(16).map(<[u8]>::to_vec));
    for (block, mut body) in (0u8..).zip(blocks) {
        body.resize(16, 0);
        let data = [&[number, block][..], &body].concat();
        let request = Request { privilege: Privilege::Administrator, ..Request::new(0x06, 0x58, data) };
        let (code, _) = context.bmc.request(request).await?;
        if !code.is_ok() {
            return Err(format!("setsysinfo command failed: {}", code.text()).into());
        }
    }
    Ok(())
}
