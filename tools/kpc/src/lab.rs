//! `kpc lab up|down`: wiring only. crates/lab makes the namespaces and machines; this starts our own server among them,
//! gives it the machines, and provisions them through the operators' API as a person would.

mod simulated;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::sandbox::{self, Inside};
use lab::{DiskSpec, Firmware, Lab, LabConfig, LabDir, MachineSpec, Parts, Process, disk_image};
use serde_json::Value;

use crate::api;
use crate::args::{LabDown, LabUp};
use crate::client::Client;
use crate::verbs::{self, Ending, Verdict};

/// The user name on the virtual BMCs.
const BMC_USER: &str = "admin";
/// The profile of machines that run from memory.
const LIVE: &str = "live";
/// The profile of machines that are written to their disk.
const INSTALL: &str = "disk";
/// How long `kpc serve` may take to answer on its socket.
const SERVER_STARTS: Duration = Duration::from_secs(20);
/// How long a lab may take to end.
const ENDS: Duration = Duration::from_secs(10);

/// `kpc lab up`, outside: takes the folder, opens the page's listener on the host, and waits for what is inside.
pub(crate) fn up(arguments: &LabUp) -> Verdict {
    let directory = LabDir::claim(&arguments.dir).map_err(|error| error.to_string())?;
    let page = listener(arguments.port)?;
    let address = page.local_addr().map_err(|error| error.to_string())?;
    println!(
        "page       http://{address}/  (token in {})",
        directory.path().join("state/page-token").display()
    );
    let mut outside = sandbox::spawn(inner_words(arguments, directory.path()), Some(page))
        .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let interrupted = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok::<_, String>(true),
                _ = terminate.recv() => return Ok(true),
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    if outside.try_wait().map_err(|error| error.to_string())?.is_some() {
                        return Ok(false);
                    }
                }
            }
        }
    })?;
    if interrupted {
        outside.end();
    }
    let status = outside.wait().map_err(|error| error.to_string())?;
    if interrupted {
        println!("lab ended");
        return Ok(u8::from(arguments.once));
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// `kpc lab down`.
pub(crate) fn down(arguments: &LabDown) -> Verdict {
    match LabDir::end(&arguments.dir, ENDS) {
        Ok(true) => {
            println!("lab ended");
            Ok(0)
        }
        Ok(false) => Err(format!("no lab stands in {}", arguments.dir.display())),
        Err(error) => Err(error.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool opens its sockets")]
fn listener(port: u16) -> Result<std::net::TcpListener, String> {
    std::net::TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
        format!("127.0.0.1:{port}: {error}; choose another port for the page with --port, or 0 for any")
    })
}

/// The command line of the inner process: the same lab, with its folder made absolute.
fn inner_words(arguments: &LabUp, directory: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["lab-supervisor".into()];
    for kind in &arguments.kinds {
        words.extend(["--machine".into(), kind.text.clone().into()]);
    }
    if arguments.kinds.is_empty() {
        words.extend(["-n".into(), arguments.machines.to_string().into()]);
    }
    for (set, flag) in [
        (arguments.uefi, "--uefi"),
        (arguments.rom, "--rom"),
        (arguments.no_vm, "--no-vm"),
        (arguments.install, "--install"),
        (arguments.no_provision, "--no-provision"),
        (arguments.no_serve, "--no-serve"),
        (arguments.once, "--once"),
    ] {
        if set {
            words.push(flag.into());
        }
    }
    words.extend(["--timeout".into(), format!("{}ms", arguments.timeout.as_millis()).into()]);
    for (flag, size) in [("--loader-size", arguments.loader_size), ("--payload-size", arguments.payload_size)]
    {
        words.extend([flag.into(), size.to_string().into()]);
    }
    words.extend(["--dir".into(), directory.into()]);
    if let Some(command) = &arguments.exec {
        words.extend(["--exec".into(), command.into()]);
    }
    words
}

/// Inside the namespaces: builds the lab, starts the server, provisions, and stays or ends.
pub(crate) fn supervise(arguments: &LabUp) -> Verdict {
    let inside = Inside::detect().ok_or("started by `kpc lab up` only")?;
    let socket = arguments.dir.join("kpc.sock");
    let gone = socket.clone();
    inside
        .on_parent_end(move || {
            let _ = std::fs::remove_file(&gone);
            std::process::exit(130);
        })
        .map_err(|error| error.to_string())?;
    let page = listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(|error| error.to_string())?;
    if arguments.no_vm {
        return simulated::supervise(arguments, page, &socket);
    }
    let config = LabConfig {
        dir: arguments.dir.clone(),
        parts: Parts::find(Path::new("target/lab-parts")).map_err(|error| error.to_string())?,
        machines: machines(arguments),
        capture: true,
    };
    let mut lab = Lab::up(&config).map_err(|error| error.to_string())?;
    println!(
        "lab        {} machines, powered off; lease server {}, deploy host {}, {:?}",
        lab.machines().len(),
        lab::network::LEASES,
        lab::network::DEPLOY,
        lab.accelerator()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(run(arguments, &mut lab, page, &socket));
    runtime.shutdown_timeout(Duration::from_secs(1));
    lab.end_capture();
    drop(lab);
    let _ = std::fs::remove_file(&socket);
    outcome
}

/// The machines that were asked for.
fn machines(arguments: &LabUp) -> Vec<MachineSpec> {
    let serial = |spec: &MachineSpec| format!("{}-disk", spec.name);
    let firmware = match (arguments.uefi, arguments.rom) {
        (true, _) => Firmware::Uefi,
        (_, true) => Firmware::BiosRom,
        _ => Firmware::BiosMedium,
    };
    let count = match arguments.kinds.len() {
        0 => usize::from(arguments.machines),
        kinds => kinds,
    };
    let mut specs = MachineSpec::numbered(u8::try_from(count).unwrap_or(u8::MAX), firmware);
    for (spec, kind) in specs.iter_mut().zip(&arguments.kinds) {
        spec.firmware = kind.firmware;
        spec.disk = kind.disk.clone().map(|disk| DiskSpec { serial: serial(spec), ..disk });
    }
    for spec in specs.iter_mut().filter(|_| arguments.install) {
        spec.disk = Some(spec.disk.take().unwrap_or_else(|| DiskSpec::empty(serial(spec))));
    }
    specs
}

async fn run(
    arguments: &LabUp,
    lab: &mut Lab,
    page: Option<std::net::TcpListener>,
    socket: &Path,
) -> Verdict {
    // IPMI passwords have at most 20 octets (IPMI v2.0 §22.30).
    let mut password = crate::serve::random_hex()?;
    password.truncate(20);
    let _bmcs = lab::bmc::Bmcs::start(lab, BMC_USER, &password).map_err(|error| error.to_string())?;
    if let (true, Some(command)) = (arguments.no_serve, &arguments.exec) {
        write_secret(&arguments.dir, &password).map_err(|error| error.to_string())?;
        return execute(lab, command, None);
    }
    let config = write_files(lab, &arguments.dir, &password).map_err(|error| error.to_string())?;
    let server = start_server(lab, page, &config, &arguments.dir)?;
    let client = Client::new(socket);
    wait_for_server(&client, lab).await?;
    add_machines(&client, lab).await?;
    if !arguments.no_provision {
        let words: Vec<String> = lab.machines().iter().map(|machine| machine.spec.name.clone()).collect();
        let request = api::Provision {
            despite_responders: false,
            disk: None,
            wipe: None,
            selection: words,
            profile: if arguments.install { INSTALL } else { LIVE }.to_owned(),
            roles: vec!["lab".to_owned()],
            firmware: if lab.machines().iter().all(|machine| machine.spec.firmware == Firmware::Uefi) {
                "uefi"
            } else {
                "bios"
            }
            .to_owned(),
            max_in_flight: 16,
            stagger_ms: None,
            max_failures: usize::from(arguments.machines),
            again: false,
        };
        let _: Value = client.post("/v1/provision", &request).await?;
    }
    if !arguments.once {
        println!("Ctrl-C ends the lab; KPC_SOCKET={} lets other verbs speak to it", socket.display());
        return tokio::select! {
            watched = verbs::watch(&client, Ending::Never, &[]) => watched,
            gone = supervise_processes(lab) => Err(gone),
        };
    }
    if let (Some(command), true) = (&arguments.exec, arguments.no_provision) {
        return execute(lab, command, Some((socket, server)));
    }
    let code = tokio::select! {
        watched = verbs::watch(&client, Ending::WhenDone, &[]) => watched?,
        gone = supervise_processes(lab) => return Err(gone),
        () = tokio::time::sleep(arguments.timeout) => {
            tell_consoles(lab);
            return Err(format!("not all machines were registered within {:?}", arguments.timeout));
        }
    };
    if code != 0 {
        tell_consoles(lab);
        return Ok(code);
    }
    consoles_catch_up(lab).await;
    match &arguments.exec {
        Some(command) => execute(lab, command, Some((socket, server))),
        None => Ok(code),
    }
}

/// Waits up to ten seconds until the machines' consoles say, too, what the server knows: the serial line is slower than
/// the network, and what ends the lab ends the machines.
async fn consoles_catch_up(lab: &Lab) {
    let said = |lab: &Lab| {
        let mut indices = lab.machines().iter().map(|machine| usize::from(machine.index));
        indices.all(|index| lab.console(index).registered_as().is_some())
    };
    for _ in 0..100 {
        if said(lab) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs a shell command on the deploy host; `server` is the socket and the process of the one that runs there.
fn execute(lab: &Lab, command: &str, server: Option<(&Path, u32)>) -> Verdict {
    let mut shell = lab.network().deploy.command("sh");
    shell.args(["-c", command]).env("KPC_LAB_DIR", lab.dir()).env_remove("KPC_SOCKET");
    if let Some((socket, process)) = server {
        shell.env("KPC_SOCKET", socket).env("KPC_SERVE_PID", process.to_string());
    }
    let status = shell.status().map_err(|error| format!("sh: {error}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The last lines of each console: where a boot stopped.
fn tell_consoles(lab: &Lab) {
    for machine in lab.machines() {
        println!("--- console of {}", machine.spec.name);
        for line in lab.console(machine.index.into()).tail(15) {
            println!("    {line}");
        }
    }
}

/// Ends with a line once a program of the lab has died by itself.
async fn supervise_processes(lab: &mut Lab) -> String {
    loop {
        if let Err(error) = lab.check() {
            return error.to_string();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The server's configuration, the profile that the machines run, and the BMCs' password.
fn write_files(lab: &Lab, directory: &Path, password: &str) -> std::io::Result<PathBuf> {
    forget(directory)?;
    let bootcfg = directory.join("bootcfg");
    for folder in ["groups", "profiles", "ignition", "generic", "cloud"] {
        std::fs::create_dir_all(bootcfg.join(folder))?;
    }
    let url = format!("http://{}:8080", lab::network::DEPLOY);
    let boot = serde_json::json!({
        "kernel": format!("{url}/assets/vmlinuz"),
        "initrd": [format!("{url}/assets/initrd.img")],
        // On a busy host the emulated timer may miss the kernel's check of it, which then panics.
        "args": ["console=ttyS0", "loglevel=6", "no_timer_check", "initrd=initrd.img"],
    });
    let live = serde_json::json!({
        "id": LIVE, "name": "Runs from memory", "ignition_id": "live.yaml", "boot": boot,
    });
    let install = serde_json::json!({
        "id": INSTALL, "name": "Is written to the disk", "cloud_id": "disk.yaml", "boot": boot,
    });
    for (name, profile) in [(LIVE, live), (INSTALL, install)] {
        std::fs::write(bootcfg.join(format!("profiles/{name}.json")), format!("{profile:#}\n"))?;
    }
    std::fs::write(bootcfg.join("ignition/live.yaml"), include_str!("lab-live.yaml"))?;
    std::fs::write(bootcfg.join("cloud/disk.yaml"), include_str!("lab-disk.yaml"))?;
    write_config(directory, &bootcfg, &lab.tftp_root(), &lab.assets(), password)
}

/// Every lab starts from nothing: the machines of an earlier one are gone.
fn forget(directory: &Path) -> std::io::Result<()> {
    for earlier in ["state", "bootcfg"] {
        match std::fs::remove_dir_all(directory.join(earlier)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The BMCs' password, for this account alone.
fn write_secret(directory: &Path, password: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let secret = directory.join("bmc-password");
    let _ = std::fs::remove_file(&secret);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret)?;
    std::io::Write::write_all(&mut file, password.as_bytes())?;
    Ok(secret)
}

/// The server's configuration and the BMCs' password.
fn write_config(
    directory: &Path,
    bootcfg: &Path,
    loaders: &Path,
    assets: &Path,
    password: &str,
) -> std::io::Result<PathBuf> {
    let secret = write_secret(directory, password)?;
    let config = directory.join("kpc.toml");
    let user = if has_every_account() && is_open_to_others(directory) { "nobody" } else { "root" };
    let installs = match std::fs::read(assets.join(disk_image::ASSET)) {
        Ok(image) => format!(
            "[install.{INSTALL}]\nimage = {:?}\nsha256 = \"{}\"\nboot_order = \"keep\"\n\n",
            disk_image::ASSET,
            sha256(&image)
        ),
        Err(_) => String::new(), // no machine has a disk
    };
    let text = format!(
        "data_dir = {:?}\nsocket = {:?}\nuser = \"{user}\"\n\n\
         [network.mgmt]\ninterface = \"{}\"\naddress = \"{}\"\n\n\
         [tftp]\nroot = {:?}\n\n[bootcfg]\ndata = {:?}\nassets = {:?}\nlive_profiles = [\"{LIVE}\"]\n\n{installs}\
         [dhcp]\nanswer_router_solicitations = true\n\n[bmc]\nuser = \"{BMC_USER}\"\npassword_file = {:?}\n",
        directory.join("state"),
        directory.join("kpc.sock"),
        lab::network::INTERFACE,
        lab::network::DEPLOY,
        loaders,
        bootcfg,
        assets,
        secret,
    );
    std::fs::write(&config, text)?;
    Ok(config)
}

fn sha256(octets: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whether other accounts exist here: in the user namespace of a lab without root there is only one.
fn has_every_account() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether an account without rights of its own reaches this folder: a checkout below /root is not open.
fn is_open_to_others(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    directory
        .ancestors()
        .all(|folder| std::fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

fn start_server(
    lab: &mut Lab,
    page: Option<std::net::TcpListener>,
    config: &Path,
    directory: &Path,
) -> Result<u32, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = lab.network().deploy.command(program);
    command.arg("serve").arg("--config").arg(config).args(["--log-level", "info"]);
    if let Some(page) = page {
        sandbox::hand_over(&mut command, [OwnedFd::from(page)]).map_err(|error| error.to_string())?;
    }
    let process = Process::spawn("kpc serve", command, &directory.join("logs/kpc-serve.log"));
    let process = process.map_err(|error| error.to_string())?;
    let id = process.id();
    lab.keep(process);
    Ok(id)
}

async fn wait_for_server(client: &Client, lab: &mut Lab) -> Result<(), String> {
    let mut waited = Duration::ZERO;
    loop {
        match client.get::<Value>("/v1/version").await {
            Ok(_) => return Ok(()),
            Err(error) if waited >= SERVER_STARTS => return Err(error),
            Err(_) => {}
        }
        lab.check().map_err(|error| error.to_string())?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += Duration::from_millis(50);
    }
}

async fn add_machines(client: &Client, lab: &Lab) -> Result<(), String> {
    for machine in lab.machines() {
        let add = api::AddMachine {
            name: machine.spec.name.clone(),
            macs: vec![machine.mac.to_string()],
            uuid: Some(machine.uuid.to_string()),
            bmc: Some(machine.bmc.to_string()),
            serial: None,
            rack: None,
            roles: Vec::new(),
        };
        let _: Value = client.post("/v1/machines", &add).await?;
    }
    Ok(())
}
