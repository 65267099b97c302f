//! The names of the recordings that streams write to now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::recording::RecordingName;

/// Counts the writers of each recording. A fenced writer counts until its stream ends.
#[derive(Debug, Default)]
pub(super) struct Writers {
    counts: Mutex<HashMap<RecordingName, usize>>,
}

impl Writers {
    /// Counts a writer until the returned value is dropped.
    pub(super) fn enter(self: &Arc<Self>, name: RecordingName) -> Writing {
        *self.counts().entry(name.clone()).or_default() += 1;
        Writing { writers: Arc::clone(self), name }
    }

    /// Returns whether a recording has a writer.
    pub(super) fn contains(&self, name: &RecordingName) -> bool {
        self.counts().contains_key(name)
    }

    /// Returns the number of recordings that have a writer.
    pub(super) fn len(&self) -> usize {
        self.counts().len()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<RecordingName, usize>> {
        // No code panics while it holds the lock.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One counted writer.
#[derive(Debug)]
pub(super) struct Writing {
    writers: Arc<Writers>,
    name: RecordingName,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut counts = self.writers.counts();
        if let Some(count) = counts.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_contained_until_its_last_writer_ends() {
        let writers = Arc::new(Writers::default());
        let name: RecordingName = "paths/a".parse().unwrap();
        let (first, second) = (writers.enter(name.clone()), writers.enter(name.clone()));
        drop(first);
        assert!(writers.contains(&name));
        drop(second);
        assert!(!writers.contains(&name) && writers.counts().is_empty());
    }
}
