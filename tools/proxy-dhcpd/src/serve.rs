//! The daemon's life: READY, reload on SIGHUP, end on SIGTERM or Ctrl-C.

use crate::args::Args;
use crate::config::Config;
use crate::log::EventLog;
use crate::metrics::{self, Counts};
use proxy_dhcp::Responder;
use proxy_dhcp::driver::{AnswerAll, Event, Reloader, Server};
use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until told to end.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(
    server: Server,
    config: Config,
    args: Args,
    listener: Option<TcpListener>,
) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let counts = Arc::new(Counts::default());
    let log = EventLog::new(&args);
    log.clone().write_behind();
    let events_log = log.clone();
    let listener = listener.map(tokio::net::TcpListener::from_std).transpose()?;
    let page = listener.map(|listener| tokio::spawn(metrics::serve(listener, counts.clone())));
    tracing::info!(interfaces = ?config.server.interfaces, "answering network boot requests");
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let reloader = server.reloader();
    let drain = Duration::from_secs(args.drain);
    let shutdown = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = tokio::signal::ctrl_c() => return,
                _ = hangup.recv() => reload(&args, &reloader),
            }
        }
        // Every answer is one packet: nothing is under way but what is being held back.
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = terminate.recv() => {}
        }
    };
    let events = Arc::new(move |event: Event<'_>| {
        counts.count(&event);
        events_log.event(&event);
    });
    let served = server.run(Responder::new(config.policy), Arc::new(AnswerAll), events, shutdown).await;
    if let Some(page) = page {
        page.abort();
    }
    log.flush(&mut String::new());
    Ok(served?)
}

/// Reads the configuration again. One with a mistake changes nothing.
fn reload(args: &Args, reloader: &Reloader) {
    match Config::new(args) {
        Ok(config) => {
            reloader.replace(Responder::new(config.policy));
            tracing::info!("policy read again (interfaces stay until a restart)");
        }
        Err(error) => tracing::error!("the policy stays as it was: {error}"),
    }
}
