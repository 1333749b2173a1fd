//! `kpc init`: from a bare host to one that serves. Everything is looked at first and told; then what is missing is
//! written, and nothing that is there is replaced, neither a key nor an edit.

mod authority;
mod dhcp_options;
mod files;
mod from_kpc;
pub(crate) mod hear;
pub(crate) mod network;
mod ssh;
mod units;

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Failure;
use crate::args::{Common, Init};
use crate::verbs::say;
use files::Written;
use network::Interface;

/// Everything that `init` found and did.
#[derive(Debug, Serialize)]
struct Told {
    interface: Interface,
    dhcp: hear::Heard,
    ssh_keys: Vec<ssh::Key>,
    files: Vec<Written>,
    firewall: Vec<String>,
    warnings: Vec<String>,
    start: String,
}

/// The verb.
pub(crate) fn init(common: &Common, arguments: &Init) -> Result<u8, Failure> {
    let interface = choose(arguments)?;
    if arguments.print_dhcp_options {
        say(dhcp_options::text(&interface).trim_end())?;
        return Ok(0);
    }
    let keys = ssh::keys(arguments).map_err(Failure::Configuration)?;
    let line = |word: &str, text: &str| {
        if arguments.json { Ok(()) } else { say(format_args!("  {word:<10} {text}")) }
    };
    line("interface", &interface.to_string())?;
    let heard = hear::listen(&interface, arguments.listen);
    line("DHCP", &heard.dhcp_words())?;
    line("PXE", &heard.pxe_words(arguments.listen))?;
    for (at, key) in keys.iter().enumerate() {
        line(if at == 0 { "ssh keys" } else { "" }, &key.to_string())?;
    }
    if keys.is_empty() {
        line("ssh keys", "none: nobody may log in by SSH on installed machines")?;
    }
    let mut warnings = heard.warnings();
    warnings.extend(network::bmc_warnings(arguments, &interface));
    let data = common.data_dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/kpc"));
    if !arguments.yes && !agreed(&common.config, &data)? {
        eprintln!("nothing was changed");
        return Ok(1);
    }
    let plan = Plan {
        config: absolute(&common.config)?,
        data: absolute(&data)?,
        socket: common.socket.clone(),
        user: arguments.user.clone().unwrap_or_else(account),
        interface,
        keys,
    };
    let mut written = files::write(&plan, arguments)?;
    written.extend(authority::write(&plan.data.join("tls"), &plan.interface)?);
    if let Some(checkout) = &arguments.from_kpc {
        let taken = from_kpc::take(checkout, &plan.data.join("bootcfg"), &plan.keys)?;
        written.extend(taken.files);
        warnings.extend(taken.notes);
    }
    written.extend(units::write(&plan, arguments)?);
    let start = units::start(&plan, arguments)?;
    let told = Told {
        firewall: network::firewall(&plan.interface),
        interface: plan.interface,
        dhcp: heard,
        ssh_keys: plan.keys,
        files: written,
        warnings,
        start,
    };
    tell(&told, arguments.json)?;
    Ok(0)
}

/// What will be written, decided once.
#[derive(Debug)]
struct Plan {
    config: PathBuf,
    data: PathBuf,
    socket: Option<PathBuf>,
    user: String,
    interface: Interface,
    keys: Vec<ssh::Key>,
}

/// The interface that was named, or the only one there is; with several, a person says which.
fn choose(arguments: &Init) -> Result<Interface, Failure> {
    let all = network::interfaces().map_err(Failure::Other)?;
    let listed = || {
        let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
        lines.join("; ")
    };
    if let Some(name) = &arguments.interface {
        let found = all.iter().find(|interface| interface.name == *name).cloned();
        return found.ok_or_else(|| {
            Failure::Configuration(format!(
                "no interface {name} with an IPv4 address; there are: {}",
                listed()
            ))
        });
    }
    match all.as_slice() {
        [] => Err(Failure::Configuration(
            "no interface has an IPv4 address; give one an address on the machines' network first".to_owned(),
        )),
        [only] => Ok(only.clone()),
        _ if arguments.yes || !std::io::stdin().is_terminal() => Err(Failure::Configuration(format!(
            "which interface is on the machines' network? say it with --interface IF; there are: {}",
            listed()
        ))),
        several => {
            for (at, interface) in several.iter().enumerate() {
                eprintln!("  {} {interface}", at + 1);
            }
            eprint!("which one is on the machines' network? [1-{}] ", several.len());
            let mut answer = String::new();
            std::io::stdin().lock().read_line(&mut answer).map_err(|error| error.to_string())?;
            let chosen = answer.trim().parse::<usize>().ok().and_then(|at| several.get(at.checked_sub(1)?));
            chosen.cloned().ok_or_else(|| Failure::Other(format!("`{}` is none of them", answer.trim())))
        }
    }
}

fn agreed(config: &Path, data: &Path) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Other("nobody to ask; say --yes to go on without a question".to_owned()));
    }
    eprint!("write {} and {}, and start the server? [y/N] ", config.display(), data.display());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The package's own account where it exists.
fn account() -> String {
    let ours = nix::unistd::User::from_name("kpc").ok().flatten().is_some();
    if ours { "kpc" } else { "nobody" }.to_owned()
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

fn tell(told: &Told, json: bool) -> Result<(), Failure> {
    if json {
        say(serde_json::to_string_pretty(told).map_err(|error| error.to_string())?)?;
        return Ok(());
    }
    for written in &told.files {
        let note = written.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
        say(format_args!("  {:<10} {}{note}", written.what.word(), written.path.display()))?;
    }
    for warning in &told.warnings {
        say(format_args!("  warning    {warning}"))?;
    }
    say("  firewall   unchanged; where one drops packets, it needs:")?;
    for line in &told.firewall {
        say(format_args!("               {line}"))?;
    }
    say(format_args!("  start      {}", told.start))?;
    Ok(())
}
