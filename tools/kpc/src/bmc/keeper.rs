//! `kpc bmc keep`: the process that has the BMCs' logins and speaks IPMI for the server, which parses what strangers
//! send and has none. It listens on a socket in the file system alone, and gives a login to nobody.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use daemon::signals::Signals;
use ipmi::command::chassis::{BootDevice, BootOptions, ChassisControl};
use ipmi::hostrange;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::session::{Fault, Session};
use super::vault::Vault;
use super::wire::{self, Answer, Ask};
use crate::Failure;
use crate::config::Config;

/// Most connections at once; the server asks 64 BMCs at a time.
const MAX_CONNECTIONS: usize = 1024;
/// How long to wait after an accept that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// The logins, and where they may be used.
struct Keeper {
    vault: Vault,
    /// The addresses of `network.bmc.ranges` and the racks'; empty: any.
    ranges: BTreeSet<IpAddr>,
    /// The server's account.
    server: Option<u32>,
}

/// The verb.
pub(crate) fn keep(config: &Config) -> Result<u8, Failure> {
    let wrong = Failure::Configuration;
    let path = config.bmc.keeper.as_ref().ok_or_else(|| {
        wrong("bmc.keeper is not set in kpc.toml: it names the socket that the server asks".to_owned())
    })?;
    let keeper = Keeper {
        vault: Vault::configured(config).map_err(wrong)?,
        ranges: ranges(config).map_err(wrong)?,
        server: nix::unistd::User::from_name(&config.user).ok().flatten().map(|user| user.uid.as_raw()),
    };
    let given = daemon::sockets::Given::from_environment().unix().map_err(|error| error.to_string())?;
    let activated = given.is_some();
    let listener = match given {
        Some(listener) => listener,
        None => {
            let group = nix::unistd::User::from_name(&config.user).ok().flatten();
            daemon::sockets::listen_unix(path, group.map(|user| user.gid.as_raw()))
                .map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    // The account stays the one that systemd's unit names; capabilities it needs none.
    daemon::privileges::drop_to("root", &[]).map_err(|error| wrong(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime does not start: {error}"))?;
    let outcome = runtime.block_on(run(listener, Arc::new(keeper)));
    if !activated {
        let _ = std::fs::remove_file(path);
    }
    outcome.map(|()| 0).map_err(Failure::Other)
}

/// Every address that the configuration says is a BMC's.
fn ranges(config: &Config) -> Result<BTreeSet<IpAddr>, String> {
    let own = config.network.bmc.iter().flat_map(|bmc| bmc.ranges.iter());
    let mut all = BTreeSet::new();
    for range in own.chain(config.rack.iter().flat_map(|rack| rack.bmc_ranges.iter())) {
        let hosts = hostrange::expand(range).map_err(|error| format!("{range}: {error}"))?;
        all.extend(hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok()));
    }
    Ok(all)
}

async fn run(listener: UnixListener, keeper: Arc<Keeper>) -> Result<(), String> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(|error| error.to_string())?;
    let mut signals = Signals::listen().map_err(|error| format!("signals: {error}"))?;
    let mut connections = JoinSet::new();
    daemon::signals::ready();
    tracing::info!("ready");
    let stop = signals.until_stop(|| async {});
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => _ = connections.spawn(converse(stream, Arc::clone(&keeper))),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    // A command that is on its way to a BMC is the server's to look after: its job knows that it is in doubt.
    connections.shutdown().await;
    Ok(())
}

/// What a peer may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rights {
    /// Root and our own account: to hand logins over, too.
    Keep,
    /// The server: sessions.
    Sessions,
}

impl Keeper {
    fn rights(&self, uid: u32) -> Option<Rights> {
        match uid {
            0 => Some(Rights::Keep),
            uid if uid == nix::unistd::geteuid().as_raw() => Some(Rights::Keep),
            uid if Some(uid) == self.server => Some(Rights::Sessions),
            _ => None,
        }
    }

    /// Answers one ask.
    async fn answer(&self, rights: Rights, session: &mut Option<Session>, ask: Ask) -> Result<Answer, Fault> {
        let ask = match ask {
            Ask::Keep { logins } if rights == Rights::Keep => {
                // A small file, seldom written.
                self.vault.keep(logins).map_err(Fault::other)?;
                return Ok(Answer::Done);
            }
            Ask::Keep { .. } => return Err(Fault::other("logins are kept for root alone")),
            Ask::Open { address } => {
                self.may_open(address.ip())?;
                if let Some(before) = session.take() {
                    before.close().await;
                }
                let opened = session.insert(Session::own(&self.vault, address).await?);
                return Ok(Answer::Opened { guid: opened.managed_system_guid() });
            }
            ask => ask,
        };
        let session = session.as_mut().ok_or_else(|| Fault::other("no session is open"))?;
        match ask {
            Ask::Power => session.power_on().await.map(|on| Answer::Power { on }),
            Ask::Serial => session.product_serial().await.map(|serial| Answer::Serial { serial }),
            Ask::BootFlags => {
                let flags = session.boot_flag_octets().await?;
                Ok(Answer::BootFlags { flags })
            }
            Ask::SetBoot { device, efi, persistent, keep_valid_bit } => {
                let options = BootOptions { efi, persistent, keep_valid_bit };
                session.set_boot_device(BootDevice::from_wire(device), options).await.map(|()| Answer::Done)
            }
            Ask::Control { control } => match ChassisControl::from_wire(control) {
                Some(control) => session.chassis_control(control).await.map(|()| Answer::Done),
                None => Err(Fault::other(format!("no chassis control {control}"))),
            },
            Ask::Open { .. } | Ask::Keep { .. } => Err(Fault::other("answered above")),
        }
    }

    /// A login for all goes to addresses that are BMCs' by the configuration: whoever has taken the server over must not
    /// have it shown to a BMC of his own.
    fn may_open(&self, address: IpAddr) -> Result<(), Fault> {
        if self.ranges.is_empty() || self.ranges.contains(&address) || self.vault.names(address) {
            return Ok(());
        }
        Err(Fault::other(format!(
            "{address} is in no range of BMCs (network.bmc.ranges, bmc_ranges of a [[rack]]), and no login is kept for it"
        )))
    }
}

async fn converse(stream: UnixStream, keeper: Arc<Keeper>) {
    let Ok(peer) = stream.peer_cred() else { return };
    let Some(rights) = keeper.rights(peer.uid()) else {
        tracing::warn!(uid = peer.uid(), "refused");
        return;
    };
    let (mut stream, mut session) = (BufReader::new(stream), None);
    loop {
        let ask: Ask = match wire::read(&mut stream).await {
            Ok(Some(ask)) => ask,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(uid = peer.uid(), %error, "an ask");
                break;
            }
        };
        let answer = keeper.answer(rights, &mut session, ask).await.unwrap_or_else(Answer::Not);
        if wire::write(&mut stream, &answer).await.is_err() {
            break;
        }
    }
    if let Some(session) = session {
        session.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::logins::{ByAddress, Login};

    fn keeper(folder: &std::path::Path, ranges: &[&str]) -> Keeper {
        Keeper {
            vault: Vault::open(folder.join("logins.toml"), None).unwrap(),
            ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            server: Some(4242),
        }
    }

    fn login() -> Login {
        Login { user: "admin".to_owned(), password: "hunter2".to_owned() }
    }

    #[tokio::test]
    async fn the_server_gets_sessions_and_no_login() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper(folder.path(), &["10.9.0.1"]);
        assert_eq!(keeper.rights(4242), Some(Rights::Sessions));
        assert_eq!(keeper.rights(0), Some(Rights::Keep));
        assert_eq!(keeper.rights(4243), None);
        let logins: ByAddress = [("127.0.0.9".parse().unwrap(), login())].into();
        let mut none = None;
        let ask = Ask::Keep { logins: logins.clone() };
        assert!(!format!("{ask:?}").contains("hunter2"));
        assert!(keeper.answer(Rights::Sessions, &mut none, ask).await.is_err());
        assert!(!folder.path().join("logins.toml").exists());
        keeper.answer(Rights::Keep, &mut none, Ask::Keep { logins }).await.unwrap();
        assert!(folder.path().join("logins.toml").exists());
        let fault = keeper.answer(Rights::Sessions, &mut none, Ask::Power).await.unwrap_err();
        assert_eq!(fault.words, "no session is open");
    }

    #[test]
    fn a_login_goes_to_bmcs_alone() {
        let folder = tempfile::tempdir().unwrap();
        let strict = keeper(folder.path(), &["10.9.0.1"]);
        assert!(strict.may_open("10.9.0.1".parse().unwrap()).is_ok());
        let fault = strict.may_open("10.9.0.2".parse().unwrap()).unwrap_err();
        assert!(fault.words.contains("network.bmc.ranges"), "{fault}");
        strict.vault.keep([("10.9.0.2".parse().unwrap(), login())].into()).unwrap();
        assert!(strict.may_open("10.9.0.2".parse().unwrap()).is_ok());
        assert!(keeper(folder.path(), &[]).may_open("10.9.0.3".parse().unwrap()).is_ok());
    }
}
