//! Floods, evidence about boards and BMCs, replaced hardware, restarts.
#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod scene;

use fleet::*;
use scene::*;

// issue 8: a million unknown MACs: memory and disk flat. FLEET_UNKNOWN=1000000 sends as many.
#[test]
fn a_flood_of_unknown_machines_leaves_nothing_durable() {
    let (mut fleet, _) = fleet();
    while fleet.poll_record().is_some() {}
    let many: u32 = std::env::var("FLEET_UNKNOWN").map_or(20_000, |text| text.parse().unwrap());
    for n in 0..many {
        let [a, b, c, d] = n.to_be_bytes();
        let sighting = Sighting::of(Mac([2, 9, a, b, c, d]))
            .with_uuid(Uuid([a, b, c, d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]));
        assert!(matches!(fleet.decide(secs(1), &sighting), Decision::Observe { reason: Reason::UnknownMac }));
        assert_eq!(
            fleet.observe(secs(1), Observation::Seen { sighting, stage: Stage::Firmware }),
            Err(Ignored::Unknown)
        );
    }
    assert_eq!((fleet.unknown().len(), fleet.unknown_dropped()), (1024, u64::from(many) - 1024));
    assert!(fleet.events_after(0, usize::MAX).len() <= 512);
    assert_eq!(fleet.poll_record(), None);
    assert!(fleet.events_dropped() > 0 || many < 8192);
    // Forged contradictions are told once a minute, whatever they say.
    for n in 0..10_000u32 {
        let [a, b, c, d] = n.to_be_bytes();
        let forged =
            Sighting { uuid: Some(Uuid([a, b, c, d, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8])), ..sighting() };
        assert_eq!(
            fleet.observe(secs(2), Observation::Seen { sighting: forged, stage: Stage::Firmware }),
            Err(Ignored::Conflict)
        );
    }
    assert!(std::iter::from_fn(|| fleet.poll_record()).count() <= 1);
}

// DESIGN 4: the agent reading its own BMC is evidence; contradicting evidence stops power commands.
#[test]
fn an_agent_whose_bmc_is_another_stops_power_commands() {
    let (mut fleet, id) = fleet();
    let bmc = Bmc { guid: Some(BOARD), ..Bmc::at(ip(11)) };
    fleet
        .command(secs(0), "alice", Command::SetBmc { name: "kpc-01".into(), bmc: Some(bmc.clone()) })
        .unwrap();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    let says = |guid: &str| Observation::AgentReport {
        claim: claim.secret,
        phase: AgentPhase::parse("bmc", guid),
        code: None,
        detail: guid.into(),
    };
    fleet.observe(secs(3), says(&BOARD.swapped().to_string())).unwrap();
    assert!(fleet.is_bmc_of(id, BOARD));
    fleet.observe(secs(4), says("3c2f7a10-0000-4000-8000-001122334455")).unwrap();
    assert!(!fleet.is_bmc_of(id, BOARD) && alarms(&mut fleet) == 1);
    let off = vec![BmcAction::Power { action: PowerAction::Off }];
    assert!(matches!(fleet.start_job(secs(5), "alice", id, off.clone(), false), Err(Refusal::InConflict(_))));
    assert!(fleet.status(secs(5))[0].failed.as_ref().unwrap().contains("wrong BMC recorded"));
    fleet.command(secs(6), "alice", Command::SetBmc { name: "kpc-01".into(), bmc: Some(bmc) }).unwrap();
    fleet.start_job(secs(7), "alice", id, off, false).unwrap();
}

// DESIGN 3: `kpc disk set M --serial S`; the agent stopped because the disk was ambiguous.
#[test]
fn a_named_disk_is_the_only_one() {
    let (mut fleet, _) = fleet();
    provision(&mut fleet, secs(1), Role::Install).unwrap();
    let claim = fleet.claim(secs(2), &sighting(), [1; 16]).unwrap();
    fleet
        .command(secs(3), "alice", Command::SetDisk { name: "kpc-01".into(), serial: Some("S7".into()) })
        .unwrap();
    assert!(matches!(fleet.grant(secs(4), &ask(&claim, 1)), Err(GrantRefused::OtherDisk { .. })));
    fleet.command(secs(5), "alice", Command::Cancel("kpc-01".parse().unwrap())).unwrap();
    let order = provision(&mut fleet, secs(6), Role::Install).unwrap().orders[0];
    assert_eq!(
        fleet.order_of(MachineId(1)).map(|order| (order.id, order.disk.as_deref())),
        Some((order, Some("S7")))
    );
}

// DESIGN 3: `kpc machine replace OLD NEW`.
#[test]
fn new_hardware_takes_the_place_of_old() {
    let (mut fleet, old) = fleet();
    let label = Command::Label {
        selector: "kpc-01".parse().unwrap(),
        roles: Some(vec!["control".into()]),
        rack: Some("r1".into()),
    };
    fleet.command(secs(0), "alice", label).unwrap();
    fleet
        .observe(secs(1), Observation::Seen { sighting: Sighting::of(MAC2), stage: Stage::Firmware })
        .unwrap_err();
    let new =
        fleet.command(secs(2), "alice", Command::AdoptUnknown { mac: MAC2, name: None }).unwrap().machines[0];
    assert_eq!(fleet.machine(new).unwrap().name, "node-1");
    fleet.command(secs(3), "alice", Command::Replace { old: "kpc-01".into(), new: "node-1".into() }).unwrap();
    let machine = fleet.machine_named("kpc-01").unwrap();
    assert_eq!(
        (machine.id, machine.roles.as_slice(), machine.rack.as_deref()),
        (new, &["control".to_owned()][..], Some("r1"))
    );
    assert_eq!(
        (fleet.machine(old).unwrap().lifecycle, fleet.machine_named("node-1")),
        (Lifecycle::Retired, None)
    );
    assert!(matches!(fleet.decide(secs(4), &sighting()), Decision::Observe { .. }));
    assert_eq!(fleet.select(&"@rack:r1".parse().unwrap()).unwrap(), [new]);
    assert!(fleet.select(&"@rack:r2".parse().unwrap()).is_err(), "an empty match is an error");
}

// The timeline is kept over a restart, and so is how far each boot has come.
#[test]
fn a_restarted_server_knows_how_far_each_boot_is() {
    let (mut fleet, id) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    fleet.observe(secs(2), Observation::Seen { sighting: sighting(), stage: Stage::Firmware }).unwrap();
    let claim = fleet.claim(secs(8), &sighting(), [1; 16]).unwrap();
    fleet.observe(secs(9), Observation::ScriptSent { sighting: sighting() }).unwrap();
    let kernel = Observation::KernelSent { sighting: sighting(), path: "k".into(), octets: 1 };
    fleet.observe(secs(10), kernel).unwrap();
    let records: Vec<_> = std::iter::from_fn(|| fleet.poll_record()).collect();
    let mut tables = store::Tables::default();
    records.into_iter().for_each(|record| tables.apply(record).unwrap());
    let mut again = Fleet::restore(Config::default(), tables.records());
    let (before, after) = (fleet.status(secs(20)).remove(0), again.status(secs(20)).remove(0));
    assert_eq!((after.attempt, after.phases), (before.attempt, before.phases));
    assert_eq!(again.timeline(id), fleet.timeline(id));
    assert!(again.poll_timeout().is_some(), "time limits run on");
    assert_eq!(again.claim(secs(21), &sighting(), [2; 16]).unwrap().secret, claim.secret);
    report(&mut again, secs(22), &claim, AgentPhase::Started).unwrap();
    let last = fleet.events_after(0, 1000).last().unwrap().seq;
    assert!(again.events_after(last, 1000).len() == 1, "sequence numbers never come again");
}

#[test]
fn a_machine_switched_off_is_not_late() {
    let (mut fleet, machine) = fleet();
    provision(&mut fleet, secs(1), Role::Live).unwrap();
    fleet.observe(secs(2), Observation::PowerCommanded { machine, action: PowerAction::On }).unwrap();
    fleet.observe(secs(3), Observation::PowerCommanded { machine, action: PowerAction::Off }).unwrap();
    assert_eq!(fleet.poll_timeout(), None);
}

// DESIGN 4: FRU serial against SMBIOS serial.
#[test]
fn serials_are_evidence() {
    let (mut fleet, id) = fleet();
    let bmc = Some(Bmc::at(ip(11)));
    fleet.command(secs(0), "alice", Command::SetBmc { name: "kpc-01".into(), bmc }).unwrap();
    let shows = |serial: &str| Observation::BmcSerial { machine: id, serial: serial.into() };
    fleet.observe(secs(1), shows("Default string")).unwrap();
    assert_eq!(fleet.machine(id).unwrap().serial, None);
    fleet.observe(secs(1), shows("S1A01")).unwrap();
    provision(&mut fleet, secs(2), Role::Live).unwrap();
    let claim = fleet.claim(secs(3), &sighting(), [1; 16]).unwrap();
    let mut other = registration(&claim);
    other.facts.serial = "S1A02".into();
    assert!(
        matches!(fleet.register(secs(4), &other), Err(RegisterRefused::Conflict(why)) if why.contains("S1A02"))
    );
    assert_eq!(fleet.status(secs(4))[0].lifecycle, Lifecycle::Conflict);
    assert!(matches!(fleet.decide(secs(4), &sighting()), Decision::Refuse { .. }));
    fleet.command(secs(5), "alice", Command::Resolve("kpc-01".parse().unwrap())).unwrap();
    fleet.observe(secs(6), shows("S1A03")).unwrap();
    assert_eq!(fleet.observe(secs(6), shows("S1A04")), Err(Ignored::OtherBmc));
    assert!(!fleet.is_bmc_of(id, BOARD));
    fleet.command(secs(7), "alice", Command::Resolve("kpc-01".parse().unwrap())).unwrap();
    assert!(fleet.is_bmc_of(id, BOARD));
}
