//! Boots machines of the lab, powered on by ipmitool through the virtual BMCs, against dnsmasq as proxy and TFTP server and busybox as HTTP server: shows that the lab
//! works without `kpc`.
//!
//! ```console
//! # cargo run -p kpc-lab --features bmc --example boot -- bios=1 rom=1 uefi=1 [dir=target/lab-boot] [seconds=180]
//! ```
//!
//! With `proxy=PATH` the offers come from that `proxy-dhcpd` instead, and dnsmasq serves the loaders alone.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::sandbox::{self, Inside};
use lab::{Bmcs, Firmware, Lab, LabConfig, LabDir, MachineSpec, Parts, Process};

const IGNITION: &str = r#"{"ignition":{"version":"2.0.0"},"storage":{"files":[
{"filesystem":"root","path":"/etc/hostname","contents":{"source":"data:,booted"},"mode":420}]}}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |key: &str| args.iter().find_map(|arg| arg.strip_prefix(key)).map(str::to_owned);
    let dir = PathBuf::from(value("dir=").unwrap_or("target/lab-boot".into()));
    let Some(inside) = Inside::detect() else {
        let dir = LabDir::claim(&dir)?;
        let mut words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("dir=")).map(Into::into).collect();
        words.push(format!("dir={}", dir.path().display()).into());
        let status = sandbox::spawn(words, None)?.wait()?;
        std::process::exit(status.code().unwrap_or(1));
    };
    inside.on_parent_end(|| std::process::exit(130))?;
    let number = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut machines = Vec::new();
    for (key, firmware) in
        [("bios=", Firmware::BiosMedium), ("rom=", Firmware::BiosRom), ("uefi=", Firmware::Uefi)]
    {
        let named = |number| MachineSpec {
            name: format!("{}{number}", key.trim_end_matches('=')),
            firmware,
            memory: 512,
            disk: None,
        };
        machines.extend((1..=number(key)).map(named));
    }
    let start = Instant::now();
    let parts = Parts::find(Path::new("target/lab-parts"))?;
    let mut lab = Lab::up(&LabConfig { dir, parts, machines, capture: true })?;
    println!("{:6.1} lab up, {:?}, {:?}", start.elapsed().as_secs_f64(), lab.accelerator(), lab.attachment());
    serve(&mut lab, value("proxy="))?;
    let _bmcs = Bmcs::start(&lab, "lab", "lab-secret")?;
    let start = Instant::now();
    for machine in lab.machines() {
        for words in [["chassis", "bootdev", "pxe"].as_slice(), &["chassis", "power", "on"]] {
            let mut ipmitool = lab.network().deploy.command("ipmitool");
            ipmitool.args([
                "-I",
                "lanplus",
                "-C",
                "17",
                "-H",
                &machine.bmc.to_string(),
                "-U",
                "lab",
                "-P",
                "lab-secret",
            ]);
            print!("{}", lab::process::run(ipmitool.args(words))?);
        }
    }
    watch(&mut lab, start, Duration::from_secs(number("seconds=").max(180)))?;
    let times: Vec<String> = std::fs::read_to_string(lab.dir().join("logs/dnsmasq.log"))?
        .lines()
        .filter(|line| line.contains("sent ") && line.contains("tftp"))
        .map(str::to_owned)
        .collect();
    println!("{}", times.join("\n"));
    Ok(())
}

fn serve(lab: &mut Lab, proxy: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
    let assets = lab.assets();
    let url = "http://10.77.0.1:8080";
    let arguments = std::env::var("KPC_LAB_ARGS").unwrap_or("console=ttyS0 loglevel=6 no_timer_check".into());
    let script = format!(
        "#!ipxe\nkernel {url}/vmlinuz {arguments} ignition.config.url={url}/ignition.json kpc.kernel={url}/vmlinuz \
         kpc.ramdisk={url}/initrd.img initrd=initrd.img\ninitrd {url}/initrd.img\nboot\n"
    );
    std::fs::write(assets.join("boot.ipxe"), script)?;
    std::fs::write(assets.join("ignition.json"), IGNITION)?;
    let logs = lab.dir().join("logs");
    let deploy = lab.network().deploy.clone();
    let mut http = deploy.command("busybox");
    http.args(["httpd", "-f", "-p", "10.77.0.1:8080", "-h"]).arg(&assets);
    let mut dnsmasq = deploy.command("dnsmasq");
    dnsmasq.args([
        "--no-daemon",
        "--pid-file=",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        "--log-dhcp",
        "--log-facility=-",
    ]);
    dnsmasq.args(["--interface=eth0", "--enable-tftp"]);
    dnsmasq.arg(format!("--tftp-root={}", lab.tftp_root().display()));
    if let Some(program) = proxy {
        let mut proxy = deploy.command(program);
        proxy.args(["--interface", "eth0", "--answer-router-solicitations", "--user", "root"]);
        proxy.args(["--ipxe-script", &format!("{url}/boot.ipxe")]);
        lab.keep(Process::spawn("the proxy", proxy, &logs.join("proxy.log"))?);
    } else {
        dnsmasq.args(["--dhcp-range=10.77.0.1,proxy", "--dhcp-userclass=set:ipxe,iPXE"]);
        for (arch, loader) in [("x86PC", "undionly.kpxe"), ("x86-64_EFI", "snponly.efi")] {
            dnsmasq.arg(format!("--pxe-service=tag:#ipxe,{arch},loader,{loader}"));
            dnsmasq.arg(format!("--pxe-service=tag:ipxe,{arch},script,{url}/boot.ipxe"));
        }
    }
    lab.keep(Process::spawn("httpd", http, &logs.join("httpd.log"))?);
    lab.keep(Process::spawn("dnsmasq", dnsmasq, &logs.join("dnsmasq.log"))?);
    Ok(())
}

fn watch(lab: &mut Lab, start: Instant, patience: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let mut seen = vec![0; lab.machines().len()];
    let steps: [(&str, &str); 5] = [
        ("iPXE", "Open Source Network Boot Firmware"),
        ("kernel", "Linux version"),
        ("agent", "kpc-agent: sha256 ignition"),
        ("measured", "sha256 initrd"),
        ("done", "not registered"),
    ];
    while seen.iter().any(|step| *step < steps.len()) {
        for (index, step) in seen.iter_mut().enumerate() {
            let console = lab.console(index);
            while *step < steps.len() && console.text().contains(steps[*step].1) {
                let name = &lab.machines()[index].spec.name;
                println!("{:6.1} {name} {}", start.elapsed().as_secs_f64(), steps[*step].0);
                *step += 1;
            }
        }
        lab.check()?;
        if start.elapsed() > patience {
            for machine in lab.machines() {
                println!("{}: {:#?}", machine.spec.name, lab.console(machine.index.into()).tail(12));
            }
            return Err("a machine did not boot".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for machine in lab.machines() {
        println!("{}: {:?}", machine.spec.name, lab.console(machine.index.into()).digests());
    }
    Ok(())
}
