//! Whole stories, told through the public doors of the engine.
#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod scene;

use std::time::Duration;

use fleet::attempt::Phase;
use fleet::inventory::{self, Include};
use fleet::*;
use scene::*;

// DESIGN 4: run from memory → registered.
#[test]
fn a_live_machine_boots_registers_and_is_served_again_at_every_boot() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    fleet.observe(secs(2), Observation::PowerCommanded { machine: id, action: PowerAction::On }).unwrap();
    fleet.observe(secs(3), Observation::PowerVerified { machine: id, on: true }).unwrap();
    let dhcp = Sighting::of(MAC1).with_uuid(BOARD);
    fleet.observe(secs(5), Observation::Seen { sighting: dhcp.clone(), stage: Stage::Firmware }).unwrap();
    let offered =
        Observation::Offered { sighting: dhcp, stage: Stage::Firmware, program: "undionly.kpxe".into() };
    fleet.observe(secs(5), offered).unwrap();
    // The TFTP read comes from an address we cannot place until iPXE's request names the interface.
    let loader = Observation::LoaderSent {
        sighting: Sighting::from_peer(ip(100)),
        file: "undionly.kpxe".into(),
        octets: 70_000,
    };
    assert_eq!(fleet.observe(secs(6), loader), Err(Ignored::Unknown));
    let claim = fleet.claim(secs(8), &sighting(), [1; 16]).unwrap();
    fleet.observe(secs(8), Observation::ScriptSent { sighting: sighting() }).unwrap();
    let kernel = Observation::KernelSent {
        sighting: Sighting::from_peer(ip(100)),
        path: "vmlinuz".into(),
        octets: 8 << 20,
    };
    fleet.observe(secs(10), kernel).unwrap();
    report(&mut fleet, secs(20), &claim, AgentPhase::Started).unwrap();
    let registered = fleet.register(secs(22), &registration(&claim)).unwrap();
    assert_eq!((registered.name.as_str(), registered.again), ("kpc-01", false));

    let status = fleet.status(secs(30)).remove(0);
    assert_eq!(
        (status.lifecycle, status.address, status.failed),
        (Lifecycle::Registered, Some(ip(100)), None)
    );
    assert_eq!(status.elapsed_ms, 20_000);
    let phases: Vec<_> = status.phases.iter().map(|reached| reached.phase).collect();
    use Phase::{Agent, Kernel, Loader, Offered, PowerCommanded, PowerVerified, Registered, Script, Seen};
    assert_eq!(
        phases,
        [PowerCommanded, PowerVerified, Seen, Offered, Loader, Script, Kernel, Agent, Registered]
    );

    // It may say where it is for as long as it runs.
    fleet.handle_timeout(secs(30_000));
    assert!(fleet.register(secs(30_001), &registration(&claim)).unwrap().again);
    let secs = |n: u64| secs(40_000 + n);
    // Saying it again is fine; the next boot is another attempt with another claim.
    assert!(fleet.register(secs(31), &registration(&claim)).unwrap().again);
    fleet.observe(secs(600), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    let next = fleet.claim(secs(610), &sighting().with_peer(ip(101)), [2; 16]).unwrap();
    assert_ne!((next.secret, next.attempt), (claim.secret, claim.attempt));
    assert_eq!(fleet.register(secs(611), &registration(&claim)), Err(RegisterRefused::NoClaim));
    // A live order never gets a disk.
    assert_eq!(fleet.grant(secs(612), &ask(&next, 1)), Err(GrantRefused::Live));
    // Cancelled, it boots its disk.
    fleet.command(secs(620), "alice", Command::Cancel("@all".parse().unwrap())).unwrap();
    assert!(matches!(fleet.decide(secs(621), &sighting()), Decision::Local { .. }));
}

// DESIGN 4, the write grant: once per order, the same answer to the same nonce, local afterwards.
#[test]
fn an_install_is_granted_one_disk_once() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    assert_eq!(report(&mut fleet, secs(2), &claim, AgentPhase::Writing(1)), Err(Ignored::NotGranted));
    let grant = fleet.grant(secs(3), &ask(&claim, 1)).unwrap();
    assert_eq!(fleet.grant(secs(4), &ask(&claim, 1)).unwrap(), grant);
    assert_eq!(fleet.grant(secs(4), &ask(&claim, 2)), Err(GrantRefused::Spent));
    let other_disk = GrantRequest { serial: "S2".into(), ..ask(&claim, 1) };
    assert_eq!(fleet.grant(secs(4), &other_disk), Err(GrantRefused::Spent));
    report(&mut fleet, secs(5), &claim, AgentPhase::Writing(50)).unwrap();
    report(&mut fleet, secs(9), &claim, AgentPhase::Done).unwrap();
    report(&mut fleet, secs(9), &claim, AgentPhase::Reboot).unwrap();
    assert_eq!(fleet.grant(secs(10), &ask(&claim, 1)), Err(GrantRefused::Spent));
    assert_eq!(fleet.status(secs(10))[0].lifecycle, Lifecycle::Installed);
    // Network-first boot order: it comes by again and is sent to its disk, in the same attempt.
    fleet.observe(secs(40), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    assert!(matches!(fleet.decide(secs(41), &sighting()), Decision::Local { reason: Reason::NoOrder, .. }));
    fleet.observe(secs(41), Observation::LocalSent { sighting: sighting() }).unwrap();
    fleet.register(secs(60), &registration(&claim)).unwrap();
    let status = fleet.status(secs(60)).remove(0);
    assert_eq!(
        (status.lifecycle, status.attempt, status.phase),
        (Lifecycle::Registered, 1, Some(Phase::Registered))
    );
}

#[test]
fn story_power_cut_mid_install() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet.grant(secs(3), &ask(&claim, 1)).unwrap();
    // Power is cut while it writes; it network-boots again and must not write again by itself.
    fleet.observe(secs(60), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    assert!(matches!(fleet.decide(secs(61), &sighting()), Decision::Local { reason: Reason::Granted, .. }));
    assert!(fleet.claim(secs(61), &sighting(), [2; 16]).is_err());
    // In time it fails with its reason, and a person may order again.
    fleet.handle_timeout(secs(3 + 7200));
    assert!(fleet.status(secs(7300))[0].failed.as_ref().unwrap().contains("half written"));
    let retried = fleet.command(secs(7400), "alice", Command::Retry("@failed".parse().unwrap())).unwrap();
    assert_eq!(retried.orders.len(), 1);
    assert!(matches!(fleet.decide(secs(7401), &sighting()), Decision::Boot(_)));
}

#[test]
fn story_duplicate_discovers() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    for _ in 0..50 {
        fleet.observe(secs(2), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    }
    let claim = fleet.claim(secs(8), &sighting(), [1; 16]).unwrap();
    fleet.observe(secs(8), Observation::ScriptSent { sighting: sighting() }).unwrap();
    for _ in 0..50 {
        fleet.observe(secs(9), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
        assert_eq!(fleet.claim(secs(9), &sighting(), [9; 16]).unwrap().secret, claim.secret);
    }
    assert_eq!(fleet.status(secs(9))[0].attempt, 1);
    assert!(fleet.timeline(id).len() < 10, "duplicates are counted, not told");
}

#[test]
fn story_two_nics_booting() {
    let (mut fleet, _) = fleet();
    fleet.command(secs(0), "alice", Command::AddMac { name: "kpc-01".into(), mac: MAC2 }).unwrap();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    let second = Sighting { mac: Some(MAC2), ..sighting().with_peer(ip(101)) };
    assert!(matches!(fleet.claim(secs(2), &second, [2; 16]), Err(ClaimRefused::SecondClaimer(_))));
    assert!(alarms(&mut fleet) >= 1);
    assert!(matches!(fleet.grant(secs(3), &ask(&claim, 1)), Err(GrantRefused::Frozen(_))));
    assert!(matches!(
        fleet.decide(secs(3), &sighting()),
        Decision::Hold { reason: Reason::Frozen { .. }, .. }
    ));
    // A person looks, and the next boot may claim; the old claim is nothing any more.
    fleet.command(secs(9), "alice", Command::Retry("kpc-01".parse().unwrap())).unwrap();
    assert_eq!(fleet.grant(secs(10), &ask(&claim, 1)), Err(GrantRefused::NoClaim));
    let next = fleet.claim(secs(11), &sighting(), [3; 16]).unwrap();
    fleet.grant(secs(12), &ask(&next, 1)).unwrap();
}

#[test]
fn story_swapped_board() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let swapped = Sighting { uuid: Some(OTHER_BOARD), ..sighting() };
    assert!(!OTHER_BOARD.is_telling(), "all octets alike say nothing");
    assert!(matches!(fleet.decide(secs(2), &swapped), Decision::Boot(_)));
    let swapped =
        Sighting { uuid: Some("3c2f7a10-0000-4000-8000-001122334455".parse().unwrap()), ..sighting() };
    assert!(matches!(fleet.decide(secs(2), &swapped), Decision::Refuse { .. }));
    assert!(fleet.claim(secs(2), &swapped, [1; 16]).is_err());
    assert_eq!(
        fleet.observe(secs(3), Observation::Seen { sighting: swapped, stage: Stage::Firmware }),
        Err(Ignored::Conflict)
    );
    assert_eq!(alarms(&mut fleet), 1);
    // The right board, told in SMBIOS byte order, is fine.
    let right = Sighting { uuid: Some(BOARD.swapped()), ..sighting() };
    assert!(matches!(fleet.decide(secs(4), &right), Decision::Boot(_)));
}

#[test]
fn story_cloned_uuids() {
    let (mut fleet, _) = fleet();
    let twin =
        NewMachine { name: "kpc-02".into(), macs: vec![MAC2], uuid: Some(BOARD), ..NewMachine::default() };
    fleet.command(secs(0), "alice", Command::AddMachine(twin)).unwrap();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    assert!(matches!(fleet.decide(secs(2), &sighting()), Decision::Boot(boot) if boot.name == "kpc-01"));
    let twin = Sighting { mac: Some(MAC2), ..sighting() };
    assert!(matches!(fleet.decide(secs(2), &twin), Decision::Local { .. }));
    // Each has its own claim, even when the random source repeats itself.
    let order = Provision::new("kpc-02".parse().unwrap(), "debian", Role::Install);
    fleet.command(secs(2), "alice", Command::Provision(order)).unwrap();
    fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    assert_eq!(fleet.claim(secs(2), &twin, [1; 16]), Err(ClaimRefused::NotFresh));
    fleet.claim(secs(2), &twin, [2; 16]).unwrap();
    // A UUID never selects: a third interface with the same one is a stranger.
    let third = Sighting { mac: Some(STRANGER), ..sighting() };
    assert!(matches!(fleet.decide(secs(2), &third), Decision::Observe { reason: Reason::OnlyUuid { .. } }));
}

#[test]
fn story_address_change() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    // The installing system gets another lease: its claim speaks for it.
    let moved = Sighting { claim: Some(claim.secret), ..sighting().with_peer(ip(150)) };
    assert!(matches!(fleet.decide(secs(3), &moved), Decision::Boot(boot) if boot.claimed));
    fleet.grant(secs(3), &ask(&claim, 1)).unwrap();
    report(&mut fleet, secs(4), &claim, AgentPhase::Done).unwrap();
    let mut at = registration(&claim);
    (at.peer, at.facts.interfaces[0].addresses) = (Some(ip(160)), vec![ip(160)]);
    at.key = Some(AgentKey([9; 32]));
    fleet.register(secs(60), &at).unwrap();
    // A later boot registers its new address with its key alone.
    (at.claim, at.peer, at.facts.interfaces[0].addresses) = (None, Some(ip(161)), vec![ip(161)]);
    assert!(fleet.register(secs(90), &at).unwrap().again);
    assert_eq!(fleet.status(secs(90))[0].address, Some(ip(161)));
    at.key = Some(AgentKey([8; 32]));
    assert_eq!(fleet.register(secs(91), &at), Err(RegisterRefused::NoClaim));
}

#[test]
fn story_wrong_clock() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    // The server's clock is set back a year; deadlines neither stop nor come back to life.
    let back = |n: u64| Timestamp::from_millis(secs(0).as_millis() - 31_536_000_000 + n * 1000);
    fleet.handle_timeout(back(0));
    fleet.handle_timeout(back(3599));
    assert!(matches!(fleet.decide(back(3599), &sighting()), Decision::Boot(_)));
    fleet.handle_timeout(back(3601));
    assert_eq!(fleet.grant(back(3602), &ask(&claim, 1)), Err(GrantRefused::NoClaim));
    // Events stay in the order of their sequence.
    let events = fleet.events_after(0, 1000);
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert!(events.last().unwrap().at < events[0].at);
}

#[test]
fn story_store_refusing_writes() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    fleet.store_failed(secs(2), "No space left on device");
    assert!(matches!(
        fleet.decide(secs(2), &sighting()),
        Decision::Hold { reason: Reason::Store { .. }, .. }
    ));
    assert!(fleet.claim(secs(2), &sighting(), [1; 16]).is_err());
    assert!(matches!(provision(&mut fleet, secs(2), Role::Live), Err(Refusal::Store(_))));
    fleet.store_recovered(secs(3));
    let claim = fleet.claim(secs(4), &sighting(), [1; 16]).unwrap();
    fleet.store_failed(secs(5), "No space left on device");
    assert!(matches!(fleet.grant(secs(5), &ask(&claim, 1)), Err(GrantRefused::Store(_))));
    fleet.store_recovered(secs(6));
    fleet.grant(secs(7), &ask(&claim, 1)).unwrap();
}

#[test]
fn story_provision_while_installing() {
    let (mut fleet, _) = fleet();
    let first = provision(&mut fleet, secs(1), Role::Install).unwrap().orders[0];
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet.grant(secs(3), &ask(&claim, 1)).unwrap();
    let second = provision(&mut fleet, secs(4), Role::Install).unwrap();
    assert_eq!(second.refused, [("kpc-01".to_string(), Refusal::OrderOpen(first))]);
    assert!(second.orders.is_empty());
    // Cancelled, nothing of the first goes on.
    fleet.command(secs(5), "alice", Command::Cancel("kpc-01".parse().unwrap())).unwrap();
    assert_eq!(report(&mut fleet, secs(6), &claim, AgentPhase::Done), Err(Ignored::NoClaim));
    assert_eq!(fleet.grant(secs(6), &ask(&claim, 1)), Err(GrantRefused::NoClaim));
}

#[test]
fn story_network_first_boot_order() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet.grant(secs(3), &ask(&claim, 1)).unwrap();
    report(&mut fleet, secs(9), &claim, AgentPhase::Done).unwrap();
    for boot in 1..5 {
        let now = secs(boot * 1000);
        fleet.observe(now, Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
        assert!(matches!(fleet.decide(now, &sighting()), Decision::Local { .. }));
        assert!(matches!(
            fleet.claim(now, &sighting(), [5; 16]),
            Err(ClaimRefused::Nothing(Decision::Local { .. }))
        ));
        fleet.observe(now, Observation::LocalSent { sighting: sighting() }).unwrap();
        fleet.register(secs(boot * 1000 + 30), &registration(&claim)).unwrap();
    }
}

// DESIGN 4: a BMC is bound by its GUID against option 97 or by configuration, never by order of arrival.
#[test]
fn a_machine_known_by_its_bmc_is_recognised_by_its_guid() {
    let mut fleet = Fleet::new(Config::default());
    for (name, last) in [("bmc-1", 11), ("bmc-2", 12)] {
        let new = NewMachine { name: name.into(), bmc: Some(Bmc::at(ip(last))), ..NewMachine::default() };
        fleet.command(secs(0), "alice", Command::AddMachine(new)).unwrap();
    }
    let [one, two] = [1, 2].map(MachineId);
    let provision = Provision::new("@all".parse().unwrap(), "ramdisk", Role::Live);
    assert_eq!(fleet.command(secs(1), "alice", Command::Provision(provision)).unwrap().orders.len(), 2);
    fleet.observe(secs(1), Observation::BmcIdentity { machine: two, guid: BOARD.swapped() }).unwrap();
    for machine in [one, two] {
        fleet.observe(secs(2), Observation::PowerCommanded { machine, action: PowerAction::On }).unwrap();
    }
    // The first to arrive is the second's.
    assert!(matches!(fleet.decide(secs(9), &sighting()), Decision::Boot(boot) if boot.machine == two));
    fleet.claim(secs(10), &sighting(), [1; 16]).unwrap();
    assert_eq!(fleet.machine_with(MAC1).unwrap().id, two);
    assert!(matches!(fleet.decide(secs(11), &Sighting::of(MAC2)), Decision::Observe { .. }));
    // Its BMC answering with another GUID is refused.
    let other: Uuid = "3c2f7a10-0000-4000-8000-001122334455".parse().unwrap();
    assert_eq!(
        fleet.observe(secs(12), Observation::BmcIdentity { machine: two, guid: other }),
        Err(Ignored::OtherBmc)
    );
}

// DESIGN 4: the disk is written only when it is empty or named by the order.
#[test]
fn a_disk_with_data_is_refused_unless_named() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    let full = GrantRequest { signatures: vec!["ext4".into()], ..ask(&claim, 1) };
    assert!(matches!(fleet.grant(secs(3), &full), Err(GrantRefused::HoldsData { .. })));
    fleet.command(secs(4), "alice", Command::Cancel("kpc-01".parse().unwrap())).unwrap();
    let mut again = Provision::new("kpc-01".parse().unwrap(), "debian", Role::Install);
    again.wipe = Some("S1".into());
    fleet.command(secs(5), "alice", Command::Provision(again)).unwrap();
    let claim = fleet.claim(secs(6), &sighting(), [2; 16]).unwrap();
    let full = GrantRequest { claim: claim.secret, ..full };
    let other = GrantRequest { serial: "S9".into(), ..full.clone() };
    assert!(matches!(fleet.grant(secs(7), &other), Err(GrantRefused::OtherDisk { .. })));
    fleet.grant(secs(7), &full).unwrap();
}

// Each phase has a time-out and a hint.
#[test]
fn a_boot_that_stops_says_where_and_what_to_check() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    for n in 0..4 {
        fleet
            .observe(secs(2 + n), Observation::Seen { sighting: sighting(), stage: Stage::Firmware })
            .unwrap();
        let offered = Observation::Offered {
            sighting: sighting(),
            stage: Stage::Firmware,
            program: "snponly.efi".into(),
        };
        fleet.observe(secs(2 + n), offered).unwrap();
    }
    let due = fleet.poll_timeout().unwrap();
    assert_eq!(due, secs(2).plus(Duration::from_secs(90)));
    fleet.handle_timeout(due);
    let status = fleet.status(due).remove(0);
    assert_eq!(status.failed.unwrap(), "offer sent 4x, no loader read");
    assert_eq!(fleet.select(&"@failed".parse().unwrap()).unwrap(), [id]);
    // It comes further after all.
    fleet.observe(secs(200), Observation::ScriptSent { sighting: sighting() }).unwrap();
    assert_eq!(fleet.status(secs(200))[0].failed, None);
}

// anchors/operator.md 3: sorted, `_meta` always, only registered machines, no code from machines.
#[test]
fn the_inventory_is_stable_and_inert() {
    let (mut fleet, _) = fleet();
    let empty = inventory::list(&fleet, Include::Registered);
    assert_eq!(empty, serde_json::json!({"_meta": {"hostvars": {}}}));
    let mut order = Provision::new("kpc-01".parse().unwrap(), "ramdisk", Role::Live);
    order.roles = vec!["control".into(), "compute".into()];
    fleet.command(secs(1), "alice", Command::Provision(order)).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet.register(secs(3), &registration(&claim)).unwrap();
    let set = |key: &str, value| Command::SetVar {
        scope: "group:control".into(),
        key: key.into(),
        value: Some(value),
    };
    fleet.command(secs(4), "alice", set("ansible_user", "core".into())).unwrap();
    fleet.command(secs(4), "alice", set("ansible_become", true.into())).unwrap();
    let list = inventory::list(&fleet, Include::Registered);
    assert_eq!(
        list["control"],
        serde_json::json!({"hosts": ["kpc-01"], "vars": {"ansible_become": true, "ansible_user": "core"}})
    );
    assert_eq!(list["compute"]["hosts"], serde_json::json!(["kpc-01"]));
    let vars = &list["_meta"]["hostvars"]["kpc-01"];
    assert_eq!((&vars["ansible_host"], &vars["kpc_serial"]), (&"10.77.0.100".into(), &"SN__1__".into()));
    assert_eq!(vars["network_interface"], "eno1");
    assert_eq!(inventory::host(&fleet, "kpc-01", Include::Registered), *vars);
    assert_eq!(inventory::host(&fleet, "nobody", Include::Registered), serde_json::json!({}));
    let text = inventory::list_text(&fleet, Include::Registered);
    assert!(text.ends_with("}\n") && !text.contains("{{"));
    assert_eq!(text, inventory::list_text(&fleet.clone(), Include::Registered));
}

// DESIGN 4: power commanded → power verified → seen. A DISCOVER that overtakes the BMC's answer verifies the power.
#[test]
fn a_machine_that_is_heard_has_power() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    fleet.observe(secs(2), Observation::PowerCommanded { machine: id, action: PowerAction::On }).unwrap();
    // What an operating system asks for says nothing of a boot.
    fleet.observe(secs(2), Observation::Seen { sighting: sighting(), stage: Stage::System }).unwrap();
    assert_eq!(fleet.status(secs(2))[0].phase, Some(Phase::PowerCommanded));
    fleet.observe(secs(3), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    fleet.observe(secs(4), Observation::PowerVerified { machine: id, on: true }).unwrap();
    let phases: Vec<_> = fleet.status(secs(4))[0].phases.iter().map(|reached| reached.phase).collect();
    assert_eq!(phases, [Phase::PowerCommanded, Phase::PowerVerified, Phase::Seen]);
    // A boot that we did not command has no power phases.
    let second = Observation::Seen { sighting: sighting(), stage: Stage::Firmware };
    fleet.claim(secs(5), &sighting(), [1; 16]).unwrap();
    fleet.observe(secs(5), Observation::ScriptSent { sighting: sighting() }).unwrap();
    fleet.observe(secs(600), second).unwrap();
    assert_eq!(fleet.status(secs(600))[0].phases.len(), 1);
}
