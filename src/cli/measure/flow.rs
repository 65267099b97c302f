//! Whether a server that is to measure goes on: it takes parts of paths, or answers. `upload.rs` says what it
//! is offered, and `remote.rs` what it takes and answers and gives up one that does neither for too long.
//!
//! It knows no connection: one that is dead is found out by itself, and this is about those that live.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

/// How long a server that owes something may neither take nor answer anything. As patient as a recorder is:
/// one that is slow and takes a part now and then is waited for as long as the files last.
pub(in crate::cli) const STALL_TIME: Duration = Duration::from_secs(300);
/// How often it is looked at.
const STEP: Duration = Duration::from_secs(10);

/// What went to the server and what came of it.
#[derive(Debug, Default)]
pub(in crate::cli) struct Flow {
    /// Parts that are there for it.
    offered: AtomicU64,
    /// Those of them that the connection had room for.
    taken: AtomicU64,
    answered: AtomicU64,
    /// It has all of a path and did not answer.
    is_awaited: AtomicBool,
}

impl Flow {
    pub(in crate::cli) fn offered(&self) {
        self.offered.fetch_add(1, Relaxed);
    }

    pub(in crate::cli) fn taken(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    pub(in crate::cli) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// Whether the answer to a whole path is waited for.
    pub(in crate::cli) fn awaited(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Relaxed);
    }

    /// Ends when the server has owed something for [`STALL_TIME`] in which nothing has moved.
    pub(in crate::cli) async fn stalled(&self) {
        let (mut seen, mut quiet) = (self.moved(), Duration::ZERO);
        while quiet < STALL_TIME {
            // By steps that are waited for here: while the report is written nobody looks, and that is no
            // fault of the server.
            sleep(STEP).await;
            let is_quiet = self.is_owed() && seen == self.moved();
            quiet = if is_quiet { quiet + STEP } else { Duration::ZERO };
            seen = self.moved();
        }
    }

    /// Parts that were offered and not taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> i64 {
        self.offered.load(Relaxed) as i64 - self.taken.load(Relaxed) as i64
    }

    fn is_owed(&self) -> bool {
        self.is_awaited.load(Relaxed) || self.offered.load(Relaxed) > self.taken.load(Relaxed)
    }

    fn moved(&self) -> u64 {
        self.taken.load(Relaxed) + self.answered.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_is_given_up_when_it_owes_something_and_nothing_moves() {
        let flow = Arc::<Flow>::default();
        let started = Instant::now();
        let stalled = tokio::spawn({
            let flow = Arc::clone(&flow);
            async move { flow.stalled().await }
        });
        // The file is a pipe that is silent.
        sleep(STALL_TIME * 5).await;
        // A slow server: now and then it takes a part of the many that wait.
        (0..40).for_each(|_| flow.offered());
        for _ in 0..30 {
            sleep(STALL_TIME - 2 * STEP).await;
            flow.taken();
        }
        // The last ones go at once, and the answers take long.
        (0..10).for_each(|_| flow.taken());
        flow.awaited(true);
        for _ in 0..30 {
            sleep(STALL_TIME - 2 * STEP).await;
            flow.answered();
        }
        flow.awaited(false);
        sleep(STALL_TIME * 5).await;
        assert!(!stalled.is_finished());
        // Now it takes nothing.
        let quiet = Instant::now();
        flow.offered();
        timeout(2 * STALL_TIME, stalled).await.unwrap().unwrap();
        assert!((STALL_TIME - STEP..=STALL_TIME + STEP).contains(&quiet.elapsed()));
        // Or does not answer.
        let flow = Flow::default();
        flow.awaited(true);
        timeout(2 * STALL_TIME, flow.stalled()).await.unwrap();
        assert!(started.elapsed() > quiet.elapsed() + STALL_TIME);
    }
}
