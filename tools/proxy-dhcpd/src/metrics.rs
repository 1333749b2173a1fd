//! What happened, counted for Prometheus (`--metrics`).

use proxy_dhcp::Stage;
use proxy_dhcp::driver::{Event, Reason};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened, by kind.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    firmware: AtomicU64,
    ipxe: AtomicU64,
    malformed: AtomicU64,
    ignored: AtomicU64,
    limited: AtomicU64,
    stuck: AtomicU64,
    advertisements: AtomicU64,
    foreign: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn count(&self, event: &Event<'_>) {
        let counter = match event {
            Event::Offered { stage: Stage::Firmware, .. } => &self.firmware,
            Event::Offered { stage: Stage::Ipxe, .. } => &self.ipxe,
            Event::Ignored { reason: Reason::Malformed(_), .. } => &self.malformed,
            Event::Ignored { reason: Reason::TooOften | Reason::TooManyDelayed, .. } => &self.limited,
            Event::Ignored { .. } => &self.ignored,
            Event::Stuck { .. } => &self.stuck,
            Event::RouterSolicitationAnswered { .. } => &self.advertisements,
            Event::ForeignResponder { .. } => &self.foreign,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The page.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(&str, &AtomicU64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {}", value.load(Ordering::Relaxed));
            }
        };
        let answers = [("{stage=\"firmware\"}", &self.firmware), ("{stage=\"ipxe\"}", &self.ipxe)];
        family("proxy_dhcp_answers_total", "Requests answered.", &answers);
        let ignored = [
            ("{why=\"malformed\"}", &self.malformed),
            ("{why=\"policy\"}", &self.ignored),
            ("{why=\"rate\"}", &self.limited),
        ];
        family("proxy_dhcp_ignored_total", "Packets left without an answer.", &ignored);
        family("proxy_dhcp_stuck_total", "Boots that did not go on.", &[("", &self.stuck)]);
        let advertisements = [("", &self.advertisements)];
        family("proxy_dhcp_router_advertisements_total", "Router solicitations answered.", &advertisements);
        family(
            "proxy_dhcp_foreign_responders_total",
            "Sightings of other PXE responders.",
            &[("", &self.foreign)],
        );
        family("proxy_dhcp_errors_total", "Calls that the system refused.", &[("", &self.failed)]);
        text
    }
}
