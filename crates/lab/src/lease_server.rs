//! The existing DHCP server, which serves no PXE option and stays as it is: Debian's dhcpd, or dnsmasq where dhcpd is
//! not there. Called by `Lab::up`.

use std::path::Path;
use std::process::Command;

use crate::error::{LabError, Result};
use crate::network::INTERFACE;
use crate::parts::{LeaseServer, Parts};
use crate::process::Process;

/// No `next-server`, no `filename`, no option 43, 60, 66 or 67. A ping check would delay each offer by a second.
const DHCPD_CONF: &str = "\
authoritative; ping-check false; ddns-update-style none;
default-lease-time 3600; max-lease-time 3600;
subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.100 10.77.0.199; }
";

/// The command that runs it in the foreground on [`INTERFACE`]; its files lie in `dir`.
///
/// # Errors
/// [`LabError::Io`] when its files cannot be written.
pub fn command(parts: &Parts, dir: &Path) -> Result<Command> {
    let leases = dir.join("leases");
    std::fs::write(&leases, "").map_err(LabError::io(format!("write {}", leases.display())))?;
    let mut command;
    match &parts.lease_server {
        LeaseServer::Dhcpd(program) => {
            let conf = dir.join("dhcpd.conf");
            std::fs::write(&conf, DHCPD_CONF).map_err(LabError::io(format!("write {}", conf.display())))?;
            command = Command::new(program);
            command
                .args(["-4", "-f", "-d", "--no-pid", "-cf"])
                .arg(conf)
                .arg("-lf")
                .arg(leases)
                .arg(INTERFACE);
        }
        LeaseServer::Dnsmasq(program) => {
            command = Command::new(program);
            command
                .args([
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--port=0",
                    "--bind-interfaces",
                    "--no-ping",
                ])
                .args(["--user=root", "--dhcp-authoritative", "--log-facility=-", "--log-dhcp"])
                .args(["--dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h"])
                .arg(format!("--interface={INTERFACE}"))
                .arg(format!("--dhcp-leasefile={}", leases.display()));
        }
    }
    command.env("LD_LIBRARY_PATH", parts.library_path());
    Ok(command)
}

/// Starts it; the caller has entered its namespace.
///
/// # Errors
/// As [`command`], and when it cannot be started.
pub fn start(parts: &Parts, dir: &Path, log: &Path) -> Result<Process> {
    Process::spawn("the lease server", command(parts, dir)?, log)
}
