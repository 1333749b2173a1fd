//! Counts of answers in Prometheus' text format. The labels are endpoints, statuses and reasons: bounded by the program,
//! never by what clients send.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::hook::{Access, Target};

/// Upper bounds of the buckets of time, in microseconds.
const BUCKETS: [u64; 10] = [50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000];

/// What has been answered since the start. Feed it from [`super::Hook::record`].
#[derive(Debug, Default)]
pub struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    answers: BTreeMap<(&'static str, u16, &'static str), u64>,
    octets: BTreeMap<&'static str, u64>,
    aborted: u64,
    times: BTreeMap<&'static str, Times>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Metrics {
    /// Counts one answer.
    pub fn record(&self, access: &Access) {
        let endpoint = match &access.target {
            Target::Home => "home",
            Target::BootScript => "boot.ipxe",
            Target::Endpoint(endpoint) => endpoint.as_str(),
            Target::Asset(_) => "assets",
            Target::Other(_) => "other",
        };
        let reason = access.reason.map_or("", crate::fault::Reason::as_str);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.answers.entry((endpoint, access.status, reason)).or_default() += 1;
        *counts.octets.entry(endpoint).or_default() += access.octets;
        counts.aborted += u64::from(!access.complete);
        let times = counts.times.entry(endpoint).or_default();
        let micros = u64::try_from(access.took.as_micros()).unwrap_or(u64::MAX);
        for (bucket, bound) in times.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(micros <= bound);
        }
        times.count += 1;
        times.sum += access.took;
    }

    /// The page that Prometheus reads; `groups`, `profiles` and `broken` are the store's.
    pub fn page(&self, (groups, profiles, broken): (usize, usize, usize)) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| _ = writeln!(page, "{text}");
        line(format_args!(
            "# HELP bootcfg_answers_total Answers by endpoint, status and reason.\n# TYPE bootcfg_answers_total counter"
        ));
        for ((endpoint, status, reason), count) in &counts.answers {
            line(format_args!(
                "bootcfg_answers_total{{endpoint=\"{endpoint}\",status=\"{status}\",reason=\"{reason}\"}} {count}"
            ));
        }
        line(format_args!(
            "# HELP bootcfg_octets_total Octets of bodies sent.\n# TYPE bootcfg_octets_total counter"
        ));
        for (endpoint, count) in &counts.octets {
            line(format_args!("bootcfg_octets_total{{endpoint=\"{endpoint}\"}} {count}"));
        }
        line(format_args!(
            "# HELP bootcfg_aborted_total Answers cut short.\n# TYPE bootcfg_aborted_total counter"
        ));
        line(format_args!("bootcfg_aborted_total {}", counts.aborted));
        line(format_args!(
            "# HELP bootcfg_answer_seconds From request to the begin of the answer.\n# TYPE bootcfg_answer_seconds histogram"
        ));
        for (endpoint, times) in &counts.times {
            for (count, bound) in times.buckets.iter().zip(BUCKETS) {
                let bound = Duration::from_micros(bound).as_secs_f64();
                line(format_args!(
                    "bootcfg_answer_seconds_bucket{{endpoint=\"{endpoint}\",le=\"{bound}\"}} {count}"
                ));
            }
            let (count, sum) = (times.count, times.sum.as_secs_f64());
            line(format_args!(
                "bootcfg_answer_seconds_bucket{{endpoint=\"{endpoint}\",le=\"+Inf\"}} {count}"
            ));
            line(format_args!("bootcfg_answer_seconds_sum{{endpoint=\"{endpoint}\"}} {sum}"));
            line(format_args!("bootcfg_answer_seconds_count{{endpoint=\"{endpoint}\"}} {count}"));
        }
        for (name, help, value) in [
            ("groups", "Groups in use.", groups),
            ("profiles", "Profiles in use.", profiles),
            ("broken_files", "Groups and profiles that do not parse.", broken),
        ] {
            line(format_args!(
                "# HELP bootcfg_{name} {help}\n# TYPE bootcfg_{name} gauge\nbootcfg_{name} {value}"
            ));
        }
        page
    }
}
