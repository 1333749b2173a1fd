//! One in a hundred packets lost each way.

use crate::load::Job;
use crate::server::Kind;
use crate::{Bench, MIB, Numbers, Outcome, client, verdict};
use std::time::Instant;

/// Peers take long; these rounds are theirs.
const PEER_ROUNDS: usize = 3;

impl Bench {
    /// 1 MiB over a lossy link, a seed a round.
    pub(crate) fn loss(&self, wanted: impl Fn(usize) -> bool) -> Outcome<()> {
        self.file(MIB)?;
        println!(
            "\n1 % loss each way, 1 MiB, blksize 1468, client retries after 1 s: seconds, median (least..greatest)"
        );
        let targets = [(1, 2.0), (4, 1.0), (16, 0.3), (64, 0.1)];
        for (window, most) in targets.into_iter().filter(|&(window, _)| wanted(window.into())) {
            for kind in [Kind::Ours, Kind::Floor, Kind::Atftpd, Kind::AsyncTftp] {
                let rounds = if kind == Kind::Ours { self.pairs } else { self.pairs.min(PEER_ROUNDS) };
                let mut seconds = Numbers::default();
                for round in 0..rounds {
                    let Some(_server) = self.start(kind) else { continue };
                    let job = Job { loss_per_mille: 10, seed: round as u64 + 1, ..Self::job(MIB, window, 1) };
                    let started = Instant::now();
                    let run = client(&["load".into()], &job)?;
                    let done = run.complete == 1;
                    seconds.0.push(if done { run.seconds } else { started.elapsed().as_secs_f64() });
                }
                if !seconds.0.is_empty() {
                    println!("  W{window:<3} {:<11} {}", kind.name(), seconds.spread());
                }
                if kind == Kind::Ours {
                    verdict("median seconds", seconds.median(), most);
                }
            }
        }
        Ok(())
    }
}
