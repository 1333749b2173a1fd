//! One adopted machine, and short words for what happens to it.

use std::net::IpAddr;

use fleet::*;

pub const MAC1: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x21]);
pub const MAC2: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x22]);
pub const STRANGER: Mac = Mac([0x66, 0, 0, 0, 0, 1]);
pub const BOARD: Uuid =
    Uuid([0x10, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x11]);
pub const OTHER_BOARD: Uuid = Uuid([0x42; 16]);

pub fn ip(last: u8) -> IpAddr {
    [10, 77, 0, last].into()
}

pub fn secs(n: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + n * 1000)
}

pub fn nonce(n: u8) -> ClaimSecret {
    ClaimSecret::new([n; 16])
}

/// A fleet with one adopted machine, `kpc-01`.
pub fn fleet() -> (Fleet, MachineId) {
    let mut fleet = Fleet::new(Config::default());
    let new =
        NewMachine { name: "kpc-01".into(), macs: vec![MAC1], uuid: Some(BOARD), ..NewMachine::default() };
    let id = fleet.command(secs(0), "alice", Command::AddMachine(new)).unwrap().machines[0];
    (fleet, id)
}

pub fn provision(fleet: &mut Fleet, now: Timestamp, role: Role) -> Result<CommandOutcome, Refusal> {
    let provision = Provision::new("kpc-01".parse().unwrap(), "debian", role);
    fleet.command(now, "alice", Command::Provision(provision))
}

pub fn sighting() -> Sighting {
    Sighting::of(MAC1).with_uuid(BOARD).with_peer(ip(100))
}

pub fn ask(claim: &Claim, run: u8) -> GrantRequest {
    GrantRequest { claim: claim.secret, nonce: nonce(run), serial: "S1".into(), signatures: Vec::new() }
}

pub fn report(
    fleet: &mut Fleet,
    now: Timestamp,
    claim: &Claim,
    phase: AgentPhase,
) -> Result<MachineId, Ignored> {
    fleet.observe(
        now,
        Observation::AgentReport { claim: claim.secret, phase, code: None, detail: String::new() },
    )
}

pub fn registration(claim: &Claim) -> Registration {
    let interface = Interface { name: "eno1".into(), mac: Some(MAC1), addresses: vec![ip(100)] };
    let facts = Facts { interfaces: vec![interface], serial: "SN{{1}}".into(), ..Facts::default() };
    Registration {
        claim: Some(claim.secret),
        uuid: Some(BOARD),
        peer: Some(ip(100)),
        facts,
        ..Registration::default()
    }
}

pub fn alarms(fleet: &mut Fleet) -> usize {
    std::iter::from_fn(|| fleet.poll_event()).filter(|event| event.kind.is_alarm()).count()
}
