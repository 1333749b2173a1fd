//! The store on disk: what it sees, how soon, and that it is whole whatever happens to its writers.
#![cfg(feature = "http")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bootcfg::driver::store::{FileStore, Kind, Store, StoreError, Watch};
use bootcfg::{Compat, Labels, Selection};
use tempfile::TempDir;

/// Long enough for any machine; a test that works does not wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

fn store(files: &[(&str, &str)]) -> (TempDir, Arc<FileStore>) {
    let dir = TempDir::new().unwrap();
    for folder in bootcfg::driver::store::FOLDERS {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let store = FileStore::open(dir.path(), Compat::Strict).unwrap();
    (dir, Arc::new(store))
}

fn selected(store: &FileStore, query: &str) -> String {
    let catalog = store.snapshot();
    match catalog.select(&Labels::from_query(query.as_bytes(), Compat::Strict)) {
        Selection::Group { group, profile } => {
            format!(
                "{} {}",
                group.file_id(),
                profile.map(|profile| profile.name.to_string()).unwrap_or_default()
            )
        }
        Selection::NoGroup => "-".into(),
        Selection::Broken(broken) => format!("broken {}", broken.file),
    }
}

const GROUP: &str = r#"{"profile":"p","selector":{"mac":"52:54:00:00:00:01"}}"#;
const ASK: &str = "mac=52-54-00-00-00-01";

fn profile(name: &str) -> String {
    format!(r#"{{"id":"p","name":"{name}"}}"#)
}

#[test]
fn a_reload_keeps_the_last_good_text_of_a_broken_file() {
    let (dir, store) = store(&[("groups/g.json", GROUP), ("profiles/p.json", &profile("one"))]);
    assert_eq!(selected(&store, ASK), "g one");
    fs::write(dir.path().join("groups/g.json"), "{\"profile\":\n \"other\",}").unwrap();
    fs::write(dir.path().join("profiles/p.json"), profile("two")).unwrap();
    let reload = store.reload().unwrap();
    assert_eq!((reload.read, reload.broken.len()), (2, 1));
    assert_eq!((&*reload.broken[0].file, reload.broken[0].error.line), ("groups/g.json", 2));
    assert_eq!(selected(&store, ASK), "g two");
    fs::remove_file(dir.path().join("groups/g.json")).unwrap();
    assert_eq!(store.reload().unwrap().removed, 1);
    assert_eq!(selected(&store, ASK), "-");
    // Without an older text there is nothing to keep: strict mode says so instead of falling through.
    fs::write(dir.path().join("groups/g.json"), "{\"selector\":{\"mac\":\"52:54:00:00:00:01\",}}").unwrap();
    store.reload().unwrap();
    assert_eq!(selected(&store, ASK), "broken groups/g.json");
    assert_eq!(selected(&store, "mac=52-54-00-00-00-02"), "-");
}

#[test]
fn a_missing_folder_is_told_with_its_remedy() {
    let error = FileStore::open("/nonexistent/store", Compat::Strict).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }));
    assert!(error.to_string().contains("create the folder"), "{error}");
}

#[test]
fn ids_stay_in_their_folder() {
    let (dir, store) = store(&[]);
    for id in ["../x", "a/b", "", ".", "..", "/etc/x", "a\0b", "a\nb", &"x".repeat(300)] {
        assert!(matches!(store.write(Kind::Group, id, b"{}"), Err(StoreError::BadId(_))), "{id:?}");
        assert!(matches!(store.remove(Kind::Ignition, id), Err(StoreError::BadId(_))), "{id:?}");
    }
    assert!(!dir.path().join("x.json").exists());
    assert!(matches!(store.remove(Kind::Generic, "none"), Err(StoreError::Missing { .. })));
}

#[test]
fn a_write_is_seen_by_the_next_request() {
    let (dir, store) = store(&[]);
    let versions = store.versions();
    store.write(Kind::Profile, "p", profile("one").as_bytes()).unwrap();
    store.write(Kind::Group, "g", GROUP.as_bytes()).unwrap();
    assert_eq!(selected(&store, ASK), "g one");
    assert_eq!(*versions.borrow(), 2);
    store.remove(Kind::Group, "g").unwrap();
    assert_eq!(selected(&store, ASK), "-");
    assert!(!dir.path().join("groups/g.json").exists());
}

/// Follows the store and waits until `seen`; the time it took.
fn edit_and_wait(store: &Arc<FileStore>, edit: impl FnOnce(), seen: impl Fn(&FileStore) -> bool) -> Duration {
    let (sender, reloads) = mpsc::channel();
    let watch = Watch::start(store.clone(), move |reload| drop(sender.send(reload.map(|_| ())))).unwrap();
    edit();
    let start = Instant::now();
    while !seen(store) {
        reloads.recv_timeout(PATIENCE).expect("the edit is seen").unwrap();
    }
    println!("seen after {:?}, by polling: {}", start.elapsed(), watch.is_by_polling());
    start.elapsed()
}

#[test]
fn an_edit_between_the_opening_and_the_watch_is_seen() {
    let (dir, store) = store(&[("groups/g.json", GROUP), ("profiles/p.json", &profile("one"))]);
    fs::write(dir.path().join("profiles/p.json"), profile("another")).unwrap();
    assert_eq!(selected(&store, ASK), "g one");
    edit_and_wait(&store, || {}, |store| selected(store, ASK) == "g another");
}

#[test]
fn edits_are_seen_as_they_happen() {
    let (dir, store) = store(&[("groups/g.json", GROUP), ("profiles/p.json", &profile("one"))]);
    let path = |name: &str| dir.path().join(name);
    let is = |want: &'static str| move |store: &FileStore| selected(store, ASK) == want;
    edit_and_wait(&store, || fs::write(path("profiles/p.json"), profile("two")).unwrap(), is("g two"));
    let replace = || {
        fs::write(path("elsewhere"), profile("three")).unwrap();
        fs::rename(path("elsewhere"), path("profiles/p.json")).unwrap();
    };
    edit_and_wait(&store, replace, is("g three"));
    edit_and_wait(&store, || fs::remove_file(path("groups/g.json")).unwrap(), is("-"));
    let rename_folder = || {
        fs::create_dir(path("new")).unwrap();
        fs::write(path("new/a.json"), GROUP).unwrap();
        fs::remove_dir(path("groups")).unwrap();
        fs::rename(path("new"), path("groups")).unwrap();
    };
    edit_and_wait(&store, rename_folder, is("a three"));
    // What came with the new folder is followed too.
    edit_and_wait(
        &store,
        || fs::write(path("groups/b.json"), "{\"name\":\"b\"}").unwrap(),
        |store| store.snapshot().group("b").is_some(),
    );
}

#[test]
fn templates_outside_the_folders_are_followed_too() {
    let profile = r#"{"id":"p","generic_id":"../elsewhere/t","ignition_id":"../groups/g.json"}"#;
    let (dir, store) = store(&[("profiles/p.json", profile), ("groups/g.json", "{}")]);
    let path = |name: &str| dir.path().join(name);
    let is = |name: &'static str, want: &'static str| {
        move |store: &FileStore| {
            store.snapshot().template(name).is_some_and(|file| file.source().as_ref() == want.as_bytes())
        }
    };
    assert!(is("groups/g.json", "{}")(&store));
    fs::create_dir(path("elsewhere")).unwrap();
    for text in ["one", "two, longer"] {
        edit_and_wait(&store, || fs::write(path("elsewhere/t"), text).unwrap(), is("elsewhere/t", text));
    }
    let group = || fs::write(path("groups/g.json"), GROUP).unwrap();
    edit_and_wait(&store, group, is("groups/g.json", GROUP));
    assert_eq!(selected(&store, ASK), "g ");
}

#[test]
fn a_group_that_cannot_be_read_stops_its_machines_too() {
    let (dir, store) = store(&[("groups/a.json", "{}")]);
    let file = fs::File::create(dir.path().join("groups/large.json")).unwrap();
    file.set_len(bootcfg::driver::store::MAX_FILE + 1).unwrap();
    let reload = store.reload().unwrap();
    assert_eq!(reload.broken.len(), 1);
    assert!(reload.broken[0].error.message.contains("32 MiB"), "{:?}", reload.broken);
    assert_eq!(selected(&store, ASK), "broken groups/large.json");
}

#[test]
fn many_files_are_read_and_edited_as_one_is() {
    let count = 3000;
    let group = |n: usize, profile: &str| format!(r#"{{"profile":"{profile}","selector":{{"n":"{n}"}}}}"#);
    let files: Vec<_> = (0..count).map(|n| (format!("groups/{n}.json"), group(n, "p"))).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (dir, store) = store(&files);
    for n in [0, 1, 1499, 1500, count - 1] {
        assert_eq!(selected(&store, &format!("n={n}")), format!("{n} "));
    }
    assert_eq!(selected(&store, &format!("n={count}")), "-");
    // More edits than the upper layer holds, and removals among them.
    for n in 0..200 {
        store.write(Kind::Group, &n.to_string(), group(n + count, "q").as_bytes()).unwrap();
        assert_eq!(selected(&store, &format!("n={n}")), "-");
        assert_eq!(selected(&store, &format!("n={}", n + count)), format!("{n} "));
    }
    fs::remove_file(dir.path().join("groups/7.json")).unwrap();
    assert_eq!(store.reload().unwrap().removed, 1);
    assert_eq!(selected(&store, &format!("n={}", 7 + count)), "-");
    assert_eq!(store.snapshot().group_count(), count - 1);
    assert_eq!(store.snapshot().group("8").map(|group| group.profile().to_string()), Some("q".to_string()));
    assert!(store.snapshot().group("7").is_none());
}

#[test]
fn a_text_is_not_taken_before_its_file_is_closed() {
    use std::io::Write;
    let (dir, store) = store(&[("generic/t", "old")]);
    let text = |store: &FileStore| store.snapshot().template("generic/t").unwrap().source().clone();
    let mut file = None;
    let edit = || {
        let mut half = fs::File::create(dir.path().join("generic/t")).unwrap();
        half.write_all(b"half").unwrap();
        half.sync_all().unwrap();
        file = Some(half);
        // Another edit, closed after the half one was written: once it is seen, the half one has been passed over.
        fs::write(dir.path().join("generic/other"), "x").unwrap();
    };
    edit_and_wait(&store, edit, |store| store.snapshot().template("generic/other").is_some());
    assert_eq!(text(&store), "old");
    edit_and_wait(&store, || drop(file.take()), |_| true);
    let finish = || fs::write(dir.path().join("generic/t"), "half and half").unwrap();
    edit_and_wait(&store, finish, |store| text(store) == "half and half");
}

/// Writes versions of a file for ever; the parent kills it.
fn write_for_ever(dir: &Path) -> ! {
    let store = FileStore::open(dir, Compat::Strict).unwrap();
    let mut number = 0_u64;
    loop {
        number += 1;
        store.write(Kind::Profile, "p", &whole(number)).unwrap();
        println!("{number}");
    }
}

fn whole(number: u64) -> Vec<u8> {
    let filler = "x".repeat(20_000);
    format!(r#"{{"id":"p","name":"{number}","generic_id":"{filler}{number}"}}"#).into_bytes()
}

#[test]
fn killed_at_any_point_of_a_write_the_store_is_whole() {
    const CHILD: &str = "BOOTCFG_TEST_WRITER";
    if let Some(dir) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&dir));
    }
    let (dir, store) = store(&[]);
    store.write(Kind::Profile, "p", &whole(0)).unwrap();
    for round in 0..200_u64 {
        let name = "killed_at_any_point_of_a_write_the_store_is_whole";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed some microseconds after it began to write, a different time each round.
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        while !line.trim().ends_with('1') {
            line.clear();
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        }
        let until = Instant::now() + Duration::from_micros(round * 37 % 3000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let text = fs::read(dir.path().join("profiles/p.json")).unwrap();
        let store = FileStore::open(dir.path(), Compat::Strict).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.broken().count(), 0, "round {round}");
        let number: u64 = snapshot.profile("p").unwrap().name.parse().unwrap();
        assert_eq!(text, whole(number), "round {round}");
        assert_eq!(
            fs::read_dir(dir.path().join("profiles")).unwrap().count(),
            1,
            "round {round}: leftovers are removed"
        );
    }
}
