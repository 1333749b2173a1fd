//! The machines' calls, as they come over the wire.
#![cfg(feature = "http")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use fleet::http::{Answer, MAX_BODY, answer};
use fleet::*;
use serde_json::{Value, json};

const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x21]);

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn claimed(role: Role) -> (Fleet, Claim) {
    let mut fleet = Fleet::new(Config::default());
    let new = NewMachine { name: "kpc-01".into(), macs: vec![MAC], ..NewMachine::default() };
    fleet.command(now(), "alice", Command::AddMachine(new)).unwrap();
    fleet
        .command(now(), "alice", Command::Provision(Provision::new("kpc-01".parse().unwrap(), "p", role)))
        .unwrap();
    let claim = fleet.claim(now(), &Sighting::of(MAC), [1; 16]).unwrap();
    (fleet, claim)
}

fn post(fleet: &mut Fleet, path: &str, body: &Value) -> (u16, Value) {
    let Answer { status, body } =
        answer(fleet, now(), [10, 77, 0, 100].into(), "POST", path, body.to_string().as_bytes());
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[test]
fn an_install_speaks_its_way_through() {
    let (mut fleet, claim) = claimed(Role::Install);
    let claim = claim.secret.expose();
    let report = |phase: &str, detail: &str| json!({"claim": claim, "phase": phase, "detail": detail});
    assert_eq!(post(&mut fleet, "/v1/report", &report("agent", "")).0, 204);
    let mut inventory = report("inventory", "1 disk");
    inventory["inventory"] = json!({"disks": [{"name": "sda", "serial": " S1 ", "octets": 5, "signatures": ["\u{1b}[2Jgpt"]}], "odd": 1});
    assert_eq!(post(&mut fleet, "/v1/report", &inventory).0, 204);
    let disks = |fleet: &Fleet| fleet.machine_named("kpc-01").unwrap().facts.disks.clone();
    assert_eq!(disks(&fleet)[0].serial, "S1");
    assert_eq!(disks(&fleet)[0].signatures, ["\\u{1b}[2Jgpt"]);
    assert_eq!(post(&mut fleet, "/v1/report", &report("writing", "10%")).0, 409, "not granted");
    let ask = json!({"claim": claim, "nonce": "00".repeat(16), "serial": "S1", "signatures": []});
    assert_eq!(post(&mut fleet, "/v1/grant", &ask), (200, json!({"order": 1, "serial": "S1"})));
    assert_eq!(post(&mut fleet, "/v1/grant", &ask).0, 200);
    let other = json!({"claim": claim, "nonce": "11".repeat(16), "serial": "S1"});
    let (status, refused) = post(&mut fleet, "/v1/grant", &other);
    assert_eq!((status, refused["error"].as_str().unwrap().contains("given already")), (409, true));
    assert_eq!(post(&mut fleet, "/v1/report", &report("writing", "62% of debian")).0, 204);
    assert_eq!(
        (fleet.status(now())[0].progress, fleet.status(now())[0].note.as_str()),
        (Some(62), "62% of debian")
    );
    assert_eq!(post(&mut fleet, "/v1/report", &report("done", "")).0, 204);
    assert_eq!(post(&mut fleet, "/v1/report", &report("reboot", "")).0, 204);
    let register = json!({"claim": claim, "key": "ab".repeat(32), "uuid": "", "hostname": "x", "serial": "SN1",
        "interfaces": [{"name": "eno1", "mac": "52-54-00-00-00-21", "addresses": ["10.77.0.100"]}],
        "digests": {"kernel": "aa", "files": {"/etc/x": "bb"}, "odd": 3}, "ssh_host_keys": ["ssh-ed25519 AAAA"], "agent_version": "1"});
    assert_eq!(
        post(&mut fleet, "/v1/register", &register),
        (200, json!({"name": "kpc-01", "state": "registered"}))
    );
    let machine = fleet.machine_named("kpc-01").unwrap();
    assert_eq!(machine.facts.digests.len(), 2);
    assert_eq!(disks(&fleet).len(), 1, "what the agent found stays known");
    // On later boots its key is enough; another key is not.
    let again = json!({"key": "ab".repeat(32)});
    assert_eq!(post(&mut fleet, "/v1/register", &again).0, 200);
    assert_eq!(post(&mut fleet, "/v1/register", &json!({"key": "cd".repeat(32)})).0, 403);
    assert_eq!(post(&mut fleet, "/v1/register", &json!({"claim": claim, "key": "cd".repeat(32)})).0, 403);
}

#[test]
fn a_claim_tells_its_order_until_it_ends() {
    let (mut fleet, claim) = claimed(Role::Install);
    let told = fleet.claimed(now(), claim.secret).unwrap();
    assert_eq!((told.name.as_str(), told.role, told.disk), ("kpc-01", Role::Install, None));
    let ask = json!({"claim": claim.secret.expose(), "nonce": "00".repeat(16), "serial": "S1"});
    assert_eq!(post(&mut fleet, "/v1/grant", &ask).0, 200);
    assert!(fleet.claimed(now(), claim.secret).is_ok(), "an agent that asks again in the same boot");
    assert_eq!(fleet.claimed(now(), ClaimSecret::new([9; 16])), Err(GrantRefused::NoClaim));
    fleet.command(now(), "alice", Command::Cancel("kpc-01".parse().unwrap())).unwrap();
    assert_eq!(fleet.claimed(now(), claim.secret), Err(GrantRefused::NoClaim));
    let mut inventory = json!({"claim": claim.secret.expose(), "phase": "inventory"});
    inventory["inventory"] = json!({"disks": []});
    assert_eq!(post(&mut fleet, "/v1/report", &inventory).0, 403);
}

#[test]
fn what_is_not_understood_is_said() {
    let (mut fleet, claim) = claimed(Role::Live);
    let peer = [10, 77, 0, 100].into();
    assert_eq!(answer(&mut fleet, now(), peer, "GET", "/v1/report", b"").status, 405);
    assert_eq!(answer(&mut fleet, now(), peer, "POST", "/v1/other", b"").status, 404);
    assert_eq!(answer(&mut fleet, now(), peer, "POST", "/v1/report", &vec![b' '; MAX_BODY + 1]).status, 413);
    for (path, body) in [
        ("/v1/report", json!({})),
        ("/v1/report", json!({"claim": "zz", "phase": "agent"})),
        ("/v1/register", json!({"uuid": "no"})),
        ("/v1/register", json!({"key": "12"})),
        ("/v1/register", json!({"interfaces": [{"name": "x", "mac": "no"}]})),
        ("/v1/grant", json!({"claim": claim.secret.expose(), "nonce": 1})),
    ] {
        let (status, said) = post(&mut fleet, path, &body);
        assert!(status == 400 && said["error"].is_string(), "{path} {body}: {status} {said}");
    }
    let forged = json!({"claim": "22".repeat(16), "phase": "done"});
    assert_eq!(post(&mut fleet, "/v1/report", &forged).0, 403);
    assert_eq!(
        post(
            &mut fleet,
            "/v1/grant",
            &json!({"claim": claim.secret.expose(), "nonce": "33".repeat(16), "serial": "S"})
        )
        .0,
        409
    );
}
