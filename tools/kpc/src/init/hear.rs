//! Who else answers on the machines' network? Two DISCOVERs (RFC 2131 §3.1), one plain, one as PXE firmware sends it
//! (PXE 2.1 §2.2.1), and every OFFER that comes back. Nothing is requested, so nothing is leased.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use proxy_dhcp::wire::{Header, Message, Op, Writer};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use super::network::Interface;

/// A server that answered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Server {
    /// Its address (option 54, else where the packet came from).
    pub(crate) address: Ipv4Addr,
    /// Whether it offers addresses.
    pub(crate) leases: bool,
    /// The boot program it names to PXE firmware.
    pub(crate) boots: Option<String>,
}

/// What was heard.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Heard {
    /// Servers, by address.
    pub(crate) servers: Vec<Server>,
    /// Why nothing could be heard.
    pub(crate) deaf: Option<String>,
}

impl Heard {
    /// One line on leases.
    pub(crate) fn dhcp_words(&self) -> String {
        if let Some(why) = &self.deaf {
            return format!("not asked: {why}");
        }
        let servers: Vec<&Server> = self.servers.iter().filter(|server| server.leases).collect();
        match servers.as_slice() {
            [] => "nobody offers addresses: machines will have none, and will not boot".to_owned(),
            several => several
                .iter()
                .map(|server| match &server.boots {
                    None => format!("{} answers, offers no boot program  ok: proxy mode", server.address),
                    Some(file) => format!("{} answers and offers `{file}` to PXE firmware", server.address),
                })
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// One line on other PXE servers.
    pub(super) fn pxe_words(&self, listened: Duration) -> String {
        if self.deaf.is_some() {
            return "not asked".to_owned();
        }
        let others: Vec<String> = self.boots().map(|server| server.address.to_string()).collect();
        if others.is_empty() {
            format!("no other responder heard in {} s  ok", listened.as_secs())
        } else {
            format!("others answer PXE firmware: {}", others.join(", "))
        }
    }

    fn boots(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.boots.is_some())
    }

    /// What has to be mended before machines boot.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .boots()
            .map(|server| {
                format!(
                    "{} names the boot program `{}`: machines take whichever answer comes first; take its next-server and filename (options 66, 67, 43) away, or its PXE service",
                    server.address,
                    server.boots.as_deref().unwrap_or_default()
                )
            })
            .collect();
        if self.deaf.is_none() && !self.servers.iter().any(|server| server.leases) {
            warnings.push(
                "no DHCP server answered: kpc leases no addresses; `kpc init --print-dhcp-options` has lines for one".to_owned(),
            );
        }
        warnings
    }
}

/// Asks and listens for so long.
pub(crate) fn listen(interface: &Interface, patience: Duration) -> Heard {
    if patience.is_zero() {
        return Heard { deaf: Some("--listen 0s".to_owned()), ..Heard::default() };
    }
    match ask(interface, patience) {
        Ok(servers) => Heard { servers, deaf: None },
        Err(error) => Heard { servers: Vec::new(), deaf: Some(error) },
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool owns its clock and its sockets")]
fn ask(interface: &Interface, patience: Duration) -> Result<Vec<Server>, String> {
    let said = |error: std::io::Error| format!("port 68 on {}: {error}", interface.name);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(said)?;
    socket.set_reuse_address(true).map_err(said)?;
    socket.set_broadcast(true).map_err(said)?;
    socket.bind_device(Some(interface.name.as_bytes())).map_err(said)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)).into()).map_err(said)?;
    let socket: std::net::UdpSocket = socket.into();
    let mac = interface.mac.ok_or_else(|| format!("{} has no Ethernet address", interface.name))?;
    let mut seed = [0_u8; 4];
    getrandom::fill(&mut seed).map_err(|error| format!("no random numbers: {error}"))?;
    let plain = u32::from_be_bytes(seed);
    let pxe = plain.wrapping_add(1);
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let deadline = Instant::now() + patience;
    let mut again = Instant::now();
    let mut heard: BTreeMap<Ipv4Addr, Server> = BTreeMap::new();
    let mut buffer = [0_u8; 1500];
    while Instant::now() < deadline {
        if Instant::now() >= again {
            for (xid, firmware) in [(plain, false), (pxe, true)] {
                socket.send_to(&discover(xid, mac.0, firmware), everybody).map_err(said)?;
            }
            again = Instant::now() + Duration::from_millis(1500);
        }
        let wait = again.min(deadline).saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).map_err(said)?;
        let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer) else { continue };
        let octets = buffer.get(..length).unwrap_or_default();
        if let Some(server) = offer(octets, *from.ip(), &[plain, pxe]) {
            let known = heard.entry(server.address).or_insert_with(|| server.clone());
            known.leases |= server.leases;
            known.boots = known.boots.take().or(server.boots);
        }
    }
    Ok(heard.into_values().collect())
}

/// A DISCOVER of ours (RFC 2131 §4.4.1); as PXE firmware with options 60, 93, 94 and 97 (RFC 4578 §2).
fn discover(xid: u32, mac: [u8; 6], firmware: bool) -> Vec<u8> {
    let mut chaddr = [0; 16];
    if let Some(place) = chaddr.first_chunk_mut::<6>() {
        *place = mac;
    }
    let none = Ipv4Addr::UNSPECIFIED;
    let (op, htype, hlen, hops, secs, flags) = (Op::Request, 1, 6, 0, 0, 0x8000);
    let (ciaddr, yiaddr, siaddr, giaddr) = (none, none, none, none);
    let header = Header { op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr };
    let mut packet = Vec::with_capacity(576);
    let mut writer = Writer::new(&mut packet, &header, &[], &[]);
    writer.option(53, &[1]);
    writer.option(55, &[1, 3, 43, 54, 60, 66, 67, 97]);
    if firmware {
        writer.option(60, b"PXEClient:Arch:00000:UNDI:002001");
        writer.option(93, &[0, 0]);
        writer.option(94, &[1, 2, 1]);
        writer.option(97, &[0; 17]);
    }
    writer.finish();
    packet
}

/// What an OFFER to one of our questions says.
fn offer(octets: &[u8], from: Ipv4Addr, ours: &[u32]) -> Option<Server> {
    let message = Message::parse(octets).ok()?;
    let options = message.options();
    if !ours.contains(&message.header().xid) || options.first(53) != Some(&[2]) {
        return None;
    }
    let address = options.first(54).and_then(|id| <[u8; 4]>::try_from(id).ok()).map_or(from, Ipv4Addr::from);
    let text = |octets: &[u8]| {
        let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
        let letters = octets.get(..end).unwrap_or_default();
        String::from_utf8_lossy(letters)
            .chars()
            .filter(|letter| !letter.is_control())
            .take(128)
            .collect::<String>()
    };
    let file = options.first(67).map(text).unwrap_or_else(|| text(message.file()));
    let pxe = options.first(60).is_some_and(|class| class.starts_with(b"PXEClient"));
    let boots = match (file.is_empty(), pxe) {
        (false, _) => Some(file),
        (true, true) => Some("a PXE menu".to_owned()),
        (true, false) => None,
    };
    Some(Server { address, leases: message.header().yiaddr != Ipv4Addr::UNSPECIFIED, boots })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(to: &[u8], lease: bool, class: Option<&[u8]>, file: &[u8]) -> Vec<u8> {
        let asked = Message::parse(to).unwrap();
        let yiaddr = if lease { Ipv4Addr::new(10, 0, 0, 9) } else { Ipv4Addr::UNSPECIFIED };
        let header = Header { op: Op::Reply, yiaddr, ..asked.header() };
        let mut packet = Vec::new();
        let mut writer = Writer::new(&mut packet, &header, &[], file);
        writer.option(53, &[2]);
        writer.option(54, &[10, 0, 0, 1]);
        if let Some(class) = class {
            writer.option(60, class);
        }
        writer.finish();
        packet
    }

    // RFC 2131 §4.3.1 and PXE 2.1 §2.2.3: a lease without a boot program is what proxy mode wants.
    #[test]
    fn offers_are_told_apart() {
        let asked = discover(7, [2, 0, 0, 0, 0, 1], true);
        let from = Ipv4Addr::new(10, 0, 0, 2);
        let plain = offer(&answer(&asked, true, None, b""), from, &[7]).unwrap();
        assert_eq!((plain.leases, plain.boots, plain.address), (true, None, Ipv4Addr::new(10, 0, 0, 1)));
        let proxy = offer(&answer(&asked, false, Some(b"PXEClient"), b"pxelinux.0"), from, &[7]).unwrap();
        assert_eq!((proxy.leases, proxy.boots.as_deref()), (false, Some("pxelinux.0")));
        assert_eq!(offer(&answer(&asked, true, None, b""), from, &[8]), None, "somebody else's");
        assert_eq!(offer(&asked, from, &[7]), None, "a question");
    }

    #[test]
    fn what_was_heard_is_said() {
        let server = |leases, boots: Option<&str>| Server {
            address: Ipv4Addr::new(10, 0, 0, 1),
            leases,
            boots: boots.map(str::to_owned),
        };
        let good = Heard { servers: vec![server(true, None)], deaf: None };
        assert!(good.warnings().is_empty() && good.dhcp_words().contains("ok: proxy mode"));
        let second =
            Heard { servers: vec![server(true, None), server(false, Some("pxelinux.0"))], deaf: None };
        assert!(second.warnings()[0].contains("pxelinux.0"), "{:?}", second.warnings());
        let silent = Heard::default();
        assert!(silent.warnings()[0].contains("no DHCP server"));
    }
}
