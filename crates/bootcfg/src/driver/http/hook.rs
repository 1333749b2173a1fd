//! Where an embedding program decides about a request and learns how it went.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::fault::Reason;
use crate::labels::Labels;
use crate::route::Endpoint;

/// A decision that may be waited for, such as one that has to be durable before it is told.
pub type Deciding<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Decides per request and sees every answer. Both calls happen on the server's tasks and must not block.
pub trait Hook: Send + Sync {
    /// What to do with a request to one of the selecting endpoints.
    fn decide<'a>(&'a self, facts: &'a RequestFacts<'a>) -> Deciding<'a> {
        let _ = facts;
        Box::pin(ready(Verdict::Select))
    }

    /// An answer has been sent whole, or was cut short.
    fn record(&self, access: &Access) {
        let _ = access;
    }
}

/// Selects and records nothing: bootcfgd's own way.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultHook;

impl Hook for DefaultHook {}

/// What is known before anything is selected.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The labels, `mac` normalised.
    pub labels: &'a Labels,
    /// The query as sent.
    pub raw_query: &'a str,
    /// Who asks.
    pub peer: SocketAddr,
}

/// A decision.
#[derive(Clone, Debug, Default)]
pub enum Verdict {
    /// Select by labels.
    #[default]
    Select,
    /// Answer from this profile, whatever the selectors say.
    Boot {
        /// The profile's file name without `.json`.
        profile: String,
        /// The group whose metadata is used, by its file name without `.json`.
        group: Option<String>,
        /// Variables over the group's metadata, for templates and `/metadata`.
        metadata: serde_json::Map<String, serde_json::Value>,
        /// Kernel arguments after the profile's own, for `/ipxe` and `/grub`.
        arguments: Vec<String>,
    },
    /// Answer with this.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// The Content-Type.
        content_type: &'static str,
        /// The octets.
        body: Bytes,
    },
    /// Answer with an error.
    Refuse {
        /// The status, 400 to 599.
        status: u16,
        /// Why, for a person; sent in strict mode, logged in the others.
        reason: String,
    },
}

/// What was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// `/`
    Home,
    /// `/boot.ipxe`
    BootScript,
    /// A selecting endpoint.
    Endpoint(Endpoint),
    /// A path below `/assets/`.
    Asset(String),
    /// Anything else.
    Other(String),
}

/// One answer, after its last octet.
#[derive(Clone, Debug)]
pub struct Access {
    /// What was asked for.
    pub target: Target,
    /// The method.
    pub method: String,
    /// The labels, `mac` normalised.
    pub labels: Labels,
    /// Who asked.
    pub peer: SocketAddr,
    /// The status sent.
    pub status: u16,
    /// Octets of the body handed to the connection.
    pub octets: u64,
    /// Whether that was all of it.
    pub complete: bool,
    /// From the request's head to the begin of the answer.
    pub took: Duration,
    /// The group's file name without `.json`.
    pub group: Option<String>,
    /// The profile's file name without `.json`.
    pub profile: Option<String>,
    /// The template, by its path below the data folder.
    pub template: Option<String>,
    /// Why there was no good answer.
    pub reason: Option<Reason>,
    /// The same in words, with file and line.
    pub detail: Option<String>,
}
