//! A one-way link that loses, doubles, delays and reorders by a seed. Called by engine-against-engine simulations.

use std::time::{Duration, Instant};

use crate::SplitMix;

/// How bad the link is. The default delivers everything after 1 ms in order.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Packets lost, of 1000.
    pub loss_per_mille: u16,
    /// Packets delivered twice, of 1000.
    pub duplicate_per_mille: u16,
    /// The shortest way through.
    pub delay: Duration,
    /// Added at random, at most this much; more than the sender's pace reorders packets.
    pub jitter: Duration,
    /// Packets under way at most; a further one is lost (a full queue).
    pub capacity: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            capacity: 1024,
        }
    }
}

/// One direction of a network.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: SplitMix,
    order: u64,
    under_way: Vec<(Instant, u64, Vec<u8>)>,
    lost: u64,
}

impl Link {
    /// A link whose every choice follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, config: LinkConfig) -> Self {
        Self { config, random: SplitMix::new(seed), order: 0, under_way: Vec::new(), lost: 0 }
    }

    /// Puts a packet on its way, or loses it.
    pub fn send(&mut self, now: Instant, packet: Vec<u8>) {
        if self.random.below(1000) < u64::from(self.config.duplicate_per_mille) {
            self.enqueue(now, packet.clone());
        }
        self.enqueue(now, packet);
    }

    fn enqueue(&mut self, now: Instant, packet: Vec<u8>) {
        let lost = self.random.below(1000) < u64::from(self.config.loss_per_mille);
        if lost || self.under_way.len() >= self.config.capacity {
            self.lost += 1;
            return;
        }
        let jitter = u64::try_from(self.config.jitter.as_micros()).unwrap_or(u64::MAX);
        let extra = Duration::from_micros(self.random.below(jitter.saturating_add(1)));
        self.order += 1;
        self.under_way.push((now + self.config.delay + extra, self.order, packet));
    }

    /// The next packet that has arrived by `now`. Call until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (index, _) = self
            .under_way
            .iter()
            .enumerate()
            .filter(|(_, (at, ..))| *at <= now)
            .min_by_key(|(_, (at, order, _))| (*at, *order))?;
        Some(self.under_way.swap_remove(index).2)
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, ..)| *at).min()
    }

    /// Packets lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    fn run(seed: u64, config: LinkConfig) -> (Vec<u8>, u64) {
        let mut clock = Clock::new();
        let mut link = Link::new(seed, config);
        for number in 0..=255_u8 {
            link.send(clock.now(), vec![number]);
            clock.advance(Duration::from_micros(100));
        }
        let mut arrived = Vec::new();
        while let Some(at) = link.poll_timeout() {
            clock.advance_to(at);
            arrived.extend(link.poll(clock.now()).unwrap());
        }
        (arrived, link.lost())
    }

    #[test]
    fn a_good_link_keeps_order_and_loses_nothing() {
        let (arrived, lost) = run(1, LinkConfig::default());
        assert_eq!(arrived, (0..=255).collect::<Vec<u8>>());
        assert_eq!(lost, 0);
    }

    #[test]
    fn same_seed_same_run() {
        let bad = LinkConfig {
            loss_per_mille: 200,
            duplicate_per_mille: 100,
            jitter: Duration::from_millis(3),
            ..LinkConfig::default()
        };
        let (first, lost) = run(42, bad);
        assert_eq!((first.clone(), lost), run(42, bad));
        assert!(lost > 20, "a fifth is lost: {lost}");
        assert!(!first.is_sorted(), "3 ms of jitter at 0.1 ms pace reorders");
        assert_ne!(first, run(43, bad).0);
    }
}
