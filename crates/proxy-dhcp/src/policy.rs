//! Who gets which boot program: ordered rules, the first that matches decides. Engine layer; [`crate::Responder`] asks.

use crate::menu::MenuItem;
use crate::program::{BootProgram, Form};
use crate::request::BootRequest;
use crate::rule::{Answer, Condition, Rule};
use crate::wire::{ClientArch, MacAddr};
use std::net::Ipv4Addr;

/// Ordered rules and whom the responder trusts to be a relay.
///
/// ```
/// # use proxy_dhcp::{BootProgram, ClientArch, Policy};
/// let policy = Policy::builder()
///     .boot(ClientArch::Bios, BootProgram::new("undionly.kpxe"))
///     .boot(ClientArch::X64Uefi, BootProgram::new("snponly.efi"))
///     .ipxe_script("http://{server}:8080/boot.ipxe")
///     .build();
/// assert_eq!(policy.rules().len(), 3);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
    /// One for each rule.
    looks: Vec<FirstLook>,
    relays: Vec<Ipv4Addr>,
    routed_clients: bool,
}

/// The conditions that most rules have alone, side by side: a rule's own memory is only read where they hold, which is
/// what a request costs when the processor slept before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FirstLook {
    arch: Option<ClientArch>,
    ipxe: Option<bool>,
    /// Whether the rule has other conditions too.
    more: bool,
}

impl FirstLook {
    fn at(rule: &Rule) -> Self {
        let Condition { archs, ipxe, .. } = &rule.when;
        let (arch, several) = match archs.as_slice() {
            [] => (None, false),
            [arch] => (Some(*arch), false),
            _ => (None, true),
        };
        let plain = Condition { archs: archs.clone(), ipxe: *ipxe, ..Condition::default() };
        Self { arch, ipxe: *ipxe, more: several || plain != rule.when }
    }

    fn may_match(self, arch: ClientArch, ipxe: bool) -> bool {
        self.arch.is_none_or(|ours| ours == arch) && self.ipxe.is_none_or(|ours| ours == ipxe)
    }
}

/// Loaders under the names that Debian's `ipxe` package and iPXE's own builds use.
const LOADERS: &[(ClientArch, &str)] = &[
    (ClientArch::Bios, "undionly.kpxe"),
    (ClientArch::Ia32Uefi, "ia32/snponly.efi"),
    (ClientArch::X64Uefi, "snponly.efi"),
    (ClientArch::Arm32Uefi, "arm32/snponly.efi"),
    (ClientArch::Arm64Uefi, "arm64/snponly.efi"),
    (ClientArch::Riscv64Uefi, "riscv64/snponly.efi"),
];

impl Policy {
    /// Starts with no rule: nobody is answered.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The rules of a network that boots iPXE: `undionly.kpxe` for BIOS, `snponly.efi` for x64 UEFI (other
    /// architectures in a directory of their name), and for iPXE itself the script. UEFI HTTP Boot is given the same
    /// loaders from `/assets` of the script's server.
    #[must_use]
    pub fn default_for(ipxe_script: impl Into<String>) -> Self {
        let script = ipxe_script.into();
        let mut builder = Self::builder().default_loaders();
        if let Some(origin) = origin(&script) {
            builder = builder.default_http_loaders(&format!("{origin}/assets"));
        }
        builder.ipxe_script(script).build()
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether requests of this relay agent are answered.
    #[must_use]
    pub fn is_relay(&self, address: Ipv4Addr) -> bool {
        self.relays.contains(&address)
    }

    /// Whether port 4011 answers clients of other subnets (those behind a relay).
    #[must_use]
    pub fn answers_routed_clients(&self) -> bool {
        self.routed_clients
    }

    /// The rule for a request and the architecture it matched: for each architecture in the client's order, the first
    /// rule that matches. A menu of which nothing is left for the client does not match.
    #[must_use]
    pub fn select(&self, request: &BootRequest<'_>) -> Option<(&Rule, ClientArch)> {
        let ipxe = request.is_ipxe();
        request.archs.iter().map(|arch| self.served_as(request, arch)).find_map(|arch| {
            let likely = self.looks.iter().zip(&self.rules).filter(|(look, _)| look.may_match(arch, ipxe));
            let rule = likely.into_iter().find_map(|(look, rule)| {
                let matches = (!look.more || rule.when.matches(request, arch))
                    && match &rule.answer {
                        Answer::Menu(menu) => menu.items_for(request, arch).next().is_some(),
                        Answer::Boot(_) | Answer::LocalBoot | Answer::Silent(_) => true,
                    };
                matches.then_some(rule)
            });
            rule.map(|rule| (rule, arch))
        })
    }

    /// The menu item of a boot server type, whoever it was shown to: the client chose it, and says so on port 4011.
    #[must_use]
    pub fn item(&self, server_type: u16) -> Option<(&Rule, &MenuItem)> {
        self.rules.iter().find_map(|rule| match &rule.answer {
            Answer::Menu(menu) => {
                let item = menu.items.iter().find(|item| item.server_type == server_type)?;
                Some((rule, item))
            }
            Answer::Boot(_) | Answer::LocalBoot | Answer::Silent(_) => None,
        })
    }

    /// The architecture a client is served as. Two kinds of firmware say the wrong one: a Raspberry Pi's boot ROM says
    /// x86 BIOS (known by its maker), and some x64 firmware says EFI byte code, which no machine is by itself. A rule
    /// that names the wrong one is obeyed.
    pub(crate) fn served_as(&self, request: &BootRequest<'_>, arch: ClientArch) -> ClientArch {
        let better = match arch {
            ClientArch::Bios if !request.is_ipxe() && request.mac().is_some_and(is_raspberry_pi) => {
                return ClientArch::ArmRpiboot;
            }
            ClientArch::Ebc => ClientArch::X64Uefi,
            ClientArch::EbcHttp => ClientArch::X64UefiHttp,
            _ => return arch,
        };
        if self.rules.iter().any(|rule| rule.when.archs.contains(&arch)) { arch } else { better }
    }
}

fn is_raspberry_pi(mac: MacAddr) -> bool {
    RASPBERRY_PI.iter().any(|maker| mac.0.starts_with(maker))
}

/// Makers of Raspberry Pi boards, whose boot ROM says it is an x86 BIOS.
const RASPBERRY_PI: [[u8; 3]; 6] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0x28, 0xcd, 0xc1],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
];

/// Scheme, host and port of an HTTP URL.
#[must_use]
pub fn origin(url: &str) -> Option<&str> {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let scheme = url.len() - host.len();
    let end = host.find('/').map_or(url.len(), |slash| scheme + slash);
    url.get(..end).filter(|origin| origin.len() > scheme)
}

/// Builds a [`Policy`]: explicit rules first in the order given, then iPXE's script, then programs per architecture.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    rules: Vec<Rule>,
    script: Option<String>,
    programs: Vec<(ClientArch, BootProgram)>,
    tftp_server: Option<Ipv4Addr>,
    relays: Vec<Ipv4Addr>,
    routed_clients: bool,
}

impl Builder {
    /// Appends a rule before the built-in ones.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// What firmware of an architecture boots. A second call for the same architecture replaces the first.
    #[must_use]
    pub fn boot(mut self, arch: ClientArch, program: BootProgram) -> Self {
        self.programs.retain(|(known, _)| *known != arch);
        self.programs.push((arch, program));
        self
    }

    /// Files for UEFI HTTP Boot below a URL, under the names of [`Self::default_loaders`], for architectures not given
    /// yet; `{server}` stands for our address.
    #[must_use]
    pub fn default_http_loaders(mut self, folder: &str) -> Self {
        let http = |arch: &ClientArch| format!("{}-http", arch.name()?).parse().ok();
        for (arch, file) in LOADERS {
            let Some(arch) = http(arch).filter(|arch: &ClientArch| !arch.is_bios()) else { continue };
            if !self.programs.iter().any(|(known, _)| *known == arch) {
                self.programs.push((arch, BootProgram::new(format!("{folder}/{file}"))));
            }
        }
        self
    }

    /// The loaders of [`Policy::default_for`], for architectures not given yet.
    #[must_use]
    pub fn default_loaders(mut self) -> Self {
        for (arch, file) in LOADERS {
            if !self.programs.iter().any(|(known, _)| known == arch) {
                self.programs.push((*arch, BootProgram::new(*file)));
            }
        }
        self
    }

    /// The URL of iPXE's script; `{server}` stands for our address on the interface of arrival.
    #[must_use]
    pub fn ipxe_script(mut self, url: impl Into<String>) -> Self {
        self.script = Some(url.into());
        self
    }

    /// The TFTP server of programs that name none; default: our address on the interface of arrival.
    #[must_use]
    pub fn tftp_server(mut self, address: Ipv4Addr) -> Self {
        self.tftp_server = Some(address);
        self
    }

    /// Answers requests that this relay agent passes on. Without it a `giaddr` is never answered.
    #[must_use]
    pub fn relay(mut self, address: Ipv4Addr) -> Self {
        self.relays.push(address);
        self
    }

    /// Lets clients of other subnets ask port 4011; needed behind a relay. Off by default.
    #[must_use]
    pub fn routed_clients(mut self, answered: bool) -> Self {
        self.routed_clients = answered;
        self
    }

    /// The policy.
    #[must_use]
    pub fn build(self) -> Policy {
        let mut rules = self.rules;
        if let Some(url) = self.script {
            let when = Condition { ipxe: Some(true), ..Condition::default() };
            rules.push(Rule::new(
                "iPXE script",
                when,
                Answer::Boot(BootProgram::new(url).form(Form::Direct)),
            ));
        }
        for (arch, program) in self.programs {
            let program = match self.tftp_server {
                Some(address) => program.default_server(address),
                None => program,
            };
            let when = Condition { archs: vec![arch], ipxe: Some(false), ..Condition::default() };
            rules.push(Rule::new(format!("{arch} firmware"), when, Answer::Boot(program)));
        }
        let looks = rules.iter().map(FirstLook::at).collect();
        Policy { rules, looks, relays: self.relays, routed_clients: self.routed_clients }
    }
}
