//! `mc` and `bmc` (ipmitool's lib/ipmi_mc.c).

use ipmi::guid::Guid;

use super::{Context, Failed};
use crate::output::line;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["info" | "guid", ..] => Ok(()),
        [word, ..] => Err(format!("Invalid mc/bmc command: {word}").into()),
        [] => Err(String::from("MC commands: info, guid").into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["guid", ..] => guid(context).await,
        _ => info(context).await,
    }
}

const SUPPORT: [&str; 8] = [
    "Sensor Device",
    "SDR Repository Device",
    "SEL Device",
    "FRU Inventory Device",
    "IPMB Event Receiver",
    "IPMB Event Generator",
    "Bridge",
    "Chassis Device",
];

async fn info(context: &mut Context) -> Result<(), Failed> {
    let id = context.bmc.device_id().await?;
    let yes = |set: bool| if set { "yes" } else { "no" };
    line(&format!("Device ID                 : {}", id.device_id));
    line(&format!("Device Revision           : {}", id.revision));
    line(&format!("Firmware Revision         : {}.{:02x}", id.firmware_major, id.firmware_minor));
    line(&format!("IPMI Version              : {:x}.{:x}", id.ipmi_version & 15, id.ipmi_version >> 4));
    line(&format!("Manufacturer ID           : {}", id.manufacturer));
    line(&format!("Product ID                : {} (0x{:04x})", id.product, id.product));
    line(&format!("Device Available          : {}", yes(!id.updating)));
    line(&format!("Provides Device SDRs      : {}", yes(id.provides_sdrs)));
    line("Additional Device Support :");
    for (bit, name) in SUPPORT.iter().enumerate() {
        if id.additional_support >> bit & 1 == 1 {
            line(&format!("    {name}"));
        }
    }
    if let Some(auxiliary) = id.auxiliary {
        line("Aux Firmware Rev Info     : ");
        for octet in auxiliary {
            line(&format!("    0x{octet:02x}"));
        }
    }
    Ok(())
}

async fn guid(context: &mut Context) -> Result<(), Failed> {
    let guid = context.bmc.system_guid().await?;
    line(&format!("System GUID  : {}", Guid(guid)));
    Ok(())
}
