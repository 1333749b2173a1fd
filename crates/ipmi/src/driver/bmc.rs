//! One BMC as an async handle: `Session` on a connected UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout};

use super::{BmcError, entropy};
use crate::command::Command;
use crate::command::app::{DeviceId, GetDeviceGuid, GetDeviceId, GetSystemGuid};
use crate::command::chassis::{
    BootDevice, BootOptions, BootParameter, ChassisControl, ChassisStatus, GetBootOptions, GetChassisStatus,
};
use crate::crypto::cipher_suite::CipherSuite;
use crate::script::{Answer, PowerControl, Script, SetBootDevice, Step, Verified};
use crate::session::{Config, Event, Request};
use crate::wire::MAX_DATAGRAM;
use crate::wire::session::PayloadType;
use crate::{CompletionCode, Credentials, Ignored, Privilege, Session};

/// Which BMC, as whom, how patiently.
#[derive(Clone, Debug)]
pub struct BmcConfig {
    /// The BMC's address; port 623 unless it is moved.
    pub addr: SocketAddr,
    /// How the session is opened; suites 17 then 3 by default.
    pub session: Config,
}

impl BmcConfig {
    /// The defaults of [`Config`] for this BMC.
    pub fn new(addr: SocketAddr, credentials: Credentials) -> Self {
        Self { addr, session: Config::new(credentials) }
    }

    /// The same with these cipher suites, tried in turn.
    #[must_use]
    pub fn with_suites(mut self, suites: Vec<CipherSuite>) -> Self {
        self.session.suites = suites;
        self
    }

    /// The same with this highest privilege level.
    #[must_use]
    pub fn with_privilege(mut self, privilege: Privilege) -> Self {
        self.session.privilege = privilege;
        self
    }
}

/// An open session with one BMC.
#[derive(Debug)]
pub struct Bmc {
    addr: SocketAddr,
    socket: UdpSocket,
    session: Session,
    guid: [u8; 16],
    suite: Option<CipherSuite>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    ignored: [u64; Ignored::REASONS],
}

/// Refusals by ICMP taken before a host counts as unreachable: one may be stale.
const UNREACHABLE_AFTER: u32 = 2;

impl Bmc {
    /// Opens a session: three round trips.
    ///
    /// # Errors
    /// Every kind of [`BmcError`] but those of a command.
    #[expect(clippy::disallowed_methods, reason = "drivers own the clock and the socket")]
    pub async fn connect(config: BmcConfig) -> Result<Self, BmcError> {
        let any: SocketAddr = match config.addr {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let io = |doing| move |source| BmcError::Io { doing, source };
        let socket = UdpSocket::bind(any).await.map_err(io("opening a UDP socket"))?;
        let addr = config.addr;
        socket.connect(addr).await.map_err(|source| BmcError::Unreachable { addr, source })?;
        let seeded = entropy().map_err(io("asking for random numbers"))?;
        let session = Session::new(Instant::now(), config.session, seeded);
        let mut bmc = Self {
            addr,
            socket,
            session,
            guid: [0; 16],
            suite: None,
            inbox: vec![0; MAX_DATAGRAM],
            outbox: Vec::new(),
            ignored: [0; Ignored::REASONS],
        };
        loop {
            if let Event::Established { suite, guid } = bmc.next_event().await? {
                (bmc.suite, bmc.guid) = (suite, guid);
                return Ok(bmc);
            }
        }
    }

    /// Moves octets until the session has something to tell.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub(super) async fn next_event(&mut self) -> Result<Event, BmcError> {
        let mut refusals = 0;
        loop {
            while self.session.poll_transmit(&mut self.outbox) {
                if let Err(source) = self.socket.send(&self.outbox).await {
                    refusals = self.refused(refusals, source)?;
                }
            }
            match self.session.poll_event() {
                Some(Event::Failed(failure)) => return Err(BmcError::from_failure(self.addr, failure)),
                Some(event) => return Ok(event),
                None => {}
            }
            let Some(deadline) = self.session.poll_timeout() else { return Err(BmcError::Silent(self.addr)) };
            tokio::select! {
                received = self.socket.recv(&mut self.inbox) => match received {
                    Ok(length) => {
                        let octets = self.inbox.get(..length).unwrap_or_default();
                        if let Err(ignored) = self.session.handle_datagram(Instant::now(), octets) {
                            self.count(ignored);
                        }
                    }
                    Err(source) => refusals = self.refused(refusals, source)?,
                },
                () = sleep_until(deadline.into()) => self.session.handle_timeout(Instant::now()),
            }
        }
    }

    fn count(&mut self, ignored: Ignored) {
        if let Some(counter) = self.ignored.get_mut(ignored.index()) {
            *counter += 1;
        }
    }

    /// An ICMP error: port or host unreachable. The second in a row ends the wait.
    fn refused(&self, refusals: u32, source: io::Error) -> Result<u32, BmcError> {
        let refusals = refusals + 1;
        if refusals >= UNREACHABLE_AFTER {
            return Err(BmcError::Unreachable { addr: self.addr, source });
        }
        Ok(refusals)
    }

    /// Carries a request and returns completion code and data as they came.
    ///
    /// # Errors
    /// [`BmcError::Silent`] and the ways a session ends. A completion code is not an error here.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub async fn request(&mut self, request: Request) -> Result<(CompletionCode, Vec<u8>), BmcError> {
        let wanted = self.session.submit(Instant::now(), request);
        loop {
            match self.next_event().await? {
                Event::Reply { id, completion, data } if id == wanted => return Ok((completion, data)),
                Event::Unanswered(id) if id == wanted => return Err(BmcError::Silent(self.addr)),
                _ => {}
            }
        }
    }

    /// Carries many requests at once, up to the session's window on the way; answers in the order asked.
    ///
    /// # Errors
    /// As [`Bmc::request`]; one silent request fails all.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub async fn request_all(
        &mut self,
        requests: Vec<Request>,
    ) -> Result<Vec<(CompletionCode, Vec<u8>)>, BmcError> {
        let now = Instant::now();
        let ids: Vec<_> = requests.into_iter().map(|request| self.session.submit(now, request)).collect();
        let mut answers = std::collections::BTreeMap::new();
        while answers.len() < ids.len() {
            match self.next_event().await? {
                Event::Reply { id, completion, data } => {
                    answers.insert(id, (completion, data));
                }
                Event::Unanswered(_) => return Err(BmcError::Silent(self.addr)),
                _ => {}
            }
        }
        Ok(ids.into_iter().filter_map(|id| answers.remove(&id)).collect())
    }

    /// Carries a command and reads its answer.
    ///
    /// # Errors
    /// [`BmcError::Completion`] when the BMC refuses, [`BmcError::Malformed`] when its answer is not readable.
    pub async fn execute<C: Command>(&mut self, command: &C) -> Result<C::Reply, BmcError> {
        let (completion, data) = self.request(command.request()).await?;
        if !completion.is_ok() {
            return Err(BmcError::Completion(completion));
        }
        command.parse_reply(&data).map_err(BmcError::Malformed)
    }

    /// Get Chassis Status.
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn chassis_status(&mut self) -> Result<ChassisStatus, BmcError> {
        self.execute(&GetChassisStatus).await
    }

    /// Carries a script: see [`crate::script`].
    ///
    /// # Errors
    /// The ways a session ends. What the script itself comes to is its output.
    pub async fn run<S: Script>(&mut self, mut script: S) -> Result<S::Output, BmcError> {
        let mut step = script.next(Answer::Established { guid: self.guid, suite: self.suite });
        loop {
            let request = match step {
                Step::Done(output) => return Ok(output),
                Step::Ask(request) => request,
            };
            step = match self.request(request).await {
                Ok((completion, data)) => script.next(Answer::Reply(completion, &data)),
                Err(BmcError::Silent(_)) => script.next(Answer::Unanswered),
                Err(error) => return Err(error),
            };
        }
    }

    /// Chassis Control, carried out once: see [`PowerControl`].
    ///
    /// # Errors
    /// As [`Bmc::execute`]; [`BmcError::Unconfirmed`] when the BMC fell silent after the command was sent.
    pub async fn chassis_control(&mut self, control: ChassisControl) -> Result<Verified, BmcError> {
        let outcome = self.run(PowerControl::new(control)).await?;
        outcome.map_err(|error| BmcError::from_script(self.addr, error))
    }

    /// Sets the boot device: see [`SetBootDevice`].
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn set_boot_device(
        &mut self,
        device: BootDevice,
        options: BootOptions,
    ) -> Result<(), BmcError> {
        let outcome = self.run(SetBootDevice::new(device, options)).await?;
        outcome.map_err(|error| BmcError::from_script(self.addr, error))
    }

    /// Get System Boot Options.
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn boot_option(&mut self, parameter: u8) -> Result<BootParameter, BmcError> {
        self.execute(&GetBootOptions { parameter, set: 0, block: 0 }).await
    }

    /// The managed system's GUID as RAKP 2 brought it; zero in IPMI 1.5.
    pub fn managed_system_guid(&self) -> [u8; 16] {
        self.guid
    }

    /// The suite in force; `None` in IPMI 1.5.
    pub fn suite(&self) -> Option<CipherSuite> {
        self.suite
    }

    /// Get System GUID.
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn system_guid(&mut self) -> Result<[u8; 16], BmcError> {
        self.execute(&GetSystemGuid).await
    }

    /// Get Device GUID: the management controller's own.
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn device_guid(&mut self) -> Result<[u8; 16], BmcError> {
        self.execute(&GetDeviceGuid).await
    }

    /// Get Device ID.
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn device_id(&mut self) -> Result<DeviceId, BmcError> {
        self.execute(&GetDeviceId).await
    }

    /// The BMC's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Queues a payload of another type inside the session; it goes out with the next exchange.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub(super) fn send_payload(&mut self, payload_type: PayloadType, payload: &[u8]) {
        self.session.send_payload(Instant::now(), payload_type, payload);
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) -> Result<(), BmcError> {
        while self.session.poll_transmit(&mut self.outbox) {
            if let Err(source) = self.socket.send(&self.outbox).await {
                return Err(BmcError::Unreachable { addr: self.addr, source });
            }
        }
        Ok(())
    }

    /// How many datagrams were ignored, by [`Ignored::index`].
    pub fn ignored(&self) -> &[u64; Ignored::REASONS] {
        &self.ignored
    }

    /// Sends Close Session and does not wait for its answer.
    #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
    pub async fn close(mut self) {
        self.session.close(Instant::now());
        while self.session.poll_transmit(&mut self.outbox) {
            let _ = timeout(Duration::from_secs(1), self.socket.send(&self.outbox)).await;
        }
    }
}
