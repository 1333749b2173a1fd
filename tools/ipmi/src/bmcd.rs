//! `ipmi bmcd`: a virtual BMC whose power and boot device act on QEMU or on a command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, BootDevices, HookMachine, Machine, QmpMachine, ServerEvent};
use ipmi::responder::{Config, Event};
use ipmi::session::UserName;
use ipmi::wire::session::AuthType;
use ipmi::{CipherSuite, Ignored};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{output, secret};

const EXAMPLES: &str = "\
EXAMPLES:
    qemu-system-x86_64 -S -no-shutdown -qmp unix:vm.qmp,server=on,wait=off \\
        -netdev user,id=n0 -device virtio-net-pci,netdev=n0,id=nic0 \\
        -drive if=none,id=d0,file=disk.img -device virtio-blk-pci,drive=d0,id=disk0 &
    ipmi bmcd --listen 127.0.0.1:6230 --user admin --password-file pw --qmp vm.qmp \\
        --boot-device pxe=nic0 --boot-device disk=disk0
    ipmi bmcd --user admin --password-file pw --command ./power.sh";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address and port to answer on.
    #[arg(long, default_value = "[::]:623")]
    listen: SocketAddr,
    /// User name of the administrator.
    #[arg(long)]
    user: String,
    /// File whose first line is the password; without it IPMITOOL_PASSWORD or IPMI_PASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File whose first line is K_G, for two-key login.
    #[arg(long, value_name = "FILE")]
    k_g_file: Option<PathBuf>,
    /// The managed system's GUID, sent as written; default all zero.
    #[arg(long, default_value = "00000000-0000-0000-0000-000000000000")]
    guid: String,
    /// Cipher suites to accept, comma-separated.
    #[arg(long, default_value = "3,17", value_delimiter = ',')]
    suites: Vec<u8>,
    /// QEMU's QMP socket.
    #[arg(long, value_name = "SOCKET", required_unless_present = "command", conflicts_with = "command")]
    qmp: Option<PathBuf>,
    /// QEMU devices by their id: pxe=ID,…, disk=ID,…, cdrom=ID, floppy=ID (repeatable).
    #[arg(long, value_name = "KIND=ID", requires = "qmp")]
    boot_device: Vec<String>,
    /// A program: called as `PROGRAM power on`, `PROGRAM boot pxe [efi] [persistent]`, `PROGRAM status`.
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// The machine's serial port for Serial over LAN: a Unix socket such as QEMU's `-serial unix:…`.
    #[arg(long, value_name = "SOCKET")]
    serial: Option<PathBuf>,
    /// IPMI 1.5 authentication types to accept, comma-separated: none, md5, password.
    #[arg(long, value_delimiter = ',')]
    auth_types: Vec<String>,
    /// Faults to inject, in percent: drop=5,duplicate=5,reorder=5,busy=1; delay in ms: delay=10.
    #[arg(long, value_name = "NAME=N", value_delimiter = ',')]
    fault: Vec<String>,
    /// How events are written to standard error.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    log_format: String,
    /// Which events are written.
    #[arg(long, default_value = "info", value_parser = output::LEVELS)]
    log_level: String,
}

fn boot_devices(items: &[String]) -> Result<BootDevices, String> {
    let mut devices = BootDevices::default();
    for item in items {
        let (kind, ids) = item.split_once('=').ok_or_else(|| format!("{item:?}: write KIND=ID"))?;
        let list = match kind {
            "pxe" => &mut devices.pxe,
            "disk" => &mut devices.disk,
            "cdrom" => &mut devices.cdrom,
            "floppy" => &mut devices.floppy,
            _ => return Err(format!("{kind:?} is no boot device; write pxe, disk, cdrom or floppy")),
        };
        list.extend(ids.split(',').map(str::to_owned));
    }
    Ok(devices)
}

fn config(args: &Args) -> Result<Config, String> {
    let password = match &args.password_file {
        Some(path) => secret::from_file(path)?,
        None => secret::from_environment(&["IPMITOOL_PASSWORD", "IPMI_PASSWORD"])
            .ok_or("no password: give --password-file or set IPMITOOL_PASSWORD")?,
    };
    let guid = ipmi::guid::parse(&args.guid);
    let guid = guid.ok_or_else(|| format!("--guid {}: 32 hex digits, dashes allowed", args.guid))?;
    let user = UserName::new(args.user.as_bytes()).map_err(|error| error.to_string())?;
    let mut config = Config::new(guid, user, Secret::new(&password).map_err(|error| error.to_string())?);
    if let Some(path) = &args.k_g_file {
        config.k_g = Secret::new(&secret::from_file(path)?).map_err(|error| error.to_string())?;
    }
    let suites = args.suites.iter().map(|id| CipherSuite::from_id(*id)).collect::<Result<_, _>>();
    config.suites = suites.map_err(|error| error.to_string())?;
    config.sol = args.serial.is_some();
    for word in &args.auth_types {
        config.auth_types.push(match word.as_str() {
            "none" => AuthType::None,
            "md5" => AuthType::Md5,
            "password" => AuthType::Password,
            _ => return Err(format!("--auth-types {word}: write none, md5 or password")),
        });
    }
    for item in &args.fault {
        let number =
            |text: &str| text.parse::<u8>().map_err(|_| format!("--fault {item}: write NAME=0..100"));
        match item.split_once('=') {
            Some(("drop", n)) => config.faults.drop = number(n)?,
            Some(("duplicate", n)) => config.faults.duplicate = number(n)?,
            Some(("reorder", n)) => config.faults.reorder = number(n)?,
            Some(("busy", n)) => config.faults.busy = number(n)?,
            Some(("delay", n)) => config.faults.delay = Duration::from_millis(number(n)?.into()),
            _ => return Err(format!("--fault {item}: write drop, duplicate, reorder, busy or delay")),
        }
    }
    Ok(config)
}

fn log(json: bool, level: &str, event: &ServerEvent) {
    let (shown, text) = match event {
        ServerEvent::Responder(Event::LoggedIn { from, user, suite }) => {
            ("info", format!("{from} logged in as {} (suite {suite})", String::from_utf8_lossy(user)))
        }
        ServerEvent::Responder(Event::Refused { from, status }) => {
            ("info", format!("{from} refused: {status}"))
        }
        ServerEvent::Responder(Event::Answered { to, net_fn, command, completion }) => {
            ("debug", format!("{to} command {net_fn:02x}h/{command:02x}h: {completion}"))
        }
        ServerEvent::Ignored(from, Ignored::Malformed(error)) => {
            ("debug", format!("{from} ignored: {error}"))
        }
        ServerEvent::Ignored(from, why) => ("debug", format!("{from} ignored: {why}")),
        ServerEvent::Machine { call, outcome: Ok(()) } => {
            let level = if *call == ipmi::responder::MachineCall::Status { "debug" } else { "info" };
            (level, format!("machine: {call:?}"))
        }
        ServerEvent::Machine { call, outcome: Err(why) } => ("error", format!("machine: {call:?}: {why}")),
        _ => return,
    };
    if !output::shows(shown, level) {
        return;
    }
    output::note(&if json { json!({"level": shown, "event": text}).to_string() } else { text });
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let config = match config(&args) {
        Ok(config) => config,
        Err(error) => return output::configuration(&error),
    };
    let server = match BmcServer::bind(args.listen, config) {
        Ok(server) => server,
        Err(error) => return output::fail(&format!("listening on UDP {}: {error}", args.listen)),
    };
    let server = match &args.serial {
        None => server,
        Some(path) => match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => server.with_serial(stream),
            Err(error) => {
                return output::fail(&format!("connecting to the serial port {}: {error}", path.display()));
            }
        },
    };
    match (&args.qmp, &args.command) {
        (Some(path), _) => {
            let devices = match boot_devices(&args.boot_device) {
                Ok(devices) => devices,
                Err(error) => return output::usage(&format!("--boot-device {error}")),
            };
            match QmpMachine::connect(path, devices).await {
                Ok(machine) => serve(&args, server, machine).await,
                Err(error) => output::fail(&error.to_string()),
            }
        }
        (None, Some(program)) => serve(&args, server, HookMachine::new(program.clone())).await,
        (None, None) => output::usage("give --qmp or --command"),
    }
}

async fn serve<M: Machine>(args: &Args, server: BmcServer, machine: M) -> ExitCode {
    let json = args.log_format == "json";
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return output::fail("taking signals");
    };
    let shutdown = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    if let Ok(addr) = server.local_addr() {
        output::note(&format!("READY: virtual BMC on UDP {addr}"));
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let level = args.log_level.clone();
    let sink = Arc::new(move |event: ServerEvent| log(json, &level, &event));
    match server.run(machine, sink, shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(&format!("serving: {error}")),
    }
}
