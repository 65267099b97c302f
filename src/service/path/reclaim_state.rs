//! The state of the sweeps that make space in a full store, and their log.

use std::time::Duration;

use tokio::time::Instant;

use crate::recording::RecordingName;

/// Minimum time between two log lines about removed recordings.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The state of the sweeps for abandoned recordings.
#[derive(Debug, Default)]
pub(super) struct ReclaimState {
    /// The name after which the next sweep starts.
    pub(super) after: Option<RecordingName>,
    /// No search starts before this time, because the last one found nothing.
    pub(super) retry_after: Option<Instant>,
    logged_at: Option<Instant>,
    /// Number of recordings that were removed since the last log line.
    unlogged: usize,
}

impl ReclaimState {
    /// Logs removed recordings, at most one line per [`LOG_PAUSE`].
    pub(super) fn log(&mut self, removed: usize, first: &RecordingName) {
        self.unlogged += removed;
        let now = Instant::now();
        if self.logged_at.is_none_or(|at| now >= at + LOG_PAUSE) {
            tracing::warn!(
                recordings = self.unlogged,
                %first,
                "the store is full: deleted expired recordings, and small unfinished ones that have not \
                 grown for 10 minutes; raise --max-recordings to keep them"
            );
            (self.logged_at, self.unlogged) = (Some(now), 0);
        }
    }
}
