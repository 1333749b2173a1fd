//! Log lines: one for each answer, one for each request that got none.
//!
//! Answers may come in tens of thousands a second, so events do not go through `tracing`: each is written by hand into
//! a buffer, which a thread of its own carries to standard error, ten times a second and more often where many come. A
//! line is lost only when the buffer is full, and their number is told.

use crate::args::Args;
use daemon::log::LogFormat;
use proxy_dhcp::driver::{Event, Reason};
use proxy_dhcp::wire::MessageType;
use proxy_dhcp::{BootFile, ClientArch, Ignored, MacAddr, Port, Stage};
use rustix::time::{ClockId, clock_gettime};
use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use Value::{Number, Text};

/// Octets that may wait to be written.
const CAPACITY: usize = 4 << 20;
/// How often they are at least and at most,
const INTERVAL: Duration = Duration::from_millis(100);
const BUSY: Duration = Duration::from_millis(1);
/// and between these when so many wait: what waits is to stay in the processor's cache until then.
const MANY: usize = 512 << 10;

/// What a field holds.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a dyn Display),
    Number(u64),
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
    lines: Vec<u8>,
    lost: u64,
    /// The second that `date` is of.
    second: u64,
    date: String,
    last: Last,
    /// A line while it is written.
    line: String,
}

/// What an answer's line says beside time and address.
#[derive(Clone, Copy, Eq, PartialEq)]
struct About<'a> {
    fixed: (ClientArch, Stage, MessageType, Port, SocketAddrV4),
    file: Option<BootFile<'a>>,
    rule: &'a str,
    interface: &'a str,
}

impl<'a> About<'a> {
    fn of(event: &Event<'a>) -> Option<Self> {
        let Event::Offered { arch, stage, message, port, to, file, rule, interface, .. } = *event else {
            return None;
        };
        Some(Self { fixed: (arch, stage, message, port, to), file, rule, interface })
    }
}

/// The line of the answer before. Most lines of a second differ from it in the milliseconds and the address only.
#[derive(Debug, Default)]
struct Last {
    fixed: Option<(ClientArch, Stage, MessageType, Port, SocketAddrV4)>,
    file: Option<(String, Ipv4Addr)>,
    rule: String,
    interface: String,
    second: u64,
    line: String,
    /// Where in it the milliseconds are, and the address.
    millis: Range<usize>,
    mac: Range<usize>,
}

impl Last {
    fn is(&self, about: &About<'_>, second: u64) -> bool {
        let file = self.file.as_ref().map(|(template, server)| (template.as_str(), *server));
        self.second == second
            && self.fixed == Some(about.fixed)
            && file == about.file.map(|file| (file.template(), file.server()))
            && self.rule == about.rule
            && self.interface == about.interface
    }

    fn become_that(&mut self, about: &About<'_>, second: u64, date: &str, format: LogFormat) {
        self.second = second;
        self.fixed = Some(about.fixed);
        self.file = about.file.map(|file| (file.template().to_owned(), file.server()));
        self.rule = about.rule.to_owned();
        self.interface = about.interface.to_owned();
        let (arch, stage, message, port, to) = about.fixed;
        let file = about.file.map_or_else(String::new, |file| file.to_string());
        let unset = MacAddr([0; 6]).to_string();
        let fields = [
            ("mac", Text(&unset)),
            ("arch", Text(&arch)),
            ("stage", Text(&stage)),
            ("type", Text(&message)),
            ("file", Text(&file)),
            ("rule", Text(&about.rule)),
            ("interface", Text(&about.interface)),
            ("port", Number(port.number().into())),
            ("to", Text(&to)),
        ];
        // Most answers are broadcast; that need not be said.
        let told = if to.ip().is_broadcast() { fields.len() - 1 } else { fields.len() };
        let line = &mut self.line;
        line.clear();
        write_line(line, format, date, 0, Level::INFO, "answered", fields.get(..told).unwrap_or(&fields));
        // The line begins with the date, and the address is its first field.
        let millis = line.find(date).map_or(0, |at| at + date.len() + 1);
        let mac = line.find(&unset).unwrap_or_default();
        (self.millis, self.mac) = (millis..millis + 3, mac..mac + unset.len());
    }

    /// Appends the line, with these milliseconds and this address in it.
    fn write(&self, lines: &mut Vec<u8>, millis: u32, mac: MacAddr) {
        let start = lines.len();
        lines.extend_from_slice(self.line.as_bytes());
        let Some(line) = lines.get_mut(start..) else { return };
        for (place, digit) in
            line.get_mut(self.millis.clone()).into_iter().flatten().zip([millis / 100, millis / 10, millis])
        {
            *place = b'0' + u8::try_from(digit % 10).unwrap_or_default();
        }
        let places = line.get_mut(self.mac.clone()).unwrap_or_default();
        for (place, octet) in places.chunks_mut(3).zip(mac.0) {
            if let [high, low, ..] = place {
                (*high, *low) = (hexadecimal(octet >> 4), hexadecimal(octet & 15));
            }
        }
    }
}

fn hexadecimal(digit: u8) -> u8 {
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}

impl EventLog {
    /// Nothing is written until [`Self::write_behind`] runs.
    pub(crate) fn new(args: &Args) -> Arc<Self> {
        Arc::new(Self { level: args.log_level, format: args.log_format, waiting: Mutex::default() })
    }

    /// Carries what waits to standard error for ever.
    pub(crate) fn write_behind(self: Arc<Self>) {
        std::thread::spawn(move || {
            let (mut lines, mut interval) = (Vec::new(), INTERVAL);
            loop {
                std::thread::sleep(interval);
                self.flush(&mut lines);
                interval = next_interval(interval, lines.len());
            }
        });
    }

    /// Carries what waits to standard error now.
    pub(crate) fn flush(&self, lines: &mut Vec<u8>) {
        lines.clear();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(lines, &mut waiting.lines);
        let lost = std::mem::take(&mut waiting.lost);
        drop(waiting);
        let _ = std::io::stderr().write_all(lines); // nobody to tell
        if lost > 0 {
            tracing::warn!(lost, "log lines lost: they come faster than they are read");
        }
    }

    /// Logs one event. What concerns no network boot is for `debug`; what a person should look at is a warning.
    pub(crate) fn event(&self, event: &Event<'_>) {
        match event {
            Event::Offered { mac, loaders, .. } => {
                self.answered(*mac, event);
                if *loaders > 2 {
                    let fields = [("mac", Text(mac)), ("loaders", Number(u64::from(*loaders)))];
                    self.line(
                        Level::WARN,
                        "the loader seems to load itself: it never asked as iPXE",
                        &fields,
                    );
                }
            }
            Event::Ignored { mac, interface, port, reason } => {
                let mac = mac.unwrap_or(MacAddr([0; 6]));
                let fields = [
                    ("mac", Text(&mac)),
                    ("interface", Text(interface)),
                    ("port", Number(port.number().into())),
                    ("reason", Text(reason)),
                ];
                self.line(severity(reason), "not answered", &fields);
            }
            Event::Stuck { finding } => {
                let arch = finding.arch.map_or_else(String::new, |arch| arch.to_string());
                let fields =
                    [("mac", Text(&finding.mac)), ("arch", Text(&arch)), ("why", Text(&finding.missing))];
                self.line(Level::WARN, "stuck", &fields);
            }
            Event::RouterSolicitationAnswered { mac, interface } => {
                let fields = [("mac", Text(mac)), ("interface", Text(interface))];
                self.line(Level::INFO, "told that there is no IPv6 router", &fields);
            }
            Event::ForeignResponder { server, interface, .. } => {
                let fields = [("server", Text(server)), ("interface", Text(interface))];
                self.line(Level::WARN, "another PXE responder answers on this network", &fields);
            }
            Event::Failed { doing, interface, error } => {
                let fields = [("interface", Text(interface)), ("doing", Text(doing)), ("error", Text(error))];
                self.line(Level::WARN, "failed", &fields);
            }
            _ => {}
        }
    }

    /// The line of an answer. All of it but time and address is the same for most machines: it is kept.
    fn answered(&self, mac: MacAddr, event: &Event<'_>) {
        let Some(about) = About::of(event).filter(|_| Level::INFO <= self.level) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() > CAPACITY {
            waiting.lost += 1;
            return;
        }
        let millis = waiting.tick();
        let Waiting { lines, date, second, last, .. } = &mut *waiting;
        if !last.is(&about, *second) {
            last.become_that(&about, *second, date, self.format);
        }
        last.write(lines, millis, mac);
    }

    fn line(&self, level: Level, text: &str, fields: &[(&str, Value<'_>)]) {
        if level > self.level {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() > CAPACITY {
            waiting.lost += 1;
            return;
        }
        let millis = waiting.tick();
        let Waiting { lines, date, line, .. } = &mut *waiting;
        line.clear();
        write_line(line, self.format, date, millis, level, text, fields);
        lines.extend_from_slice(line.as_bytes());
    }
}

impl Waiting {
    /// Brings the date up to now and gives the milliseconds behind it. The clock is the coarse one: it moves with the
    /// system's tick, every few milliseconds, and is cheap.
    fn tick(&mut self) -> u32 {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        if self.second != seconds || self.date.is_empty() {
            self.second = seconds;
            self.date.clear();
            let (year, month, day) = civil(seconds / 86_400);
            let (hour, minute, second) = (self.second / 3600 % 24, self.second / 60 % 60, self.second % 60);
            let _ = write!(self.date, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        }
        u32::try_from(now.tv_nsec / 1_000_000).unwrap_or_default()
    }
}

/// How long until about [`MANY`] octets wait, after `octets` came in `interval`.
fn next_interval(interval: Duration, octets: usize) -> Duration {
    interval.mul_f64(MANY as f64 / octets.max(1) as f64).clamp(BUSY, INTERVAL)
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

fn write_line(
    out: &mut String,
    format: LogFormat,
    date: &str,
    millis: u32,
    level: Level,
    text: &str,
    fields: &[(&str, Value<'_>)],
) {
    let _ = match format {
        LogFormat::Text => write_text(out, date, millis, level, text, fields),
        LogFormat::Json => write_json(out, date, millis, level, text, fields),
    }; // a String takes everything
}

fn write_text(
    out: &mut String,
    date: &str,
    millis: u32,
    level: Level,
    text: &str,
    fields: &[(&str, Value<'_>)],
) -> fmt::Result {
    write!(out, "{date}.{millis:03}Z {level:>5} {text}")?;
    for (name, value) in fields {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        match value {
            Number(value) => write!(out, "{value}")?,
            Text(value) => write!(Escaped(out), "{value}")?,
        }
    }
    out.push('\n');
    Ok(())
}

fn write_json(
    out: &mut String,
    date: &str,
    millis: u32,
    level: Level,
    text: &str,
    fields: &[(&str, Value<'_>)],
) -> fmt::Result {
    write!(out, "{{\"timestamp\":\"{date}.{millis:03}Z\",\"level\":\"{level}\",\"message\":\"{text}\"")?;
    for (name, value) in fields {
        write!(out, ",\"{name}\":")?;
        match value {
            Number(value) => write!(out, "{value}")?,
            Text(value) => {
                out.push('"');
                write!(Escaped(out), "{value}")?;
                out.push('"');
            }
        }
    }
    out.push_str("}\n");
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
    fn answers_are_whole_lines_in_both_formats() {
        use clap::Parser as _;
        let program = proxy_dhcp::BootProgram::new("http://{server}/\"x\"");
        let offered = |octet, port| Event::Offered {
            mac: MacAddr([0x52, 0x54, 0, 0xab, 9, octet]),
            uuid: None,
            arch: ClientArch::Bios,
            stage: Stage::Ipxe,
            file: Some(program.file_for([10, 0, 0, 1].into())),
            interface: "eth0",
            port,
            message: MessageType::Offer,
            to: SocketAddrV4::new([10, 0, 0, 9].into(), 68),
            rule: "r",
            loaders: 0,
        };
        let mut to_all = offered(16, Port::Dhcp);
        if let Event::Offered { to, .. } = &mut to_all {
            to.set_ip(Ipv4Addr::BROADCAST);
        }
        let text = r#"Z  INFO answered mac=52:54:00:ab:09:0f arch=bios stage=iPXE type=DHCPOFFER file=http://10.0.0.1/\"x\" rule=r interface=eth0 port=4011 to=10.0.0.9:68"#;
        let json = r#""message":"answered","mac":"52:54:00:ab:09:0f","arch":"bios","stage":"iPXE","type":"DHCPOFFER","file":"http://10.0.0.1/\"x\"","rule":"r","interface":"eth0","port":4011,"to":"10.0.0.9:68"}"#;
        for (format, wanted) in [("text", text), ("json", json)] {
            let log = EventLog::new(&Args::parse_from(["proxy-dhcpd", "--log-format", format]));
            for (octet, port) in [(1, Port::Dhcp), (2, Port::Dhcp), (15, Port::BootServer)] {
                log.event(&offered(octet, port));
            }
            let lines = String::from_utf8(log.waiting.lock().unwrap().lines.clone()).unwrap();
            assert_eq!(lines.lines().count(), 3, "{lines}");
            let last = lines.lines().last().unwrap();
            assert!(last.ends_with(wanted), "{last}");
            log.event(&to_all);
            let lines = String::from_utf8(log.waiting.lock().unwrap().lines.clone()).unwrap();
            let last = lines.lines().last().unwrap();
            assert!(last.contains("eth0") && !last.contains("255.255.255.255"), "{last}");
        }
    }

    #[test]
    fn what_waits_stays_small() {
        assert_eq!(next_interval(INTERVAL, 0), INTERVAL);
        assert_eq!(next_interval(BUSY, 300), INTERVAL);
        // 100 MB a second
        let next = next_interval(Duration::from_millis(10), 1_000_000);
        assert_eq!(next.as_micros(), 5242);
        assert_eq!(next_interval(next, MANY), next);
        assert_eq!(next_interval(INTERVAL, usize::MAX), BUSY);
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
            &[("file", Text(&"a\"b\\c\n\u{7f}ü")), ("port", Number(67))],
        )
        .unwrap();
        let expected = "{\"timestamp\":\"D.007Z\",\"level\":\"INFO\",\"message\":\"answered\",\
            \"file\":\"a\\\"b\\\\c\\u000a\\u007fü\",\"port\":67}\n";
        assert_eq!(out, expected);
        out.clear();
        write_text(&mut out, "D", 7, Level::WARN, "stuck", &[("why", Text(&"x\ny"))]).unwrap();
        assert_eq!(out, "D.007Z  WARN stuck why=x\\u000ay\n");
    }
}
