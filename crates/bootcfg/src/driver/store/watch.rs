//! Sees edits of the data folder as they happen (inotify), waits until they pause, and reads what changed.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{FOLDERS, FileStore, Reload, StoreError};

/// Edits are taken in once there was none for this long…
const QUIET: Duration = Duration::from_millis(15);
/// … and no later than this after the first, so that a busy editor does not hold everything up.
const PATIENCE: Duration = Duration::from_millis(50);
/// Without inotify the folder is looked through this often.
const POLL: Duration = Duration::from_millis(500);
/// Also with inotify, against events lost.
const AUDIT: Duration = Duration::from_secs(60);
/// Templates outside the folders of a store are few or none: these are looked at this often.
const OUTSIDE: Duration = Duration::from_millis(50);
/// More changed files than this at once are not listed: everything is looked at.
const MAX_CHANGED: usize = 4096;

/// Follows a [`FileStore`]'s folder until dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
    by_polling: bool,
}

/// What has changed and is not yet read.
#[derive(Debug, Default)]
struct Changed {
    files: BTreeSet<String>,
    everything: bool,
}

impl Watch {
    /// Begins to follow. `report` hears of every reload that found something; it must not block.
    pub fn start(
        store: Arc<FileStore>,
        report: impl Fn(Result<Reload, StoreError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let changed = Arc::new(Mutex::new(Changed::default()));
        let root = std::fs::canonicalize(store.root()).unwrap_or_else(|_| store.root().to_path_buf());
        let watcher = watcher(&root, changed.clone(), wake.clone());
        let by_polling = watcher.is_none();
        // What was edited between the store's opening and now was seen by nobody.
        tell(store.reload(), &report);
        let stop = Arc::new(AtomicBool::new(false));
        let follow = Follow { store, root, changed, stop: stop.clone(), woken, watcher };
        let thread =
            std::thread::Builder::new().name("store-watch".into()).spawn(move || follow.run(&report))?;
        Ok(Self { stop, wake, thread: Some(thread), by_polling })
    }

    /// Whether inotify was not to be had, so that edits are seen within half a second only.
    pub fn is_by_polling(&self) -> bool {
        self.by_polling
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Follow {
    store: Arc<FileStore>,
    root: PathBuf,
    changed: Arc<Mutex<Changed>>,
    stop: Arc<AtomicBool>,
    woken: Receiver<()>,
    watcher: Option<RecommendedWatcher>,
}

impl Follow {
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    fn run(mut self, report: &dyn Fn(Result<Reload, StoreError>)) {
        let mut audited = Instant::now();
        loop {
            let outside = self.store.has_outside();
            let period = match self.watcher {
                None => POLL,
                Some(_) if outside => OUTSIDE,
                Some(_) => AUDIT,
            };
            let mut audit = false;
            match self.woken.recv_timeout(period) {
                Ok(()) => {
                    let first = Instant::now();
                    while first.elapsed() < PATIENCE && self.woken.recv_timeout(QUIET).is_ok() {}
                }
                Err(RecvTimeoutError::Timeout) => {
                    audit = self.watcher.is_none() || audited.elapsed() >= AUDIT;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let mut changed =
                std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
            if audit {
                (changed.everything, audited) = (true, Instant::now());
            }
            if let Some(watcher) = self.watcher.as_mut().filter(|_| changed.everything) {
                watch_folders(watcher, &self.root);
            }
            let reload = if changed.everything {
                self.store.reload()
            } else if changed.files.is_empty() {
                Ok(self.store.reload_outside())
            } else {
                Ok(self.store.reload_files(&changed.files))
            };
            tell(reload, report);
        }
    }
}

/// Reports a reload that found something.
fn tell(reload: Result<Reload, StoreError>, report: &dyn Fn(Result<Reload, StoreError>)) {
    if !matches!(&reload, Ok(reload) if reload.read + reload.removed == 0) {
        report(reload);
    }
}

/// A full channel holds a wake already.
fn wake(sender: &SyncSender<()>) {
    match sender.try_send(()) {
        Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
    }
}

fn watcher(root: &Path, changed: Arc<Mutex<Changed>>, sender: SyncSender<()>) -> Option<RecommendedWatcher> {
    let base = root.to_path_buf();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if is_edit(&event) => note(&mut changed, &base, &event),
            Ok(_) => return,
            Err(_) => changed.everything = true,
        }
        drop(changed);
        wake(&sender);
    })
    .ok()?;
    watcher.watch(root, RecursiveMode::NonRecursive).ok()?;
    watch_folders(&mut watcher, root).then_some(watcher)
}

/// Follows the folders that exist; `false` if one of them cannot be followed.
fn watch_folders(watcher: &mut RecommendedWatcher, root: &Path) -> bool {
    let existing = FOLDERS.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir());
    existing
        .map(|folder| watcher.watch(&folder, RecursiveMode::Recursive).is_ok())
        .fold(true, |all, one| all & one)
}

/// A write counts when its file is closed: before, it may be half of a text.
fn is_edit(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Data(_)) => false,
        EventKind::Create(CreateKind::File) => event.paths.iter().any(|path| is_link(path)),
        _ => true,
    }
}

/// A link of either kind, which is whole from the start and will not be closed.
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink() || metadata.nlink() > 1)
}

fn note(changed: &mut Changed, root: &Path, event: &notify::Event) {
    if event.need_rescan() || changed.files.len() > MAX_CHANGED {
        changed.everything = true;
    }
    for path in &event.paths {
        let inside = path.strip_prefix(root).ok().and_then(Path::to_str);
        let Some(inside) = inside.filter(|inside| FOLDERS.iter().any(|folder| is_below(inside, folder)))
        else {
            continue;
        };
        // A folder that came or went, or a link to one (Kubernetes swaps `..data`), may mean any file below it.
        if !inside.contains('/') || path.is_dir() || path.file_name().is_some_and(|name| name == "..data") {
            changed.everything = true;
        } else {
            changed.files.insert(inside.to_string());
        }
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
