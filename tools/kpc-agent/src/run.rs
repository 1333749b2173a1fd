//! The agent's way through one boot: fetch, apply, measure, register, stay. Each step is tried until it succeeds,
//! and says on the console why it did not.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::console::{fail, say, warn};
use crate::facts::Facts;
use crate::parameters::Parameters;
use crate::wanted::Wanted;
use crate::{apply, digest, http, install};

/// An Ignition config or an answer of the server at most.
const LARGEST: u64 = 16 << 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The whole run.
pub(crate) fn run(args: &Args) -> ExitCode {
    let line = match std::fs::read_to_string(&args.cmdline) {
        Ok(line) => line,
        Err(error) => {
            fail(format!("read {}: {error}", args.cmdline.display()));
            return ExitCode::FAILURE;
        }
    };
    let parameters = Parameters::parse(&line);
    if parameters.installs {
        return install::run(args, &parameters);
    }
    report(&parameters, "agent", concat!("kpc-agent ", env!("CARGO_PKG_VERSION")));
    let Some(url) = &parameters.ignition else {
        fail("no ignition.config.url= on the kernel's command line: nothing to do");
        return ExitCode::FAILURE;
    };
    let config = until_done("fetch the config", || http::get(url)?.success(LARGEST));
    let ignition = digest::of(&config);
    say(format!("sha256 ignition {ignition}"));
    report(&parameters, "ignition", &ignition);
    let wanted = match Wanted::parse(&config) {
        Ok(wanted) => wanted,
        Err(error) => {
            // Asking again would bring the same octets: a person has to mend the config.
            fail(format!("the config is not usable: {error}"));
            report(&parameters, "ignition", &format!("failed: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let files = until_done("write what the config says", || apply::apply(&wanted, &args.root));
    for (path, hex) in &files {
        say(format!("sha256 file {path} {hex}"));
    }
    report(&parameters, "files", &format!("{} files", files.len()));
    let hostname = hostname(args);
    let kernel = measure("kernel", parameters.kernel.as_deref());
    let initrd = measure("initrd", parameters.initrd.as_deref());
    let (Some(server), Some(claim)) = (&parameters.server, &parameters.claim) else {
        warn("no kpc.server= and kpc.claim=: not registered");
        return stay(args);
    };
    let facts = Facts::read(&args.places.sys);
    let files: Map<String, Value> = files.into_iter().map(|(path, hex)| (path, Value::String(hex))).collect();
    let registration = json!({
        "claim": claim,
        "uuid": facts.uuid,
        "serial": facts.serial,
        "hostname": hostname,
        "interfaces": facts.interfaces,
        "digests": { "kernel": kernel, "initrd": initrd, "ignition": ignition, "files": files },
        "ssh_host_keys": [],
        "agent_version": env!("CARGO_PKG_VERSION"),
    });
    let answer = until_done("register", || {
        let octets =
            http::post(&format!("{server}/v1/register"), &registration.to_string())?.success(LARGEST)?;
        serde_json::from_slice::<Value>(&octets)
            .map_err(|error| format!("the server's answer is no JSON: {error}"))
    });
    let name = answer.get("name").and_then(Value::as_str).unwrap_or("(without a name)");
    if hostname.is_empty() {
        set_hostname(args, name);
    }
    say(format!("registered as {name}"));
    stay(args)
}

/// Tells the server how far this boot is. It is for people who watch: a report that is lost stops nothing.
fn report(parameters: &Parameters, phase: &str, detail: &str) {
    let (Some(server), Some(claim)) = (&parameters.server, &parameters.claim) else { return };
    let body = json!({ "claim": claim, "phase": phase, "detail": detail });
    let sent = http::post(&format!("{server}/v1/report"), &body.to_string())
        .and_then(|answer| answer.success(LARGEST));
    if let Err(error) = sent {
        warn(format!("report {phase}: {error}"));
    }
}

/// Fetches again what the firmware loaded and says its digest; `null` where there is no URL.
fn measure(what: &str, url: Option<&str>) -> Option<String> {
    let url = url?;
    let hex = until_done(&format!("fetch the {what} again"), || {
        let response = http::get(url)?;
        if response.status != 200 {
            return response.success(LARGEST).map(|_| String::new());
        }
        digest::of_reader(response).map_err(|error| format!("{url}: {error}"))
    });
    say(format!("sha256 {what} {hex}"));
    Some(hex)
}

/// The name that the config gave, made the system's.
fn hostname(args: &Args) -> String {
    let text = std::fs::read_to_string(args.root.join("etc/hostname")).unwrap_or_default();
    let name = text.trim().to_owned();
    if !name.is_empty() {
        set_hostname(args, &name);
    }
    name
}

/// Only in the machine itself, never where a tree is written for a look.
fn set_hostname(args: &Args, name: &str) {
    if args.root != std::path::Path::new("/") {
        return;
    }
    if let Err(error) = std::fs::write("/proc/sys/kernel/hostname", name) {
        warn(format!("set the host name: {error}"));
    }
}

/// Tries until it succeeds; the pauses double up to half a minute.
pub(crate) fn until_done<T>(doing: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => warn(format!("{doing}: {error}; again in {} s", pause.as_secs())),
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The machine is what it should be; the agent is still there for a person who looks.
pub(crate) fn stay(args: &Args) -> ExitCode {
    if args.once {
        return ExitCode::SUCCESS;
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
