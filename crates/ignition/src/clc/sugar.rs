//! etcd, flannel, Docker, updates: drop-ins of units that are there already, and one file.

use super::dynamic::{self, Platform};
use super::model::Config;
use super::options::{Arguments, Etcd, Flannel, quote};
use crate::v2;

/// A broken rule.
pub(super) type Rule = (&'static str, &'static str);

/// Sections of a unit with their lines.
fn unit_file(sections: &[(&str, Vec<String>)]) -> String {
    let mut out = String::new();
    for (name, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(&format!("[{name}]"));
        for line in lines {
            out.push('\n');
            out.push_str(line);
        }
    }
    out
}

fn flag(name: &str) -> String {
    match name {
        "interface" => "iface".to_owned(),
        name => name.replace('_', "-"),
    }
}

/// A drop-in that starts a program with arguments.
fn assemble(
    program: &str,
    arguments: &Arguments,
    variable: Option<String>,
    last: Option<String>,
    platform: Option<Platform>,
) -> Result<String, Rule> {
    let mut flags: Vec<String> =
        arguments.iter().map(|(name, value)| format!("--{}={value}", flag(name))).collect();
    let (mut unit, mut service) = (Vec::new(), Vec::new());
    if dynamic::is_used(&flags) {
        let code = "platform-must-be-specified-to-use-templating";
        let platform = platform.ok_or((code, "platform must be specified to use templating"))?;
        unit.push("Requires=coreos-metadata.service".to_owned());
        unit.push("After=coreos-metadata.service".to_owned());
        service.push("EnvironmentFile=/run/metadata/coreos".to_owned());
        dynamic::replace(&mut flags, platform)?;
    }
    service.extend(variable.map(|variable| format!("Environment=\"{variable}\"")));
    service.push("ExecStart=".to_owned());
    let mut command = format!("ExecStart={program}");
    for flag in flags {
        command.push_str(" \\\n  ");
        command.push_str(&flag);
    }
    service.push(command);
    service.extend(last);
    Ok(unit_file(&[("Unit", unit), ("Service", service)]))
}

fn enabled(name: &str, dropin: &str, contents: String) -> v2::Unit {
    v2::Unit {
        name: name.to_owned(),
        enable: true,
        dropins: vec![v2::Dropin { name: dropin.to_owned(), contents }],
        ..v2::Unit::default()
    }
}

pub(super) fn etcd(etcd: &Etcd, platform: Option<Platform>) -> Result<v2::Unit, Rule> {
    let tag = etcd.version.as_ref().map(|version| format!("ETCD_IMAGE_TAG=v{}", version.text));
    let contents = assemble("/usr/lib/coreos/etcd-wrapper $ETCD_OPTS", &etcd.arguments, tag, None, platform)?;
    Ok(enabled("etcd-member.service", "20-clct-etcd-member.conf", contents))
}

pub(super) fn flannel(flannel: &Flannel, platform: Option<Platform>) -> Result<v2::Unit, Rule> {
    let tag = flannel.version.as_ref().map(|version| format!("FLANNEL_IMAGE_TAG=v{}", version.text));
    let network = (!flannel.network_config.is_empty()).then(|| {
        let mut line = "ExecStartPre=/usr/bin/etcdctl".to_owned();
        for (name, flag) in [
            ("etcd_endpoints", "endpoints"),
            ("etcd_cafile", "ca-file"),
            ("etcd_certfile", "cert-file"),
            ("etcd_keyfile", "key-file"),
        ] {
            if let Some((_, value)) = flannel.arguments.iter().find(|(known, _)| *known == name) {
                line.push_str(&format!(" --{flag}={value}"));
            }
        }
        line.push_str(&format!(" set /coreos.com/network/config {}", quote(&flannel.network_config)));
        line
    });
    let program = "/usr/lib/coreos/flannel-wrapper $FLANNEL_OPTS";
    let contents = assemble(program, &flannel.arguments, tag, network, platform)?;
    Ok(enabled("flanneld.service", "20-clct-flannel.conf", contents))
}

pub(super) fn docker(flags: &[String]) -> v2::Unit {
    let contents = format!("[Service]\nEnvironment=\"DOCKER_OPTS={}\"", flags.join(" "));
    enabled("docker.service", "20-clct-docker.conf", contents)
}

/// Where metadata has to be asked for by name.
pub(super) fn metadata(platform: Platform) -> Vec<v2::Unit> {
    if !matches!(platform, Platform::OpenStackMetadata | Platform::CloudStackConfigDrive) {
        return Vec::new();
    }
    let contents =
        format!("[Service]\nEnvironment=COREOS_METADATA_OPT_PROVIDER=--provider={}", platform.name());
    let unit = |name: &str, enabled| v2::Unit {
        name: name.to_owned(),
        enabled,
        dropins: vec![v2::Dropin {
            name: "20-clct-provider-override.conf".to_owned(),
            contents: contents.clone(),
        }],
        ..v2::Unit::default()
    };
    vec![unit("coreos-metadata.service", None), unit("coreos-metadata-sshkeys@.service", Some(true))]
}

/// `/etc/coreos/update.conf`.
pub(super) fn update(config: &Config) -> Option<v2::File> {
    let mut text = String::new();
    if let Some(update) = &config.update {
        if !update.group.is_empty() {
            text.push_str(&format!("GROUP={}", update.group.to_lowercase()));
        }
        if !update.server.is_empty() {
            text.push_str(&format!("\nSERVER={}", update.server));
        }
    }
    if let Some(locksmith) = &config.locksmith {
        for (name, value) in [
            ("REBOOT_STRATEGY", &locksmith.reboot_strategy),
            ("LOCKSMITHD_REBOOT_WINDOW_START", &locksmith.window_start),
            ("LOCKSMITHD_REBOOT_WINDOW_LENGTH", &locksmith.window_length),
            ("LOCKSMITHD_GROUP", &locksmith.group),
            ("LOCKSMITHD_ENDPOINT", &locksmith.etcd_endpoints),
            ("LOCKSMITHD_ETCD_CAFILE", &locksmith.etcd_cafile),
            ("LOCKSMITHD_ETCD_CERTFILE", &locksmith.etcd_certfile),
            ("LOCKSMITHD_ETCD_KEYFILE", &locksmith.etcd_keyfile),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("\n{name}={}", quote(value)));
            }
        }
    }
    if text.is_empty() {
        return None;
    }
    let mut source = "data:,".to_owned();
    crate::data_url::escape(text.as_bytes(), &mut source);
    Some(v2::File {
        filesystem: "root".to_owned(),
        path: "/etc/coreos/update.conf".to_owned(),
        mode: Some(0o644),
        contents: v2::FileContents { source, ..v2::FileContents::default() },
        ..v2::File::default()
    })
}
