//! A directory behind path rules: who asks decides which file is given, and how.

use super::directory::Directory;
use super::source::{OpenRequest, Opened, Refusal, Source, Upload};
use crate::rules::{Candidate, ClientFacts, MacAddr, Rules, Settings, render};
use crate::wire::ErrorCode;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::Read;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The longest file that is rendered, in octets.
const RENDERED: u64 = 4 << 20;
/// Rendered files kept for machines that ask again.
const KEPT: usize = 256;

/// Tells the MAC address of a client; it is called on the blocking pool.
pub type Neighbours = Arc<dyn Fn(IpAddr) -> Option<MacAddr> + Send + Sync>;

/// What a rendered file depends on.
type Inputs = (super::source::FileKey, ClientFacts);

/// A directory whose files are given by [`Rules`]. Clones share everything.
#[derive(Clone)]
pub struct Mapped {
    directory: Directory,
    rules: Arc<RwLock<Arc<Rules>>>,
    neighbours: Neighbours,
    rendered: Arc<Mutex<VecDeque<(Inputs, Bytes)>>>,
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Mapped {
    /// Gives the files of `directory` by `rules`. MAC addresses are told by the kernel's neighbour table.
    #[must_use]
    pub fn new(directory: Directory, rules: Rules) -> Self {
        let (rules, rendered) = (Arc::new(RwLock::new(Arc::new(rules))), Arc::default());
        Self { directory, rules, neighbours: Arc::new(neighbour), rendered }
    }

    /// Asks somebody else for MAC addresses, for example whoever answered the client's DHCP.
    #[must_use]
    pub fn with_neighbours(mut self, neighbours: Neighbours) -> Self {
        self.neighbours = neighbours;
        self
    }

    /// Puts other rules in force for the requests to come.
    pub fn replace_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    fn find(&self, request: &OpenRequest) -> Result<Opened, Refusal> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let ip = request.peer.ip();
        let mac = if rules.is_empty() { None } else { (self.neighbours)(ip) };
        let client = rules.identify(ip, mac);
        let start = request.path.iter().position(|&octet| octet != b'/').unwrap_or(0);
        let mut missing = Refusal::not_found();
        for candidate in rules.candidates(request.path.get(start..).unwrap_or_default(), &client) {
            match candidate {
                Candidate::Refuse(message) => return Err(Refusal::new(ErrorCode::AccessViolation, message)),
                Candidate::File { path, render, settings } => match self.directory.open_file(&path) {
                    Ok(file) => {
                        let unreadable = |_| Refusal::new(ErrorCode::NotDefined, "file cannot be read");
                        let opened = if render {
                            Opened::bytes(self.render(file, &client).map_err(unreadable)?)
                        } else {
                            Opened::file(file).map_err(unreadable)?
                        };
                        return Ok(apply(opened, settings));
                    }
                    Err(refusal) if refusal.code == ErrorCode::FileNotFound => missing = refusal,
                    Err(refusal) => return Err(refusal),
                },
            }
        }
        Err(missing)
    }

    /// The file with this client's facts in it, from memory if neither has changed.
    fn render(&self, file: std::fs::File, client: &ClientFacts) -> std::io::Result<Bytes> {
        let key = super::source::FileKey::of(&file)?;
        if key.length > RENDERED {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let inputs = (key, client.clone());
        {
            let kept = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, bytes)) = kept.iter().find(|(known, _)| *known == inputs) {
                return Ok(bytes.clone());
            }
        }
        let mut text = Vec::new();
        file.take(RENDERED).read_to_end(&mut text)?;
        let bytes = Bytes::from(render(&text, client));
        let mut kept = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((inputs, bytes.clone()));
        Ok(bytes)
    }
}

const fn apply(mut opened: Opened, settings: Settings) -> Opened {
    let Settings { max_block_size, fragments, hide_transfer_size, rollover } = settings;
    opened.quirks.block_size = max_block_size;
    opened.quirks.allow_fragments = fragments;
    opened.quirks.hide_transfer_size = hide_transfer_size;
    opened.quirks.rollover = rollover;
    opened
}

impl Source for Mapped {
    async fn open(&self, request: OpenRequest) -> Result<Opened, Refusal> {
        let mapped = self.clone();
        self.directory.on_pool(move |_| mapped.find(&request)).await
    }

    async fn create(&self, request: OpenRequest, announced: Option<u64>) -> Result<Upload, Refusal> {
        self.directory.create(request, announced).await
    }
}

/// What the kernel knows of a neighbour: its table for IPv4; for IPv6 an address made from the MAC address
/// (RFC 4291, appendix A).
fn neighbour(ip: IpAddr) -> Option<MacAddr> {
    match ip {
        IpAddr::V4(ip) => {
            let (table, ip) = (std::fs::read_to_string("/proc/net/arp").ok()?, ip.to_string());
            let mut lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            let mac: MacAddr =
                lines.find(|words| words.first() == Some(&ip.as_str()))?.get(3)?.parse().ok()?;
            (mac.0 != [0; 6]).then_some(mac)
        }
        IpAddr::V6(ip) => match ip.octets() {
            [.., a, b, c, 0xff, 0xfe, d, e, f] => Some(MacAddr([a ^ 2, b, c, d, e, f])),
            _ => None,
        },
    }
}
