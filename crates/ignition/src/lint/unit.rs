//! Units of systemd, section by section and key by key (systemd.unit(5), systemd.service(5) and their siblings).

use super::tables::{
    AUTOMOUNT, EXEC, INSTALL, KILL, MOUNT, PATH, RESOURCE, RESTARTS, SCOPE, SERVICE, SOCKET, SWAP, TIMER,
    TYPES, UNIT,
};
use crate::report::{At, Report};
use crate::unit::{UnitOption, extension, options};

/// Sections a type of unit has, with their keys.
fn sections(kind: &str) -> &'static [(&'static str, &'static [&'static [&'static str]])] {
    match kind {
        ".service" => {
            &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Service", &[SERVICE, EXEC, KILL, RESOURCE])]
        }
        ".socket" => {
            &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Socket", &[SOCKET, EXEC, KILL, RESOURCE])]
        }
        ".mount" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Mount", &[MOUNT, EXEC, KILL, RESOURCE])],
        ".automount" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Automount", &[AUTOMOUNT])],
        ".swap" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Swap", &[SWAP, EXEC, KILL, RESOURCE])],
        ".path" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Path", &[PATH])],
        ".timer" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Timer", &[TIMER])],
        ".slice" => &[("Unit", &[UNIT]), ("Install", &[INSTALL]), ("Slice", &[RESOURCE])],
        ".scope" => &[("Unit", &[UNIT]), ("Scope", &[SCOPE, KILL, RESOURCE])],
        _ => &[("Unit", &[UNIT]), ("Install", &[INSTALL])],
    }
}

/// Checks a whole unit.
pub(super) fn check(name: &str, contents: &str, report: &mut Report, at: &At<'_>) {
    let kind = extension(name);
    let (mut starts, mut oneshot, mut stops, mut service) = (false, false, false, false);
    keys(kind, contents, report, at, |option| {
        service |= option.section == "Service";
        match (option.section, option.name) {
            ("Service", "ExecStart") => starts |= !option.value.is_empty(),
            ("Service", "ExecStop" | "SuccessAction") => stops = true,
            ("Service", "Type") => oneshot = option.value == "oneshot",
            _ => {}
        }
    });
    if kind == ".service" && service && !starts && !(oneshot && stops) {
        let message = format!("service {name} never starts anything: [Service] has no ExecStart=");
        report.warn("lint-service-without-exec", message, at);
    }
}

/// Checks what changes a unit.
pub(super) fn check_dropin(unit: &str, contents: &str, report: &mut Report, at: &At<'_>) {
    keys(extension(unit), contents, report, at, |_| {});
}

fn keys(kind: &str, contents: &str, report: &mut Report, at: &At<'_>, mut each: impl FnMut(UnitOption<'_>)) {
    let known = sections(kind);
    let mut complained: Vec<String> = Vec::new();
    let mut lines = LineCount::new(contents);
    // What is no unit was reported by validation.
    let _ = options(contents, |option| {
        each(option);
        if report.is_full() || option.section.starts_with("X-") || option.name.starts_with("X-") {
            return;
        }
        let line = lines.at(option.offset);
        let Some((_, tables)) = known.iter().find(|(section, _)| *section == option.section) else {
            if !complained.iter().any(|section| section == option.section) {
                complained.push(option.section.to_owned());
                let message = format!("line {line}: a {kind} unit has no section [{}]", option.section);
                let names = known.iter().map(|(section, _)| *section);
                say("lint-unit-unknown-section", message, option.section, names, report, at);
            }
            return;
        };
        if !tables.iter().any(|table| table.contains(&option.name)) {
            let message = format!("line {line}: [{}] has no {}=", option.section, option.name);
            let names = tables.iter().flat_map(|table| table.iter().copied());
            say("lint-unit-unknown-key", message, option.name, names, report, at);
        }
        value(option, line, report, at);
    });
}

/// Lines of octets that come in order.
pub(super) struct LineCount<'s> {
    text: &'s str,
    offset: usize,
    line: usize,
}

impl<'s> LineCount<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        Self { text, offset: 0, line: 1 }
    }

    pub(super) fn at(&mut self, offset: usize) -> usize {
        self.line += self.text.get(self.offset..offset).map_or(0, |text| text.matches('\n').count());
        self.offset = offset;
        self.line
    }
}

/// Values of a few keys that have few.
fn value(option: UnitOption<'_>, line: usize, report: &mut Report, at: &At<'_>) {
    let allowed: &[&str] = match (option.section, option.name) {
        ("Service", "Type") => TYPES,
        ("Service", "Restart") => RESTARTS,
        ("Install" | "Unit", "WantedBy" | "RequiredBy" | "After" | "Before" | "Requires" | "Wants") => {
            for unit in option.value.split_whitespace().filter(|unit| !unit.contains(['%', '.', '\\'])) {
                let message =
                    format!("line {line}: {}={unit} names no unit: it has no extension", option.name);
                report.warn("lint-unit-name", message, at);
            }
            return;
        }
        ("Service", "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecStop" | "ExecReload") => {
            let command = option.value.trim_start_matches(['-', '@', '+', '!', ':', '|']);
            if !command.is_empty()
                && !command.starts_with(['/', '%', '$', '"', '\'', '\\'])
                && command.starts_with('.')
            {
                let message = format!("line {line}: {}= needs an absolute path or a name", option.name);
                report.warn("lint-exec-path", message, at);
            }
            return;
        }
        _ => return,
    };
    if !option.value.is_empty() && !allowed.contains(&option.value) && !option.value.contains('%') {
        let message =
            format!("line {line}: {}={} is none of {}", option.name, option.value, allowed.join(", "));
        say("lint-unit-value", message, option.value, allowed.iter().copied(), report, at);
    }
}

/// Reports with the nearest known name as a hint.
pub(super) fn say<'n>(
    code: &'static str,
    message: String,
    name: &str,
    known: impl Iterator<Item = &'n str>,
    report: &mut Report,
    at: &At<'_>,
) {
    let hint = crate::text::nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    report.warn(code, message, at);
    if let Some(entry) = report.entries_mut().last_mut() {
        entry.hint = hint;
    }
}
