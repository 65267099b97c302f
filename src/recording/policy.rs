//! The policy that decides when checkpoints are due.

use std::time::Duration;

/// Defines when checkpoints are due, and how long recordings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// A checkpoint is due this long after the first point that is not durable.
    pub interval: Duration,
    /// A checkpoint is due when this many points are not durable, at most 50 times a second.
    pub points: u64,
    /// The time from a commit to the expiry of the recording.
    pub retention: Duration,
}

impl Default for CheckpointPolicy {
    /// Returns an interval of 1 second, 100 000 points, and a retention of one week.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            points: 100_000,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// The shortest time between two commits that are due by the number of points. A commit costs as much CPU time as about
/// ten thousand points, so more frequent commits would slow down a fast stream.
const COMMIT_PAUSE: Duration = Duration::from_millis(20);

impl CheckpointPolicy {
    /// Returns the shortest time between two commits that are due by the number of points.
    pub(super) fn commit_pause(&self) -> Duration {
        self.interval.min(COMMIT_PAUSE)
    }

    /// Returns the pause before a commit is tried again after the store was not available: the interval, at most 1
    /// second.
    pub fn retry_pause(&self) -> Duration {
        self.interval.min(Duration::from_secs(1))
    }
}

/// Returns a duration in whole milliseconds.
pub(super) fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
