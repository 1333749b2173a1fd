//! Steps between versions of 3.x.

use super::prune::{Prune as _, lose};
use crate::report::{At, Report, Severity};
use crate::v3::{Config, Resource};

/// Up to `level`: everything older versions say is said the same way, but for mode bits.
pub(super) fn up(mut config: Config, level: u8, losses: &mut Report) -> Config {
    if level != 6 {
        return config;
    }
    // Up to 3.5 setuid, setgid and sticky bits had no effect; from 3.6 they would have.
    let storage = At::ROOT.key("storage");
    let mut clear = |mode: &mut Option<i64>, list: &'static str, index: usize| {
        if let Some(bits) = mode.filter(|mode| mode & 0o7000 != 0) {
            *mode = Some(bits & !0o7000);
            let message = "setuid, setgid and sticky bits had no effect before 3.6 and are cleared";
            losses.add(
                Severity::Warning,
                "mode-bits-cleared",
                message,
                &storage.key(list).index(index).key("mode"),
            );
        }
    };
    for (index, file) in config.storage.files.iter_mut().enumerate() {
        clear(&mut file.mode, "files", index);
    }
    for (index, directory) in config.storage.directories.iter_mut().enumerate() {
        clear(&mut directory.mode, "directories", index);
    }
    config
}

/// Down to `level`.
pub(super) fn down(mut config: Config, level: u8, losses: &mut Report) -> Config {
    config.prune(level, losses, &At::ROOT);
    // The reference refuses the bits below 3.4, and from 3.6 on they have an effect that 3.5 does not give them.
    if matches!(level, 3 | 5) {
        let storage = At::ROOT.key("storage");
        let files = config.storage.files.iter().map(|file| file.mode).enumerate();
        let directories = config.storage.directories.iter().map(|directory| directory.mode).enumerate();
        let all = files.map(|mode| ("files", mode)).chain(directories.map(|mode| ("directories", mode)));
        for (list, (index, mode)) in all {
            if mode.is_some_and(|mode| mode & 0o7000 != 0) {
                lose(losses, "setuid, setgid or sticky", &storage.key(list).index(index).key("mode"));
            }
        }
        if level == 3 {
            return config;
        }
        for file in &mut config.storage.files {
            file.mode = file.mode.map(|mode| mode & !0o7000);
        }
        for directory in &mut config.storage.directories {
            directory.mode = directory.mode.map(|mode| mode & !0o7000);
        }
    }
    if level == 0 {
        references(&mut config, losses);
    }
    config
}

/// References to configs and certificates have no compression in 3.0, and hashes are of one kind.
fn references(config: &mut Config, losses: &mut Report) {
    let ignition = At::ROOT.key("ignition");
    let (at_config, security) = (ignition.key("config"), ignition.key("security"));
    let mut check = |resource: &mut Resource, at: &At<'_>| {
        if resource.compression.take().is_some_and(|compression| !compression.is_empty()) {
            lose(losses, "compression", &at.key("compression"));
        }
    };
    for (index, reference) in config.ignition.config.merge.iter_mut().enumerate() {
        check(reference, &at_config.key("merge").index(index));
    }
    check(&mut config.ignition.config.replace, &at_config.key("replace"));
    let tls = security.key("tls");
    for (index, reference) in config.ignition.security.tls.certificate_authorities.iter_mut().enumerate() {
        check(reference, &tls.key("certificateAuthorities").index(index));
    }
}
