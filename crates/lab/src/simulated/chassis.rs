//! The virtual BMCs of simulated machines, and the thread that all machines live on.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, Machine, MachineError};
use ipmi::responder;
use ipmi::session::UserName;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::Ready;
use super::boot::{Fleet, Station};
use super::dhcp::Wire;
use crate::error::{LabError, Result};

/// IPMI's port.
const PORT: u16 = 623;

/// A machine behind its BMC: off, or booting and booted.
struct Chassis {
    station: Station,
    running: Option<AbortHandle>,
}

impl Chassis {
    fn off(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }

    fn on(&mut self) {
        self.off();
        // A machine whose boot has ended stays on: the handle is kept.
        self.running = Some(tokio::spawn(self.station.clone().boot()).abort_handle());
    }
}

impl Drop for Chassis {
    fn drop(&mut self) {
        self.off();
    }
}

impl Machine for Chassis {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        match (control, self.running.is_some()) {
            (ChassisControl::PowerUp, true) => {}
            (ChassisControl::PowerUp | ChassisControl::PowerCycle, _) | (ChassisControl::HardReset, true) => {
                self.on()
            }
            (ChassisControl::PowerDown | ChassisControl::SoftShutdown, _) => self.off(),
            (ChassisControl::HardReset | ChassisControl::DiagnosticInterrupt, _) => {
                return Err(MachineError::Unsupported("the machine is off"));
            }
        }
        Ok(())
    }

    /// There is only the network to boot from.
    async fn boot_device(&mut self, _flags: BootFlags) -> Result<(), MachineError> {
        Ok(())
    }

    async fn status(&mut self) -> Result<bool, MachineError> {
        Ok(self.running.is_some())
    }
}

/// Runs all BMCs and machines until `stopped`.
pub(super) async fn serve(
    fleet: Fleet,
    user: String,
    password: String,
    stopped: watch::Receiver<bool>,
    ready: Ready,
) {
    let mut running = match start(fleet, &user, &password, &stopped) {
        Ok(running) => running,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    let mut stopped = stopped;
    let _ = stopped.wait_for(|stop| *stop).await; // an error means that the lab is gone
    running.shutdown().await;
}

#[expect(clippy::disallowed_methods, reason = "BMCs listen")]
fn start(fleet: Fleet, user: &str, password: &str, stopped: &watch::Receiver<bool>) -> Result<JoinSet<()>> {
    let config = |error: &dyn std::fmt::Display| LabError::Config(format!("BMC credentials: {error}"));
    let name = UserName::new(user.as_bytes()).map_err(|error| config(&error))?;
    let password = Secret::new(password.as_bytes()).map_err(|error| config(&error))?;
    let wire = Wire::open()?;
    let mut running = JoinSet::new();
    for machine in fleet.machines {
        let address = SocketAddr::from((machine.bmc, PORT));
        let socket = UdpSocket::bind(address).map_err(LabError::io(format!("bind the BMC's {address}")))?;
        let guid = ipmi::guid::reversed(machine.uuid.0);
        let server =
            BmcServer::from_socket(socket, responder::Config::new(guid, name.clone(), password.clone()));
        let server = server.map_err(LabError::io(format!("start the BMC at {address}")))?;
        let station = Station { wire: Arc::clone(&wire), machine, progress: Arc::clone(&fleet.progress) };
        let mut stopped = stopped.clone();
        running.spawn(async move {
            let shutdown = async { drop(stopped.wait_for(|stop| *stop).await) };
            let chassis = Chassis { station, running: None };
            // A BMC whose socket fails is silent from then on, as a broken one is.
            let _ = server.run(chassis, Arc::new(|_| {}), shutdown).await;
        });
    }
    running.spawn(async move { wire.receive().await });
    Ok(running)
}
