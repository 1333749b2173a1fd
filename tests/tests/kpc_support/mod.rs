//! `kpc serve` with one machine's virtual BMC beside it, in a network namespace of the test.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kpc_tests::{Guard, binary, run_within, wait_for};
use serde_json::Value;

pub const LIMIT: Duration = Duration::from_secs(30);
pub const ADDRESS: &str = "10.78.0.1";
pub const MAC: &str = "52:54:00:aa:00:01";
/// Of the virtual BMC.
pub const PASSWORD: &str = "secret-of-the-bmc";
pub const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// A namespace that ends with its test.
pub struct Namespace(String);

impl Namespace {
    pub fn new(name: &str) -> Self {
        let namespace = Self(format!("kpc-{name}-{}", std::process::id()));
        ip(&["netns", "add", &namespace.0]);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        ip(&["-n", &namespace.0, "link", "add", "eth0", "type", "veth", "peer", "name", "wire0"]);
        ip(&["-n", &namespace.0, "addr", "add", &format!("{ADDRESS}/24"), "dev", "eth0"]);
        ip(&["-n", &namespace.0, "link", "set", "eth0", "up"]);
        ip(&["-n", &namespace.0, "link", "set", "wire0", "up"]);
        namespace
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

pub fn ip(arguments: &[&str]) {
    let (good, text) = run_within(Command::new("ip").args(arguments), LIMIT);
    assert!(good, "ip {}: {text}", arguments.join(" "));
}

/// A server with one machine's BMC beside it.
pub struct Served {
    pub namespace: Namespace,
    pub folder: tempfile::TempDir,
    pub server: Guard,
    _bmc: Guard,
}

impl Served {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[], |_| {})
    }

    /// With more flags, after `prepare` has seen the folder.
    pub fn start_with(name: &str, flags: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let namespace = Namespace::new(name);
        let folder = tempfile::tempdir().unwrap();
        // The server runs as another account after its start and reads profiles and assets as that.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for place in
            ["loaders", "assets", "bootcfg/groups", "bootcfg/profiles", "bootcfg/ignition", "bootcfg/cloud"]
        {
            fs::create_dir_all(folder.path().join(place)).unwrap();
        }
        write(&folder, "loaders/undionly.kpxe", "loader");
        write(&folder, "assets/vmlinuz", "kernel");
        write(&folder, "bootcfg/profiles/live.json", PROFILE);
        write(&folder, "bootcfg/profiles/wipe.json", &PROFILE.replace("live", "wipe"));
        write(&folder, "bootcfg/ignition/live.yaml", IGNITION);
        write(&folder, "bootcfg/ignition/wipe.yaml", IGNITION);
        write(
            &folder,
            "bootcfg/profiles/disk.json",
            &PROFILE.replace("ignition_id", "cloud_id").replace("live", "disk"),
        );
        write(&folder, "bootcfg/cloud/disk.yaml", "#cloud-config\nhostname: {{.name}}\n");
        write(&folder, "bmc-password", &format!("{PASSWORD}\n"));
        fs::set_permissions(folder.path().join("bmc-password"), fs::Permissions::from_mode(0o600)).unwrap();
        write(&folder, "power.sh", POWER);
        fs::set_permissions(folder.path().join("power.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        write(
            &folder,
            "kpc.toml",
            &format!(
                "data_dir = \"{0}/state\"\nsocket = \"{0}/kpc.sock\"\n[network.mgmt]\ninterface = \"eth0\"\naddress = \"{ADDRESS}\"\n\
                 [tftp]\nroot = \"{0}/loaders\"\n[bootcfg]\ndata = \"{0}/bootcfg\"\nassets = \"{0}/assets\"\nlive_profiles = [\"live\"]\n\
                 [bmc]\nuser = \"admin\"\npassword_file = \"{0}/bmc-password\"\n\
                 [install.disk]\nimage = \"disk.img.zst\"\ndisk = \"smallest\"\nmin_size = \"1GiB\"\n",
                folder.path().display()
            ),
        );
        let mut bmcd = namespace.command(binary("ipmi"));
        bmcd.args([
            "bmcd",
            "--listen",
            "127.0.0.1:6230",
            "--user",
            "admin",
            "--guid",
            UUID,
            "--password-file",
        ]);
        bmcd.arg(folder.path().join("bmc-password")).arg("--command").arg(folder.path().join("power.sh"));
        let bmc = Guard::spawn(bmcd.stderr(Stdio::null()).current_dir(folder.path()));
        prepare(folder.path());
        let server = serve(&namespace, folder.path(), flags);
        let served = Self { namespace, folder, server, _bmc: bmc };
        wait_for("kpc serve answers", LIMIT, || served.kpc(&["status"]).0);
        served
    }

    /// Kills the server as a power cut would, and starts it over its store.
    pub fn restart(&mut self) {
        // The guard before ends its process, by SIGKILL, when it is replaced.
        let gone = Guard::spawn(&mut Command::new("true"));
        drop(std::mem::replace(&mut self.server, gone));
        self.server = serve(&self.namespace, self.folder.path(), &[]);
        // Its answer may be that a machine has failed.
        wait_for("kpc serve answers again", LIMIT, || !self.kpc(&["status"]).1.contains("no server behind"));
    }

    pub fn kpc(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(binary("kpc"));
        command.arg("--socket").arg(self.folder.path().join("kpc.sock")).args(arguments);
        run_within(&mut command, LIMIT)
    }

    pub fn good(&self, arguments: &[&str]) -> String {
        let (good, text) = self.kpc(arguments);
        assert!(good, "kpc {}: {text}\n{}", arguments.join(" "), self.log());
        text
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    /// Asks as a machine does: the status and the body.
    pub fn http(&self, path: &str, post: Option<&Value>) -> (u16, String) {
        let mut curl = self.namespace.command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]);
        if let Some(body) = post {
            curl.args(["--header", "content-type: application/json", "--data", &body.to_string()]);
        }
        let (good, text) = run_within(curl.arg(format!("http://{ADDRESS}:8080{path}")), LIMIT);
        assert!(good, "{path}: {text}");
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    pub fn process(&self) -> PathBuf {
        // `ip netns exec` becomes the program: the id is the server's.
        Path::new("/proc").join(self.server.id().to_string())
    }
}

pub fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).unwrap();
}

pub const PROFILE: &str = r#"{"id": "live", "name": "live", "ignition_id": "live.yaml",
 "boot": {"kernel": "/assets/vmlinuz", "initrd": ["/assets/initrd.img"], "args": ["console=ttyS0"]}}"#;

pub const IGNITION: &str = "---
storage:
  files:
    - path: /etc/hostname
      filesystem: root
      mode: 0644
      contents:
        inline: {{.name}}
";

/// Keeps the power in a file and every call in another.
pub const POWER: &str = r#"#!/bin/sh
echo "$@" >> power.log
[ "$1" = boot ] && [ -e refuse ] && exit 1
[ "$1" = power ] && [ -e slow ] && sleep 2
case "$1 $2" in
  "power on"|"power cycle"|"power reset") echo on > power ;;
  "power off") echo off > power ;;
  status*) cat power 2>/dev/null || echo off ;;
esac
"#;

/// The value of a kernel argument in a boot script.
pub fn argument<'a>(script: &'a str, name: &str) -> &'a str {
    let start =
        script.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {script}")) + name.len() + 1;
    script[start..].split_whitespace().next().unwrap()
}

fn serve(namespace: &Namespace, folder: &Path, flags: &[&str]) -> Guard {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("serve.log")).unwrap();
    let mut serve = namespace.command(binary("kpc"));
    serve.arg("serve").arg("--config").arg(folder.join("kpc.toml")).args(flags).stderr(log);
    Guard::spawn(&mut serve)
}
