//! The Debian package: a tree laid out as policy wants it, packed by dpkg-deb. The same programs give the same octets:
//! every time is SOURCE_DATE_EPOCH, else the last commit's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::man;
use crate::run::{Outcome, cargo, command, output, root};

const CONTROL: &str = include_str!("../../../packaging/debian/control");
const COPYRIGHT: &str = include_str!("../../../packaging/debian/copyright");
const UNITS: [(&str, &str); 5] = [
    ("kpc.service", include_str!("../../../packaging/systemd/kpc.service")),
    ("kpc.service.d/package.conf", include_str!("../../../packaging/systemd/kpc.service.d-package.conf")),
    ("kpc.socket", include_str!("../../../packaging/systemd/kpc.socket")),
    ("kpc-bmc.service", include_str!("../../../packaging/systemd/kpc-bmc.service")),
    ("kpc-bmc.socket", include_str!("../../../packaging/systemd/kpc-bmc.socket")),
];
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("../../../packaging/debian/postinst")),
    ("prerm", include_str!("../../../packaging/debian/prerm")),
    ("postrm", include_str!("../../../packaging/debian/postrm")),
];
/// What a dynamic program needs beside; a static one needs nothing.
const LIBC: &str = "libc6 (>= 2.36), libgcc-s1, ";

/// Packs `kpc` and `kpc-agent` into `place/kpc_VERSION_amd64.deb`, as dpkg-deb's option says.
pub(super) fn build(kpc: &Path, agent: &Path, place: &Path, pack: &str) -> Outcome<PathBuf> {
    let version = output(&mut command(&kpc.to_string_lossy(), &["--version"]))?;
    let version = version.trim().trim_start_matches("kpc ").to_owned();
    let epoch = epoch()?;
    let tree = Tree { root: place.join("tree") };
    if tree.root.exists() {
        fs::remove_dir_all(&tree.root).map_err(|error| format!("{}: {error}", tree.root.display()))?;
    }
    tree.program(kpc, "usr/bin/kpc")?;
    tree.program(agent, "usr/lib/kpc/kpc-agent")?;
    for (name, text) in UNITS {
        tree.file(&format!("lib/systemd/system/{name}"), filled(text).as_bytes())?;
    }
    tree.file("etc/default/kpc", include_bytes!("../../../packaging/debian/default"))?;
    tree.file(
        "usr/share/lintian/overrides/kpc",
        include_bytes!("../../../packaging/debian/lintian-overrides"),
    )?;
    documents(&tree, kpc, &version, &epoch)?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/kpc"),
        ("zsh", "usr/share/zsh/vendor-completions/_kpc"),
        ("fish", "usr/share/fish/vendor_completions.d/kpc.fish"),
    ] {
        let said = output(&mut command(&kpc.to_string_lossy(), &["completions", shell]))?;
        tree.file(path, said.as_bytes())?;
    }
    control(&tree, kpc, &version)?;
    let deb = place.join(format!("kpc_{version}_amd64.deb"));
    let mut packing = command("dpkg-deb", &["--root-owner-group", pack, "--build"]);
    output(packing.arg(&tree.root).arg(&deb).env("SOURCE_DATE_EPOCH", &epoch))?;
    Ok(deb)
}

/// A unit for the package's own places.
fn filled(unit: &str) -> String {
    unit.replace("@KPC@", "/usr/bin/kpc")
        .replace("@CONFIG@", "/etc/kpc/kpc.toml")
        .replace("@DATA@", "/var/lib/kpc")
}

/// Manual page, changelog, copyright and the pages of docs/.
fn documents(tree: &Tree, kpc: &Path, version: &str, epoch: &str) -> Outcome {
    let date = |format: &str| output(command("date", &["-u", format]).arg(format!("--date=@{epoch}")));
    let page = man::page(kpc, version, date("+%F")?.trim())?;
    tree.packed("usr/share/man/man1/kpc.1.gz", page.as_bytes())?;
    let changelog = format!(
        "kpc ({version}) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md of the sources.\n\n -- {}  {}",
        field("Maintainer"),
        date("-R")?
    );
    tree.packed("usr/share/doc/kpc/changelog.gz", changelog.as_bytes())?;
    for name in ["config.md", "migration.md", "model.md"] {
        let path = root().join("docs").join(name);
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        tree.file(&format!("usr/share/doc/kpc/{name}"), &text)?;
    }
    let licences = fs::read_to_string(root().join("LICENSE-MIT")).map_err(|error| error.to_string())?;
    let expat = licences.lines().skip(4).map(|line| match line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    let text = format!(
        "{}License: Expat\n{}\nLicense: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n",
        COPYRIGHT.replace("@CRATES@\n", &crates()?),
        expat.collect::<String>()
    );
    tree.file("usr/share/doc/kpc/copyright", text.as_bytes())
}

/// What is linked in, a line each, with its licence.
fn crates() -> Outcome<String> {
    let mut tree = cargo(&["tree", "--package", "kpc", "--package", "kpc-agent", "--edges", "normal"]);
    let listed = output(tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}, {l}"]))?;
    let foreign =
        listed.lines().filter(|line| !line.contains("(/")).map(|line| line.replace(" (proc-macro)", ""));
    let all: std::collections::BTreeSet<String> = foreign.collect();
    Ok(all.into_iter().map(|line| format!("  {line}\n")).collect())
}

/// Everything below DEBIAN/.
fn control(tree: &Tree, kpc: &Path, version: &str) -> Outcome {
    let sizes = output(command("du", &["-k", "-s", "--apparent-size"]).arg(&tree.root))?;
    let size = sizes.split_whitespace().next().unwrap_or("0");
    let libc = if is_static(kpc)? { "" } else { LIBC };
    let text = CONTROL.replace("@VERSION@", version).replace("@SIZE@", size).replace("@LIBC@", libc);
    tree.file("DEBIAN/control", text.as_bytes())?;
    tree.file("DEBIAN/conffiles", include_bytes!("../../../packaging/debian/conffiles"))?;
    for (name, text) in SCRIPTS {
        tree.file(&format!("DEBIAN/{name}"), text.as_bytes())?;
        tree.mode(&format!("DEBIAN/{name}"), 0o755)?;
    }
    let list = "find * -path DEBIAN -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum";
    let sums = output(command("sh", &["-c", list]).current_dir(&tree.root))?;
    tree.file("DEBIAN/md5sums", sums.as_bytes())
}

/// A field of the package's control file.
fn field(name: &str) -> &'static str {
    let line = CONTROL.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

fn is_static(program: &Path) -> Outcome<bool> {
    output(command("readelf", &["--program-headers", "--wide"]).arg(program))
        .map(|said| !said.contains("INTERP"))
}

fn epoch() -> Outcome<String> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(epoch) => Ok(epoch),
        Err(_) => {
            output(&mut command("git", &["log", "-1", "--format=%ct"])).map(|time| time.trim().to_owned())
        }
    }
}

/// The package's tree while it is laid out.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn file(&self, path: &str, octets: &[u8]) -> Outcome {
        let whole = self.root.join(path);
        let said = |error: std::io::Error| format!("{}: {error}", whole.display());
        if let Some(folder) = whole.parent() {
            fs::create_dir_all(folder).map_err(said)?;
        }
        // Whatever the umask is.
        for folder in whole.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(said)?;
        }
        fs::write(&whole, octets).map_err(said)?;
        self.mode(path, 0o644)
    }

    fn mode(&self, path: &str, mode: u32) -> Outcome {
        let whole = self.root.join(path);
        fs::set_permissions(&whole, fs::Permissions::from_mode(mode))
            .map_err(|error| format!("{}: {error}", whole.display()))
    }

    /// A program without what only a debugger reads.
    fn program(&self, from: &Path, path: &str) -> Outcome {
        let octets = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
        self.file(path, &octets)?;
        output(
            command("strip", &["--remove-section=.comment", "--remove-section=.note"])
                .arg(self.root.join(path)),
        )?;
        self.mode(path, 0o755)
    }

    /// A file packed with gzip, without a name or time in it.
    fn packed(&self, path: &str, octets: &[u8]) -> Outcome {
        let plain = path.trim_end_matches(".gz");
        self.file(plain, octets)?;
        output(command("gzip", &["-9", "-n", "-f"]).arg(self.root.join(plain)))?;
        self.mode(path, 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_unit_has_a_mark_left() {
        for (name, text) in UNITS {
            let text = filled(text);
            let marks = text.split('@').filter(|word| word.chars().all(|letter| letter.is_ascii_uppercase()));
            assert_eq!(marks.filter(|mark| !mark.is_empty()).count(), 0, "{name}: {text}");
        }
        assert!(field("Maintainer").contains('@'), "{CONTROL}");
    }
}
