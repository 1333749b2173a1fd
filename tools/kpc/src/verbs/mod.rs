//! The verbs that talk to a running server. Each prints what happened and returns the exit code: 0 good, 1 some
//! machines failed.

mod events;
mod inventory;
mod keep;
mod machine;
mod provision;
mod show;
mod status;
mod watch;
mod why;

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

pub(crate) use events::{discover, events};
pub(crate) use inventory::inventory;
pub(crate) use keep::{backup, disk_set, import, rename, replace, restore, var_set, var_unset};
pub(crate) use machine::{add, adopt, cancel, label, power, resolve, retire, retry};
pub(crate) use provision::{provision, reinstall};
pub(crate) use show::show;
pub(crate) use status::{Shown, status, time};
pub(crate) use watch::{Ending, Look, follow, watch};
pub(crate) use why::{check, why};

/// An exit code of DESIGN's contract.
pub(crate) type Verdict = Result<u8, String>;

/// One line, or several, on standard output. A reader that went away, such as `head`, has what it wanted: the program
/// ends well. A full disk is an error.
pub(crate) fn say(text: impl Display) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        outcome => outcome.map_err(|error| format!("standard output: {error}")),
    }
}
