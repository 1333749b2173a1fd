//! `package`: the static programs and the Debian package made of them. `deb` lays the package's tree out, `man` turns
//! `--help` into its manual page.

mod deb;
mod man;

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, cargo, command, output, step, target};
use crate::{deps, lab};

/// The C library that static programs are made with where its target is installed.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// The other one, linked in whole.
const GNU: &str = "x86_64-unknown-linux-gnu";
/// What jemalloc keeps, fixed when it is built: two arenas, no page of 2 MiB for a few octets, and what is freed goes back
/// after a second.
const ALLOCATOR: (&str, &str) =
    ("JEMALLOC_SYS_WITH_MALLOC_CONF", "narenas:2,thp:never,dirty_decay_ms:1000,muzzy_decay_ms:0");
/// The largest `kpc`, with all that it composes.
const MAX_OCTETS: u64 = 15 << 20;

/// The verb: builds what is shipped, or with `--lab` the same of what the lab runs, and says where it is.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let deb = match arguments.first().map(String::as_str) {
        None => release()?.deb,
        Some("--lab") => {
            lab::build()?;
            of_the_lab()?
        }
        Some(other) => return Err(format!("{other}: the one option is --lab")),
    };
    println!("{}", deb.display());
    Ok(())
}

/// What is shipped.
pub(crate) struct Released {
    /// The Debian package.
    pub(crate) deb: PathBuf,
    /// The agent that is in it.
    pub(crate) agent: PathBuf,
}

/// The package of the static programs.
pub(crate) fn release() -> Outcome<Released> {
    let programs = programs()?;
    let agent = programs.join("kpc-agent");
    let deb = deb::build(&programs.join("kpc"), &agent, &target().join("package"), "-Zxz")?;
    Ok(Released { deb, agent })
}

/// The folder of the static programs, as they are shipped; fails where `kpc` is too large.
pub(crate) fn programs() -> Outcome<PathBuf> {
    deps::for_release()?;
    let (triple, why) = if has_musl() {
        (MUSL, "static with musl")
    } else {
        (GNU, "static with glibc: `rustup target add x86_64-unknown-linux-musl` and musl-tools make it musl")
    };
    println!("kpc is {why}");
    let place = target().join("package");
    let mut build = cargo(&["build", "--profile", "dist", "--quiet", "--target", triple]);
    build.args(["--package", "kpc", "--package", "kpc-agent", "--bin", "kpc", "--bin", "kpc-agent"]);
    build.arg("--target-dir").arg(&place);
    match triple {
        MUSL => build.env("CC_x86_64_unknown_linux_musl", "musl-gcc").env(ALLOCATOR.0, ALLOCATOR.1),
        _ => build.env("RUSTFLAGS", "-C target-feature=+crt-static"),
    };
    step(&mut build)?;
    let programs = place.join(triple).join("dist");
    // The profile's `strip` does not reach a package whose `opt-level` is named.
    step(command("strip", &["--strip-all"]).arg(programs.join("kpc")))?;
    let octets = size(&programs.join("kpc"))?;
    println!("kpc: {octets} octets, {:.1} MiB of at most 15", octets as f64 / f64::from(1 << 20));
    if octets > MAX_OCTETS {
        return Err(format!("kpc is larger than {MAX_OCTETS} octets"));
    }
    Ok(programs)
}

/// The package of what the lab runs, for the checks that need no release build.
pub(crate) fn of_the_lab() -> Outcome<PathBuf> {
    deb::build(&target().join("lab/kpc"), &lab::agent_path(), &target().join("package/lab"), "-Zgzip")
}

/// Whether the target is installed, and a compiler for the little C that it needs.
fn has_musl() -> bool {
    let libraries = output(&mut command("rustc", &["--print", "target-libdir", "--target", MUSL]));
    let installed = libraries.is_ok_and(|folder| Path::new(folder.trim()).is_dir());
    installed && output(&mut command("musl-gcc", &["--version"])).is_ok()
}

fn size(path: &Path) -> Outcome<u64> {
    fs::metadata(path).map(|file| file.len()).map_err(|error| format!("{}: {error}", path.display()))
}
