//! A virtual BMC on a UDP socket: `BmcResponder` in front of a [`Machine`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UdpSocket, UnixStream};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::entropy;
use crate::command::chassis::{BootFlags, ChassisControl};
use crate::responder::{BmcResponder, Config, Event, MachineAnswer, MachineCall, Ticket};
use crate::wire::MAX_DATAGRAM;
use crate::{CompletionCode, Ignored};

/// Questions to the machine that wait at once.
const MACHINE_QUEUE: usize = 64;

/// The machine cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// It does not do this at all.
    #[error("not supported by this machine: {0}")]
    Unsupported(&'static str),
    /// It answers with this completion code.
    #[error("{0}")]
    Completion(CompletionCode),
    /// It tried and failed.
    #[error("{doing}: {why}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What went wrong.
        why: String,
    },
}

impl MachineError {
    /// What the console is told.
    pub fn completion(&self) -> CompletionCode {
        match self {
            Self::Unsupported(_) => CompletionCode::INVALID_FIELD,
            Self::Failed { .. } => CompletionCode::STATE,
            Self::Completion(code) => *code,
        }
    }
}

/// What stands behind a virtual BMC.
pub trait Machine: Send + 'static {
    /// Changes the power.
    fn power(&mut self, control: ChassisControl) -> impl Future<Output = Result<(), MachineError>> + Send;
    /// Boots from what the flags say at the next start; invalid flags restore the machine's own order.
    fn boot_device(&mut self, flags: BootFlags) -> impl Future<Output = Result<(), MachineError>> + Send;
    /// Whether the power is on.
    fn status(&mut self) -> impl Future<Output = Result<bool, MachineError>> + Send;
    /// Carries a command that was delegated (`responder::Config::delegate`); returns what follows the
    /// completion code. By default there is none.
    fn command(
        &mut self,
        _net_fn: u8,
        _command: u8,
        _data: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, MachineError>> + Send {
        async { Err(MachineError::Completion(CompletionCode::INVALID_COMMAND)) }
    }
}

/// What a running virtual BMC tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The engine's own.
    Responder(Event),
    /// A datagram was left unanswered.
    Ignored(SocketAddr, Ignored),
    /// The machine was asked, and said.
    Machine {
        /// What was asked.
        call: MachineCall,
        /// What came of it; the text is for people.
        outcome: Result<(), String>,
    },
}

/// Takes events; must not block.
pub type EventSink = Arc<dyn Fn(ServerEvent) + Send + Sync>;

/// A virtual BMC bound to its socket.
#[derive(Debug)]
pub struct BmcServer {
    socket: UdpSocket,
    responder: BmcResponder,
    serial: Option<UnixStream>,
    drain: Duration,
}

/// Reads the serial port; waits for ever when there is none, `None` when it is closed.
async fn read_serial(reader: &mut Option<OwnedReadHalf>, characters: &mut [u8]) -> Option<usize> {
    match reader {
        Some(reader) => reader.read(characters).await.ok().filter(|count| *count > 0),
        None => std::future::pending().await,
    }
}

impl BmcServer {
    /// The same with the machine's serial port, a stream socket such as QEMU's `-serial unix:`, for Serial
    /// over LAN; needs [`Config::sol`].
    #[must_use]
    pub fn with_serial(mut self, serial: UnixStream) -> Self {
        self.serial = Some(serial);
        self
    }

    /// The same, waiting up to `drain` at the end for what the machine is still doing, so that its consoles hear of
    /// it; default not at all.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Binds `addr`.
    ///
    /// # Errors
    /// The address is taken or not ours, or the operating system has no random numbers.
    #[expect(clippy::disallowed_methods, reason = "drivers open sockets")]
    pub fn bind(addr: SocketAddr, config: Config) -> io::Result<Self> {
        Self::from_socket(std::net::UdpSocket::bind(addr)?, config)
    }

    /// Takes a socket that is bound already (socket activation). Needs a tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking, or the operating system has no random numbers.
    pub fn from_socket(socket: std::net::UdpSocket, config: Config) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let responder = BmcResponder::new(config, entropy()?);
        Ok(Self { socket, responder, serial: None, drain: Duration::ZERO })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers consoles until `shutdown` is ready.
    ///
    /// # Errors
    /// The socket cannot be read any more.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub async fn run<M: Machine>(
        mut self,
        machine: M,
        events: EventSink,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let (calls, inbox) = mpsc::channel(MACHINE_QUEUE);
        let (answers, mut outcomes) = mpsc::channel(MACHINE_QUEUE);
        let operator = AbortOnDrop(tokio::spawn(operate(machine, inbox, answers, events.clone())));
        let (mut serial_in, mut serial_out) = match self.serial.take() {
            Some(stream) => {
                let (reader, writer) = stream.into_split();
                (Some(reader), Some(writer))
            }
            None => (None, None),
        };
        let (mut buffer, mut characters) = (vec![0; MAX_DATAGRAM], vec![0; 1024]);
        let mut outbox = Vec::new();
        tokio::pin!(shutdown);
        let far = Duration::from_secs(3600);
        loop {
            while let Some(event) = self.responder.poll_event() {
                if let Event::Machine(ticket, call) = event {
                    if calls.try_send((ticket, call)).is_err() {
                        let busy = MachineAnswer::Failed(CompletionCode::BUSY);
                        self.responder.answer(Instant::now(), ticket, busy);
                    }
                } else if let Event::Typed(characters) = event {
                    if let Some(writer) = &mut serial_out {
                        let _ = writer.write_all(&characters).await; // a closed serial port hears nothing
                    }
                } else {
                    events(ServerEvent::Responder(event));
                }
            }
            while let Some(to) = self.responder.poll_transmit(Instant::now(), &mut outbox) {
                let _ = self.socket.send_to(&outbox, to).await; // a console that went away is no error of ours
            }
            let deadline = self.responder.poll_timeout().unwrap_or_else(|| Instant::now() + far);
            tokio::select! {
                () = &mut shutdown => break,
                received = self.socket.recv_from(&mut buffer) => {
                    let Some((length, from)) = datagram(received)? else { continue };
                    let octets = buffer.get(..length).unwrap_or_default();
                    if let Err(ignored) = self.responder.handle_datagram(Instant::now(), from, octets) {
                        events(ServerEvent::Ignored(from, ignored));
                    }
                }
                read = read_serial(&mut serial_in, &mut characters) => match read {
                    Some(count) => {
                        let characters = characters.get(..count).unwrap_or_default();
                        self.responder.serial_output(Instant::now(), characters);
                    }
                    None => serial_in = None,
                },
                Some((ticket, answer)) = outcomes.recv() => {
                    self.responder.answer(Instant::now(), ticket, answer);
                }
                () = sleep_until(deadline.into()) => self.responder.handle_timeout(Instant::now()),
            }
        }
        let end = Instant::now() + self.drain;
        while self.responder.questions_waiting() > 0 {
            tokio::select! {
                Some((ticket, answer)) = outcomes.recv() => {
                    self.responder.answer(Instant::now(), ticket, answer);
                }
                () = sleep_until(end.into()) => break,
            }
        }
        while let Some(to) = self.responder.poll_transmit(Instant::now(), &mut outbox) {
            let _ = self.socket.send_to(&outbox, to).await; // as above
        }
        drop(operator);
        Ok(())
    }
}

/// A receive error that an earlier answer caused (ICMP) is no end of service.
fn datagram(received: io::Result<(usize, SocketAddr)>) -> io::Result<Option<(usize, SocketAddr)>> {
    match received {
        Ok(pair) => Ok(Some(pair)),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn operate<M: Machine>(
    mut machine: M,
    mut calls: mpsc::Receiver<(Ticket, MachineCall)>,
    answers: mpsc::Sender<(Ticket, MachineAnswer)>,
    events: EventSink,
) {
    while let Some((ticket, call)) = calls.recv().await {
        let outcome = match &call {
            MachineCall::Command { net_fn, command, data } => {
                machine.command(*net_fn, *command, data).await.map(MachineAnswer::Data)
            }
            MachineCall::Status => machine.status().await.map(MachineAnswer::Power),
            MachineCall::Power(control) => machine.power(*control).await.map(|()| MachineAnswer::Done),
            MachineCall::Boot(flags) => machine.boot_device(*flags).await.map(|()| MachineAnswer::Done),
        };
        let (answer, outcome) = match outcome {
            Ok(answer) => (answer, Ok(())),
            Err(error) => (MachineAnswer::Failed(error.completion()), Err(error.to_string())),
        };
        events(ServerEvent::Machine { call, outcome });
        if answers.send((ticket, answer)).await.is_err() {
            return;
        }
    }
}
