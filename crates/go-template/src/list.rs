//! `[]interface {}`: a window on shared items, with the spare capacity that Go's `slice` can reach into.

use std::sync::Arc;

use crate::value::Value;

static NIL: Value = Value::Nil;

/// A Go slice of `interface {}`.
///
/// Slicing shares the items. As in Go a slice has a capacity: `slice x 0 4` of a list of three that has room for
/// four shows a fourth element, nil. A list made here has no spare room; one read from JSON has what
/// Go's `append` would have left.
#[derive(Clone, Debug)]
pub struct List {
    items: Arc<[Value]>,
    start: usize,
    len: usize,
    cap: usize,
}

impl List {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&Value> {
        if index >= self.len {
            return None;
        }
        Some(self.items.get(self.start.checked_add(index)?).unwrap_or(&NIL))
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        (0..self.len).filter_map(|index| self.get(index))
    }

    /// How far `slice` may reach.
    pub fn capacity(&self) -> usize {
        self.cap
    }

    /// The elements from `from` up to, not including, `to`, with the capacity ending at `max`;
    /// `None` unless `from <= to <= max <= capacity`.
    pub fn slice(&self, from: usize, to: usize, max: usize) -> Option<Self> {
        (from <= to && to <= max && max <= self.cap).then(|| Self {
            items: Arc::clone(&self.items),
            start: self.start.saturating_add(from),
            len: to - from,
            cap: max - from,
        })
    }

    /// A list whose capacity is what Go's `append` leaves after adding the items one at a time
    /// (`runtime.growslice`, elements of 16 octets).
    pub fn appended(items: Vec<Value>) -> Self {
        let cap = append_capacity(items.len());
        Self { len: items.len(), items: items.into(), start: 0, cap }
    }
}

/// `runtime.growslice` for elements of two words: doubling up to 256, then by a quarter and 192,
/// rounded up to a size class of the allocator.
fn append_capacity(len: usize) -> usize {
    let mut cap = 0_usize;
    while cap < len {
        cap = match cap {
            0 => 1,
            1..256 => cap * 2,
            _ => size_class(cap.saturating_add(cap.saturating_add(768) / 4).saturating_mul(16)) / 16,
        };
    }
    cap
}

/// The allocator's size classes above 8 KiB (`runtime/sizeclasses.go`); larger sizes are whole pages of 8 KiB.
fn size_class(octets: usize) -> usize {
    const CLASSES: [usize; 16] = [
        8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264,
        28672,
    ];
    match CLASSES.iter().find(|&&class| class >= octets) {
        Some(&class) => class,
        None if octets <= 32768 => 32768,
        None => octets.saturating_add(8191) / 8192 * 8192,
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        Self { start: 0, len: items.len(), cap: items.len(), items: items.into() }
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_reach_into_spare_capacity() {
        let list = List::appended(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
        assert_eq!((list.len(), list.capacity()), (3, 4));
        let all = list.slice(0, 4, 4).unwrap();
        assert!(matches!(all.get(3), Some(Value::Nil)));
        assert!(list.slice(0, 5, 5).is_none());
        let tail = list.slice(1, 2, 4).unwrap();
        assert_eq!((tail.len(), tail.capacity()), (1, 3));
        assert!(matches!(tail.slice(0, 2, 3).unwrap().get(1), Some(Value::Int(3))));
    }

    #[test]
    fn capacities_are_those_of_append() {
        let caps: Vec<_> = [0, 1, 2, 3, 5, 200, 257, 513, 900].iter().map(|&n| append_capacity(n)).collect();
        assert_eq!(caps, [0, 1, 2, 4, 8, 256, 512, 848, 1280]);
    }
}
