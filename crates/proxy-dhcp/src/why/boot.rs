//! One machine's boot as far as its packets tell, and what it waits for.

use super::Missing;
use crate::reply::Stage;
use crate::wire::ClientArch;
use std::fmt::{self, Write as _};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Loaders in a row that make a loop.
const LOOP: u32 = 3;
/// A machine whose firmware asks again this soon after its iPXE was named a script never ran it.
const CONTESTED: Duration = Duration::from_secs(60);

/// The first octets of a file name or URL, for messages.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct FileName {
    octets: [u8; 40],
    length: u8,
}

impl Default for FileName {
    fn default() -> Self {
        Self { octets: [0; 40], length: 0 }
    }
}

impl FileName {
    /// The first 40 octets of a name.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let mut file = Self::default();
        let kept = name.get(..file.octets.len()).unwrap_or(name);
        if let Some(places) = file.octets.get_mut(..kept.len()) {
            places.copy_from_slice(kept);
        }
        file.length = u8::try_from(kept.len()).unwrap_or_default();
        file
    }

    /// The first 40 octets of what something prints.
    pub(super) fn printed(name: impl fmt::Display) -> Self {
        let mut file = Self::default();
        let _ = write!(file, "{name}"); // a longer name is cut
        file
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn contains(&self, part: &[u8]) -> bool {
        self.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
    }
}

impl fmt::Write for FileName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.octets.iter_mut().skip(self.length.into());
        for (place, octet) in room.zip(text.bytes()) {
            *place = octet;
            self.length += 1;
        }
        Ok(())
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An answer of a PXE server.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Who answered.
    pub server: Ipv4Addr,
    /// Whether that is us.
    pub ours: bool,
    /// The transaction.
    pub xid: u32,
    /// The file it names, if any.
    pub file: FileName,
    /// Whether it is a menu, from which the client first chooses.
    pub menu: bool,
    /// Whether the file is on the server that answered.
    pub here: bool,
}

/// What has been seen last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Discovered,
    Offered,
    Requested,
    BootServerAsked,
    FileNamed,
    FileRead,
    /// Nothing more to say: all went well, or it was told what did not.
    Settled,
}

impl Step {
    /// The shortest time any step waits.
    pub(super) const SHORTEST: Duration = Duration::from_secs(3);

    /// How long after this step the next one must have come. EDK2 collects offers for 4 s and starts TFTP 1 s after
    /// port 4011; iPXE waits 15 s for an IPv6 router before it goes on; a loader needs some seconds to start.
    fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::BootServerAsked => 3,
            Self::Discovered | Self::Offered => 12,
            Self::Requested | Self::FileNamed => 20,
            Self::FileRead | Self::Settled => 25,
        })
    }
}

/// One boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    touched: Instant,
    step: Step,
    stage: Stage,
    arch: Option<ClientArch>,
    xid: u32,
    discovers: u32,
    loaders: u32,
    offers: u32,
    /// Us, or the server whose answer came first, and another one if there is.
    responder: Option<Ipv4Addr>,
    second: Option<Ipv4Addr>,
    /// Whether the machine asked port 4011, and not that of the second.
    taken: bool,
    /// A script was named while another responder answered too: that one, and when.
    contested: Option<(Ipv4Addr, Instant)>,
    lease_offered: bool,
    lease_boots: bool,
    file: FileName,
    menu: bool,
    here: bool,
    read: FileName,
    read_port: u16,
    repeats: u8,
    answered_xid: Option<u32>,
    /// Found at once rather than after a wait.
    found: Option<Missing>,
    loop_told: bool,
}

impl Boot {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            touched: now,
            step: Step::Settled,
            stage: Stage::Firmware,
            arch: None,
            xid: 0,
            discovers: 0,
            loaders: 0,
            offers: 0,
            responder: None,
            second: None,
            taken: false,
            contested: None,
            lease_offered: false,
            lease_boots: false,
            file: FileName::default(),
            menu: false,
            here: false,
            read: FileName::default(),
            read_port: 0,
            repeats: 0,
            answered_xid: None,
            found: None,
            loop_told: false,
        }
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.touched = now;
    }

    /// Nothing more is expected.
    pub(super) fn settle(&mut self) {
        (self.step, self.found) = (Step::Settled, None);
    }

    pub(super) fn arch(&self) -> Option<ClientArch> {
        self.arch
    }

    pub(super) fn is_settled(&self) -> bool {
        self.step == Step::Settled && self.found.is_none()
    }

    pub(super) fn due(&self) -> Instant {
        self.touched + self.step.patience()
    }

    pub(super) fn discovered(&mut self, arch: Option<ClientArch>, stage: Stage, xid: u32) {
        let again = self.xid == xid && self.discovers > 0;
        if again {
            self.discovers = self.discovers.saturating_add(1);
            if self.step == Step::Settled {
                self.step = Step::Offered;
            }
            return;
        }
        // Who begins again has given up what it waited for, or its loader runs and asks.
        let reread = self.step == Step::FileRead && self.read == self.file && self.repeats == 0;
        let loaders = if reread { self.loaders.saturating_add(1) } else { 0 };
        match self.step {
            Step::Requested | Step::BootServerAsked | Step::FileNamed => self.found = self.next_step(),
            Step::FileRead if self.repeats > 0 => self.found = self.next_step(),
            Step::FileRead if reread && stage == Stage::Firmware => self.found = self.loader_missing(),
            _ => {}
        }
        // Firmware again, so soon after iPXE: it did not come to the script.
        if let (Some((server, at)), Stage::Firmware) = (self.contested, stage)
            && self.touched.saturating_duration_since(at) <= CONTESTED
        {
            self.found = Some(Missing::SecondResponder { server });
        }
        let told = self.loop_told && loaders > 0;
        if loaders >= LOOP && !told {
            self.found = Some(Missing::ScriptRequest { loaders });
        }
        let unanswered = matches!(self.step, Step::Discovered | Step::Offered);
        let discovers = if unanswered { self.discovers.saturating_add(1) } else { 1 };
        let found = self.found;
        *self = Self {
            step: Step::Discovered,
            stage,
            arch: arch.or(self.arch),
            xid,
            discovers,
            loaders,
            found,
            loop_told: told || matches!(found, Some(Missing::ScriptRequest { .. })),
            ..Self::new(self.touched)
        };
    }

    pub(super) fn answered(&mut self, answer: Answered) {
        match self.responder {
            // Whoever is first, the second is not us.
            Some(first) if first != answer.server && answer.ours => {
                (self.responder, self.second) = (Some(answer.server), Some(first));
            }
            Some(first) if first != answer.server => self.second = Some(answer.server),
            _ => self.responder = Some(answer.server),
        }
        self.offers = self.offers.saturating_add(1);
        if self.responder == Some(answer.server) {
            self.answered_xid = Some(answer.xid);
            (self.file, self.menu, self.here) = (answer.file, answer.menu, answer.here);
        }
        self.step = match self.step {
            Step::Discovered | Step::Offered => Step::Offered,
            _ if self.file.is_empty() => self.step,
            _ => Step::FileNamed,
        };
        self.settle_scripts();
    }

    /// A script or URL is fetched by HTTP, which is not seen here: as far as DHCP goes all is well.
    fn settle_scripts(&mut self) {
        if self.step == Step::FileNamed && (self.stage == Stage::Ipxe || self.file.contains(b"://")) {
            self.step = Step::Settled;
            self.contested = self.second.map(|server| (server, self.touched));
        }
    }

    pub(super) fn leased(&mut self, ack: bool, boots: bool) {
        self.lease_offered = true;
        self.lease_boots |= boots;
        if ack && matches!(self.step, Step::Discovered | Step::Offered) {
            self.requested();
        }
    }

    pub(super) fn requested(&mut self) {
        self.step = match self.step {
            Step::Offered if self.file.is_empty() => Step::Requested,
            Step::Offered => Step::FileNamed,
            step => step,
        };
        self.settle_scripts();
    }

    pub(super) fn asked_boot_server(&mut self, xid: u32, of: Ipv4Addr) {
        if self.second == Some(of) {
            return;
        }
        self.taken = true;
        // Our own answer may be noted before the request is seen on the wire.
        let answered = self.answered_xid == Some(xid) && !self.file.is_empty();
        if !answered && !matches!(self.step, Step::FileRead | Step::FileNamed) {
            self.step = Step::BootServerAsked;
        }
    }

    pub(super) fn read(&mut self, file: FileName, port: u16) {
        let repeated = self.step == Step::FileRead && self.read == file && self.read_port == port;
        self.repeats = if repeated { self.repeats.saturating_add(1) } else { 0 };
        (self.read, self.read_port, self.step) = (file, port, Step::FileRead);
    }

    /// What is missing, once it is overdue. Told once: the boot is settled by it.
    pub(super) fn assess(&mut self, now: Instant) -> Option<Missing> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        let overdue = now >= self.due();
        let repeated = self.step == Step::FileRead && self.repeats >= 2;
        let retried = self.step == Step::Offered && self.discovers >= 4;
        if !(overdue || repeated || retried) {
            return None;
        }
        let missing = self.next_step();
        self.step = Step::Settled;
        missing
    }

    fn next_step(&self) -> Option<Missing> {
        if let (Some(server), false, Step::Offered | Step::Requested | Step::FileNamed) =
            (self.second, self.taken, self.step)
        {
            return Some(Missing::SecondResponder { server });
        }
        match self.step {
            Step::Discovered => Some(Missing::Answer { discovers: self.discovers }),
            Step::Offered => {
                Some(Missing::Request { discovers: self.discovers, lease_offered: self.lease_offered })
            }
            Step::Requested if self.menu => None, // somebody may be reading the menu
            Step::Requested => Some(Missing::BootServerRequest { offers: self.offers }),
            Step::BootServerAsked => Some(Missing::BootServerAnswer),
            Step::FileNamed if self.here => Some(Missing::FileRead { file: self.file }),
            Step::FileRead if self.repeats >= 1 => Some(Missing::FileAnswer { file: self.read }),
            Step::FileRead => self.loader_missing(),
            Step::FileNamed | Step::Settled => None,
        }
    }

    /// What a loader that was read and is silent lacks; nothing, when it went on to read other files.
    fn loader_missing(&self) -> Option<Missing> {
        let (file, arch) = (self.read, self.arch?);
        if file.contains(b"grub") && file.contains(b".efi") {
            return (!self.lease_boots).then_some(Missing::NextServer { file });
        }
        if file != self.file {
            return None;
        }
        let efi = file.contains(b".efi");
        if efi == arch.is_bios() {
            return Some(Missing::RightArchitecture { file, arch });
        }
        // iPXE that was loaded by iPXE and is silent may be at work elsewhere; so may a BIOS loader.
        (efi && self.stage == Stage::Firmware).then_some(Missing::LoaderStart { file })
    }
}
