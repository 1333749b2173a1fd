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
    ign merge base.ign rack.ign node.ign       one config of three, the last wins
    ign convert --to 3.4.0 node.ign            the same config in another version, or what would be lost
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
    /// Merges configs: the later ones win.
    Merge {
        /// The first config.
        parent: PathBuf,
        /// Configs merged into it, in order.
        #[arg(required = true)]
        children: Vec<PathBuf>,
        /// Says for every value of the result which file set it, instead of printing the result.
        #[arg(long)]
        origins: bool,
    },
    /// Rewrites a config in another version of the specification.
    Convert {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// The version: 1, 2.0.0 to 2.4.0, 3.0.0 to 3.6.0, 3.7.0-experimental.
        #[arg(long)]
        to: String,
        /// Mount points of the filesystems a 2.x config names: NAME=PATH,…
        #[arg(long, value_delimiter = ',')]
        fsmap: Vec<String>,
        /// Drops what the version cannot say, with a warning, instead of failing.
        #[arg(long)]
        allow_loss: bool,
        /// Converts partition sizes between MiB and sectors of 512 octets.
        #[arg(long)]
        sectors: bool,
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
    /// Directory of the local files that YAML refers to.
    #[arg(long, short = 'd')]
    pub(crate) files_dir: Option<PathBuf>,
    /// openshift: prints the Ignition config alone, without its MachineConfig.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Container Linux Config: the platform whose addresses dynamic data stands for.
    #[arg(long)]
    pub(crate) platform: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// Ignition for JSON, Fuze for YAML.
    Auto,
    /// JSON of any specification version.
    Ignition,
    /// The YAML of bootcfg v0.4.0.
    Fuze,
    /// Container Linux Config.
    Clc,
    /// Butane of any variant.
    Butane,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ReportForm {
    /// One line per finding.
    Text,
    /// One JSON object per file.
    Json,
}
