//! The README's five commands, read out of it and typed on a terminal, on a bare deploy host in the lab: three machines
//! that are powered off become installed, registered nodes; then Ansible and kolla-ansible take over. What the README shows
//! under each command is what the command prints.
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

mod terminal_support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use disk::{Table, Window, fat};
use kpc_tests::{Guard, binary, is_root, peer, peers, run_within, wait_for};
use lab::{Console, Firmware, Machine, MachineSpec, Parts};
use serde_json::Value;
use terminal_support::Screen;

/// For everything that ends by itself.
const LIMIT: Duration = Duration::from_secs(120);
/// For three machines to be installed on a busy host.
const INSTALLED: Duration = Duration::from_secs(600);
const STORY: &str = "KPC_TEST_JOURNEY";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqFzvHs5GEOHlz0kRTKUX6P3RPAf4B+04rV7GSrrIqT admin@deploy\n";
const HOME: &str = "/home/admin";

#[test]
fn the_readmes_five_commands() {
    if !is_root() || peer("gpg").is_none() {
        return;
    }
    let place = kpc_tests::lab_parts();
    if let Err(error) = Parts::find_with_agent(&place, kpc_tests::agent()) {
        kpc_tests::skip(error);
        return;
    }
    let dir = tempfile::Builder::new().prefix("kpc-journey").tempdir().unwrap();
    // The server's account reads below it.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let story = format!(
        "{STORY}=1 exec unshare --mount --propagation private '{}' story --exact --nocapture",
        std::env::current_exe().unwrap().display()
    );
    let mut lab = Command::new(binary("kpc"));
    lab.args(["lab", "up", "--once", "--no-serve", "--exec", &story, "--dir"]).arg(dir.path());
    for _ in 0..3 {
        lab.args(["--machine", "bios:disk"]);
    }
    let status = lab.env("KPC_LAB_PARTS", place).stdout(Stdio::inherit()).status().unwrap();
    if !status.success() {
        for machine in machines(dir.path()) {
            let console = Console::read(&machine.serial);
            eprintln!("--- {}\n{}", machine.spec.name, console.tail(25).join("\n"));
        }
        panic!("{status}");
    }
}

fn machines(dir: &Path) -> Vec<Machine> {
    let numbered = MachineSpec::numbered(3, Firmware::BiosMedium);
    (0_u8..).zip(numbered).map(|(index, spec)| Machine::new(index, spec, &dir.join("logs"), dir)).collect()
}

/// Not a test of its own: what runs on the lab's deploy host.
#[test]
fn story() {
    if std::env::var_os(STORY).is_none() {
        return;
    }
    let dir = PathBuf::from(std::env::var_os("KPC_LAB_DIR").unwrap());
    let commands = readme();
    let [init, assets, scan, provision, inventory] = commands.as_slice() else {
        panic!("the README's first block has {} commands", commands.len())
    };
    let host = Host::bare(&dir);
    let told = host.typed(init);
    let line = told.lines().find_map(|line| line.split_once("; run: ")).expect("the line that starts it").1;
    let log = fs::File::create(dir.join("logs/kpc-serve.log")).unwrap();
    let mut serve = host.command(line);
    let _server = Guard::spawn(serve.stdout(log.try_clone().unwrap()).stderr(log));
    wait_for("kpc serve answers", LIMIT, || host.kpc("status").0);

    host.image(&dir);
    host.typed(assets);
    host.logins(&dir);
    host.typed(scan);
    let mut moment = (0, String::new());
    let told = host.seen(provision, INSTALLED, &mut |screen| {
        // The one on which the machines have come differently far; not while it is drawn.
        let text = screen.text();
        let bars: Vec<&str> = text.lines().filter(|line| line.contains("  [")).collect();
        let phase = |bar: &&str| Some(bar.split_once("] ")?.1.split_whitespace().nth(1)?.to_owned());
        let phases: Option<BTreeSet<String>> = bars.iter().map(phase).collect();
        if let Some(phases) = phases.filter(|phases| bars.len() == 3 && phases.len() > moment.0) {
            moment = (phases.len(), text);
        }
    });
    assert!(told.contains("3 machines, 3 registered, 0 failed"), "{told}");
    picture(&provision.typed, &moment.1);
    are_installed(&host, &dir);
    host.typed(inventory);
    ansible(&host);
    kolla(&host);
}

/// One command of the README, and the lines that it shows under it.
#[derive(Debug)]
struct Shown {
    typed: String,
    lines: Vec<String>,
}

/// The commands of the README's first console block.
fn readme() -> Vec<Shown> {
    let text = fs::read_to_string(kpc_tests::root().join("README.md")).unwrap();
    let block = text.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let mut commands: Vec<Shown> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("# "), commands.last_mut()) {
            (Some(typed), _) => commands.push(Shown { typed: typed.to_owned(), lines: Vec::new() }),
            (None, Some(command)) => command.lines.push(line.trim_end().to_owned()),
            (None, None) => panic!("before the first command: {line}"),
        }
    }
    commands
}

impl Shown {
    /// What is shown comes in this order; `…` stands for the rest of a line, alone for any number of lines.
    fn check(&self, told: &str) {
        let mut lines = told.lines().map(str::trim_end);
        for want in self.lines.iter().filter(|want| !want.is_empty() && want.trim() != "…") {
            let fits = |line: &str| match want.split_once('…') {
                Some((start, _)) => line.starts_with(start.trim_end()),
                None => line == want,
            };
            assert!(
                lines.any(fits),
                "the README has `{want}` under `{}`, which printed:\n{told}",
                self.typed
            );
        }
    }
}

/// A deploy host on which nothing of ours has been: the programs beside each other in /usr/local/bin, Debian's kernel in
/// its place, everything that is written in memory. The rest is this system's own.
struct Host {
    root: PathBuf,
}

impl Host {
    fn bare(dir: &Path) -> Self {
        let parts = kpc_tests::lab_parts().join("root");
        let root = dir.join("host");
        fs::create_dir(&root).unwrap();
        sh(&format!("mount -t tmpfs -o mode=755 host '{}'", root.display()));
        mirror(Path::new("/"), &root, &["boot", "etc", "home", "media", "proc", "run", "usr", "var"]);
        for folder in ["proc", "sys", "dev"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            sh(&format!("mount --rbind /{folder} '{}'", root.join(folder).display()));
        }
        // What it shows of network cards is the namespace of whoever mounted it.
        sh(&format!("mount -t sysfs sysfs '{}'", root.join("sys").display()));
        mirror(Path::new("/usr"), &root.join("usr"), &["lib", "local"]);
        mirror(Path::new("/usr/lib"), &root.join("usr/lib"), &["kpc", "modules"]);
        bind(&parts.join("boot"), &root.join("boot"));
        let modules = ["lib/modules", "usr/lib/modules"].map(|place| parts.join(place));
        bind(modules.iter().find(|place| place.is_dir()).unwrap(), &root.join("usr/lib/modules"));
        sh(&format!("cp -a /etc '{}'", root.display()));
        for folder in ["run", "media/images", "var/lib", "var/tmp", "usr/local/bin", "home/admin/.ssh"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let agent = kpc_tests::agent();
        for (program, name) in [(binary("kpc"), "kpc"), (agent, "kpc-agent")] {
            fs::copy(program, root.join("usr/local/bin").join(name)).unwrap();
        }
        let host = Self { root };
        fs::write(host.home(".ssh/id_ed25519.pub"), KEY).unwrap();
        // The card of a server has another name than the lab's.
        sh(
            "ip link set eth0 down && ip link set eth0 name eno1 && ip link set eno1 up && ip route add 10.77.1.0/24 dev eno1",
        );
        host
    }

    fn home(&self, name: &str) -> PathBuf {
        self.root.join(&HOME[1..]).join(name)
    }

    /// A line of the shell on it.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("chroot");
        let path = "PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin";
        command.arg(&self.root).args([
            "env",
            "-i",
            &format!("HOME={HOME}"),
            path,
            "TERM=xterm",
            "LANG=C.UTF-8",
        ]);
        if let Some(venv) = kolla_venv() {
            command.arg(format!("VIRTUAL_ENV={}", venv.display()));
        }
        command.args(["sh", "-c", &format!("cd {HOME} && exec {line}")]);
        command
    }

    fn kpc(&self, words: &str) -> (bool, String) {
        run_within(&mut self.command(&format!("kpc {words}")), LIMIT)
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.kpc(words).1).unwrap()
    }

    /// Types a command of the README, as root, in the home folder.
    fn typed(&self, command: &Shown) -> String {
        self.seen(command, LIMIT, &mut |_| {})
    }

    fn seen(&self, command: &Shown, limit: Duration, seen: &mut dyn FnMut(&Screen)) -> String {
        let (code, screen) = terminal_support::run(&mut self.command(&command.typed), limit, seen);
        let told = screen.text();
        if pictures().is_some() {
            println!("# {}\n{told}", command.typed);
        }
        assert_eq!(code, 0, "{}\n{told}", command.typed);
        command.check(&told);
        told
    }

    /// The stand-in for Debian's cloud image, which is small enough for a machine without hardware acceleration, signed
    /// with a key of the test's.
    fn image(&self, dir: &Path) {
        let image = self.root.join("media/images/debian-13-generic-amd64.raw");
        let packed = dir.join("assets/lab-disk.img.gz");
        sh(&format!("gzip -dc '{}' > '{}'", packed.display(), image.display()));
        let home = tempfile::tempdir().unwrap();
        let gpg = |words: &str| {
            sh(&format!(
                "GNUPGHOME='{}' gpg --batch --yes --quiet --pinentry-mode loopback --passphrase '' {words}",
                home.path().display()
            ));
        };
        gpg("--quick-gen-key images@test ed25519 sign never");
        gpg(&format!("--detach-sign '{}'", image.display()));
        gpg(&format!("--armor --output '{}' --export images@test", self.home("site.asc").display()));
        sh(&format!("GNUPGHOME='{}' gpgconf --kill all", home.path().display()));
    }

    /// What is written on the note beside the rack.
    fn logins(&self, dir: &Path) {
        let password = fs::read_to_string(dir.join("bmc-password")).unwrap();
        let file = self.home("bmc.toml");
        fs::write(&file, format!("user = \"admin\"\npassword = \"{}\"\n", password.trim())).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Everything of a folder but what is named, in a folder of the same shape.
fn mirror(from: &Path, to: &Path, but: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, kind, place) = (entry.path(), entry.file_type().unwrap(), to.join(entry.file_name()));
        if but.iter().any(|name| entry.file_name() == *name)
            || ["/sys", "/dev"].iter().any(|name| path == Path::new(name))
        {
            continue;
        }
        if kind.is_symlink() {
            symlink(fs::read_link(path).unwrap(), place).unwrap();
        } else if kind.is_dir() {
            bind(&path, &place);
        } else if kind.is_file() {
            // A few files of a few octets beside the folders.
            if fs::metadata(&path).unwrap().len() < 1 << 20 {
                fs::copy(path, place).unwrap();
            }
        }
    }
}

fn bind(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    sh(&format!("mount --bind '{}' '{}'", from.display(), to.display()));
}

fn sh(line: &str) {
    let (good, text) = run_within(Command::new("sh").args(["-c", line]), LIMIT);
    assert!(good, "{line}: {text}");
}

/// The disks have the image and, behind it, what was handed over; the systems that speak were started from them.
fn are_installed(host: &Host, dir: &Path) {
    let status = host.json("status --json");
    let shown = status["machines"].as_array().unwrap();
    assert_eq!(shown.len(), 3);
    for (machine, shown) in machines(dir).iter().zip(shown) {
        let name = shown["name"].as_str().unwrap();
        assert_eq!((&shown["lifecycle"], &shown["power"]), (&"registered".into(), &true.into()), "{shown}");
        let console = Console::read(&machine.serial);
        assert_eq!(
            console.text().matches("kpc-lab: booted from disk, marker written-by-the-agent").count(),
            1
        );
        assert_eq!(console.text().matches("granted: ").count(), 1, "{name}");
        let disk = fs::read(&machine.disk).unwrap();
        let table = Table::read(disk.as_slice(), disk.len() as u64).unwrap();
        let volume = table.partitions().last().unwrap();
        let window = Window::new(disk.as_slice(), volume.offset, volume.length);
        let text = |file: &str| String::from_utf8(fat::read(&window, file).expect(file)).unwrap();
        let user_data = text("user-data");
        for part in [&format!("hostname: {name}\n"), KEY.trim(), "kpc-register.service", "python3-dbus"] {
            assert!(user_data.contains(part), "{part} in {user_data}");
        }
        assert!(text("meta-data").contains(&format!("local-hostname: {name}")));
        // The agent that an image without one registers by.
        let agent = fs::read(host.root.join("usr/local/bin/kpc-agent")).unwrap();
        assert!(fat::read(&window, "kpc-agent").is_some_and(|octets| octets == agent));
        // The machine's BMC was recorded by a scan, its address on the network by the boot.
        let why = host.kpc(&format!("why --mac {}", machine.mac)).1;
        assert!(why.contains(name), "{why}");
    }
    let (good, doctor) = host.kpc("doctor");
    assert!(good || !doctor.contains("FAILED  assets"), "{doctor}");
}

/// The inventory as Ansible reads it, with kolla-ansible's groups where it is there.
fn ansible(host: &Host) {
    let Some(program) = peer("ansible-inventory") else { return };
    let venv = kolla_venv();
    let program = venv.as_ref().map_or(program, |venv| venv.join("bin/ansible-inventory"));
    let line = format!("'{}' -i /etc/kolla/inventory --list", program.display());
    let (good, text) = run_within(&mut host.command(&line), LIMIT);
    assert!(good, "{text}");
    let listed: Value = serde_json::from_str(&text[text.find("{\n").unwrap()..]).unwrap();
    let hosts = ["kpc-01", "kpc-02", "kpc-03"];
    for group in ["control", "network", "compute"] {
        assert_eq!(listed[group]["hosts"], serde_json::json!(hosts), "{group} of {listed}");
    }
    for name in hosts {
        let vars = &listed["_meta"]["hostvars"][name];
        assert!(vars["ansible_host"].as_str().unwrap().starts_with("10.77.0.1"), "{vars}");
        assert_eq!(vars["network_interface"], "eth0", "{vars}");
    }
    if venv.is_some() {
        let groups: Vec<&String> = listed.as_object().unwrap().keys().collect();
        assert!(groups.len() >= 171 && listed["loadbalancer"].is_object(), "{} {groups:?}", groups.len());
    }
}

/// The environment with kolla-ansible, which `cargo xtask deps` makes where PyPI can be reached.
fn kolla_venv() -> Option<PathBuf> {
    let venv = peers().join("kolla");
    venv.join("bin/kolla-ansible").is_file().then_some(venv)
}

/// kolla-ansible's own playbook takes the inventory, and its prechecks go on to the first thing that this test's
/// surroundings have not: a host without a daemon that keeps the time. `kpc doctor node` has said so before.
fn kolla(host: &Host) {
    let Some(venv) = kolla_venv() else {
        eprintln!("skipped: kolla-ansible is not here; PyPI could not be reached by cargo xtask deps");
        return;
    };
    let share = venv.join("share/kolla-ansible");
    let configuration = host.root.join("etc/kolla");
    for file in ["globals.yml", "passwords.yml"] {
        fs::copy(share.join("etc_examples/kolla").join(file), configuration.join(file)).unwrap();
    }
    fs::set_permissions(configuration.join("passwords.yml"), fs::Permissions::from_mode(0o600)).unwrap();
    let bin = |name: &str| venv.join("bin").join(name).display().to_string();
    let run = |line: &str| {
        let path = format!("{}:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", venv.join("bin").display());
        run_within(&mut host.command(&format!("env PATH='{path}' {line}")), INSTALLED)
    };
    let (good, text) = run(&format!("{} -p /etc/kolla/passwords.yml", bin("kolla-genpwd")));
    assert!(good, "{text}");
    // What --vip and --external-interface are for, and the stand-ins have no Python to be checked by SSH: the checks look
    // at the deploy host in their place, each under its own name.
    let (good, told) = host.kpc("inventory --write /etc/kolla --vip 10.77.0.250 --external-interface eno2");
    assert!(good && told.contains("globals.d/50-kpc.yml"), "{told}");
    let local = ["ansible_connection=local", &format!("ansible_python_interpreter={}", bin("python3"))];
    assert!(host.kpc(&format!("var set group:kpc {}", local.join(" "))).0);
    for name in ["kpc-01", "kpc-02", "kpc-03"] {
        assert!(host.kpc(&format!("var set host:{name} network_interface=eno1")).0);
    }
    let settings =
        "-e @/etc/kolla/globals.yml -e @/etc/kolla/globals.d/50-kpc.yml -e @/etc/kolla/passwords.yml";
    let (good, text) = run(&format!(
        "{} -i /etc/kolla/inventory --syntax-check {settings} -e kolla_action=deploy {}/ansible/site.yml",
        bin("ansible-playbook"),
        share.display()
    ));
    assert!(good && text.contains("playbook: "), "{text}");
    let doctor = host.json("doctor node --interface eno1 --json");
    let verdict = |check: &str| {
        let all = doctor.as_array().or_else(|| doctor["checks"].as_array()).unwrap();
        all.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("{doctor}"))["ok"] == true
    };
    let (good, text) = run("kolla-ansible prechecks -i /etc/kolla/inventory --configdir /etc/kolla");
    assert!(!good, "nothing keeps the time here: {text}");
    // Of each task, who failed at it.
    let failed: Vec<&str> = text.split("\nTASK [").filter(|task| task.contains("fatal: [kpc-")).collect();
    let [task] = failed.as_slice() else { panic!("{text}") };
    assert_eq!(task.matches("fatal: [kpc-").count(), 3, "{task}");
    let (name, said) = task.split_once("] *").unwrap();
    // What comes before holds: kolla's groups are filled, and the distribution is one of its own where this one is.
    let (check, tasks) = if verdict("os") {
        (
            "ntp",
            [
                "prechecks : Fail if a host NTP daemon is not running",
                "prechecks : Checking timedatectl status",
            ],
        )
    } else {
        (
            "os",
            ["prechecks : Checking host OS release or version", "prechecks : Checking host OS distribution"],
        )
    };
    assert!(tasks.contains(&name), "{name}: {said}");
    assert!(!verdict(check) && verdict("interface"), "{doctor}");
    println!("kolla-ansible prechecks go on to `{name}`, which this host cannot satisfy");
}

fn pictures() -> Option<PathBuf> {
    std::env::var_os("KPC_PICTURES").map(PathBuf::from)
}

/// The terminal as a picture, drawn by the browser.
fn picture(typed: &str, screen: &str) {
    let Some(folder) = pictures() else { return };
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let text = format!("# {typed}\n{screen}");
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("# kpc") {
            Some(("", rest)) => format!("<b># kpc{}</b>", escaped(rest)),
            _ => escaped(line).replace('█', "<i> </i>").replace('▌', "<i class=half> </i>"),
        })
        .collect();
    let height = 56 + 20 * lines.len();
    let page = format!(
        "<!doctype html><meta charset=utf-8><style>body{{margin:0;background:#11151c}}pre{{margin:28px 32px;color:#cdd6e4;\
         font:14px/20px 'DejaVu Sans Mono',monospace}}b{{color:#fff}}i{{background:#5fb3a1}}.half{{background:linear-gradient(90deg,#5fb3a1 50%,transparent 50%)}}</style><pre>{}</pre>",
        lines.join("\n")
    );
    let scratch = tempfile::tempdir().unwrap();
    let html = scratch.path().join("terminal.html");
    fs::write(&html, page).unwrap();
    let mut browser = Command::new(peer("chromium").expect("chromium"));
    browser
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", scratch.path().join("profile").display()))
        .arg(format!("--window-size=1060,{height}"))
        .arg(format!("--screenshot={}", folder.join("terminal.png").display()))
        .arg(format!("file://{}", html.display()))
        .env("HOME", scratch.path());
    let (good, text) = run_within(&mut browser, LIMIT);
    assert!(good && folder.join("terminal.png").is_file(), "{text}");
}
