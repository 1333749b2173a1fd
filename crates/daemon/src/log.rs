//! Log lines on standard error. A tool calls it once, first.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

/// How a log line looks: `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends lines of at least `level` to standard error. A second call changes nothing.
pub fn start(format: LogFormat, level: impl Into<LevelFilter>) {
    let lines = lines().with_max_level(level);
    // A second subscriber is refused; the first stays.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// As [`start`], with a level for each part of the program, as in `info,tftp=debug`.
pub fn start_filtered(format: LogFormat, filter: EnvFilter) {
    let lines = lines().with_env_filter(filter);
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

type Lines = SubscriberBuilder<DefaultFields, Format, LevelFilter, fn() -> std::io::Stderr>;

fn lines() -> Lines {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr as fn() -> std::io::Stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
}
