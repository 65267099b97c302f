//! Detects a server that keeps the connection of a `MeasurePaths` call open but makes no progress. The sender of the
//! call reports the parts that it offers and that the connection takes, and the receiver reports the answers.
//!
//! It does not detect a lost connection: the transport does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

/// The time without progress after which a server counts as stalled. It is as long as the retry budget of a recorder. A
/// server that takes a part now and then never counts as stalled.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(300);
/// The time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Counts parts and answers.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    /// Parts that are ready to be sent.
    offered: AtomicU64,
    /// Those of them that the connection has taken.
    taken: AtomicU64,
    answered: AtomicU64,
    /// Whether the server has received a complete path and has not answered.
    awaits_answer: AtomicBool,
}

impl StallDetector {
    pub(super) fn part_offered(&self) {
        self.offered.fetch_add(1, Relaxed);
    }

    pub(super) fn part_taken(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    pub(super) fn answer_received(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// Sets whether the client waits for the answer about a complete path.
    pub(super) fn set_awaits_answer(&self, awaits_answer: bool) {
        self.awaits_answer.store(awaits_answer, Relaxed);
    }

    /// Completes when the server has made no progress for [`STALL_TIMEOUT`], while it had something to do.
    pub(super) async fn stalled(&self) {
        let (mut seen, mut quiet) = (self.progress(), Duration::ZERO);
        while quiet < STALL_TIMEOUT {
            // Adds up intervals instead of reading a clock: while the report is being written, this future is
            // not polled, and that time does not count against the server.
            sleep(CHECK_INTERVAL).await;
            let is_quiet = self.has_work() && seen == self.progress();
            quiet = if is_quiet { quiet + CHECK_INTERVAL } else { Duration::ZERO };
            seen = self.progress();
        }
    }

    /// Returns the number of parts that were offered and not taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> i64 {
        self.offered.load(Relaxed) as i64 - self.taken.load(Relaxed) as i64
    }

    fn has_work(&self) -> bool {
        self.awaits_answer.load(Relaxed) || self.offered.load(Relaxed) > self.taken.load(Relaxed)
    }

    fn progress(&self) -> u64 {
        self.taken.load(Relaxed) + self.answered.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_stalls_when_it_has_work_and_makes_no_progress() {
        let detector = Arc::<StallDetector>::default();
        let started = Instant::now();
        let stalled = tokio::spawn({
            let detector = Arc::clone(&detector);
            async move { detector.stalled().await }
        });
        // The input is a pipe without data.
        sleep(STALL_TIMEOUT * 5).await;
        // A slow server takes a part now and then.
        (0..40).for_each(|_| detector.part_offered());
        for _ in 0..30 {
            sleep(STALL_TIMEOUT - 2 * CHECK_INTERVAL).await;
            detector.part_taken();
        }
        // It takes the last parts at once, and answers slowly.
        (0..10).for_each(|_| detector.part_taken());
        detector.set_awaits_answer(true);
        for _ in 0..30 {
            sleep(STALL_TIMEOUT - 2 * CHECK_INTERVAL).await;
            detector.answer_received();
        }
        detector.set_awaits_answer(false);
        sleep(STALL_TIMEOUT * 5).await;
        assert!(!stalled.is_finished());
        // Now it takes nothing.
        let quiet = Instant::now();
        detector.part_offered();
        timeout(2 * STALL_TIMEOUT, stalled).await.unwrap().unwrap();
        let expected = STALL_TIMEOUT - CHECK_INTERVAL..=STALL_TIMEOUT + CHECK_INTERVAL;
        assert!(expected.contains(&quiet.elapsed()));
        // Another server does not answer.
        let detector = StallDetector::default();
        detector.set_awaits_answer(true);
        timeout(2 * STALL_TIMEOUT, detector.stalled()).await.unwrap();
        assert!(started.elapsed() > quiet.elapsed() + STALL_TIMEOUT);
    }
}
