//! The table of machines: whole for a browser without script, row by row for one with.

use std::fmt::Write as _;

use fleet::attempt::Phase;
use fleet::unknown::Unknown;
use fleet::{Hint, Lifecycle, MachineStatus};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::html::{duration, escape, minutes};

/// What of a name is written otherwise in a segment of a path: all but the unreserved characters (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The beginning of every page.
pub(super) const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>kpc</title>\
    <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/page.css\">";

/// Unknown machines that are listed; the rest are counted.
const MAX_UNKNOWN: usize = 50;

/// Upper bounds of the colours of a phase's duration, in milliseconds.
const COLOURS: [(u64, &str); 4] =
    [(1000, "up to 1 s"), (5000, "up to 5 s"), (20_000, "up to 20 s"), (60_000, "up to 1 min")];

/// What of a machine is told by a class and chosen by a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    All,
    Failed,
    Underway,
    Registered,
    Idle,
}

impl Show {
    const ALL: [Self; 5] = [Self::All, Self::Underway, Self::Failed, Self::Registered, Self::Idle];

    /// The filter of a link: `?show=failed`.
    pub(super) fn from_query(query: &str) -> Self {
        let word = query.strip_prefix("show=").unwrap_or_default();
        Self::ALL.into_iter().find(|show| show.word() == word).unwrap_or(Self::All)
    }

    /// The filter that shows a machine.
    pub(super) fn of(machine: &MachineStatus) -> Self {
        let open = machine
            .order
            .as_ref()
            .is_some_and(|order| ["armed", "claimed", "granted"].contains(&&*order.state));
        match machine.lifecycle {
            _ if machine.failed.is_some() => Self::Failed,
            Lifecycle::Registered if !open || machine.phase == Some(Phase::Registered) => Self::Registered,
            _ if open => Self::Underway,
            _ => Self::Idle,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failed => "failed",
            Self::Underway => "underway",
            Self::Registered => "registered",
            Self::Idle => "idle",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Underway => "under way",
            Self::All | Self::Failed | Self::Registered | Self::Idle => self.word(),
        }
    }
}

/// Whether the row changes while nothing happens.
pub(super) fn is_under_way(machine: &MachineStatus) -> bool {
    Show::of(machine) == Show::Underway && machine.attempt > 0
}

/// How many machines each filter shows, by its word.
pub(super) fn counts(machines: impl Iterator<Item = Show>) -> serde_json::Map<String, serde_json::Value> {
    let mut counts = Show::ALL.map(|show| (show, 0_usize));
    for of in machines {
        counts
            .iter_mut()
            .filter(|(show, _)| *show == Show::All || *show == of)
            .for_each(|(_, count)| *count += 1);
    }
    counts.into_iter().map(|(show, count)| (show.word().to_owned(), count.into())).collect()
}

/// The whole page.
pub(super) fn page(
    machines: &[MachineStatus],
    unknown: &[Unknown],
    notices: &[Hint],
    chosen: Show,
) -> String {
    let counts = counts(machines.iter().map(Show::of));
    let mut html = format!(
        "{HEAD}<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript></head><body>\
         <a class=\"skip\" href=\"#machines\">To the machines</a><header><h1>kpc</h1><nav aria-label=\"Filter\">"
    );
    for show in Show::ALL {
        let current = if show == chosen { " aria-current=\"true\"" } else { "" };
        let _ = write!(
            html,
            "<a class=\"{0}\" href=\"/?show={0}\" data-show=\"{0}\"{current}><b id=\"count-{0}\">{1}</b> {2}</a>",
            show.word(),
            counts.get(show.word()).cloned().unwrap_or_default(),
            show.label(),
        );
    }
    let _ = write!(
        html,
        "</nav><input id=\"find\" type=\"search\" placeholder=\"Find\" aria-label=\"Find a machine\" hidden>\
         <span id=\"feed\" role=\"status\">as of now</span></header><main>"
    );
    for notice in notices {
        let _ = write!(
            html,
            "<p class=\"alarm\" role=\"alert\"><b class=\"mono\">{}</b> {}<br>{}</p>",
            notice.code,
            escape(&notice.text),
            escape(notice.code.remedy())
        );
    }
    let _ = write!(
        html,
        "<table><caption>Each bar is the last boot, phase by phase, as long as it took.</caption>\
         <thead><tr><th scope=\"col\">Machine</th><th scope=\"col\">State</th><th scope=\"col\" class=\"phases\">Phases</th>\
         <th scope=\"col\" class=\"elapsed\">Elapsed</th><th scope=\"col\" class=\"address\">Address</th><th scope=\"col\">Note</th></tr></thead>\
         <tbody id=\"machines\" data-show=\"{}\">",
        chosen.word()
    );
    machines.iter().for_each(|machine| html.push_str(&row(machine)));
    if machines.is_empty() {
        html.push_str("<tr class=\"none\"><td colspan=\"6\" class=\"note\">No machine yet. <span class=\"mono\">kpc machine add</span> or <span class=\"mono\">kpc bmc scan</span> brings the first.</td></tr>");
    }
    html.push_str("</tbody></table>");
    html.push_str(&strangers(unknown));
    html.push_str("</main><footer><ul class=\"key\" aria-label=\"Colours of a phase by its duration\">");
    let labels = COLOURS.iter().map(|(_, label)| *label).chain(["longer"]);
    for (at, label) in labels.enumerate() {
        let _ = write!(
            html,
            "<li><svg viewBox=\"0 0 8 8\" aria-hidden=\"true\"><rect class=\"d{at}\" width=\"8\" height=\"8\"/></svg>{label}</li>"
        );
    }
    html.push_str(
        "</ul><span><kbd>j</kbd> <kbd>k</kbd> machine, <kbd>Enter</kbd> open, <kbd>/</kbd> find, <kbd>Esc</kbd> close</span></footer>\
         <div id=\"say\" class=\"say\" role=\"alert\"></div>\
         <dialog id=\"panel\" aria-label=\"Machine\"><button id=\"close\" class=\"close\" type=\"button\">Close</button><div id=\"detail\" class=\"detail\"></div></dialog>\
         <script src=\"/page.js\" defer></script></body></html>",
    );
    html
}

/// Who network-boots here and is no machine of ours.
fn strangers(unknown: &[Unknown]) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<details><summary>{} not ours, heard on the wire and left alone</summary><table><thead><tr><th scope=\"col\">MAC</th>\
         <th scope=\"col\">Address</th><th scope=\"col\">UUID</th><th scope=\"col\">Times heard</th></tr></thead><tbody>",
        unknown.len()
    );
    for stranger in unknown.iter().rev().take(MAX_UNKNOWN) {
        let _ = write!(
            html,
            "<tr><th scope=\"row\" class=\"mono\">{}</th><td class=\"mono\">{}</td><td class=\"mono\">{}</td><td>{}</td></tr>",
            stranger.mac,
            stranger.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            stranger.uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
            stranger.times
        );
    }
    html.push_str("</tbody></table></details>");
    html
}

/// One machine's row.
pub(super) fn row(machine: &MachineStatus) -> String {
    let name = escape(&machine.name);
    let note = escape(machine.failed.as_deref().unwrap_or(&machine.note));
    let note = match machine.hint {
        Some(code) => format!("<b class=\"mono\" title=\"{}\">{code}</b> {note}", escape(code.remedy())),
        None => note,
    };
    format!(
        "<tr class=\"{class}\" data-name=\"{name}\" data-ms=\"{ms}\"><th scope=\"row\"><a href=\"/machine/{link}\">{name}</a>\
         <div class=\"mono quiet\">{mac}</div></th><td class=\"state\"><span>{state}</span></td><td class=\"phases\">{bar}</td>\
         <td class=\"elapsed\">{elapsed}</td><td class=\"address mono\">{address}</td><td class=\"note\">{note}</td></tr>",
        class = Show::of(machine).word(),
        ms = machine.elapsed_ms,
        link = utf8_percent_encode(&machine.name, SEGMENT),
        mac = machine.macs.first().map(ToString::to_string).unwrap_or_default(),
        state = escape(&state(machine)),
        bar = bar(machine),
        elapsed = if machine.attempt > 0 { minutes(machine.elapsed_ms) } else { String::new() },
        address = machine.address.map(|address| address.to_string()).unwrap_or_default(),
        note = note,
    )
}

/// The state in a few words.
pub(super) fn state(machine: &MachineStatus) -> String {
    let phase = machine.phase.map_or("", Phase::words);
    match (Show::of(machine), machine.progress) {
        (Show::Failed, _) if phase.is_empty() => machine.lifecycle.word().to_owned(),
        (Show::Failed, _) => format!("failed at {phase}"),
        (Show::Underway, Some(percent)) if machine.phase == Some(Phase::Writing) => {
            format!("writing {percent} %")
        }
        (Show::Underway, _) if phase.is_empty() => "ordered".to_owned(),
        (Show::Underway, _) => phase.to_owned(),
        (Show::All | Show::Registered | Show::Idle, _) => machine.lifecycle.word().to_owned(),
    }
}

/// One segment a phase, as wide as it lasted and coloured by how long that was; read out as text.
pub(super) fn bar(machine: &MachineStatus) -> String {
    if machine.phases.is_empty() {
        return String::new();
    }
    let total = machine.elapsed_ms.max(1);
    let (mut segments, mut words) = (String::new(), Vec::new());
    for (at, reached) in machine.phases.iter().enumerate() {
        let next = machine.phases.get(at + 1);
        let end = next.map_or(machine.elapsed_ms, |next| next.after_ms);
        let lasted = end.saturating_sub(reached.after_ms);
        if reached.phase == Phase::Registered {
            words.push("registered".to_owned());
            continue;
        }
        words.push(format!("{} {}", reached.phase.words(), duration(lasted)));
        let now = if next.is_none() && is_under_way(machine) { " now" } else { "" };
        let _ = write!(
            segments,
            "<rect class=\"d{colour}{now}\" x=\"{x}\" width=\"{width}\" height=\"10\"><title>{title}</title></rect>",
            colour = COLOURS.iter().take_while(|(most, _)| lasted > *most).count(),
            x = 1000 * reached.after_ms / total,
            width = (1000 * lasted / total).saturating_sub(2).max(1),
            title = words.last().map(String::as_str).unwrap_or_default(),
        );
    }
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{segments}</svg>",
        words.join(", ")
    )
}

/// What a browser gets that has not signed in.
pub(super) fn login_form(fault: &str) -> String {
    let fault = if fault.is_empty() {
        String::new()
    } else {
        format!("<p class=\"alarm\" role=\"alert\">{}</p>", escape(fault))
    };
    format!(
        "{HEAD}</head><body><main><form class=\"signin\" method=\"post\" action=\"/login\"><h1>kpc</h1>{fault}\
         <label for=\"token\">The token in the file <span class=\"mono\">page-token</span> of the server's data folder:</label>\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"off\" autofocus required>\
         <button>Sign in</button></form></main></body></html>"
    )
}
