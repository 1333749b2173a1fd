//! `fru` (ipmitool's lib/ipmi_fru.c).

use ipmi::command::fru::{FruInventory, GetFruInventoryAreaInfo};
use ipmi::command::names;
use ipmi::command::sdr::SdrBody;
use ipmi::driver::BmcError;

use super::{Context, Failed, hint, time};
use crate::output::line;

/// Seconds from 1970 to 1996, where board dates begin (Platform Management FRU §11).
const EPOCH_1996: u32 = 820_454_400;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["print" | "list" | "help", ..] | ["read", _, _, ..] => Ok(()),
        ["read", ..] => Err(String::from("usage: fru read <fru id> <fru file>").into()),
        ["write" | "edit" | "internaluse" | "upgEkey" | "get", ..] => {
            Err(String::from("this FRU command is not supported by this program").into())
        }
        [word, ..] => Err(format!("Invalid FRU command: {word}").into()),
    }
}

fn field(title: &str, value: &str) {
    if !value.trim_matches(' ').is_empty() {
        line(&format!(" {title:<21} : {value}"));
    }
}

fn fields(titles: &[&str], extra: &str, values: &[String]) {
    let more = std::iter::repeat(extra);
    for (title, value) in titles.iter().copied().chain(more).zip(values) {
        if !title.is_empty() {
            field(title, value);
        }
    }
}

fn print(inventory: &FruInventory, verbose: bool) {
    // The file id is shown with -v.
    let file_id = |title: &'static str| if verbose { title } else { "" };
    if let Some(chassis) = &inventory.chassis {
        line(&format!(" Chassis Type          : {}", names::chassis_type(chassis.kind)));
        fields(&["Chassis Part Number", "Chassis Serial"], "Chassis Extra", &chassis.fields);
    }
    if let Some(board) = &inventory.board {
        let date = match board.manufactured {
            0 => "Unspecified".to_owned(),
            minutes => time::long(EPOCH_1996.saturating_add(minutes.saturating_mul(60))),
        };
        line(&format!(" Board Mfg Date        : {date}"));
        let titles =
            ["Board Mfg", "Board Product", "Board Serial", "Board Part Number", file_id("Board FRU ID")];
        fields(&titles, "Board Extra", &board.fields);
    }
    if let Some(product) = &inventory.product {
        let titles = [
            "Product Manufacturer",
            "Product Name",
            "Product Part Number",
            "Product Version",
            "Product Serial",
            "Product Asset Tag",
            file_id("Product FRU ID"),
        ];
        fields(&titles, "Product Extra", &product.fields);
    }
}

/// Prints one device; false if it is not there.
async fn one(context: &mut Context, device: u8) -> Result<bool, Failed> {
    match context.bmc.execute(&GetFruInventoryAreaInfo(device)).await {
        Err(BmcError::Completion(code)) => {
            line(&format!(" Device not present ({})", code.text()));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
        Ok(info) if info.size == 0 => {
            line(&format!(" Invalid FRU size {}", info.size));
            return Ok(false);
        }
        Ok(_) => {}
    }
    match context.bmc.fru_inventory(device).await {
        Ok(inventory) => {
            print(&inventory, context.verbose > 0);
            Ok(true)
        }
        Err(BmcError::Malformed(ipmi::ParseError::Value("FRU format version", version))) => {
            line(&format!(" Unknown FRU header version 0x{version:02x}"));
            Ok(false)
        }
        Err(BmcError::Completion(code)) => {
            line(&format!(" Device not present ({})", code.text()));
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a device's octets to a file; a device that is not there is passed over, as ipmitool does.
async fn save(context: &mut Context, device: u8, path: &str) -> Result<(), Failed> {
    let octets = match context.bmc.fru_data(device).await {
        Err(BmcError::Completion(code)) => return hint(&format!("Device not present ({})", code.text())),
        other => other?,
    };
    line(&format!("Fru Size         : {} bytes", octets.len()));
    std::fs::write(path, octets).map_err(|error| format!("writing {path}: {error}"))?;
    line("Done");
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] => return hint("FRU Commands: print read"),
        ["read", device, path, ..] => return save(context, super::number(device)?, path).await,
        _ => {}
    }
    if let Some(word) = rest.get(1).filter(|word| **word != "all") {
        let device = word.parse().map_err(|_| format!("FRU Device ID {word:?} is invalid."))?;
        return if one(context, device).await? { Ok(()) } else { Err(Failed(None)) };
    }
    line("FRU Device Description : Builtin FRU Device (ID 0)");
    // The controller says whether it has an inventory of its own (IPMI v2.0 §20.1, additional device support).
    if context.bmc.device_id().await?.additional_support & 0x08 != 0 {
        one(context, 0).await?;
        line("");
    }
    let records = match context.bmc.sensor_data_records().await {
        Ok(records) => records,
        Err(BmcError::Completion(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for record in records {
        let SdrBody::Fru(locator) = record.body else { continue };
        // The built-in device is told already; physical devices need another way in.
        if !locator.logical || locator.device == 0 {
            continue;
        }
        line(&format!("FRU Device Description : {} (ID {})", locator.name, locator.device));
        one(context, locator.device).await?;
        line("");
    }
    Ok(())
}
