//! `ci`: format, lints, docs, and each crate alone with no features. `unit`: the tests that need no peer.

use std::fs;

use crate::run::{Outcome, cargo, root, step, with_corpora};

/// The verb.
pub(crate) fn run() -> Outcome {
    step(&mut cargo(&["fmt", "--all", "--check"]))?;
    step(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    // As a user types it: what only a feature needs is no dead code without it.
    step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    step(
        cargo(&["doc", "--workspace", "--no-deps", "--all-features", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    for crate_name in libraries()? {
        let alone = [
            "clippy",
            "--quiet",
            "--package",
            &crate_name,
            "--no-default-features",
            "--lib",
            "--",
            "-D",
            "warnings",
        ];
        step(&mut cargo(&alone))?;
    }
    crate::spec::run()
}

/// Unit, property and simulation tests and doc tests of every member but the interoperability tests.
pub(crate) fn unit() -> Outcome {
    // The same cases every run; `cargo test` by hand draws others.
    step(
        with_corpora(&mut cargo(&[
            "test",
            "--no-fail-fast",
            "--workspace",
            "--all-features",
            "--exclude",
            "kpc-tests",
            "--exclude",
            "kpc-benches",
        ]))
        .env("PROPTEST_RNG_SEED", "1350"),
    )
}

/// Package names of `crates/*`.
fn libraries() -> Outcome<Vec<String>> {
    let folder = root().join("crates");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| format!("kpc-{}", entry.file_name().to_string_lossy())).collect();
    names.sort();
    Ok(names)
}
