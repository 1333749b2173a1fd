//! Many clients at once, and many that never go on.

use crate::server::Kind;
use crate::{Bench, MIB, Numbers, Outcome, client, verdict};

const KINDS: [Kind; 6] = [Kind::Ours, Kind::Floor, Kind::AsyncTftp, Kind::Atftpd, Kind::Hpa, Kind::Dnsmasq];
/// Peers take long; these rounds are theirs.
const PEER_ROUNDS: usize = 3;
/// A peer that needs longer, or leaves clients without their file, has one round.
const SLOW: f64 = 5.0;

#[derive(Default)]
struct Series {
    p99: Numbers,
    retries: Numbers,
    peak: Numbers,
    unfinished: usize,
}

impl Bench {
    /// N clients of 1 MiB, powered on together.
    pub(crate) fn clients(&self, wanted: impl Fn(usize) -> bool) -> Outcome<()> {
        self.file(MIB)?;
        println!(
            "\nN clients at once, 1 MiB each, blksize 1468, {} rounds ({PEER_ROUNDS} of peers, \
             one of a peer that needs more than {SLOW} s): p99 s, most client retries, peak MiB, p99 ours/it",
            self.pairs
        );
        let crowds = [(1, 1), (16, 1), (256, 1), (1000, 1), (1000, 16)];
        for (clients, window) in crowds.into_iter().filter(|&(clients, _)| wanted(clients)) {
            let kinds = KINDS.into_iter().filter(|kind| window == 1 || kind.has_windows());
            let mut all: Vec<(Kind, Series)> = kinds.map(|kind| (kind, Series::default())).collect();
            for round in 0..self.pairs {
                for (kind, series) in &mut all {
                    let is_peer = !matches!(kind, Kind::Ours | Kind::Floor);
                    let is_slow = series.p99.0.last().is_some_and(|&seconds| seconds > SLOW);
                    if is_peer && (round >= PEER_ROUNDS || is_slow) {
                        continue;
                    }
                    let Some(server) = self.start_for(*kind, clients) else { continue };
                    let run = client(&["load".into()], &Self::job(MIB, window, clients))?;
                    // Who does not finish is at the end of the line.
                    let finished = run.complete * 100 >= clients * 99;
                    series.p99.0.push(if finished { run.p99 } else { f64::INFINITY });
                    series.retries.0.push(run.retries as f64);
                    series.peak.0.push(server.usage().peak_kib as f64 / 1024.0);
                    series.unfinished += clients - run.complete;
                }
            }
            let Some((_, ours)) = all.first() else { continue };
            for (kind, it) in all.iter().filter(|(_, it)| !it.p99.0.is_empty()) {
                let (p99, peak, retries) = (it.p99.median(), it.peak.most(), it.retries.most());
                let (ratio, unfinished) = (ours.p99.over(&it.p99).spread(), it.unfinished);
                println!(
                    "  N{clients:<5} W{window:<3} {:<11} p99 {p99:7.3} s  retries {retries:5.0}  \
                     peak {peak:7.1} MiB  unfinished {unfinished}  {ratio}",
                    kind.name()
                );
            }
            verdict("retries of our clients", ours.retries.most(), 0.0);
            verdict("our clients unfinished", ours.unfinished as f64, 0.0);
            let to_floor = ours.p99.over(&all.get(1).map(|(_, it)| it.p99.clone()).unwrap_or_default());
            let peers = all.iter().skip(2).filter(|(_, it)| !it.p99.0.is_empty());
            // Against each peer in turn; the best one is where the ratio is greatest.
            let to_best = peers.map(|(_, it)| ours.p99.over(&it.p99).median()).fold(0.0, f64::max);
            match (clients, window) {
                (1000, 1) => {
                    verdict("p99 over the floor's", to_floor.median(), 1.2);
                    verdict("p99 over the best peer's", to_best, 1.0);
                }
                (1000, _) => verdict("p99 over the best peer's", to_best, 1.0 / 3.0),
                _ => {}
            }
            verdict("peak MiB", ours.peak.most(), 16.0);
        }
        Ok(())
    }

    /// 10,000 requests that are never answered, and one that is.
    pub(crate) fn limits(&self) -> Outcome<()> {
        self.file(MIB)?;
        let count = 10_000;
        println!("\n{count} half-open requests, then one client of 1 MiB at window 16");
        for kind in [Kind::Ours, Kind::Atftpd] {
            let (mut seconds, mut peaks, mut unfinished) = (Numbers::default(), Numbers::default(), 0);
            for _ in 0..if kind == Kind::Ours { self.pairs } else { 1 } {
                let Some(server) = self.start(kind) else { continue };
                match client(&["half-open".into(), count.to_string()], &Self::job(MIB, 16, 1)) {
                    Ok(run) => {
                        seconds.0.push(run.seconds);
                        unfinished += 1 - run.complete;
                    }
                    Err(error) => println!("  {:<11} {error}", kind.name()),
                }
                peaks.0.push(server.usage().peak_kib as f64 / 1024.0);
            }
            let (done, peak) = (seconds.spread(), peaks.most());
            let name = kind.name();
            println!(
                "  {name:<11} real client done after {done} s, unfinished {unfinished}, peak {peak:.1} MiB"
            );
            if kind == Kind::Ours {
                verdict("real clients unfinished", unfinished as f64, 0.0);
                verdict("seconds until a real client is done, at worst", seconds.most(), 0.1);
                verdict("peak MiB", peak, 64.0);
            }
        }
        Ok(())
    }
}
