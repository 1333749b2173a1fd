//! One client: octets per second, CPU, system calls.

use crate::load::Job;
use crate::server::Kind;
use crate::{Bench, MIB, Numbers, Outcome, client, verdict, verdict_least};
use std::process::{Command, Stdio};
use std::time::Duration;

const GIB: f64 = (1_u64 << 30) as f64;
const KINDS: [Kind; 7] =
    [Kind::Ours, Kind::Floor, Kind::Rendered, Kind::AsyncTftp, Kind::Atftpd, Kind::Hpa, Kind::Dnsmasq];

fn kinds(window: u16) -> impl Iterator<Item = Kind> {
    KINDS.into_iter().filter(move |kind| window == 1 || kind.has_windows())
}

#[derive(Default)]
struct Series {
    rates: Numbers,
    cpu: Numbers,
}

impl Bench {
    /// 64 MiB to one client.
    pub(crate) fn throughput(&self, wanted: impl Fn(usize) -> bool) -> Outcome<()> {
        const OCTETS: u64 = 64 * MIB;
        self.file(OCTETS)?;
        println!(
            "\n64 MiB, one client, blksize 1468, veth, {} rounds: MB/s, CPU seconds per GiB, ours/it",
            self.pairs
        );
        for window in [1, 4, 16, 64].into_iter().filter(|&window| wanted(window.into())) {
            let mut all: Vec<(Kind, Series)> = kinds(window).map(|kind| (kind, Series::default())).collect();
            for _ in 0..self.pairs {
                for (kind, series) in &mut all {
                    let Some(server) = self.start(*kind) else { continue };
                    let before = server.usage().cpu;
                    let run = client(&["load".into()], &Self::job(OCTETS, window, 1))?;
                    let rate = if run.complete == 1 { OCTETS as f64 / run.seconds / 1e6 } else { 0.0 };
                    series.rates.0.push(rate);
                    series.cpu.0.push((server.usage().cpu - before) * GIB / OCTETS as f64);
                }
                all.reverse(); // nobody is always first
            }
            all.sort_by_key(|(kind, _)| KINDS.iter().position(|known| known == kind));
            let Some((_, ours)) = all.first() else { continue };
            for (kind, it) in all.iter().filter(|(_, it)| !it.rates.0.is_empty()) {
                let (rate, cpu) = (it.rates.median(), it.cpu.median());
                let ratio = ours.rates.over(&it.rates).spread();
                println!("  W{window:<3} {:<11} {rate:7.0} MB/s  {cpu:5.2} s/GiB  {ratio}", kind.name());
                match kind {
                    Kind::Floor => {
                        let ratio = ours.rates.over(&it.rates).median();
                        verdict_least("throughput over the floor's", ratio, 0.9);
                    }
                    Kind::Rendered => {
                        let ratio = it.rates.over(&ours.rates).median();
                        verdict_least("a rendered file over a plain one", ratio, 0.9);
                    }
                    _ => {}
                }
            }
            if window >= 16 {
                self.cpu(window)?;
            }
        }
        Ok(())
    }

    /// CPU seconds per GiB of a server that wakes nobody on another processor.
    fn cpu(&self, window: u16) -> Outcome<()> {
        const OCTETS: u64 = 64 * MIB;
        let mut all = [Kind::Ours, Kind::Floor].map(|kind| (kind, Numbers::default()));
        for _ in 0..self.pairs {
            for (kind, cpu) in &mut all {
                let Some(server) = self.start(*kind) else { continue };
                let before = server.usage().cpu;
                client(&["load".into()], &Job { beside: true, ..Self::job(OCTETS, window, 1) })?;
                cpu.0.push((server.usage().cpu - before) * GIB / OCTETS as f64);
            }
            all.reverse();
        }
        for (kind, cpu) in &all {
            println!(
                "  W{window:<3} {:<11} {} s/GiB on one processor with its client",
                kind.name(),
                cpu.spread()
            );
            if *kind == Kind::Ours {
                verdict("CPU seconds per GiB", cpu.median(), 0.5);
            }
        }
        Ok(())
    }

    /// System calls per block, by strace.
    pub(crate) fn calls(&self) -> Outcome<()> {
        const OCTETS: u64 = 4 * MIB;
        self.file(OCTETS)?;
        println!("\nsystem calls per 1468-octet block (strace -c, 4 MiB)");
        for window in [1, 16, 64] {
            for kind in kinds(window) {
                let Some(server) = self.start(kind) else { continue };
                let report = self.root().join("strace");
                let strace = Command::new("strace")
                    .args(["-f", "-c", "-o"])
                    .arg(&report)
                    .args(["-p", &server.id().to_string()])
                    .stdin(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                let Ok(mut strace) = strace else {
                    println!("  strace is missing");
                    return Ok(());
                };
                std::thread::sleep(Duration::from_millis(500));
                let run = client(&["load".into()], &Self::job(OCTETS, window, 1))?;
                drop(server);
                let _ = strace.wait();
                if run.complete == 0 {
                    println!("  W{window:<3} {:<11} does not finish under strace", kind.name());
                    continue;
                }
                let text = std::fs::read_to_string(&report).unwrap_or_default();
                let total = text.lines().find(|line| line.ends_with("total"));
                let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok());
                let calls = calls.unwrap_or(f64::NAN) / (OCTETS / 1468 + 1) as f64;
                println!("  W{window:<3} {:<11} {calls:5.2}", kind.name());
                match (kind, window) {
                    (Kind::Ours, 1) => verdict("system calls per block", calls, 4.0),
                    (Kind::Ours, 16) => verdict("system calls per block", calls, 0.4),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
