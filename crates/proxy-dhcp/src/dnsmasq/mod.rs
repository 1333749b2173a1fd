//! Reads the proxy flags of dnsmasq 2.90 and gives the policy that answers alike.
//!
//! Engine layer: text in, values out. dnsmasq's tags become conditions, its services one menu, `dhcp-boot` rules
//! behind it. Where dnsmasq's answer is wrong ours differs: the front page lists how.

mod tags;
mod words;

use crate::menu::{Choice, FIRST_TYPE, Menu, MenuItem, Prompt};
use crate::policy::{Builder, Policy};
use crate::program::{BootProgram, Form};
use crate::rule::{Answer, Condition, Patience, Rule};
use crate::wire::ClientArch;
use std::net::Ipv4Addr;
use std::time::Duration;
use tags::Tags;

/// A flag that cannot be translated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("--{flag}={value}: {problem}")]
pub struct FlagError {
    flag: String,
    value: String,
    problem: String,
}

/// What a dnsmasq command line says about network boot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Translation {
    /// The policy that answers alike.
    pub policy: Policy,
    /// `--interface`.
    pub interfaces: Vec<String>,
    /// `--tftp-root`, which is `tftpd`'s business.
    pub tftp_root: Option<String>,
    /// Flags that were left out, each with the reason.
    pub notes: Vec<String>,
}

/// Flags of dnsmasq that say nothing about network boot.
const SILENT: &[&str] = &[
    "keep-in-foreground",
    "no-daemon",
    "log-queries",
    "log-dhcp",
    "log-facility",
    "log-debug",
    "quiet-dhcp",
    "port",
    "conf-file",
    "conf-dir",
    "user",
    "group",
    "pid-file",
    "bind-interfaces",
    "bind-dynamic",
    "no-hosts",
    "no-resolv",
    "enable-tftp",
    "dhcp-no-override",
    "except-interface",
    "listen-address",
    "dhcp-authoritative",
    "no-ping",
];

/// Short flags and the long ones they stand for.
const SHORT: &[(char, &str, bool)] = &[
    ('F', "dhcp-range", true),
    ('M', "dhcp-boot", true),
    ('U', "dhcp-vendorclass", true),
    ('j', "dhcp-userclass", true),
    ('J', "dhcp-ignore", true),
    ('O', "dhcp-option", true),
    ('G', "dhcp-host", true),
    ('4', "dhcp-mac", true),
    ('i', "interface", true),
    ('p', "port", true),
    ('k', "keep-in-foreground", false),
    ('d', "no-daemon", false),
    ('q', "log-queries", false),
    ('h', "no-hosts", false),
    ('R', "no-resolv", false),
    ('z', "bind-interfaces", false),
    ('u', "user", true),
    ('C', "conf-file", true),
    ('K', "dhcp-authoritative", false),
    ('5', "no-ping", false),
];

/// Translates a command line. `resolve` turns the names of boot servers into addresses.
///
/// ```
/// # use proxy_dhcp::dnsmasq;
/// let flags = "--dhcp-range=10.0.0.0,proxy --dhcp-userclass=set:ipxe,iPXE \
///     --pxe-service=tag:#ipxe,x86PC,\"PXE chainload to iPXE\",undionly.kpxe \
///     --pxe-service=tag:ipxe,x86PC,iPXE,http://10.0.0.2:8080/boot.ipxe";
/// let translation = dnsmasq::translate(flags, &|_| None)?;
/// assert_eq!(translation.policy.rules().len(), 1);
/// # Ok::<(), dnsmasq::FlagError>(())
/// ```
///
/// # Errors
/// A flag about network boot that has no meaning here or cannot be read.
pub fn translate(line: &str, resolve: &dyn Fn(&str) -> Option<Ipv4Addr>) -> Result<Translation, FlagError> {
    let mut reader = Reader::new(resolve);
    let flags = words::flags(line, SHORT);
    // Tags first: a service may use a tag that a later flag sets.
    for (flag, value) in &flags {
        reader.tags.read(flag, value).map_err(|problem| error(flag, value, problem))?;
    }
    for (flag, value) in &flags {
        reader.flag(flag, value).map_err(|problem| error(flag, value, problem))?;
    }
    Ok(reader.finish())
}

fn error(flag: &str, value: &str, problem: String) -> FlagError {
    FlagError { flag: flag.to_owned(), value: value.to_owned(), problem }
}

struct Reader<'a> {
    resolve: &'a dyn Fn(&str) -> Option<Ipv4Addr>,
    tags: Tags,
    out: Translation,
    ignored: Vec<Condition>,
    items: Vec<MenuItem>,
    prompt: Option<Prompt>,
    boots: Vec<(bool, Condition, BootProgram)>,
    delay: Duration,
}

impl<'a> Reader<'a> {
    fn new(resolve: &'a dyn Fn(&str) -> Option<Ipv4Addr>) -> Self {
        Self {
            resolve,
            tags: Tags::default(),
            out: Translation::default(),
            ignored: Vec::new(),
            items: Vec::new(),
            prompt: None,
            boots: Vec::new(),
            delay: Duration::ZERO,
        }
    }

    fn flag(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "dhcp-range" if value.split(',').any(|word| word == "proxy") => {}
            "dhcp-range" => self.note(flag, value, "leases addresses, which the existing DHCP server does"),
            "interface" => self.out.interfaces.extend(value.split(',').map(str::to_owned)),
            "tftp-root" => self.out.tftp_root = value.split(',').next().map(str::to_owned),
            "pxe-service" => self.service(value)?,
            "pxe-prompt" => {
                let (_, rest) = self.tags.condition(value);
                let (text, timeout) = rest.rsplit_once(',').map_or((rest, None), |(text, timeout)| {
                    timeout.trim().parse().map_or((rest, None), |seconds: u8| (text, Some(seconds)))
                });
                self.prompt = Some(Prompt { text: text.to_owned(), timeout: timeout.unwrap_or(255) });
            }
            "dhcp-boot" => {
                let (when, rest) = self.tags.condition(value);
                let mut words = rest.split(',');
                let file = words.next().filter(|file| !file.is_empty()).ok_or("no file")?;
                let (_name, server) = (words.next(), words.next());
                let program = self.with_server(BootProgram::new(file), server)?;
                self.boots.push((when == Condition::default(), when, program));
            }
            "dhcp-ignore" => {
                let (when, _) = self.tags.condition(value);
                self.ignored.push(when);
            }
            "dhcp-reply-delay" => {
                let (_, seconds) = self.tags.condition(value);
                self.delay = Duration::from_secs(seconds.parse().map_err(|_| "not a number of seconds")?);
            }
            "dhcp-host" if value.split(',').any(|word| word == "ignore") => {
                self.ignored.push(self.tags.condition("tag:ignore-host").0);
            }
            "dhcp-pxe-vendor" | "dhcp-host" => {} // HTTP Boot needs no flag here; hosts were read as tags
            _ if tags::FLAGS.contains(&flag) || SILENT.contains(&flag) => {}
            _ => self.note(flag, value, "is not about network boot, or not known"),
        }
        Ok(())
    }

    fn note(&mut self, flag: &str, value: &str, why: &str) {
        let equals = if value.is_empty() { "" } else { "=" };
        self.out.notes.push(format!("--{flag}{equals}{value} {why}"));
    }

    /// `[tag:…,]CSA,text[,basename|type[,server]]`
    fn service(&mut self, value: &str) -> Result<(), String> {
        let (mut when, rest) = self.tags.condition(value);
        let mut words = rest.split(',');
        let arch = architecture(words.next().unwrap_or_default().trim())
            .ok_or("no such client system architecture")?;
        let text = words.next().ok_or("no menu text")?.to_owned();
        let (what, server) = (words.next().unwrap_or_default(), words.next());
        when.archs = vec![arch];
        let (server_type, choice) = match what.parse::<u16>() {
            Ok(0) => (0, Choice::LocalBoot),
            Ok(number) => (number, Choice::Elsewhere(server.map(|server| self.address(server)).transpose()?)),
            Err(_) if what.is_empty() => (0, Choice::LocalBoot),
            Err(_) => {
                let named = self.items.iter().filter(|item| matches!(item.choice, Choice::Boot(_))).count();
                let suffix = if what.contains('.') { "" } else { ".0" };
                let form = if arch.is_bios() || arch.is_http() { Form::Auto } else { Form::Binl };
                let program = BootProgram::new(format!("{what}{suffix}")).form(form);
                let number = u16::try_from(named).map_err(|_| "too many services")?;
                (FIRST_TYPE.saturating_add(number), Choice::Boot(self.with_server(program, server)?))
            }
        };
        self.items.push(MenuItem { server_type, text, when, choice });
        Ok(())
    }

    fn with_server(&self, program: BootProgram, server: Option<&str>) -> Result<BootProgram, String> {
        match server.filter(|server| !server.is_empty()) {
            Some(server) => Ok(program.server(self.address(server)?)),
            None => Ok(program),
        }
    }

    fn address(&self, server: &str) -> Result<Ipv4Addr, String> {
        let known = server.parse().ok().or_else(|| (self.resolve)(server));
        known.ok_or_else(|| {
            format!("`{server}` has no IPv4 address: write its address, or add it to /etc/hosts")
        })
    }

    fn finish(mut self) -> Translation {
        let patience = Patience { delay: self.delay, min_secs: 0 };
        let mut builder = Builder::default();
        for when in self.ignored {
            builder =
                builder.rule(Rule::new("--dhcp-ignore", when, Answer::Silent("--dhcp-ignore".to_owned())));
        }
        if !self.items.is_empty() {
            let menu = Answer::Menu(Menu { items: self.items, prompt: self.prompt });
            builder =
                builder.rule(Rule { patience, ..Rule::new("--pxe-service", Condition::default(), menu) });
        }
        self.boots.sort_by_key(|(untagged, ..)| *untagged); // those with tags first, each kind in its order
        for (_, when, program) in self.boots {
            builder =
                builder.rule(Rule { patience, ..Rule::new("--dhcp-boot", when, Answer::Boot(program)) });
        }
        Translation { policy: builder.build(), ..self.out }
    }
}

/// dnsmasq's names of client system architectures, or a number.
fn architecture(name: &str) -> Option<ClientArch> {
    const NAMES: &[(&str, u16)] = &[
        ("x86PC", 0),
        ("PC98", 1),
        ("IA64_EFI", 2),
        ("Alpha", 3),
        ("Arc_x86", 4),
        ("Intel_Lean_Client", 5),
        ("IA32_EFI", 6),
        ("x86-64_EFI", 7),
        ("Xscale_EFI", 8),
        ("BC_EFI", 9),
        ("ARM32_EFI", 10),
        ("ARM64_EFI", 11),
    ];
    let named = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, code)| *code);
    named.or_else(|| name.parse().ok()).map(ClientArch::from_code)
}
