//! `raw` (ipmitool's lib/ipmi_raw.c).

use ipmi::session::{Privilege, Request};

use super::{Context, Failed, hint, number};
use crate::output;

/// The network functions that have a name.
const NAMES: [(&str, u8); 7] = [
    ("chassis", 0x00),
    ("bridge", 0x02),
    ("sensorevent", 0x04),
    ("application", 0x06),
    ("firmware", 0x08),
    ("storage", 0x0a),
    ("transport", 0x0c),
];

fn net_fn_of(word: &str) -> Result<u8, Failed> {
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    named.map_or_else(|| number(word), |(_, net_fn)| Ok(*net_fn))
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    if rest == ["help"] {
        return Ok(());
    }
    let [net_fn, command, data @ ..] = rest else {
        return Err(
            String::from("Not enough parameters given.\nRAW Commands:  raw <netfn> <cmd> [data]").into()
        );
    };
    let invalid = |what: &str, word: &str| Failed::from(format!("Given {what} \"{word}\" is invalid."));
    net_fn_of(net_fn).map_err(|_| invalid("netfn", net_fn))?;
    number(command).map_err(|_| invalid("command", command))?;
    for word in data {
        number(word).map_err(|_| invalid("data", word))?;
    }
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let [net_fn, command, data @ ..] = rest else {
        return hint("RAW Commands:  raw <netfn> <cmd> [data]");
    };
    let (net_fn, command) = (net_fn_of(net_fn)?, number(command)?);
    let data = data.iter().map(|word| number(word)).collect::<Result<Vec<_>, _>>()?;
    let mut request = Request::new(net_fn & 0x3f, command, data);
    request.privilege = Privilege::Administrator;
    let (completion, data) = context.bmc.request(request).await?;
    if !completion.is_ok() {
        return Err(format!(
            "Unable to send RAW command (channel=0x0 netfn=0x{:x} lun=0x0 cmd=0x{:x} rsp=0x{:x}): {}",
            net_fn,
            command,
            completion.0,
            completion.text()
        )
        .into());
    }
    for row in data.chunks(16) {
        let octets: String = row.iter().map(|octet| format!(" {octet:02x}")).collect();
        output::line(&octets);
    }
    if data.is_empty() {
        output::line("");
    }
    Ok(())
}
