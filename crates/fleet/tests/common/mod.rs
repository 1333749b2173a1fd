//! A workload for store tests: an operator and machines at work, each answer noted when it is given.

use fleet::store::{Keeper, Store};
use fleet::*;

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

pub fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn octets(n: u64) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[8..].copy_from_slice(&n.to_be_bytes());
    octets
}

fn nonce(n: u64) -> ClaimSecret {
    ClaimSecret::new(octets(n))
}

fn mac(n: u64) -> Mac {
    let [.., a, b, c, d] = n.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

/// Takes machine `n` from nothing to a granted disk; `told` hears each acknowledged step. False: the store
/// refused.
pub fn install<S: Store>(keeper: &mut Keeper<S>, n: u64, told: &mut dyn FnMut(String)) -> bool {
    let mut steps = || -> Result<(), store::NotDurable> {
        let new = NewMachine { name: format!("m-{n}"), macs: vec![mac(n)], ..NewMachine::default() };
        keeper.change(now(), |fleet| fleet.command(now(), "op", Command::AddMachine(new)))?.unwrap();
        told(format!("added {n}"));
        let order = Provision::new(format!("m-{n}").parse().unwrap(), "debian", Role::Install);
        keeper.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order)))?.unwrap();
        told(format!("ordered {n}"));
        let claim =
            keeper.change(now(), |fleet| fleet.claim(now(), &Sighting::of(mac(n)), octets(n)))?.unwrap();
        told(format!("claimed {n}"));
        for _ in 0..3 {
            let seen = Observation::ScriptSent { sighting: Sighting::of(mac(n)) };
            keeper.change(now(), |fleet| fleet.observe(now(), seen).is_ok())?;
        }
        let request = GrantRequest {
            claim: claim.secret,
            nonce: nonce(n),
            serial: format!("S{n}"),
            signatures: Vec::new(),
        };
        keeper.change(now(), |fleet| fleet.grant(now(), &request))?.unwrap();
        told(format!("granted {n}"));
        Ok(())
    };
    steps().is_ok()
}

/// Whether a restored fleet holds what was told.
pub fn holds(fleet: &Fleet, told: &str) -> bool {
    let (word, n) = told.split_once(' ').unwrap();
    let Some(machine) = fleet.machine_named(&format!("m-{n}")) else { return false };
    let state = fleet.order_of(machine.id).map(|order| order.state.word());
    match word {
        "added" => true,
        "ordered" => state.is_some(),
        "claimed" => matches!(state, Some("claimed" | "granted")),
        "granted" => state == Some("granted"),
        _ => false,
    }
}
