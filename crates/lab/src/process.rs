//! Child processes that cannot outlive their guard. Called by everything here that starts a program.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::{LabError, Result};

/// A running program; dropping the guard kills it and reaps it, by its id.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` in a process group of its own (a Ctrl-C at the terminal is the lab's to handle, not the
    /// child's), its output in a new `log`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the log cannot be opened or the program cannot be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log);
        let output = output.map_err(LabError::io(format!("open {}", log.display())))?;
        let errors = output.try_clone().map_err(LabError::io("duplicate the log"))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(LabError::io(format!("start {program}")))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Its process id, in the namespace of the caller.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// [`LabError::Io`] when the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(LabError::io(format!("wait for {}", self.name)))
    }

    /// An error when it is not running any more.
    ///
    /// # Errors
    /// [`LabError::Ended`] with the path of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(LabError::Ended {
                name: self.name.clone(),
                status: status.to_string(),
                log: self.log.clone(),
            }),
        }
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// [`LabError::Io`] when the system cannot say.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().map_err(LabError::io(format!("wait for {}", self.name)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and been reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// [`LabError::Command`] with its last line of complaint when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LabError::Io { doing: format!("run {line}"), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rfind(|line| !line.trim().is_empty());
    Err(LabError::Command {
        command: line,
        output: last.map_or_else(|| output.status.to_string(), str::to_owned),
    })
}
