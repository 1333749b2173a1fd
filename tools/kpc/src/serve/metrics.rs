//! Counters and gauges for Prometheus (`--metrics`), off by default. What was left unanswered is counted with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use fleet::{Fleet, Timestamp};

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// DHCP answers to firmware.
    pub(crate) dhcp_firmware: AtomicU64,
    /// DHCP answers to iPXE.
    pub(crate) dhcp_ipxe: AtomicU64,
    /// Answers of other PXE responders.
    pub(crate) dhcp_foreign: AtomicU64,
    /// Loaders sent whole.
    pub(crate) tftp_complete: AtomicU64,
    /// Loaders cut short.
    pub(crate) tftp_cut: AtomicU64,
    /// Reads refused.
    pub(crate) tftp_refused: AtomicU64,
    /// Octets of HTTP bodies sent to machines.
    pub(crate) http_octets: AtomicU64,
    /// Answers of machines' HTTP, by class of status.
    http: [AtomicU64; 6],
    /// What moved nothing, by where and why.
    ignored: Mutex<BTreeMap<(&'static str, String), u64>>,
}

/// Reasons counted apart; further ones count as `other`, so that a stranger's packets cannot grow the table.
const MAX_REASONS: usize = 64;

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// Something was rightly left alone.
    pub(crate) fn ignored(&self, place: &'static str, why: String) {
        let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        let room = ignored.len() < MAX_REASONS || ignored.contains_key(&(place, why.clone()));
        let why = if room { why } else { "other".to_owned() };
        *ignored.entry((place, why)).or_default() += 1;
    }

    /// An answer of machines' HTTP.
    pub(crate) fn answered(&self, status: u16, octets: u64) {
        if let Some(counter) = self.http.get(usize::from(status / 100)) {
            count(counter);
        }
        self.http_octets.fetch_add(octets, Ordering::Relaxed);
    }

    /// The page that a scraper gets.
    pub(crate) fn text(&self, fleet: &Fleet, now: Timestamp) -> String {
        let mut text = String::new();
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let dhcp = [
            ("stage=\"firmware\"".to_owned(), value(&self.dhcp_firmware)),
            ("stage=\"ipxe\"".to_owned(), value(&self.dhcp_ipxe)),
        ];
        family(&mut text, "counter", "kpc_dhcp_answers_total", "DHCP requests answered.", dhcp);
        let foreign = [(String::new(), value(&self.dhcp_foreign))];
        family(
            &mut text,
            "counter",
            "kpc_dhcp_foreign_responders_total",
            "Sightings of other PXE responders.",
            foreign,
        );
        let tftp = [
            ("outcome=\"complete\"".to_owned(), value(&self.tftp_complete)),
            ("outcome=\"cut\"".to_owned(), value(&self.tftp_cut)),
            ("outcome=\"refused\"".to_owned(), value(&self.tftp_refused)),
        ];
        family(&mut text, "counter", "kpc_tftp_reads_total", "Loaders asked for.", tftp);
        let http = self.http.iter().enumerate().skip(2);
        let http = http.map(|(class, counter)| (format!("status=\"{class}xx\""), value(counter)));
        family(&mut text, "counter", "kpc_http_answers_total", "Answers of machines' HTTP.", http);
        let octets = [(String::new(), value(&self.http_octets))];
        family(&mut text, "counter", "kpc_http_octets_total", "Octets of bodies sent to machines.", octets);
        let ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ignored = ignored.into_iter().map(|((place, why), times)| {
            let why = why.replace(['\\', '"', '\n'], " ");
            (format!("place=\"{place}\",why=\"{why}\""), times)
        });
        family(
            &mut text,
            "counter",
            "kpc_ignored_total",
            "Packets and requests that moved nothing.",
            ignored,
        );
        fleet_gauges(&mut text, fleet, now);
        text
    }
}

/// What the fleet is now.
fn fleet_gauges(text: &mut String, fleet: &Fleet, now: Timestamp) {
    let (mut machines, mut orders, mut failed) = (BTreeMap::new(), BTreeMap::new(), 0);
    for status in fleet.status(now) {
        *machines.entry(format!("lifecycle=\"{}\"", status.lifecycle.word())).or_default() += 1;
        if let Some(order) = status.order {
            *orders.entry(format!("state=\"{}\"", order.state)).or_default() += 1;
        }
        failed += u64::from(status.failed.is_some());
    }
    family(text, "gauge", "kpc_machines", "Machines in service.", machines);
    family(text, "gauge", "kpc_orders", "Machines by the state of their latest order.", orders);
    let one = |value: u64| [(String::new(), value)];
    family(text, "gauge", "kpc_machines_failed", "Machines that a person should look at.", one(failed));
    let unknown = fleet.unknown().len() as u64;
    family(text, "gauge", "kpc_unknown_machines", "Unknown Ethernet addresses remembered.", one(unknown));
    let refuses = u64::from(fleet.store_refuses());
    family(text, "gauge", "kpc_store_refuses", "Whether the store refuses writes.", one(refuses));
}

fn family(
    text: &mut String,
    kind: &str,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, u64)>,
) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = match labels.is_empty() {
            true => writeln!(text, "{name} {value}"),
            false => writeln!(text, "{name}{{{labels}}} {value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_bounded() {
        let metrics = Metrics::default();
        metrics.ignored("dhcp", "no open order".to_owned());
        metrics.ignored("dhcp", "no open order".to_owned());
        metrics.ignored("fleet", "a \"quoted\"\nline".to_owned());
        (0..1000).for_each(|n| metrics.ignored("http", format!("reason {n}")));
        metrics.answered(404, 10);
        let text = metrics.text(&Fleet::default(), Timestamp::from_millis(1));
        assert!(text.contains("kpc_ignored_total{place=\"dhcp\",why=\"no open order\"} 2\n"), "{text}");
        assert!(text.contains("kpc_http_answers_total{status=\"4xx\"} 1\n"), "{text}");
        assert!(text.contains("kpc_ignored_total{place=\"http\",why=\"other\"}"), "{text}");
        assert!(text.contains("why=\"a  quoted  line\"") && text.lines().count() < 110, "{text}");
        assert!(text.contains("kpc_store_refuses 0\n"), "{text}");
    }
}
