//! ipmitool's grammar: every line of `ipmi_support/grammar.txt` is run with ipmitool and with ours, each against a fresh
//! ipmi_sim of its own; standard output, exit codes, written files and what the simulators were told must be equal.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod ipmi_support;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ipmi::command::reading::GetSensorReading;
use ipmi::driver::{Bmc, BmcConfig, Credentials};
use ipmi_support::{Ours, Sim, peer};

/// One tool and its simulator.
struct Side {
    tool: String,
    libraries: String,
    sim: Sim,
}

impl Side {
    fn folder(&self) -> &Path {
        self.sim.folder.path()
    }

    /// Runs one line; options of the line win over the common ones, as they come later.
    fn run(&self, line: &str) -> (Option<i32>, String) {
        let line = line.replace("@T", self.folder().to_str().unwrap());
        let login = format!("-I lanplus -C 3 -H 127.0.0.1 -p {} -U root -P calvin", self.sim.addr.port());
        let output = Command::new("timeout")
            .args(["40", "sh", "-c", &format!("{} {login} {line}", self.tool)])
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), self.normal(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Without what differs between two simulators: ports, folders, times.
    fn normal(&self, text: &str) -> String {
        let text = text.replace(&self.sim.addr.to_string(), "BMC");
        let text = text.replace(self.folder().to_str().unwrap(), "T");
        text.lines().map(|line| timeless(line) + "\n").collect()
    }

    fn power_is_on(&self) -> bool {
        self.run("raw 0x00 0x01").1.starts_with(" 01")
    }
}

/// A line without clocks, dates and countdowns: `12/31/2024`, `01:02:03`, `|0000012345|`.
fn timeless(line: &str) -> String {
    let is_clock = |word: &str| {
        let numbers = word.split([':', '/']).all(|n| n.len() >= 2 && n.bytes().all(|b| b.is_ascii_digit()));
        numbers && word.matches([':', '/']).count() == 2
    };
    // A simulator counts what ipmitool left half open for a while.
    for title in ["Present Countdown", "  Active Session Count"] {
        if line.starts_with(title) {
            return title.to_owned();
        }
    }
    if let Some((before, after)) = line.split_once("Pre-Init") {
        let after =
            after.trim_start_matches([' ', '|', ',']).trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{before}Pre-Init {after}");
    }
    line.split(' ').map(|word| if is_clock(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ")
}

async fn both() -> Option<[Side; 2]> {
    let ipmitool = peer("ipmitool")?;
    let libraries = ipmitool
        .get_envs()
        .find(|(name, _)| *name == "LD_LIBRARY_PATH")
        .and_then(|(_, value)| Some(value?.to_str()?.to_owned()))
        .unwrap_or_default();
    let tools =
        [ipmitool.get_program().to_str()?.to_owned(), kpc_tests::binary("ipmi").display().to_string()];
    let mut sides = Vec::new();
    for (tool, libraries) in tools.into_iter().zip([libraries, String::new()]) {
        let sim = Sim::start("").await?;
        std::fs::write(sim.folder.path().join("pw"), "calvin\n").unwrap();
        sides.push(Side { tool, libraries, sim });
    }
    sides.try_into().ok()
}

#[tokio::test]
async fn ipmitool_says_the_same() {
    let Some([theirs, ours]) = both().await else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in include_str!("ipmi_support/grammar.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "wait" {
            for side in [&theirs, &ours] {
                for _ in 0..100 {
                    if side.power_is_on() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                assert!(side.power_is_on(), "the simulator did not turn the power on again");
            }
            continue;
        }
        compared += 1;
        let (a, b) = (theirs.run(line), ours.run(line));
        if a != b {
            wrong.push(format!("{line}\n  ipmitool {a:?}\n  ours     {b:?}"));
        }
    }
    println!("{} of {compared} lines equal", compared - wrong.len());
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
    for file in ["sdr.bin", "fru.bin", "sel.txt"] {
        let [a, b] = [&theirs, &ours].map(|side| std::fs::read(side.folder().join(file)).unwrap());
        assert!(!a.is_empty() && a == b, "{file}");
    }
    let [mut a, mut b] = [&theirs, &ours].map(|side| side.sim.changes());
    a.sort();
    b.sort();
    assert_eq!(a, b, "what the machines were told");
}

// What ipmi_sim holds, served by our virtual BMC: ipmitool reads it there as ours does.
#[tokio::test(flavor = "multi_thread")]
async fn repositories_of_our_bmc() {
    let (Some(ipmitool), Some(sim)) = (peer("ipmitool"), Sim::start("").await) else { return };
    let login = Credentials::new("root", b"calvin").unwrap();
    let mut bmc = Bmc::connect(BmcConfig::new(sim.addr, login)).await.unwrap();
    let mut config = ipmi_support::config();
    for octets in bmc.sensor_data_octets().await.unwrap() {
        config.data.records.push(octets[2..].to_vec());
    }
    config.data.log = bmc.event_log().await.unwrap().iter().map(|record| record.octets).collect();
    config.data.fru = bmc.fru_data(0).await.unwrap();
    for number in 1..=8 {
        let r = bmc.execute(&GetSensorReading { number, lun: 0 }).await.unwrap();
        config.data.readings.insert(number, [r.raw, r.flags, r.states, r.more_states]);
    }
    bmc.close().await;
    let ours = Ours::start(config);
    let port = ours.addr.port().to_string();
    let login = ["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", "root", "-P", "calvin"];
    for line in [
        "sdr",
        "sdr elist",
        "sdr elist all",
        "sdr list mcloc",
        "sdr get Ambient",
        "sdr type Fan",
        "sdr info",
        "-c sdr elist",
        "sel",
        "sel list",
        "sel elist",
        "-v sel list",
        "sel get 1",
        "-c sel list",
        "fru",
        "fru print 0",
        "fru print 9",
        "sensor",
        "sensor get Ambient",
        "-c sensor list",
        "sensor reading VBAT",
    ] {
        let words = [&login[..], &line.split(' ').collect::<Vec<_>>()].concat();
        let mut theirs = Command::new(ipmitool.get_program());
        theirs.envs(ipmitool.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TZ", "UTC");
        let theirs = ipmi_support::run(theirs, &words).await;
        let own = ipmi_support::run(Command::new(kpc_tests::binary("ipmi")), &words).await;
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text(&theirs), text(&own), "{line}");
        assert_eq!(theirs.status.code(), own.status.code(), "{line}");
    }
}

// The developers' own check, 21 lines; it needs UDP port 623 on loopback addresses.
#[tokio::test]
async fn compat_dev_sh() {
    let Some(corpus) = std::env::var_os("CONFORMANCE_DIR") else {
        println!("skipped: CONFORMANCE_DIR is not set");
        return;
    };
    let (Some(ipmitool), Some(sim)) = (peer("ipmitool"), peer("ipmi_sim")) else { return };
    if !kpc_tests::is_root() {
        return;
    }
    let folder = |command: &Command| Path::new(command.get_program()).parent().unwrap().display().to_string();
    let path =
        format!("{}:{}:{}", folder(&sim), folder(&ipmitool), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.arg(Path::new(&corpus).join("ipmi/compat-dev.sh")).arg("-v").env("PATH", path);
    for (name, value) in sim.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("OURS", kpc_tests::binary("ipmi")).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("compat-dev: 21 of 21\n"), "{text}");
}
