//! Reply or not: the one decision of a proxy, without clock, state or socket. PXE 2.1 §2.2 to §2.4, RFC 4578.

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
        let first_arch = request.arch().ok_or(Ignored::NoArchitecture)?;
        let (destination, server) = self.destination(request)?;
        let ipxe = request.is_ipxe();
        let (rule, arch) = self.policy.select(request).ok_or(Ignored::NoRule { arch: first_arch, ipxe })?;
        let program = match &rule.answer {
            Answer::Boot(program) => program,
            Answer::Silent(reason) => return Err(Ignored::Silent(reason.clone())),
        };
        let form = form(program, request, arch, ipxe).ok_or_else(|| Ignored::WrongForm(rule.name.clone()))?;
        let item = request.boot_item();
        if item.is_some_and(|item| item.wants_credentials()) {
            return Err(Ignored::WantsCredentials);
        }
        let only_offer = form == Form::Binl && request.arrival.port == Port::Dhcp && item.is_none();
        Ok(Reply {
            request,
            message,
            destination,
            server,
            // A BINL client asks siaddr's port 4011: that is us, wherever the file may be.
            boot_server: if only_offer { server } else { program.server_address().unwrap_or(server) },
            file: (!only_offer).then(|| program.file_for(server)),
            http: form == Form::Http,
            vendor: match (form, item) {
                (_, Some(item)) => Vendor::Item(item),
                (Form::Direct, None) => Vendor::BootFile,
                _ => Vendor::Nothing,
            },
            stage: if ipxe { Stage::Ipxe } else { Stage::Firmware },
            arch,
            rule: &rule.name,
        })
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

/// The form an answer takes; `None` when the program cannot be given to this client.
fn form(program: &BootProgram, request: &BootRequest<'_>, arch: ClientArch, ipxe: bool) -> Option<Form> {
    let form = match program.configured_form() {
        Form::Auto if request.is_http_client() => Form::Http,
        Form::Auto if ipxe || arch.is_bios() => Form::Direct,
        Form::Auto => Form::Binl,
        form => form,
    };
    let http = form == Form::Http;
    (http == request.is_http_client() && (!http || program.is_url())).then_some(form)
}
