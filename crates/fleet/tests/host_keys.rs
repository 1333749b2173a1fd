//! SSH host keys over registrations: which are taken, which are an alarm, and who accepts them.
#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod scene;

use fleet::inventory::{Include, known_hosts};
use fleet::*;
use scene::*;

const KEY: AgentKey = AgentKey([7; 32]);

fn key(letter: &str) -> String {
    format!("ssh-ed25519 {} root@kpc-01", letter.repeat(44))
}

fn shows(claim: Option<&Claim>, keys: &[String]) -> Registration {
    let mut registration = claim.map_or_else(
        || Registration { uuid: Some(BOARD), peer: Some(ip(100)), ..Registration::default() },
        registration,
    );
    registration.key = Some(KEY);
    registration.facts.ssh_host_keys = keys.to_vec();
    registration
}

/// One installation of the machine, registered with this key.
fn installed(fleet: &mut Fleet, at: u64, again: bool, keys: &[String]) -> Claim {
    let mut order = Provision::new("kpc-01".parse().unwrap(), "debian", Role::Install);
    order.again = again;
    fleet.command(secs(at), "alice", Command::Provision(order)).unwrap();
    let claim = fleet.claim(secs(at + 1), &sighting(), [u8::try_from(at % 250).unwrap(); 16]).unwrap();
    fleet.grant(secs(at + 2), &ask(&claim, 1)).unwrap();
    report(fleet, secs(at + 3), &claim, AgentPhase::Done).unwrap();
    fleet.register(secs(at + 4), &shows(Some(&claim), keys)).unwrap();
    claim
}

fn has(fleet: &Fleet, letter: &str) -> bool {
    known_hosts(fleet, Include::Registered).contains(&letter.repeat(44))
}

// Issue 9, 4: known_hosts from the reported keys; a changed key is an alarm, and the old key stays until accepted.
#[test]
fn a_changed_key_is_an_alarm_until_it_is_accepted() {
    let (mut fleet, id) = fleet();
    let claim = installed(&mut fleet, 10, false, &[key("A")]);
    assert!(has(&fleet, "A") && alarms(&mut fleet) == 0);
    // Said again, in another order and with another comment: the same.
    fleet.register(secs(20), &shows(None, &[key("A").replace("root@kpc-01", "x")])).unwrap();
    assert_eq!(alarms(&mut fleet), 0);
    // Another key, by the agent's key or by the installation's own claim.
    for claim in [None, Some(&claim)] {
        fleet.register(secs(1000), &shows(claim, &[key("B")])).unwrap();
        assert!(has(&fleet, "A") && !has(&fleet, "B"));
        let why = fleet.status(secs(1001)).remove(0).failed.unwrap();
        assert!(why.contains("SSH host key changed") && why.contains("…BBBBBBBBBB"), "{why}");
        assert!(why.contains("…AAAAAAAAAA") && why.contains("kpc resolve kpc-01"), "{why}");
    }
    assert_eq!(alarms(&mut fleet), 1, "once a minute");
    assert_eq!(fleet.machine(id).unwrap().lifecycle, Lifecycle::Registered);
    // A key beside the old one is another set of keys, too.
    fleet.register(secs(2000), &shows(None, &[key("A"), key("C")])).unwrap();
    assert!(!has(&fleet, "C") && alarms(&mut fleet) == 1);
    // Silence changes nothing.
    fleet.register(secs(2001), &shows(None, &[])).unwrap();
    assert!(has(&fleet, "A") && fleet.status(secs(2002))[0].failed.is_some());

    fleet.register(secs(3000), &shows(None, &[key("B")])).unwrap();
    fleet.command(secs(3001), "alice", Command::Resolve("kpc-01".parse().unwrap())).unwrap();
    assert!(has(&fleet, "B") && !has(&fleet, "A"));
    assert_eq!(fleet.status(secs(3002))[0].failed, None);
    assert_eq!(fleet.machine(id).unwrap().uuid, Some(BOARD), "nothing else was given up");
    alarms(&mut fleet);
    fleet.register(secs(4000), &shows(None, &[key("B")])).unwrap();
    assert_eq!(alarms(&mut fleet), 0);
}

#[test]
fn the_old_key_shown_again_ends_the_alarm() {
    let (mut fleet, _) = fleet();
    installed(&mut fleet, 10, false, &[key("A")]);
    fleet.register(secs(1000), &shows(None, &[key("B")])).unwrap();
    assert!(fleet.status(secs(1001))[0].failed.is_some());
    fleet.register(secs(1100), &shows(None, &[key("A")])).unwrap();
    assert_eq!(fleet.status(secs(1101))[0].failed, None);
    assert!(has(&fleet, "A"));
}

#[test]
fn an_installation_that_was_ordered_brings_its_own_keys() {
    let (mut fleet, _) = fleet();
    installed(&mut fleet, 10, false, &[key("A")]);
    fleet.register(secs(1000), &shows(None, &[key("B")])).unwrap();
    alarms(&mut fleet);
    installed(&mut fleet, 2000, true, &[key("D")]);
    assert!(has(&fleet, "D") && !has(&fleet, "A"));
    assert_eq!((alarms(&mut fleet), fleet.status(secs(2100))[0].failed.clone()), (0, None));
    fleet.register(secs(2200), &shows(None, &[key("E")])).unwrap();
    assert!(!has(&fleet, "E") && alarms(&mut fleet) == 1);
}

// A system that runs from memory makes its keys anew at every boot, and each boot shows its own claim.
#[test]
fn a_live_system_changes_its_keys_with_its_boots_only() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    let first = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet.register(secs(3), &shows(Some(&first), &[key("A")])).unwrap();
    fleet.register(secs(500), &shows(Some(&first), &[key("B")])).unwrap();
    assert!(has(&fleet, "A") && alarms(&mut fleet) == 1);
    fleet.observe(secs(900), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    let second = fleet.claim(secs(910), &sighting(), [2; 16]).unwrap();
    fleet.register(secs(911), &shows(Some(&second), &[key("C")])).unwrap();
    assert!(has(&fleet, "C") && alarms(&mut fleet) == 0);
    assert_eq!(fleet.status(secs(912))[0].failed, None);
}

/// What waits for a person is as durable as the rest.
#[test]
fn a_machine_that_waits_is_read_back_as_it_was() {
    let (mut fleet, id) = fleet();
    installed(&mut fleet, 10, false, &[key("A")]);
    fleet.register(secs(1000), &shows(None, &[key("B")])).unwrap();
    let machine = fleet.machine(id).unwrap();
    let text = serde_json::to_string(machine).unwrap();
    assert_eq!(&serde_json::from_str::<Machine>(&text).unwrap(), machine);
}
