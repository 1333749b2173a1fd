//! The redb store: what was acknowledged is there after a restart.
#![cfg(feature = "redb")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use fleet::store::{RedbStore, Store, StoreError};
use fleet::*;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn drain(fleet: &mut Fleet) -> Vec<Record> {
    std::iter::from_fn(|| fleet.poll_record()).collect()
}

const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x21]);

fn claimed() -> (Fleet, Claim) {
    let mut fleet = Fleet::new(Config::default());
    let new = NewMachine {
        name: "kpc-01".into(),
        macs: vec![MAC],
        bmc: Some(Bmc::at([10, 0, 0, 1].into())),
        ..NewMachine::default()
    };
    fleet.command(now(), "alice", Command::AddMachine(new)).unwrap();
    let order = Provision::new("kpc-01".parse().unwrap(), "debian", Role::Install);
    fleet.command(now(), "alice", Command::Provision(order)).unwrap();
    let claim = fleet.claim(now(), &Sighting::of(MAC), [1; 16]).unwrap();
    (fleet, claim)
}

fn ask(claim: &Claim) -> GrantRequest {
    let nonce = ClaimSecret::new([9; 16]);
    GrantRequest { claim: claim.secret, nonce, serial: "S1".into(), signatures: Vec::new() }
}

#[test]
fn everything_durable_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kpc.redb");
    let (mut fleet, claim) = claimed();
    let var = Command::SetVar { scope: "group:a".into(), key: "x".into(), value: Some(1.into()) };
    fleet.command(now(), "alice", var).unwrap();
    let grant = fleet.grant(now(), &ask(&claim)).unwrap();
    {
        let mut store = RedbStore::open(&path).unwrap();
        store.append(&drain(&mut fleet)).unwrap();
    }
    let mut again = Fleet::restore(Config::default(), RedbStore::open(&path).unwrap().load().unwrap());
    assert_eq!(again.machine_named("kpc-01"), fleet.machine_named("kpc-01"));
    assert_eq!(again.order_of(MachineId(1)), fleet.order_of(MachineId(1)));
    assert_eq!(again.timeline(MachineId(1)), fleet.timeline(MachineId(1)));
    assert_eq!(
        again.grant(now(), &ask(&claim)).unwrap(),
        grant,
        "the same nonce hears the same answer after a restart"
    );
    assert!(matches!(again.decide(now(), &Sighting::of(MAC)), Decision::Local { .. }));
    let report = Observation::AgentReport {
        claim: claim.secret,
        phase: AgentPhase::Done,
        code: None,
        detail: String::new(),
    };
    again.observe(now(), report).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "claims are in it");
    }
}

#[test]
fn a_grant_is_create_only_and_wins_over_an_older_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(dir.path().join("kpc.redb")).unwrap();
    let (mut fleet, claim) = claimed();
    store.append(&drain(&mut fleet)).unwrap();
    fleet.grant(now(), &ask(&claim)).unwrap();
    let grant = drain(&mut fleet).into_iter().find(|record| matches!(record, Record::Grant(_))).unwrap();
    store.append(std::slice::from_ref(&grant)).unwrap();
    store.append(std::slice::from_ref(&grant)).unwrap();
    let Record::Grant(mut other) = grant else { unreachable!() };
    other.serial = "S2".into();
    assert!(matches!(store.append(&[Record::Grant(other)]), Err(StoreError::GrantExists(OrderId(1)))));
    let mut again = Fleet::restore(Config::default(), store.load().unwrap());
    assert!(matches!(again.order_of(MachineId(1)).unwrap().state, OrderState::Granted { .. }));
    let other_run = GrantRequest { nonce: ClaimSecret::new([8; 16]), ..ask(&claim) };
    assert_eq!(again.grant(now(), &other_run), Err(GrantRefused::Spent));
}

#[test]
fn a_file_of_another_schema_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kpc.redb");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("schema", 99).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("schema 99") && error.contains("kpc.redb"), "{error}");
    std::fs::write(&path, b"not a database").unwrap();
    assert!(matches!(RedbStore::open(&path), Err(StoreError::Open { .. })));
}

// DESIGN 4: restoring a backup voids all orders.
#[test]
fn a_backup_restored_voids_every_open_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(dir.path().join("old.redb")).unwrap();
    let (mut fleet, claim) = claimed();
    fleet.start_job(now(), "alice", MachineId(1), vec![BmcAction::DiskBoot], false).unwrap();
    store.append(&drain(&mut fleet)).unwrap();
    let text = backup::write(&store.load().unwrap(), now()).unwrap();
    // After the backup the order is granted and done; the old backup must not grant it again.
    fleet.grant(now(), &ask(&claim)).unwrap();

    let records = backup::restored(backup::read(&text).unwrap(), now(), "alice");
    let path = dir.path().join("new.redb");
    drop(RedbStore::create(&path, &records).unwrap());
    assert!(matches!(RedbStore::create(&path, &records), Err(StoreError::Exists { .. })));
    let mut again = Fleet::restore(Config::default(), RedbStore::open(&path).unwrap().load().unwrap());
    assert_eq!(again.grant(now(), &ask(&claim)), Err(GrantRefused::NoClaim));
    assert!(matches!(again.decide(now(), &Sighting::of(MAC)), Decision::Local { .. }));
    assert!(again.status(now())[0].failed.as_ref().unwrap().contains("voided"));
    assert!(again.open_jobs().is_empty());
    // A person orders again.
    again.command(now(), "alice", Command::Retry("@failed".parse().unwrap())).unwrap();
    assert!(matches!(again.decide(now(), &Sighting::of(MAC)), Decision::Boot(_)));
}

#[test]
fn a_backup_is_taken_whole_or_not_at_all() {
    let (mut fleet, _) = claimed();
    let records = drain(&mut fleet);
    let text = backup::write(&records, now()).unwrap();
    assert_eq!(backup::read(&text).unwrap(), records);
    let error = |text: &str| backup::read(text).unwrap_err().to_string();
    let cut = &text[..text.trim_end().rfind('\n').unwrap() + 1];
    assert!(error(cut).contains("not whole"));
    assert!(error(&text[..text.len() - 10]).starts_with(&format!("line {}:", records.len() + 1)));
    assert_eq!(error("{}"), "line 1: not a kpc backup");
    assert!(error(&text.replacen(":1,", ":9,", 1)).contains("form 9"));
}
