//! The deploy host.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Check;
use crate::args::Common;
use crate::config::{self, Config};
use crate::init::hear;
use crate::init::network::{interfaces, way_to};

/// How long other servers are listened for.
const LISTENED: Duration = Duration::from_secs(3);
/// Octets that the store's file system should have free.
const FREE: u64 = 256 << 20;

/// Everything that can be looked at, the configuration first: without it nothing else is known.
pub(super) fn checks(common: &Common) -> Vec<Check> {
    let config = match config::load(common) {
        Ok(config) => config,
        Err(error) => return vec![Check::bad("config", error)],
    };
    let serving = UnixStream::connect(&config.socket).is_ok();
    let mut checks = vec![
        Check::good("config", common.config.display().to_string()),
        Check::of("interface", interface(&config)),
        Check::of("loaders", loaders(&config)),
        Check::of("store", store(&config)),
        Check::of("logins", logins(&config)),
        Check::of("assets", assets(&config)),
        if serving {
            Check::good("server", format!("answers on {}", config.socket.display()))
        } else {
            let remedy = "start it: systemctl start kpc, or kpc serve";
            Check::bad("server", format!("nobody answers on {}; {remedy}", config.socket.display()))
        },
    ];
    if !serving {
        checks.extend(ports(&config));
    }
    checks.push(firewall(&config));
    checks.push(others(&config));
    checks.extend(bmcs(&config));
    checks
}

fn interface(config: &Config) -> Result<String, String> {
    let (name, address) = (&config.network.mgmt.interface, config.network.mgmt.address);
    let all = interfaces()?;
    match all.iter().find(|interface| interface.name == *name) {
        None => Err(format!("{name} (network.mgmt.interface) has no IPv4 address, or does not exist")),
        Some(found) if found.address != address => Err(format!(
            "{name} has {}, network.mgmt.address is {address}: machines would be sent to the wrong place",
            found.address
        )),
        Some(found) => {
            let state =
                std::fs::read_to_string(format!("/sys/class/net/{name}/operstate")).unwrap_or_default();
            if state.trim() == "down" {
                Err(format!("{name} is down: cable, or ip link set {name} up"))
            } else {
                Ok(found.to_string())
            }
        }
    }
}

fn loaders(config: &Config) -> Result<String, String> {
    let root = config.tftp_root();
    let missing: Vec<&str> = [&config.dhcp.bios, &config.dhcp.x64_uefi]
        .into_iter()
        .filter(|name| !root.join(name).is_file())
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        Ok(format!("{} and {} in {}", config.dhcp.bios, config.dhcp.x64_uefi, root.display()))
    } else {
        Err(format!("{} not in {}: apt install ipxe, then kpc init", missing.join(" and "), root.display()))
    }
}

fn store(config: &Config) -> Result<String, String> {
    let data = &config.data_dir;
    let said = |what: &str| format!("{}: {what}", data.display());
    let metadata = std::fs::metadata(data).map_err(|error| said(&format!("{error}; kpc init makes it")))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(said("everybody can read it; chmod 700"));
    }
    let space = nix::sys::statvfs::statvfs(data).map_err(|error| said(&error.to_string()))?;
    if space.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        return Err(said("its file system is read-only: no order can be given"));
    }
    #[allow(clippy::useless_conversion, reason = "the width differs between targets")]
    let free = u64::from(space.blocks_available()).saturating_mul(u64::from(space.fragment_size()));
    if free < FREE {
        return Err(said(&format!(
            "only {} MiB are free: once it is full no order can be given",
            free >> 20
        )));
    }
    Ok(said(&format!("{} MiB free", free >> 20)))
}

fn logins(config: &Config) -> Result<String, String> {
    if let Some(keeper) = &config.bmc.keeper
        && let Err(error) = UnixStream::connect(keeper)
    {
        let remedy = "systemctl start kpc-bmc.socket, or kpc bmc keep";
        return Err(format!("nobody keeps them behind {}: {error}; {remedy}", keeper.display()));
    }
    let kept = config.bmc_logins();
    if kept.exists() {
        return crate::bmc::logins::Logins::read(&kept).map(|_| kept.display().to_string());
    }
    match &config.bmc.password_file {
        None => Ok("none yet: kpc bmc scan RANGE --credentials FILE --save".to_owned()),
        Some(path) => crate::bmc::vault::login(&config.bmc.user, path).map(|_| path.display().to_string()),
    }
}

fn assets(config: &Config) -> Result<String, String> {
    let folder = config.assets();
    let kernel = folder.join("agent/vmlinuz");
    if !config.install.is_empty() && !kernel.is_file() {
        return Err(format!(
            "{} is missing: nothing can be installed; `kpc assets add agent` makes it of this host's kernel",
            kernel.display()
        ));
    }
    Ok(folder.display().to_string())
}

/// The ports that a server will want.
#[expect(clippy::disallowed_methods, reason = "a tool opens sockets to look whether it may")]
fn ports(config: &Config) -> Vec<Check> {
    let on = |address: SocketAddr| {
        if address.ip().is_unspecified() {
            SocketAddr::new(config.network.mgmt.address.into(), address.port())
        } else {
            address
        }
    };
    let taken = |address: SocketAddr, proto: &str, error: std::io::Error| {
        format!(
            "{address}/{proto}: {error}; `ss -lnp{}` shows who has it",
            if proto == "udp" { "u" } else { "t" }
        )
    };
    let udp = |address: SocketAddr| {
        UdpSocket::bind(address)
            .map(|_| format!("{address}/udp is free"))
            .map_err(|error| taken(address, "udp", error))
    };
    let tcp = |address: SocketAddr| {
        TcpListener::bind(address)
            .map(|_| format!("{address}/tcp is free"))
            .map_err(|error| taken(address, "tcp", error))
    };
    vec![
        Check::of("tftp port", udp(on(config.tftp.listen))),
        Check::of("pxe port", udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 4011)))),
        Check::of("http port", tcp(on(config.http.machines))),
        Check::of("page port", tcp(config.http.page)),
    ]
}

/// A firewall whose input drops what it has no rule for, and has no rule for ours.
fn firewall(config: &Config) -> Check {
    let listed = Command::new("nft").args(["list", "ruleset"]).stdin(Stdio::null()).output();
    match listed {
        Ok(output) if output.status.success() => {
            let rules = String::from_utf8_lossy(&output.stdout);
            match blocked(&rules, config.http.machines.port()) {
                ports if ports.is_empty() => {
                    Check::good("firewall", "no chain drops what booting machines send")
                }
                ports => Check::bad(
                    "firewall",
                    format!(
                        "nftables drops input by default, and no rule names {}; `kpc init` prints the rules",
                        ports.join(", ")
                    ),
                ),
            }
        }
        Ok(output) => Check::unknown("firewall", String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(_) => Check::unknown("firewall", "nft is not installed here"),
    }
}

/// The ports of ours that a dropping input chain does not name.
fn blocked(rules: &str, http: u16) -> Vec<String> {
    let drops = rules.lines().any(|line| line.contains("hook input") && line.contains("policy drop"));
    if !drops {
        return Vec::new();
    }
    let named = |proto: &str, port: u16| {
        rules.lines().filter(|line| line.contains(proto) && line.contains("accept")).any(|line| {
            line.split(|letter: char| !letter.is_ascii_digit()).any(|number| number.parse() == Ok(port))
        })
    };
    [("udp", 67), ("udp", 69), ("udp", 4011), ("tcp", http)]
        .into_iter()
        .filter(|(proto, port)| !named(proto, *port))
        .map(|(proto, port)| format!("{proto}/{port}"))
        .collect()
}

/// Other servers on the machines' network.
fn others(config: &Config) -> Check {
    let all = interfaces().unwrap_or_default();
    let Some(interface) = all.iter().find(|interface| interface.name == config.network.mgmt.interface) else {
        return Check::unknown("others", "the interface has no address");
    };
    let heard = hear::listen(interface, LISTENED);
    if let Some(why) = &heard.deaf {
        return Check::unknown("others", format!("not asked: {why}"));
    }
    // Our own server is silent to machines that are not ours, so what answers is another.
    match heard.warnings().first() {
        None => Check::good("others", heard.dhcp_words()),
        Some(warning) => Check::bad("others", warning.clone()),
    }
}

/// The ways to the BMCs.
fn bmcs(config: &Config) -> Vec<Check> {
    let wanted = config.network.bmc.as_ref().and_then(|bmc| bmc.interface.as_deref());
    let wanted = wanted.unwrap_or(&config.network.mgmt.interface);
    let own = config.network.bmc.iter().flat_map(|bmc| bmc.ranges.iter());
    let racks = config.rack.iter().flat_map(|rack| rack.bmc_ranges.iter());
    own.chain(racks)
        .map(|range| match way_to(range, wanted) {
            Some(odd) => Check::bad("bmc route", odd),
            None => Check::good("bmc route", format!("{range} by {wanted}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropping_firewall_is_read() {
        assert!(
            blocked(
                "table inet filter {\n chain input { type filter hook input priority 0; policy accept; }\n}",
                8080
            )
            .is_empty()
        );
        let drops = "chain input { type filter hook input priority filter; policy drop;\n udp dport { 67, 69 } accept\n tcp dport 22 accept\n";
        assert_eq!(blocked(drops, 8080), ["udp/4011", "tcp/8080"]);
        let open = format!("{drops} udp dport 4011 accept\n tcp dport 8080 accept\n");
        assert!(blocked(&open, 8080).is_empty());
    }
}
