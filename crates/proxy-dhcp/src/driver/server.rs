//! The server: its sockets, its one thread, and the handle that changes its policy while it runs.

use super::answer::{Answerer, Buffers, clock};
use super::changes::Changes;
use super::delayed::Delayed;
use super::event::EventSink;
use super::link::Link;
use super::pace::Pace;
use super::udp_socket::{BootServerSocket, occupy_dhcp_port};
use super::{Decide, DriverError, ServerConfig};
use crate::clients::Clients;
use crate::request::Port;
use crate::responder::Responder;
use crate::why::Why;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Machines whose boot is followed at a time.
const FOLLOWED: usize = 4096;
/// How long the server stays with a busy interface before it looks at the others again.
const STAY: Duration = Duration::from_millis(5);

/// A server with its sockets open.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    links: Vec<Link>,
    boot_server: BootServerSocket,
    changes: Changes,
    _dhcp_port: Option<socket2::Socket>,
    current: Reloader,
}

/// Changes the policy of a server while it runs. The next batch of packets is answered by the new one, as a whole.
#[derive(Clone, Debug, Default)]
pub struct Reloader(Arc<Latest>);

#[derive(Debug, Default)]
struct Latest {
    responder: Mutex<Arc<Responder>>,
    /// Whether the server has not taken it yet.
    is_new: AtomicBool,
}

impl Reloader {
    /// Puts another responder in place.
    pub fn replace(&self, responder: Responder) {
        *self.0.responder.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(responder);
        self.0.is_new.store(true, Ordering::Release);
    }

    pub(super) fn current(&self) -> Arc<Responder> {
        self.0.is_new.store(false, Ordering::Release);
        self.0.responder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_new(&self) -> bool {
        self.0.is_new.load(Ordering::Acquire)
    }
}

impl Server {
    /// Opens every socket: per interface a packet socket for port 67, and UDP port 4011. Afterwards privileges may be
    /// dropped; with CAP_NET_RAW kept, interfaces that go and come back are served again.
    ///
    /// # Errors
    /// An interface that does not exist or is not Ethernet; a socket that is refused.
    pub fn bind(config: &ServerConfig) -> Result<Self, DriverError> {
        Self::bind_with(config, None)
    }

    /// As [`Self::bind`], with a socket that is bound to port 4011 already (by systemd, for instance).
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_with(config: &ServerConfig, boot_server: Option<UdpSocket>) -> Result<Self, DriverError> {
        if config.interfaces.is_empty() {
            return Err(DriverError::NoInterfaces);
        }
        // Before the interfaces are read, so that no change between is missed.
        let changes = Changes::open().map_err(DriverError::Changes)?;
        let links =
            config.interfaces.iter().map(|name| Link::open(name, config)).collect::<Result<_, _>>()?;
        let boot_server = match boot_server {
            Some(socket) => BootServerSocket::adopt(socket, config.receive_buffer),
            None => BootServerSocket::open(Port::BootServer.number(), config.receive_buffer),
        };
        let boot_server = boot_server.map_err(|source| DriverError::BootServerSocket { source })?;
        let dhcp_port = config.bind_dhcp_port.then(occupy_dhcp_port).transpose();
        let dhcp_port = dhcp_port.map_err(|source| DriverError::DhcpSocket { source })?;
        let current = Reloader::default();
        Ok(Self { config: config.clone(), links, boot_server, changes, _dhcp_port: dhcp_port, current })
    }

    /// A handle that changes the policy while the server runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.current.clone()
    }

    /// Serves until `shutdown` completes, then sends the answers that are held back, for [`ServerConfig::drain`] at
    /// most. All of it on one thread of the runtime's blocking pool, which is ended before this returns, and at once
    /// when the future is dropped.
    ///
    /// # Errors
    /// The system refuses to wait for packets.
    pub async fn run(
        self,
        responder: Responder,
        decide: Arc<dyn Decide>,
        events: EventSink,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let runtime = |doing| move |source| DriverError::Runtime { doing, source };
        let (wake, woken) = UnixStream::pair().map_err(runtime("opening a pair of sockets"))?;
        self.current.replace(responder);
        let mut serving = tokio::task::spawn_blocking(move || self.serve(decide, events, &woken));
        let ended = tokio::select! {
            () = shutdown => {
                (&wake).write_all(&[0]).map_err(runtime("telling the server to end"))?;
                serving.await
            }
            ended = &mut serving => ended,
        };
        let ended = ended.map_err(|panic| runtime("serving")(io::Error::other(panic)))?;
        ended.map_err(runtime("waiting for packets"))
    }

    /// Waits for any socket and serves those that are ready, until `woken` is: an octet ends it in peace, its other end
    /// closed at once.
    fn serve(mut self, decide: Arc<dyn Decide>, events: EventSink, woken: &UnixStream) -> io::Result<()> {
        let seed = RandomState::new();
        let mut answerer = Answerer {
            responder: self.current.current(),
            latest: self.current.clone(),
            decide,
            events,
            clients: Clients::new(self.config.machines, seed.hash_one(67), self.config.rate_limit),
            why: Why::new(FOLLOWED, seed.hash_one(4011)),
            delayed: Delayed::default(),
            foreign: Default::default(),
            lease_servers: Default::default(),
        };
        let mut buffers = Buffers::new();
        while self.serve_unchanged(&mut answerer, &mut buffers, woken)? {
            self.changes.drain();
            for link in &mut self.links {
                if let Err(error) = link.refresh(&self.config) {
                    answerer.failed("reading the interface again", link, io::Error::other(error));
                }
            }
        }
        self.drain(&mut answerer, &mut buffers, woken)
    }

    /// Sends what is held back, and takes nothing more.
    fn drain(
        &self,
        answerer: &mut Answerer,
        buffers: &mut Buffers,
        mut woken: &UnixStream,
    ) -> io::Result<()> {
        let end = clock() + self.config.drain;
        if woken.read(&mut [0])? == 0 {
            return Ok(());
        }
        while let Some(due) = answerer.delayed.due().filter(|due| *due <= end) {
            let mut waiting = [PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, timeout(Some(due))) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => break,
                Err(errno) => return Err(errno.into()),
            }
            answerer.send_delayed(clock(), &self.links, buffers);
        }
        Ok(())
    }

    /// Serves until an interface changes (`true`) or the server is to end (`false`).
    fn serve_unchanged(
        &self,
        answerer: &mut Answerer,
        buffers: &mut Buffers,
        woken: &UnixStream,
    ) -> io::Result<bool> {
        let Self { links, boot_server, changes, .. } = self;
        let dhcp = links.iter().map(|link| link.dhcp.as_fd());
        let routers = links.iter().filter_map(|link| link.routers.as_ref()).map(AsFd::as_fd);
        let mut waiting: Vec<PollFd<'_>> = [woken.as_fd(), changes.as_fd(), boot_server.as_fd()]
            .into_iter()
            .chain(dhcp)
            .chain(routers)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let mut pace = Pace::default();
        loop {
            match poll(&mut waiting, timeout(answerer.due())) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let mut ready = waiting.iter().map(|one| one.any().unwrap_or(true));
            let mut next = || ready.next() == Some(true);
            let (ended, changed) = (next(), next());
            if ended || changed {
                return Ok(!ended);
            }
            if next() {
                answerer.serve_boot_server(links, boot_server, buffers);
            }
            let mut busy = None::<(usize, &Link)>;
            for (number, link) in links.iter().enumerate() {
                if next() && answerer.serve_frames(number, link, buffers, false).0 > 0 {
                    busy = Some((number, link));
                }
            }
            for link in links.iter().filter(|link| link.routers.is_some()) {
                if next() {
                    answerer.serve_routers(link, buffers);
                }
            }
            if let Some((number, link)) = busy {
                self.stay(answerer, buffers, &mut pace, number, link);
            }
            let now = clock();
            answerer.send_delayed(now, links, buffers);
            answerer.tell_findings(now);
        }
    }

    /// Where requests come one behind the other, they are awaited on their own socket for a moment, which saves the
    /// call that watches all sockets, one of three. Whatever else happens meanwhile waits for [`STAY`] and a tick.
    fn stay(
        &self,
        answerer: &mut Answerer,
        buffers: &mut Buffers,
        pace: &mut Pace,
        number: usize,
        link: &Link,
    ) {
        let start = clock();
        let (until, mut total, mut count) = (start + STAY, 0, 1);
        while answerer.due().is_none_or(|due| due > until) {
            if let Some(pause) = pace.pause(count) {
                std::thread::sleep(pause);
                buffers.inbox.expect_many();
            }
            let now;
            (count, now) = answerer.serve_frames(number, link, buffers, true);
            if count == 0 {
                return;
            }
            total += count;
            if now >= until {
                return pace.learn(now, total, now - start);
            }
        }
    }
}

/// How long to wait, rounded up to a millisecond.
fn timeout(due: Option<Instant>) -> PollTimeout {
    let Some(due) = due else { return PollTimeout::NONE };
    let left = due.saturating_duration_since(clock()).as_millis().saturating_add(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}
