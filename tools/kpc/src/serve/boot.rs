//! What booting machines meet before HTTP: proxy DHCP and TFTP, each asking the fleet for its one decision and telling
//! it what was sent.

use std::borrow::Cow;
use std::sync::Arc;

use fleet::{Decision, Hint, HintCode, Mac, Observation, Reason, Sighting, Stage, Uuid};
use proxy_dhcp::why::Missing;
use proxy_dhcp::{BootRequest, ClientArch};
use tftp::driver::{Cause, Directory, OpenRequest, Opened, Refusal, Source};
use tftp::wire::ErrorCode;

use crate::serve::metrics::count;
use crate::serve::state::State;

/// Proxy DHCP's question, answered by the fleet.
pub(crate) struct DhcpHook(pub(crate) Arc<State>);

impl proxy_dhcp::driver::Decide for DhcpHook {
    fn decide(&self, request: &BootRequest<'_>) -> proxy_dhcp::driver::Decision {
        let Some(mac) = request.mac() else {
            return proxy_dhcp::driver::Decision::Silent(Cow::Borrowed("no Ethernet address"));
        };
        let mut sighting = Sighting::of(Mac(mac.0));
        if let Some(uuid) = request.uuid() {
            sighting = sighting.with_uuid(Uuid(uuid));
        }
        let stage = if request.is_ipxe() { Stage::Loader } else { Stage::Firmware };
        self.0.observe(Observation::Seen { sighting: sighting.clone(), stage });
        match self.0.read(|fleet, now| fleet.decide(now, &sighting)) {
            Decision::Boot(_) | Decision::Hold { .. } | Decision::Discover => {
                if let Some(board) = sighting.uuid {
                    self.0.board_heard(Mac(mac.0), board);
                }
                proxy_dhcp::driver::Decision::Answer
            }
            // UEFI's own PXE client waits a minute for an offer that does not come; with one it is sent on at once. A
            // BIOS goes on by itself.
            Decision::Local { .. } if request.arch().is_some_and(|arch| arch != ClientArch::Bios) => {
                proxy_dhcp::driver::Decision::Answer
            }
            Decision::Local { reason, .. }
            | Decision::Observe { reason }
            | Decision::Refuse { reason, .. } => {
                proxy_dhcp::driver::Decision::Silent(Cow::Owned(reason.to_string()))
            }
            _ => proxy_dhcp::driver::Decision::Silent(Cow::Borrowed("no boot decision")),
        }
    }
}

/// What proxy DHCP tells, as observations.
pub(crate) fn dhcp_event(state: &State, event: &proxy_dhcp::driver::Event<'_>) {
    use proxy_dhcp::driver::{Event, Reason};
    match event {
        Event::Offered { mac, uuid, stage, file, arch, .. } => {
            let mut sighting = Sighting::of(Mac(mac.0));
            if let Some(uuid) = uuid {
                sighting = sighting.with_uuid(Uuid(*uuid));
            }
            let stage = match stage {
                proxy_dhcp::Stage::Ipxe => Stage::Loader,
                _ => Stage::Firmware,
            };
            let counter = if stage == Stage::Loader {
                &state.metrics().dhcp_ipxe
            } else {
                &state.metrics().dhcp_firmware
            };
            count(counter);
            if stage == Stage::Firmware {
                let uefi = *arch != ClientArch::Bios;
                state.observe(Observation::Firmware { sighting: sighting.clone(), uefi });
            }
            let program =
                file.as_ref().map_or_else(|| format!("{arch}: boot server on 4011"), ToString::to_string);
            state.observe(Observation::Offered { sighting, stage, program });
        }
        Event::Ignored { mac, reason, .. } => {
            tracing::debug!(mac = mac.map(|mac| mac.to_string()), %reason, "DHCP ignored");
            state.metrics().ignored("dhcp", reason_kind(reason));
            if let (Some(mac), Reason::Ignored(proxy_dhcp::Ignored::NoRule { arch, ipxe: false })) =
                (mac, reason)
            {
                // Nobody was asked about it yet: it is heard here.
                let sighting = Sighting::of(Mac(mac.0));
                state.observe(Observation::Seen { sighting: sighting.clone(), stage: Stage::Firmware });
                let text = format!("its firmware is {arch}, for which no loader is set");
                let hint = Hint::new(HintCode::NoLoaderForArchitecture, &text);
                state.observe(Observation::Trouble { sighting, hint, certain: true });
            }
        }
        Event::Stuck { finding } => {
            let sighting = Sighting::of(Mac(finding.mac.0));
            if let Some(code) = cause(&finding.missing) {
                let hint = Hint::new(code, &finding.missing.to_string());
                state.observe(Observation::Trouble { sighting, hint, certain: false });
            }
        }
        Event::ForeignResponder { server, interface, .. } => {
            tracing::debug!(%server, interface, "another PXE responder");
            state.responder_heard(*server);
        }
        Event::LeaseServer { server, .. } => state.lease_server_heard(*server),
        Event::Failed { doing, interface, error } => tracing::warn!(doing, interface, %error, "DHCP"),
        other => tracing::debug!(?other, "DHCP"),
    }
}

/// The word for a step that did not come; `None` where what we sent ourselves says more.
fn cause(missing: &Missing) -> Option<HintCode> {
    Some(match missing {
        Missing::Request { lease_offered: false, .. } => HintCode::NoLease,
        Missing::Request { lease_offered: true, .. } => HintCode::OffersNotTaken,
        Missing::SecondResponder { .. } => HintCode::SecondResponder,
        Missing::BootServerRequest { .. } => HintCode::BootServerNotAsked,
        Missing::BootServerAnswer => HintCode::BootServerBlocked,
        Missing::FileRead { .. } => HintCode::TftpNotAsked,
        Missing::FileAnswer { .. } => HintCode::TftpBlocked,
        Missing::RightArchitecture { .. } => HintCode::WrongLoader,
        Missing::NextServer { .. } => HintCode::GrubNoNextServer,
        Missing::LoaderStart { .. } => HintCode::LoaderRefused,
        Missing::ScriptRequest { .. } => HintCode::LoaderLoop,
        _ => return None,
    })
}

/// A reason without what a stranger wrote: the metrics count by it.
fn reason_kind(reason: &proxy_dhcp::driver::Reason<'_>) -> String {
    use proxy_dhcp::driver::Reason;
    match reason {
        Reason::Malformed(_) => "malformed".to_owned(),
        Reason::NotForUs(_) => "addressed to another host".to_owned(),
        Reason::Decided(why) => why.chars().take_while(|letter| !letter.is_ascii_digit()).take(80).collect(),
        reason => reason.to_string(),
    }
}

/// The loaders' folder, open to machines that the fleet lets boot.
pub(crate) struct Loaders {
    pub(crate) folder: Directory,
    pub(crate) state: Arc<State>,
}

impl Source for Loaders {
    async fn open(&self, request: OpenRequest) -> Result<Opened, Refusal> {
        let mut sighting = Sighting::from_peer(request.peer.ip());
        sighting.mac = self.state.neighbour(request.peer.ip());
        sighting.uuid = sighting.mac.and_then(|card| self.state.board_of(card));
        match self.state.read(|fleet, now| fleet.decide(now, &sighting)) {
            // A loader is all that is here; what it is told by HTTP is decided there. Behind a router or a relay nothing
            // names the machine yet.
            Decision::Boot(_)
            | Decision::Hold { .. }
            | Decision::Discover
            | Decision::Local { .. }
            | Decision::Observe { reason: Reason::Nameless } => self.folder.open(request).await,
            other => {
                tracing::debug!(peer = %request.peer, ?other, "TFTP refused");
                Err(Refusal::new(ErrorCode::AccessViolation, "nothing to boot for this machine"))
            }
        }
    }
}

/// What TFTP tells, as observations.
pub(crate) fn tftp_event(state: &State, event: &tftp::driver::Event) {
    use tftp::driver::Event;
    match event {
        Event::Finished { peer, path, cause: Cause::Complete, octets, blocks, retransmits, duration } => {
            tracing::info!(%peer, path, octets, blocks, retransmits, ?duration, "TFTP sent");
            count(&state.metrics().tftp_complete);
            let mut sighting = Sighting::from_peer(peer.ip());
            sighting.mac = state.neighbour(peer.ip());
            sighting.uuid = sighting.mac.and_then(|card| state.board_of(card));
            state.observe(Observation::LoaderSent { sighting, file: path.clone(), octets: *octets });
        }
        Event::Finished { peer, path, cause, .. } => {
            tracing::debug!(%peer, path, ?cause, "TFTP");
            count(&state.metrics().tftp_cut);
        }
        Event::Refused { peer, path, code, reason } => {
            tracing::info!(%peer, path, reason, "TFTP refused");
            count(&state.metrics().tftp_refused);
            if *code == ErrorCode::FileNotFound {
                let mut sighting = Sighting::from_peer(peer.ip());
                sighting.mac = state.neighbour(peer.ip());
                state.observe(Observation::LoaderMissing { sighting, file: path.clone() });
            }
        }
        other => tracing::debug!(?other, "TFTP"),
    }
}
