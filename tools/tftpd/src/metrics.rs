//! Prometheus metrics: counters fed by events.

use crate::access_log::word;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tftp::Ignored;
use tftp::driver::Event;

/// Upper bounds of transfer times in seconds.
const BOUNDS: [f64; 8] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0];

#[derive(Debug, Default)]
struct Counters {
    started: u64,
    finished: BTreeMap<&'static str, u64>,
    refused: BTreeMap<u16, u64>,
    ignored: BTreeMap<&'static str, u64>,
    octets_sent: u64,
    octets_stored: u64,
    retransmits: u64,
    seconds: f64,
    buckets: [u64; BOUNDS.len()],
    timed: u64,
}

/// The counters; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Arc<Mutex<Counters>>);

impl Metrics {
    /// Counts an event.
    pub(crate) fn note(&self, event: &Event) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { .. } => counters.started += 1,
            Event::Finished { cause, octets, retransmits, duration, .. } => {
                counters.octets_sent += octets;
                counters.finish(word(cause), *retransmits, *duration);
            }
            Event::Stored { octets, retransmits, duration, .. } => {
                counters.octets_stored += octets;
                counters.finish("stored", *retransmits, *duration);
            }
            Event::Refused { code, .. } => *counters.refused.entry(u16::from(*code)).or_default() += 1,
            Event::Ignored { reason, .. } => *counters.ignored.entry(label(reason)).or_default() += 1,
            _ => {}
        }
    }

    /// The text a scraper gets.
    pub(crate) fn render(&self) -> String {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let finished: u64 = counters.finished.values().sum();
        let mut put = |name: &str, kind: &str, help: &str, lines: &[(String, f64)]| {
            let _ = writeln!(out, "# HELP tftp_{name} {help}\n# TYPE tftp_{name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(out, "tftp_{name}{labels} {value}");
            }
        };
        let one = |value: u64| [(String::new(), value as f64)];
        let active = counters.started.saturating_sub(finished);
        put("transfers_active", "gauge", "Transfers under way.", &one(active));
        put("transfers_started_total", "counter", "Transfers begun.", &one(counters.started));
        let of = |map: &BTreeMap<&'static str, u64>, label: &str| -> Vec<(String, f64)> {
            map.iter().map(|(word, count)| (format!("{{{label}=\"{word}\"}}"), *count as f64)).collect()
        };
        put("transfers_total", "counter", "Transfers over, by cause.", &of(&counters.finished, "cause"));
        let refused = counters.refused.iter();
        let refused: Vec<_> =
            refused.map(|(code, count)| (format!("{{code=\"{code}\"}}"), *count as f64)).collect();
        put("requests_refused_total", "counter", "Requests answered with an ERROR, by code.", &refused);
        let ignored = of(&counters.ignored, "reason");
        put("datagrams_ignored_total", "counter", "Datagrams left unanswered, by reason.", &ignored);
        put("sent_octets_total", "counter", "Octets of files sent.", &one(counters.octets_sent));
        put("stored_octets_total", "counter", "Octets of files stored.", &one(counters.octets_stored));
        put("retransmits_total", "counter", "Packets sent more than once.", &one(counters.retransmits));
        let mut lines = Vec::new();
        for (bound, count) in BOUNDS.iter().zip(counters.buckets) {
            lines.push((format!("_bucket{{le=\"{bound}\"}}"), count as f64));
        }
        lines.push(("_bucket{le=\"+Inf\"}".to_owned(), counters.timed as f64));
        lines.push(("_sum".to_owned(), counters.seconds));
        lines.push(("_count".to_owned(), counters.timed as f64));
        put("transfer_seconds", "histogram", "Time of transfers.", &lines);
        out
    }
}

impl Counters {
    fn finish(&mut self, cause: &'static str, retransmits: u64, duration: Duration) {
        *self.finished.entry(cause).or_default() += 1;
        self.retransmits += retransmits;
        let seconds = duration.as_secs_f64();
        self.seconds += seconds;
        self.timed += 1;
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }
}

fn label(reason: &Ignored) -> &'static str {
    match reason {
        Ignored::Malformed(_) => "malformed",
        Ignored::NoTransfer => "no-transfer",
        Ignored::Duplicate => "duplicate",
        Ignored::TooManyTransfers => "too-many-transfers",
        Ignored::TooManyOfAddress => "too-many-of-address",
        Ignored::Unanswered => "unanswered",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tftp::driver::Cause;

    #[test]
    fn text_format() {
        let (metrics, peer) = (Metrics::default(), SocketAddr::from(([192, 0, 2, 1], 1)));
        metrics.note(&Event::Started { peer, path: "a".into(), size: Some(9) });
        metrics.note(&Event::Finished {
            peer,
            path: "a".into(),
            cause: Cause::Complete,
            octets: 9,
            blocks: 1,
            retransmits: 2,
            duration: Duration::from_millis(30),
        });
        metrics.note(&Event::Ignored { peer, reason: Ignored::Duplicate });
        let text = metrics.render();
        for line in [
            "tftp_transfers_active 0",
            "tftp_transfers_total{cause=\"complete\"} 1",
            "tftp_datagrams_ignored_total{reason=\"duplicate\"} 1",
            "tftp_sent_octets_total 9",
            "tftp_retransmits_total 2",
            "tftp_transfer_seconds_bucket{le=\"0.01\"} 0",
            "tftp_transfer_seconds_bucket{le=\"0.05\"} 1",
            "tftp_transfer_seconds_count 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }
}
