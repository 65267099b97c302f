//! The limits of a batch that is split because the database refuses it.
//!
//! If one request is the reason, few transactions fail until it is alone. If the reason concerns all requests, each of
//! them would fail alone, and a batch of 500 would have 999 transactions.

use std::time::Duration;

use tokio::time::Instant;

use super::link::TRANSACTION;

/// Maximum number of failed transactions of one batch, or of one poll of the watched recordings.
pub(super) const FAILURES_MAX: usize = 64;
/// No further part of a batch starts after this time.
const PARTS: Duration = TRANSACTION.checked_div(2).unwrap();
/// The time limit of a batch. It is less than that of a request.
const BATCH: Duration = Duration::from_secs(7);

/// What one batch has used of its limits.
#[derive(Debug)]
pub(super) struct Splitting {
    start: Instant,
    failures: usize,
    successes: usize,
}

impl Splitting {
    /// Starts a batch.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), failures: 0, successes: 0 }
    }

    /// Returns the deadline of the next transaction.
    pub(super) fn deadline(&self) -> Instant {
        (Instant::now() + TRANSACTION).min(self.start + BATCH)
    }

    /// Counts a transaction.
    pub(super) fn count<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.successes += 1,
            Err(_) => self.failures += 1,
        }
    }

    /// Returns whether another part may start.
    pub(super) fn may_continue(&self) -> bool {
        !self.has_failed_often() && self.start.elapsed() < PARTS
    }

    /// Returns whether many transactions have failed and none has succeeded, so that the rest would probably fail, too.
    pub(super) fn is_hopeless(&self) -> bool {
        self.has_failed_often() && self.successes == 0
    }

    /// Returns whether the batch has reached the number of failed transactions.
    pub(super) fn has_failed_often(&self) -> bool {
        self.failures >= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_ends_after_many_failures_or_some_time() {
        let mut failing = Splitting::new();
        for _ in 0..FAILURES_MAX {
            assert!(failing.may_continue() && !failing.is_hopeless());
            failing.count(&Err::<(), _>(()));
        }
        assert!(!failing.may_continue() && failing.is_hopeless());
        failing.count(&Ok::<_, ()>(()));
        assert!(!failing.may_continue() && !failing.is_hopeless());
        let slow = Splitting::new();
        let end = slow.start + BATCH;
        assert!(slow.may_continue() && slow.deadline() < end);
        tokio::time::advance(PARTS).await;
        assert!(!slow.may_continue() && slow.deadline() == end);
    }
}
