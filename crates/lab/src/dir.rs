//! The lab's directory: everything it writes lies below, one lab at a time holds it. Called by the outer process
//! ([`LabDir::claim`]), by `kpc lab down` ([`LabDir::end`]), and by `Lab::up` for paths.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{LabError, Result};

/// `sun_path` holds 108 octets with the final NUL; a socket's own name takes some.
const LONGEST: usize = 84;
const TICK: Duration = Duration::from_millis(50);

/// A directory that is this lab's alone while the value lives.
#[derive(Debug)]
pub struct LabDir {
    path: PathBuf,
    // The lock lasts as long as the open file; no child inherits it.
    _lock: File,
}

impl LabDir {
    /// Makes the directory where needed and takes it.
    ///
    /// # Errors
    /// [`LabError::Config`] when another lab stands there or the path is too long for sockets below it.
    pub fn claim(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(LabError::io(format!("make {}", path.display())))?;
        let path = path.canonicalize().map_err(LabError::io(format!("find {}", path.display())))?;
        if path.as_os_str().len() > LONGEST {
            return Err(LabError::Config(format!(
                "{}: too long for sockets below it ({LONGEST} octets at most); give --dir a shorter one",
                path.display()
            )));
        }
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let dir = path.display();
                return Err(LabError::Config(format!(
                    "a lab stands in {dir} already; end it: kpc lab down --dir {dir}"
                )));
            }
            Err(TryLockError::Error(source)) => {
                return Err(LabError::Io { doing: format!("lock {}", path.display()), source });
            }
        }
        let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(LabError::io(format!("write {}", path.join("lock").display())))?;
        Ok(Self { path, _lock: file })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the lab that stands in `path` (SIGTERM to its outer process) and waits until it has let go.
    /// `Ok(false)` when none stands there.
    ///
    /// # Errors
    /// [`LabError::Config`] when it does not end within `patience`.
    pub fn end(path: &Path, patience: Duration) -> Result<bool> {
        if !path.join("lock").exists() {
            return Ok(false);
        }
        let mut file = open_lock(path)?;
        if file.try_lock().is_ok() {
            return Ok(false);
        }
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        read.map_err(LabError::io(format!("read {}", path.join("lock").display())))?;
        let id = text.trim().parse::<i32>().ok().filter(|id| *id > 1);
        let id =
            id.ok_or_else(|| LabError::Config(format!("{}: no process id", path.join("lock").display())))?;
        kill(Pid::from_raw(id), Signal::SIGTERM).map_err(LabError::errno(format!("end process {id}")))?;
        let mut waited = Duration::ZERO;
        while waited < patience {
            if file.try_lock().is_ok() {
                return Ok(true);
            }
            std::thread::sleep(TICK);
            waited += TICK;
        }
        Err(LabError::Config(format!("the lab (process {id}) did not end within {} s", patience.as_secs())))
    }
}

fn open_lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(LabError::io(format!("open {}", path.display())))
}

/// A place for sockets that nobody outside sees and that goes with the mount namespace: nothing to clean up after a
/// kill.
pub(crate) fn private_sockets(dir: &Path) -> Result<PathBuf> {
    let run = dir.join("run");
    std::fs::create_dir_all(&run).map_err(LabError::io(format!("make {}", run.display())))?;
    mount(
        Some("tmpfs"),
        &run,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=700,size=4m"),
    )
    .map_err(LabError::errno(format!("mount a private directory on {}", run.display())))?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lab_at_a_time() {
        let dir = std::env::temp_dir().join(format!("kpc-lab-dir-{}", std::process::id()));
        assert!(!LabDir::end(&dir, Duration::ZERO).unwrap());
        let first = LabDir::claim(&dir).unwrap();
        let error = LabDir::claim(&dir).unwrap_err().to_string();
        assert!(error.contains("kpc lab down"), "{error}");
        drop(first);
        assert!(!LabDir::end(&dir, Duration::ZERO).unwrap());
        drop(LabDir::claim(&dir).unwrap());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
