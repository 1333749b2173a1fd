//! An interface as the server sees it: its number, its hardware address and the addresses it has now.

use super::DriverError;
use crate::request::Subnet;
use crate::wire::MacAddr;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::LinkAddr;
use std::net::Ipv6Addr;

/// ARPHRD_ETHER: Ethernet and everything that looks like it.
const ETHERNET: u16 = 1;

/// One interface, read from the system at one moment.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) link: LinkAddr,
    pub(super) mac: MacAddr,
    pub(super) subnets: Vec<Subnet>,
    link_local: Option<Ipv6Addr>,
}

impl Interface {
    /// Reads an interface by name.
    pub(super) fn read(name: &str) -> Result<Self, DriverError> {
        let mut link = None;
        let mut subnets = Vec::new();
        let mut link_local = None;
        let all = getifaddrs().map_err(|errno| DriverError::Interfaces(errno.into()))?;
        for one in all.filter(|one| one.interface_name == name) {
            let Some(address) = one.address else { continue };
            if let Some(hardware) = address.as_link_addr() {
                link = Some(*hardware);
            } else if let Some(v4) = address.as_sockaddr_in() {
                let mask = one.netmask.and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
                subnets
                    .push(Subnet { address: v4.ip(), mask: mask.unwrap_or(std::net::Ipv4Addr::BROADCAST) });
            } else if let Some(v6) = address.as_sockaddr_in6().filter(|v6| v6.ip().is_unicast_link_local()) {
                link_local = Some(v6.ip());
            }
        }
        let link = link.ok_or_else(|| DriverError::NoSuchInterface { name: name.to_owned() })?;
        let mac = link.addr().filter(|_| link.hatype() == ETHERNET && link.halen() == 6);
        let mac = MacAddr(mac.ok_or_else(|| DriverError::NotEthernet { name: name.to_owned() })?);
        Ok(Self { name: name.to_owned(), link, mac, subnets, link_local })
    }

    /// The number of the interface.
    pub(super) fn index(&self) -> u32 {
        u32::try_from(self.link.ifindex()).unwrap_or_default()
    }

    /// The link-local address, or the one its hardware address would make (RFC 4291 appendix A).
    pub(super) fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac.0;
        self.link_local.unwrap_or_else(|| {
            Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
        })
    }
}
