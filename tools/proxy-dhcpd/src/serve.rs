//! The daemon's life: READY, reload on SIGHUP, end on SIGTERM or Ctrl-C.

use crate::args::Args;
use crate::config::Config;
use crate::log::EventLog;
use crate::metrics::Counts;
use daemon::signals::{self, Signal, Signals};
use proxy_dhcp::Responder;
use proxy_dhcp::driver::{AnswerAll, Event, Reloader, Server};
use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Serves until told to end.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(
    server: Server,
    config: Config,
    args: Args,
    listener: Option<TcpListener>,
) -> Result<(), Box<dyn Error>> {
    let mut told = Signals::listen()?;
    let counts = Arc::new(Counts::default());
    let log = EventLog::new(&args);
    log.clone().write_behind();
    let events_log = log.clone();
    let listener = listener.map(tokio::net::TcpListener::from_std).transpose()?;
    let scraped = counts.clone();
    let page =
        listener.map(|listener| tokio::spawn(daemon::metrics::serve(listener, move || scraped.text())));
    tracing::info!(interfaces = ?config.server.interfaces, "answering network boot requests");
    let reloader = server.reloader();
    let events = Arc::new(move |event: Event<'_>| {
        counts.count(&event);
        events_log.event(&event);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await; // sent, or nobody left to send it
    };
    let serving = server.run(Responder::new(config.policy), Arc::new(AnswerAll), events, shutdown);
    signals::ready();
    let ending = async {
        told.until_stop(async || reload(&args, &reloader)).await;
        let _ = stop.send(()); // it may have ended by itself
        while told.next().await != Signal::Stop {}
    };
    let served = tokio::select! {
        served = serving => served,
        () = ending => Ok(()), // the second time at once
    };
    if let Some(page) = page {
        page.abort();
    }
    log.flush(&mut Vec::new());
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
