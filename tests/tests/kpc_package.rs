//! The Debian package. Quick: systemd and lintian find no fault in it. Long (`cargo xtask interop package`): a Debian
//! with systemd is booted as a virtual machine, installs it, is asked on the page's port, and purges it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kpc_tests::{Guard, binary, is_root, peer, peer_command, peers, run_within};
use lab::{Accelerator, Parts, kvm};

const LIMIT: Duration = Duration::from_secs(120);
/// The whole life of the virtual machine, under translation on a busy host.
const MACHINE: Duration = Duration::from_secs(900);

/// The package, as xtask has built it.
fn package() -> Option<PathBuf> {
    let deb = std::env::var_os("KPC_DEB").map(PathBuf::from);
    if deb.is_none() {
        kpc_tests::skip("no package was built; run: cargo xtask interop kpc_package");
    }
    deb
}

fn run(command: &mut Command) -> String {
    let (good, text) = run_within(command, LIMIT);
    assert!(good, "{command:?}: {text}");
    text
}

/// Every unit as systemd reads it, with the program in its place.
#[test]
fn systemd_finds_no_fault_in_the_units() {
    let (Some(deb), Some(analyze)) = (package(), peer("systemd-analyze")) else { return };
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder.path()));
    let units = folder.path().join("lib/systemd/system");
    // systemd looks whether what a unit starts is there; here it is elsewhere.
    let program = folder.path().join("usr/bin/kpc").display().to_string();
    let mut names = Vec::new();
    for entry in fs::read_dir(&units).unwrap().map(|entry| entry.unwrap().path()) {
        let files = if entry.is_dir() {
            fs::read_dir(&entry).unwrap().map(|file| file.unwrap().path()).collect()
        } else {
            names.push(entry.file_name().unwrap().to_owned());
            vec![entry]
        };
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace("/usr/bin/kpc", &program)).unwrap();
        }
    }
    assert_eq!(names.len(), 4, "{names:?}");
    // What they are ordered after is systemd's own.
    let own = [
        peers().join("root/lib/systemd/system"),
        "/lib/systemd/system".into(),
        "/usr/lib/systemd/system".into(),
    ];
    let own: Vec<String> =
        own.iter().filter(|place| place.is_dir()).map(|place| place.display().to_string()).collect();
    let mut verify = peer_command(&analyze);
    verify.args(["verify", "--man=no", "--generators=no"]).args(&names).current_dir(&units);
    verify.env("SYSTEMD_UNIT_PATH", format!("{}:{}", units.display(), own.join(":")));
    let text = run(&mut verify);
    assert_eq!(text.trim(), "", "systemd-analyze verify: {text}");
}

/// Neither error nor warning; what is overridden has its reason beside it.
#[test]
fn lintian_finds_no_fault_in_the_package() {
    let (Some(deb), Some(lintian)) = (package(), peer("lintian")) else { return };
    let mut check = Command::new(lintian);
    check.args(["--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root", "--no-cfg"]);
    let (good, text) = run_within(check.arg(&deb), LIMIT);
    assert!(good && !text.contains("W: ") && !text.contains("E: "), "{text}");
}

/// The same programs make the same package; nothing of it belongs to somebody.
#[test]
fn the_package_is_what_it_says() {
    let Some(deb) = package() else { return };
    let listed = run(Command::new("dpkg-deb").arg("-c").arg(&deb));
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
    for path in [
        "./usr/bin/kpc",
        "./usr/lib/kpc/kpc-agent",
        "./lib/systemd/system/kpc-bmc.service",
        "./usr/share/man/man1/kpc.1.gz",
        "./usr/share/bash-completion/completions/kpc",
        "./etc/default/kpc",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(path)), "{path}: {listed}");
    }
    let control = run(Command::new("dpkg-deb").arg("-f").arg(&deb));
    assert!(control.contains("ipxe"), "the loaders are Debian's: {control}");
}

/// Installed, started by whoever asks first, healthy, without a password where strangers are answered, and gone.
#[test]
fn a_host_installs_it_is_asked_and_purges_it() {
    if std::env::var_os("KPC_SLOW_TESTS").is_none() {
        eprintln!("skipped: takes long; run: cargo xtask interop package");
        return;
    }
    let Some(deb) = package().filter(|_| is_root()) else { return };
    let tree = PathBuf::from(std::env::var_os("KPC_MACHINE_TREE").expect("KPC_MACHINE_TREE names a Debian"));
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::find(&kpc_tests::lab_parts()).unwrap();
    let initrd = initrd(&tree, &deb, &parts, folder.path());
    let serial = folder.path().join("serial.log");
    let mut machine = Guard::spawn(&mut qemu(&parts, &initrd, &serial, folder.path()));
    let text = || String::from_utf8_lossy(&fs::read(&serial).unwrap_or_default()).into_owned();
    let start = std::time::Instant::now();
    let mut shown = 0;
    while machine.is_running() && start.elapsed() < MACHINE {
        std::thread::sleep(Duration::from_millis(500));
        let text = text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("kpc-check:")).collect();
        for line in lines.iter().skip(shown) {
            println!("  {:>5.1} s  {}", start.elapsed().as_secs_f32(), line.trim());
        }
        shown = lines.len();
    }
    let text = text();
    let tail: Vec<&str> = text.lines().rev().take(80).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    assert!(text.contains("kpc-check: done"), "the machine did not get to its end:\n{tail}");
    assert!(!text.contains("kpc-check: FAILED"), "{tail}");
    for step in [
        "installed",
        "waits for its configuration",
        "not started before it is asked",
        "started by the page's port",
        "doctor",
        "started by the operators' socket",
        "logins are the keeper's",
        "power by the keeper",
        "no password where the boot network is parsed",
        "no authority's key where the boot network is parsed",
        "resident",
        "purged",
        "no file is left",
    ] {
        assert!(text.contains(&format!("kpc-check: ok {step}")), "{step}:\n{tail}");
    }
}

/// The Debian tree as a file system in memory, with the package and the check laid over it: the kernel unpacks one
/// archive after the other.
fn initrd(tree: &Path, deb: &Path, parts: &Parts, folder: &Path) -> PathBuf {
    let over = folder.join("over");
    for place in ["root/agent", "etc/systemd/system/multi-user.target.wants"] {
        fs::create_dir_all(over.join(place)).unwrap();
    }
    fs::copy(deb, over.join("root/kpc.deb")).unwrap();
    fs::copy(binary("ipmi"), over.join("root/ipmi")).unwrap();
    fs::copy(&parts.kernel, over.join("root/agent/vmlinuz")).unwrap();
    fs::write(over.join("root/agent/initrd.img"), "a stand-in").unwrap();
    let veth = run(Command::new("find").arg(&parts.modules).args(["-name", "veth.ko*"]));
    let veth = Path::new(veth.trim());
    fs::copy(veth, over.join("root").join(veth.file_name().unwrap())).unwrap();
    fs::write(over.join("root/check.sh"), include_str!("package/check.sh")).unwrap();
    fs::write(over.join("etc/systemd/system/kpc-check.service"), CHECK_UNIT).unwrap();
    fs::write(over.join("etc/hostname"), "deploy\n").unwrap();
    std::os::unix::fs::symlink(
        "../kpc-check.service",
        over.join("etc/systemd/system/multi-user.target.wants/kpc-check.service"),
    )
    .unwrap();
    let initrd = folder.join("initrd");
    let pack = format!(
        "set -e; cd '{}'; find . \\( -path ./var/cache/apt/archives -o -path ./var/lib/apt/lists -o -path ./usr/share/doc \
         -o -path ./usr/share/locale \\) -prune -o -print0 | cpio --quiet -0 -o -H newc > '{1}'; \
         cd '{2}'; find . -print0 | cpio --quiet -0 -o -H newc -R 0:0 >> '{1}'",
        tree.display(),
        initrd.display(),
        over.display()
    );
    run(Command::new("sh").args(["-c", &pack]));
    initrd
}

const CHECK_UNIT: &str = "[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /root/check.sh
TimeoutStartSec=infinity
";

fn qemu(parts: &Parts, initrd: &Path, serial: &Path, folder: &Path) -> Command {
    let mut command = Command::new(&parts.qemu);
    command.args(match kvm::choose(parts, folder).unwrap() {
        Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
        Accelerator::Tcg => ["-accel", "tcg,tb-size=256", "-cpu", "qemu64,+rdrand"],
    });
    command.args(["-m", "3072", "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none"]);
    command.args(["-no-reboot", "-machine", "pc,graphics=off"]);
    command.arg("-serial").arg(format!("file:{}", serial.display()));
    command.arg("-kernel").arg(&parts.kernel).arg("-initrd").arg(initrd);
    command.args([
        "-append",
        "console=ttyS0 rdinit=/sbin/init no_timer_check panic=-1 quiet systemd.show_status=0 \
         systemd.mask=serial-getty@ttyS0.service systemd.mask=systemd-networkd.service",
    ]);
    command.env("LD_LIBRARY_PATH", parts.library_path()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
