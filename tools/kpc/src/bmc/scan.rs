//! `kpc bmc scan`: presence by UDP 623, then one login each: power, serial, GUID, cipher suite. A refused password is
//! never tried again; with `--save` the server keeps login and machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipmi::driver::{Bmc, BmcConfig, BmcError, ScanConfig};
use ipmi::hostrange;
use ipmi::scan::Found;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::logins::{Login, Logins, Who};
use super::session::hand_over;
use crate::api;
use crate::args::BmcScan;
use crate::client::Client;
use crate::config::Config;
use crate::init::network::way_to;
use crate::verbs::{Verdict, say};

/// Sessions at a time.
const AT_ONCE: usize = 128;
/// Serial's logins that are tried at a BMC that no other login fits.
const BY_SERIAL: usize = 2;

/// What one address is.
#[derive(Clone, Debug, Serialize)]
struct Line {
    address: IpAddr,
    /// Who made it.
    maker: String,
    /// `on`, `off`, or `-`.
    power: String,
    /// The cipher suite of the session.
    suite: Option<u8>,
    serial: Option<String>,
    guid: Option<String>,
    mac: Option<String>,
    rack: Option<String>,
    /// `reachable`, or why not.
    state: String,
    /// The machine that it is, with `--save`.
    machine: Option<String>,
    #[serde(skip)]
    login: Option<Login>,
    #[serde(skip)]
    port: u16,
}

/// The verb.
pub(crate) async fn scan(client: &Client, config: Option<&Config>, arguments: &BmcScan) -> Verdict {
    let (ranges, interface) = ranges(config, arguments)?;
    let mut targets = Vec::new();
    let mut racks: BTreeMap<IpAddr, String> = BTreeMap::new();
    for range in &ranges {
        let hosts = hostrange::expand(&range.text).map_err(|error| format!("{}: {error}", range.text))?;
        for host in hosts {
            let address: IpAddr = match host.parse() {
                Ok(address) => address,
                Err(_) => resolve(&host, arguments.port).await?,
            };
            if let Some(rack) = &range.rack {
                racks.insert(address, rack.clone());
            }
            targets.push(SocketAddr::new(address, arguments.port));
        }
        if let Some(interface) = &interface
            && let Some(odd) = way_to(&range.text, interface)
        {
            eprintln!("warning: {odd}");
        }
    }
    let logins = credentials(config, arguments)?;
    let asked = targets.len();
    let found = ipmi::driver::scan(targets, ScanConfig::default(), |_| {})
        .await
        .map_err(|error| format!("scanning: {error}"))?;
    let mut lines = ask_all(found, logins, &racks).await;
    lines.sort_by_key(|line| line.address);
    if arguments.save {
        save(client, config, arguments, &mut lines).await?;
    }
    if arguments.json {
        say(serde_json::to_string(&lines).map_err(|error| error.to_string())?)?;
    } else {
        say(table(&lines, asked).trim_end())?;
    }
    Ok(u8::from(lines.iter().any(|line| line.login.is_none())))
}

/// A range, and the rack that it belongs to.
struct Range {
    text: String,
    rack: Option<String>,
}

/// The ranges that were typed, else the configuration's; and the interface that should reach them.
fn ranges(config: Option<&Config>, arguments: &BmcScan) -> Result<(Vec<Range>, Option<String>), String> {
    let interface = config.map(|config| {
        let named = config.network.bmc.as_ref().and_then(|bmc| bmc.interface.clone());
        named.unwrap_or_else(|| config.network.mgmt.interface.clone())
    });
    let typed = |text: &String| Range { text: text.clone(), rack: rack_of(config, text) };
    if !arguments.ranges.is_empty() {
        return Ok((arguments.ranges.iter().map(typed).collect(), None));
    }
    let mut ranges: Vec<Range> = Vec::new();
    if let Some(config) = config {
        let bmc = config.network.bmc.iter().flat_map(|bmc| bmc.ranges.iter());
        ranges.extend(bmc.map(|text| Range { text: text.clone(), rack: None }));
        for rack in &config.rack {
            let own = |text: &String| Range { text: text.clone(), rack: Some(rack.name.clone()) };
            ranges.extend(rack.bmc_ranges.iter().map(own));
        }
    }
    if ranges.is_empty() {
        return Err(
            "which addresses? `kpc bmc scan 10.100.0.0/24 …`, or network.bmc.ranges in kpc.toml".to_owned()
        );
    }
    Ok((ranges, interface))
}

fn rack_of(config: Option<&Config>, range: &str) -> Option<String> {
    let racks = config.map(|config| config.rack.as_slice()).unwrap_or_default();
    racks.iter().find(|rack| rack.bmc_ranges.iter().any(|own| own == range)).map(|rack| rack.name.clone())
}

async fn resolve(host: &str, port: u16) -> Result<IpAddr, String> {
    let mut found =
        tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    found.next().map(|address| address.ip()).ok_or_else(|| format!("{host}: no address"))
}

/// The logins that were named, else those that the server keeps on this host.
fn credentials(config: Option<&Config>, arguments: &BmcScan) -> Result<Arc<Logins>, String> {
    let kept = config.map(Config::bmc_logins).filter(|path| path.exists());
    match (&arguments.credentials, kept) {
        (Some(file), _) => Logins::read(file).map(Arc::new),
        (None, Some(kept)) => Logins::read(&kept).map(Arc::new),
        (None, None) => {
            Err("no logins: name their file with --credentials FILE (`kpc bmc scan --help`)".to_owned())
        }
    }
}

async fn ask_all(found: Vec<Found>, logins: Arc<Logins>, racks: &BTreeMap<IpAddr, String>) -> Vec<Line> {
    let neighbours = crate::serve::neighbours::table();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for one in found {
        let (logins, slots) = (Arc::clone(&logins), Arc::clone(&slots));
        let address = one.addr.ip();
        let (mac, rack) = (neighbours.get(&address).map(ToString::to_string), racks.get(&address).cloned());
        asked.spawn(async move {
            let _slot = slots.acquire_owned().await;
            ask(one, &logins, mac, rack).await
        });
    }
    asked.join_all().await
}

async fn ask(found: Found, logins: &Logins, mac: Option<String>, rack: Option<String>) -> Line {
    let address = found.addr.ip();
    let mut line = Line {
        address,
        maker: "-".to_owned(),
        power: "-".to_owned(),
        suite: None,
        serial: None,
        guid: None,
        mac,
        rack,
        state: String::new(),
        machine: None,
        login: None,
        port: found.addr.port(),
    };
    match found.capabilities {
        None => {
            line.state = "answers pings alone: is IPMI over LAN switched on?".to_owned();
            return line;
        }
        Some(capabilities) if !capabilities.supports_v20() => {
            line.state = "speaks IPMI 1.5 only: no password is sent to it".to_owned();
            return line;
        }
        Some(_) => {}
    }
    let who = Who { address: Some(address), mac: line.mac.as_deref(), serial: None };
    let known = logins.of(&who).map(|login| (None, login));
    let candidates: Vec<(Option<String>, Login)> = match known {
        Some(known) => vec![known],
        None => logins
            .by_serial()
            .take(BY_SERIAL)
            .map(|(serial, login)| (Some(serial.to_owned()), login))
            .collect(),
    };
    if candidates.is_empty() {
        line.state = "no login for it in the file".to_owned();
    }
    for (serial, login) in candidates {
        match open(found.addr, &login, &mut line).await {
            Ok(()) if serial.is_none() || serial == line.serial => {
                line.state = "reachable".to_owned();
                line.login = Some(login);
                return line;
            }
            Ok(()) => line.state = "no login for its serial in the file".to_owned(),
            Err(error) => line.state = error,
        }
    }
    line
}

/// One session: what it says of itself.
async fn open(address: SocketAddr, login: &Login, line: &mut Line) -> Result<(), String> {
    let credentials = login.credentials()?;
    let mut bmc = Bmc::connect(BmcConfig::new(address, credentials)).await.map_err(|error| words(&error))?;
    line.suite = bmc.suite().map(|suite| suite.id);
    let guid = fleet::Uuid(ipmi::guid::reversed(bmc.managed_system_guid()));
    line.guid = guid.is_telling().then(|| guid.to_string());
    let status = bmc.chassis_status().await.map_err(|error| words(&error));
    if let Ok(device) = bmc.device_id().await {
        line.maker = maker(device.manufacturer);
    }
    if let Ok(fru) = bmc.fru_inventory(0).await {
        let field = |fields: Option<&Vec<String>>, at: usize| {
            let text = fields.and_then(|fields| fields.get(at)).map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty() && text.chars().any(|letter| letter.is_ascii_alphanumeric()))
        };
        // The product's serial is what SMBIOS shows as the system's; the chassis' and board's stand in for it.
        line.serial = field(fru.product.as_ref().map(|area| &area.fields), 4)
            .or_else(|| field(fru.chassis.as_ref().map(|area| &area.fields), 1))
            .or_else(|| field(fru.board.as_ref().map(|area| &area.fields), 2));
    }
    bmc.close().await;
    line.power = if status?.power_on() { "on" } else { "off" }.to_owned();
    Ok(())
}

fn words(error: &BmcError) -> String {
    match error {
        BmcError::WrongPassword(_) => "wrong password (tried once, not again)".to_owned(),
        BmcError::UnknownUser(_) => "unknown user (tried once, not again)".to_owned(),
        other => {
            let text = other.to_string();
            text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned())
        }
    }
}

/// The makers that racks have; others by their enterprise number.
fn maker(number: u32) -> String {
    match number {
        2 => "IBM".to_owned(),
        11 | 47196 => "HPE".to_owned(),
        343 => "Intel".to_owned(),
        674 => "Dell".to_owned(),
        2011 => "Huawei".to_owned(),
        5771 | 9 => "Cisco".to_owned(),
        7244 => "Quanta".to_owned(),
        10368 => "Fujitsu".to_owned(),
        10876 => "Supermicro".to_owned(),
        19046 => "Lenovo".to_owned(),
        0 => "-".to_owned(),
        other => format!("maker {other}"),
    }
}

/// Hands what is right to the server, which names the machines.
async fn save(
    client: &Client,
    config: Option<&Config>,
    arguments: &BmcScan,
    lines: &mut [Line],
) -> Result<(), String> {
    let racks = config.map(|config| config.rack.as_slice()).unwrap_or_default();
    let mut scanned: Vec<api::Scanned> = lines
        .iter()
        .filter_map(|line| {
            let rule = racks
                .iter()
                .find(|rack| Some(&rack.name) == line.rack.as_ref())
                .and_then(|rack| rack.naming.clone());
            Some(api::Scanned {
                address: line.address,
                port: line.port,
                login: Some(line.login.clone()?),
                guid: line.guid.clone(),
                serial: line.serial.clone(),
                name: None,
                naming: rule.unwrap_or_else(|| arguments.naming.clone()),
                rack: line.rack.clone(),
            })
        })
        .collect();
    // With a keeper the server never sees a login.
    if let Some(keeper) = config.and_then(|config| config.bmc.keeper.as_ref()) {
        let logins = scanned.iter_mut().filter_map(|one| Some((one.address, one.login.take()?))).collect();
        hand_over(keeper, logins).await?;
    }
    let outcomes: Vec<api::Outcome> = client.post("/v1/bmc", &scanned).await?;
    for (one, outcome) in scanned.iter().zip(outcomes) {
        if let Some(line) = lines.iter_mut().find(|line| line.address == one.address) {
            if outcome.ok {
                line.state = format!("{}, {}", line.state, outcome.detail);
                line.machine = Some(outcome.name);
            } else {
                line.state = outcome.detail;
                line.login = None;
            }
        }
    }
    Ok(())
}

fn table(lines: &[Line], asked: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "ADDRESS          BMC          POWER  CIPHER  SERIAL            MACHINE          STATE\n",
    );
    for line in lines {
        let suite = line.suite.map_or_else(|| "-".to_owned(), |suite| suite.to_string());
        let (serial, machine) =
            (line.serial.as_deref().unwrap_or("-"), line.machine.as_deref().unwrap_or("-"));
        let _ = writeln!(
            text,
            "{:<16} {:<12} {:<6} {suite:<7} {serial:<17} {machine:<16} {}",
            line.address.to_string(),
            line.maker,
            line.power,
            line.state
        );
    }
    let good = lines.iter().filter(|line| line.login.is_some()).count();
    let _ = writeln!(text, "{} of {asked} addresses answered, {good} reachable", lines.len());
    text
}
