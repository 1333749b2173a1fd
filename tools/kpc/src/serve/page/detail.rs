//! One machine: what it is, what to do about it, its timeline, and the config that it would get.

use std::fmt::Write as _;
use std::sync::Arc;

use fleet::{Lifecycle, Machine, MachineStatus};
use hyper::{Response, StatusCode};

use super::html::{duration, escape};
use super::{HTML, table};
use crate::serve::http::{Body, fault, typed};
use crate::serve::operators::Operators;
use crate::serve::why::{self, Why};

/// A line of the timeline.
struct Line {
    at_ms: u64,
    attempt: u32,
    text: String,
    alarm: bool,
}

/// The answer to `GET /machine/NAME`; a part of a page where the script asks for it.
pub(super) async fn answer(operators: &Arc<Operators>, name: &str, part: bool) -> Response<Body> {
    let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else {
        return fault(StatusCode::BAD_REQUEST, "the name is not UTF-8");
    };
    let found = operators.state.read(|fleet, now| {
        let machine = fleet.machine_named(&name)?;
        let status =
            fleet.status_of(now, machine.id).filter(|status| status.lifecycle != Lifecycle::Retired)?;
        let timeline = fleet.timeline(machine.id).into_iter().map(|event| Line {
            at_ms: event.at.as_millis(),
            attempt: event.attempt,
            text: event.kind.line(),
            alarm: event.kind.is_alarm(),
        });
        Some((machine.clone(), status, timeline.collect::<Vec<_>>()))
    });
    let Some((machine, status, timeline)) = found else {
        return fault(StatusCode::NOT_FOUND, &format!("no machine is named {name}"));
    };
    let (for_why, who) = (Arc::clone(operators), status.name.clone());
    let why = tokio::task::spawn_blocking(move || why::why(&for_why.state, &for_why.store, &who)).await;
    let why = why.ok().and_then(Result::ok);
    let mut html = facts(&machine, &status);
    html.push_str(&lines(&timeline));
    if let Some(why) = why {
        html.push_str(&config(&why));
    }
    if !part {
        html = format!(
            "{}</head><body><main><p><a href=\"/\">All machines</a></p><div class=\"detail\">{html}</div></main></body></html>",
            table::HEAD
        );
    }
    typed(StatusCode::OK, HTML, html)
}

fn facts(machine: &Machine, status: &MachineStatus) -> String {
    let mut html = format!(
        "<h2>{}</h2><div>{}</div>{}",
        escape(&status.name),
        escape(&table::state(status)),
        table::bar(status)
    );
    if let Some(why) = &status.failed {
        let word = status.hint.map(|code| format!("<b class=\"mono\">{code}</b> ")).unwrap_or_default();
        let remedy = status.hint.map(|code| format!("{}<br>", escape(code.remedy()))).unwrap_or_default();
        let _ = write!(
            html,
            "<p class=\"hint\" role=\"note\">{word}{}<br>{remedy}{}</p>",
            escape(why),
            next_step(status)
        );
    }
    html.push_str("<dl>");
    let mut say = |word: &str, value: String| {
        if !value.is_empty() {
            let _ = write!(html, "<dt>{word}</dt><dd>{}</dd>", escape(&value));
        }
    };
    let text = |value: Option<String>| value.unwrap_or_default();
    let macs: Vec<String> = status.macs.iter().map(ToString::to_string).collect();
    say("MAC", macs.join(", "));
    say("UUID", text(status.uuid.map(|uuid| uuid.to_string())));
    say("Serial", text(machine.serial.clone()));
    say("Address", text(status.address.map(|address| address.to_string())));
    say("BMC", text(status.bmc.map(|bmc| bmc.to_string())));
    say("Power", text(status.power.map(|on| if on { "on" } else { "off" }.to_owned())));
    say("Rack", text(status.rack.clone()));
    say("Roles", status.roles.join(", "));
    if let Some(order) = &status.order {
        say("Order", format!("{}: profile {}, {}", order.id, order.profile, order.state));
    }
    html.push_str("</dl>");
    html
}

/// The verb that a person would use next.
fn next_step(status: &MachineStatus) -> String {
    let name = escape(&status.name);
    let verb = match (status.lifecycle, &status.order) {
        (Lifecycle::Conflict, _) => "resolve",
        (_, Some(_)) => "retry",
        (_, None) => "show",
    };
    format!("<span class=\"mono\">kpc {verb} {name}</span>")
}

fn lines(timeline: &[Line]) -> String {
    let mut html = String::from("<h3>Timeline</h3><table class=\"timeline\"><tbody>");
    let mut began = (u32::MAX, 0);
    for line in timeline {
        if line.attempt != began.0 {
            began = (line.attempt, line.at_ms);
            if line.attempt > 0 {
                let _ = write!(html, "<tr><td></td><td><b>Boot {}</b></td></tr>", line.attempt);
            }
        }
        let _ = write!(
            html,
            "<tr{}><td>+{}</td><td>{}</td></tr>",
            if line.alarm { " class=\"alarm\"" } else { "" },
            duration(line.at_ms.saturating_sub(began.1)),
            escape(&line.text)
        );
    }
    html.push_str("</tbody></table>");
    html
}

fn config(why: &Why) -> String {
    let mut html = format!("<h3>What it would get now</h3><p>{}</p><dl>", escape(&why.decision));
    let mut say = |word: &str, value: &str| {
        let _ = write!(html, "<dt>{word}</dt><dd>{}</dd>", escape(value));
    };
    if let Some(profile) = &why.profile {
        say("Profile", &format!("{profile}, named by its order"));
    }
    match &why.group {
        Some(group) => say("Group", &format!("{} because {}", group.group, group.selector)),
        None if why.profile.is_some() => {
            say("Group", "none selects it: templates see the fleet's facts alone")
        }
        None => {}
    }
    html.push_str("</dl>");
    for shown in &why.configs {
        let from =
            shown.template.as_deref().map(|file| format!(" from {}", escape(file))).unwrap_or_default();
        let body = match &shown.error {
            Some(error) => format!("<p class=\"hint\">{}</p>", escape(error)),
            None => format!("<pre tabindex=\"0\">{}</pre>", escape(&shown.text)),
        };
        let _ = write!(
            html,
            "<details id=\"config-{0}\"><summary><span class=\"mono\">/{0}</span>{from} <span class=\"quiet\">{1} octets</span></summary>{body}</details>",
            shown.endpoint, shown.octets
        );
    }
    html
}
