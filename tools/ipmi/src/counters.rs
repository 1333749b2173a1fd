//! What `ipmi bmcd` counts for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use ipmi::Ignored;
use ipmi::driver::ServerEvent;
use ipmi::responder::Event;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    log_ins: AtomicU64,
    refusals: AtomicU64,
    commands: AtomicU64,
    commands_refused: AtomicU64,
    machine_calls: AtomicU64,
    machine_failures: AtomicU64,
    ignored: [AtomicU64; Ignored::REASONS],
}

impl Counters {
    /// Counts one event.
    pub(crate) fn count(&self, event: &ServerEvent) {
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match event {
            ServerEvent::Responder(Event::LoggedIn { .. }) => add(&self.log_ins),
            ServerEvent::Responder(Event::Refused { .. }) => add(&self.refusals),
            ServerEvent::Responder(Event::Answered { completion, .. }) => {
                if !completion.is_ok() {
                    add(&self.commands_refused);
                }
                add(&self.commands)
            }
            ServerEvent::Ignored(_, why) => self.ignored.get(why.index()).map_or(0, add),
            ServerEvent::Machine { outcome, .. } => {
                if outcome.is_err() {
                    add(&self.machine_failures);
                }
                add(&self.machine_calls)
            }
            _ => 0,
        };
    }

    /// The page in Prometheus's text format.
    pub(crate) fn page(&self) -> String {
        let rows = [
            ("ipmi_bmc_log_ins_total", "Consoles that logged in.", &self.log_ins),
            ("ipmi_bmc_log_ins_refused_total", "Log-ins refused.", &self.refusals),
            ("ipmi_bmc_commands_total", "Commands answered.", &self.commands),
            ("ipmi_bmc_commands_refused_total", "Commands answered with an error.", &self.commands_refused),
            ("ipmi_bmc_machine_calls_total", "Questions to the machine.", &self.machine_calls),
            ("ipmi_bmc_machine_failures_total", "Questions that failed.", &self.machine_failures),
        ];
        let mut page = String::new();
        for (name, help, counter) in rows {
            let value = counter.load(Ordering::Relaxed);
            page.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"));
        }
        let name = "ipmi_bmc_datagrams_ignored_total";
        page.push_str(&format!(
            "# HELP {name} Datagrams left unanswered, by reason.\n# TYPE {name} counter\n"
        ));
        for (reason, counter) in Ignored::NAMES.iter().zip(&self.ignored) {
            let value = counter.load(Ordering::Relaxed);
            page.push_str(&format!("{name}{{reason=\"{reason}\"}} {value}\n"));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_prometheus() {
        let counters = Counters::default();
        counters.count(&ServerEvent::Ignored(([127, 0, 0, 1], 623).into(), Ignored::Stranger));
        let page = counters.page();
        assert!(page.contains("ipmi_bmc_log_ins_total 0\n"));
        assert_eq!(page.matches("_ignored_total{").count(), Ignored::REASONS);
        assert_eq!(page.matches("\"} 1\n").count(), 1);
    }
}
