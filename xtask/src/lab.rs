//! `lab`: fetch, build, and run `kpc lab up`.

use std::path::PathBuf;

use crate::deps;
use crate::run::{Outcome, cargo, root, step, target};

/// The triple that the agent is built for; the C library is linked in, so that it runs in an empty system.
const AGENT_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The verb. Arguments go to `kpc lab up`; without `-n` it starts three machines.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    deps::for_lab()?;
    let kpc = build()?;
    let mut command = std::process::Command::new(&kpc);
    command.current_dir(root()).args(["lab", "up"]);
    if !arguments.iter().any(|word| word == "-n" || word.starts_with("-n") || word.starts_with("--machines"))
    {
        command.args(["-n", "3"]);
    }
    run_lab(command.args(arguments))
}

/// Runs a `kpc` command with the places of the lab's parts in its environment.
pub(crate) fn run_lab(command: &mut std::process::Command) -> Outcome {
    command.env("KPC_LAB_PARTS", deps::lab_parts()).env("KPC_AGENT", agent_path());
    step(command)
}

/// Builds `kpc` and the agent; returns the path of `kpc`.
pub(crate) fn build() -> Outcome<PathBuf> {
    step(&mut cargo(&["build", "--profile", "lab", "--quiet", "--bin", "kpc", "--bin", "ipmi"]))?;
    build_agent()?;
    Ok(target().join("lab/kpc"))
}

/// Builds the static agent.
pub(crate) fn build_agent() -> Outcome {
    let place = target().join("agent");
    let mut command =
        cargo(&["build", "--release", "--quiet", "--package", "kpc-agent", "--target", AGENT_TARGET]);
    command
        .arg("--target-dir")
        .arg(&place)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    step(&mut command)
}

/// Where [`build_agent`] leaves the agent.
pub(crate) fn agent_path() -> PathBuf {
    target().join("agent").join(AGENT_TARGET).join("release/kpc-agent")
}
