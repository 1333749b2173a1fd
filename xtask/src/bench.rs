//! `bench`: figures beside the real peers; each bench is a binary `bench-NAME` of the member `benches`.

use std::fs;

use crate::run::{Outcome, cargo, root, step};
use crate::{deps, package};

/// Linked as a tool is installed: without a loader and shared libraries, and with its relocations in a bitmap (`DT_RELR`),
/// which is half a megabyte less to read at start and to keep. Needs glibc 2.36 where it is built.
const STATIC: [&str; 5] =
    ["--", "-C", "target-feature=+crt-static", "-C", "link-arg=-Wl,-z,pack-relative-relocs"];
/// Packages of the tools that a bench runs as they are installed, built beside it (both profiles share a folder).
const TOOLS: [(&str, &str, &str); 4] = [
    ("bootcfg", "bootcfgd", "release"),
    ("ignition", "ign", "release"),
    ("ipmi", "ipmi", "release"),
    ("proxy-dhcp", "proxy-dhcpd", "release"),
];
/// Benches of `kpc` as its package has it, whose folder they find in `KPC_BIN_DIR`.
const SHIPPED: [&str; 2] = ["inventory", "page"];

/// The verb. No name lists what there is; `all` runs every one.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let known = names()?;
    let wanted: Vec<String> = match arguments.first().map(String::as_str) {
        None => {
            println!(
                "benches: {}\nrun them with `cargo xtask bench NAME…` or `cargo xtask bench all`",
                known.join(", ")
            );
            return Ok(());
        }
        Some("all") => known.clone(),
        Some(_) => arguments.to_vec(),
    };
    if let Some(stranger) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!("no bench `{stranger}`; there are: {}", known.join(", ")));
    }
    deps::for_lab()?;
    deps::for_tests()?;
    for name in wanted {
        for (_, tool, profile) in TOOLS.iter().filter(|(bench, ..)| *bench == name) {
            let how = ["--quiet", "--profile", profile, "--package", tool, "--bin", tool];
            match *profile {
                "release" => step(cargo(&["rustc"]).args(how).args(STATIC))?,
                _ => step(cargo(&["build"]).args(how))?,
            }
        }
        let binary = format!("bench-{name}");
        let mut command =
            cargo(&["run", "--quiet", "--profile", "bench", "--package", "kpc-benches", "--bin", &binary]);
        if SHIPPED.contains(&name.as_str()) {
            command.env("KPC_BIN_DIR", package::programs()?);
        }
        step(command.env("KPC_PEERS_DIR", deps::peers()).env("KPC_LAB_PARTS", deps::lab_parts()))?;
    }
    Ok(())
}

/// Names of the `[[bin]]`s in benches/Cargo.toml, without their prefix.
fn names() -> Outcome<Vec<String>> {
    let path = root().join("benches/Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"bench-")?.strip_suffix('"').map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
