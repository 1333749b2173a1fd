//! `fuzz`: every target for a while. `sim`: simulations with a number of seeds.

use crate::run::{Outcome, cargo, command, output, root, step};

/// The verb `fuzz`. The targets need the compiler's sanitizer flags: a nightly toolchain, or the stable one told so.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let seconds = number(arguments, "--seconds")?.unwrap_or(20);
    if output(&mut command("cargo-fuzz", &["--version"])).is_err() {
        return Err("cargo-fuzz is missing; run: cargo install cargo-fuzz".to_owned());
    }
    let named: Vec<&String> =
        arguments.iter().filter(|word| !word.starts_with("--") && word.parse::<u64>().is_err()).collect();
    let listed = output(command("cargo-fuzz", &["list"]).current_dir(root().join("fuzz")))?;
    let limit = format!("-max_total_time={seconds}");
    for target in listed.lines().filter(|target| named.is_empty() || named.iter().any(|name| name == target))
    {
        let mut fuzz = command("cargo-fuzz", &["run", target, "--", &limit, "-rss_limit_mb=2048"]);
        step(fuzz.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// The verb `sim`: tests named `simulation` read `SIM_SEEDS`.
pub(crate) fn simulate(arguments: &[String]) -> Outcome {
    let seeds = number(arguments, "--seeds")?.unwrap_or(10_000).to_string();
    let mut test = cargo(&["test", "--workspace", "--all-features", "--release", "--test", "simulation"]);
    step(test.env("SIM_SEEDS", seeds).args(["--", "--nocapture"]))
}

fn number(arguments: &[String], flag: &str) -> Outcome<Option<u64>> {
    let Some(at) = arguments.iter().position(|word| word == flag) else { return Ok(None) };
    let word = arguments.get(at + 1).ok_or_else(|| format!("{flag} takes a number"))?;
    word.parse().map(Some).map_err(|_| format!("{flag} takes a number, not `{word}`"))
}
