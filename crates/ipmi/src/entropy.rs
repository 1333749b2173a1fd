//! Random numbers as a value: session ids, RAKP nonces and initialisation vectors are drawn from here.
//!
//! An engine gets one seeded by its driver from the operating system; a test seeds it with a constant, or
//! records the draws to come, and sees the same octets every run.

use std::collections::VecDeque;

use crate::crypto::{Hash, hmac};
use zeroize::Zeroize;

/// A deterministic generator: HMAC-SHA256 of a counter under the seed.
pub struct Entropy {
    seed: [u8; 32],
    counter: u64,
    ready: VecDeque<u8>,
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(…)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.ready.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl Entropy {
    /// Starts from 32 octets that nobody else knows.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, ready: VecDeque::new() }
    }

    /// Puts octets in front of those to be drawn: how a recorded exchange is replayed.
    pub fn prepend(&mut self, octets: &[u8]) {
        for octet in octets.iter().rev() {
            self.ready.push_front(*octet);
        }
    }

    /// Draws `N` octets.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        while self.ready.len() < N {
            self.counter = self.counter.wrapping_add(1);
            let block = hmac(Hash::Sha256, &self.seed, &[&self.counter.to_le_bytes()]);
            self.ready.extend(block.as_slice());
        }
        std::array::from_fn(|_| self.ready.pop_front().unwrap_or_default())
    }

    /// Draws a number that is not 0: session ids.
    pub fn draw_id(&mut self) -> u32 {
        loop {
            let id = u32::from_le_bytes(self.draw());
            if id != 0 {
                return id;
            }
        }
    }
}
