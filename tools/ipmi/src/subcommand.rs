//! The forms ipmitool does not have: `scan`, `netboot`, `bmcd`, in clap's grammar.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bmcd, netboot, scan};

const EXAMPLES: &str = "\
EXAMPLES:
    # ipmitool's grammar, for one host
    ipmi -H 10.100.0.7 -U root -f /etc/kpc/bmc-password chassis power status
    ipmi -H 10.100.0.7 -U root -f /etc/kpc/bmc-password chassis bootdev pxe options=efiboot
    # who is out there? (UDP, unlike nmap -p 623)
    ipmi scan 10.100.0.1-254
    # network-boot a rack, five seconds apart
    ipmi netboot 10.100.0.1-16 --user root --password-file /etc/kpc/bmc-password --stagger 5s
    # a virtual BMC for a QEMU machine
    ipmi bmcd --listen 127.0.0.1:6230 --user admin --password-file pw --qmp vm.qmp --boot-device pxe=nic0";

#[derive(Debug, Parser)]
#[command(name = "ipmi", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find BMCs by UDP: version, authentication, cipher suites.
    Scan(scan::Args),
    /// Network-boot machines: one-time PXE, then power on or reset, host by host.
    Netboot(netboot::Args),
    /// Be a BMC: power and boot device act on QEMU (QMP) or a command.
    Bmcd(Box<bmcd::Args>),
}

/// Parses and runs; clap prints help and usage errors (exit code 2) itself.
pub(crate) fn run(arguments: Vec<String>) -> ExitCode {
    let cli = match Cli::try_parse_from(std::iter::once("ipmi".to_owned()).chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match cli.verb {
        Verb::Scan(args) => crate::block_on(scan::run(args)),
        Verb::Netboot(args) => crate::block_on(netboot::run(args)),
        Verb::Bmcd(args) => bmcd::run(*args),
    }
}
