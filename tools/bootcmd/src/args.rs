//! What was typed: matchbox's client grammar, and a few words more.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
EXAMPLES
  bootcmd --endpoints 10.100.0.2:8081 --ca-file ca.crt --cert-file client.crt --key-file client.key profile list
  bootcmd profile create -f worker.json
  bootcmd group create -f node1.json
  bootcmd ignition create -f worker.yaml.tmpl
  bootcmd select profile mac=52:54:00:00:00:01 os=installed
  bootcmd group list --output json

Options with one dash, as -endpoints=10.100.0.2:8081, are taken too. The environment may give
BOOTCMD_ENDPOINTS, BOOTCMD_CA_FILE, BOOTCMD_CERT_FILE and BOOTCMD_KEY_FILE.
Exit: 0 done, 1 failed, 2 usage.
";

const ONE_DASH: [&str; 7] = ["endpoints", "ca-file", "cert-file", "key-file", "filename", "output", "help"];

/// Client of bootcfgd's (and matchbox's) gRPC interface.
#[derive(Debug, Parser)]
#[command(name = "bootcmd", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Servers to try, in order
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        default_value = "127.0.0.1:8081",
        env = "BOOTCMD_ENDPOINTS",
        value_name = "HOST:PORT"
    )]
    pub(crate) endpoints: Vec<String>,
    /// The CA that has signed the server's certificate
    #[arg(
        long,
        global = true,
        default_value = "/etc/matchbox/ca.crt",
        env = "BOOTCMD_CA_FILE",
        value_name = "FILE"
    )]
    pub(crate) ca_file: PathBuf,
    /// The client's certificate
    #[arg(
        long,
        global = true,
        default_value = "/etc/matchbox/client.crt",
        env = "BOOTCMD_CERT_FILE",
        value_name = "FILE"
    )]
    pub(crate) cert_file: PathBuf,
    /// Its key
    #[arg(
        long,
        global = true,
        default_value = "/etc/matchbox/client.key",
        env = "BOOTCMD_KEY_FILE",
        value_name = "FILE"
    )]
    pub(crate) key_file: PathBuf,
    /// Tables as matchbox prints them, or JSON
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Lines for people or JSON objects for programs
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    pub(crate) log_level: tracing::Level,
}

/// How results look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// Columns.
    Table,
    /// One JSON value.
    Json,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line each.
    Text,
    /// One JSON object each.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Machine groups
    #[command(subcommand)]
    Group(Record),
    /// Machine profiles
    #[command(subcommand)]
    Profile(Record),
    /// Ignition templates
    #[command(subcommand)]
    Ignition(Template),
    /// Generic templates
    #[command(subcommand)]
    Generic(Template),
    /// Machine instances
    #[command(subcommand)]
    Instance(Instance),
    /// Which group or profile a machine with these labels gets
    #[command(subcommand)]
    Select(Select),
    /// Print a line for every change of the store until interrupted
    Watch,
    /// The server's version and mode
    Version,
}

/// Groups and profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Record {
    /// All of them
    List,
    /// One of them
    Describe {
        /// Its id
        id: String,
    },
    /// Write one from a JSON file
    Create {
        /// The file
        #[arg(long, short, value_name = "FILE")]
        filename: PathBuf,
    },
    /// Remove one
    Delete {
        /// Its id
        id: String,
    },
}

/// Templates.
#[derive(Debug, Subcommand)]
pub(crate) enum Template {
    /// Write one; its name is the file's
    Create {
        /// The file
        #[arg(long, short, value_name = "FILE")]
        filename: PathBuf,
    },
    /// Print one
    Get {
        /// Its name
        name: String,
    },
    /// Remove one
    Delete {
        /// Its name
        name: String,
    },
}

/// What matchbox announces and never had.
#[derive(Debug, Subcommand)]
pub(crate) enum Instance {
    /// Says that there are none
    List,
}

/// Selecting.
#[derive(Debug, Subcommand)]
pub(crate) enum Select {
    /// The group
    Group {
        /// Labels
        #[arg(value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
    /// The profile
    Profile {
        /// Labels
        #[arg(value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
}

/// Reads the command line.
pub(crate) fn parse() -> Args {
    Args::parse_from(std::env::args_os().map(two_dashes))
}

fn two_dashes(argument: OsString) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let Some(option) = text.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else { return argument };
    let name = option.split('=').next().unwrap_or_default();
    if ONE_DASH.contains(&name) { format!("-{text}").into() } else { argument }
}

/// `KEY=VALUE`; a `mac` is written as the server keeps it.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is no label: write KEY=VALUE"))?;
    let value = match bootcfg::mac::normalise(value.as_bytes(), true) {
        Some(address) if key == "mac" => address,
        _ => value.to_string(),
    };
    Ok((key.into(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn labels_are_pairs() {
        assert_eq!(label("mac=52-54-00-AA-BB-CC"), Ok(("mac".into(), "52:54:00:aa:bb:cc".into())));
        assert_eq!(label("os="), Ok(("os".into(), String::new())));
        assert!(label("os").is_err());
    }
}
