//! A serial console over LAN that survives a reset of the machine or of the BMC.

use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until};

use super::{Bmc, BmcConfig, BmcError};
use crate::CompletionCode;
use crate::command::sol::{ActivateSol, DeactivateSol};
use crate::session::Event;
use crate::sol::{Config, SolLink};
use crate::wire::session::PayloadType;
use crate::wire::sol::{DEACTIVATED, SolPacket};

/// Interval of the keep-alive that also notices a BMC that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// First and longest pause between two attempts to come back.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What a console stream tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SolEvent {
    /// Characters of the machine.
    Received(Vec<u8>),
    /// The stream broke; it is being taken up again. Characters may be missing.
    Lost,
    /// The stream stands again.
    Resumed,
}

/// An activated console.
#[derive(Debug)]
pub struct Sol {
    config: BmcConfig,
    bmc: Option<Bmc>,
    link: SolLink,
    pause: Duration,
    attempts: u32,
}

impl Sol {
    /// Opens a session and activates the console; one that is active elsewhere is taken over.
    ///
    /// # Errors
    /// As [`Bmc::connect`] and [`Bmc::execute`].
    pub async fn connect(config: BmcConfig) -> Result<Self, BmcError> {
        let mut config = config;
        config.session.keep_alive = Some(KEEP_ALIVE);
        let (bmc, link) = activate(&config).await?;
        if let Some(suite) = bmc.suite() {
            config.session.prefer(suite);
        }
        Ok(Self { config, bmc: Some(bmc), link, pause: PAUSES.0, attempts: 60 })
    }

    /// The same, giving up after this many attempts to come back; default 60.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Queues characters for the machine; says how many were taken.
    pub fn send(&mut self, characters: &[u8]) -> usize {
        self.link.send(characters)
    }

    /// The next thing to tell; also moves what was queued. Safe to drop and call again.
    ///
    /// # Errors
    /// The console could not be taken up again.
    pub async fn next(&mut self) -> Result<SolEvent, BmcError> {
        let Some(bmc) = self.bmc.as_mut() else { return self.resume().await };
        match exchange(bmc, &mut self.link).await {
            Ok(characters) => Ok(SolEvent::Received(characters)),
            Err(_) => {
                self.bmc = None;
                self.pause = PAUSES.0;
                Ok(SolEvent::Lost)
            }
        }
    }

    async fn resume(&mut self) -> Result<SolEvent, BmcError> {
        let mut last = BmcError::Silent(self.config.addr);
        for _ in 0..self.attempts {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSES.1);
            match activate(&self.config).await {
                Ok((bmc, link)) => {
                    (self.bmc, self.link) = (Some(bmc), link);
                    return Ok(SolEvent::Resumed);
                }
                // These do not mend themselves, and a wrong password must not be repeated.
                Err(
                    error @ (BmcError::WrongPassword(_)
                    | BmcError::UnknownUser(_)
                    | BmcError::Privilege(_)
                    | BmcError::SuiteRefused(..)),
                ) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Deactivates the console and closes the session.
    pub async fn close(mut self) {
        if let Some(mut bmc) = self.bmc.take() {
            let _ = bmc.execute(&DeactivateSol { instance: 1 }).await; // a BMC that is gone has forgotten us
            bmc.close().await;
        }
    }
}

async fn activate(config: &BmcConfig) -> Result<(Bmc, SolLink), BmcError> {
    let mut bmc = Bmc::connect(config.clone()).await?;
    let suite = bmc.suite().map(|suite| suite.algorithms());
    let command = ActivateSol {
        instance: 1,
        encrypted: suite.is_some_and(|a| a.confidentiality != 0),
        authenticated: suite.is_some_and(|a| a.integrity != 0),
    };
    let activated = match bmc.execute(&command).await {
        Err(BmcError::Completion(CompletionCode(0x80))) => {
            let _ = bmc.execute(&DeactivateSol { instance: 1 }).await;
            bmc.execute(&command).await?
        }
        other => other?,
    };
    let packet = usize::from(activated.inbound).saturating_sub(4).clamp(1, 251);
    Ok((bmc, SolLink::new(Config { packet, ..Config::default() })))
}

/// Moves packets until characters arrive.
#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
async fn exchange(bmc: &mut Bmc, link: &mut SolLink) -> Result<Vec<u8>, BmcError> {
    let mut payload = Vec::new();
    loop {
        while link.poll_payload(Instant::now(), &mut payload) {
            bmc.send_payload(PayloadType::Sol, &payload);
        }
        if link.is_gone() {
            return Err(BmcError::Silent(bmc.addr()));
        }
        let far = Instant::now() + KEEP_ALIVE;
        let deadline = link.poll_timeout().unwrap_or(far);
        tokio::select! {
            event = bmc.next_event() => match event? {
                Event::Payload { payload_type: PayloadType::Sol, data } => {
                    let mut fresh = Vec::new();
                    let _ = link.handle_payload(Instant::now(), &data, &mut fresh); // malformed: as if lost
                    let ended = SolPacket::parse(&data).is_ok_and(|p| p.operation & DEACTIVATED != 0);
                    while link.poll_payload(Instant::now(), &mut payload) {
                        bmc.send_payload(PayloadType::Sol, &payload);
                    }
                    bmc.flush().await?;
                    if !fresh.is_empty() {
                        return Ok(fresh);
                    }
                    if ended {
                        return Err(BmcError::Silent(bmc.addr()));
                    }
                }
                Event::Unanswered(_) => return Err(BmcError::Silent(bmc.addr())),
                _ => {}
            },
            () = sleep_until(deadline.into()) => link.handle_timeout(Instant::now()),
        }
    }
}
