//! What holds for all bytes and all histories.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use fleet::attempt::Phase;
use fleet::inventory::{self, Include};
use fleet::text::{clean, inert, is_label, is_machine_name};
use fleet::*;
use proptest::prelude::*;

const MACS: [Mac; 3] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]), Mac([2, 0, 0, 0, 0, 3])];

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn two_machines() -> Fleet {
    let mut fleet = Fleet::new(Config::default());
    for (n, mac) in MACS.iter().take(2).enumerate() {
        let new = NewMachine { name: format!("m-{n}"), macs: vec![*mac], ..NewMachine::default() };
        fleet.command(at(0), "op", Command::AddMachine(new)).unwrap();
    }
    fleet
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let mac = proptest::option::of(proptest::sample::select(MACS.to_vec()));
    let uuid = proptest::option::of(any::<[u8; 16]>().prop_map(Uuid));
    let peer = proptest::option::of(any::<[u8; 4]>().prop_map(std::net::IpAddr::from));
    let claim = proptest::option::of(any::<[u8; 16]>().prop_map(ClaimSecret::new));
    (mac, uuid, peer, claim).prop_map(|(mac, uuid, peer, claim)| Sighting { mac, uuid, peer, claim })
}

fn observation() -> impl Strategy<Value = Observation> {
    let stage = proptest::sample::select(vec![Stage::Firmware, Stage::Loader, Stage::System]);
    let (s1, s2, s3) = (sighting(), sighting(), sighting());
    prop_oneof![
        (s1, stage.clone()).prop_map(|(sighting, stage)| Observation::Seen { sighting, stage }),
        (s2, stage, any::<String>()).prop_map(|(sighting, stage, program)| Observation::Offered {
            sighting,
            stage,
            program
        }),
        (s3, any::<String>(), any::<u64>()).prop_map(|(sighting, file, octets)| Observation::LoaderSent {
            sighting,
            file,
            octets
        }),
        sighting().prop_map(|sighting| Observation::ScriptSent { sighting }),
        sighting().prop_map(|sighting| Observation::LocalSent { sighting }),
        (sighting(), any::<String>()).prop_map(|(sighting, what)| Observation::Sent { sighting, what }),
        (any::<[u8; 16]>(), any::<String>(), any::<String>()).prop_map(|(claim, phase, detail)| {
            Observation::AgentReport {
                claim: ClaimSecret::new(claim),
                phase: AgentPhase::parse(&phase, &detail),
                code: None,
                detail,
            }
        }),
    ]
}

proptest! {
    // DESIGN 4: packets that nobody signed move the attempt and nothing else, and phases never go back.
    #[test]
    fn unsigned_packets_move_attempts_only(ordered in any::<bool>(), seen in proptest::collection::vec((observation(), 0u64..100), 1..60)) {
        let mut fleet = two_machines();
        if ordered {
            let order = Provision::new("m-0".parse().unwrap(), "p", Role::Install);
            fleet.command(at(0), "op", Command::Provision(order)).unwrap();
        }
        while fleet.poll_record().is_some() {}
        let before = fleet.clone();
        let (mut now, mut last) = (0, [(0, None); 2]);
        for (observation, wait) in seen {
            now += wait;
            let _ = fleet.observe(at(now), observation);
            for (status, last) in fleet.status(at(now)).iter().zip(&mut last) {
                let this: (u32, Option<Phase>) = (status.attempt, status.phase);
                prop_assert!(this >= *last, "{this:?} after {last:?}");
                prop_assert!(status.phases.windows(2).all(|pair| pair[0].phase < pair[1].phase));
                *last = this;
            }
        }
        prop_assert!(std::iter::from_fn(|| fleet.poll_record()).all(|record| !record.is_urgent()), "nothing that must be durable at once");
        for id in [MachineId(1), MachineId(2)] {
            prop_assert_eq!(fleet.order_of(id), before.order_of(id));
            prop_assert_eq!(fleet.machine(id).unwrap().lifecycle, Lifecycle::Adopted);
        }
    }

    // DESIGN 4: no order, no boot answer, whatever is said.
    #[test]
    fn without_an_order_nothing_boots(sighting in sighting(), fresh in any::<[u8; 16]>()) {
        let mut fleet = two_machines();
        prop_assert!(!matches!(fleet.decide(at(1), &sighting), Decision::Boot(_) | Decision::Discover));
        prop_assert!(fleet.claim(at(1), &sighting, fresh).is_err());
    }

    // A sighting with an order's UUID but another interface never boots it.
    #[test]
    fn a_uuid_never_selects(mac in any::<[u8; 6]>(), uuid in any::<[u8; 16]>()) {
        prop_assume!(!MACS.contains(&Mac(mac)));
        let mut fleet = Fleet::new(Config::default());
        let new = NewMachine { name: "m".into(), macs: vec![MACS[0]], uuid: Some(Uuid(uuid)), ..NewMachine::default() };
        fleet.command(at(0), "op", Command::AddMachine(new)).unwrap();
        fleet.command(at(0), "op", Command::Provision(Provision::new("m".parse().unwrap(), "p", Role::Live))).unwrap();
        let stranger = Sighting::of(Mac(mac)).with_uuid(Uuid(uuid));
        let observed = matches!(fleet.decide(at(1), &stranger), Decision::Observe { .. });
        prop_assert!(observed);
        prop_assert!(fleet.claim(at(1), &stranger, [0; 16]).is_err());
    }

    #[test]
    fn texts_are_read_without_panic_and_back(text in any::<String>(), octets in any::<[u8; 16]>(), mac in any::<[u8; 6]>()) {
        let _ = (text.parse::<Mac>(), text.parse::<Uuid>(), text.parse::<ClaimSecret>(), text.parse::<AgentKey>());
        let _ = (text.parse::<Selector>(), backup::read(&text), is_machine_name(&text));
        prop_assert_eq!(Mac(mac).to_string().parse(), Ok(Mac(mac)));
        prop_assert_eq!(Uuid(octets).to_string().parse(), Ok(Uuid(octets)));
        prop_assert_eq!(ClaimSecret::new(octets).expose().parse(), Ok(ClaimSecret::new(octets)));
        prop_assert!(Uuid(octets).matches(Uuid(octets).swapped()) && Uuid(octets).swapped().swapped() == Uuid(octets));
    }

    #[test]
    fn cleaned_texts_are_bounded_and_harmless(text in any::<String>(), max in 0usize..100) {
        let cleaned = clean(&text, max);
        prop_assert!(cleaned.chars().count() <= max && !cleaned.chars().any(char::is_control));
        prop_assert_eq!(clean(&cleaned, max), cleaned);
        let inert = inert(&text, max);
        let code = inert.contains(['{', '}', '%', '#', '!', '\'', '"', '\\', '$', '`', '<', '>']);
        prop_assert!(inert.len() <= max && !code);
        prop_assert!(!is_label(&text) || text.chars().all(|c| c.is_ascii() && !c.is_control() && c != ' '));
    }

    // An inventory holds nothing that Ansible would run, whatever a machine says.
    #[test]
    fn inventories_are_inert(serial in any::<String>(), name in any::<String>(), hostname in any::<String>(), template in "\\{\\{.*\\}\\}") {
        let mut fleet = two_machines();
        fleet.command(at(0), "op", Command::Provision(Provision::new("m-0".parse().unwrap(), "p", Role::Live))).unwrap();
        let claim = fleet.claim(at(1), &Sighting::of(MACS[0]), [1; 16]).unwrap();
        let address = [10, 0, 0, 1].into();
        let interface = Interface { name: name + &template, mac: Some(MACS[0]), addresses: vec![address] };
        let facts = Facts { hostname, serial: serial + &template, interfaces: vec![interface], ..Facts::default() };
        let registration = Registration { claim: Some(claim.secret), peer: Some(address), facts, ..Registration::default() };
        fleet.register(at(2), &registration).unwrap();
        let text = inventory::list_text(&fleet, Include::Registered);
        let code = ["{{", "{%", "{#", "\u{1b}"].iter().any(|code| text.contains(code));
        prop_assert!(!code, "{}", text);
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert!(list["_meta"]["hostvars"]["m-0"].is_object());
    }

    // Records survive the store's form.
    #[test]
    fn a_restored_fleet_decides_as_before(sightings in proptest::collection::vec(sighting(), 1..10), install in any::<bool>(), claim in any::<bool>()) {
        let mut fleet = two_machines();
        let role = if install { Role::Install } else { Role::Live };
        fleet.command(at(0), "op", Command::Provision(Provision::new("m-0".parse().unwrap(), "p", role))).unwrap();
        if claim {
            fleet.claim(at(1), &Sighting::of(MACS[0]), [1; 16]).unwrap();
        }
        let records: Vec<Record> = std::iter::from_fn(|| fleet.poll_record()).collect();
        let text = backup::write(&records, at(2)).unwrap();
        let read = backup::read(&text).unwrap();
        prop_assert_eq!(&read, &records);
        let mut tables = store::Tables::default();
        read.into_iter().for_each(|record| tables.apply(record).unwrap());
        let again = Fleet::restore(Config::default(), tables.records());
        for sighting in sightings {
            prop_assert_eq!(again.decide(at(3), &sighting), fleet.decide(at(3), &sighting));
        }
    }
}
