//! When a key set is fetched again: after a while, and when a token names an unknown key.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The time after a fetch until the next one.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The time after a fetch that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// The time after a fetch that failed, while there are no keys.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);
/// The minimum time between two fetches that tokens with unknown keys cause. Anyone can send such tokens.
const REQUEST_INTERVAL: Duration = Duration::from_secs(30);

/// The schedule of the fetches of one key set.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    begun_at: Option<Instant>,
    /// A fetch is running or was asked for.
    is_pending: bool,
}

impl Refresh {
    /// Asks for a fetch because of an unknown key. Returns whether one is running or follows at once.
    pub(super) fn request(&self) -> bool {
        let mut state = self.state();
        let is_old = state.begun_at.is_none_or(|begun_at| begun_at.elapsed() >= REQUEST_INTERVAL);
        if !state.is_pending && is_old {
            state.is_pending = true;
            self.wake.notify_one();
        }
        state.is_pending
    }

    /// Asks for a fetch, even if the last one was a moment ago.
    pub(super) fn force(&self) {
        self.state().is_pending = true;
        self.wake.notify_one();
    }

    /// Records that a fetch begins.
    pub(super) fn begin(&self) {
        *self.state() = State { begun_at: Some(Instant::now()), is_pending: true };
    }

    /// Records that a fetch has ended.
    pub(super) fn end(&self) {
        self.state().is_pending = false;
    }

    /// Completes when the next fetch is due, after one that succeeded or failed.
    pub(super) async fn due(&self, is_ok: bool, has_keys: bool) {
        let interval = match (is_ok, has_keys) {
            (true, _) => INTERVAL,
            (false, true) => RETRY_INTERVAL,
            (false, false) => FIRST_INTERVAL,
        };
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_cause_a_fetch_at_most_every_30_seconds() {
        let refresh = Refresh::default();
        refresh.begin();
        assert!(refresh.request(), "the fetch is running");
        refresh.end();
        assert!(!refresh.request());
        tokio::time::advance(REQUEST_INTERVAL - Duration::from_millis(1)).await;
        assert!(!refresh.request());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(refresh.request() && refresh.request());
        let before = Instant::now();
        refresh.due(true, true).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        refresh.begin();
        refresh.end();
        assert!(!refresh.request());
        refresh.due(true, true).await;
        assert_eq!(before.elapsed(), INTERVAL, "the second request was part of the first fetch");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_is_repeated_soon_and_sooner_without_keys() {
        let refresh = Refresh::default();
        for (is_ok, has_keys, interval) in [(true, true, 600), (false, true, 60), (false, false, 5)]
        {
            let before = Instant::now();
            refresh.due(is_ok, has_keys).await;
            assert_eq!(before.elapsed(), Duration::from_secs(interval));
        }
        refresh.force();
        let before = Instant::now();
        refresh.due(false, false).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
