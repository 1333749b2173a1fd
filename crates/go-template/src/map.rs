//! Maps with string keys, kept sorted: Go's `range` and `fmt` walk a map in the order of its keys.

use std::sync::Arc;

use crate::value::Value;

/// `map[string]interface {}`, sorted by the bytes of its keys.
pub type Map = Sorted<Value>;

/// `map[string]string`, sorted by the bytes of its keys.
///
/// An absent key is the empty string to `index`, where a [`Map`] gives nil.
pub type StringMap = Sorted<Arc<[u8]>>;

/// A map from byte strings to `V`, in the order of its keys.
#[derive(Clone, Debug)]
pub struct Sorted<V> {
    entries: Vec<(Arc<[u8]>, V)>,
}

impl<V> Sorted<V> {
    /// A map without entries.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Sets the value of a key and returns what it had before.
    pub fn insert(&mut self, key: impl AsRef<[u8]>, value: impl Into<V>) -> Option<V> {
        let (key, value) = (key.as_ref(), value.into());
        match self.position(key) {
            Ok(at) => self.entries.get_mut(at).map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(at) => {
                self.entries.insert(at, (Arc::from(key), value));
                None
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&V> {
        let at = self.position(key.as_ref()).ok()?;
        self.entries.get(at).map(|entry| &entry.1)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: impl AsRef<[u8]>) -> Option<&mut V> {
        let at = self.position(key.as_ref()).ok()?;
        self.entries.get_mut(at).map(|entry| &mut entry.1)
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Option<V> {
        let at = self.position(key.as_ref()).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// Whether it has the key.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.position(key.as_ref()).is_ok()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// The entry at a place in the order of the keys, for loops that keep their place.
    pub(crate) fn entry(&self, at: usize) -> Option<(&Arc<[u8]>, &V)> {
        self.entries.get(at).map(|(key, value)| (key, value))
    }

    fn position(&self, key: &[u8]) -> Result<usize, usize> {
        // Appending in order, as readers of sorted data do, costs one comparison.
        match self.entries.last() {
            None => return Err(0),
            Some((last, _)) if last.as_ref() < key => return Err(self.entries.len()),
            Some(_) => {}
        }
        self.entries.binary_search_by(|(probe, _)| probe.as_ref().cmp(key))
    }
}

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: AsRef<[u8]>, T: Into<V>, V> FromIterator<(K, T)> for Sorted<V> {
    /// The last value of a repeated key wins, as in JSON read by Go.
    fn from_iter<I: IntoIterator<Item = (K, T)>>(entries: I) -> Self {
        let mut entries: Vec<(Arc<[u8]>, V)> =
            entries.into_iter().map(|(key, value)| (Arc::from(key.as_ref()), value.into())).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.reverse();
        entries.dedup_by(|a, b| a.0 == b.0);
        entries.reverse();
        Self { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_sorted_and_the_last_value_wins() {
        let map: StringMap = [("b", "1"), ("a", "2"), ("b", "3")]
            .into_iter()
            .map(|(key, value)| (key, Arc::<[u8]>::from(value.as_bytes())))
            .collect();
        let flat: Vec<_> = map.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(flat, [(b"a".to_vec(), b"2".to_vec()), (b"b".to_vec(), b"3".to_vec())]);
        let mut map = Map::new();
        map.insert("m", 1_i64);
        map.insert("a", 2_i64);
        map.insert("z", 3_i64);
        assert!(matches!(map.insert("m", 4_i64), Some(Value::Int(1))));
        let keys: Vec<_> = map.iter().map(|(key, _)| key.to_vec()).collect();
        assert_eq!(keys, [b"a", b"m", b"z"]);
        assert!(matches!(map.remove("a"), Some(Value::Int(2))));
        assert!(map.get("a").is_none() && map.contains_key("z"));
    }
}
