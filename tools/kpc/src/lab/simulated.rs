//! `kpc lab up --no-vm`: simulated machines, which speak the real protocols on the real sockets, against our own server.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleet::attempt::Phase;
use fleet::{Lifecycle, MachineStatus};
use lab::sandbox;
use lab::{Process, SimulatedConfig, SimulatedLab};
use serde_json::Value;

use super::{BMC_USER, SERVER_STARTS};
use crate::api;
use crate::args::LabUp;
use crate::client::Client;
use crate::verbs::{Verdict, time};

/// Machines of one import.
const AT_ONCE: usize = 500;
/// How often the state is looked at.
const LOOKED: Duration = Duration::from_millis(100);
/// How often it is told.
const TOLD: Duration = Duration::from_secs(1);

/// What a machine passes through from power-on to registration; a simulated one runs from memory.
const WHOLE: [Phase; 8] = [
    Phase::PowerCommanded,
    Phase::PowerVerified,
    Phase::Offered,
    Phase::Loader,
    Phase::Script,
    Phase::Kernel,
    Phase::Agent,
    Phase::Registered,
];

/// Inside the namespaces: builds the lab, starts the server, provisions, and stays or ends.
pub(super) fn supervise(arguments: &LabUp, page: Option<std::net::TcpListener>, socket: &Path) -> Verdict {
    // IPMI passwords have at most 20 octets (IPMI v2.0 §22.30).
    let mut password = crate::serve::random_hex()?;
    password.truncate(20);
    let mut config = SimulatedConfig::new(&arguments.dir, arguments.machines, BMC_USER, &password);
    (config.loader, config.payload) = (arguments.loader_size, arguments.payload_size);
    let lab = SimulatedLab::up(&config).map_err(|error| error.to_string())?;
    println!("lab        {} simulated machines, powered off", lab.machines().len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(run(arguments, &lab, page, socket, &password));
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lab);
    let _ = std::fs::remove_file(socket);
    outcome
}

async fn run(
    arguments: &LabUp,
    lab: &SimulatedLab,
    page: Option<std::net::TcpListener>,
    socket: &Path,
    password: &str,
) -> Verdict {
    let config = write_files(lab, &arguments.dir, password).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = lab.network().deploy.command(program);
    command.arg("serve").arg("--config").arg(config).args(["--log-level", "warn"]);
    if let Some(page) = page {
        sandbox::hand_over(&mut command, [OwnedFd::from(page)]).map_err(|error| error.to_string())?;
    }
    let mut server = Process::spawn("kpc serve", command, &arguments.dir.join("logs/kpc-serve.log"))
        .map_err(|error| error.to_string())?;
    let client = Client::new(socket);
    let mut waited = Duration::ZERO;
    while let Err(error) = client.get::<Value>("/v1/version").await {
        server.check().map_err(|error| error.to_string())?;
        if waited >= SERVER_STARTS {
            return Err(error);
        }
        tokio::time::sleep(LOOKED).await;
        waited += LOOKED;
    }
    let names = add(&client, lab).await?;
    if arguments.no_provision {
        println!("Ctrl-C ends the lab; KPC_SOCKET={} lets other verbs speak to it", socket.display());
        return stay(&mut server).await;
    }
    let count = names.len();
    let request = api::Provision {
        despite_responders: false,
        disk: None,
        wipe: None,
        selection: names,
        profile: "live".to_owned(),
        roles: vec!["lab".to_owned()],
        firmware: "bios".to_owned(),
        max_in_flight: count,
        stagger_ms: None,
        max_failures: count,
        again: false,
    };
    let code = follow(arguments, &client, lab, &mut server, &request).await?;
    if !arguments.once {
        println!("Ctrl-C ends the lab; KPC_SOCKET={} lets other verbs speak to it", socket.display());
        return stay(&mut server).await;
    }
    match &arguments.exec {
        Some(command) if code == 0 => {
            let status = lab
                .network()
                .deploy
                .command("sh")
                .args(["-c", command])
                .env("KPC_SOCKET", socket)
                .env("KPC_LAB_DIR", &arguments.dir)
                .env("KPC_SERVE_PID", server.id().to_string())
                .status()
                .map_err(|error| format!("sh: {error}"))?;
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        _ => Ok(code),
    }
}

/// Orders all, and tells every second how far they are.
#[expect(clippy::disallowed_methods, reason = "a tool owns its clock")]
async fn follow(
    arguments: &LabUp,
    client: &Client,
    lab: &SimulatedLab,
    server: &mut Process,
    request: &api::Provision,
) -> Verdict {
    let (all, began) = (lab.machines().len(), Instant::now());
    let _: Value = client.post("/v1/provision", request).await?;
    let mut told = TOLD;
    while lab.progress().registered() < all && began.elapsed() < arguments.timeout {
        server.check().map_err(|error| error.to_string())?;
        tokio::time::sleep(LOOKED).await;
        if began.elapsed() >= told {
            println!(
                "{}  {} started, {} registered",
                time(millis(began.elapsed())),
                lab.progress().started(),
                lab.progress().registered()
            );
            told += TOLD;
        }
    }
    let took = began.elapsed();
    let shown: crate::verbs::Shown = client.get("/v1/machines").await?;
    let registered =
        shown.machines.iter().filter(|machine| machine.lifecycle == Lifecycle::Registered).count();
    let whole = shown.machines.iter().filter(|machine| is_whole(machine)).count();
    println!(
        "{}  {all} machines, {registered} registered, {whole} timelines whole, {} requests repeated",
        time(millis(took)),
        lab.progress().retries()
    );
    for failure in lab.progress().failures().iter().take(10) {
        println!("           {failure}");
    }
    if let Some(odd) = shown.machines.iter().find(|machine| !is_whole(machine)) {
        let reached: Vec<&str> = odd.phases.iter().map(|reached| reached.phase.words()).collect();
        println!("           {}: {}", odd.name, reached.join(", "));
    }
    lab.write_sent().map_err(|error| error.to_string())?;
    Ok(u8::from(registered < all || whole < all))
}

/// Whether a machine's timeline has every phase, in order.
fn is_whole(machine: &MachineStatus) -> bool {
    let reached: Vec<Phase> = machine.phases.iter().map(|reached| reached.phase).collect();
    WHOLE.iter().all(|phase| reached.contains(phase))
        && reached.windows(2).all(|pair| pair.first() < pair.last())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Until Ctrl-C, which ends this process from outside, or the server's end.
async fn stay(server: &mut Process) -> Verdict {
    loop {
        server.check().map_err(|error| error.to_string())?;
        tokio::time::sleep(LOOKED).await;
    }
}

async fn add(client: &Client, lab: &SimulatedLab) -> Result<Vec<String>, String> {
    for some in lab.machines().chunks(AT_ONCE) {
        let list: Vec<api::AddMachine> = some
            .iter()
            .map(|machine| api::AddMachine {
                name: machine.name.clone(),
                macs: vec![machine.mac.to_string()],
                uuid: Some(machine.uuid.to_string()),
                bmc: Some(machine.bmc.to_string()),
                serial: None,
                rack: None,
                roles: Vec::new(),
            })
            .collect();
        let outcomes: Vec<api::Outcome> = client.post("/v1/import", &list).await?;
        if let Some(failed) = outcomes.iter().find(|outcome| !outcome.ok) {
            return Err(format!("{}: {}", failed.name, failed.detail));
        }
    }
    Ok(lab.machines().iter().map(|machine| machine.name.clone()).collect())
}

/// The server's configuration, the profile that the machines run, and the BMCs' password.
fn write_files(lab: &SimulatedLab, directory: &Path, password: &str) -> std::io::Result<PathBuf> {
    super::forget(directory)?;
    let bootcfg = directory.join("bootcfg");
    for folder in ["groups", "profiles", "ignition", "generic", "cloud"] {
        std::fs::create_dir_all(bootcfg.join(folder))?;
    }
    let url = format!("http://{}:8080", lab::network::DEPLOY);
    let profile = serde_json::json!({
        "id": "live", "name": "Simulated", "ignition_id": "live.yaml",
        "boot": {
            "kernel": format!("{url}/assets/vmlinuz"), "initrd": [format!("{url}/assets/initrd.img")],
            "args": ["initrd=initrd.img"],
        },
    });
    std::fs::write(bootcfg.join("profiles/live.json"), format!("{profile:#}\n"))?;
    std::fs::write(bootcfg.join("ignition/live.yaml"), include_str!("../lab-live.yaml"))?;
    super::write_config(directory, &bootcfg, &lab.tftp_root(), &lab.assets(), password)
}
