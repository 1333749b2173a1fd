//! What can keep a lab from standing. Every text is one line: what is missing or failed, and what mends it.

use std::io;
use std::path::PathBuf;

/// Why the lab does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A program, firmware file, kernel or package that the lab needs is not there.
    #[error("{what} is missing (looked for {}); run: {remedy}", .path.display())]
    Missing {
        /// In the words of its package.
        what: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The command that mends it.
        remedy: &'static str,
    },
    /// The kernel does not let us make namespaces or interfaces.
    #[error("this user may not {doing}: {reason}; run as root: sudo -E kpc lab up")]
    NotAllowed {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// A program that the lab ran failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its last line of output, or how it ended.
        output: String,
    },
    /// A process of the lab ended by itself while it should run.
    #[error("{name} ended by itself ({status}); its log: {}", .log.display())]
    Ended {
        /// Which one.
        name: String,
        /// How it ended.
        status: String,
        /// Where to read why.
        log: PathBuf,
    },
    /// A file is not what its name says.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration asks for something the lab cannot do.
    #[error("{0}")]
    Config(String),
    /// The operating system refused something else.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with the path or address.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LabError {
    /// For `map_err`: names what was being done.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// The same for errors of `nix`.
    pub(crate) fn errno(doing: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Self {
        let doing = doing.into();
        move |errno| Self::Io { doing, source: errno.into() }
    }
}

/// Short for what this crate returns.
pub type Result<T, E = LabError> = std::result::Result<T, E>;
