//! Sessions with BMCs as the server uses them: opened by itself with logins of its own, or by the keeper (`kpc bmc
//! keep`), a process that alone has the logins. The rest of the server does not know which.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipmi::command::chassis::{BootDevice, BootFlags, BootOptions, ChassisControl};
use ipmi::driver::{Bmc, BmcConfig, BmcError};
use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::logins::ByAddress;
use super::vault::Vault;
use super::wire::{self, Answer, Ask};
use crate::config::Config;

/// System boot option 5: the boot flags (IPMI v2.0 §28.13).
const BOOT_FLAGS: u8 = 5;
/// Which field of a FRU's product area is the serial (Platform Management FRU §12).
const PRODUCT_SERIAL: usize = 4;
/// How long the keeper may take: longer than any command with all its repeats.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a BMC did not do what it was asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Which.
    pub(crate) kind: Kind,
    /// In words.
    pub(crate) words: String,
}

/// Kinds of faults that are handled apart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// It does not answer (any more).
    Silent,
    /// The network says that it is not there.
    Unreachable,
    /// It takes none of our logins, or there is none for it.
    Login,
    /// A power command may have been taken.
    Unconfirmed,
    /// Anything else: nothing was done.
    Other,
}

impl Fault {
    pub(super) fn other(words: impl Into<String>) -> Self {
        Self { kind: Kind::Other, words: words.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<BmcError> for Fault {
    fn from(error: BmcError) -> Self {
        let kind = match error {
            BmcError::Silent(_) => Kind::Silent,
            BmcError::Unreachable { .. } => Kind::Unreachable,
            BmcError::WrongPassword(_)
            | BmcError::WrongKg(_)
            | BmcError::UnknownUser(_)
            | BmcError::Privilege(_) => Kind::Login,
            BmcError::Unconfirmed(_) => Kind::Unconfirmed,
            _ => Kind::Other,
        };
        Self { kind, words: error.to_string() }
    }
}

/// Who opens sessions. Clones share it.
#[derive(Clone)]
pub(crate) enum Bmcs {
    /// We do, with these logins.
    Own(Vault),
    /// The keeper behind this socket.
    Kept(PathBuf),
}

impl Bmcs {
    /// As the configuration says: with a keeper, no file with a password is opened here.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        match &config.bmc.keeper {
            Some(socket) => Ok(Self::Kept(socket.clone())),
            None => Vault::configured(config).map(Self::Own),
        }
    }

    /// Opens a session.
    pub(crate) async fn session(&self, address: SocketAddr) -> Result<Session, Fault> {
        match self {
            Self::Own(vault) => Session::own(vault, address).await,
            Self::Kept(socket) => {
                let mut remote = Remote::connect(socket).await?;
                match remote.ask(&Ask::Open { address }).await? {
                    Answer::Opened { guid } => Ok(Session { guid, by: By::Keeper(remote) }),
                    other => Err(unexpected(other)),
                }
            }
        }
    }

    /// Keeps logins, where they are ours to keep. Waits for the disk.
    pub(crate) fn keep(&self, logins: ByAddress) -> Result<(), String> {
        match self {
            _ if logins.is_empty() => Ok(()),
            Self::Own(vault) => vault.keep(logins),
            Self::Kept(socket) => Err(format!(
                "the logins are kept behind {}, not here: scan with the server's kpc.toml (--config)",
                socket.display()
            )),
        }
    }
}

/// Hands logins to the keeper, as `kpc bmc scan --save` does.
pub(crate) async fn hand_over(socket: &Path, logins: ByAddress) -> Result<(), String> {
    let keeping = async {
        match Remote::connect(socket).await?.ask(&Ask::Keep { logins }).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    };
    keeping.await.map_err(|fault: Fault| fault.to_string())
}

/// An open session with one BMC.
pub(crate) struct Session {
    guid: [u8; 16],
    by: By,
}

enum By {
    Us(Box<Bmc>),
    Keeper(Remote),
}

impl Session {
    /// Opens one with a login of ours.
    pub(super) async fn own(vault: &Vault, address: SocketAddr) -> Result<Self, Fault> {
        let login = vault.of(address.ip()).map_err(|words| Fault { kind: Kind::Login, words })?;
        let bmc = Bmc::connect(BmcConfig::new(address, login)).await?;
        Ok(Self { guid: bmc.managed_system_guid(), by: By::Us(Box::new(bmc)) })
    }

    /// The GUID that the BMC showed when the session was opened.
    pub(crate) fn managed_system_guid(&self) -> [u8; 16] {
        self.guid
    }

    /// Whether the power is on.
    pub(crate) async fn power_on(&mut self) -> Result<bool, Fault> {
        match &mut self.by {
            By::Us(bmc) => Ok(bmc.chassis_status().await?.power_on()),
            By::Keeper(remote) => match remote.ask(&Ask::Power).await? {
                Answer::Power { on } => Ok(on),
                other => Err(unexpected(other)),
            },
        }
    }

    /// The product's serial. Many BMCs have none.
    pub(crate) async fn product_serial(&mut self) -> Result<Option<String>, Fault> {
        match &mut self.by {
            By::Us(bmc) => {
                let product = bmc.fru_inventory(0).await?.product;
                Ok(product.and_then(|product| product.fields.into_iter().nth(PRODUCT_SERIAL)))
            }
            By::Keeper(remote) => match remote.ask(&Ask::Serial).await? {
                Answer::Serial { serial } => Ok(serial),
                other => Err(unexpected(other)),
            },
        }
    }

    async fn boot_flags(&mut self) -> Result<Option<BootFlags>, Fault> {
        match &mut self.by {
            By::Us(bmc) => {
                let option = bmc.boot_option(BOOT_FLAGS).await?;
                let octets = option.data.get(..5).and_then(|octets| <[u8; 5]>::try_from(octets).ok());
                Ok(octets.map(BootFlags))
            }
            By::Keeper(remote) => match remote.ask(&Ask::BootFlags).await? {
                Answer::BootFlags { flags } => Ok(flags.map(BootFlags)),
                other => Err(unexpected(other)),
            },
        }
    }

    /// The octets of the boot flags, where the BMC has them (§28.13).
    pub(super) async fn boot_flag_octets(&mut self) -> Result<Option<[u8; 5]>, Fault> {
        Ok(self.boot_flags().await?.map(|flags| flags.0))
    }

    /// The boot device that is set for the next boot.
    pub(crate) async fn boot_device(&mut self) -> Result<Option<BootDevice>, Fault> {
        Ok(self.boot_flags().await?.filter(|flags| flags.valid()).map(|flags| flags.device()))
    }

    /// Whether the BMC starts the firmware as UEFI: the "BIOS boot type" of the boot flags, which stays when they are
    /// used up. Flags that were never set say nothing.
    pub(crate) async fn boot_mode(&mut self) -> Option<bool> {
        let flags = self.boot_flags().await.ok()??;
        flags.0.iter().any(|octet| *octet != 0).then(|| flags.efi())
    }

    /// Sets the boot device.
    pub(crate) async fn set_boot_device(
        &mut self,
        device: BootDevice,
        options: BootOptions,
    ) -> Result<(), Fault> {
        match &mut self.by {
            By::Us(bmc) => Ok(bmc.set_boot_device(device, options).await?),
            By::Keeper(remote) => {
                let BootOptions { efi, persistent, keep_valid_bit } = options;
                let ask = Ask::SetBoot { device: device.to_wire(), efi, persistent, keep_valid_bit };
                done(remote.ask(&ask).await?)
            }
        }
    }

    /// A power command.
    pub(crate) async fn chassis_control(&mut self, control: ChassisControl) -> Result<(), Fault> {
        match &mut self.by {
            By::Us(bmc) => bmc.chassis_control(control).await.map(drop).map_err(Fault::from),
            By::Keeper(remote) => done(remote.ask(&Ask::Control { control: control.to_wire() }).await?),
        }
    }

    /// Closes the session with the BMC; the keeper closes its own when the connection ends.
    pub(crate) async fn close(self) {
        if let By::Us(bmc) = self.by {
            bmc.close().await;
        }
    }
}

/// A connection to the keeper.
struct Remote {
    place: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Remote {
    async fn connect(place: &Path) -> Result<Self, Fault> {
        let stream = UnixStream::connect(place).await.map_err(|error| {
            Fault::other(format!(
                "nobody keeps the BMCs' logins behind {}: {error}; `systemctl start kpc-bmc.socket`, or kpc bmc keep",
                place.display()
            ))
        })?;
        Ok(Self { place: place.to_path_buf(), stream: BufReader::new(stream) })
    }

    /// Once an ask has gone out, an answer that is lost leaves open whether it was carried out.
    async fn ask(&mut self, ask: &Ask) -> Result<Answer, Fault> {
        let lost = |why: &dyn fmt::Display, place: &Path| Fault {
            kind: Kind::Silent,
            words: format!("the keeper of the BMCs' logins ({}): {why}", place.display()),
        };
        let asked = async {
            wire::write(&mut self.stream, ask).await?;
            wire::read(&mut self.stream).await
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Some(Answer::Not(fault)))) => Err(fault),
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(lost(&"it hung up", &self.place)),
            Ok(Err(error)) => Err(lost(&error, &self.place)),
            Err(_) => Err(lost(&"no answer", &self.place)),
        }
    }
}

fn done(answer: Answer) -> Result<(), Fault> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn unexpected(answer: Answer) -> Fault {
    match answer {
        Answer::Not(fault) => fault,
        other => Fault::other(format!("the keeper of the BMCs' logins answered {other:?}")),
    }
}
