//! Simulated machines against a real `kpc serve`: how many register, how soon, and what had to be repeated.
//!
//! ```console
//! # cargo run -p kpc-lab --features simulated --example simulate -- kpc=target/lab/kpc n=100 [in-flight=1000]
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::sandbox::{self, Inside};
use lab::{LabDir, Process, SimulatedConfig, SimulatedLab};

const URL: &str = "http://10.77.0.1:8080";
const PASSWORD: &str = "lab-secret";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |key: &str| args.iter().find_map(|arg| arg.strip_prefix(key)).map(str::to_owned);
    let dir = PathBuf::from(value("dir=").unwrap_or("target/lab-simulated".into()));
    let Some(inside) = Inside::detect() else {
        let dir = LabDir::claim(&dir)?;
        let mut words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("dir=")).map(Into::into).collect();
        words.push(format!("dir={}", dir.path().display()).into());
        let status = sandbox::spawn(words, None)?.wait()?;
        std::process::exit(status.code().unwrap_or(1));
    };
    inside.on_parent_end(|| std::process::exit(130))?;
    let number = |key: &str, default: u16| value(key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let start = Instant::now();
    let lab = SimulatedLab::up(&SimulatedConfig::new(&dir, number("n=", 100), "admin", PASSWORD))?;
    println!("{:6.2} {} machines stand, powered off", start.elapsed().as_secs_f64(), lab.machines().len());
    let (config, socket) = write_files(&lab, &dir)?;
    let level = value("log-level=").unwrap_or("warn".into());
    let mut serve = lab.network().deploy.command(value("kpc=").unwrap_or("target/lab/kpc".into()));
    serve.arg("serve").arg("--config").arg(config).args(["--log-level", &level]);
    let mut serve = Process::spawn("kpc serve", serve, &dir.join("logs/kpc-serve.log"))?;
    while UnixStream::connect(&socket).is_err() {
        serve.check()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    for machine in lab.machines() {
        let (name, mac, uuid, bmc) = (&machine.name, machine.mac, machine.uuid, machine.bmc);
        let add = format!(r#"{{"name":"{name}","macs":["{mac}"],"uuid":"{uuid}","bmc":"{bmc}"}}"#);
        post(&socket, "/v1/machines", &add)?;
    }
    println!("{:6.2} {} machines added", start.elapsed().as_secs_f64(), lab.machines().len());
    let names: Vec<String> = lab.machines().iter().map(|machine| format!("{:?}", machine.name)).collect();
    let in_flight = number("in-flight=", 1000);
    let provision = format!(
        r#"{{"selection":[{}],"profile":"live","roles":["lab"],"firmware":"bios","max_in_flight":{in_flight},"max_failures":{}}}"#,
        names.join(","),
        names.len()
    );
    let start = Instant::now();
    post(&socket, "/v1/provision", &provision)?;
    let progress = lab.progress();
    let mut told = Duration::ZERO;
    while progress.registered() < lab.machines().len() && start.elapsed() < Duration::from_secs(120) {
        serve.check()?;
        std::thread::sleep(Duration::from_millis(10));
        if start.elapsed() > told + Duration::from_secs(1) {
            told = start.elapsed();
            let (started, registered) = (progress.started(), progress.registered());
            println!(
                "{:6.2} {started} started, {registered} registered, {} retries",
                told.as_secs_f64(),
                progress.retries()
            );
        }
    }
    println!(
        "{:6.2} {} started, {} registered, {} requests repeated",
        start.elapsed().as_secs_f64(),
        progress.started(),
        progress.registered(),
        progress.retries()
    );
    for failure in progress.failures().iter().take(10) {
        println!("       {failure}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.id()))?;
    println!("       kpc serve: {}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("?"));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", serve.id()))?;
    let ticks: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    println!("       kpc serve: CPU user {:.1} s, system {:.1} s", ticks[10] / 100.0, ticks[11] / 100.0);
    if progress.registered() == lab.machines().len() { Ok(()) } else { Err("not all registered".into()) }
}

fn write_files(lab: &SimulatedLab, dir: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    let bootcfg = dir.join("bootcfg");
    for earlier in ["state", "bootcfg", "kpc.sock"] {
        let path = dir.join(earlier);
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    for folder in ["groups", "profiles", "ignition", "generic", "cloud"] {
        std::fs::create_dir_all(bootcfg.join(folder))?;
    }
    let profile = format!(
        r#"{{"id":"live","name":"Simulated","ignition_id":"live.yaml","boot":{{"kernel":"{URL}/assets/vmlinuz",
"initrd":["{URL}/assets/initrd.img"],"args":["initrd=initrd.img"]}}}}"#
    );
    std::fs::write(bootcfg.join("profiles/live.json"), profile)?;
    let ignition = "---\nstorage:\n  files:\n    - path: /etc/hostname\n      filesystem: root\n      mode: 0644\n      \
                    contents:\n        inline: {{.name}}\n";
    std::fs::write(bootcfg.join("ignition/live.yaml"), ignition)?;
    let (secret, socket, config) = (dir.join("bmc-password"), dir.join("kpc.sock"), dir.join("kpc.toml"));
    std::fs::write(&secret, PASSWORD)?;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    let text = format!(
        "data_dir = {:?}\nsocket = {socket:?}\nuser = \"root\"\n\n[network.mgmt]\ninterface = \"eth0\"\n\
         address = \"10.77.0.1\"\n\n[tftp]\nroot = {:?}\n\n[bootcfg]\ndata = {bootcfg:?}\nassets = {:?}\n\
         live_profiles = [\"live\"]\n\n[bmc]\nuser = \"admin\"\npassword_file = {secret:?}\n",
        dir.join("state"),
        lab.tftp_root(),
        lab.assets(),
    );
    std::fs::write(&config, text)?;
    Ok((config, socket))
}

/// One request to the operators' socket.
fn post(socket: &Path, target: &str, json: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut stream = UnixStream::connect(socket)?;
    let length = json.len();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: kpc\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{json}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 2") { Ok(()) } else { Err(format!("{target}: {answer}").into()) }
}
