//! The lab's network: a bridge in the supervisor's namespace, a namespace for the deploy host, one for the existing
//! lease server, BMC addresses on the bridge, a port per machine. Called by `Lab::up`.
//!
//! ```text
//! deploy 10.77.0.1 ─┐                       ┌─ port0 … portN (machines, leases 10.77.0.100–199)
//! leases 10.77.0.2 ─┴─ br0 (10.77.1.11 …) ──┘
//! ```

use std::net::Ipv4Addr;
use std::process::Command;

use crate::error::{LabError, Result};
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

/// The bridge port of machine `index`: its tap, or one end of its veth.
#[must_use]
pub fn port_name(index: u8) -> String {
    format!("port{index}")
}

/// The other end of the veth of machine `index`, where there are no taps.
#[must_use]
pub fn pump_name(index: u8) -> String {
    format!("pump{index}")
}

/// How machines are plugged into the bridge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attachment {
    /// QEMU opens a tap itself.
    Tap,
    /// QEMU speaks over a stream socket to a [`crate::Pump`]: where /dev/net/tun is not for this user.
    Stream,
}

impl Attachment {
    /// Taps where they can be had; `KPC_LAB_NET=tap` or `stream` decides otherwise.
    ///
    /// # Errors
    /// [`LabError::Config`] when the variable says something else.
    pub fn choose() -> Result<Self> {
        match std::env::var("KPC_LAB_NET").as_deref() {
            Ok("tap") => Ok(Self::Tap),
            Ok("stream") => Ok(Self::Stream),
            Ok(other) => Err(LabError::Config(format!("KPC_LAB_NET={other}: tap or stream"))),
            Err(_) => {
                let tun = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
                Ok(if tun.is_ok() { Self::Tap } else { Self::Stream })
            }
        }
    }
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
    /// Lays the cables in the namespace of the caller, which must be its own. `machines` ports and BMC addresses.
    ///
    /// # Errors
    /// What `ip` says, with the whole command.
    pub fn up(machines: u8, attachment: Attachment) -> Result<Self> {
        make_bridge()?;
        ip(&format!("addr add 10.77.1.1/24 dev {BRIDGE}"))?;
        ip(&format!("route add 10.77.0.0/24 dev {BRIDGE}"))?;
        for index in 0..machines {
            ip(&format!("addr add {}/24 dev {BRIDGE}", bmc_address(index)))?;
            let port = port_name(index);
            match attachment {
                Attachment::Tap => ip(&format!("tuntap add dev {port} mode tap"))?,
                Attachment::Stream => {
                    let pump = pump_name(index);
                    ip(&format!("link add {port} type veth peer name {pump}"))?;
                    // One segment at a time: a frame as long as the sender's offload makes it would reach the machine.
                    ip(&format!("link set {port} gso_max_segs 1"))?;
                    ip(&format!("link set {pump} addrgenmode none up"))?;
                }
            }
            ip(&format!("link set {port} master {BRIDGE} up"))?;
        }
        let network =
            Self { switch: Namespace::current()?, deploy: Namespace::new()?, leases: Namespace::new()? };
        plug("deploy", &network.deploy, DEPLOY, 24)?;
        plug("leases", &network.leases, LEASES, 24)?;
        network.deploy.enter(|| ip(&format!("route add 10.77.1.0/24 dev {INTERFACE}")))?;
        Ok(network)
    }
}

/// The switch.
pub(crate) fn make_bridge() -> Result<()> {
    quiet_ipv6()?;
    ip("link set lo up")?;
    // A forward delay of 15 s would eat the first DISCOVERs; snooping would eat router solicitations.
    ip(&format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
    // Promiscuous, so that a capture on the bridge sees what passes between its ports.
    ip(&format!("link set {BRIDGE} promisc on up"))
}

/// One veth from the bridge into a namespace.
pub(crate) fn plug(name: &str, namespace: &Namespace, address: Ipv4Addr, prefix: u8) -> Result<()> {
    let inner = namespace.path();
    ip(&format!("link add {name} type veth peer name {INTERFACE} netns {}", inner.display()))?;
    ip(&format!("link set {name} master {BRIDGE} up"))?;
    namespace.enter(|| {
        ip(&format!("addr add {address}/{prefix} dev {INTERFACE}"))?;
        ip(&format!("link set {INTERFACE} up"))
    })
}

pub(crate) fn ip(words: &str) -> Result<()> {
    run(Command::new("ip").args(words.split(' '))).map(drop)
}
