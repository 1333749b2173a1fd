//! Kernel modules of an unpacked or installed Debian kernel: found by name, resolved in the order of their dependencies.
//! An unpacked package has no `modules.dep`, so each module's own lists are read (section `.modinfo`: strings that end in
//! NUL). Called by `initrd`, and by `kpc` for the system that installs machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{LabError, Result};

/// One module, unpacked.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// What the kernel loads.
    pub contents: Vec<u8>,
    /// Names of the modules that must be loaded before it.
    pub needs: Vec<String>,
}

impl Module {
    /// Devices and services that it is for, as patterns (`alias=`).
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        values(&self.contents, "alias")
    }
}

/// The modules of one kernel by name.
#[derive(Debug)]
pub struct ModuleIndex {
    dir: PathBuf,
    paths: BTreeMap<String, PathBuf>,
}

impl ModuleIndex {
    /// Looks below `DIR/kernel`, where `dir` is `lib/modules/VERSION`.
    ///
    /// # Errors
    /// [`LabError::Io`] for a folder that cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let (mut paths, mut dirs) = (BTreeMap::new(), vec![dir.join("kernel")]);
        while let Some(dir) = dirs.pop() {
            let entries = std::fs::read_dir(&dir).map_err(LabError::io(format!("read {}", dir.display())))?;
            for entry in entries.filter_map(std::result::Result::ok) {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Some((name, _)) =
                    entry.file_name().to_str().and_then(|name| name.split_once(".ko"))
                {
                    paths.insert(name.replace('-', "_"), path);
                }
            }
        }
        Ok(Self { dir: dir.to_owned(), paths })
    }

    /// The names of all modules below a folder of the kernel's tree, such as `drivers/net/ethernet`.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> {
        let folder = self.dir.join("kernel").join(folder);
        self.paths.iter().filter(move |(_, path)| path.starts_with(&folder)).map(|(name, _)| name.as_str())
    }

    /// Whether there is a module of this name; one that is built into the kernel is none.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.paths.contains_key(name)
    }
}

/// Modules in an order in which each comes after everything that it needs.
#[derive(Debug, Default)]
pub struct Resolved {
    /// They.
    pub modules: Vec<Module>,
    names: BTreeSet<String>,
}

impl Resolved {
    /// Appends `name` after everything it depends on, unless it is there.
    ///
    /// # Errors
    /// [`LabError::Missing`] for a module that does not exist, [`LabError`] for one that cannot be read.
    pub fn add(&mut self, index: &ModuleIndex, name: &str) -> Result<()> {
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = index.paths.get(name) else {
            return Err(LabError::Missing {
                what: format!("the kernel module {name}"),
                path: index.dir.clone(),
                remedy: "cargo xtask deps",
            });
        };
        let contents = contents(path)?;
        let needs = dependencies(&contents);
        for dependency in &needs {
            self.add(index, dependency)?;
        }
        self.modules.push(Module { name: name.to_owned(), contents, needs });
        Ok(())
    }
}

/// A module's octets; newer distributions compress them.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return std::fs::read(path).map_err(LabError::io(format!("read {}", path.display()))),
    };
    let output = Command::new(program).arg("-dc").arg(path).stdin(Stdio::null()).output();
    let output = output.map_err(LabError::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: format!("{program} -dc {}", path.display()), output: said })
}

/// The modules that this one needs.
fn dependencies(module: &[u8]) -> Vec<String> {
    let lists = values(module, "depends");
    let names = lists.iter().flat_map(|list| list.split(','));
    names.filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// The values of one key of `.modinfo`.
fn values(module: &[u8], key: &str) -> Vec<String> {
    let key = format!("\0{key}=");
    let mut rest = module;
    let mut found = Vec::new();
    while let Some(at) = find(rest, key.as_bytes()) {
        rest = rest.get(at + key.len()..).unwrap_or_default();
        let end = rest.iter().position(|octet| *octet == 0).unwrap_or(rest.len());
        found.push(String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned());
        // The NUL that ends this value begins the next key.
        rest = rest.get(end..).unwrap_or_default();
    }
    found
}

/// Where `wanted`, which begins with NUL, is in `octets`.
fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    let second = wanted.get(1).copied()?;
    let candidates = octets.iter().enumerate().skip(1).filter(|(_, octet)| **octet == second);
    let mut starts = candidates.map(|(at, _)| at - 1);
    starts.find(|at| octets.get(*at..).is_some_and(|rest| rest.starts_with(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_what_it_depends_on() {
        assert_eq!(
            dependencies(b"\x7fELF..\0license=GPL\0depends=net-failover,virtio\0x=y\0"),
            ["net_failover", "virtio"]
        );
        assert!(dependencies(b"license=GPL\0depends=\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }

    #[test]
    fn a_module_names_its_devices() {
        let module = b"\0alias=pci:v00008086d0000100E*\0depends=\0alias=pci:v00008086d0000100F*\0alias=cut";
        assert_eq!(values(module, "alias"), ["pci:v00008086d0000100E*", "pci:v00008086d0000100F*", "cut"]);
    }
}
