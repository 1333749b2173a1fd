//! ipmitool's commands for one host: words to requests, answers to ipmitool's text.

mod chassis;
mod many;
mod mc;
mod raw;

use std::process::ExitCode;

use ipmi::driver::{Bmc, BmcConfig, BmcError};

use crate::options::Options;
use crate::{output, target};

/// Why a command ended badly: already told (`None`), or a text to tell.
pub(crate) struct Failed(pub(crate) Option<String>);

impl From<BmcError> for Failed {
    fn from(error: BmcError) -> Self {
        Self(Some(error.to_string()))
    }
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

/// What every command gets.
pub(crate) struct Context {
    pub(crate) bmc: Bmc,
}

/// Reads options and command, opens a session, runs, closes.
pub(crate) async fn run(arguments: Vec<String>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(stop) if stop.code == 0 => {
            output::line(&stop.text);
            return ExitCode::SUCCESS;
        }
        Err(stop) => return output::fail(&stop.text),
    };
    match execute(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(None)) => ExitCode::from(1),
        Err(Failed(Some(text))) => output::fail(&text),
    }
}

async fn execute(options: &Options) -> Result<(), Failed> {
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    let Some((group, rest)) = words.split_first() else {
        return Err(String::from("no command given; see ipmi --help").into());
    };
    let host = options.host.as_deref().ok_or_else(|| String::from("no host given: add -H HOST"))?;
    check(group, rest)?;
    let session = options.session()?;
    let hosts = many::hosts(host)?;
    let [host] = hosts.as_slice() else {
        return many::run(options, session, &hosts, group, rest).await;
    };
    let addr = target::resolve(host, options.port).await?;
    let mut context = Context { bmc: Bmc::connect(BmcConfig { addr, session }).await? };
    let outcome = match *group {
        "chassis" => chassis::run(&mut context, rest).await,
        "power" => chassis::power(&mut context, rest).await,
        "mc" | "bmc" => mc::run(&mut context, rest).await,
        _ => raw::run(&mut context, rest).await,
    };
    context.bmc.close().await;
    outcome
}

/// Refuses unknown commands before a session is opened.
fn check(group: &str, rest: &[&str]) -> Result<(), Failed> {
    match group {
        "chassis" => chassis::check(rest),
        "power" => chassis::check_power(rest),
        "mc" | "bmc" => mc::check(rest),
        "raw" => Ok(()),
        _ => Err(format!("Invalid command: {group}").into()),
    }
}
