//! A QEMU machine as the chassis behind a virtual BMC, operated over its QMP socket.
//!
//! QEMU is started with `-S -no-shutdown`: it waits powered off, and a guest that shuts down leaves it
//! powered off. On is reset and `cont`; off is `stop` and reset; the boot device is the devices' `bootindex`, which
//! QEMU reads at every reset. Resets happen while the machine stands still, because a PC's chipset is helped then. A one-time wish is taken back a few seconds
//! after the start that used it: firmware may reset itself once or twice in its first moments, and the guest's own
//! reboot much later must go back to the usual order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Machine, MachineError};
use crate::command::chassis::{BootDevice, BootFlags, ChassisControl};

/// Longest time QEMU may take for one command or for the event that ends a reset.
const QMP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a start the one-time boot order is taken back.
const ONE_TIME_LIFE: Duration = Duration::from_secs(6);
/// The id of the i440FX host bridge as its configuration space shows it.
const I440FX: &str = "0x12378086";
/// Clears its registers PAM0 to PAM6 at 59h (82441FX data sheet, §3.2.18), by ports CF8h and CFCh.
const PAM_RESET: [&str; 6] = [
    "o /w 0xcf8 0x80000058",
    "o /b 0xcfd 0",
    "o /b 0xcfe 0",
    "o /b 0xcff 0",
    "o /w 0xcf8 0x8000005c",
    "o /w 0xcfc 0",
];
/// Longest line taken from QEMU.
const MAX_LINE: u64 = 1 << 20;

/// Which QEMU devices (by their `id=`) are which boot device. Order counts within one kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BootDevices {
    /// Network cards.
    pub pxe: Vec<String>,
    /// Disks.
    pub disk: Vec<String>,
    /// CD drives.
    pub cdrom: Vec<String>,
    /// Floppies and other removable media.
    pub floppy: Vec<String>,
}

impl BootDevices {
    fn of(&self, device: BootDevice) -> Option<&[String]> {
        let ids = match device {
            BootDevice::Pxe => &self.pxe,
            BootDevice::Disk | BootDevice::SafeDisk => &self.disk,
            BootDevice::CdRom => &self.cdrom,
            BootDevice::Floppy => &self.floppy,
            _ => return None,
        };
        (!ids.is_empty()).then_some(ids)
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.pxe.iter().chain(&self.disk).chain(&self.cdrom).chain(&self.floppy)
    }
}

/// A machine behind a QMP socket.
#[derive(Debug)]
pub struct QmpMachine {
    qemu: Arc<Mutex<Qemu>>,
    /// Takes the one-time order back.
    restorer: Option<JoinHandle<()>>,
}

impl Drop for QmpMachine {
    fn drop(&mut self) {
        if let Some(restorer) = &self.restorer {
            restorer.abort();
        }
    }
}

#[derive(Debug)]
struct Qemu {
    path: PathBuf,
    devices: BootDevices,
    /// The boot order QEMU was started with: device and its `bootindex`.
    original: Vec<(String, i64)>,
    connection: Option<Connection>,
    one_time: OneTime,
}

/// Where a wish for one boot stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OneTime {
    /// There is none.
    No,
    /// The order is set; the next start uses it.
    Waiting,
    /// A start has used it; it is to be taken back.
    Used,
}

#[derive(Debug)]
struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// Resets by the host seen so far.
    resets: u32,
    next_id: u64,
}

fn failed(doing: &str, why: impl ToString) -> MachineError {
    MachineError::Failed { doing: doing.to_owned(), why: why.to_string() }
}

impl Connection {
    async fn open(path: &Path) -> Result<Self, MachineError> {
        let doing = format!("connecting to QEMU at {}", path.display());
        let stream = timeout(QMP_TIMEOUT, UnixStream::connect(path)).await;
        let stream = stream.map_err(|_| failed(&doing, "no answer"))?.map_err(|e| failed(&doing, e))?;
        let (reader, writer) = stream.into_split();
        let reader = BufReader::new(reader);
        let mut connection = Self { reader, writer, resets: 0, next_id: 0 };
        let greeting = connection.line().await?;
        if greeting.get("QMP").is_none() {
            return Err(failed(&doing, "no QMP greeting; is another program connected to this socket?"));
        }
        connection.execute("qmp_capabilities", Value::Null).await?;
        Ok(connection)
    }

    async fn line(&mut self) -> Result<Value, MachineError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE);
        let read = timeout(QMP_TIMEOUT, limited.read_until(b'\n', &mut line)).await;
        let read = read.map_err(|_| failed("reading from QEMU", "no answer in 10 s"))?;
        if read.map_err(|error| failed("reading from QEMU", error))? == 0 {
            return Err(failed("reading from QEMU", "it closed the connection"));
        }
        serde_json::from_slice(&line).map_err(|error| failed("reading from QEMU", error))
    }

    /// Notes a reset that we asked for; returns what is no event.
    fn sift(&mut self, value: Value) -> Option<Value> {
        let Some(event) = value.get("event").and_then(Value::as_str) else { return Some(value) };
        let by_guest = value.pointer("/data/guest").and_then(Value::as_bool).unwrap_or(false);
        self.resets += u32::from(event == "RESET" && !by_guest);
        None
    }

    async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, MachineError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = json!({ "execute": command, "id": id });
        if let (Value::Object(fields), false) = (&mut request, arguments.is_null()) {
            fields.insert("arguments".to_owned(), arguments);
        }
        let mut text = request.to_string();
        text.push('\n');
        let written = timeout(QMP_TIMEOUT, self.writer.write_all(text.as_bytes())).await;
        written.map_err(|_| failed(command, "QEMU reads nothing"))?.map_err(|e| failed(command, e))?;
        loop {
            let value = self.line().await?;
            let Some(mut value) = self.sift(value) else { continue };
            if value.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(result) = value.get_mut("return") {
                return Ok(result.take());
            }
            let text = value.pointer("/error/desc").and_then(Value::as_str).unwrap_or("unknown error");
            return Err(failed(command, text));
        }
    }

    /// Resets a machine that stands still and waits until QEMU has done it; the event may come before or after the
    /// answer.
    async fn reset(&mut self) -> Result<(), MachineError> {
        let before = self.resets;
        self.execute("system_reset", Value::Null).await?;
        while self.resets == before {
            let value = self.line().await?;
            self.sift(value);
        }
        self.unshadow().await
    }

    /// Maps the firmware's ROM where a chipset maps it at reset. QEMU's i440FX keeps its PAM registers instead (QEMU,
    /// hw/pci-host/i440fx.c: no reset), so that the processor starts in the RAM into which SeaBIOS copies itself; a reset
    /// within that copy, a millisecond after power-on, finds nothing there, and the machine hangs for ever.
    async fn unshadow(&mut self) -> Result<(), MachineError> {
        self.monitor("o /w 0xcf8 0x80000000").await?;
        let bridge = self.monitor("i /w 0xcfc").await?;
        let writes: &[&str] = if bridge.contains(I440FX) { &PAM_RESET } else { &[] };
        for line in writes.iter().chain(&["o /w 0xcf8 0"]) {
            self.monitor(line).await?;
        }
        Ok(())
    }

    /// One line for the human monitor, the only one that reaches ports; a QEMU or a machine without them says so in its
    /// answer.
    async fn monitor(&mut self, line: &str) -> Result<String, MachineError> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line })).await?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Whether the guest has power, from `query-status`.
    async fn powered(&mut self) -> Result<bool, MachineError> {
        let status = self.execute("query-status", Value::Null).await?;
        let running = status.get("running").and_then(Value::as_bool).unwrap_or(false);
        let state = status.get("status").and_then(Value::as_str).unwrap_or_default();
        let halted = ["io-error", "guest-panicked", "internal-error", "debug", "watchdog", "save-vm"];
        Ok(running || halted.contains(&state))
    }

    async fn set_boot_index(&mut self, id: &str, index: i64) -> Result<(), MachineError> {
        let path = format!("/machine/peripheral/{id}");
        let arguments = json!({ "path": path, "property": "bootindex", "value": index });
        self.execute("qom-set", arguments).await.map(drop)
    }

    async fn boot_index(&mut self, id: &str) -> Result<i64, MachineError> {
        let path = format!("/machine/peripheral/{id}");
        let value = self.execute("qom-get", json!({ "path": path, "property": "bootindex" })).await?;
        value.as_i64().ok_or_else(|| failed("qom-get", "bootindex is no number"))
    }
}

impl QmpMachine {
    /// Connects to QEMU's QMP socket and remembers the boot order it was started with.
    ///
    /// # Errors
    /// No socket, no QEMU behind it, or a device that is not there.
    pub async fn connect(path: impl Into<PathBuf>, devices: BootDevices) -> Result<Self, MachineError> {
        let path = path.into();
        let mut connection = Connection::open(&path).await?;
        let mut original = Vec::new();
        for id in devices.all() {
            let index = connection.boot_index(id).await;
            let index = index.map_err(|error| failed(&format!("looking for device {id}"), error))?;
            original.push((id.clone(), index));
        }
        let connection = Some(connection);
        let qemu = Qemu { path, devices, original, connection, one_time: OneTime::No };
        Ok(Self { qemu: Arc::new(Mutex::new(qemu)), restorer: None })
    }

    /// Takes a used one-time order back in a while.
    fn restore_later(&mut self) {
        if let Some(earlier) = self.restorer.take() {
            earlier.abort();
        }
        let qemu = Arc::clone(&self.qemu);
        self.restorer = Some(tokio::spawn(async move {
            sleep(ONE_TIME_LIFE).await;
            let mut qemu = qemu.lock().await;
            let outcome = qemu.forget_used().await;
            let _ = qemu.settle(outcome); // the next command takes it back, or reports why not
        }));
    }
}

impl Qemu {
    /// The connection; a lost one is opened again (QEMU may have been started anew).
    async fn connection(&mut self) -> Result<&mut Connection, MachineError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.path).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Sets the boot order: every device out first, because QEMU refuses one index twice.
    async fn order(&mut self, order: Vec<(String, i64)>) -> Result<(), MachineError> {
        let ids: Vec<String> = self.original.iter().map(|(id, _)| id.clone()).collect();
        let connection = self.connection().await?;
        for id in &ids {
            connection.set_boot_index(id, -1).await?;
        }
        for (id, index) in order.iter().filter(|(_, index)| *index >= 0) {
            connection.set_boot_index(id, *index).await?;
        }
        Ok(())
    }

    /// `wanted` first, then the rest as QEMU was started.
    fn preferring(&self, wanted: &[String]) -> Vec<(String, i64)> {
        let mut rest: Vec<_> = self.original.iter().filter(|(id, _)| !wanted.contains(id)).collect();
        rest.retain(|(_, index)| *index >= 0);
        rest.sort_by_key(|(_, index)| *index);
        let ids = wanted.iter().chain(rest.into_iter().map(|(id, _)| id));
        ids.cloned().zip(0..).collect()
    }

    /// Takes a used one-time order back.
    async fn forget_used(&mut self) -> Result<(), MachineError> {
        if self.one_time == OneTime::Used {
            let original = self.original.clone();
            self.order(original).await?;
            self.one_time = OneTime::No;
        }
        Ok(())
    }

    /// Boots a machine that stands still: this uses a waiting one-time order.
    async fn start(&mut self) -> Result<(), MachineError> {
        self.connection().await?.reset().await?;
        if self.one_time == OneTime::Waiting {
            self.one_time = OneTime::Used;
        }
        self.connection().await?.execute("cont", Value::Null).await.map(drop)
    }

    async fn stop(&mut self) -> Result<(), MachineError> {
        let connection = self.connection().await?;
        connection.execute("stop", Value::Null).await?;
        connection.reset().await
    }

    async fn control(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        self.forget_used().await?; // an earlier start used it, this one must not
        let powered = self.connection().await?.powered().await?;
        match (control, powered) {
            (ChassisControl::PowerUp, true) | (ChassisControl::PowerDown, false) => Ok(()),
            (ChassisControl::PowerUp, false) => self.start().await,
            (ChassisControl::PowerDown, true) => self.stop().await,
            (_, false) => Err(failed("power control", "the machine is off")),
            (ChassisControl::PowerCycle, true) => {
                self.stop().await?;
                self.start().await
            }
            (ChassisControl::HardReset, true) => {
                self.connection().await?.execute("stop", Value::Null).await?;
                self.start().await
            }
            (ChassisControl::DiagnosticInterrupt, true) => {
                self.connection().await?.execute("inject-nmi", Value::Null).await.map(drop)
            }
            (ChassisControl::SoftShutdown, true) => {
                self.connection().await?.execute("system_powerdown", Value::Null).await.map(drop)
            }
        }
    }

    async fn boot(&mut self, flags: BootFlags) -> Result<(), MachineError> {
        if !flags.valid() || flags.device() == BootDevice::None {
            let original = self.original.clone();
            self.order(original).await?;
            self.one_time = OneTime::No;
            return Ok(());
        }
        let wanted = self.devices.of(flags.device());
        let wanted = wanted.ok_or(MachineError::Unsupported("this boot device"))?.to_vec();
        let order = self.preferring(&wanted);
        self.order(order).await?;
        self.one_time = if flags.persistent() { OneTime::No } else { OneTime::Waiting };
        Ok(())
    }

    /// After a failure the connection is not trusted: an answer may still be on its way.
    fn settle<T>(&mut self, outcome: Result<T, MachineError>) -> Result<T, MachineError> {
        if outcome.is_err() {
            self.connection = None;
        }
        outcome
    }
}

impl Machine for QmpMachine {
    async fn power(&mut self, control: ChassisControl) -> Result<(), MachineError> {
        let mut qemu = self.qemu.lock().await;
        let outcome = qemu.control(control).await;
        let outcome = qemu.settle(outcome);
        let used = qemu.one_time == OneTime::Used;
        drop(qemu);
        if used {
            self.restore_later();
        }
        outcome
    }

    async fn boot_device(&mut self, flags: BootFlags) -> Result<(), MachineError> {
        let mut qemu = self.qemu.lock().await;
        let outcome = qemu.boot(flags).await;
        qemu.settle(outcome)
    }

    async fn status(&mut self) -> Result<bool, MachineError> {
        let mut qemu = self.qemu.lock().await;
        let outcome = match qemu.connection().await {
            Ok(connection) => connection.powered().await,
            Err(error) => Err(error),
        };
        qemu.settle(outcome)
    }
}
