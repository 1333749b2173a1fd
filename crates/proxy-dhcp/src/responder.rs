//! Reply or not: the one decision of a proxy, without clock, state or socket. PXE 2.1 §2.2 to §2.4, RFC 4578.

use crate::menu::{Choice, MenuFor};
use crate::policy::Policy;
use crate::program::{BootProgram, Form};
use crate::reply::{Destination, Reply, Stage, Vendor};
use crate::request::{BootRequest, Port};
use crate::rule::Answer;
use crate::wire::{ClientArch, MessageType, Op};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Why a request that could be read stays without an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// A server speaks, not a client.
    #[error("a reply, not a request")]
    NotRequest,
    /// The vendor class says nothing of network boot (PXE 2.1 §2.1).
    #[error("no network boot: the vendor class is neither PXEClient nor HTTPClient")]
    NotNetworkBoot,
    /// The message is between the client and its lease server.
    #[error("{0} is not for a proxy")]
    NotForProxy(MessageType),
    /// Option 53 is missing.
    #[error("no message type")]
    NoMessageType,
    /// The hardware address is not one of Ethernet.
    #[error("no Ethernet hardware address")]
    NotEthernet,
    /// Option 93 is missing (RFC 4578 §2.1).
    #[error("no client architecture")]
    NoArchitecture,
    /// No rule has a program for this client.
    #[error("no rule for {arch}{}: add `--boot {arch}=FILE`", if *.ipxe { " under iPXE (or `--ipxe-script URL`)" } else { "" })]
    NoRule {
        /// The architecture the client wants most.
        arch: ClientArch,
        /// Whether it is iPXE.
        ipxe: bool,
    },
    /// A rule says silence.
    #[error("{0}")]
    Silent(String),
    /// The relay agent is not one of the policy.
    #[error("relay {0} is not configured")]
    UnknownRelay(Ipv4Addr),
    /// The source is on none of our subnets and would be answered across a router.
    #[error("source {0} is not on a subnet of the interface")]
    ForeignSource(Ipv4Addr),
    /// The client says another address than the one it sends from: the answer would go to a third party.
    #[error("ciaddr {ciaddr} is not the source {source_address}")]
    SpoofedClient {
        /// What the message says.
        ciaddr: Ipv4Addr,
        /// Where it came from.
        source_address: Ipv4Addr,
    },
    /// The interface of arrival has no IPv4 address to answer from.
    #[error("the interface has no IPv4 address")]
    NoAddress,
    /// The client has not waited as long as the rule says (`secs`).
    #[error("asked for {secs} s, the rule answers from {min_secs} s on")]
    TooEarly {
        /// What the message says.
        secs: u16,
        /// What the rule says.
        min_secs: u16,
    },
    /// The client asks for a boot server type that is not ours.
    #[error("boot server type {0:#06x} is not ours")]
    NotOurItem(u16),
    /// The rule says local boot; this firmware goes on to its disk when nobody answers.
    #[error("local boot: without an answer the firmware goes on to its disk")]
    LocalBoot,
    /// The client wants a signed boot server (BIS).
    #[error("boot integrity services (BIS) are not supported")]
    WantsCredentials,
    /// An HTTP Boot client matched a rule whose program is no URL, or a PXE client one whose form is HTTP.
    #[error("the program of rule `{0}` is not one this client can load")]
    WrongForm(String),
}

/// Answers requests by a policy.
#[derive(Clone, Debug, Default)]
pub struct Responder {
    policy: Policy,
}

impl Responder {
    /// A responder for one policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The reply to a request, or why there is none. Same request, same answer, every time.
    ///
    /// # Errors
    /// [`Ignored`] says why the request rightly stays without an answer.
    pub fn respond<'a>(&'a self, request: &'a BootRequest<'a>) -> Result<Reply<'a>, Ignored> {
        let message = answer_type(request)?;
        request.mac().ok_or(Ignored::NotEthernet)?;
        let first_arch = self.policy.served_as(request, request.arch().ok_or(Ignored::NoArchitecture)?);
        let (destination, server) = self.destination(request)?;
        let (ipxe, item) = (request.is_ipxe(), request.boot_item());
        if item.is_some_and(|item| item.wants_credentials()) {
            return Err(Ignored::WantsCredentials);
        }
        let chosen = item.and_then(|item| self.policy.item(item.server_type));
        let (rule, arch) = match self.policy.select(request) {
            Some(selected) => selected,
            None => (chosen.ok_or(Ignored::NoRule { arch: first_arch, ipxe })?.0, first_arch),
        };
        if request.message.secs < rule.patience.min_secs {
            return Err(Ignored::TooEarly { secs: request.message.secs, min_secs: rule.patience.min_secs });
        }
        let mut reply = Reply {
            request,
            message,
            destination,
            server,
            siaddr: server,
            sname: None,
            file: None,
            http: false,
            vendor: Vendor::Nothing,
            stage: if ipxe { Stage::Ipxe } else { Stage::Firmware },
            arch,
            rule: &rule.name,
            delay: rule.patience.delay,
        };
        match (&rule.answer, chosen) {
            (Answer::Silent(reason), _) => return Err(Ignored::Silent(reason.clone())),
            (Answer::Boot(program), None) => give(&mut reply, program)?,
            (_, Some((rule, chosen))) => {
                reply.rule = &rule.name;
                match &chosen.choice {
                    Choice::Boot(program) => give(&mut reply, program)?,
                    Choice::Elsewhere(_) | Choice::LocalBoot => {
                        return Err(Ignored::NotOurItem(chosen.server_type));
                    }
                }
            }
            (Answer::Menu(menu), None) => match menu.only_program(request, arch) {
                Some(program) if item.is_none() && !arch.is_bios() => give(&mut reply, program)?,
                _ => match item {
                    Some(item) => return Err(Ignored::NotOurItem(item.server_type)),
                    None => {
                        reply.siaddr = Ipv4Addr::UNSPECIFIED;
                        reply.vendor = Vendor::Menu(MenuFor { menu, request, arch, server });
                    }
                },
            },
            (Answer::LocalBoot, None) if arch.is_bios() && !ipxe => {
                reply.siaddr = Ipv4Addr::UNSPECIFIED;
                reply.vendor = Vendor::LocalBoot;
            }
            (Answer::LocalBoot, None) => return Err(Ignored::LocalBoot),
        }
        Ok(reply)
    }

    /// Where a reply goes and the address it comes from. Never to an address that did not send the request.
    fn destination(&self, request: &BootRequest<'_>) -> Result<(Destination, Ipv4Addr), Ignored> {
        let arrival = &request.arrival;
        let (source, giaddr, ciaddr) = (*arrival.source.ip(), request.message.giaddr, request.message.ciaddr);
        let server = |near: Ipv4Addr| arrival.server_for(near).ok_or(Ignored::NoAddress);
        if arrival.port == Port::Dhcp && !giaddr.is_unspecified() {
            if !self.policy.is_relay(giaddr) {
                return Err(Ignored::UnknownRelay(giaddr));
            }
            return Ok((Destination::Relay(SocketAddrV4::new(giaddr, 67)), server(giaddr)?));
        }
        if !ciaddr.is_unspecified() && ciaddr != source {
            return Err(Ignored::SpoofedClient { ciaddr, source_address: source });
        }
        let port = match arrival.source.port() {
            0 | 67 => 68,
            port => port,
        };
        if source.is_unspecified() {
            return Ok((Destination::Broadcast(port), server(source)?));
        }
        let routed = arrival.port == Port::BootServer && self.policy.answers_routed_clients();
        if !(arrival.is_local(source) || routed) {
            return Err(Ignored::ForeignSource(source));
        }
        Ok((Destination::Source(SocketAddrV4::new(source, port)), server(source)?))
    }
}

/// The message type of the answer, when the request is one that a proxy answers.
fn answer_type(request: &BootRequest<'_>) -> Result<MessageType, Ignored> {
    if request.message.op != Op::Request {
        return Err(Ignored::NotRequest);
    }
    if !request.is_network_boot() {
        return Err(Ignored::NotNetworkBoot);
    }
    match (request.message_type.ok_or(Ignored::NoMessageType)?, request.arrival.port) {
        (MessageType::Discover, _) => Ok(MessageType::Offer),
        (MessageType::Request, Port::BootServer) => Ok(MessageType::Ack),
        (MessageType::Inform, _) if request.boot_item().is_some() => Ok(MessageType::Ack),
        (other, _) => Err(Ignored::NotForProxy(other)),
    }
}

/// Puts a program into a reply, in the form this client takes.
fn give<'a>(reply: &mut Reply<'a>, program: &'a BootProgram) -> Result<(), Ignored> {
    let (request, item) = (reply.request, reply.request.boot_item());
    let raspberry_pi = reply.arch == ClientArch::ArmRpiboot;
    let form = match program.configured_form() {
        Form::Auto if request.is_http_client() => Form::Http,
        Form::Auto if reply.stage == Stage::Ipxe || reply.arch.is_bios() || raspberry_pi => Form::Direct,
        Form::Auto => Form::Binl,
        form => form,
    };
    let http = form == Form::Http;
    if http != request.is_http_client() || (http && !program.is_url()) {
        return Err(Ignored::WrongForm(reply.rule.to_owned()));
    }
    reply.http = http;
    if form == Form::Binl && request.arrival.port == Port::Dhcp && item.is_none() {
        return Ok(()); // a BINL client asks siaddr's port 4011: that is us, wherever the file may be
    }
    reply.siaddr = program.server_address().unwrap_or(reply.server);
    reply.file = Some(program.file_for(reply.server));
    reply.vendor = match (form, item) {
        (_, Some(item)) => Vendor::Item(item),
        (Form::Direct, None) if raspberry_pi => Vendor::RaspberryPi,
        (Form::Direct, None) => Vendor::BootFile,
        _ => Vendor::Nothing,
    };
    reply.sname = (request.arrival.port == Port::BootServer && item.is_none()).then_some(reply.siaddr);
    Ok(())
}
