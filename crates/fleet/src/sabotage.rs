//! The rules that keep disks safe, by name. Each `if` that enforces one asks here whether it holds; it always
//! does, except in this crate's own tests, which take one away to show that the simulation then fails.

use crate::fleet::Fleet;

/// A rule of the order and its grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// A grant needs an order that is open: not cancelled, failed, expired or voided.
    OpenOrder,
    /// A grant needs the claim that the order stands under now.
    PresentClaim,
    /// An order is granted once; only the same nonce hears the same answer again.
    GrantOnce,
    /// A second claimer freezes the order.
    SecondClaimerFreezes,
    /// A frozen order grants nothing.
    FrozenGrantsNothing,
    /// A claim past its time is none.
    ClaimExpires,
    /// A machine whose evidence contradicts its record boots nothing.
    ConflictBootsNothing,
    /// Without an order nothing boots but the disk.
    NoOrderNoBoot,
    /// A disk with data is written only when the order names it.
    DataNeedsWipe,
    /// One open order per machine.
    OneOpenOrder,
    /// A live order never writes.
    LiveNeverWrites,
    /// While the store refuses writes nothing new is given.
    DurableFirst,
    /// Restoring a backup voids every open order.
    RestoreVoids,
    /// A grant in the store wins over the order written before it.
    GrantRecordWins,
}

#[cfg(test)]
impl Rule {
    /// All of them.
    #[expect(dead_code, reason = "the simulation takes them one by one")]
    pub(crate) const ALL: [Self; 14] = [
        Self::OpenOrder,
        Self::PresentClaim,
        Self::GrantOnce,
        Self::SecondClaimerFreezes,
        Self::FrozenGrantsNothing,
        Self::ClaimExpires,
        Self::ConflictBootsNothing,
        Self::NoOrderNoBoot,
        Self::DataNeedsWipe,
        Self::OneOpenOrder,
        Self::LiveNeverWrites,
        Self::DurableFirst,
        Self::RestoreVoids,
        Self::GrantRecordWins,
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
