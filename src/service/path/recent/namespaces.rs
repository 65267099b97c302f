//! The recordings with recent points by namespace, and the namespaces by their bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::OfRecording;
use crate::recording::{Namespace, RecordingName};

/// The recordings of all namespaces. Each method takes logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    namespaces: HashMap<Option<Namespace>, OfNamespace>,
    /// The namespaces by their bytes.
    by_bytes: BTreeSet<(usize, Option<Namespace>)>,
    bytes: usize,
    /// Number of lookups of namespaces.
    #[cfg(test)]
    pub(super) lookups: std::cell::Cell<usize>,
}

#[derive(Debug, Default)]
struct OfNamespace {
    recordings: HashMap<RecordingName, OfRecording>,
    /// The recordings by the number of their last change.
    by_change: BTreeMap<u64, RecordingName>,
    bytes: usize,
}

impl Namespaces {
    /// Returns the bytes of all recordings.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a recording.
    pub(super) fn get(&self, name: &RecordingName) -> Option<&OfRecording> {
        self.namespace(&name.namespace().cloned())?.recordings.get(name)
    }

    /// Removes and returns a recording.
    pub(super) fn remove(&mut self, name: &RecordingName) -> Option<OfRecording> {
        let key = name.namespace().cloned();
        self.count_lookup();
        let namespace = self.namespaces.get_mut(&key)?;
        let removed = namespace.recordings.remove(name)?;
        namespace.by_change.remove(&removed.change);
        let before = namespace.bytes;
        namespace.bytes -= removed.bytes();
        let after = namespace.bytes;
        if namespace.recordings.is_empty() {
            self.namespaces.remove(&key);
        }
        self.set_bytes(key, before, after);
        Some(removed)
    }

    /// Adds a recording that is not there.
    pub(super) fn insert(&mut self, name: &RecordingName, recording: OfRecording) {
        let key = name.namespace().cloned();
        self.count_lookup();
        let namespace = self.namespaces.entry(key.clone()).or_default();
        let before = namespace.bytes;
        namespace.bytes += recording.bytes();
        let after = namespace.bytes;
        namespace.by_change.insert(recording.change, name.clone());
        namespace.recordings.insert(name.clone(), recording);
        self.set_bytes(key, before, after);
    }

    /// Returns the recording that has not grown for the longest time, of the namespace with the most bytes.
    pub(super) fn oldest_of_largest(&self) -> Option<RecordingName> {
        let (_, largest) = self.by_bytes.last()?;
        self.namespace(largest)?.by_change.values().next().cloned()
    }

    fn namespace(&self, key: &Option<Namespace>) -> Option<&OfNamespace> {
        self.count_lookup();
        self.namespaces.get(key)
    }

    /// Changes the bytes of a namespace, which has none without recordings.
    fn set_bytes(&mut self, key: Option<Namespace>, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
        let entry = (before, key);
        self.by_bytes.remove(&entry);
        if after > 0 {
            self.by_bytes.insert((after, entry.1));
        }
    }

    #[inline]
    fn count_lookup(&self) {
        #[cfg(test)]
        self.lookups.set(self.lookups.get() + 1);
    }

    /// Checks that all sums and orders agree. Returns the numbers of namespaces and recordings.
    #[cfg(test)]
    pub(super) fn check(&self) -> (usize, usize) {
        let sum: usize = self.namespaces.values().map(|namespace| namespace.bytes).sum();
        assert_eq!(sum, self.bytes);
        for (key, namespace) in &self.namespaces {
            let sum: usize = namespace.recordings.values().map(OfRecording::bytes).sum();
            assert!(sum == namespace.bytes && self.by_bytes.contains(&(sum, key.clone())));
            assert_eq!(namespace.by_change.len(), namespace.recordings.len());
        }
        assert_eq!(self.by_bytes.len(), self.namespaces.len());
        let counts = self.namespaces.values().map(|namespace| namespace.recordings.len());
        (self.namespaces.len(), counts.sum())
    }
}
