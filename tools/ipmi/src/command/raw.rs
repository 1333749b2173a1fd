//! `raw` (ipmitool's lib/ipmi_raw.c).

use ipmi::session::{Privilege, Request};

use super::{Context, Failed, number};
use crate::output;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    let [net_fn, command, data @ ..] = rest else {
        return Err(
            String::from("Not enough parameters given.\nRAW Commands:  raw <netfn> <cmd> [data]").into()
        );
    };
    let invalid = |what: &str, word: &str| Failed::from(format!("Given {what} \"{word}\" is invalid."));
    number(net_fn).map_err(|_| invalid("netfn", net_fn))?;
    number(command).map_err(|_| invalid("command", command))?;
    for word in data {
        number(word).map_err(|_| invalid("data", word))?;
    }
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let [net_fn, command, data @ ..] = rest else {
        return Err(String::from("Not enough parameters given: raw NETFN COMMAND [DATA…]").into());
    };
    let data = data.iter().map(|word| number(word)).collect::<Result<Vec<_>, _>>()?;
    let mut request = Request::new(number(net_fn)? & 0x3f, number(command)?, data);
    request.privilege = Privilege::Administrator;
    let (completion, data) = context.bmc.request(request).await?;
    if !completion.is_ok() {
        return Err(format!(
            "Unable to send RAW command (channel=0x0 netfn=0x{:x} lun=0x0 cmd=0x{:x} rsp=0x{:x}): {}",
            number(net_fn)?,
            number(command)?,
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
