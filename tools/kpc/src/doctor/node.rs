//! A node of the cluster to be: the nine things that kolla-ansible's `prechecks` ask of a host (roles prechecks and
//! baremetal of 22.2.0), answered before Ansible is there.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Check;
use crate::init::network::{Interface, interfaces};

/// What the checks look at, as values.
#[derive(Clone, Debug)]
pub(super) struct System {
    /// `/etc/os-release`.
    pub(super) os: BTreeMap<String, String>,
    /// What Python says: the docker SDK's version, or why not.
    pub(super) sdk: Result<String, String>,
    /// Whether Python has dbus.
    pub(super) dbus: Result<String, String>,
    /// `docker --version`'s number.
    pub(super) docker: Result<String, String>,
    /// Whether systemd is process 1.
    pub(super) systemd: bool,
    /// `timedatectl`'s word on the clock: synchronised, or why not.
    pub(super) ntp: Result<String, String>,
    /// Whether nscd runs.
    pub(super) nscd: bool,
    /// kolla's api_interface.
    pub(super) interface: Result<Interface, String>,
    /// The host's name, and what it resolves to.
    pub(super) hostname: String,
    pub(super) resolves: Vec<IpAddr>,
}

impl System {
    /// This host.
    pub(super) fn here(interface: Option<&str>) -> Self {
        let hostname =
            nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut resolves: Vec<IpAddr> = (hostname.as_str(), 0)
            .to_socket_addrs()
            .map(|found| found.map(|one| one.ip()).filter(IpAddr::is_ipv4).collect())
            .unwrap_or_default();
        resolves.sort();
        resolves.dedup();
        Self {
            os: os_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            sdk: python("import docker; print(docker.__version__)"),
            dbus: python("import dbus; print(dbus.__version__)"),
            docker: said("docker", &["--version"]).and_then(|line| {
                let number = line.split_whitespace().nth(2).map(|word| word.trim_end_matches(',').to_owned());
                number.ok_or(line)
            }),
            systemd: Path::new("/run/systemd/system").is_dir(),
            ntp: said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).and_then(|word| {
                if word == "yes" { Ok("synchronised".to_owned()) } else { Err("not synchronised".to_owned()) }
            }),
            nscd: runs("nscd"),
            interface: choose(interface),
            hostname,
            resolves,
        }
    }
}

/// The nine checks, in the order in which prechecks come to them.
pub(super) fn checks(system: &System) -> Vec<Check> {
    vec![
        Check::of("os", os(system)),
        Check::of(
            "ntp",
            system
                .ntp
                .clone()
                .map_err(|why| format!("{why}: apt install chrony, and wait for the first sync")),
        ),
        Check::of("interface", system.interface.clone().map(|interface| interface.to_string())),
        Check::of(
            "systemd",
            if system.systemd {
                Ok("is process 1".into())
            } else {
                Err("is not process 1: services cannot be managed".into())
            },
        ),
        Check::of(
            "docker",
            at_least(&system.docker, [18, 9, 0])
                .map_err(|why| format!("docker ≥ 18.09: {why}; kolla-ansible bootstrap-servers installs it")),
        ),
        Check::of(
            "nscd",
            if system.nscd {
                Err("runs: its cache breaks name resolution in containers; systemctl disable --now nscd"
                    .into())
            } else {
                Ok("does not run".into())
            },
        ),
        Check::of(
            "python sdk",
            at_least(&system.sdk, [3, 4, 1]).map_err(|why| {
                format!("python3 with docker ≥ 3.4.1: {why}; kolla-ansible bootstrap-servers installs it")
            }),
        ),
        Check::of(
            "python dbus",
            system.dbus.clone().map_err(|why| format!("{why}: apt install python3-dbus")),
        ),
        Check::of("hostname", hostname(system)),
    ]
}

/// host_os_distributions of kolla-ansible 22.
fn os(system: &System) -> Result<String, String> {
    const ACCEPTED: [(&str, &[&str]); 4] =
        [("debian", &["12", "13"]), ("ubuntu", &["24.04"]), ("rocky", &["10"]), ("centos", &["10"])];
    let field = |key: &str| system.os.get(key).map(String::as_str).unwrap_or_default();
    let (id, version) = (field("ID"), field("VERSION_ID"));
    let name = format!("{id} {version}");
    let fits = |have: &str, want: &str| {
        have == want || have.strip_prefix(want).is_some_and(|rest| rest.starts_with('.'))
    };
    let good = ACCEPTED
        .iter()
        .any(|(known, versions)| *known == id && versions.iter().any(|want| fits(version, want)));
    if good {
        Ok(name)
    } else {
        Err(format!(
            "{name}: kolla takes Debian 12 and 13, Ubuntu 24.04, Rocky 10 and CentOS 10 (prechecks_enable_host_os_checks: false lets it pass)"
        ))
    }
}

fn hostname(system: &System) -> Result<String, String> {
    let name = &system.hostname;
    let wanted = system.interface.as_ref().map(|interface| IpAddr::V4(interface.address));
    match (system.resolves.as_slice(), wanted) {
        ([], _) => Err(format!("{name} does not resolve; kolla-ansible bootstrap-servers writes /etc/hosts")),
        (_, Err(_)) => Err(format!("{name}: the interface is not known")),
        ([one], Ok(wanted)) if *one == wanted => Ok(format!("{name} is {one}")),
        (several, Ok(wanted)) => Err(format!(
            "{name} resolves to {}, and must be {wanted} alone (RabbitMQ); take 127.0.1.1 out of /etc/hosts",
            several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Whether a version is at least this one.
fn at_least(have: &Result<String, String>, want: [u32; 3]) -> Result<String, String> {
    let have = have.clone()?;
    let digits =
        |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let mut parts = have.split('.').map(digits);
    let number: [u32; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
    if number >= want { Ok(have) } else { Err(format!("{have} is too old")) }
}

/// The named interface, else the one with the default route; it must be there, up, and addressed.
fn choose(name: Option<&str>) -> Result<Interface, String> {
    let all = interfaces()?;
    match name {
        Some(name) => all
            .into_iter()
            .find(|interface| interface.name == name)
            .ok_or_else(|| format!("{name} does not exist or has no IPv4 address")),
        None => all.into_iter().find(|interface| interface.default_route).ok_or_else(|| {
            "no interface has the default route; name kolla's api_interface with --interface".to_owned()
        }),
    }
}

fn os_release(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

fn python(script: &str) -> Result<String, String> {
    said("python3", &["-c", script])
}

/// The first line that a program prints, or the last one of its complaint.
fn said(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(out.lines().next().unwrap_or_default().trim().to_owned())
    } else {
        Err(err.lines().last().unwrap_or("it failed").trim().to_owned())
    }
}

/// Whether a program of this name runs.
fn runs(name: &str) -> bool {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> System {
        System {
            os: os_release("ID=debian\nVERSION_ID=\"13\"\n"),
            sdk: Ok("7.1.0".into()),
            dbus: Ok("1.3.2".into()),
            docker: Ok("27.3.1".into()),
            systemd: true,
            ntp: Ok("synchronised".into()),
            nscd: false,
            interface: Ok(Interface {
                name: "eno1".into(),
                address: std::net::Ipv4Addr::new(10, 0, 0, 1),
                prefix: 24,
                default_route: true,
                mac: None,
            }),
            hostname: "n1".into(),
            resolves: vec!["10.0.0.1".parse().unwrap()],
        }
    }

    fn wrong(system: &System) -> Vec<&'static str> {
        checks(system).iter().filter(|check| check.ok != Some(true)).map(|check| check.check).collect()
    }

    /// Each of the nine, broken alone, is the one that is named.
    #[test]
    fn each_fault_is_its_own() {
        assert!(wrong(&good()).is_empty(), "{:?}", checks(&good()));
        assert_eq!(checks(&good()).len(), 9);
        type Break = fn(&mut System);
        let cases: [(&str, Break); 9] = [
            ("os", |s| s.os = os_release("ID=flatcar\nVERSION_ID=4230.2.1\n")),
            ("systemd", |s| s.systemd = false),
            ("ntp", |s| s.ntp = Err("not synchronised".into())),
            ("python sdk", |s| s.sdk = Ok("3.4.0".into())),
            ("python dbus", |s| s.dbus = Err("No module named 'dbus'".into())),
            ("docker", |s| s.docker = Ok("18.06.3".into())),
            ("nscd", |s| s.nscd = true),
            ("hostname", |s| s.resolves.push("127.0.1.1".parse().unwrap())),
            ("hostname", |s| s.resolves.clear()),
        ];
        for (name, breaks) in cases {
            let mut system = good();
            breaks(&mut system);
            assert_eq!(wrong(&system), [name]);
        }
        let mut system = good();
        system.interface = Err("eno9 does not exist".into());
        assert_eq!(wrong(&system), ["interface", "hostname"]);
    }

    #[test]
    fn versions_are_numbers() {
        assert!(at_least(&Ok("18.10.0".into()), [18, 9, 0]).is_ok());
        assert!(at_least(&Ok("3.4.1".into()), [3, 4, 1]).is_ok());
        assert!(at_least(&Ok("20.10.24+dfsg1".into()), [18, 9, 0]).is_ok());
        assert!(at_least(&Ok("2.9".into()), [3, 4, 1]).is_err());
    }
}
