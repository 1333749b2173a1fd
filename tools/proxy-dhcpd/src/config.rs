//! What will happen: the flags and the file, joined once. Nothing later reads either.

use crate::args::Args;
use crate::convert;
use crate::file::File;
use proxy_dhcp::driver::ServerConfig;
use proxy_dhcp::{BootProgram, Policy, dnsmasq, origin};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The script of iPXE when none is configured: where bootcfg and matchbox serve it.
const SCRIPT: &str = "http://{server}:8080/boot.ipxe";

/// Everything the program needs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) policy: Policy,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: [boot] {name}: {source}", path.display())]
    Arch { path: PathBuf, name: String, source: proxy_dhcp::wire::UnknownArchName },
    #[error("{}: [[rule]] {number}{}: {problem}", path.display(), name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default())]
    Rule { path: PathBuf, number: usize, name: Option<String>, problem: String },
    #[error("{}: tftp-server: {problem}", path.display())]
    TftpServer { path: PathBuf, problem: String },
    #[error("--dnsmasq: {0}")]
    Dnsmasq(#[from] dnsmasq::FlagError),
    #[error("writing the file: {0}")]
    Write(#[from] toml::ser::Error),
}

impl Config {
    /// Joins flags and file; a flag beats the file's key.
    pub(crate) fn new(args: &Args) -> Result<Self, ConfigError> {
        let path = args.config.clone().unwrap_or_default();
        let file = match &args.config {
            Some(path) => read(path.clone())?,
            None => File::default(),
        };
        let policy = policy(args, &file, &path)?;
        let server = ServerConfig {
            interfaces: if args.interface.is_empty() { file.interfaces } else { args.interface.clone() },
            answer_router_solicitations: args.answer_router_solicitations || file.answer_router_solicitations,
            bind_dhcp_port: args.bind_port_67 || file.bind_port_67,
            drain: Duration::from_secs(args.drain),
            ..ServerConfig::default()
        };
        Ok(Self { server, policy })
    }
}

fn policy(args: &Args, file: &File, path: &Path) -> Result<Policy, ConfigError> {
    let mut builder = Policy::builder();
    let mut next_type = 0;
    for (number, table) in (1..).zip(&file.rules) {
        let rule = convert::rule(table, number, &mut next_type).map_err(|problem| ConfigError::Rule {
            path: path.to_path_buf(),
            number,
            name: table.name.clone(),
            problem,
        })?;
        builder = builder.rule(rule);
    }
    for (name, program) in &file.boot {
        let arch = name.parse().map_err(|source| {
            ConfigError::Arch { path: path.to_path_buf(), name: name.clone(), source } //
        })?;
        builder = builder.boot(arch, BootProgram::new(program));
    }
    for (arch, program) in &args.boot {
        builder = builder.boot(*arch, BootProgram::new(program));
    }
    let server = args.tftp_server.map(|address| address.to_string()).or_else(|| file.tftp_server.clone());
    if let Some(server) = server {
        let problem = |problem| ConfigError::TftpServer { path: path.to_path_buf(), problem };
        builder = builder.tftp_server(convert::address(&server).map_err(problem)?);
    }
    for relay in file.relays.iter().chain(&args.relay) {
        builder = builder.relay(*relay).routed_clients(true);
    }
    let defaults = file.defaults.unwrap_or(true);
    let script = args.ipxe_script.clone().or_else(|| file.ipxe_script.clone());
    if let Some(script) = script.or_else(|| defaults.then(|| SCRIPT.to_owned())) {
        if let Some(origin) = origin(&script).filter(|_| defaults) {
            builder = builder.default_http_loaders(&format!("{origin}/assets"));
        }
        builder = builder.ipxe_script(script);
    }
    Ok(if defaults { builder.default_loaders().build() } else { builder.build() })
}

/// The configuration file that stands for dnsmasq's flags, with what was left out as comments.
pub(crate) fn from_dnsmasq(flags: &str) -> Result<String, ConfigError> {
    let translation = dnsmasq::translate(flags, &convert::resolve)?;
    let file = File {
        interfaces: translation.interfaces,
        defaults: Some(false),
        rules: translation.policy.rules().iter().map(convert::table).collect(),
        ..File::default()
    };
    let mut text =
        String::from("# proxy-dhcpd --config FILE: what dnsmasq's flags say about network boot.\n");
    for note in translation.notes {
        text += &format!("# left out: {}\n", note.replace('\n', " "));
    }
    if let Some(root) = translation.tftp_root {
        text += &format!("# files: tftpd --root {root}\n");
    }
    Ok(text + &toml::to_string(&file)?)
}

fn read(path: PathBuf) -> Result<File, ConfigError> {
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn config(text: &str) -> Result<Config, ConfigError> {
        let file =
            std::env::temp_dir().join(format!("proxy-dhcpd-{}-{}.toml", std::process::id(), text.len()));
        std::fs::write(&file, text).unwrap();
        let config = Config::new(&Args::parse_from(["proxy-dhcpd", "--config", file.to_str().unwrap()]));
        std::fs::remove_file(&file).unwrap();
        config
    }

    #[test]
    fn what_dnsmasq_becomes_reads_back_as_the_same_policy() {
        let flags = "--dhcp-range=10.0.0.1,proxy --dhcp-userclass=set:ipxe,iPXE --dhcp-match=set:b,option:client-arch,0 \
            --dhcp-mac=set:lab,52:54:*:*:*:* --dhcp-ignore=tag:!lab,tag:b --dhcp-reply-delay=1 --pxe-prompt=Choose,9 \
            --pxe-service=tag:#ipxe,x86PC,Chain,undionly.kpxe --pxe-service=x86PC,Other,17,10.0.0.9 \
            --pxe-service=x86PC,Disk,0 --dhcp-boot=tag:ipxe,http://10.0.0.1/x,,10.0.0.1 -i eth0 --tftp-root=/srv";
        let text = from_dnsmasq(flags).unwrap();
        let again = config(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let policy = dnsmasq::translate(flags, &convert::resolve).unwrap().policy;
        assert_eq!(again.policy, policy, "{text}");
        assert_eq!(again.server.interfaces, ["eth0"]);
        assert!(text.contains("tftpd --root /srv"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, wanted) in [
            ("[boot]\nx46 = 'f'\n", "[boot] x46: no such architecture"),
            ("[[rule]]\nname = 'a'\n", "[[rule]] 1 (a): give one of `boot`"),
            ("[[rule]]\nsilent = 'x'\nwhen = { mac = '52' }\n", "is not a hardware address"),
            ("interfces = ['eth0']\n", "unknown field `interfces`"),
        ] {
            let error = config(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn without_a_file_everybody_has_a_rule() {
        let config =
            Config::new(&Args::parse_from(["proxy-dhcpd", "-i", "eth0", "--boot", "bios=pxelinux.0"]))
                .unwrap();
        let names: Vec<_> = config.policy.rules().iter().map(|rule| rule.name.as_str()).collect();
        for name in [
            "iPXE script",
            "bios firmware",
            "x64-uefi firmware",
            "x64-uefi-http firmware",
            "riscv64-uefi firmware",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
    }
}
