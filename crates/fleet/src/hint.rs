//! What is wrong with a boot, as a word that does not change, with what was seen and what mends it. `observe` and the
//! timers give hints; `status` shows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attempt::Phase;
use crate::text::{MAX_DETAIL, clean};

/// A cause, by the word that `kpc status --json`, the page and docs/faults.md name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HintCode {
    /// The power command was sent, its effect not seen.
    PowerUnverified,
    /// Power is on, and no DHCPDISCOVER came.
    NotHeard,
    /// It asks, and nothing was offered.
    NotOffered,
    /// An offer was sent, and no loader was read.
    LoaderNotRead,
    /// The loader was sent, and no script was asked for.
    ScriptNotAsked,
    /// The script was sent, and no kernel was read whole.
    KernelNotRead,
    /// The kernel was sent, and the agent is silent.
    AgentSilent,
    /// The agent spoke, and then no more.
    AgentStuck,
    /// A disk was granted, and its write goes on no more.
    WriteStopped,
    /// The agent said that it reboots, and the machine was not heard again.
    NotBack,
    /// The machine was sent to its disk, and no system registered.
    NotRegistered,
    /// No loader is set for its architecture.
    NoLoaderForArchitecture,
    /// No lease server has an address for it.
    NoLease,
    /// Its firmware takes none of the offers.
    OffersNotTaken,
    /// Another PXE responder took it away.
    SecondResponder,
    /// It was sent to udp/4011, and no request arrived on the wire.
    BootServerNotAsked,
    /// Its request on udp/4011 was on the wire and did not come through.
    BootServerBlocked,
    /// It was named a file, and no TFTP read arrived on the wire.
    TftpNotAsked,
    /// Its TFTP read was on the wire and did not come through.
    TftpBlocked,
    /// The loader is for another kind of firmware.
    WrongLoader,
    /// The loader's file is not there.
    LoaderMissing,
    /// The loader was read whole and did not run.
    LoaderRefused,
    /// The loader loads itself again and again.
    LoaderLoop,
    /// GRUB was read, and the lease names no server for it.
    GrubNoNextServer,
    /// The fetch of the kernel or initrd ended before its end.
    KernelCut,
    /// A file that it asked for is not there.
    AssetMissing,
    /// Its config cannot be rendered.
    TemplateError,
    /// A group's file that may be meant for it does not parse.
    GroupBroken,
    /// The image is not the one that was signed.
    BadSignature,
    /// The disk rule leaves no disk, or several.
    NoDiskFits,
    /// The disk holds data that the order does not give up.
    DiskHoldsData,
    /// The agent stopped for another reason.
    AgentFailed,
    /// The BMC refuses the login.
    BmcLogin,
    /// The BMC does not answer.
    BmcSilent,
    /// The BMC refused a command, or it had no effect.
    BmcRefused,
    /// The BMC is another machine's.
    BmcOther,
    /// The store refuses writes.
    StoreRefuses,
    /// The order is frozen.
    OrderFrozen,
    /// The order was never claimed.
    OrderExpired,
    /// The order ended with a restored backup.
    OrderVoided,
    /// Evidence contradicts the record.
    Conflict,
    /// Its SSH host keys are not those that it had.
    HostKeysChanged,
}

impl HintCode {
    /// Every code.
    pub const ALL: [Self; 42] = [
        Self::PowerUnverified,
        Self::NotHeard,
        Self::NotOffered,
        Self::LoaderNotRead,
        Self::ScriptNotAsked,
        Self::KernelNotRead,
        Self::AgentSilent,
        Self::AgentStuck,
        Self::WriteStopped,
        Self::NotBack,
        Self::NotRegistered,
        Self::NoLoaderForArchitecture,
        Self::NoLease,
        Self::OffersNotTaken,
        Self::SecondResponder,
        Self::BootServerNotAsked,
        Self::BootServerBlocked,
        Self::TftpNotAsked,
        Self::TftpBlocked,
        Self::WrongLoader,
        Self::LoaderMissing,
        Self::LoaderRefused,
        Self::LoaderLoop,
        Self::GrubNoNextServer,
        Self::KernelCut,
        Self::AssetMissing,
        Self::TemplateError,
        Self::GroupBroken,
        Self::BadSignature,
        Self::NoDiskFits,
        Self::DiskHoldsData,
        Self::AgentFailed,
        Self::BmcLogin,
        Self::BmcSilent,
        Self::BmcRefused,
        Self::BmcOther,
        Self::StoreRefuses,
        Self::OrderFrozen,
        Self::OrderExpired,
        Self::OrderVoided,
        Self::Conflict,
        Self::HostKeysChanged,
    ];

    /// The word and what mends it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::PowerUnverified => {
                ("power-unverified", "see `kpc power status`; is the BMC reachable on udp/623?")
            }
            Self::NotHeard => {
                ("not-heard", "look at cable, VLAN, and network boot in the firmware's settings")
            }
            Self::NotOffered => ("not-offered", "see `kpc why` for what it would get"),
            Self::LoaderNotRead => ("loader-not-read", "let udp/69 and udp/4011 through, both ways"),
            Self::ScriptNotAsked => {
                ("script-not-asked", "let the machines' HTTP port through; look whether iPXE got a lease")
            }
            Self::KernelNotRead => {
                ("kernel-not-read", "look at the profile's kernel and initrd, and at the link's speed")
            }
            Self::AgentSilent => {
                ("agent-silent", "look at `kpc console`: wrong initrd, or no driver for its network card")
            }
            Self::AgentStuck => ("agent-stuck", "look at `kpc console` and at the last report in `kpc show`"),
            Self::WriteStopped => {
                ("write-stopped", "its disk may be half written: look at it, then `kpc retry` orders again")
            }
            Self::NotBack => ("not-back", "look at `kpc console`: firmware setup, or another system started"),
            Self::NotRegistered => {
                ("not-registered", "look at `kpc console`: boot loader on the disk, or no network there")
            }
            Self::NoLoaderForArchitecture => (
                "no-loader-for-architecture",
                "name one in kpc.toml's [dhcp.boot], and put the file into the loaders' folder",
            ),
            Self::NoLease => {
                ("no-lease", "look at the DHCP server: is it up, and has it an address for this machine?")
            }
            Self::OffersNotTaken => (
                "offers-not-taken",
                "some firmware needs the boot file from the DHCP server itself: `kpc init --print-dhcp-options`",
            ),
            Self::SecondResponder => ("second-responder", "stop the other PXE responder, then `kpc retry`"),
            Self::BootServerNotAsked => {
                ("boot-server-not-asked", "let udp/4011 through from the machine to this host")
            }
            Self::BootServerBlocked => {
                ("boot-server-blocked", "open udp/4011 in this host's firewall (`kpc doctor` looks)")
            }
            Self::TftpNotAsked => ("tftp-not-asked", "let udp/69 through from the machine to this host"),
            Self::TftpBlocked => {
                ("tftp-blocked", "open udp/69 in this host's firewall, and its answers (`kpc doctor` looks)")
            }
            Self::WrongLoader => (
                "wrong-loader",
                "name the right one in kpc.toml: undionly.kpxe for dhcp.bios, snponly.efi for dhcp.x64_uefi",
            ),
            Self::LoaderMissing => (
                "loader-missing",
                "put it into the loaders' folder (tftp.root); Debian's package ipxe has them",
            ),
            Self::LoaderRefused => (
                "loader-refused",
                "Secure Boot refuses an unsigned loader: start shimx64.efi, or turn Secure Boot off",
            ),
            Self::LoaderLoop => {
                ("loader-loop", "the loader does not say iPXE: use undionly.kpxe or snponly.efi as built")
            }
            Self::GrubNoNextServer => (
                "grub-no-next-server",
                "add next-server to the DHCP server, or use a GRUB image with our address inside",
            ),
            Self::KernelCut => {
                ("kernel-cut", "look at the link, and at what lies between: a proxy or firewall that cuts")
            }
            Self::AssetMissing => ("asset-missing", "`kpc assets add` puts images there; see `kpc check`"),
            Self::TemplateError => ("template-error", "mend the named file; `kpc why` renders it"),
            Self::GroupBroken => ("group-broken", "mend the named file; `kpc check` reads them all"),
            Self::BadSignature => (
                "bad-signature",
                "the image changed after it was added: `kpc assets verify`, then `kpc assets add` again",
            ),
            Self::NoDiskFits => (
                "no-disk-fits",
                "name the disk with `kpc disk set`, or change the profile's disk rule in kpc.toml",
            ),
            Self::DiskHoldsData => (
                "disk-holds-data",
                "another disk with `kpc disk set`, or `kpc reinstall --wipe SERIAL` gives the data up",
            ),
            Self::AgentFailed => ("agent-failed", "see `kpc show` for its words, then `kpc retry`"),
            Self::BmcLogin => (
                "bmc-login",
                "`kpc bmc scan ADDRESS --credentials FILE --save` tries and keeps another login",
            ),
            Self::BmcSilent => {
                ("bmc-silent", "look at its cable, VLAN and address; is IPMI over LAN enabled in it?")
            }
            Self::BmcRefused => ("bmc-refused", "look at the BMC's own log, then `kpc retry`"),
            Self::BmcOther => ("bmc-other", "look which machine it belongs to, then `kpc resolve`"),
            Self::StoreRefuses => {
                ("store-refuses", "make room on, or remount, the disk of the data folder; boots go on then")
            }
            Self::OrderFrozen => ("order-frozen", "look at who asked, then `kpc retry`"),
            Self::OrderExpired => ("order-expired", "look at its boot order, then `kpc retry`"),
            Self::OrderVoided => ("order-voided", "order again: what happened since the backup is not known"),
            Self::HostKeysChanged => {
                ("host-keys-changed", "look why they changed, then `kpc resolve` takes the new ones")
            }
            Self::Conflict => ("conflict", "`kpc resolve` after looking, or `kpc machine replace`"),
        }
    }

    /// The word: `tftp-blocked`.
    pub const fn word(self) -> &'static str {
        self.words().0
    }

    /// What a person does about it.
    pub const fn remedy(self) -> &'static str {
        self.words().1
    }

    /// The code that an agent may say of its own stop; every other word is [`Self::AgentFailed`].
    pub fn of_agent(word: &str) -> Self {
        let may = [Self::BadSignature, Self::NoDiskFits, Self::DiskHoldsData, Self::AssetMissing];
        may.into_iter().find(|code| code.word() == word).unwrap_or(Self::AgentFailed)
    }

    /// Whether it stands between a machine and its script: the next boot of the same machine meets it again.
    pub(crate) const fn is_of_loading(self) -> bool {
        matches!(
            self,
            Self::NoLoaderForArchitecture
                | Self::NoLease
                | Self::OffersNotTaken
                | Self::SecondResponder
                | Self::BootServerNotAsked
                | Self::BootServerBlocked
                | Self::TftpNotAsked
                | Self::TftpBlocked
                | Self::WrongLoader
                | Self::LoaderMissing
                | Self::LoaderRefused
                | Self::LoaderLoop
                | Self::GrubNoNextServer
        )
    }

    /// Whether it only says that a phase lasted too long: a cause found later takes its place.
    pub(crate) const fn is_late(self) -> bool {
        matches!(
            self,
            Self::PowerUnverified
                | Self::NotHeard
                | Self::NotOffered
                | Self::LoaderNotRead
                | Self::ScriptNotAsked
                | Self::KernelNotRead
                | Self::AgentSilent
                | Self::AgentStuck
                | Self::NotBack
                | Self::NotRegistered
        )
    }
}

impl fmt::Display for HintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A cause and what was seen of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// The cause.
    pub code: HintCode,
    /// What was seen; cleaned for terminals, not for HTML.
    pub text: String,
}

impl Hint {
    /// A hint with its text cleaned and cut.
    pub fn new(code: HintCode, text: &str) -> Self {
        Self { code, text: clean(text, MAX_DETAIL) }
    }

    /// What to say when a phase lasts too long and nothing better is known. `times` is how often its packet came.
    pub fn late(phase: Phase, times: u32) -> Option<Self> {
        use HintCode as Code;
        let (code, text) = match phase {
            Phase::PowerCommanded => {
                (Code::PowerUnverified, "power commanded, state not verified".to_owned())
            }
            Phase::PowerVerified => (Code::NotHeard, "power is on, no DHCPDISCOVER heard".to_owned()),
            Phase::Seen => (Code::NotOffered, format!("DISCOVER heard {times}x, nothing offered")),
            Phase::Offered => (Code::LoaderNotRead, format!("offer sent {times}x, no loader read")),
            Phase::Loader => (Code::ScriptNotAsked, "loader sent, no script asked for".to_owned()),
            Phase::Script => (Code::KernelNotRead, format!("script sent {times}x, kernel not read whole")),
            Phase::Kernel => (Code::AgentSilent, "kernel sent, the agent never spoke".to_owned()),
            Phase::Agent => (Code::AgentStuck, "agent runs, nothing further heard".to_owned()),
            Phase::Writing => {
                (Code::WriteStopped, "no progress of the write, and no word of the agent".to_owned())
            }
            Phase::Reboot => (Code::NotBack, "agent said reboot, machine not heard again".to_owned()),
            Phase::DiskBoot => (Code::NotRegistered, "sent to its disk, never registered".to_owned()),
            Phase::Registered => return None,
        };
        Some(Self { code, text })
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_stable_unique_and_the_same_in_json() {
        let words: BTreeSet<_> = HintCode::ALL.into_iter().map(HintCode::word).collect();
        assert_eq!(words.len(), HintCode::ALL.len());
        for code in HintCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            assert!(!code.remedy().is_empty());
        }
    }

    #[test]
    fn an_agent_says_of_itself_only_what_it_may_know() {
        assert_eq!(HintCode::of_agent("no-disk-fits"), HintCode::NoDiskFits);
        assert_eq!(HintCode::of_agent("store-refuses"), HintCode::AgentFailed);
    }

    #[test]
    fn every_phase_but_the_last_has_something_to_say() {
        for phase in Phase::ALL {
            assert_eq!(Hint::late(phase, 4).is_none(), phase == Phase::Registered);
            assert_eq!(phase.limit().is_none(), phase == Phase::Registered);
        }
    }
}
