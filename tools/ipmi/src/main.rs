//! IPMI client with ipmitool's grammar, for one host and for many, and a virtual BMC.

mod bmcd;
mod command;
mod counters;
mod fleet;
mod hidden;
mod iana;
mod netboot;
mod options;
mod output;
mod remembered;
mod scan;
mod secret;
mod subcommand;
mod target;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = daemon::privileges::make_no_core() {
        return output::fail(&error.to_string());
    }
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match arguments.first().map(String::as_str) {
        Some("scan" | "netboot" | "bmcd" | "help" | "--help" | "--version") => subcommand::run(arguments),
        _ => match hidden::hide(&arguments) {
            Ok(()) => block_on(command::run(arguments)),
            Err(error) => output::fail(&error),
        },
    }
}

/// Runs what is no daemon; the daemon gives up root before it has a runtime.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => output::fail(&format!("starting: {error}")),
    }
}
