//! The workspace's own commands, `cargo xtask VERB`. What CI runs, a developer runs with the same word.
//!
//! One file per verb; [`run`] holds how a child is started and how its failure is told.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to a person")]
#![allow(clippy::disallowed_methods, reason = "a task runner reads the clock")]

mod bench;
mod ci;
mod deps;
mod fuzz;
mod interop;
mod lab;
mod package;
mod readme;
mod run;
mod spec;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The workspace's own commands.

Usage: cargo xtask VERB [ARGUMENTS]

  lab [--once] [--uefi] [-n N] …   fetch what the lab needs, build, run `kpc lab up -n 3`
  test                             everything that CI runs: ci, unit, interop, lab, readme
  ci                               format, lints, docs, each crate alone without features
  unit                             unit, property and simulation tests of every crate
  interop [PEER|firmware|package]  tests against real peers; no name runs the quick ones
  bench [NAME…|all]                figures beside the peers, as ratios of the same run
  package [--lab]                  the static program and the Debian package of it
  fuzz [--seconds N] [TARGET…]     every fuzz target for N seconds (default 20)
  sim [--seeds N]                  simulations in virtual time with N seeds
  spec                             every symbol that ARCHITECTURE.md names exists
  readme                           runs the console blocks of the READMEs
  screenshots                      the pictures of docs/, taken by the tests of page and README
  deps                             what the lab and the peers need: Debian packages, kernel, Python peers

Examples:
  cargo xtask lab --once           three BIOS machines, exit 0 when all are registered
  cargo xtask lab --once --uefi -n 1
  cargo xtask interop tftp_clients
  cargo xtask bench tftp
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = arguments.collect();
    let outcome = match verb.as_str() {
        "lab" => lab::run(&rest),
        "test" => test::run(),
        "ci" => ci::run(),
        "unit" => ci::unit(),
        "interop" => interop::run(&rest),
        "bench" => bench::run(&rest),
        "package" => package::run(&rest),
        "fuzz" => fuzz::run(&rest),
        "sim" => fuzz::simulate(&rest),
        "spec" => spec::run(),
        "readme" => readme::run(&rest),
        "screenshots" => interop::screenshots(),
        "deps" => deps::run(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("error: no verb `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
