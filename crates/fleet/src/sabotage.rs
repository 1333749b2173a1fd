//! The rules that keep disks safe, by name. Each place that enforces one asks here whether it holds; it always
//! does, except in this crate's own tests, which take one away to show that the simulation then fails.

use crate::fleet::Fleet;

/// A rule of the order and its grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// Without an open order nothing boots but the disk.
    NoOrderNoBoot,
    /// One open order per machine.
    OneOpenOrder,
    /// Cancelling ends an order.
    CancelEnds,
    /// Retiring a machine ends its order.
    RetireEnds,
    /// An install order that nobody claims in time ends.
    OrderExpires,
    /// A claim without a grant ends in time, and its order with it.
    ClaimExpires,
    /// A grant needs the claim that the order stands under now.
    PresentClaim,
    /// A second claimer freezes the order.
    SecondClaimerFreezes,
    /// A frozen order grants nothing.
    FrozenGrantsNothing,
    /// An order is granted once; afterwards the machine boots its disk.
    GrantOnce,
    /// Only the very run of the agent that was granted hears the same answer again.
    SameNonce,
    /// A live order never writes.
    LiveNeverWrites,
    /// A disk that the order names is the only one that may be written.
    NamedDisk,
    /// A disk with data is written only when the order gives up that data.
    DataNeedsWipe,
    /// A machine whose evidence contradicts its record boots nothing.
    ConflictBootsNothing,
    /// A UUID never selects a machine alone. Nothing in the engine lets it, so only a test names this.
    #[cfg(test)]
    UuidNeverSelects,
    /// What an answer rests on is durable before it is given.
    AnswerAfterDurable,
    /// A grant in the store wins over the order written before it.
    GrantRecordWins,
    /// Restoring a backup voids every open order.
    RestoreVoids,
}

#[cfg(test)]
impl Rule {
    /// All of them.
    pub(crate) const ALL: [Self; 19] = [
        Self::NoOrderNoBoot,
        Self::OneOpenOrder,
        Self::CancelEnds,
        Self::RetireEnds,
        Self::OrderExpires,
        Self::ClaimExpires,
        Self::PresentClaim,
        Self::SecondClaimerFreezes,
        Self::FrozenGrantsNothing,
        Self::GrantOnce,
        Self::SameNonce,
        Self::LiveNeverWrites,
        Self::NamedDisk,
        Self::DataNeedsWipe,
        Self::ConflictBootsNothing,
        Self::UuidNeverSelects,
        Self::AnswerAfterDurable,
        Self::GrantRecordWins,
        Self::RestoreVoids,
    ];
}

impl Fleet {
    /// Whether `rule` holds.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests look at it")]
    pub(crate) fn holds(&self, _rule: Rule) -> bool {
        true
    }

    /// Whether `rule` holds.
    #[cfg(test)]
    pub(crate) fn holds(&self, rule: Rule) -> bool {
        self.removed != Some(rule)
    }
}
