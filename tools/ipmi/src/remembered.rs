//! The cipher suite that each BMC took last, from one run to the next: a small file in the user's cache folder.
//!
//! It orders what would be tried anyway (`Config::prefer`) and adds nothing, so a file that is missing, torn or forged
//! costs a round trip and weakens nothing. Only BMCs that refused the first suite are in it, and after a month they are
//! asked anew, so that one whose firmware learned suite 17 is found out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ipmi::CipherSuite;
use ipmi::script::{Answer, Script, Step};
use ipmi::session::{Config, Protocol};

/// Days after which a BMC is asked anew.
const LIFE: u64 = 30;
/// Most BMCs remembered; the lowest addresses go first.
const MAX_BMCS: usize = 65_536;
/// Most octets read.
const MAX_FILE: u64 = 4 << 20;

/// What was taken and when: a suite's number, and days since 1970.
type Known = BTreeMap<SocketAddr, (u8, u64)>;

/// What earlier runs learned, and what this one does.
#[derive(Debug, Default)]
pub(crate) struct Suites {
    /// `None` where there is no choice to remember, or no folder to keep it in.
    file: Option<PathBuf>,
    today: u64,
    known: Known,
    /// The suite proposed first when nothing is known.
    first: u8,
    learned: BTreeMap<SocketAddr, u8>,
}

fn today() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a tool reads the clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / 86_400)
}

/// `$XDG_CACHE_HOME/ipmi/suites`, else `$HOME/.cache/ipmi/suites`.
fn place() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("ipmi/suites"))
}

/// Reads lines of address, suite and day; whatever is none is left out.
fn read(file: &Path, today: u64) -> Known {
    let mut text = Vec::new();
    // A pipe in its place would block.
    if !std::fs::metadata(file).is_ok_and(|found| found.is_file()) {
        return Known::new();
    }
    let Ok(opened) = std::fs::File::open(file) else { return Known::new() };
    if opened.take(MAX_FILE).read_to_end(&mut text).is_err() {
        return Known::new();
    }
    let entry = |line: &str| {
        let [addr, suite, day] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let (addr, suite, day) = (addr.parse().ok()?, suite.parse().ok()?, day.parse().ok()?);
        (day <= today && today - day < LIFE).then_some((addr, (suite, day)))
    };
    String::from_utf8_lossy(&text).lines().filter_map(entry).take(MAX_BMCS).collect()
}

/// Puts a whole file in the place of the old one.
fn write(file: &Path, known: &Known) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let fresh = folder.join(format!("suites.{}", std::process::id()));
    let lines: String = known.iter().map(|(addr, (suite, day))| format!("{addr} {suite} {day}\n")).collect();
    let _ = std::fs::remove_file(&fresh); // of a run that was killed and had our number
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = std::io::Write::write_all(&mut opened, lines.as_bytes());
    written.and_then(|()| std::fs::rename(&fresh, file)).inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh); // the first error is the one to tell
    })
}

impl Suites {
    /// What is known for sessions like this one; nothing where a single suite was asked for by name.
    pub(crate) fn load(session: &Config) -> Self {
        match (&session.protocol, session.suites.as_slice()) {
            (Protocol::V20, [first, _, ..]) => Self::from_file(place(), first.id),
            _ => Self::default(),
        }
    }

    fn from_file(file: Option<PathBuf>, first: u8) -> Self {
        let today = today();
        let known = file.as_deref().map(|file| read(file, today)).unwrap_or_default();
        Self { file, today, known, first, learned: BTreeMap::new() }
    }

    /// Puts the suite that this BMC took last in front, if it is one of those asked for.
    pub(crate) fn prefer(&self, addr: SocketAddr, session: &mut Config) {
        let suite = self.known.get(&addr).and_then(|(id, _)| CipherSuite::from_id(*id).ok());
        if let Some(suite) = suite {
            session.prefer(suite);
        }
    }

    /// Notes what a BMC took.
    pub(crate) fn note(&mut self, addr: SocketAddr, suite: Option<CipherSuite>) {
        let Some(CipherSuite { id, .. }) = suite else { return };
        let expected = self.known.get(&addr).map_or(self.first, |(id, _)| *id);
        if self.file.is_some() && id != expected {
            self.learned.insert(addr, id);
        }
    }

    /// Writes what was learned beside what other runs have learned meanwhile. A folder that cannot be written to
    /// costs a round trip the next time, and is no failure.
    pub(crate) fn save(&self) {
        let (Some(file), false) = (&self.file, self.learned.is_empty()) else { return };
        let mut known = read(file, self.today);
        for (addr, id) in &self.learned {
            if *id == self.first {
                known.remove(addr);
            } else {
                known.insert(*addr, (*id, self.today));
            }
        }
        while known.len() > MAX_BMCS {
            known.pop_first();
        }
        let _ = write(file, &known);
    }
}

/// A script that also notes the suite its session took.
#[derive(Clone)]
pub(crate) struct Noting<S> {
    pub(crate) script: S,
    pub(crate) addr: SocketAddr,
    pub(crate) suites: Rc<RefCell<Suites>>,
}

impl<S: Script> Script for Noting<S> {
    type Output = S::Output;

    fn next(&mut self, answer: Answer<'_>) -> Step<Self::Output> {
        if let Answer::Established { suite, .. } = answer {
            self.suites.borrow_mut().note(self.addr, suite);
        }
        self.script.next(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u8 = 17;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 623))
    }

    fn order(suites: &Suites, last: u8) -> Vec<u8> {
        let mut session = Config::new(ipmi::session::Credentials::new("root", b"secret").unwrap());
        suites.prefer(addr(last), &mut session);
        session.suites.iter().map(|suite| suite.id).collect()
    }

    // What one run learns the next one begins with; the usual suite is nothing to remember.
    #[test]
    fn a_refusal_is_remembered_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("ipmi/suites"));
        let load = || Suites::from_file(file.clone(), FIRST);
        let mut one = load();
        assert_eq!(order(&one, 1), [17, 3]);
        one.note(addr(1), Some(CipherSuite::SUITE_3));
        one.note(addr(2), Some(CipherSuite::SUITE_17));
        one.note(addr(3), None);
        // Another run learns something else before this one writes.
        let mut other = load();
        other.note(addr(4), Some(CipherSuite::SUITE_3));
        other.save();
        one.save();
        let mut two = load();
        assert_eq!([1, 2, 3, 4].map(|n| order(&two, n)[0]), [3, 17, 17, 3]);
        two.note(addr(1), Some(CipherSuite::SUITE_17));
        two.save();
        assert_eq!([1, 4].map(|n| order(&load(), n)[0]), [17, 3]);
        let left: Vec<_> = std::fs::read_dir(folder.path().join("ipmi")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    // A forged or torn file adds no suite, and an old entry counts no more.
    #[test]
    fn a_file_of_somebody_else_weakens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("suites");
        let (day, old, later) = (today(), today() - LIFE, today() + 1);
        let lines = format!(
            "192.0.2.1:623 0 {day}\n192.0.2.2:623 4 {day}\n192.0.2.3:623 3 {old}\n192.0.2.4:623 3 {later}\n\
             192.0.2.5:623 999 {day}\nnonsense\n192.0.2.6:623 3\n\u{fffd} 3 {day}\n192.0.2.7:623 3 {day}\n192.0.2.8:6"
        );
        std::fs::write(&file, lines).unwrap();
        let suites = Suites::from_file(Some(file.clone()), FIRST);
        for last in 1..=6 {
            assert_eq!(order(&suites, last), [17, 3], "{last}");
        }
        assert_eq!(order(&suites, 7), [3, 17]);
        std::fs::write(&file, [0xff; 4096]).unwrap();
        assert_eq!(Suites::from_file(Some(file), FIRST).known.len(), 0);
        // A folder in its place, and a place that cannot be: nothing known, nothing kept, no failure.
        for place in [folder.path().to_path_buf(), PathBuf::from("/proc/ipmi/suites")] {
            let mut suites = Suites::from_file(Some(place), FIRST);
            suites.note(addr(1), Some(CipherSuite::SUITE_3));
            suites.save();
        }
    }
}
