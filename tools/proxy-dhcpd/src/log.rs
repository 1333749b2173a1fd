//! Log lines: one for each answer, one for each request that got none.
//!
//! Answers may come in tens of thousands a second, so events do not go through `tracing`: each is written by hand into
//! a buffer, which a thread of its own carries to standard error ten times a second. A line is lost only when the
//! buffer is full, and their number is told.

use crate::args::{Args, LogFormat};
use proxy_dhcp::driver::{Event, Reason};
use proxy_dhcp::{Ignored, MacAddr};
use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// Octets that may wait to be written.
const CAPACITY: usize = 4 << 20;
/// How often they are.
const INTERVAL: Duration = Duration::from_millis(100);

/// Sends the program's own lines to standard error.
pub(crate) fn start(args: &Args) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match args.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Writes events.
#[derive(Debug)]
pub(crate) struct EventLog {
    level: LevelFilter,
    format: LogFormat,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    lost: u64,
    /// The second that `date` is of.
    second: u64,
    date: String,
}

impl EventLog {
    /// Nothing is written until [`Self::write_behind`] runs.
    pub(crate) fn new(args: &Args) -> Arc<Self> {
        Arc::new(Self { level: args.log_level, format: args.log_format, waiting: Mutex::default() })
    }

    /// Carries what waits to standard error for ever.
    pub(crate) fn write_behind(self: Arc<Self>) {
        std::thread::spawn(move || {
            let mut lines = String::new();
            loop {
                std::thread::sleep(INTERVAL);
                self.flush(&mut lines);
            }
        });
    }

    /// Carries what waits to standard error now.
    pub(crate) fn flush(&self, lines: &mut String) {
        lines.clear();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(lines, &mut waiting.lines);
        let lost = std::mem::take(&mut waiting.lost);
        drop(waiting);
        let _ = std::io::stderr().write_all(lines.as_bytes()); // nobody to tell
        if lost > 0 {
            tracing::warn!(lost, "log lines lost: they come faster than they are read");
        }
    }

    /// Logs one event. What concerns no network boot is for `debug`; what a person should look at is a warning.
    pub(crate) fn event(&self, event: &Event<'_>) {
        match event {
            Event::Offered {
                mac, arch, stage, file, interface, port, message, to, rule, loaders, ..
            } => {
                let to_print: [(&str, &dyn Display); 9] = [
                    ("mac", mac),
                    ("arch", arch),
                    ("stage", stage),
                    ("message", message),
                    ("file", file.as_ref().map_or(&"", |file| file)),
                    ("rule", rule),
                    ("interface", interface),
                    ("port", &port.number()),
                    ("to", to),
                ];
                self.line(Level::INFO, "answered", &to_print);
                if *loaders > 2 {
                    let fields: [(&str, &dyn Display); 2] = [("mac", mac), ("loaders", loaders)];
                    self.line(
                        Level::WARN,
                        "the loader seems to load itself: it never asked as iPXE",
                        &fields,
                    );
                }
            }
            Event::Ignored { mac, interface, port, reason } => {
                let mac = mac.unwrap_or(MacAddr([0; 6]));
                let fields: [(&str, &dyn Display); 4] =
                    [("mac", &mac), ("interface", interface), ("port", &port.number()), ("reason", reason)];
                self.line(severity(reason), "not answered", &fields);
            }
            Event::Stuck { finding } => {
                let arch = finding.arch.map_or_else(String::new, |arch| arch.to_string());
                let fields: [(&str, &dyn Display); 3] =
                    [("mac", &finding.mac), ("arch", &arch), ("why", &finding.missing)];
                self.line(Level::WARN, "stuck", &fields);
            }
            Event::RouterSolicitationAnswered { mac, interface } => {
                let fields: [(&str, &dyn Display); 2] = [("mac", mac), ("interface", interface)];
                self.line(Level::INFO, "told that there is no IPv6 router", &fields);
            }
            Event::ForeignResponder { server, interface, .. } => {
                let fields: [(&str, &dyn Display); 2] = [("server", server), ("interface", interface)];
                self.line(Level::WARN, "another PXE responder answers on this network", &fields);
            }
            Event::Failed { doing, interface, error } => {
                let fields: [(&str, &dyn Display); 3] =
                    [("interface", interface), ("doing", doing), ("error", error)];
                self.line(Level::WARN, "failed", &fields);
            }
            _ => {}
        }
    }

    fn line(&self, level: Level, text: &str, fields: &[(&str, &dyn Display)]) {
        if level > self.level {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() > CAPACITY {
            waiting.lost += 1;
            return;
        }
        let micros = waiting.tick();
        let Waiting { lines, date, .. } = &mut *waiting;
        let _ = match self.format {
            LogFormat::Text => write_text(lines, date, micros, level, text, fields),
            LogFormat::Json => write_json(lines, date, micros, level, text, fields),
        };
    }
}

impl Waiting {
    /// Brings the date up to now and gives the microseconds behind it.
    #[expect(clippy::disallowed_methods, reason = "a log line carries the time")]
    fn tick(&mut self) -> u32 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.second != now.as_secs() || self.date.is_empty() {
            self.second = now.as_secs();
            self.date.clear();
            let (year, month, day) = civil(now.as_secs() / 86_400);
            let (hour, minute, second) = (self.second / 3600 % 24, self.second / 60 % 60, self.second % 60);
            let _ = write!(self.date, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        }
        now.subsec_micros()
    }
}

/// The date of a day counted from 1970-01-01 (the proleptic Gregorian calendar, eras of 400 years from March).
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

fn severity(reason: &Reason<'_>) -> Level {
    match reason {
        Reason::Ignored(
            Ignored::NotNetworkBoot | Ignored::NotForProxy(_) | Ignored::NotRequest | Ignored::NoMessageType,
        )
        | Reason::NotForUs(_) => Level::DEBUG,
        _ => Level::WARN,
    }
}

fn write_text(
    out: &mut String,
    date: &str,
    micros: u32,
    level: Level,
    text: &str,
    fields: &[(&str, &dyn Display)],
) -> fmt::Result {
    write!(out, "{date}.{micros:06}Z {level:>5} {text}")?;
    for (name, value) in fields {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        write!(Escaped(out), "{value}")?;
    }
    out.push('\n');
    Ok(())
}

fn write_json(
    out: &mut String,
    date: &str,
    micros: u32,
    level: Level,
    text: &str,
    fields: &[(&str, &dyn Display)],
) -> fmt::Result {
    write!(
        out,
        "{{\"timestamp\":\"{date}.{micros:06}Z\",\"level\":\"{level}\",\"message\":\"{text}\",\"fields\":{{"
    )?;
    for (number, (name, value)) in fields.iter().enumerate() {
        out.push_str(if number == 0 { "\"" } else { ",\"" });
        out.push_str(name);
        out.push_str("\":\"");
        write!(Escaped(out), "{value}")?;
        out.push('"');
    }
    out.push_str("}}\n");
    Ok(())
}

/// Escapes what would break a line of JSON or text; names from the wire may hold anything.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f;
        if text.bytes().all(plain) {
            self.0.push_str(text);
            return Ok(());
        }
        for char in text.chars() {
            match char {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                char if char.is_control() => write!(self.0, "\\u{:04x}", u32::from(char))?,
                char => self.0.push(char),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (day, date) in [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (20_779, (2026, 11, 22))] {
            assert_eq!(civil(day), date);
        }
    }

    #[test]
    fn lines_hold_whatever_comes() {
        let mut out = String::new();
        write_json(
            &mut out,
            "D",
            7,
            Level::INFO,
            "answered",
            &[("file", &"a\"b\\c\n\u{7f}ü"), ("port", &67)],
        )
        .unwrap();
        let expected = "{\"timestamp\":\"D.000007Z\",\"level\":\"INFO\",\"message\":\"answered\",\"fields\":\
            {\"file\":\"a\\\"b\\\\c\\u000a\\u007fü\",\"port\":\"67\"}}\n";
        assert_eq!(out, expected);
        out.clear();
        write_text(&mut out, "D", 7, Level::WARN, "stuck", &[("why", &"x\ny")]).unwrap();
        assert_eq!(out, "D.000007Z  WARN stuck why=x\\u000ay\n");
    }
}
