//! BMC actions with intent: written before they are sent, looked at after a restart, never sent again blindly.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use fleet::store::{Keeper, Tables};
use fleet::*;
use proptest::prelude::*;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const RESET: BmcAction = BmcAction::Power { action: PowerAction::Reset };
const ON: BmcAction = BmcAction::Power { action: PowerAction::On };
const NETWORK: BmcAction = BmcAction::NetworkBoot { efi: None };

fn keeper() -> (Keeper<Tables>, MachineId) {
    let mut keeper = Keeper::open(Config::default(), Tables::default()).unwrap();
    let bmc = Some(Bmc::at([10, 0, 0, 1].into()));
    let new = NewMachine { name: "m".into(), macs: vec![MAC], bmc, ..NewMachine::default() };
    let id = keeper
        .change(now(), |fleet| fleet.command(now(), "op", Command::AddMachine(new)))
        .unwrap()
        .unwrap()
        .machines[0];
    (keeper, id)
}

/// A new server over what the store holds.
fn restart(keeper: Keeper<Tables>) -> Keeper<Tables> {
    Keeper::open(Config::default(), keeper.into_parts().1).unwrap()
}

fn start(keeper: &mut Keeper<Tables>, machine: MachineId, actions: &[BmcAction]) -> Result<JobId, Refusal> {
    keeper.change(now(), |fleet| fleet.start_job(now(), "op", machine, actions.to_vec(), false)).unwrap()
}

fn next(keeper: &mut Keeper<Tables>, job: JobId) -> Option<JobStep> {
    keeper.change(now(), |fleet| fleet.next_step(now(), job)).unwrap()
}

fn result(keeper: &mut Keeper<Tables>, job: JobId, result: StepResult) {
    keeper.change(now(), |fleet| fleet.step_result(now(), job, result)).unwrap();
}

#[test]
fn a_job_goes_through_its_actions_and_begins_an_attempt() {
    let (mut keeper, machine) = keeper();
    let job = start(&mut keeper, machine, &[NETWORK, ON]).unwrap();
    assert!(matches!(start(&mut keeper, machine, &[ON]), Err(Refusal::Taken(_))));
    for action in [NETWORK, ON] {
        assert_eq!(next(&mut keeper, job), Some(JobStep::Send(action)));
        assert_eq!(next(&mut keeper, job), None, "it is being sent");
        result(&mut keeper, job, StepResult::Done);
    }
    assert_eq!((next(&mut keeper, job), &keeper.fleet().job(job).unwrap().state), (None, &JobState::Done));
    let status = keeper.fleet().status(now()).remove(0);
    assert_eq!((status.attempt, status.phase), (1, Some(attempt::Phase::PowerCommanded)));
    start(&mut keeper, machine, &[ON]).unwrap();
}

#[test]
fn a_job_ends_with_its_order() {
    let (mut keeper, machine) = keeper();
    let order = Provision::new("m".parse().unwrap(), "p", Role::Install);
    let ordered =
        keeper.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order))).unwrap();
    let order = ordered.unwrap().orders[0];
    let begin = |keeper: &mut Keeper<Tables>| {
        keeper.change(now(), |fleet| fleet.start_order_job(now(), "op", order, vec![NETWORK, ON])).unwrap()
    };
    let job = begin(&mut keeper).unwrap();
    assert_eq!(next(&mut keeper, job), Some(JobStep::Send(NETWORK)));
    result(&mut keeper, job, StepResult::Done);
    keeper
        .change(now(), |fleet| fleet.command(now(), "op", Command::Cancel("m".parse().unwrap())))
        .unwrap()
        .unwrap();
    assert_eq!(next(&mut keeper, job), None, "cancelled before its power");
    assert!(!keeper.fleet().job(job).unwrap().is_open());
    assert!(begin(&mut keeper).is_err());
    assert_eq!(keeper.fleet().machine(machine).unwrap().power_epoch, 0);
    let waits = start(&mut keeper, machine, &[ON]).unwrap();
    keeper.change(now(), |fleet| fleet.cancel_job(now(), waits, "not now")).unwrap();
    assert_eq!(next(&mut keeper, waits), None);
}

#[test]
fn power_counts_from_its_intent_and_a_failure_shows_where_the_boot_stopped() {
    let (mut keeper, machine) = keeper();
    let order = Provision::new("m".parse().unwrap(), "p", Role::Live);
    keeper.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order))).unwrap().unwrap();
    let job = start(&mut keeper, machine, &[ON]).unwrap();
    next(&mut keeper, job);
    // The machine is quicker than its BMC's answer: its claim stays the one it got.
    let claim = |keeper: &mut Keeper<Tables>, fresh| {
        keeper.change(now(), |fleet| fleet.claim(now(), &Sighting::of(MAC), fresh)).unwrap().unwrap().secret
    };
    let seen = Observation::Seen { sighting: Sighting::of(MAC), stage: Stage::Firmware };
    keeper.change(now(), |fleet| fleet.observe(now(), seen)).unwrap().unwrap();
    let first = claim(&mut keeper, [1; 16]);
    result(&mut keeper, job, StepResult::Done);
    assert_eq!(claim(&mut keeper, [2; 16]), first);

    keeper
        .change(now(), |fleet| fleet.command(now(), "op", Command::Cancel("m".parse().unwrap())))
        .unwrap()
        .unwrap();
    let order = Provision::new("m".parse().unwrap(), "p", Role::Live);
    keeper.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order))).unwrap().unwrap();
    let job = start(&mut keeper, machine, &[NETWORK]).unwrap();
    next(&mut keeper, job);
    result(&mut keeper, job, StepResult::NotDone("wrong password".into()));
    let failed = keeper.fleet().status(now()).remove(0).failed.unwrap();
    assert!(failed.contains("wrong password"), "{failed}");
}

#[test]
fn a_reset_in_doubt_is_looked_at_and_not_sent_again() {
    let (mut keeper, machine) = keeper();
    let job = start(&mut keeper, machine, &[RESET]).unwrap();
    assert_eq!(next(&mut keeper, job), Some(JobStep::Send(RESET)));
    let mut keeper = restart(keeper); // killed while it was sending
    assert_eq!(keeper.fleet().open_jobs().len(), 1);
    assert_eq!(next(&mut keeper, job), Some(JobStep::Look(RESET)));
    result(&mut keeper, job, StepResult::NotDone("power is on".into()));
    assert!(
        matches!(&keeper.fleet().job(job).unwrap().state, JobState::Failed { reason } if reason.contains("not sent again"))
    );
    assert_eq!(next(&mut keeper, job), None);
}

#[test]
fn power_is_not_cut_while_a_disk_is_written() {
    let (mut keeper, machine) = keeper();
    let order = Provision::new("m".parse().unwrap(), "p", Role::Install);
    keeper.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order))).unwrap().unwrap();
    let claim =
        keeper.change(now(), |fleet| fleet.claim(now(), &Sighting::of(MAC), [1; 16])).unwrap().unwrap();
    let request =
        GrantRequest { claim: claim.secret, nonce: claim.secret, serial: "S".into(), signatures: Vec::new() };
    keeper.change(now(), |fleet| fleet.grant(now(), &request)).unwrap().unwrap();
    assert!(matches!(start(&mut keeper, machine, &[RESET]), Err(Refusal::InUse(_))));
    assert!(
        keeper
            .change(now(), |fleet| fleet.start_job(now(), "op", machine, vec![RESET], true))
            .unwrap()
            .is_ok()
    );
}

#[test]
fn the_wrong_bmc_is_told_nothing() {
    let (mut keeper, machine) = keeper();
    let (mine, other) = (
        Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7]),
        Uuid([9, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7]),
    );
    assert!(keeper.fleet().is_bmc_of(machine, mine), "none recorded yet");
    let seen = Observation::BmcIdentity { machine, guid: mine };
    keeper.change(now(), |fleet| fleet.observe(now(), seen)).unwrap().unwrap();
    assert!(keeper.fleet().is_bmc_of(machine, mine.swapped()) && !keeper.fleet().is_bmc_of(machine, other));
}

proptest! {
    // issue 8: intent before each BMC action, verified after a restart, never resent blindly.
    #[test]
    fn no_history_sends_a_reset_twice(events in proptest::collection::vec(0u8..6, 1..40)) {
        let (mut keeper, machine) = keeper();
        let actions = [NETWORK, RESET, ON];
        let job = start(&mut keeper, machine, &actions).unwrap();
        let mut sent = [0; 3];
        let mut present = None;
        for event in events {
            match event {
                0 | 1 => {
                    let at = keeper.fleet().job(job).unwrap().done;
                    let step = next(&mut keeper, job);
                    if let Some(JobStep::Send(action)) = step {
                        sent[at] += 1;
                        prop_assert_eq!(action, actions[at]);
                        let stored = Fleet::restore(Config::default(), keeper.store().records());
                        prop_assert_eq!(&stored.job(job).unwrap().state, &JobState::Doubt, "the intent is durable before");
                    }
                    present = step;
                }
                2 => (keeper, present) = (restart(keeper), None),
                _ if present.is_none() => {}
                3 => result(&mut keeper, job, StepResult::Done),
                4 => result(&mut keeper, job, StepResult::NotDone("no".into())),
                _ => result(&mut keeper, job, StepResult::NoAnswer("silence".into())),
            }
            prop_assert!(sent[1] <= 1, "a reset was sent {} times", sent[1]);
            let fleet = keeper.fleet();
            prop_assert!(fleet.job(job).unwrap().done <= actions.len());
        }
    }
}
