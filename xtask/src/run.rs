//! Starting children: one place that knows the workspace root and how to say what failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A step's result; the message is what a person reads.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The workspace root, from the place of this crate at compile time.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The target directory: `CARGO_TARGET_DIR`, else `target` in the root.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that starts in the workspace root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// A cargo command with the cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = command(&cargo, arguments);
    // Set for `cargo run`; a nested cargo must look for itself.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end, showing the child's output; an error names the command line.
pub(crate) fn step(command: &mut Command) -> Outcome {
    println!("+ {}", line(command));
    let status = command.status().map_err(|error| format!("`{}`: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", line(command))) }
}

/// Runs to the end and returns standard output; an error carries standard error.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("`{}`: {error}", line(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{}` ended with {}: {}", line(command), output.status, said.trim()))
    }
}

/// The command line as a person would type it (arguments only; the environment is not shown).
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// The shared corpora, where they are: `CONFORMANCE_DIR`, else `../shared/conformance`.
pub(crate) fn corpora() -> Option<PathBuf> {
    let beside = || Some(root().join("../shared/conformance")).filter(|place| place.is_dir());
    std::env::var_os("CONFORMANCE_DIR").map(PathBuf::from).or_else(beside)
}

/// Tells a test run where the shared corpora and recorded packets are.
pub(crate) fn with_corpora(command: &mut Command) -> &mut Command {
    if let Some(place) = corpora() {
        let fixtures = place.with_file_name("fixtures");
        if std::env::var_os("FIXTURES_DIR").is_none() && fixtures.is_dir() {
            command.env("FIXTURES_DIR", fixtures);
        }
        command.env("CONFORMANCE_DIR", place);
    }
    command
}
