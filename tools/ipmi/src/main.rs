//! IPMI client with ipmitool's grammar, for one host and for many, and a virtual BMC.

mod bmcd;
mod command;
mod fleet;
mod iana;
mod netboot;
mod options;
mod output;
mod scan;
mod secret;
mod subcommand;
mod target;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("starting: {error}")),
    };
    match arguments.first().map(String::as_str) {
        Some("scan" | "netboot" | "bmcd" | "help" | "--help" | "--version") => {
            runtime.block_on(subcommand::run(arguments))
        }
        _ => runtime.block_on(command::run(arguments)),
    }
}
