//! One boot of a simulated machine: firmware, iPXE, agent, as far as others can see them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::dhcp::{self, Reply, Wire};
use super::http::Client;
use super::script::{Action, Script};
use super::{Progress, SimulatedMachine, tftp};

/// How long iPXE and PXE firmware wait for offers, attempt by attempt.
const OFFERS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];
/// Pauses of the agent between attempts.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// Scripts that chain to each other without an end.
const CHAINS: usize = 64;

/// All machines of a lab.
#[derive(Clone)]
pub(super) struct Fleet {
    pub(super) machines: Vec<SimulatedMachine>,
    pub(super) progress: Arc<Progress>,
}

/// What a machine needs to boot.
#[derive(Clone)]
pub(super) struct Station {
    pub(super) wire: Arc<Wire>,
    pub(super) machine: SimulatedMachine,
    pub(super) progress: Arc<Progress>,
}

impl Station {
    /// From power-on to the registration.
    pub(super) async fn boot(self) {
        self.progress.started.fetch_add(1, Ordering::Relaxed);
        match self.run().await {
            Ok(()) => drop(self.progress.registered.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.progress.fail(format!("{}: {error}", self.machine.name)),
        }
    }

    async fn run(&self) -> Result<(), String> {
        self.sends("seen");
        let offer = self.lease(false).await?;
        let whole = || self.sends("loader");
        let loader = tftp::read(self.machine.address, offer.siaddr, &offer.file, whole).await?;
        if loader.is_empty() {
            return Err(format!("the loader {} is empty", offer.file));
        }
        let offer = self.lease(true).await?;
        let mut client = Client::ipxe(self.machine.address);
        let command_line = self.script(&mut client, offer.file).await?;
        drop(client); // the kernel starts, and iPXE's connections end with it
        self.agent(&command_line).await
    }

    fn sends(&self, phase: &'static str) {
        self.progress.sends(&self.machine, phase);
    }

    fn retry(&self) {
        self.progress.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// DISCOVER, both offers, REQUEST, ACK (RFC 2131 §3.1; PXE 2.1 §2.2); the proxy's offer.
    async fn lease(&self, ipxe: bool) -> Result<Reply, String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let xid = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut listening = self.wire.listen(xid);
        let (mut leased, mut proxied): (Option<Reply>, Option<Reply>) = (None, None);
        for patience in OFFERS {
            self.wire.broadcast(&self.machine, &dhcp::discover(&self.machine, xid, ipxe));
            let offers = async {
                while leased.is_none() || proxied.is_none() {
                    let Some(reply) = listening.replies.recv().await else { return };
                    if reply.is_lease_offer() {
                        leased = Some(reply);
                    } else if reply.is_proxy_offer() {
                        proxied = Some(reply);
                    }
                }
            };
            let _ = timeout(patience, offers).await; // what is missing is asked for again
            let (Some(lease), Some(proxy)) = (&leased, &proxied) else {
                self.retry();
                continue;
            };
            let server = lease.server.unwrap_or(Ipv4Addr::UNSPECIFIED);
            let request = dhcp::request(&self.machine, xid, ipxe, lease.yiaddr, server);
            self.wire.broadcast(&self.machine, &request);
            let acknowledged = async {
                while let Some(reply) = listening.replies.recv().await {
                    if reply.kind == 5 && reply.yiaddr == lease.yiaddr {
                        return true;
                    }
                }
                false
            };
            if timeout(patience, acknowledged).await == Ok(true) {
                return Ok(proxy.clone());
            }
            self.retry();
        }
        let missing = if leased.is_none() { "lease" } else { "boot file" };
        Err(format!("no offer with a {missing} ({})", if ipxe { "iPXE" } else { "firmware" }))
    }

    /// Runs scripts from `url` on until one boots; the kernel's command line.
    async fn script(&self, client: &mut Client, url: String) -> Result<String, String> {
        let (mut url, mut failures) = (url, 0);
        'scripts: for _ in 0..CHAINS {
            let text = match self.fetch(client, &url, None).await {
                Ok(text) => text,
                Err(error) if failures < PAUSES.len() => {
                    sleep(PAUSES.get(failures).copied().unwrap_or_default()).await;
                    failures += 1;
                    if failures == PAUSES.len() {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let text = String::from_utf8_lossy(&text).into_owned();
            let mut script =
                Script::new(&text, self.settings()).ok_or(format!("{url}: not an iPXE script"))?;
            let (mut worked, mut command_line) = (true, String::new());
            loop {
                let action = script.next(worked).map_err(|error| format!("{url}: {error}"))?;
                worked = match action {
                    Action::Chain(to) => {
                        let to = absolute(&url, &to);
                        // Whether a script can be had decides which alternative the line takes.
                        match self.fetch(client, &to, Some("script")).await {
                            Ok(next) if next.starts_with(b"#!ipxe") => {
                                url = to;
                                continue 'scripts;
                            }
                            _ => false,
                        }
                    }
                    Action::Kernel(from, line) => {
                        command_line = line;
                        self.fetch(client, &absolute(&url, &from), None).await.is_ok()
                    }
                    Action::Initrd(from) => self.fetch(client, &absolute(&url, &from), None).await.is_ok(),
                    Action::Sleep(seconds) => {
                        sleep(Duration::from_secs(seconds)).await;
                        true
                    }
                    Action::Boot => return Ok(command_line),
                    Action::Exit => return Err(format!("{url}: leaves iPXE")),
                };
                if !worked {
                    self.retry();
                }
            }
        }
        Err(format!("{url}: scripts chain without an end"))
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let (mac, uuid) = (self.machine.mac.to_string(), self.machine.uuid.to_string());
        let address = self.machine.address.to_string();
        let settings = [
            ("mac", mac.as_str()),
            ("uuid", &uuid),
            ("ip", &address),
            ("serial", &self.machine.name),
            ("platform", "pcbios"),
            ("buildarch", "i386"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// One file, or why not; the request shows `phase`.
    async fn fetch(
        &self,
        client: &mut Client,
        url: &str,
        phase: Option<&'static str>,
    ) -> Result<Vec<u8>, String> {
        let sends = || phase.into_iter().for_each(|phase| self.sends(phase));
        match client.request(url, None, sends).await? {
            (200, body) => Ok(body),
            (status, _) => Err(format!("{url}: {status}")),
        }
    }

    /// What the agent does in the booted system.
    async fn agent(&self, command_line: &str) -> Result<(), String> {
        let value = |name: &str| {
            command_line
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let config = value("ignition.config.url").or_else(|| value("coreos.config.url"));
        let config = config.ok_or("no ignition.config.url= on the kernel's command line")?;
        let (server, claim) = (value("kpc.server"), value("kpc.claim"));
        let (server, claim) =
            server.zip(claim).ok_or("no kpc.server= and kpc.claim= on the kernel's command line")?;
        let report = |phase: &str| format!(r#"{{"claim":"{claim}","phase":"{phase}","detail":"simulated"}}"#);
        let reports = format!("{server}/v1/report");
        self.insist(&reports, Some(&report("agent")), Some("agent")).await?;
        let ignition = self.insist(&config, None, None).await?;
        self.insist(&reports, Some(&report("ignition")), None).await?;
        let SimulatedMachine { name, uuid, mac, address, .. } = &self.machine;
        let registration = format!(
            r#"{{"claim":"{claim}","uuid":"{uuid}","serial":"{name}","hostname":"{name}","interfaces":[{{"name":"eth0",
"mac":"{mac}","addresses":["{address}"]}}],"digests":{{"kernel":null,"initrd":null,"ignition":"{}","files":{{}}}},
"ssh_host_keys":[],"agent_version":"simulated"}}"#,
            sha256(&ignition)
        );
        self.insist(&format!("{server}/v1/register"), Some(&registration), Some("registered")).await.map(drop)
    }

    /// A request that is repeated while the server says "later" or nothing; it shows `phase`.
    async fn insist(
        &self,
        url: &str,
        json: Option<&str>,
        phase: Option<&'static str>,
    ) -> Result<Vec<u8>, String> {
        let mut last = String::new();
        for pause in PAUSES {
            let sends = || phase.into_iter().for_each(|phase| self.sends(phase));
            match Client::agent(self.machine.address).request(url, json, sends).await {
                Ok((200..=299, body)) => return Ok(body),
                Ok((status @ 400..=499, body)) => {
                    return Err(format!("{url}: {status} {}", String::from_utf8_lossy(&body).trim()));
                }
                Ok((status, _)) => last = format!("{url}: {status}"),
                Err(error) => last = error,
            }
            self.retry();
            sleep(pause).await;
        }
        Err(last)
    }
}

/// A URL in a script, seen from that script (RFC 3986 §5.2, the cases of boot scripts).
fn absolute(base: &str, url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let host_end = base.find("://").and_then(|at| base.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let host_end = host_end.unwrap_or(base.len());
    let (host, path) = base.split_at_checked(host_end).unwrap_or((base, ""));
    if url.starts_with('/') {
        return format!("{host}{url}");
    }
    let path = path.split('?').next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{host}{folder}/{url}")
}

fn sha256(octets: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn urls_in_scripts() {
        let base = "http://10.77.0.1:8080/boot.ipxe?x=a/b";
        assert_eq!(absolute(base, "ipxe?mac=1"), "http://10.77.0.1:8080/ipxe?mac=1");
        assert_eq!(absolute(base, "/assets/k"), "http://10.77.0.1:8080/assets/k");
        assert_eq!(absolute(base, "http://h/k"), "http://h/k");
        assert_eq!(absolute("http://h", "k"), "http://h/k");
    }
}
