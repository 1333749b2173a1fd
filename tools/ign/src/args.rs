//! What was typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Validates and transpiles Ignition configs.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Form of the findings.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) report: ReportForm,
}

const EXAMPLES: &str = "\
EXAMPLES:
    ign validate node.ign                      say everything that is wrong, with line and column
    ign validate --report json - <node.ign     the same for programs
    ign transpile --dialect fuze node.yaml     Fuze to Ignition 2.0.0, as bootcfg v0.4.0 did";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Says everything that is wrong with configs.
    Validate {
        /// Files; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        source: Source,
        /// Warnings fail too.
        #[arg(long)]
        strict: bool,
    },
    /// Makes Ignition from YAML.
    Transpile {
        /// The file; `-` is standard input.
        file: PathBuf,
        #[command(flatten)]
        source: Source,
    },
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Source {
    /// What the files are written in.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) dialect: Dialect,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// Ignition for JSON, Fuze for YAML.
    Auto,
    /// JSON of any specification version.
    Ignition,
    /// The YAML of bootcfg v0.4.0.
    Fuze,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ReportForm {
    /// One line per finding.
    Text,
    /// One JSON object per file.
    Json,
}
