//! The network of simulated machines. One namespace answers for all their addresses (a local route to the whole range)
//! and for all their MACs (frames to any of them count as its own), so that a thousand machines cost no interface each.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::SimulatedMachine;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::network::{DEPLOY, INTERFACE, LEASES, Network, ip, make_bridge, plug};
use crate::process::run;

/// The namespace of the machines: gateway to the BMCs.
const MACHINES: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

/// Everything, with the namespace of the machines.
pub(super) fn up(dir: &Path, machines: &[SimulatedMachine]) -> Result<(Network, Namespace)> {
    make_bridge()?;
    let network =
        Network { switch: Namespace::current()?, deploy: Namespace::new()?, leases: Namespace::new()? };
    let inside = Namespace::new()?;
    plug("deploy", &network.deploy, DEPLOY, 16)?;
    plug("leases", &network.leases, LEASES, 16)?;
    plug("machines", &inside, MACHINES, 16)?;
    inside.enter(|| {
        ip("route add local 10.77.16.0/20 dev lo")?;
        ip("route add local 10.76.0.0/16 dev lo")?;
        ip(&format!("link set {INTERFACE} promisc on"))?;
        // A frame to another MAC is somebody else's (PACKET_OTHERHOST) and would be dropped by IP.
        let rule = format!(
            "table netdev lab {{\nchain any {{\ntype filter hook ingress device \"{INTERFACE}\" priority 0;\n\
             meta pkttype other meta pkttype set host;\n}}\n}}\n"
        );
        let file = dir.join("logs/any-mac.nft");
        std::fs::write(&file, rule).map_err(LabError::io(format!("write {}", file.display())))?;
        run(Command::new("nft").arg("-f").arg(&file)).map(drop)
    })?;
    // The deploy host knows machines by the MACs in its neighbour table; permanent entries do not count against the
    // kernel's limit of 1024.
    let mut batch = format!("route add 10.76.0.0/16 via {MACHINES}\n");
    for machine in machines {
        let _ = writeln!(
            batch,
            "neigh replace {} lladdr {} dev {INTERFACE} nud permanent",
            machine.address, machine.mac
        );
    }
    let file = dir.join("logs/neighbours");
    std::fs::write(&file, batch).map_err(LabError::io(format!("write {}", file.display())))?;
    network.deploy.enter(|| run(Command::new("ip").arg("-batch").arg(&file)).map(drop))?;
    Ok((network, inside))
}
