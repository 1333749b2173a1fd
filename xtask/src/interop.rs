//! `interop`: tests against real peers, one file per peer under tests/tests.

use crate::run::{Outcome, cargo, step, target, with_corpora};
use crate::{deps, lab, package};

/// Long matrices that `test` leaves out; each is asked for by name.
const SLOW: &[(&str, &str)] = &[("firmware", "firmware_matrix")];

/// The verb. No name: every file whose tests are quick.
pub(crate) fn run(names: &[String]) -> Outcome {
    match names {
        [name] if name == "package" => released(),
        names => with_environment(names, &[]),
    }
}

/// `interop package`: the release package in a Debian of its own, which is a virtual machine.
fn released() -> Outcome {
    deps::for_lab()?;
    let released = package::release()?;
    let tree = deps::machine_tree()?;
    step(&mut cargo(&["build", "--profile", "lab", "--quiet", "--bin", "ipmi"]))?;
    let mut command = cargo(&["test", "--package", "kpc-tests", "--test", "kpc_package"]);
    command
        .env("KPC_SLOW_TESTS", "1")
        .env("KPC_BIN_DIR", target().join("lab"))
        .env("KPC_LAB_PARTS", deps::lab_parts())
        .env("KPC_PEERS_DIR", deps::peers())
        .env("KPC_REQUIRE_PEERS", "1")
        .env("KPC_DEB", released.deb)
        .env("KPC_AGENT", released.agent)
        .env("KPC_MACHINE_TREE", tree);
    step(command.args(["--", "--test-threads", "1", "--nocapture"]))
}

/// `screenshots`: the pictures of docs/, taken anew by the tests of the page and of the README's journey.
pub(crate) fn screenshots() -> Outcome {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs").join("pictures");
    let tests = ["kpc_page", "kpc_journey"].map(str::to_owned);
    with_environment(&tests, &[("KPC_PICTURES", &folder.display().to_string())])
}

fn with_environment(names: &[String], environment: &[(&str, &str)]) -> Outcome {
    deps::for_lab()?;
    deps::for_tests()?;
    if names.iter().any(|name| name == "firmware") {
        deps::for_firmware()?;
    }
    let packaged = names.is_empty() || names.iter().any(|name| name == "kpc_package");
    if packaged {
        deps::for_package()?;
    }
    lab::build()?;
    step(&mut cargo(&[
        "build",
        "--profile",
        "lab",
        "--quiet",
        "--bins",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "kpc-benches",
    ]))?;
    let mut command = cargo(&["test", "--no-fail-fast", "--package", "kpc-tests"]);
    command
        .env("KPC_BIN_DIR", target().join("lab"))
        .env("KPC_AGENT", lab::agent_path())
        .env("KPC_LAB_PARTS", deps::lab_parts())
        .env("KPC_PEERS_DIR", deps::peers())
        .env("KPC_REQUIRE_PEERS", "1")
        .envs(environment.iter().copied());
    if packaged {
        command.env("KPC_DEB", package::of_the_lab()?);
    }
    with_corpora(&mut command);
    for name in names {
        match SLOW.iter().find(|(word, _)| word == name) {
            Some((_, file)) => {
                command.args(["--test", file]).env("KPC_SLOW_TESTS", "1");
            }
            None => {
                command.args(["--test", name]);
            }
        }
    }
    // One at a time: the peers share two cores and some need a quiet machine.
    step(command.args(["--", "--test-threads", "1", "--nocapture"]))
}
