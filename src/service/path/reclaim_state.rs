//! The state of the sweeps that make space in a full store, with one search per namespace, and their log.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::recording::{Namespace, RecordingName};

/// Minimum time between two log lines about removed recordings.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Maximum number of namespaces whose searches are remembered.
const SEARCHES_MAX: usize = 1024;

/// The state of the sweeps that make space.
#[derive(Debug, Default)]
pub(super) struct ReclaimState {
    /// The search for expired recordings of all namespaces.
    pub(super) expired: Search,
    /// The searches for abandoned recordings, by namespace.
    abandoned: HashMap<Option<Namespace>, Search>,
    logged_at: Option<Instant>,
    /// Number of recordings that were removed since the last log line.
    unlogged: usize,
}

/// The position of a search that continues at the next call.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The name after which the next sweep starts.
    pub(super) after: Option<RecordingName>,
    /// No search starts before this time, because the last one found nothing.
    pub(super) retry_after: Option<Instant>,
}

impl Search {
    /// Returns whether a search may start.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.retry_after.is_none_or(|retry_after| now >= retry_after)
    }
}

impl ReclaimState {
    /// Returns the search for abandoned recordings of a namespace. If too many are remembered, forgets the searches that
    /// may start again, or else the one that may start first: it begins anew.
    pub(super) fn abandoned(&mut self, namespace: Option<&Namespace>) -> &mut Search {
        let namespace = namespace.cloned();
        if self.abandoned.len() >= SEARCHES_MAX && !self.abandoned.contains_key(&namespace) {
            let now = Instant::now();
            self.abandoned.retain(|_, search| !search.is_due(now));
            let searches = self.abandoned.iter();
            let first = searches.min_by_key(|(_, search)| search.retry_after);
            let first = first.map(|(namespace, _)| namespace.clone());
            if self.abandoned.len() >= SEARCHES_MAX
                && let Some(first) = first
            {
                self.abandoned.remove(&first);
            }
        }
        self.abandoned.entry(namespace).or_default()
    }

    /// Logs removed recordings, at most one line per [`LOG_PAUSE`].
    pub(super) fn log(&mut self, removed: usize, first: &RecordingName) {
        self.unlogged += removed;
        let now = Instant::now();
        if self.logged_at.is_none_or(|at| now >= at + LOG_PAUSE) {
            tracing::warn!(
                recordings = self.unlogged,
                name = %first,
                "the store is full: deleted expired recordings, and small unfinished ones that have not \
                 grown for 10 minutes; raise --max-recordings to keep them"
            );
            (self.logged_at, self.unlogged) = (Some(now), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_number_of_searches_is_bounded() {
        let mut state = ReclaimState::default();
        let namespace = |number: usize| number.to_string().parse::<Namespace>().unwrap();
        for number in 0..3 * SEARCHES_MAX {
            let retry_after = Instant::now() + Duration::from_secs(10);
            state.abandoned(Some(&namespace(number))).retry_after = Some(retry_after);
            assert!(state.abandoned.len() <= SEARCHES_MAX);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        // The search that has waited longest was forgotten first.
        let last = 3 * SEARCHES_MAX - 1;
        assert!(state.abandoned(Some(&namespace(last))).retry_after.is_some());
        assert!(!state.abandoned.contains_key(&Some(namespace(last - SEARCHES_MAX))));
        tokio::time::advance(Duration::from_secs(11)).await;
        state.abandoned(None);
        assert_eq!(state.abandoned.len(), 1);
    }
}
