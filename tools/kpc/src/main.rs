//! `kpc`: composes the libraries into one program, from powered-off machines to registered nodes. `main` turns what was
//! typed into one verb and its outcome into an exit code; everything else is in the modules.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool talks to a person")]

mod api;
mod args;
mod assets;
mod bmc;
mod client;
mod config;
mod doctor;
mod init;
mod lab;
mod serve;
mod verbs;

use std::process::ExitCode;

/// musl's own allocator has one lock for all threads and gives what is freed back at once: a thousand machines that boot
/// take nearly twice the time.
#[cfg(all(target_env = "musl", target_pointer_width = "64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use args::{Arguments, Bmc, Common, Disk, Lab, Machine, Var, Verb};
use client::Client;
use verbs::Verdict;

fn main() -> ExitCode {
    let arguments = Arguments::read();
    if let Err(error) = log(&arguments.common) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    // The lab holds the passwords of its own machines alone, and its namespaces need what this takes.
    if !matches!(arguments.verb, Verb::Lab(_) | Verb::LabSupervisor(_))
        && let Err(error) = daemon::privileges::make_no_core()
    {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(Failure::Configuration(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(daemon::CONFIGURATION)
        }
        Err(Failure::Other(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, or something that it names, cannot be used.
    Configuration(String),
    /// Anything else.
    Other(String),
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Other(error)
    }
}

fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let common = &arguments.common;
    match &arguments.verb {
        Verb::Serve(serve) => {
            let config = config::load(common).map_err(Failure::Configuration)?;
            Ok(serve::serve(serve, &config)?)
        }
        Verb::Bmc(Bmc::Keep) => {
            let config = config::load(common).map_err(Failure::Configuration)?;
            bmc::keep(&config)
        }
        Verb::Init(arguments) => init::init(common, arguments),
        Verb::Assets(verb) => assets::assets(common, verb),
        Verb::Doctor(doctor) => doctor::doctor(common, doctor),
        Verb::Restore(copy) => {
            let config = config::load(common).map_err(Failure::Configuration)?;
            verbs::restore(&config, copy)
        }
        Verb::Completions(completions) => Ok(completions.print()),
        Verb::Lab(Lab::Up(up)) => Ok(lab::up(up)?),
        Verb::Lab(Lab::Down(down)) => Ok(lab::down(down)?),
        Verb::LabSupervisor(up) => Ok(lab::supervise(up)?),
        verb => {
            let client = Client::new(&config::socket(common).map_err(Failure::Configuration)?);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            Ok(runtime.block_on(ask(&client, common, verb))?)
        }
    }
}

/// The verbs that talk to a running server.
async fn ask(client: &Client, common: &Common, verb: &Verb) -> Verdict {
    // A verb that only needs the socket goes on without the file, which may be the server's alone to read.
    let config = || config::load(common).ok();
    match verb {
        Verb::Bmc(Bmc::Scan(arguments)) => bmc::scan(client, config().as_ref(), arguments).await,
        Verb::Console(arguments) => bmc::console(client, config().as_ref(), arguments).await,
        Verb::Machine(Machine::Import(import)) => verbs::import(client, import).await,
        Verb::Machine(Machine::Label(label)) => verbs::label(client, label).await,
        Verb::Machine(Machine::Rename(rename)) => verbs::rename(client, rename).await,
        Verb::Machine(Machine::Replace(replace)) => verbs::replace(client, replace).await,
        Verb::Why(why) => verbs::why(client, why).await,
        Verb::Check(listing) => verbs::check(client, listing).await,
        Verb::Events(events) => verbs::events(client, events).await,
        Verb::Discover(discover) => verbs::discover(client, discover).await,
        Verb::Var(Var::Set(set)) => verbs::var_set(client, set).await,
        Verb::Var(Var::Unset(unset)) => verbs::var_unset(client, unset).await,
        Verb::Disk(Disk::Set(set)) => verbs::disk_set(client, set).await,
        Verb::Backup(copy) => verbs::backup(client, copy).await,
        Verb::Machine(Machine::Add(add)) => verbs::add(client, add).await,
        Verb::Machine(Machine::Retire(selected)) => verbs::retire(client, selected).await,
        Verb::Provision(provision) => verbs::provision(client, provision).await,
        Verb::Reinstall(reinstall) => verbs::reinstall(client, reinstall).await,
        Verb::Cancel(selected) => verbs::cancel(client, selected).await,
        Verb::Retry(selected) => verbs::retry(client, selected).await,
        Verb::Adopt(selected) => verbs::adopt(client, selected).await,
        Verb::Resolve(selected) => verbs::resolve(client, selected).await,
        Verb::Status(listing) => verbs::status(client, listing).await,
        Verb::Show(show) => verbs::show(client, show).await,
        Verb::Watch(watch) => {
            let ending = if watch.until_done { verbs::Ending::WhenDone } else { verbs::Ending::Never };
            let look = if watch.json { verbs::Look::Json } else { verbs::Look::Text };
            verbs::follow(client, ending, &[], look).await
        }
        Verb::Inventory(inventory) => verbs::inventory(client, common, inventory).await,
        Verb::Power(power) => verbs::power(client, power).await,
        Verb::Init(_)
        | Verb::Bmc(Bmc::Keep)
        | Verb::Assets(_)
        | Verb::Serve(_)
        | Verb::Doctor(_)
        | Verb::Restore(_)
        | Verb::Completions(_)
        | Verb::Lab(_)
        | Verb::LabSupervisor(_) => Err("not a verb for the server".to_owned()),
    }
}

fn log(common: &Common) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_new(&common.log_level)
        .map_err(|error| format!("--log-level {}: {error}", common.log_level))?;
    daemon::log::start_filtered(common.log_format, filter);
    Ok(())
}
