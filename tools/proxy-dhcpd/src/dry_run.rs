//! `--dry-run`: what each recorded packet would get and why, and what each machine's boot was missing.

use proxy_dhcp::capture::{Capture, NotACapture};
use proxy_dhcp::why::Why;
use proxy_dhcp::wire::frame::UdpFrame;
use proxy_dhcp::wire::{Message, Op, code};
use proxy_dhcp::{Arrival, BootRequest, Policy, Port, Responder, Subnet};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Why a recording could not be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DryRunError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Parse { path: PathBuf, source: NotACapture },
    #[error("writing: {0}")]
    Write(#[from] io::Error),
}

/// Machines whose boot is followed at a time.
const MACHINES: usize = 4096;
/// After the end of the recording, how long a machine may still go on before it counts as stuck.
const AFTERWARDS: Duration = Duration::from_secs(120);

/// Explains a recording on `out`. Without `address`, ours is taken to be that of the server that answered.
#[expect(clippy::disallowed_methods, reason = "the recording's times are counted from some instant")]
pub(crate) fn explain(
    path: PathBuf,
    policy: Policy,
    address: Option<Ipv4Addr>,
    out: &mut impl Write,
) -> Result<(), DryRunError> {
    let file = std::fs::read(&path).map_err(|source| DryRunError::Read { path: path.clone(), source })?;
    let open = || Capture::parse(&file).map_err(|source| DryRunError::Parse { path: path.clone(), source });
    let ours =
        address.or_else(|| open().ok().and_then(answering_server)).unwrap_or(Ipv4Addr::new(192, 0, 2, 1));
    writeln!(out, "our address: {ours} (--address gives another)")?;
    let subnets = [Subnet { address: ours, mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let responder = Responder::new(policy);
    let (mut why, base) = (Why::new(MACHINES, 0).server(ours), Instant::now());
    let mut begin = None;
    let mut now = base;
    for packet in open()? {
        let Ok(frame) = packet.udp() else { continue };
        now = now.max(base + packet.at.saturating_sub(*begin.get_or_insert(packet.at)));
        tell(&mut why, now, base, out)?;
        why.see(now, &frame);
        let at = (now - base).as_secs_f64();
        if let Some(line) = verdict(&responder, &subnets, &frame) {
            writeln!(out, "{at:9.3}  {line}")?;
        }
    }
    tell(&mut why, now + AFTERWARDS, base, out)
}

/// Findings that were due before `now`.
fn tell(why: &mut Why, now: Instant, base: Instant, out: &mut impl Write) -> Result<(), DryRunError> {
    while let Some(due) = why.poll_timeout().filter(|due| *due <= now) {
        while let Some(finding) = why.poll_finding(due) {
            let at = due.saturating_duration_since(base).as_secs_f64();
            let arch = finding.arch.map(|arch| format!(" ({arch})")).unwrap_or_default();
            writeln!(out, "{at:9.3}  {}{arch} STUCK: {}", finding.mac, finding.missing)?;
        }
    }
    Ok(())
}

/// One line about a datagram to port 67 or 4011.
fn verdict(responder: &Responder, subnets: &[Subnet], frame: &UdpFrame<'_>) -> Option<String> {
    let port = match frame.destination.port() {
        67 => Port::Dhcp,
        4011 => Port::BootServer,
        _ => return None,
    };
    let message = match Message::parse(frame.payload) {
        Ok(message) => message,
        Err(error) => return Some(format!("{} to port {}: {error}", frame.source, port.number())),
    };
    if message.op != Op::Request {
        return None;
    }
    let arrival = Arrival { interface: "capture", subnets, port, source: frame.source };
    let request = BootRequest::new(message, arrival);
    let mac = request.mac().map(|mac| mac.to_string()).unwrap_or_default();
    let kind = request.message_type.map_or_else(|| "BOOTP".to_owned(), |kind| kind.to_string());
    let asked = format!("{mac} {kind} to port {}", port.number());
    Some(match responder.respond(&request) {
        Ok(reply) => {
            let file = reply.file().map_or_else(|| "no file yet".to_owned(), |file| format!("`{file}`"));
            let menu = if reply.is_menu() { ", a menu" } else { "" };
            format!(
                "{asked}: {} to {}: {file}{menu} (rule `{}`, {} {})",
                reply.message(),
                reply.destination().address(),
                reply.rule(),
                reply.arch(),
                reply.stage()
            )
        }
        Err(why) => format!("{asked}: no answer: {why}"),
    })
}

/// Who answered PXE clients in a recording, else who leased addresses.
fn answering_server(capture: Capture<'_>) -> Option<Ipv4Addr> {
    let mut lease = None;
    for packet in capture {
        let Ok(frame) = packet.udp() else { continue };
        let Ok(message) = Message::parse(frame.payload) else { continue };
        if message.op == Op::Reply && matches!(frame.source.port(), 67 | 4011) {
            let class = message.options().first(code::VENDOR_CLASS).unwrap_or_default();
            if class.starts_with(b"PXEClient") || class.starts_with(b"HTTPClient") {
                return Some(*frame.source.ip());
            }
            lease.get_or_insert(*frame.source.ip());
        }
    }
    lease
}
