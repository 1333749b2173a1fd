//! Requests that carry nothing but their source address, such as TFTP reads: whose they are, and those that
//! came before we knew.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::attempt::Phase;
use crate::fleet::Fleet;
use crate::identity::{MachineId, Sighting};
use crate::time::Timestamp;

/// Most source addresses remembered for requests that carry nothing else, such as TFTP reads.
const PEERS: usize = 8192;
/// Most requests remembered from addresses whose machine is not known yet.
const EARLY: usize = 256;
/// How long such a request is remembered.
const EARLY_KEPT: Duration = Duration::from_secs(120);

/// A request from an address whose machine was not known when it came.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    peer: IpAddr,
    at: Timestamp,
    phase: Phase,
    detail: String,
}

impl Fleet {
    /// Remembers where a machine speaks from, and catches up on what that address asked before we knew.
    pub(crate) fn learn_peer(&mut self, id: MachineId, now: Timestamp, sighting: &Sighting) {
        let Some(peer) = sighting.peer.filter(|peer| sighting.mac.is_some() && !peer.is_unspecified()) else {
            return;
        };
        if self.by_peer.len() >= PEERS && !self.by_peer.contains_key(&peer) {
            self.by_peer.retain(|_, (_, at)| now.since(*at) < EARLY_KEPT);
            if self.by_peer.len() >= PEERS {
                return;
            }
        }
        self.by_peer.insert(peer, (id, now));
        let (mine, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.early)
            .into_iter()
            .filter(|early| now.since(early.at) < EARLY_KEPT)
            .partition(|early| early.peer == peer);
        self.early = others;
        for early in mine {
            self.reach(id, now, early.phase, &early.detail);
        }
    }

    /// The machine that last spoke from this address, by MAC.
    pub(crate) fn machine_at(&self, peer: IpAddr) -> Option<MachineId> {
        self.by_peer.get(&peer).map(|(id, _)| *id).filter(|id| self.machines.contains_key(id))
    }

    /// Remembers a request from an address that we cannot place yet.
    pub(crate) fn keep_early(&mut self, peer: IpAddr, at: Timestamp, phase: Phase, detail: String) {
        if self.early.len() >= EARLY {
            self.early.pop_front();
        }
        self.early.push_back(Early { peer, at, phase, detail });
    }
}
