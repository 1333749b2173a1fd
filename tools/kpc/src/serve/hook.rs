//! The machines' side of bootcfg: every rendering endpoint asks the fleet. An operator-written profile is served only
//! under a claim of an open order; everybody else is sent on to their disk.

use std::sync::Arc;

use bootcfg::Labels;
use bootcfg::driver::http::{Access, Deciding, Hook, RequestFacts, Target, Verdict};
use bootcfg::driver::store::{FileStore, Store as _};
use bootcfg::route::Endpoint;
use bytes::Bytes;
use fleet::{Boot, Claim, ClaimRefused, Decision, Hint, HintCode, Mac, Observation, Role, Sighting};
use serde_json::{Map, Value};

use crate::serve::state::State;
use crate::serve::why;

/// Seconds that a held machine waits before it asks again.
const HELD: u32 = 10;

/// The fleet's side of bootcfg's requests.
pub(crate) struct BootHook {
    pub(crate) state: Arc<State>,
    /// Where the profiles are.
    pub(crate) store: Arc<FileStore>,
    /// `http://ADDRESS:PORT`, as machines reach us.
    pub(crate) url: String,
}

impl Hook for BootHook {
    fn decide<'a>(&'a self, facts: &'a RequestFacts<'a>) -> Deciding<'a> {
        Box::pin(async move {
            let sighting = self.sighting(facts);
            match facts.endpoint {
                // Answered only when the claim is durable.
                Endpoint::Ipxe => {
                    let platform = facts.labels.get("platform").unwrap_or_default();
                    self.script(&sighting, Loader::Ipxe(platform), facts.labels).await
                }
                Endpoint::Grub => self.script(&sighting, Loader::Grub, facts.labels).await,
                _ => self.rendering(&sighting, facts.labels),
            }
        })
    }

    fn record(&self, access: &Access) {
        tracing::info!(
            peer = %access.peer,
            target = ?access.target,
            status = access.status,
            octets = access.octets,
            complete = access.complete,
            profile = access.profile,
            template = access.template,
            detail = access.detail,
            "HTTP"
        );
        self.state.metrics().answered(access.status, access.octets);
        if access.method != "GET" {
            return;
        }
        let mut sighting = Sighting::from_peer(access.peer.ip().to_canonical());
        sighting.mac = self.state.neighbour(access.peer.ip());
        if let Some(hint) = self.trouble(access, &sighting) {
            // A fetch that was cut may be tried again.
            let certain = access.complete;
            self.state.observe(Observation::Trouble { sighting: sighting.clone(), hint, certain });
        }
        if !access.complete {
            return;
        }
        let observation = match &access.target {
            _ if access.status >= 400 => {
                let detail = access.detail.as_deref().unwrap_or("refused");
                Observation::Sent { sighting, what: format!("error {}: {detail}", access.status) }
            }
            Target::Endpoint(Endpoint::Ignition) => {
                Observation::Sent { sighting, what: "ignition".to_owned() }
            }
            Target::Asset(path) if self.is_kernel(&sighting, path) => {
                Observation::KernelSent { sighting, path: path.clone(), octets: access.octets }
            }
            Target::Asset(path) => Observation::Sent { sighting, what: path.clone() },
            _ => return,
        };
        // Called where a body is dropped: the observation is no durable one, so nothing blocks.
        self.state.observe(observation);
    }
}

impl BootHook {
    /// Who asks, by what it says and what the wire shows.
    fn sighting(&self, facts: &RequestFacts<'_>) -> Sighting {
        let label = |name| facts.labels.get(name);
        let mut sighting = Sighting::from_peer(facts.peer.ip().to_canonical());
        let (said, wire) =
            (label("mac").and_then(|mac| mac.parse().ok()), self.state.neighbour(facts.peer.ip()));
        // What the wire shows counts where it is another machine of ours: nobody takes his neighbour's order.
        let is_ours = |mac: &Mac| self.state.read(|fleet, _| fleet.machine_with(*mac).is_some());
        sighting.mac = match (said, wire) {
            (Some(said), Some(wire)) if said != wire && is_ours(&wire) && !self.same_machine(said, wire) => {
                Some(wire)
            }
            (said, wire) => said.or(wire),
        };
        sighting.uuid = label("uuid").and_then(|uuid| uuid.parse().ok());
        sighting.claim = label("nonce").and_then(|nonce| self.state.claim_of(nonce));
        sighting
    }

    fn same_machine(&self, one: Mac, other: Mac) -> bool {
        let id = |fleet: &fleet::Fleet, mac| fleet.machine_with(mac).map(|machine| machine.id);
        self.state.read(|fleet, _| id(fleet, one).is_some() && id(fleet, one) == id(fleet, other))
    }

    /// `/ipxe` and `/grub`: the claim is made here.
    async fn script(&self, sighting: &Sighting, loader: Loader<'_>, labels: &Labels) -> Verdict {
        let mut fresh = [0_u8; 16];
        if let Err(error) = getrandom::fill(&mut fresh) {
            return Verdict::Refuse { status: 503, reason: format!("no random numbers: {error}") };
        }
        let seen = sighting.clone();
        let claimed = self.state.change(move |fleet, now| {
            let claim = fleet.claim(now, &seen, fresh)?;
            let seen = seen.with_claim(claim.secret);
            let decision = fleet.decide(now, &seen);
            if matches!(decision, Decision::Boot(_)) {
                // Said with the claim, so that it shows at once; the script follows when the claim is durable.
                let _ = fleet.observe(now, Observation::ScriptSent { sighting: seen }); // it knows whom it gave the claim
            }
            Ok::<_, ClaimRefused>((claim, decision))
        });
        match claimed.await {
            Err(error) => script(&plain(&error), loader, Next::Again),
            Ok(Ok((claim, Decision::Boot(boot)))) => self.boot(&boot, &claim, sighting, labels),
            Ok(Ok((_, decision))) | Ok(Err(ClaimRefused::Nothing(decision))) => {
                self.elsewhere(&decision, sighting, loader)
            }
            Ok(Err(refused)) => script(&plain(&refused.to_string()), loader, Next::Again),
        }
    }

    fn boot(&self, boot: &Boot, claim: &Claim, sighting: &Sighting, labels: &Labels) -> Verdict {
        let nonce = self.state.remember(claim.secret);
        let mut query = format!("nonce={nonce}");
        if let Some(mac) = sighting.mac {
            query.push_str(&format!("&mac={}", mac.to_string().replace(':', "-")));
        }
        if let Some(uuid) = sighting.uuid {
            query.push_str(&format!("&uuid={uuid}"));
        }
        let url = &self.url;
        let mut arguments = vec![
            format!("ignition.config.url={url}/ignition?{query}"),
            format!("kpc.server={url}"),
            format!("kpc.claim={}", claim.secret.expose()),
            format!("kpc.role={}", if boot.role == Role::Install { "install" } else { "live" }),
        ];
        // The card that the machine booted from, as PXELINUX says it: ARP's type of hardware before the address.
        arguments.extend(sighting.mac.map(|mac| format!("BOOTIF=01-{}", mac.to_string().replace(':', "-"))));
        arguments.extend(self.parts_of(&boot.profile));
        arguments.extend(self.installer_of(&boot.profile, &query));
        self.served(boot, sighting, labels, arguments)
    }

    /// What the other endpoints answer: under the present claim only.
    fn rendering(&self, sighting: &Sighting, labels: &Labels) -> Verdict {
        match self.state.read(|fleet, now| fleet.decide(now, sighting)) {
            Decision::Boot(boot) if boot.claimed => self.served(&boot, sighting, labels, Vec::new()),
            Decision::Boot(boot) => Verdict::Refuse {
                status: 403,
                reason: format!("{} has an open order, but this request shows no claim of it", boot.name),
            },
            Decision::Observe { reason }
            | Decision::Local { reason, .. }
            | Decision::Hold { reason, .. }
            | Decision::Refuse { reason, .. } => Verdict::Refuse { status: 403, reason: reason.to_string() },
            _ => Verdict::Refuse { status: 403, reason: "nothing to boot".to_owned() },
        }
    }

    /// The order's profile, with the metadata of the group that the labels select. While a group's file that might be
    /// the one does not parse, nothing.
    fn served(&self, boot: &Boot, sighting: &Sighting, labels: &Labels, arguments: Vec<String>) -> Verdict {
        match why::group_of(&self.store.snapshot(), labels, &boot.profile, &boot.roles) {
            Ok(group) => Verdict::Boot {
                profile: boot.profile.clone(),
                group,
                metadata: metadata(&boot.name, &boot.roles, &boot.profile),
                arguments,
            },
            Err(reason) => {
                let hint = Hint::new(HintCode::GroupBroken, &reason);
                let sighting = sighting.clone();
                self.state.observe(Observation::Trouble { sighting, hint, certain: true });
                Verdict::Refuse { status: 503, reason }
            }
        }
    }

    /// The scripts for machines that boot nothing of ours.
    fn elsewhere(&self, decision: &Decision, sighting: &Sighting, loader: Loader<'_>) -> Verdict {
        match decision {
            Decision::Local { reason, .. } => {
                self.state.observe(Observation::LocalSent { sighting: sighting.clone() });
                script(&format!("{}: on to the disk", plain(&reason.to_string())), loader, Next::Disk)
            }
            Decision::Hold { reason, .. } => {
                script(&format!("held: {}", plain(&reason.to_string())), loader, Next::Again)
            }
            Decision::Observe { reason } | Decision::Refuse { reason, .. } => {
                script(&plain(&reason.to_string()), loader, Next::Disk)
            }
            _ => script("nothing to boot", loader, Next::Disk),
        }
    }
}

impl BootHook {
    /// What an answer to a machine shows to be in the way of its boot.
    fn trouble(&self, access: &Access, sighting: &Sighting) -> Option<Hint> {
        use bootcfg::Reason as Why;
        let said = |code, text: String| Some(Hint::new(code, &text));
        let detail = || access.detail.clone().unwrap_or_else(|| format!("error {}", access.status));
        match (&access.target, access.reason) {
            (Target::Asset(path), _) if !access.complete && access.status < 400 => {
                self.is_part(sighting, path).then(|| {
                    let text = format!("the fetch of {path} was cut after {} octets", access.octets);
                    Hint::new(HintCode::KernelCut, &text)
                })
            }
            (Target::Asset(path), _) if access.status == 404 => {
                said(HintCode::AssetMissing, format!("{path} was asked for below /assets/ and is not there"))
            }
            (Target::Endpoint(_), Some(Why::GroupBroken)) => said(HintCode::GroupBroken, detail()),
            (
                Target::Endpoint(endpoint),
                Some(
                    Why::ProfileMissing
                    | Why::ProfileBroken
                    | Why::NoBoot
                    | Why::TemplateMissing
                    | Why::TemplateBroken
                    | Why::RenderFailed
                    | Why::RenderLimit
                    | Why::Injection
                    | Why::BadYaml
                    | Why::BadIgnition,
                ),
            ) => said(HintCode::TemplateError, format!("/{}: {}", endpoint.as_str(), detail())),
            _ => None,
        }
    }

    /// Whether this asset is the kernel or an initrd of what the machine boots.
    fn is_part(&self, sighting: &Sighting, path: &str) -> bool {
        let Decision::Boot(boot) = self.state.read(|fleet, now| fleet.decide(now, sighting)) else {
            return false;
        };
        let catalog = self.store.snapshot();
        let Some(boot) = catalog.profile(&boot.profile).and_then(|profile| profile.boot.as_ref()) else {
            return false;
        };
        let is = |part: &str| {
            part.split_once("/assets/").is_some_and(|(_, name)| name == path.trim_start_matches('/'))
        };
        is(&boot.kernel) || boot.initrd.iter().any(|part| is(part))
    }

    /// The places of a profile's kernel and initrd, for the agent, which measures what it was started from.
    fn parts_of(&self, profile: &str) -> Vec<String> {
        let catalog = self.store.snapshot();
        let Some(boot) = catalog.profile(profile).and_then(|profile| profile.boot.as_ref()) else {
            return Vec::new();
        };
        let absolute =
            |path: &str| if path.starts_with('/') { format!("{}{path}", self.url) } else { path.to_owned() };
        let mut parts = vec![format!("kpc.kernel={}", absolute(&boot.kernel))];
        parts.extend(boot.initrd.first().map(|initrd| format!("kpc.ramdisk={}", absolute(initrd))));
        parts
    }

    /// Where an installer of a distribution's own finds what answers its questions: the profile's generic template, under
    /// the name by which that installer looks for it. The profile says which it is: `kpc.installer=preseed`.
    fn installer_of(&self, profile: &str, query: &str) -> Option<String> {
        let catalog = self.store.snapshot();
        let boot = catalog.profile(profile)?.boot.as_ref()?;
        let arguments: Vec<String> = boot.arguments(bootcfg::Compat::Strict).collect();
        let kind = arguments.iter().find_map(|argument| argument.strip_prefix("kpc.installer="))?;
        installer(kind, &format!("{}/generic?{query}", self.url))
    }

    /// Whether this asset is the kernel of what the machine boots.
    fn is_kernel(&self, sighting: &Sighting, path: &str) -> bool {
        let Decision::Boot(boot) = self.state.read(|fleet, now| fleet.decide(now, sighting)) else {
            return false;
        };
        let catalog = self.store.snapshot();
        let kernel =
            catalog.profile(&boot.profile).and_then(|profile| Some(profile.boot.as_ref()?.kernel.clone()));
        kernel.is_some_and(|kernel| {
            kernel.split_once("/assets/").is_some_and(|(_, name)| name == path.trim_start_matches('/'))
        })
    }
}

/// The argument by which an installer is told where its answers are.
fn installer(kind: &str, url: &str) -> Option<String> {
    match kind {
        "preseed" => Some(format!("url={url}")),
        "kickstart" => Some(format!("inst.ks={url}")),
        // cloud-init asks for user-data and for meta-data (its NoCloud data source, "seedfrom").
        "autoinstall" => Some(format!("ds=nocloud;s={url}&file=%s")),
        _ => None,
    }
}

/// Who asks, and so in which language it is answered.
#[derive(Clone, Copy)]
enum Loader<'a> {
    /// iPXE, with its `${platform}`.
    Ipxe(&'a str),
    /// GRUB, which reads its answer as a configuration file.
    Grub,
}

/// What the machine does after its message.
#[derive(Clone, Copy)]
enum Next {
    /// Leaves for the disk: `exit` on UEFI, where the firmware goes on; the first disk on BIOS.
    Disk,
    /// Asks again after a while.
    Again,
}

fn script(message: &str, loader: Loader<'_>, next: Next) -> Verdict {
    let body = match (loader, next) {
        (Loader::Ipxe("efi"), Next::Disk) => format!("#!ipxe\necho kpc: {message}\nsleep 2\nexit 1\n"),
        (Loader::Ipxe(_), Next::Disk) => {
            format!("#!ipxe\necho kpc: {message}\nsleep 2\nsanboot --no-describe --drive 0x80 || exit 1\n")
        }
        (Loader::Ipxe(_), Next::Again) => format!(
            "#!ipxe\necho kpc: {message}\nsleep {HELD}\nchain --replace --autofree boot.ipxe || exit 1\n"
        ),
        (Loader::Grub, Next::Disk) => format!("echo 'kpc: {message}'\nsleep 2\nexit 1\n"),
        (Loader::Grub, Next::Again) => format!("echo 'kpc: {message}'\nsleep {HELD}\nreboot\n"),
    };
    Verdict::Respond { status: 200, content_type: "text/plain; charset=utf-8", body: Bytes::from(body) }
}

/// Text that a loader's shell leaves as it is: no expansion, no quote, no second command.
fn plain(text: &str) -> String {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || " .,:@/()-_".contains(letter);
    text.chars()
        .filter(|letter| *letter != '`')
        .map(|letter| if kept(letter) { letter } else { ' ' })
        .collect()
}

/// What templates see of the machine.
pub(crate) fn metadata(name: &str, roles: &[String], profile: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::from(name));
    metadata.insert("roles".to_owned(), Value::from(roles));
    metadata.insert("profile".to_owned(), Value::from(profile));
    metadata
}

/// `/boot.ipxe`: hands the facts of the machine and of the interface that boots to `/ipxe`, and tries again where the
/// server is away, after 2, 4, 8, 16 and then each 30 seconds for some ten minutes; then it leaves the machine to its
/// disk. What a board's maker wrote (a serial with spaces) is escaped and comes last.
pub(crate) const BOOT_SCRIPT: &str = "#!ipxe
set tries:int32 0
set wait:int32 2
:again
chain --replace ipxe?uuid=${uuid}&mac=${netX/mac:hexhyp}&platform=${platform}&arch=${buildarch:uristring}&domain=${domain:uristring}&hostname=${hostname:uristring}&serial=${serial:uristring} || goto later
exit 1
:later
inc tries
iseq ${tries} 24 && goto disk ||
echo kpc: no answer, trying again in ${wait} s
sleep ${wait}
inc wait ${wait}
iseq ${wait} 32 && set wait:int32 30 ||
iseq ${wait} 60 && set wait:int32 30 ||
goto again
:disk
echo kpc: no answer, on to the disk
iseq ${platform} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
";

#[cfg(test)]
mod tests {
    use super::*;

    fn body(loader: Loader<'_>, next: Next) -> String {
        match script("why", loader, next) {
            Verdict::Respond { status: 200, body, .. } => String::from_utf8(body.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    // UEFI goes on to its next boot entry when the loader ends in failure; BIOS needs the disk booted for it.
    #[test]
    fn a_machine_leaves_for_its_disk_as_its_firmware_wants() {
        let efi = body(Loader::Ipxe("efi"), Next::Disk);
        assert!(efi.ends_with("exit 1\n") && !efi.contains("sanboot"), "{efi}");
        let bios = body(Loader::Ipxe("pcbios"), Next::Disk);
        assert!(bios.ends_with("sanboot --no-describe --drive 0x80 || exit 1\n"), "{bios}");
        assert!(body(Loader::Grub, Next::Disk).ends_with("exit 1\n"));
    }

    #[test]
    fn an_installer_finds_its_answers() {
        let told = |kind| installer(kind, "http://h:8080/generic?nonce=a").unwrap_or_default();
        assert_eq!(told("preseed"), "url=http://h:8080/generic?nonce=a");
        assert_eq!(told("kickstart"), "inst.ks=http://h:8080/generic?nonce=a");
        assert_eq!(told("autoinstall"), "ds=nocloud;s=http://h:8080/generic?nonce=a&file=%s");
        assert_eq!(told("other"), "");
    }

    #[test]
    fn a_held_machine_asks_again_after_a_while() {
        let held = body(Loader::Ipxe("efi"), Next::Again);
        assert!(
            held.contains("sleep 10\n") && held.contains("chain --replace --autofree boot.ipxe"),
            "{held}"
        );
        assert!(body(Loader::Grub, Next::Again).contains("sleep 10\nreboot"));
    }

    #[test]
    fn what_a_loader_shows_has_no_second_command() {
        assert_eq!(plain("a\nboot ${x} || exit; `id` 'q'"), "a boot   x     exit  id  q ");
    }
}
