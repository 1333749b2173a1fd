#![doc = include_str!("../README.md")]

pub mod attempt;
pub mod backup;
mod change;
pub mod claim;
pub mod command;
pub mod config;
pub mod decide;
mod fleet;
pub mod grant;
pub mod hint;
mod host_keys;
#[cfg(feature = "http")]
pub mod http;
pub mod identity;
pub mod inventory;
pub mod job;
pub mod machine;
#[doc = include_str!("../MODEL.md")]
pub mod model {}
pub mod observe;
pub mod order;
mod peers;
mod power;
pub mod provision;
pub mod record;
pub mod register;
mod restore;
mod sabotage;
pub mod select;
#[cfg(test)]
mod simulation;
pub mod status;
pub mod store;
pub mod text;
pub mod time;
pub mod timeline;
pub mod unknown;

pub use claim::{ClaimRefused, Claimed};
pub use command::{Command, CommandOutcome, NewMachine, Refusal};
pub use config::{Config, PhaseLimits};
pub use decide::{Boot, Decision, Reason};
pub use fleet::Fleet;
pub use grant::{GrantRefused, GrantRequest};
pub use hint::{Hint, HintCode};
pub use identity::{ClaimSecret, Mac, MachineId, OrderId, Sighting, Uuid};
pub use job::{BmcAction, Job, JobId, JobState, JobStep, StepResult};
pub use machine::{Bmc, Disk, Facts, Interface, Lifecycle, Machine};
pub use observe::{AgentPhase, Ignored, Observation, PowerAction, Stage};
pub use order::{Claim, Grant, Order, OrderState, Role};
pub use provision::Provision;
pub use record::Record;
pub use register::{AgentKey, RegisterRefused, Registered, Registration};
pub use select::Selector;
pub use status::MachineStatus;
pub use time::Timestamp;
pub use timeline::{Event, EventKind};
