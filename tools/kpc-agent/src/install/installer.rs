//! Where a distribution's own installer (preseed, kickstart, autoinstall) does the writing: `kpc-agent grant` asks for the
//! one grant before it, `kpc-agent installed` tells the server after it and leaves behind what the installed system
//! registers with. So such an order erases one disk, once, as any other does.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::rule::{Choice, Rule};
use super::stop::{self, Stop, because};
use super::{grant_for, inventory, open_unused, random};
use crate::args::Args;
use crate::console::{fail, say};
use crate::digest;
use crate::parameters::Parameters;
use crate::server::Server;

/// Where `grant` leaves the device for the installer's script, below the root.
const DISK: &str = "tmp/kpc-disk";
/// Where the installed system finds what it registers with.
const CREDENTIALS: &str = "etc/kpc/kpc.json";
const PROGRAM: &str = "usr/local/bin/kpc-agent";
const UNIT: &str = "etc/systemd/system/kpc-register.service";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/kpc-register.service";
const SERVICE: &str = "\
[Unit]
Description=Tell the deploy host where this machine is
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/local/bin/kpc-agent register --from /etc/kpc/kpc.json
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
";

/// `kpc-agent grant`.
pub(crate) fn grant(args: &Args, parameters: &Parameters) -> ExitCode {
    carried_out(parameters, |server| {
        let answer = server.call("/v1/claim", &json!({ "claim": server.claim }))?.value;
        server.tell("agent", concat!("kpc-agent ", env!("CARGO_PKG_VERSION"), ", for the installer"));
        let disks = inventory(&args.places, server)?;
        let named = |field: &str| answer.get(field).and_then(Value::as_str).map(str::to_owned);
        let wipe = named("wipe");
        let choice = match named("disk").or_else(|| wipe.clone()) {
            Some(serial) => Choice::Serial(serial),
            None => Choice::Rule { rule: Rule::parse("only")?, min_octets: 0 },
        };
        let chosen = choice.choose(&disks).map_err(because("no-disk-fits"))?;
        let node = args.places.dev.join(&chosen.name);
        drop(open_unused(&node)?); // the installer opens it itself
        grant_for(server, chosen, wipe.as_deref())?;
        put(&args.root.join(DISK), format!("{}\n", node.display()).as_bytes(), 0o644)?;
        say(format!("granted: {} may be written now", chosen.serial));
        server.tell("writing", "0 % by the distribution's installer");
        Ok(())
    })
}

/// `kpc-agent installed`.
pub(crate) fn installed(args: &Args, parameters: &Parameters) -> ExitCode {
    carried_out(parameters, |server| {
        let key = digest::hex(&random::<32>()?);
        let credentials = json!({ "server": server.url, "claim": server.claim, "key": key }).to_string();
        put(&args.root.join(CREDENTIALS), credentials.as_bytes(), 0o600)?;
        let program = fs::read("/proc/self/exe").map_err(|error| format!("this program: {error}"))?;
        put(&args.root.join(PROGRAM), &program, 0o755)?;
        put(&args.root.join(UNIT), SERVICE.as_bytes(), 0o644)?;
        let wanted = args.root.join(WANTED);
        if let Some(folder) = wanted.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        // An installer that is run again finds it there.
        let _ = fs::remove_file(&wanted);
        symlink("/etc/systemd/system/kpc-register.service", &wanted)
            .map_err(|error| format!("{}: {error}", wanted.display()))?;
        server.call("/v1/report", &server.report("done", "by the distribution's installer"))?;
        say("installed");
        server.tell("reboot", "");
        Ok(())
    })
}

/// Runs it under this boot's claim; what stops it is told to the server, where the order ends with these words.
fn carried_out(parameters: &Parameters, work: impl FnOnce(&Server) -> Result<(), Stop>) -> ExitCode {
    let Some(server) = stop::server(parameters) else {
        fail("no kpc.server= and kpc.claim= on the kernel's command line: nothing is ordered for this boot");
        return ExitCode::FAILURE;
    };
    match work(&server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            stop.tell(&server);
            ExitCode::FAILURE
        }
    }
}

fn put(path: &Path, octets: &[u8], mode: u32) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(said)?;
    }
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(mode).open(path).map_err(said)?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(said)?;
    file.write_all(octets).map_err(said)
}
