//! The program in the booted system that makes a machine what its config says.

mod apply;
mod args;
mod console;
mod digest;
mod facts;
mod http;
mod install;
mod parameters;
mod register;
mod run;
mod server;
mod wanted;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::Args::parse(std::env::args().skip(1)) {
        Ok(args::Command::Run(args)) => {
            console::start(args.form);
            run::run(&args)
        }
        Ok(args::Command::Register(args)) => {
            console::start(args.form);
            register::run(&args)
        }
        Ok(args::Command::Grant(args)) => by_installer(&args, install::grant),
        Ok(args::Command::Installed(args)) => by_installer(&args, install::installed),
        Ok(args::Command::Say(text)) => {
            console::print(&text);
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            console::complain(&wrong);
            ExitCode::from(2)
        }
    }
}

/// A step of a distribution's own installer, under the claim of this boot.
fn by_installer(args: &args::Args, step: fn(&args::Args, &parameters::Parameters) -> ExitCode) -> ExitCode {
    console::start(args.form);
    let line = std::fs::read_to_string(&args.cmdline).unwrap_or_default();
    step(args, &parameters::Parameters::parse(&line))
}
