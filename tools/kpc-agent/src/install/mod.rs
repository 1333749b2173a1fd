//! Role `install`: looks at the machine, asks for its order, chooses the disk, asks for the one grant, writes, hands
//! over, reboots. Whatever goes wrong is told to the server and stops the agent; a person decides what comes next.

mod boot_order;
mod clock;
mod disks;
mod handover;
mod image;
mod installer;
mod order;
mod rule;
mod stop;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use disk::Table;
use serde_json::{Value, json};

use crate::args::Args;
use crate::console::{fail, say, warn};
use crate::facts::Facts;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::{digest, http};
use disks::Blocks;
use image::{Image, Unwritten};
use order::{Order, UserData};
use rule::Disk;
use stop::{Stop, because};

pub(crate) use disks::Places;
pub(crate) use handover::find_credentials;
pub(crate) use installer::{grant, installed};

/// User data at most: it goes into a volume of 8 MiB.
const LARGEST: u64 = 4 << 20;
/// Between two reports of the write.
const REPORTS: Duration = Duration::from_secs(2);
/// An exclusive open of a block device fails while anything uses it (open(2), O_EXCL).
const EXCLUSIVE: i32 = 0o200;

/// The whole role.
pub(crate) fn run(args: &Args, parameters: &Parameters) -> ExitCode {
    let Some(server) = stop::server(parameters) else {
        fail("kpc.role=install needs kpc.server= and kpc.claim= on the kernel's command line");
        return ExitCode::FAILURE;
    };
    match install(args, &server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            stop.tell(&server);
            crate::run::stay(args);
            ExitCode::FAILURE
        }
    }
}

fn install(args: &Args, server: &Server) -> Result<(), Stop> {
    let is_machine = args.root == Path::new("/");
    let answer = server.call("/v1/claim", &json!({ "claim": server.claim }))?;
    if is_machine {
        clock::set(answer.date);
    }
    server.tell("agent", concat!("kpc-agent ", env!("CARGO_PKG_VERSION")));
    let disks = inventory(&args.places, server)?;
    let order = Order::parse(&answer.value)?;
    let chosen = order.disk.choose(&disks).map_err(because("no-disk-fits"))?;
    let node = args.places.dev.join(&chosen.name);
    say(format!("disk {chosen}"));
    let files = user_data(&order)?;
    let image = Image::open(&order.image, &order.format, server.pause)?;
    handover::check(image.head(), chosen.octets)?;
    // Opened before the grant: a disk in use is no disk to spend it on.
    let disk = open_unused(&node)?;
    grant_for(server, chosen, order.wipe.as_deref())?;
    say(format!("granted: {} is written now", chosen.serial));
    let octets = write(image, &disk, chosen, &order, server)?;
    drop(disk);
    say(format!("sha256 image {}, {octets} octets written", order.sha256));
    let key = digest::hex(&random::<32>()?);
    hand_over(args, server, chosen, &order, &files, &key)?;
    if is_machine {
        boot_order(&node, chosen.octets, &order);
    }
    server.call("/v1/report", &server.report("done", &format!("{octets} octets on {}", chosen.serial)))?;
    say("installed");
    server.tell("reboot", "");
    if args.once || !is_machine {
        return Ok(());
    }
    say("reboot");
    rustix::fs::sync();
    rustix::system::reboot(rustix::system::RebootCommand::Restart)
        .map_err(|error| Stop::Failed(format!("reboot: {error}"), None))
}

/// A disk that nothing uses, for writing.
fn open_unused(node: &Path) -> Result<File, String> {
    let opened = File::options().read(true).write(true).custom_flags(EXCLUSIVE).open(node);
    opened.map_err(|error| format!("open {}: {error}", node.display()))
}

/// Asks for the order's one grant, for this disk; one with data only where it is `given_up`.
fn grant_for(server: &Server, chosen: &Disk, given_up: Option<&str>) -> Result<(), Stop> {
    let nonce = digest::hex(&random::<16>()?);
    let signatures: Vec<String> = chosen.signatures.iter().map(ToString::to_string).collect();
    let ask =
        json!({ "claim": server.claim, "nonce": nonce, "serial": chosen.serial, "signatures": signatures });
    let grant = server.call("/v1/grant", &ask)?;
    let granted = grant.value.get("serial").and_then(Value::as_str) == Some(chosen.serial.as_str());
    if !granted || !(signatures.is_empty() || given_up == Some(chosen.serial.as_str())) {
        return Err(Stop::Failed(format!("the grant is not for {chosen}; nothing was written"), None));
    }
    Ok(())
}

/// What this machine has, told to the server.
fn inventory(places: &Places, server: &Server) -> Result<Vec<Disk>, String> {
    let disks = disks::all(places)?;
    let told: Vec<Value> = disks
        .iter()
        .map(|disk| {
            let signatures: Vec<String> = disk.signatures.iter().map(ToString::to_string).collect();
            json!({ "name": disk.name, "serial": disk.serial, "model": disk.model, "octets": disk.octets,
                "kind": disk.kind.word(), "signatures": signatures })
        })
        .collect();
    let facts = Facts::read(&places.sys);
    let bmc = own_bmc(&places.sys);
    let mut report = server.report("inventory", &format!("{} disks", disks.len()));
    let smbios = json!({ "uuid": facts.uuid, "serial": facts.serial, "vendor": facts.vendor, "product": facts.product });
    if let Value::Object(report) = &mut report {
        let bmc = bmc.as_ref().map(|guid| json!({ "guid": guid }));
        let all = json!({ "disks": told, "interfaces": facts.interfaces, "smbios": smbios, "bmc": bmc });
        report.insert("inventory".to_owned(), all);
    }
    if let Err(refused) = server.call("/v1/report", &report) {
        warn(format!("report inventory: {}", refused.words));
    }
    for disk in &disks {
        say(format!("found {disk}"));
    }
    if let Some(guid) = bmc {
        server.tell("bmc", &guid);
    }
    Ok(disks)
}

/// The GUID of the BMC on this board, as the kernel's IPMI driver shows it (Get Device GUID, IPMI v2.0 §20.8).
fn own_bmc(sys: &Path) -> Option<String> {
    let entries = std::fs::read_dir(sys.join("bus/platform/devices")).ok()?;
    let named = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ipmi_bmc."))
    };
    let mut all = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named);
    let guid = all.find_map(|path| std::fs::read_to_string(path.join("guid")).ok())?;
    Some(guid.trim().to_owned()).filter(|guid| !guid.is_empty())
}

/// The installed system's configuration, fetched before anything is written.
fn user_data(order: &Order) -> Result<Vec<u8>, String> {
    let (what, url) = match &order.user_data {
        UserData::Nothing => return Ok(Vec::new()),
        UserData::NoCloud { url, .. } => ("user data", url),
        UserData::Ignition { url } => ("Ignition config", url),
    };
    let octets = crate::run::until_done(&format!("fetch the {what}"), || http::get(url)?.success(LARGEST));
    say(format!("sha256 {what} {}", digest::of(&octets)));
    Ok(octets)
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(octets)
}

/// Writes the image and reports on the way.
#[expect(clippy::disallowed_methods, reason = "reports are paced by the clock")]
fn write(image: Image, disk: &File, chosen: &Disk, order: &Order, server: &Server) -> Result<u64, Stop> {
    let start = Instant::now();
    let mut told = start;
    let written = image.write(disk, chosen.octets, &order.sha256, |served, written| {
        if told.elapsed() < REPORTS {
            return;
        }
        told = Instant::now();
        let percent = order.octets.map_or(0, |all| (served.saturating_mul(100) / all.max(1)).min(99));
        let seconds = start.elapsed().as_secs().max(1);
        let line = format!("{percent} % {} MiB, {} MiB/s", written >> 20, (written >> 20) / seconds);
        say(&line);
        server.tell("writing", &line);
    });
    written.map_err(|unwritten| match unwritten {
        Unwritten::OtherImage(words) => Stop::Failed(words, Some("bad-signature")),
        Unwritten::Failed(words) => Stop::Failed(words, None),
    })
}

/// Configuration and credentials for the installed system.
fn hand_over(
    args: &Args,
    server: &Server,
    chosen: &Disk,
    order: &Order,
    user_data: &[u8],
    key: &str,
) -> Result<(), String> {
    let credentials =
        json!({ "server": server.url, "claim": server.claim, "key": key, "image": order.sha256 }).to_string();
    let credentials: (&str, &[u8]) = (handover::CREDENTIALS, credentials.as_bytes());
    let program = handover::own_program(user_data.len());
    let program: (&str, &[u8]) = (handover::PROGRAM, &program);
    let [for_cloud_init, plain] = handover::LABELS;
    let node = args.places.dev.join(&chosen.name);
    let unique = random::<16>()?;
    let put = |label, files: &handover::Files<'_>| {
        let files: Vec<_> = files
            .iter()
            .copied()
            .filter(|(name, octets)| *name != handover::PROGRAM || !octets.is_empty())
            .collect();
        handover::volume(&node, chosen.octets, label, unique, &files)
    };
    match &order.user_data {
        UserData::Nothing => put(plain, &[credentials, program]).map(drop),
        UserData::NoCloud { meta_data, .. } => {
            let for_it =
                [("meta-data", meta_data.as_bytes()), ("user-data", user_data), credentials, program];
            put(for_cloud_init, &for_it).map(drop)
        }
        UserData::Ignition { .. } => {
            put(plain, &[credentials, program])?;
            handover::ignition(&args.places, &chosen.name, chosen.octets, user_data)
        }
    }
}

/// UEFI's boot order; where it cannot be set, the firmware's own still finds the disk.
fn boot_order(node: &Path, size: u64, order: &Order) {
    let firmware = Path::new("/sys/firmware/efi");
    if !firmware.exists() {
        return;
    }
    let variables = firmware.join("efivars");
    if std::fs::read_dir(&variables).map_or(true, |mut entries| entries.next().is_none()) {
        let flags = rustix::mount::MountFlags::empty();
        if let Err(error) = rustix::mount::mount("efivarfs", &variables, "efivarfs", flags, None) {
            return warn(format!("boot order: mount efivarfs: {error}"));
        }
    }
    let table = File::open(node).ok().and_then(|file| Table::read(&Blocks(file), size));
    let Some(table) = table else { return };
    let with_loader =
        |active: bool| table.partitions().iter().find(|one| one.is_efi_system || active && one.is_active);
    let Some(partition) = with_loader(false).or_else(|| with_loader(true)) else {
        return warn("boot order: the image has no EFI system partition; left as it is");
    };
    match boot_order::set(&variables, partition, table.kind(), table.sector(), order.disk_first) {
        Ok(order) => say(format!("boot order {order}")),
        Err(error) => warn(format!("boot order: {error}")),
    }
}
