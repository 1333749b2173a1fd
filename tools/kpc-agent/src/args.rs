//! What was typed. The agent is carried into every machine, so it reads its few options by hand.

use std::path::PathBuf;

use crate::console::{Form, Level};
use crate::install::Places;

const HELP: &str = "\
The program in the booted system that makes a machine what its config says.

It reads its parameters from the kernel's command line. Role live: it fetches the
Ignition config, writes files, units, keys and the host name, registers and stays.
Role install: it reports disks, BMC and SMBIOS, chooses the disk by the order's rule,
asks for the one grant, writes the image, hands over user data and reboots.
`kpc-agent register` is for the installed system: at every boot it tells the server
where it is, with the key that the installation left on the disk.
`kpc-agent grant` and `kpc-agent installed` are for the scripts of a distribution's
own installer: before it writes, and after.

Usage: kpc-agent [OPTIONS]
       kpc-agent register [OPTIONS]
       kpc-agent grant [OPTIONS]        asks for the one disk, leaves its name in /tmp/kpc-disk
       kpc-agent installed [OPTIONS]    --root names the installed system: tells the server,
                                        leaves there what the system registers with

Options:
      --cmdline FILE   read the parameters from FILE [default: /proc/cmdline]
      --root DIR       write below DIR [default: /]
      --once           end after the registration or installation: no stay, no reboot
      --from FILE      register: the credentials [default: kpc.json of the volume
                       labelled CIDATA or KPC on any disk]
      --sys DIR, --dev DIR   where the kernel shows devices [default: /sys, /dev]
      --log-format FORMAT   text, or json: one object a line [default: text]
      --log-level LEVEL     error, warn, info, debug or trace [default: info]
  -h, --help           this text
  -V, --version        the version

Kernel parameters:
  ignition.config.url=URL   the config (also coreos.config.url=)
  kpc.server=URL            where to report and register
  kpc.claim=SECRET          the claim this boot was given
  kpc.role=install|live     what this boot is for [default: live]
  kpc.kernel=URL kpc.ramdisk=URL   fetched again and measured

EXAMPLES
  kpc-agent
      what the initrd's /init runs
  echo ignition.config.url=http://10.0.0.1:8080/ignition?mac=52-54-00-00-00-01 > params
  kpc-agent --cmdline params --root /tmp/tree --once
      write a config's files below /tmp/tree and print their digests
  kpc-agent register --once
      what a unit of the installed system runs at every boot

Exit status: 0 good, 1 failed, 2 usage.
";

/// What to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// The work.
    Run(Args),
    /// Tell the server where the installed system is.
    Register(Args),
    /// Ask for the grant, before a distribution's own installer writes.
    Grant(Args),
    /// Tell the server that it has written.
    Installed(Args),
    /// Print a text and end.
    Say(String),
}

/// How to do the work.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Args {
    /// The kernel's command line.
    pub(crate) cmdline: PathBuf,
    /// Everything is written below.
    pub(crate) root: PathBuf,
    /// End after the registration.
    pub(crate) once: bool,
    /// Where the credentials of a registration are, if not on a disk's volume.
    pub(crate) from: Option<PathBuf>,
    /// Where the kernel shows devices.
    pub(crate) places: Places,
    /// What is said on the console, and how.
    pub(crate) form: Form,
}

impl Args {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, String> {
        let (cmdline, root) = ("/proc/cmdline".into(), "/".into());
        let places = Places { sys: "/sys".into(), dev: "/dev".into() };
        let mut args = Self { cmdline, root, once: false, from: None, places, form: Form::default() };
        let mut words = words.peekable();
        let verb = words.next_if(|word| ["register", "grant", "installed"].contains(&word.as_str()));
        while let Some(word) = words.next() {
            let (name, given) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            let mut value =
                || given.clone().or_else(|| words.next()).ok_or(format!("{name} needs a value; see --help"));
            match name.as_str() {
                "--cmdline" => args.cmdline = value()?.into(),
                "--root" => args.root = value()?.into(),
                "--from" => args.from = Some(value()?.into()),
                "--sys" => args.places.sys = value()?.into(),
                "--dev" => args.places.dev = value()?.into(),
                "--once" => args.once = true,
                "--log-format" => {
                    args.form.json = match value()?.as_str() {
                        "text" => false,
                        "json" => true,
                        other => return Err(format!("--log-format {other}: write text or json")),
                    }
                }
                "--log-level" => {
                    args.form.level = match value()?.as_str() {
                        "error" => Level::Error,
                        "warn" => Level::Warn,
                        "info" | "debug" | "trace" => Level::Info,
                        other => {
                            return Err(format!(
                                "--log-level {other}: write error, warn, info, debug or trace"
                            ));
                        }
                    }
                }
                "-h" | "--help" => return Ok(Command::Say(HELP.trim_end().to_owned())),
                "-V" | "--version" => {
                    return Ok(Command::Say(concat!("kpc-agent ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                _ => return Err(format!("unknown option {word}; see --help")),
            }
        }
        Ok(match verb.as_deref() {
            Some("register") => Command::Register(args),
            Some("grant") => Command::Grant(args),
            Some("installed") => Command::Installed(args),
            _ => Command::Run(args),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Command, String> {
        Args::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_in_both_forms() {
        let Ok(Command::Run(args)) = parse("--cmdline=/a --root /b --once") else { panic!() };
        assert_eq!((args.cmdline, args.root, args.once), ("/a".into(), "/b".into(), true));
        assert!(matches!(parse("--help"), Ok(Command::Say(text)) if text.contains("EXAMPLES")));
        let Ok(Command::Run(args)) = parse("--log-format json --log-level=warn") else { panic!() };
        assert_eq!(args.form, Form { json: true, level: Level::Warn });
        assert!(parse("--log-format xml").unwrap_err().contains("text or json"));
        assert!(parse("--log-level loud").unwrap_err().contains("--log-level loud"));
        assert!(parse("--root").unwrap_err().contains("--root"));
        assert!(parse("extra").is_err());
        let Ok(Command::Register(args)) = parse("register --once --from /a") else { panic!() };
        assert_eq!((args.once, args.from), (true, Some("/a".into())));
        assert!(parse("--once register").is_err());
        assert!(matches!(parse("grant --log-level warn"), Ok(Command::Grant(_))));
        let Ok(Command::Installed(args)) = parse("installed --root /target") else { panic!() };
        assert_eq!(args.root, PathBuf::from("/target"));
    }
}
