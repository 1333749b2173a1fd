//! `ipmi bmcd`: a virtual BMC whose power and boot device act on QEMU or on a command.
//!
//! Binds, gives up root, then starts its runtime. SIGHUP reads passwords and keys again, SIGTERM drains.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daemon::log::LogFormat;
use daemon::signals::{Signal, Signals};

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, BootDevices, HookMachine, Machine, MachineError, QmpMachine, ServerEvent};
use ipmi::responder::{Config, Event, MachineCall};
use ipmi::session::UserName;
use ipmi::wire::session::AuthType;
use ipmi::{CipherSuite, Ignored};
use tokio::sync::Mutex;
use tracing::level_filters::LevelFilter;

use crate::counters::Counters;
use crate::netboot::duration;
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
    /// The account to become where root starts it; default the owner of the QMP socket or of the program. No capability
    /// is kept; `root` keeps the account.
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// How long SIGTERM lets the machine finish what it is doing.
    #[arg(long, default_value = "10s", value_parser = duration)]
    drain: Duration,
    /// Serve Prometheus metrics here.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// How events are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Which events are written.
    #[arg(long, default_value = "info")]
    log_level: LevelFilter,
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

/// One machine for one server after the other: SIGHUP makes a new server.
#[derive(Debug)]
struct Shared<M>(Arc<Mutex<M>>);

impl<M: Machine> Machine for Shared<M> {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        self.0.lock().await.power(control).await
    }
    async fn boot_device(&mut self, flags: BootFlags) -> Result<(), MachineError> {
        self.0.lock().await.boot_device(flags).await
    }
    async fn status(&mut self) -> Result<bool, MachineError> {
        self.0.lock().await.status().await
    }
}

fn log(event: &ServerEvent) {
    match event {
        ServerEvent::Responder(Event::LoggedIn { from, user, suite }) => {
            tracing::info!(%from, user = %String::from_utf8_lossy(user), suite, "logged in");
        }
        ServerEvent::Responder(Event::Refused { from, status }) => {
            tracing::info!(%from, %status, "refused");
        }
        ServerEvent::Responder(Event::Answered { to, net_fn, command, completion }) => {
            tracing::debug!(%to, "command {net_fn:02x}h/{command:02x}h: {completion}");
        }
        ServerEvent::Ignored(from, Ignored::Malformed(error)) => {
            tracing::debug!(%from, "ignored: {error}");
        }
        ServerEvent::Ignored(from, why) => tracing::debug!(%from, "ignored: {why}"),
        ServerEvent::Machine { call: MachineCall::Status, outcome: Ok(()) } => {
            tracing::debug!("machine: Status");
        }
        ServerEvent::Machine { call, outcome: Ok(()) } => tracing::info!("machine: {call:?}"),
        ServerEvent::Machine { call, outcome: Err(why) } => tracing::error!("machine: {call:?}: {why}"),
        _ => {}
    }
}

/// The account that may do what this BMC has to: the owner of its machine's socket or program.
fn account(args: &Args) -> Result<String, String> {
    if let Some(user) = &args.run_as {
        return Ok(user.clone());
    }
    let place = args.qmp.as_deref().or(args.command.as_deref()).unwrap_or(Path::new("/"));
    let owner = std::fs::metadata(place).map_err(|error| format!("{}: {error}", place.display()))?.uid();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        (uid.parse() == Ok(owner)).then(|| name.to_owned())
    });
    name.ok_or_else(|| format!("{} belongs to user {owner}, who has no name: add --run-as", place.display()))
}

/// Binds, gives up root, serves.
pub(crate) fn run(args: Args) -> ExitCode {
    daemon::log::start(args.log_format, args.log_level);
    let opened = config(&args)
        .and_then(|_| boot_devices(&args.boot_device).map_err(|error| format!("--boot-device {error}")))
        .and_then(|_| account(&args));
    let account = match opened {
        Ok(account) => account,
        Err(error) => return output::configuration(&error),
    };
    let sockets = bind(&args).and_then(|socket| Ok((socket, daemon::metrics::listen(args.metrics)?)));
    let (socket, metrics) = match sockets {
        Ok(sockets) => sockets,
        Err(error) => return daemon::give_up(&error, daemon::FAILED),
    };
    if let Err(error) = daemon::privileges::drop_to(&account, &[]) {
        return daemon::give_up(&error, daemon::FAILED);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return daemon::give_up(&error, daemon::FAILED),
    };
    runtime.block_on(serve(args, socket, metrics))
}

#[expect(clippy::disallowed_methods, reason = "the tool opens its sockets")]
fn bind(args: &Args) -> std::io::Result<UdpSocket> {
    let given = daemon::sockets::Given::from_environment().udp()?;
    given.map_or_else(
        || {
            UdpSocket::bind(args.listen).map_err(|error| {
                std::io::Error::new(error.kind(), format!("listening on UDP {}: {error}", args.listen))
            })
        },
        Ok,
    )
}

async fn serve(args: Args, socket: UdpSocket, metrics: Option<std::net::TcpListener>) -> ExitCode {
    let counters = Arc::new(Counters::default());
    let page = Arc::clone(&counters);
    let metrics = metrics.and_then(|listener| tokio::net::TcpListener::from_std(listener).ok());
    let metrics = metrics.map(|listener| tokio::spawn(daemon::metrics::serve(listener, move || page.page())));
    let outcome = match (&args.qmp, &args.command) {
        (Some(path), _) => {
            let devices = boot_devices(&args.boot_device).unwrap_or_default(); // checked by `run`
            match QmpMachine::connect(path, devices).await {
                Ok(machine) => answer(&args, &socket, machine, &counters).await,
                Err(error) => Err(error.to_string()),
            }
        }
        (None, Some(program)) => answer(&args, &socket, HookMachine::new(program.clone()), &counters).await,
        (None, None) => Err("give --qmp or --command".to_owned()),
    };
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(daemon::FAILED)
        }
    }
}

/// Answers until SIGTERM; after SIGHUP with passwords and keys read again, if they can be read.
async fn answer<M: Machine>(
    args: &Args,
    socket: &UdpSocket,
    machine: M,
    counters: &Arc<Counters>,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let machine = Arc::new(Mutex::new(machine));
    let mut signals = Signals::listen().map_err(text)?;
    let mut config = config(args)?;
    tracing::info!("READY: virtual BMC on UDP {}", socket.local_addr().map_err(text)?);
    daemon::signals::ready();
    loop {
        let clone = socket.try_clone().map_err(text)?;
        let mut server = BmcServer::from_socket(clone, config.clone()).map_err(text)?.with_drain(args.drain);
        if let Some(path) = &args.serial {
            let stream = tokio::net::UnixStream::connect(path).await;
            server = server.with_serial(
                stream
                    .map_err(|error| format!("connecting to the serial port {}: {error}", path.display()))?,
            );
        }
        let counted = Arc::clone(counters);
        let sink = Arc::new(move |event: ServerEvent| {
            counted.count(&event);
            log(&event);
        });
        let mut asked = Signal::Stop;
        let shutdown = async { asked = signals.next().await };
        server.run(Shared(Arc::clone(&machine)), sink, shutdown).await.map_err(text)?;
        if asked == Signal::Stop {
            return Ok(());
        }
        match self::config(args) {
            Ok(new) => {
                config = new;
                tracing::info!("read passwords and keys again; sessions begin anew");
            }
            Err(error) => tracing::error!("keeping the old passwords and keys: {error}"),
        }
    }
}
