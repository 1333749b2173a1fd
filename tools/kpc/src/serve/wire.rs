//! Others on the machines' network: PXE responders that are not ours, and the lease servers. While one of the former is
//! heard no order starts unless told to; a lease server that is new while orders are open is an alarm.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleet::Timestamp;

/// How long after its last answer a foreign responder counts as being there.
const HEARD: Duration = Duration::from_secs(15 * 60);
/// Most servers of each kind remembered.
const MAX_SERVERS: usize = 64;

/// Who was heard, and when last.
#[derive(Debug, Default)]
pub(crate) struct Wire(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    responders: BTreeMap<Ipv4Addr, Timestamp>,
    leases: BTreeMap<Ipv4Addr, Timestamp>,
}

impl Wire {
    /// A PXE responder that is not ours. Returns what to raise when it is news.
    pub(crate) fn responder(&self, now: Timestamp, server: Ipv4Addr) -> Option<String> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = keep(&mut heard.responders, server, now);
        before.is_none_or(|before| now.since(before) > HEARD).then(|| {
            format!("another PXE responder, {server}, answers on the machines' network: it may boot them before us")
        })
    }

    /// A lease server. Returns what to raise when another one was known.
    pub(crate) fn lease_server(&self, now: Timestamp, server: Ipv4Addr) -> Option<String> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<String> =
            heard.leases.keys().filter(|known| **known != server).map(ToString::to_string).collect();
        let news = keep(&mut heard.leases, server, now).is_none() && !others.is_empty();
        news.then(|| {
            format!(
                "a lease server that was not there before, {server}, answers beside {}",
                others.join(", ")
            )
        })
    }

    /// The responders that count as being there.
    pub(crate) fn responders(&self, now: Timestamp) -> Vec<Ipv4Addr> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = heard.responders.iter().filter(|(_, last)| now.since(**last) <= HEARD);
        there.map(|(server, _)| *server).collect()
    }
}

/// Notes that a server was heard; returns when it was heard before.
fn keep(servers: &mut BTreeMap<Ipv4Addr, Timestamp>, server: Ipv4Addr, now: Timestamp) -> Option<Timestamp> {
    let oldest = servers.iter().min_by_key(|(_, last)| **last).map(|(server, _)| *server);
    if let Some(oldest) = oldest.filter(|_| servers.len() >= MAX_SERVERS && !servers.contains_key(&server)) {
        servers.remove(&oldest);
    }
    servers.insert(server, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_responder_is_news_once_and_gone_after_its_time() {
        let (wire, server) = (Wire::default(), Ipv4Addr::new(10, 0, 0, 9));
        let at = |secs: u64| Timestamp::from_millis(1_700_000_000_000 + secs * 1000);
        assert!(wire.responders(at(0)).is_empty());
        assert!(wire.responder(at(0), server).is_some_and(|text| text.contains("10.0.0.9")));
        assert_eq!(wire.responder(at(60), server), None);
        assert_eq!(wire.responders(at(600)), [server]);
        assert!(wire.responders(at(60 + 901)).is_empty());
        assert!(wire.responder(at(2000), server).is_some(), "it is back");
    }

    #[test]
    fn the_first_lease_server_is_no_news_and_another_one_is() {
        let wire = Wire::default();
        let at = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(wire.lease_server(at, Ipv4Addr::new(10, 0, 0, 1)), None);
        assert_eq!(wire.lease_server(at, Ipv4Addr::new(10, 0, 0, 1)), None);
        let text = wire.lease_server(at, Ipv4Addr::new(10, 0, 0, 2)).unwrap();
        assert!(text.contains("10.0.0.2") && text.contains("10.0.0.1"), "{text}");
        for last in 0..200 {
            wire.lease_server(at, Ipv4Addr::new(10, 0, 1, last));
        }
        assert!(wire.0.lock().unwrap().leases.len() <= MAX_SERVERS);
    }
}
