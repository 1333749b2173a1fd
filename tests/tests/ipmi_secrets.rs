//! The `ipmi` tool shows no password: not among its arguments, not in its environment, and in no core.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kpc_tests::{Guard, aborted_with_core, binary, holds, wait_for, without_cores};

const LIMIT: Duration = Duration::from_secs(90);
const PASSWORD: &str = "secret-of-the-bmc";

/// A BMC that never answers: whoever asks it has its password in memory and waits.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    (socket, port)
}

/// ipmitool's own ways to give a password show it for no longer than the program takes to start.
#[test]
fn a_password_that_was_typed_is_hidden() {
    for typed in [&["-P", PASSWORD][..], &["-E"]] {
        let (bmc, port) = silent();
        let mut ipmi = Command::new(binary("ipmi"));
        ipmi.args(["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", "admin"]).args(typed);
        ipmi.env("IPMI_PASSWORD", PASSWORD).args(["power", "status"]);
        let ipmi = Guard::spawn(ipmi.stdout(Stdio::null()).stderr(Stdio::null()));
        assert!(bmc.recv(&mut [0; 256]).is_ok(), "ipmi asks");
        let process = Path::new("/proc").join(ipmi.id().to_string());
        let arguments = fs::read(process.join("cmdline")).unwrap();
        assert!(holds(&arguments, "power") && !holds(&arguments, PASSWORD), "{typed:?}");
        let environment = fs::read(process.join("environ")).unwrap();
        assert!(!environment.is_empty() && !holds(&environment, PASSWORD), "{typed:?}");
    }
}

#[test]
fn no_core_is_made_of_what_holds_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let here = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(folder.path());
        command
    };
    let password = folder.path().join("bmc-password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();

    let (bmc, port) = silent();
    let mut ipmi = here(&binary("ipmi"));
    ipmi.args(["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", "admin", "-f"]).arg(&password);
    let asked = || assert!(bmc.recv(&mut [0; 256]).is_ok(), "ipmi asks");
    let mut bmcd = here(&binary("ipmi"));
    bmcd.args([
        "bmcd",
        "--listen",
        "127.0.0.1:6299",
        "--user",
        "admin",
        "--command",
        "/bin/true",
        "--password-file",
    ]);
    let answers = || {
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // ASF presence ping (IPMI v2.0 §13.2.3).
        wait_for("bmcd answers", LIMIT, || {
            let ping = [6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0];
            probe.send_to(&ping, "127.0.0.1:6299").is_ok() && probe.recv(&mut [0; 64]).is_ok()
        });
    };
    without_cores(folder.path(), || {
        assert!(!aborted_with_core(ipmi.args(["power", "status"]), asked), "a core of ipmi");
        assert!(!aborted_with_core(bmcd.arg(&password), answers), "a core of bmcd");
    });
}
