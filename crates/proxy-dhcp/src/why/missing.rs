//! The steps that may be missing, in words that say what to look at.

use super::boot::FileName;
use crate::wire::ClientArch;
use std::fmt;
use std::net::Ipv4Addr;

/// The step of a boot that did not come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// Nobody answered a machine that wants to boot from the network.
    Answer {
        /// DISCOVERs so far.
        discovers: u32,
    },
    /// The machine took no lease.
    Request {
        /// DISCOVERs so far.
        discovers: u32,
        /// Whether an offer of an address was seen (a unicast one is not).
        lease_offered: bool,
    },
    /// The machine took the answer of another PXE server.
    SecondResponder {
        /// The other one.
        server: Ipv4Addr,
    },
    /// No request came to port 4011.
    BootServerRequest {
        /// Answers sent so far.
        offers: u32,
    },
    /// A request to port 4011 was on the wire and got no answer.
    BootServerAnswer,
    /// No TFTP read came.
    FileRead {
        /// What should be read.
        file: FileName,
    },
    /// The TFTP read was repeated, as if nobody answered.
    FileAnswer {
        /// What was asked for.
        file: FileName,
    },
    /// The loader is for another architecture.
    RightArchitecture {
        /// The loader.
        file: FileName,
        /// The machine.
        arch: ClientArch,
    },
    /// GRUB was read and asked for nothing more.
    NextServer {
        /// The GRUB image.
        file: FileName,
    },
    /// The loader was read and did not run: UEFI, where Secure Boot may refuse it.
    LoaderStart {
        /// The loader.
        file: FileName,
    },
    /// The loader loads itself.
    ScriptRequest {
        /// Loaders read in a row.
        loaders: u32,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { discovers } => {
                write!(f, "asked {discovers}×, no answer of a PXE server: no rule for it, or none is running")
            }
            Self::Request { discovers, lease_offered: true } => write!(
                f,
                "offer sent {discovers}×, no DHCPREQUEST: the firmware takes none of the offers (some need the boot \
                 file from the DHCP server itself)"
            ),
            Self::Request { discovers, lease_offered: false } => write!(
                f,
                "offer sent {discovers}×, no DHCPREQUEST and no lease offer seen: does the DHCP server have an \
                 address for it?"
            ),
            Self::SecondResponder { server } => {
                write!(f, "it took the answer of a second PXE responder, {server}: stop one of the two")
            }
            Self::BootServerRequest { offers } => {
                write!(f, "offer sent {offers}×, no request on 4011: udp/4011 to this host blocked?")
            }
            Self::BootServerAnswer => f.write_str(
                "its request on 4011 was on the wire and not answered: does a firewall on the server drop udp/4011?",
            ),
            Self::FileRead { file } => write!(f, "no TFTP read of {file}: udp/69 blocked?"),
            Self::FileAnswer { file } => write!(
                f,
                "TFTP read of {file} repeated, not answered: no TFTP server, or a firewall drops udp/69 or its answers"
            ),
            Self::RightArchitecture { file, arch } => {
                write!(f, "{file} was read and did not run: wrong architecture, the machine is {arch}")
            }
            Self::NextServer { file } => write!(
                f,
                "{file} was read and asks for nothing: GRUB takes its server from the lease only, which has no \
                 next-server: add one, or use a GRUB image with the server's address inside"
            ),
            Self::LoaderStart { file } => write!(
                f,
                "{file} was read and did not run: Secure Boot refuses an unsigned loader (start shimx64.efi, or turn \
                 Secure Boot off)"
            ),
            Self::ScriptRequest { loaders } => write!(
                f,
                "loader read {loaders}× and no script given: it loads itself; is there a rule with the script for iPXE?"
            ),
        }
    }
}
