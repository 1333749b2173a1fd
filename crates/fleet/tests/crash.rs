//! Power cuts: a backend that keeps what was synced and any part of what was not, and a process that is
//! killed. The state is whole each time, and nothing acknowledged is lost.
#![cfg(feature = "redb")]
#![allow(missing_docs, unreachable_pub, dead_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, Mutex};

use common::{Dice, holds, install};
use fleet::store::{Keeper, RedbStore, Store};
use fleet::{Config, Fleet};

fn times(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A disk with a cache: writes are lost, whole or in part, unless synced before the power went.
#[derive(Debug, Default)]
struct Disk {
    synced: Vec<u8>,
    present: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    operations_left: u64,
}

#[derive(Clone, Debug)]
struct Backend(Arc<Mutex<Disk>>);

impl Backend {
    fn spend(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = self.0.lock().unwrap();
        disk.operations_left =
            disk.operations_left.checked_sub(1).ok_or_else(|| io::Error::other("power lost"))?;
        Ok(disk)
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().present.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let (disk, offset) = (self.0.lock().unwrap(), offset as usize);
        let data =
            disk.present.get(offset..offset + out.len()).ok_or_else(|| io::Error::other("past the end"))?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut disk = self.spend()?;
        disk.present.resize(len as usize, 0);
        disk.synced.resize(len as usize, 0); // lengths are metadata: they survive here, contents do not
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut disk = self.spend()?;
        disk.synced = disk.present.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut disk = self.spend()?;
        put(&mut disk.present, offset as usize, data);
        disk.unsynced.push((offset as usize, data.to_vec()));
        Ok(())
    }
}

/// What is on the platter after the power went: any of the unsynced sectors, in any mixture.
fn platter(disk: &Disk, dice: &mut Dice) -> Vec<u8> {
    let mut image = disk.synced.clone();
    let keep = dice.below(101);
    for (offset, data) in &disk.unsynced {
        for (sector, part) in data.chunks(512).enumerate() {
            if dice.below(100) < keep {
                put(&mut image, offset + sector * 512, part);
            }
        }
    }
    image
}

fn disk(present: Vec<u8>, operations_left: u64) -> Backend {
    Backend(Arc::new(Mutex::new(Disk {
        synced: present.clone(),
        present,
        unsynced: Vec::new(),
        operations_left,
    })))
}

// issue 8: a store backend that drops unsynced writes at a random point; FLEET_POWER_CUTS=1000 runs as many.
#[test]
fn nothing_acknowledged_is_lost_when_unsynced_writes_are() {
    let (runs, mut cuts) = (times("FLEET_POWER_CUTS", 60), 0);
    let mut acknowledged = 0;
    for seed in 0..runs {
        let mut dice = Dice(seed);
        let first = disk(Vec::new(), u64::MAX);
        drop(RedbStore::on_backend(first.clone()).unwrap());
        let image = first.0.lock().unwrap().present.clone();

        let backend = disk(image, 20 + dice.below(400));
        let mut told = Vec::new();
        if let Ok(store) = RedbStore::on_backend(backend.clone()) {
            let mut keeper = Keeper::open(Config::default(), store).unwrap();
            let whole = (0..8).all(|n| install(&mut keeper, n, &mut |line| told.push(line)));
            cuts += u64::from(!whole);
        }
        let image = platter(&backend.0.lock().unwrap(), &mut dice);
        let store = RedbStore::on_backend(disk(image, u64::MAX))
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let fleet = Fleet::restore(Config::default(), store.load().unwrap());
        for line in &told {
            assert!(holds(&fleet, line), "seed {seed}: `{line}` was acknowledged and is gone");
        }
        acknowledged += told.len();
    }
    println!("{runs} runs, {cuts} power cuts, {acknowledged} acknowledged changes kept");
    assert!(cuts > runs / 3 && acknowledged > 0);
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn child() {
    let Ok(path) = std::env::var("FLEET_STORE_CHILD") else { return };
    let from = times("FLEET_STORE_FROM", 0);
    let mut keeper = Keeper::open(Config::default(), RedbStore::open(Path::new(&path)).unwrap()).unwrap();
    let mut out = io::stdout().lock();
    for n in from.. {
        let told = &mut |line: String| writeln!(out, "told {line}").and_then(|()| out.flush()).unwrap();
        assert!(install(&mut keeper, n, told));
    }
}

// issue 8: killed (-9) at random points under load; FLEET_KILLS=200 kills as often.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kpc.redb");
    let (kills, mut dice) = (times("FLEET_KILLS", 8), Dice(7));
    let mut told = BTreeSet::new();
    let mut from = 0;
    for kill in 0..kills {
        let mut process = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env("FLEET_STORE_CHILD", &path)
            .env("FLEET_STORE_FROM", from.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let wanted = 1 + dice.below(25);
        let mut read = |most: u64| {
            let lines = lines.by_ref().map_while(Result::ok);
            lines
                .filter_map(|line| Some(line.split_once("told ")?.1.to_owned()))
                .take(most as usize)
                .collect::<Vec<_>>()
        };
        let mut heard = read(wanted);
        process.kill().unwrap();
        heard.extend(read(u64::MAX)); // what it said before it died
        process.wait().unwrap();
        assert!(heard.len() as u64 >= wanted, "kill {kill}: the child ended by itself");
        told.extend(heard);
        let store = RedbStore::open(&path).unwrap_or_else(|error| panic!("kill {kill}: {error}"));
        let fleet = Fleet::restore(Config::default(), store.load().unwrap());
        for line in &told {
            assert!(holds(&fleet, line), "kill {kill}: `{line}` was acknowledged and is gone");
        }
        from = fleet
            .machines()
            .filter_map(|machine| machine.name.strip_prefix("m-")?.parse::<u64>().ok())
            .max()
            .map_or(0, |n| n + 1);
    }
    println!("{kills} kills, {} acknowledged changes kept", told.len());
}
