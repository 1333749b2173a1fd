//! Causes: what is certain stops a boot at once, what is not waits for its time or its repetition, and both are forgotten
//! when the boot goes on.
#![allow(dead_code, unreachable_pub, reason = "a scene shared by several tests")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod scene;

use std::time::Duration;

use fleet::attempt::Phase;
use fleet::{
    AgentPhase, Fleet, GrantRequest, Hint, HintCode, MachineId, Observation, PowerAction, Role, Stage,
};
use scene::{fleet, provision, report, secs, sighting};

fn offered(fleet: &mut Fleet, at: u64) {
    fleet.observe(secs(at), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    let program = "snponly.efi".to_owned();
    fleet
        .observe(secs(at), Observation::Offered { sighting: sighting(), stage: Stage::Firmware, program })
        .unwrap();
}

fn trouble(fleet: &mut Fleet, at: u64, code: HintCode, certain: bool) {
    let hint = Hint::new(code, "seen on the wire");
    fleet.observe(secs(at), Observation::Trouble { sighting: sighting(), hint, certain }).unwrap();
}

/// Whether it failed, and the word.
fn shown(fleet: &Fleet, at: u64) -> (bool, Option<HintCode>) {
    let status = fleet.status(secs(at)).remove(0);
    (status.failed.is_some(), status.hint)
}

// issue 9, "Bad input": named within the state's time-out.
#[test]
fn a_cause_that_may_pass_is_shown_and_fails_with_its_phase() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    offered(&mut fleet, 2);
    trouble(&mut fleet, 5, HintCode::TftpBlocked, false);
    assert_eq!(shown(&fleet, 5), (false, Some(HintCode::TftpBlocked)));
    let due = fleet.poll_timeout().unwrap();
    assert_eq!(due, secs(2).plus(Phase::Offered.limit().unwrap()));
    fleet.handle_timeout(due);
    assert_eq!(shown(&fleet, 93), (true, Some(HintCode::TftpBlocked)));
    // It comes further after all.
    fleet
        .observe(secs(94), Observation::LoaderSent { sighting: sighting(), file: "a".into(), octets: 1 })
        .unwrap();
    assert_eq!(shown(&fleet, 94), (false, None));
}

#[test]
fn a_cause_found_late_takes_the_place_of_a_phase_that_was_late() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    offered(&mut fleet, 2);
    fleet.handle_timeout(secs(100));
    assert_eq!(shown(&fleet, 100), (true, Some(HintCode::LoaderNotRead)));
    trouble(&mut fleet, 101, HintCode::NoLease, false);
    assert_eq!(shown(&fleet, 101), (true, Some(HintCode::NoLease)));
    // Late again, the better word stays.
    trouble(&mut fleet, 102, HintCode::NoLease, false);
    assert_eq!(shown(&fleet, 102), (true, Some(HintCode::NoLease)));
}

#[test]
fn the_same_cause_in_the_next_boot_is_certain_and_a_power_command_forgets_it() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    let loaded = |fleet: &mut Fleet, at| {
        offered(fleet, at);
        let sent = Observation::LoaderSent { sighting: sighting(), file: "snponly.efi".into(), octets: 9 };
        fleet.observe(secs(at + 1), sent).unwrap();
    };
    loaded(&mut fleet, 2);
    trouble(&mut fleet, 4, HintCode::LoaderRefused, false);
    assert_eq!(shown(&fleet, 4), (false, Some(HintCode::LoaderRefused)));
    // The firmware begins again: another attempt, the same suspicion.
    loaded(&mut fleet, 20);
    assert_eq!(shown(&fleet, 22), (false, Some(HintCode::LoaderRefused)));
    trouble(&mut fleet, 23, HintCode::LoaderRefused, false);
    assert_eq!(shown(&fleet, 23), (true, Some(HintCode::LoaderRefused)));
    let action = PowerAction::Cycle;
    fleet.observe(secs(30), Observation::PowerCommanded { machine: id, action }).unwrap();
    assert_eq!(shown(&fleet, 30), (false, None));
}

#[test]
fn a_missing_loader_counts_where_it_was_the_one_offered() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    offered(&mut fleet, 2);
    let missing = |file: &str| Observation::LoaderMissing { sighting: sighting(), file: file.into() };
    fleet.observe(secs(3), missing("autoexec.ipxe")).unwrap();
    assert_eq!(shown(&fleet, 3), (false, None));
    fleet.observe(secs(3), missing("/snponly.efi")).unwrap();
    assert_eq!(shown(&fleet, 3), (true, Some(HintCode::LoaderMissing)));
}

#[test]
fn strangers_and_machines_without_an_order_have_no_causes() {
    let (mut fleet, _) = fleet();
    offered(&mut fleet, 2);
    trouble(&mut fleet, 3, HintCode::NoLease, true);
    assert_eq!(shown(&fleet, 3), (false, None));
}

fn granted(fleet: &mut Fleet) -> fleet::Claim {
    provision(fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    report(fleet, secs(3), &claim, AgentPhase::Started).unwrap();
    let ask = GrantRequest {
        claim: claim.secret,
        nonce: fleet::ClaimSecret::new([2; 16]),
        serial: "S1".into(),
        signatures: Vec::new(),
    };
    fleet.grant(secs(4), &ask).unwrap();
    claim
}

// A write is late when nothing is heard of it, however long it takes.
#[test]
fn a_write_that_goes_on_is_not_late_and_one_that_stops_is() {
    let (mut fleet, _) = fleet();
    let claim = granted(&mut fleet);
    for minute in 1..30_u8 {
        let at = secs(u64::from(minute) * 60);
        report(&mut fleet, at, &claim, AgentPhase::Writing(minute)).unwrap();
        fleet.handle_timeout(at);
    }
    assert_eq!(shown(&fleet, 29 * 60), (false, None));
    fleet.handle_timeout(secs(29 * 60).plus(Phase::Writing.limit().unwrap()));
    assert_eq!(shown(&fleet, 40 * 60), (true, Some(HintCode::WriteStopped)));
    let status = fleet.status(secs(40 * 60)).remove(0);
    assert!(status.failed.unwrap().contains("29 %"));
}

#[test]
fn a_machine_that_boots_the_network_with_its_write_unfinished_has_stopped() {
    let (mut fleet, _) = fleet();
    let claim = granted(&mut fleet);
    report(&mut fleet, secs(5), &claim, AgentPhase::Writing(3)).unwrap();
    fleet.observe(secs(30), Observation::LocalSent { sighting: sighting() }).unwrap();
    assert_eq!(shown(&fleet, 30), (true, Some(HintCode::WriteStopped)));
}

#[test]
fn an_agent_that_stops_ends_its_order_with_the_cause() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    // What it was refused says more than its own word.
    let ask = GrantRequest {
        claim: claim.secret,
        nonce: fleet::ClaimSecret::new([2; 16]),
        serial: "S1".into(),
        signatures: vec!["ext4".into()],
    };
    fleet.grant(secs(3), &ask).unwrap_err();
    assert_eq!(shown(&fleet, 3), (true, Some(HintCode::DiskHoldsData)));
    let failed = Observation::AgentReport {
        claim: claim.secret,
        phase: AgentPhase::Failed,
        code: Some(HintCode::AgentFailed),
        detail: "disk S1 holds data".into(),
    };
    fleet.observe(secs(4), failed).unwrap();
    assert_eq!(shown(&fleet, 4), (true, Some(HintCode::DiskHoldsData)));
}

fn rests(fleet: &mut Fleet, machine: MachineId, at: u64, patience: u64) {
    let patience = Duration::from_secs(patience);
    fleet.observe(secs(at), Observation::BmcResting { machine, patience }).unwrap();
}

// A BMC that shares its interface with the system is silent after a reset: expected, shown as such, not failed.
#[test]
fn a_resting_bmc_is_no_fault_and_one_that_stays_away_is() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    let action = PowerAction::Cycle;
    fleet.observe(secs(2), Observation::PowerCommanded { machine: id, action }).unwrap();
    rests(&mut fleet, id, 3, 90);
    fleet.handle_timeout(secs(60));
    let status = fleet.status(secs(60)).remove(0);
    assert!(status.failed.is_none() && status.note.contains("expected for 90 s"), "{status:?}");
    fleet.handle_timeout(secs(93));
    assert_eq!(shown(&fleet, 93), (true, Some(HintCode::PowerUnverified)));
    // Given up: what is known of the BMC stays until it answers.
    let hint = Hint::new(HintCode::BmcSilent, "10.0.0.1:623: no answer");
    fleet.observe(secs(94), Observation::BmcFault { machine: id, hint }).unwrap();
    offered(&mut fleet, 95);
    assert_eq!(shown(&fleet, 95), (true, Some(HintCode::BmcSilent)));
    fleet.observe(secs(96), Observation::PowerVerified { machine: id, on: true }).unwrap();
    assert_eq!(shown(&fleet, 96), (false, None));
}

#[test]
fn a_store_that_refuses_is_named_at_every_machine_that_waits() {
    let (mut fleet, _) = fleet();
    fleet.store_failed(secs(1), "no space left");
    assert_eq!(shown(&fleet, 1), (false, None), "it waits for nothing");
    fleet.store_recovered(secs(2));
    provision(&mut fleet, secs(3), Role::Live).unwrap();
    fleet.store_failed(secs(4), "no space left");
    assert_eq!(shown(&fleet, 4), (true, Some(HintCode::StoreRefuses)));
    assert_eq!(fleet.store_fault(), Some("no space left"));
    fleet.store_recovered(secs(5));
    assert_eq!(shown(&fleet, 5), (false, None));
}
