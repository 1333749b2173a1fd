//! Machines with real firmware are installed to their disks by the agent, and nothing else is written. What is judged:
//! the octets of the virtual disks, the serial consoles, the store's timeline read by the CLI as an operator would.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use disk::{Table, Window, fat};
use lab::{Console, Firmware, Machine, MachineSpec, Parts};
use serde_json::Value;

/// What the disk's kernel says, and only it.
const FROM_DISK: &str = "kpc-lab: booted from disk, marker written-by-the-agent, host lab-disk";
const STORY: &str = "KPC_TEST_STORY";
/// How long a console may take to say what the server knows.
const CONSOLE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(100);

/// Runs a lab to its end and returns its directory, or `None` after saying what is missing. A story is a function of
/// this file that runs on the lab's deploy host.
fn run(flags: &[&str], story: Option<&str>) -> Option<tempfile::TempDir> {
    if !kpc_tests::is_root() {
        return None;
    }
    let place = kpc_tests::lab_parts();
    if let Err(error) = Parts::find_with_agent(&place, kpc_tests::agent()) {
        kpc_tests::skip(error);
        return None;
    }
    let dir = tempfile::Builder::new().prefix("kpc-install").tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let command = match story {
        Some(story) => format!("{STORY}={story} '{}' story --exact --nocapture", program.display()),
        None => {
            let kpc = kpc_tests::binary("kpc");
            format!(
                "'{0}' status --json > $KPC_LAB_DIR/status.json; for m in $('{0}' status --json | grep -o 'lab-[0-9][0-9]' | sort -u); \
                 do '{0}' show $m --json > $KPC_LAB_DIR/$m.json; done",
                kpc.display()
            )
        }
    };
    let mut lab = Command::new(kpc_tests::binary("kpc"));
    lab.args(["lab", "up", "--once", "--timeout", "900s", "--exec", &command]).args(flags);
    // What it prints is seen while it runs: a story takes minutes.
    let status = lab.arg("--dir").arg(dir.path()).env("KPC_LAB_PARTS", place).status().unwrap();
    if !status.success() {
        for machine in machines(dir.path(), &[Firmware::BiosMedium; 6]) {
            eprintln!("--- {}\n{}", machine.spec.name, Console::read(&machine.serial).tail(25).join("\n"));
        }
        panic!("{status}");
    }
    Some(dir)
}

/// The lab's machines as they were numbered.
fn machines(dir: &Path, firmware: &[Firmware]) -> Vec<Machine> {
    let numbered = MachineSpec::numbered(u8::try_from(firmware.len()).unwrap(), Firmware::BiosMedium);
    let specs = numbered.into_iter().zip(firmware);
    let of = |(index, (spec, firmware)): (u8, (MachineSpec, &Firmware))| {
        Machine::new(index, MachineSpec { firmware: *firmware, ..spec }, &dir.join("logs"), dir)
    };
    (0_u8..).zip(specs).map(of).collect()
}

fn factor() -> f64 {
    std::env::var("KPC_TIME_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

/// How often a console shows a boot from the disk.
fn disk_boots(machine: &Machine) -> usize {
    Console::read(&machine.serial).text().matches(FROM_DISK).count()
}

/// Lines of a machine's timeline, from `kpc show --json`.
fn timeline(shown: &Value) -> Vec<String> {
    let lines = shown["timeline"].as_array().unwrap();
    lines.iter().map(|line| line["line"].as_str().unwrap().to_owned()).collect()
}

fn grants(shown: &Value) -> usize {
    timeline(shown).iter().filter(|line| line.contains("may be written, once")).count()
}

/// The disk carries the image, and behind it the volume with what was handed over.
fn disk_is_installed(machine: &Machine) {
    let octets = fs::read(&machine.disk).unwrap();
    let size = octets.len() as u64;
    let table = Table::read(octets.as_slice(), size).expect("a partition table");
    let volume = table.partitions().last().unwrap();
    let window = Window::new(octets.as_slice(), volume.offset, volume.length);
    let text = |name| String::from_utf8(fat::read(&window, name).expect(name)).unwrap();
    assert!(text("user-data").contains("kpc_lab: handed-over"), "{}", text("user-data"));
    assert!(text("user-data").contains(&format!("hostname: {}", machine.spec.name)));
    assert!(text("meta-data").contains(&format!("local-hostname: {}", machine.spec.name)));
    let credentials: Value = serde_json::from_str(&text("kpc.json")).unwrap();
    assert_eq!(credentials["key"].as_str().unwrap().len(), 64);
}

/// Installed by one grant, rebooted from the disk, registered from there under another host name.
fn is_installed(machine: &Machine, shown: &Value) {
    let name = &machine.spec.name;
    assert_eq!(shown["status"]["lifecycle"], "registered", "{shown:#}");
    assert_eq!(grants(shown), 1, "{name}: {:#?}", timeline(shown));
    assert!(disk_boots(machine) >= 1, "{name}");
    assert_eq!(shown["facts"]["hostname"], "lab-disk", "{name}");
    // The server knows before the serial line has said it.
    kpc_tests::wait_for("the console's word of the registration", CONSOLE, || {
        Console::read(&machine.serial).registered_as().is_some()
    });
    let console = Console::read(&machine.serial);
    assert!(console.agent().any(|line| line.starts_with("granted: ")), "{name}");
    assert_eq!(console.registered_as(), Some(name.as_str()));
    disk_is_installed(machine);
    let bmc = machine.uuid.to_string();
    assert!(
        timeline(shown).iter().any(|line| line.contains("BMC")) || bmc.is_empty(),
        "{name} told of its BMC"
    );
}

#[test]
fn three_bios_machines_are_installed() {
    let Some(dir) = run(&["--install", "-n", "3"], None) else { return };
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(dir.path().join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let status = read("status");
    for machine in machines(dir.path(), &[Firmware::BiosMedium; 3]) {
        is_installed(&machine, &read(&machine.spec.name));
    }
    let mut slowest = 0.0_f64;
    for machine in status["machines"].as_array().unwrap() {
        let taken = machine["elapsed_ms"].as_f64().unwrap() / 1000.0;
        println!("{}: {taken:.1} s, {}", machine["name"], machine["phases"]);
        slowest = slowest.max(taken);
    }
    println!("three BIOS machines installed and registered: {slowest:.1} s (at most 90)");
    assert!(slowest <= 90.0 * factor(), "{slowest} s");
}

#[test]
fn ordered_machines_are_installed_and_no_other() {
    let kinds = ["uefi:disk", "bios:disk", "bios:disk", "bios:data"];
    let mut flags = vec!["--no-provision"];
    flags.extend(kinds.iter().flat_map(|kind| ["--machine", kind]));
    run(&flags, Some("orders"));
}

#[test]
fn a_power_cut_mid_install_waits_for_a_person() {
    run(&["--no-provision", "--machine", "bios:slow"], Some("power-cut"));
}

/// Not a test of its own: what runs on a lab's deploy host.
#[test]
fn story() {
    let Ok(story) = std::env::var(STORY) else { return };
    let there = Deploy { dir: std::env::var_os("KPC_LAB_DIR").unwrap().into() };
    match story.as_str() {
        "orders" => orders(&there),
        "power-cut" => power_cut(&there),
        other => panic!("no story {other}"),
    }
}

/// The deploy host of a lab.
struct Deploy {
    dir: PathBuf,
}

impl Deploy {
    fn kpc(&self, words: &[&str]) -> Output {
        Command::new(kpc_tests::binary("kpc")).args(words).output().unwrap()
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.kpc(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn show(&self, name: &str) -> Value {
        serde_json::from_slice(&self.kpc(&["show", name, "--json"]).stdout).unwrap()
    }

    /// Straight to the BMC, as somebody who goes to the rack does: the server knows nothing of it.
    fn power(&self, machine: &Machine, what: &str) {
        let password = self.dir.join("bmc-password");
        let output = Command::new(kpc_tests::binary("ipmi"))
            .args(["-I", "lanplus", "-U", "admin", "-H", &machine.bmc.to_string(), "-f"])
            .arg(password)
            .args(["chassis", "power", what])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until `done`; what it waits for is named where it never comes.
    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(
                start.elapsed() < Duration::from_secs_f64(240.0 * factor()),
                "waited in vain for: {what}"
            );
            std::thread::sleep(TICK);
        }
        println!("{:6.1} s  {what}", start.elapsed().as_secs_f64());
    }

    fn state(&self, name: &str) -> String {
        self.show(name)["status"]["lifecycle"].as_str().unwrap_or_default().to_owned()
    }
}

fn is_blank(machine: &Machine) -> bool {
    fs::read(&machine.disk).unwrap().iter().all(|octet| *octet == 0)
}

fn orders(there: &Deploy) {
    let firmware = [Firmware::Uefi, Firmware::BiosMedium, Firmware::BiosMedium, Firmware::BiosMedium];
    let all = machines(&there.dir, &firmware);
    let [uefi, bios, unordered, data] = all.as_slice() else { panic!() };
    let before = fs::read(&data.disk).unwrap();
    // It boots from the network all the while, without an order.
    there.power(unordered, "on");
    there.ok(&["provision", &uefi.spec.name, "--profile", "disk", "--firmware", "uefi", "--yes"]);
    there.ok(&[
        "provision",
        &bios.spec.name,
        &data.spec.name,
        "--profile",
        "disk",
        "--firmware",
        "bios",
        "--yes",
    ]);
    there.until("the disk with data is refused", || {
        there.show(&data.spec.name)["status"]["failed"].as_str().is_some_and(|why| why.contains("SOMEBODYS"))
    });
    assert!(before == fs::read(&data.disk).unwrap(), "not an octet of it was written");
    assert_eq!(grants(&there.show(&data.spec.name)), 0);
    there.until("the BIOS machine is registered", || there.state(&bios.spec.name) == "registered");
    is_installed(bios, &there.show(&bios.spec.name));
    there.until("the UEFI machine is registered", || there.state(&uefi.spec.name) == "registered");
    is_installed(uefi, &there.show(&uefi.spec.name));
    // Network-first on UEFI: the agent put the disk behind the card, and said so.
    let console = Console::read(&uefi.serial);
    assert!(console.agent().any(|line| line.starts_with("boot order ")), "{}", console.tail(80).join("\n"));
    // The unordered one asked, was offered nothing, and fell to its empty disk, again and again.
    there.until("the unordered machine has come round", || {
        Console::read(&unordered.serial).ipxe_starts() >= 2
    });
    assert!(is_blank(unordered) && Console::read(&unordered.serial).kernel().is_none());
    let shown = there.show(&unordered.spec.name);
    assert!(grants(&shown) == 0 && shown["status"]["order"].is_null(), "{shown:#}");
    there.power(unordered, "off");
    there.power(data, "off");
    // A registered network-first machine that is power-cycled is sent on to its disk.
    there.power(bios, "cycle");
    there.power(uefi, "cycle");
    there.until("power-cycled, the BIOS machine boots its disk", || disk_boots(bios) == 2);
    there.until("power-cycled, the UEFI machine boots its disk", || disk_boots(uefi) == 2);
    let registered =
        |machine: &Machine| Console::read(&machine.serial).text().matches("kpc-agent: registered as").count();
    there.until("both register again", || registered(bios) == 2 && registered(uefi) == 2);
    assert_eq!((grants(&there.show(&bios.spec.name)), grants(&there.show(&uefi.spec.name))), (1, 1));
    // And when the server is gone. OVMF waits minutes for it before its disk, so that leg is one of the slow tests.
    let server = std::env::var("KPC_SERVE_PID").unwrap();
    assert!(Command::new("kill").args(["-KILL", &server]).status().unwrap().success());
    there.power(bios, "cycle");
    there.until("without a server, the BIOS machine boots its disk", || disk_boots(bios) == 3);
    there.power(uefi, "cycle");
    there.until("without a server, the UEFI machine boots its disk", || disk_boots(uefi) == 3);
}

fn power_cut(there: &Deploy) {
    let all = machines(&there.dir, &[Firmware::BiosMedium]);
    let [machine] = all.as_slice() else { panic!() };
    let name = machine.spec.name.as_str();
    let said =
        |what: &str| Console::read(&machine.serial).agent().filter(|line| line.starts_with(what)).count();
    there.ok(&["provision", name, "--profile", "disk", "--firmware", "bios", "--yes"]);
    there.until("the agent writes", || said("granted: ") == 1);
    std::thread::sleep(Duration::from_millis(1500));
    there.power(machine, "off");
    assert_eq!(said("installed"), 0, "cut too late for this test");
    let cut = fs::read(&machine.disk).unwrap();
    assert!(cut[..1 << 20].iter().all(|octet| *octet == 0), "no firmware starts half an image");
    // Power comes back: the machine boots from the network, and is not granted a disk again.
    there.power(machine, "on");
    let starts = Console::read(&machine.serial).ipxe_starts();
    there.until("the machine has booted twice from the network", || {
        Console::read(&machine.serial).ipxe_starts() >= starts + 2
    });
    let shown = there.show(name);
    assert_eq!((grants(&shown), said("granted: ")), (1, 1), "{:#?}", timeline(&shown));
    assert!(cut == fs::read(&machine.disk).unwrap(), "nothing was written without a person");
    println!("after the cut: {}", shown["status"]);
    // A person looks, gives what is on the disk up, and orders anew.
    there.power(machine, "off");
    there.ok(&["cancel", name]);
    there.ok(&["provision", name, "--profile", "disk", "--firmware", "bios", "--yes"]);
    there.until("the machine is registered", || there.state(name) == "registered");
    assert_eq!(grants(&there.show(name)), 2, "two orders, one grant each");
    disk_is_installed(machine);
    assert_eq!(disk_boots(machine), 1);
}
