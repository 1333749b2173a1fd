//! Counters for Prometheus, on a listener of their own (`--metrics`), off by default.

use proxy_dhcp::Stage;
use proxy_dhcp::driver::{Event, Reason};
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

/// How long a scraper may take for its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happened, by kind.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    firmware: AtomicU64,
    ipxe: AtomicU64,
    malformed: AtomicU64,
    ignored: AtomicU64,
    limited: AtomicU64,
    stuck: AtomicU64,
    advertisements: AtomicU64,
    foreign: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn count(&self, event: &Event<'_>) {
        let counter = match event {
            Event::Offered { stage: Stage::Firmware, .. } => &self.firmware,
            Event::Offered { stage: Stage::Ipxe, .. } => &self.ipxe,
            Event::Ignored { reason: Reason::Malformed(_), .. } => &self.malformed,
            Event::Ignored { reason: Reason::TooOften | Reason::TooManyDelayed, .. } => &self.limited,
            Event::Ignored { .. } => &self.ignored,
            Event::Stuck { .. } => &self.stuck,
            Event::RouterSolicitationAnswered { .. } => &self.advertisements,
            Event::ForeignResponder { .. } => &self.foreign,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(&str, &AtomicU64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {}", value.load(Ordering::Relaxed));
            }
        };
        let answers = [("{stage=\"firmware\"}", &self.firmware), ("{stage=\"ipxe\"}", &self.ipxe)];
        family("proxy_dhcp_answers_total", "Requests answered.", &answers);
        let ignored = [
            ("{why=\"malformed\"}", &self.malformed),
            ("{why=\"policy\"}", &self.ignored),
            ("{why=\"rate\"}", &self.limited),
        ];
        family("proxy_dhcp_ignored_total", "Packets left without an answer.", &ignored);
        family("proxy_dhcp_stuck_total", "Boots that did not go on.", &[("", &self.stuck)]);
        let advertisements = [("", &self.advertisements)];
        family("proxy_dhcp_router_advertisements_total", "Router solicitations answered.", &advertisements);
        family(
            "proxy_dhcp_foreign_responders_total",
            "Sightings of other PXE responders.",
            &[("", &self.foreign)],
        );
        family("proxy_dhcp_errors_total", "Calls that the system refused.", &[("", &self.failed)]);
        text
    }
}

/// Opens the listener, before privileges are dropped.
#[expect(clippy::disallowed_methods, reason = "tools open sockets")]
pub(crate) fn listen(address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let named = |error: io::Error| io::Error::new(error.kind(), format!("--metrics {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(named)?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Answers one scraper after the other.
pub(crate) async fn serve(listener: tokio::net::TcpListener, counts: Arc<Counts>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = timeout(PATIENCE, answer(stream, counts.text())).await; // a slow scraper asks again
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a metrics connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, text: String) -> io::Result<()> {
    let mut request = [0; 1024];
    let length = stream.read(&mut request).await?;
    let found = request.get(..length).unwrap_or_default().starts_with(b"GET /metrics");
    let (status, body) = if found { ("200 OK", text.as_str()) } else { ("404 Not Found", "see /metrics\n") };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
