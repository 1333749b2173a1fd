//! Cutting a config down to what a version knows.

use crate::report::{At, Report};

/// A value that may hold what an older version does not know.
pub(crate) trait Prune {
    /// Leaving the value out changes nothing. `default_on` is a switch's default.
    fn is_trivial(&self, default_on: bool) -> bool;

    /// Drops what `level` does not know; losses are reported.
    fn prune(&mut self, level: u8, losses: &mut Report, at: &At<'_>) {
        let _ = (level, losses, at);
    }
}

/// Reports a loss.
pub(crate) fn lose(losses: &mut Report, what: &str, at: &At<'_>) {
    losses.error("lost", format!("{what} cannot be said in the older version"), at);
}

impl Prune for bool {
    fn is_trivial(&self, default_on: bool) -> bool {
        *self == default_on
    }
}

impl Prune for i64 {
    fn is_trivial(&self, _default_on: bool) -> bool {
        *self == 0
    }
}

impl Prune for u64 {
    fn is_trivial(&self, _default_on: bool) -> bool {
        *self == 0
    }
}

impl Prune for String {
    fn is_trivial(&self, _default_on: bool) -> bool {
        self.is_empty()
    }
}

impl<T: Prune + Inner> Prune for Option<T> {
    fn is_trivial(&self, default_on: bool) -> bool {
        self.as_ref().is_none_or(|value| !T::COUNTS_WHEN_SET && value.is_trivial(default_on))
    }

    fn prune(&mut self, level: u8, losses: &mut Report, at: &At<'_>) {
        if let Some(value) = self {
            value.prune(level, losses, at);
        }
    }
}

/// Whether a value means something merely by being there.
pub(crate) trait Inner {
    const COUNTS_WHEN_SET: bool = false;
}

impl Inner for bool {}
impl Inner for String {}
impl Inner for i64 {
    const COUNTS_WHEN_SET: bool = true;
}
impl Inner for u64 {
    const COUNTS_WHEN_SET: bool = true;
}
impl<T: crate::decode::Object> Inner for T {}

impl<T: Prune> Prune for Vec<T> {
    fn is_trivial(&self, _default_on: bool) -> bool {
        self.is_empty()
    }

    fn prune(&mut self, level: u8, losses: &mut Report, at: &At<'_>) {
        for (index, item) in self.iter_mut().enumerate() {
            item.prune(level, losses, &at.index(index));
        }
    }
}
