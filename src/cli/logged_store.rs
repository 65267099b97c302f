//! The store of `waywiser serve` with a watch on its commits, for one line of the log when it is over.
//!
//! It changes nothing of what the store does, and knows no more of it than it tells of itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, Page, RecordingName, StoreEvents,
    StoreFuture, Sweep, Swept,
};
use crate::store::RedbStore;

/// A store on the disk whose commits are counted and timed.
#[derive(Debug)]
pub(super) struct LoggedStore {
    inner: RedbStore,
    opened: Instant,
    commits: Mutex<Commits>,
}

/// The commits so far, from being asked for to being answered.
#[derive(Debug, Default)]
struct Commits {
    /// In microseconds, to three digits; some kilobytes.
    times: Option<Histogram<u64>>,
    count: u64,
    failed: u64,
}

impl Commits {
    fn took(&mut self, begun: Instant, now: Instant, is_done: bool) {
        self.count += 1;
        self.failed += u64::from(!is_done);
        if self.times.is_none() {
            // Three digits are always to be had.
            self.times = Histogram::new(3).ok();
        }
        if let Some(times) = &mut self.times {
            let us = now.saturating_duration_since(begun).as_micros();
            // It grows to hold any time that passes.
            let _ = times.record(u64::try_from(us).unwrap_or(u64::MAX));
        }
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.times.as_ref().map_or(0.0, |times| times.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// How many there were in a second on the average of all the time that the store was open.
    fn per_second(&self, open_time: Duration) -> f64 {
        self.count as f64 / open_time.max(Duration::from_secs(1)).as_secs_f64()
    }
}

impl LoggedStore {
    pub(super) fn new(inner: RedbStore) -> Self {
        Self { inner, opened: Instant::now(), commits: Mutex::default() }
    }

    /// Logs what it has done, if that is anything.
    pub(super) fn log(&self) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if commits.count == 0 {
            return;
        }
        let stats = self.inner.stats();
        tracing::info!(
            commits = commits.count,
            failed = commits.failed,
            commits_per_s = rounded(commits.per_second(self.opened.elapsed())),
            transactions = stats.transactions,
            syncs = stats.syncs,
            bytes = stats.bytes,
            commit_p50_ms = rounded(commits.quantile_ms(0.5)),
            commit_p99_ms = rounded(commits.quantile_ms(0.99)),
            commit_max_ms = rounded(commits.quantile_ms(1.0)),
            "recordings were committed",
        );
    }
}

/// To a tenth, or what is below one to two digits.
fn rounded(value: f64) -> f64 {
    let digits = if value > 0.0 { (1.0 - value.log10().floor()).clamp(1.0, 9.0) } else { 1.0 };
    let scale = 10_f64.powi(digits as i32);
    (value * scale).round() / scale
}

impl CheckpointStore for LoggedStore {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.inner.open(name, opening)
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        let begun = Instant::now();
        let commit = self.inner.commit(name, precondition, next);
        Box::pin(async move {
            let outcome = commit.await;
            let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
            commits.took(begun, Instant::now(), outcome.is_ok());
            drop(commits);
            outcome
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.inner.load(name)
    }

    fn list(&self, after: Option<RecordingName>, limit: usize) -> StoreFuture<'_, Page> {
        self.inner.list(after, limit)
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.inner.delete(name)
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        self.inner.sweep(sweep, after)
    }

    fn changes(&self) -> StoreEvents {
        self.inner.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_and_timed() {
        let mut commits = Commits::default();
        let start = Instant::now();
        for i in 0..100 {
            let begun = start + Duration::from_millis(20 * i);
            let took = Duration::from_millis(if i == 98 { 400 } else { 10 });
            commits.took(begun, begun + took, i != 3);
        }
        assert_eq!((commits.count, commits.failed), (100, 1));
        assert_eq!(rounded(commits.quantile_ms(0.5)), 10.0);
        assert_eq!(commits.quantile_ms(1.0).round(), 400.0);
        assert_eq!(Commits::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn the_rate_of_commits_is_that_of_all_the_time() {
        let of = |count, s| {
            let commits = Commits { count, ..Commits::default() };
            rounded(commits.per_second(Duration::from_secs_f64(s)))
        };
        assert_eq!(of(1, 10.0), 0.1);
        assert_eq!(of(22, 600.0), 0.037);
        assert_eq!(of(30_123, 600.0), 50.2);
        assert_eq!(of(1, 0.01), 1.0, "in less than a second there is no telling");
        assert_eq!(of(1, 1e12), 0.0);
        assert_eq!(rounded(0.0), 0.0);
    }
}
