//! What is durable: the engine hands out records, the driver writes them before it acknowledges anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::{MachineId, OrderId};
use crate::job::{Job, JobId};
use crate::machine::Machine;
use crate::order::{Grant, Order};
use crate::timeline::Event;

/// Variables of one inventory group or host, with their JSON types.
pub type Vars = BTreeMap<String, serde_json::Value>;

/// One durable change. Writing a record twice is the same as writing it once; all but [`Record::Grant`]
/// replace what was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A machine as it is now.
    Machine(Machine),
    /// An order as it is now.
    Order(Order),
    /// A grant: create-only, keyed by its order. A store refuses a second, different one.
    Grant(Grant),
    /// Variables of a scope (`group:G` or `host:H`) as they are now; empty: gone.
    Vars {
        /// `group:G` or `host:H`.
        scope: String,
        /// All of them.
        vars: Vars,
    },
    /// A job on a BMC as it is now.
    Job(Job),
    /// An event of the timeline.
    Event(Event),
    /// Events past their retention.
    ForgetEvents {
        /// Their sequence numbers.
        seqs: Vec<u64>,
    },
    /// An ended order past its retention. Its grant stays for ever.
    ForgetOrder {
        /// Its id.
        order: OrderId,
        /// Whose it was.
        machine: MachineId,
    },
    /// An ended job past its retention.
    ForgetJob {
        /// Its id.
        job: JobId,
    },
}

impl Record {
    /// Whether the driver must make it durable before it acknowledges what made it. The others (the
    /// timeline of a boot) may wait for the next write, so that a thousand machines booting do not mean a
    /// thousand flushes of the disk.
    pub fn is_urgent(&self) -> bool {
        !matches!(
            self,
            Self::Event(_) | Self::ForgetEvents { .. } | Self::ForgetOrder { .. } | Self::ForgetJob { .. }
        )
    }
}
