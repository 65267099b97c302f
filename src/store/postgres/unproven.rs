//! The recordings with a write whose result is unknown. Their next load proves what is stored.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::recording::RecordingName;

/// Maximum number of names. If there are more, all loads prove what is stored.
const NAMES_MAX: usize = 100_000;

/// A set of names.
#[derive(Debug, Default)]
pub(super) struct Unproven(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    names: HashSet<RecordingName>,
    /// More names than the set can hold were added since it was last empty.
    is_overfull: bool,
}

impl Unproven {
    pub(super) fn insert(&self, name: &RecordingName) {
        let mut state = self.state();
        match state.names.len() < NAMES_MAX {
            true => drop(state.names.insert(name.clone())),
            false => state.is_overfull |= !state.names.contains(name),
        }
    }

    /// Removes a name because its content was proven.
    pub(super) fn remove(&self, name: &RecordingName) {
        let mut state = self.state();
        state.names.remove(name);
        state.is_overfull &= !state.names.is_empty();
    }

    /// Returns whether the content of a recording has to be proven.
    pub(super) fn contains(&self, name: &RecordingName) -> bool {
        let state = self.state();
        state.is_overfull || state.names.contains(name)
    }

    fn state(&self) -> MutexGuard<'_, Names> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> RecordingName {
        format!("paths/{number}").parse().unwrap()
    }

    #[test]
    fn an_overfull_set_contains_every_name_until_it_is_empty() {
        let unproven = Unproven::default();
        for number in 0..NAMES_MAX {
            unproven.insert(&name(number));
        }
        unproven.insert(&name(0));
        assert!(unproven.contains(&name(0)) && !unproven.contains(&name(NAMES_MAX)));
        unproven.insert(&name(NAMES_MAX));
        assert!(unproven.contains(&name(NAMES_MAX + 1)));
        for number in 0..NAMES_MAX {
            assert!(unproven.contains(&name(NAMES_MAX)));
            unproven.remove(&name(number));
        }
        assert!(!unproven.contains(&name(NAMES_MAX)));
    }
}
