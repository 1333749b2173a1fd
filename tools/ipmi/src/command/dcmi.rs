//! `dcmi`: power reading and limit (ipmitool's lib/ipmi_dcmi.c; DCMI v1.5 §6.6).

use ipmi::session::Request;

use super::{Context, Failed, hint, time};
use crate::output::line;

const USAGE: &str = "dcmi commands: power reading, power get_limit";

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] | ["power", "reading" | "get_limit", ..] | ["power"] => Ok(()),
        [] => Err(USAGE.to_owned().into()),
        ["power", word, ..] | [word, ..] => {
            Err(format!("dcmi {word}: not supported by this program; {USAGE}").into())
        }
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", "reading", ..] => reading(context).await,
        ["power", "get_limit", ..] => limit(context).await,
        ["power"] => Err(Failed(None)),
        _ => hint(USAGE),
    }
}

/// A request of the group extension DCMI; the octets behind its mark.
async fn ask(context: &mut Context, command: u8, mut data: Vec<u8>) -> Result<Vec<u8>, Failed> {
    data.insert(0, 0xdc);
    let (code, data) = context.bmc.request(Request::new(0x2c, command, data)).await?;
    line("");
    if !code.is_ok() {
        return Err(format!("DCMI request failed because: {} ({:02x})", code.text(), code.0).into());
    }
    Ok(data)
}

async fn reading(context: &mut Context) -> Result<(), Failed> {
    let data = ask(context, 0x02, vec![0x01, 0x00, 0x00]).await?;
    let at = |n: usize| data.get(n).copied().unwrap_or(0);
    let watts = |n: usize| u16::from_le_bytes([at(n), at(n + 1)]);
    let long = |n: usize| u32::from_le_bytes([at(n), at(n + 1), at(n + 2), at(n + 3)]);
    line(&format!("    Instantaneous power reading:              {:>8} Watts", watts(1)));
    line(&format!("    Minimum during sampling period:           {:>8} Watts", watts(3)));
    line(&format!("    Maximum during sampling period:           {:>8} Watts", watts(5)));
    line(&format!("    Average power reading over sample period: {:>8} Watts", watts(7)));
    line(&format!("    IPMI timestamp:                           {}", time::text(long(9))));
    line(&format!("    Sampling period:                          {:08} Seconds.", long(13) / 1000));
    let active = if at(17) & 0x40 != 0 { "activated" } else { "deactivated" };
    line(&format!("    Power reading state is:                   {active}\n\n"));
    Ok(())
}

async fn limit(context: &mut Context) -> Result<(), Failed> {
    let data = ask(context, 0x03, vec![0x00, 0x00]).await?;
    let at = |n: usize| data.get(n).copied().unwrap_or(0);
    let action = match at(3) {
        0x00 => "No Action".to_owned(),
        0x01 => "Hard Power Off & Log Event to SEL".to_owned(),
        0x11 => "Log Event to SEL".to_owned(),
        other => format!("OEM reserved action ({other:02x})"),
    };
    let correction = u32::from_le_bytes([at(6), at(7), at(8), at(9)]);
    line(&format!("    Exception actions: {action}"));
    line(&format!("    Power Limit:       {} Watts", u16::from_le_bytes([at(4), at(5)])));
    line(&format!("    Correction time:   {correction} milliseconds"));
    line(&format!("    Sampling period:   {} seconds", u16::from_le_bytes([at(12), at(13)])));
    line("");
    Ok(())
}
