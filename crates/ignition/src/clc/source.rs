//! The rules of a Container Linux Config before anything is generated.

use super::model::{Config, FileContents, Locksmith};
use super::options::{Etcd, Flannel};
use crate::report::{At, Report, Severity};
use crate::url::Url;

/// Reports every broken rule at its place in the YAML.
pub(super) fn check(config: &Config, report: &mut Report) {
    let root = At::ROOT;
    if config.version != 0 {
        let message = "Invalid version. Only version 0 is supported";
        report.error("invalid-version-only-version-0-is-supported", message, &root.key("version"));
    }
    let storage = root.key("storage");
    for (index, file) in config.storage.files.iter().enumerate() {
        let list = storage.key("files");
        let at = list.index(index);
        sources(&file.contents, report, &at.key("contents"));
        match (file.mode, file.append) {
            (None, true) => {
                let message = "mode unspecified for file, defaulting to 0644 if the file does not exist";
                let code = "mode-unspecified-for-file-defaulting-to-0644-if-the";
                report.add(Severity::Info, code, message, &at.key("mode"));
            }
            (None, false) => {
                let message = "mode unspecified for file, defaulting to 0644";
                report.warn("mode-unspecified-for-file-defaulting-to-0644", message, &at.key("mode"));
            }
            (Some(_), _) => {}
        }
    }
    for (index, directory) in config.storage.directories.iter().enumerate() {
        if directory.mode.is_none() {
            let message = "mode unspecified for directory, defaulting to 0755";
            let at = storage.key("directories");
            report.warn(
                "mode-unspecified-for-directory-defaulting-to-0755",
                message,
                &at.index(index).key("mode"),
            );
        }
    }
    if let Some(etcd) = &config.etcd {
        check_etcd(etcd, report, &root.key("etcd"));
    }
    if let Some(flannel) = &config.flannel {
        check_flannel(flannel, report, &root.key("flannel"));
    }
    if let Some(update) = &config.update {
        let at = root.key("update");
        let group = update.group.to_ascii_lowercase();
        if !matches!(group.as_str(), "stable" | "beta" | "alpha") && update.server.is_empty() {
            report.warn("unknown-update-group", "unknown update group", &at.key("group"));
        }
        if let Err(why) = Url::parse(&update.server, true) {
            report.error("unable-to-parse-url", format!("unable to parse url: {}", why.0), &at.key("server"));
        }
    }
    if let Some(locksmith) = &config.locksmith {
        check_locksmith(locksmith, report, &root.key("locksmith"));
    }
}

fn sources(contents: &FileContents, report: &mut Report, at: &At<'_>) {
    let given = [&contents.remote.url, &contents.inline, &contents.local];
    if given.into_iter().filter(|text| !text.is_empty()).count() > 1 {
        let message = "only one of the following can be set: local, inline, remote.url";
        report.error("only-one-of-the-following-can-be-set-local", message, at);
    }
}

fn check_etcd(etcd: &Etcd, report: &mut Report, at: &At<'_>) {
    let Some(version) = &etcd.version else { return };
    let at = at.key("version");
    match version.numbers {
        [major, minor, _] if (major, minor) < (2, 3) => {
            let message = "Etcd version specified is not valid (too old)";
            report.error("etcd-version-specified-is-not-valid", message, &at);
        }
        [2 | 3, minor, _] if minor > 3 => {
            let message = "Etcd minor version specified is too new, only options available in the previous minor version will be accepted";
            report.warn("etcd-minor-version-specified-is-too-new-only-options", message, &at);
        }
        [major, ..] if major > 3 => {
            report.error("etcd-version-is-not-valid", "Etcd version is not valid (too new)", &at)
        }
        _ => {}
    }
}

fn check_flannel(flannel: &Flannel, report: &mut Report, at: &At<'_>) {
    match flannel.version.as_ref().map(|version| version.numbers) {
        Some([major, minor, _]) if (major, minor) < (0, 5) => {
            report.error("invalid-flannel-version", "invalid flannel version (too old)", &at.key("version"));
        }
        Some([0, minor, _]) if minor > 7 => {
            let message = "flannel minor version too new. Only options available in the previous minor version will be supported";
            report.warn(
                "flannel-minor-version-too-new-only-options-available-in",
                message,
                &at.key("version"),
            );
        }
        _ => {}
    }
    if flannel.network_config.is_empty() {
        return;
    }
    let tree = crate::json::parse(flannel.network_config.as_bytes());
    let object = tree.is_ok_and(|tree| {
        tree.root()
            .is_some_and(|root| matches!(root.kind(), crate::tree::Kind::Object | crate::tree::Kind::Null))
    });
    if !object {
        let message = "flannel network config doesn't appear to be valid JSON";
        report.error("flannel-network-config-doesn-t-appear-to-be-valid", message, &at.key("network_config"));
    }
    if flannel.arguments.iter().any(|(name, value)| *name == "kube_subnet_mgr" && value == "true") {
        let message = "flannel network config cannot be provided if kube_subnet_mgr is set";
        report.error("flannel-network-config-cannot-be-provided-if-kube-subnet", message, at);
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn check_locksmith(locksmith: &Locksmith, report: &mut Report, at: &At<'_>) {
    let strategy = filled(&locksmith.reboot_strategy).map(str::to_ascii_lowercase);
    if !matches!(strategy.as_deref(), None | Some("reboot" | "etcd-lock" | "off")) {
        report.error("unknown-reboot-strategy", "unknown reboot strategy", &at.key("reboot_strategy"));
    }
    let (start, length) = (filled(&locksmith.window_start), filled(&locksmith.window_length));
    if start.is_some() != length.is_some() {
        let message = "window-start and window-length must both be specified";
        report.error("window-start-and-window-length-must-both-be-specified", message, at);
    }
    if let Some(start) = start {
        let mut words = start.split_whitespace();
        let (day, time) = match (words.next(), words.next()) {
            (Some(day), Some(time)) => (Some(day.to_ascii_lowercase()), time),
            _ => (None, start),
        };
        let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        if day.is_some_and(|day| !days.contains(&day.as_str())) {
            report.error(
                "unknown-day-in-window-start",
                "unknown day in window start",
                &at.key("window_start"),
            );
        } else if !is_time(time) {
            report.error(
                "couldn-t-parse-window-start",
                "couldn't parse window start",
                &at.key("window_start"),
            );
        }
    }
    if length.is_some_and(|length| !is_duration(length)) {
        report.error(
            "couldn-t-parse-window-length",
            "couldn't parse window length",
            &at.key("window_length"),
        );
    }
}

/// `15:04`, as Go's `time.Parse`: one or two digits for the hour, two for the minute.
fn is_time(text: &str) -> bool {
    let Some((hour, minute)) = text.split_once(':') else { return false };
    let number = |text: &str, limit: u8| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u8>().is_ok_and(|number| number < limit)
    };
    matches!(hour.len(), 1 | 2) && minute.len() == 2 && number(hour, 24) && number(minute, 60)
}

/// `1h30m`, as Go's `time.ParseDuration`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let digits = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
        let unit =
            ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].iter().filter_map(|unit| after.strip_prefix(unit));
        // `m` is also the start of `ms`: what leaves a number or nothing is meant.
        let next = unit
            .into_iter()
            .find(|rest| rest.is_empty() || rest.starts_with(|c: char| c == '.' || c.is_ascii_digit()));
        match next.filter(|_| digits) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        for (text, good) in [("04:00", true), ("4:00", true), ("24:00", false), ("4:0", false), ("x", false)]
        {
            assert_eq!(is_time(text), good, "{text}");
        }
        for (text, good) in
            [("1h30m", true), ("1.5h", true), ("0", true), ("10", false), ("1x", false), ("5ms", true)]
        {
            assert_eq!(is_duration(text), good, "{text}");
        }
    }
}
