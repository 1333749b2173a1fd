//! The lab's network: a bridge in the supervisor's namespace, a namespace for the deploy host, one for the existing
//! lease server, BMC addresses on the bridge, a tap per machine. Called by `Lab::up`.
//!
//! ```text
//! deploy 10.77.0.1 ─┐                       ┌─ tap0 … tapN (machines, leases 10.77.0.100–199)
//! leases 10.77.0.2 ─┴─ br0 (10.77.1.11 …) ──┘
//! ```

use std::net::Ipv4Addr;
use std::process::Command;

use crate::error::Result;
use crate::namespace::{Namespace, quiet_ipv6};
use crate::process::run;

/// The bridge, in the supervisor's namespace.
pub const BRIDGE: &str = "br0";
/// The interface of the deploy host and of the lease server, in their namespaces.
pub const INTERFACE: &str = "eth0";
/// The deploy host.
pub const DEPLOY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The existing lease server.
pub const LEASES: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Most machines of one lab: the leases there are.
pub const MAX_MACHINES: u8 = 100;

/// The address of the BMC of machine `index` (from 0, below [`MAX_MACHINES`]).
#[must_use]
pub fn bmc_address(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 1, index.saturating_add(11))
}

/// The name of the tap of machine `index`.
#[must_use]
pub fn tap_name(index: u8) -> String {
    format!("tap{index}")
}

/// The namespaces that stand.
#[derive(Clone, Debug)]
pub struct Network {
    /// Where the switch, the taps and the BMCs are.
    pub switch: Namespace,
    /// Where `kpc serve` runs.
    pub deploy: Namespace,
    /// Where the existing lease server runs.
    pub leases: Namespace,
}

impl Network {
    /// Lays the cables in the namespace of the caller, which must be its own. `machines` taps and BMC addresses.
    ///
    /// # Errors
    /// What `ip` says, with the whole command.
    pub fn up(machines: u8) -> Result<Self> {
        quiet_ipv6()?;
        ip("link set lo up")?;
        // A forward delay of 15 s would eat the first DISCOVERs; snooping would eat router solicitations.
        ip(&format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
        // Promiscuous, so that a capture on the bridge sees what passes between its ports.
        ip(&format!("link set {BRIDGE} promisc on up"))?;
        ip(&format!("addr add 10.77.1.1/24 dev {BRIDGE}"))?;
        ip(&format!("route add 10.77.0.0/24 dev {BRIDGE}"))?;
        for index in 0..machines {
            let tap = tap_name(index);
            ip(&format!("addr add {}/24 dev {BRIDGE}", bmc_address(index)))?;
            ip(&format!("tuntap add dev {tap} mode tap"))?;
            ip(&format!("link set {tap} master {BRIDGE} up"))?;
        }
        let network =
            Self { switch: Namespace::current()?, deploy: Namespace::new()?, leases: Namespace::new()? };
        plug("deploy", &network.deploy, DEPLOY)?;
        plug("leases", &network.leases, LEASES)?;
        network.deploy.enter(|| ip(&format!("route add 10.77.1.0/24 dev {INTERFACE}")))?;
        Ok(network)
    }
}

/// One veth from the bridge into a namespace.
fn plug(name: &str, namespace: &Namespace, address: Ipv4Addr) -> Result<()> {
    let inner = namespace.path();
    ip(&format!("link add {name} type veth peer name {INTERFACE} netns {}", inner.display()))?;
    ip(&format!("link set {name} master {BRIDGE} up"))?;
    namespace.enter(|| {
        ip(&format!("addr add {address}/24 dev {INTERFACE}"))?;
        ip(&format!("link set {INTERFACE} up"))
    })
}

fn ip(words: &str) -> Result<()> {
    run(Command::new("ip").args(words.split(' '))).map(drop)
}
