//! The machines' side of bootcfg: every rendering endpoint asks the fleet. An operator-written profile is served only
//! under a claim of an open order; everybody else is sent on to their disk.

use std::sync::Arc;

use bootcfg::driver::http::{Access, Hook, RequestFacts, Target, Verdict};
use bootcfg::driver::store::{FileStore, Store as _};
use bootcfg::route::Endpoint;
use bytes::Bytes;
use fleet::{Boot, Claim, ClaimRefused, Decision, Observation, Sighting};
use serde_json::{Map, Value};

use crate::serve::state::{State, neighbour};

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
    fn decide(&self, facts: &RequestFacts<'_>) -> Verdict {
        let label = |name| facts.labels.get(name).map(str::to_owned);
        let mut sighting = Sighting::from_peer(facts.peer.ip());
        sighting.mac = label("mac").and_then(|mac| mac.parse().ok()).or_else(|| neighbour(facts.peer.ip()));
        sighting.uuid = label("uuid").and_then(|uuid| uuid.parse().ok());
        sighting.claim = label("nonce").and_then(|nonce| self.state.claim_of(&nonce));
        let platform = label("platform").unwrap_or_default();
        match facts.endpoint {
            // Durable before the answer: the store's write is waited for here.
            Endpoint::Ipxe | Endpoint::Grub => {
                tokio::task::block_in_place(|| self.script(&sighting, &platform))
            }
            _ => self.rendering(&sighting),
        }
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
        if !access.complete || access.method != "GET" {
            return;
        }
        let mut sighting = Sighting::from_peer(access.peer.ip());
        sighting.mac = neighbour(access.peer.ip());
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
    /// `/ipxe` and `/grub`: the claim is made here.
    fn script(&self, sighting: &Sighting, platform: &str) -> Verdict {
        let mut fresh = [0_u8; 16];
        if let Err(error) = getrandom::fill(&mut fresh) {
            return Verdict::Refuse { status: 503, reason: format!("no random numbers: {error}") };
        }
        let claimed = self.state.change(|fleet, now| {
            let claim = fleet.claim(now, sighting, fresh)?;
            let decision = fleet.decide(now, &sighting.clone().with_claim(claim.secret));
            Ok::<_, ClaimRefused>((claim, decision))
        });
        match claimed {
            Err(error) => script(&format!("echo kpc: {}", plain(&error)), Next::Again),
            Ok(Ok((claim, Decision::Boot(boot)))) => {
                self.state.observe(Observation::ScriptSent { sighting: sighting.clone() });
                self.boot(&boot, &claim, sighting)
            }
            Ok(Ok((_, decision))) | Ok(Err(ClaimRefused::Nothing(decision))) => {
                self.elsewhere(&decision, sighting, platform)
            }
            Ok(Err(refused)) => script(&format!("echo kpc: {}", plain(&refused.to_string())), Next::Again),
        }
    }

    fn boot(&self, boot: &Boot, claim: &Claim, sighting: &Sighting) -> Verdict {
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
        ];
        arguments.extend(self.parts_of(&boot.profile));
        Verdict::Boot { profile: boot.profile.clone(), group: None, metadata: metadata(boot), arguments }
    }

    /// What the other endpoints answer: under the present claim only.
    fn rendering(&self, sighting: &Sighting) -> Verdict {
        match self.state.read(|fleet, now| fleet.decide(now, sighting)) {
            Decision::Boot(boot) if boot.claimed => Verdict::Boot {
                profile: boot.profile.clone(),
                group: None,
                metadata: metadata(&boot),
                arguments: Vec::new(),
            },
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

    /// The scripts for machines that boot nothing of ours.
    fn elsewhere(&self, decision: &Decision, sighting: &Sighting, platform: &str) -> Verdict {
        match decision {
            Decision::Local { reason, .. } => {
                self.state.observe(Observation::LocalSent { sighting: sighting.clone() });
                script(
                    &format!("echo kpc: {}: on to the disk", plain(&reason.to_string())),
                    Next::Disk(platform),
                )
            }
            Decision::Hold { reason, .. } => {
                script(&format!("echo kpc: held: {}", plain(&reason.to_string())), Next::Again)
            }
            Decision::Observe { reason } | Decision::Refuse { reason, .. } => {
                script(&format!("echo kpc: {}", plain(&reason.to_string())), Next::Disk(platform))
            }
            _ => script("echo kpc: nothing to boot", Next::Disk(platform)),
        }
    }
}

impl BootHook {
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

/// What iPXE does after its message.
enum Next<'a> {
    /// Leaves for the disk: `exit` on UEFI, where the firmware goes on; the first disk on BIOS.
    Disk(&'a str),
    /// Asks again after a while.
    Again,
}

fn script(message: &str, next: Next<'_>) -> Verdict {
    let next = match next {
        Next::Disk("efi") => "sleep 2\nexit 1\n".to_owned(),
        Next::Disk(_) => "sleep 2\nsanboot --no-describe --drive 0x80 || exit 1\n".to_owned(),
        Next::Again => format!("sleep {HELD}\nchain --replace --autofree boot.ipxe || exit 1\n"),
    };
    Verdict::Respond {
        status: 200,
        content_type: "text/plain; charset=utf-8",
        body: Bytes::from(format!("#!ipxe\n{message}\n{next}")),
    }
}

/// Text that iPXE's shell leaves as it is: no expansion, no second command.
fn plain(text: &str) -> String {
    text.chars()
        .map(
            |letter| {
                if letter.is_ascii_alphanumeric() || " .,:@/()-_`'".contains(letter) { letter } else { ' ' }
            },
        )
        .collect()
}

/// What templates see of the machine.
fn metadata(boot: &Boot) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::from(boot.name.clone()));
    metadata.insert("roles".to_owned(), Value::from(boot.roles.clone()));
    metadata.insert("profile".to_owned(), Value::from(boot.profile.clone()));
    metadata
}

/// `/boot.ipxe`: hands the machine's facts to `/ipxe`, and tries again where the server is away.
pub(crate) const BOOT_SCRIPT: &str = "#!ipxe
set tries:int32 0
:again
chain --replace ipxe?uuid=${uuid}&mac=${mac:hexhyp}&domain=${domain}&hostname=${hostname}&serial=${serial}&platform=${platform}&arch=${buildarch:uristring} || goto later
exit 1
:later
inc tries
iseq ${tries} 6 && exit 1 ||
echo kpc: no answer, trying again
sleep 5
goto again
";
