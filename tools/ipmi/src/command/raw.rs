//! `raw` (ipmitool's lib/ipmi_raw.c).

use ipmi::session::{Privilege, Request};

use super::{Context, Failed};
use crate::output;

fn number(word: &str) -> Result<u8, Failed> {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("Given {word:?} is no number 0..255").into())
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
            "Unable to send RAW command (channel=0x0 netfn={net_fn} cmd={command} rsp=0x{:x}): {}",
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
