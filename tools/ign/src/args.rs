//! What was typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Validates, merges, converts and transpiles Ignition configs.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Form of the findings: text on standard error, json and sarif on standard output.
    #[arg(long, global = true, value_enum, default_value = "text", env = "IGN_REPORT")]
    pub(crate) report: ReportForm,
    /// How messages other than findings look on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Which findings are shown as text; errors alone, say. What is left out still counts for `--strict`.
    #[arg(long, global = true, value_enum, default_value = "info")]
    pub(crate) log_level: LogLevel,
}

const EXAMPLES: &str = "\
EXAMPLES:
    ign validate node.ign                      say everything that is wrong, with line and column
    ign validate --lint --report sarif *.bu    the same and what looks like a mistake, for a code review
    ign merge base.ign rack.ign node.ign       one config of three, the last wins
    ign convert --to 3.4.0 node.ign            the same config in another version, or what would be lost
    ign transpile -d files base.bu node.bu     Butane to Ignition, the second merged into the first
    ign transpile --dialect fuze node.yaml     Fuze to Ignition 2.0.0, as bootcfg v0.4.0 did
    ign diff old.ign new.ign                   what a machine would notice of a change
    ign explain unit-no-install                what a finding means and what to do
    ign schema fcos-1.5.0                      a JSON Schema for editors

Exits with 0 if all is well, 1 if an input is invalid or differs, 2 if the command line is wrong.";

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
        /// Files; `-` is standard input. The configs of later ones are merged into those of earlier ones.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        source: Source,
        /// Contents are never compressed.
        #[arg(long)]
        no_compression: bool,
    },
    /// Says what differs in meaning between two configs, after they were transpiled.
    Diff {
        /// The first.
        old: PathBuf,
        /// The second.
        new: PathBuf,
        #[command(flatten)]
        source: Source,
    },
    /// Says what the code of a finding means and what to do about it; lists the codes without one.
    Explain {
        /// The code, such as unit-no-install.
        code: Option<String>,
    },
    /// Prints the JSON Schema of a version or dialect.
    Schema {
        /// 1, 2.0.0 to 3.7.0-experimental, VARIANT-VERSION of Butane such as fcos-1.5.0, fuze or clc.
        of: String,
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
    /// openshift: the Ignition config alone, without its MachineConfig.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Container Linux Config: the platform whose addresses dynamic data stands for.
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// Says what looks like a mistake as well: units, quadlets, modes.
    #[arg(long)]
    pub(crate) lint: bool,
    /// Puts VALUE where the YAML says @{NAME}.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// By what the text looks like.
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
    /// The finding, and the line it is about with the place underlined.
    Text,
    /// One JSON object per file.
    Json,
    /// SARIF 2.1.0, one document.
    Sarif,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

/// The later ones show more.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum LogLevel {
    /// Errors.
    Error,
    /// Warnings too.
    Warn,
    /// Everything that is found.
    Info,
    /// The same as info.
    Debug,
    /// The same as info.
    Trace,
}
