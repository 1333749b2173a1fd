//! Log lines: one for each answer, one for each request that got none.

use crate::args::{Args, LogFormat};
use proxy_dhcp::driver::{Event, Reason};
use proxy_dhcp::{Ignored, MacAddr};
use tracing::{debug, info, warn};

/// Sends log lines to standard error.
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

/// Logs one event. What concerns no network boot is for `debug`; a missing rule is worth a warning.
pub(crate) fn event(event: &Event<'_>) {
    match event {
        Event::Offered { mac, arch, stage, file, interface, port, message, to, rule, loaders, .. } => {
            let file = file.map(|file| file.to_string()).unwrap_or_default();
            let port = port.number();
            info!(%mac, %arch, %stage, message = %message, file, rule, interface, port, %to, "answered");
            if *loaders > 2 {
                warn!(%mac, loaders, "the loader seems to load itself: it never asked as iPXE");
            }
        }
        Event::Ignored { mac, interface, port, reason } => {
            let mac = mac.unwrap_or(MacAddr([0; 6]));
            let port = port.number();
            match reason {
                Reason::Ignored(
                    Ignored::NotNetworkBoot
                    | Ignored::NotForProxy(_)
                    | Ignored::NotRequest
                    | Ignored::NoMessageType,
                )
                | Reason::NotForUs(_) => debug!(%mac, interface, port, %reason, "not answered"),
                _ => warn!(%mac, interface, port, %reason, "not answered"),
            }
        }
        Event::Stuck { finding } => {
            warn!(mac = %finding.mac, arch = finding.arch.map(tracing::field::display), why = %finding.missing, "stuck");
        }
        Event::RouterSolicitationAnswered { mac, interface } => {
            info!(%mac, interface, "told that there is no IPv6 router");
        }
        Event::ForeignResponder { server, interface, .. } => {
            warn!(%server, interface, "another PXE responder answers on this network");
        }
        Event::Failed { doing, interface, error } => warn!(interface, %error, "{doing}"),
        other => debug!(?other, "event"),
    }
}
