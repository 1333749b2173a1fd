//! The virtual BMCs, one per machine, on UDP port 623 of the bridge's addresses; each moves its QEMU over QMP. Feature
//! `bmc`. Called after `Lab::up`; all run on one thread of their own.

use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, BootDevices, EventSink, QmpMachine, ServerEvent};
use ipmi::responder;
use ipmi::session::UserName;
use tokio::sync::watch;

use crate::error::{LabError, Result};
use crate::machine::Machine;
use crate::standing::Lab;

/// IPMI's port (ASF 2.0 §3.2.2.1; IPMI v2.0 §13.1.2).
pub const PORT: u16 = 623;

/// The BMCs of a lab; dropping it ends them.
#[derive(Debug)]
pub struct Bmcs {
    log: PathBuf,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Bmcs {
    /// Starts one for every machine, in the namespace of the calling thread (the supervisor's). `user` has
    /// administrator rights with `password`. Returns when all of them answer.
    ///
    /// # Errors
    /// [`LabError`] when an address cannot be bound or a machine's QMP socket does not answer.
    #[expect(clippy::disallowed_methods, reason = "BMCs listen")]
    pub fn start(lab: &Lab, user: &str, password: &str) -> Result<Self> {
        let config = |error: &dyn std::fmt::Display| LabError::Config(format!("BMC credentials: {error}"));
        let name = UserName::new(user.as_bytes()).map_err(|error| config(&error))?;
        let password = Secret::new(password.as_bytes()).map_err(|error| config(&error))?;
        let path = lab.dir().join("logs/bmc.log");
        let file = File::create(&path).map_err(LabError::io(format!("write {}", path.display())))?;
        let log = Arc::new(Mutex::new(file));
        let mut servers = Vec::new();
        for machine in lab.machines() {
            let address = SocketAddr::from((machine.bmc, PORT));
            let socket =
                UdpSocket::bind(address).map_err(LabError::io(format!("bind the BMC's {address}")))?;
            // Least significant octet first (IPMI v2.0 §20.8).
            let guid = ipmi::guid::reversed(machine.uuid.0);
            let config = responder::Config::new(guid, name.clone(), password.clone());
            servers.push((machine.clone(), socket, config, sink(&machine.spec.name, &log)));
        }
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = mpsc::channel();
        let work = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(source) => {
                    let _ = ready.send(Err(LabError::Io { doing: "start a runtime".into(), source }));
                    return;
                }
            };
            runtime.block_on(async {
                let mut running = tokio::task::JoinSet::new();
                for (machine, socket, config, events) in servers {
                    let started = start_one(&machine, socket, config).await;
                    match started {
                        Err(error) => return drop(ready.send(Err(error))),
                        Ok((server, chassis)) => {
                            let mut stopped = stopped.clone();
                            running.spawn(async move {
                                let shutdown = async { drop(stopped.wait_for(|stop| *stop).await) };
                                server.run(chassis, events, shutdown).await
                            });
                        }
                    }
                }
                let _ = ready.send(Ok(()));
                while running.join_next().await.is_some() {}
            });
        };
        let thread = std::thread::Builder::new().name("bmcs".into()).spawn(work);
        let thread = Some(thread.map_err(LabError::io("start a thread"))?);
        let bmcs = Self { log: path, stop, thread };
        is_ready.recv().unwrap_or_else(|_| Err(LabError::Config("the BMCs' thread ended".into())))?;
        Ok(bmcs)
    }

    /// What was asked of the machines: a line each, `MILLISECONDS MACHINE Power(On): done`, since the Unix epoch.
    #[must_use]
    pub fn log(&self) -> &std::path::Path {
        &self.log
    }
}

impl Drop for Bmcs {
    fn drop(&mut self) {
        let _ = self.stop.send(true); // the thread may have ended already
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn start_one(
    machine: &Machine,
    socket: UdpSocket,
    config: responder::Config,
) -> Result<(BmcServer, QmpMachine)> {
    let name = &machine.spec.name;
    let server =
        BmcServer::from_socket(socket, config).map_err(LabError::io(format!("start the BMC of {name}")))?;
    let devices = BootDevices {
        pxe: vec![machine.network_boot_device().to_owned()],
        disk: machine.spec.disk.iter().map(|_| "disk".to_owned()).collect(),
        ..BootDevices::default()
    };
    let chassis = QmpMachine::connect(&machine.qmp, devices).await;
    let chassis = chassis.map_err(|error| LabError::Config(format!("the BMC of {name}: {error}")))?;
    Ok((server, chassis))
}

#[expect(clippy::disallowed_methods, reason = "a log stamps its lines")]
fn sink(name: &str, log: &Arc<Mutex<File>>) -> EventSink {
    let (name, log) = (name.to_owned(), Arc::clone(log));
    Arc::new(move |event| {
        let ServerEvent::Machine { call, outcome } = event else { return };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let outcome = outcome.err().unwrap_or_else(|| "done".to_owned());
        if let Ok(mut log) = log.lock() {
            let _ = writeln!(log, "{at} {name} {call:?}: {outcome}"); // a full disk does not stop a BMC
        }
    })
}
