//! When a key set is fetched again: after a while, and when a token names an unknown key.
//!
//! A token with an unknown key is refused only after a fetch that began after the token was first sent: its issuer may
//! have published the key in the meantime. The tokens are remembered as keyed hashes, and their number is limited.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
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
/// The minimum time between two fetches that tokens with unknown keys cause, and the time until a fetch decides about a
/// key that is missing. Anyone can send such tokens.
const REQUEST_INTERVAL: Duration = Duration::from_secs(30);
/// The time that a fetch usually takes. A client tries again this long after its start.
const FETCH_TIME: Duration = Duration::from_secs(1);
/// Maximum number of tokens with unknown keys that are remembered.
const UNKNOWN_MAX: usize = 4096;

/// The result of a fetch, which determines the time of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The keys are known.
    Keys,
    /// Keys are known, and earlier ones are missing.
    KeysMissing,
    /// The fetch failed, and earlier keys stay known.
    Failed,
    /// The fetch failed, and no keys are known, or they are too old.
    FailedFirst,
}

/// The schedule of the fetches of one key set.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    state: Mutex<State>,
    wake: Notify,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    /// The start of the last fetch.
    begun_at: Option<Instant>,
    /// The start of the last fetch that succeeded.
    answered_from: Option<Instant>,
    is_running: bool,
    /// A token with an unknown key needs a fetch.
    is_wanted: bool,
    /// A fetch must begin at once.
    is_forced: bool,
    /// The tokens with unknown keys, and the times at which they were first sent.
    unknown: HashMap<u64, Instant>,
    /// The fetch after which tokens were last forgotten.
    forgotten_from: Option<Instant>,
}

impl Refresh {
    /// Reports a token whose key is unknown. Returns `None` if a fetch that began after the token was first sent has not
    /// found the key. Otherwise returns the time until such a fetch has probably ended.
    pub(super) fn unknown(&self, token: &str) -> Option<Duration> {
        let token = self.hasher.hash_one(token);
        let now = Instant::now();
        let mut state = self.state();
        let first = state.unknown.get(&token).copied();
        let is_answered =
            first.is_some_and(|at| state.answered_from.is_some_and(|from| from >= at));
        if first.is_none() {
            state.remember(token, now);
        }
        if !state.is_wanted {
            state.is_wanted = true;
            self.wake.notify_one();
        }
        let next = state.begun_at.map(|begun_at| begun_at + REQUEST_INTERVAL);
        let wait = next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        // The fetch that is running may bring the key, too.
        let wait = if state.is_running { Duration::ZERO } else { wait };
        (!is_answered).then_some(wait + FETCH_TIME)
    }

    /// Asks for a fetch, even if the last one was a moment ago.
    pub(super) fn force(&self) {
        self.state().is_forced = true;
        self.wake.notify_one();
    }

    /// Records that a fetch begins.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.begun_at = Some(Instant::now());
        (state.is_running, state.is_wanted, state.is_forced) = (true, false, false);
    }

    /// Records that a fetch has ended.
    pub(super) fn end(&self, fetched: Fetched) {
        let mut state = self.state();
        state.is_running = false;
        if matches!(fetched, Fetched::Keys | Fetched::KeysMissing) {
            state.answered_from = state.begun_at;
        }
    }

    /// Completes when the next fetch is due, after one with this result.
    pub(super) async fn due(&self, fetched: Fetched) {
        let interval = match fetched {
            Fetched::Keys => INTERVAL,
            Fetched::KeysMissing => REQUEST_INTERVAL,
            Fetched::Failed => RETRY_INTERVAL,
            Fetched::FailedFirst => FIRST_INTERVAL,
        };
        let end = Instant::now() + interval;
        loop {
            let at = {
                let state = self.state();
                let allowed = state.begun_at.map(|begun_at| begun_at + REQUEST_INTERVAL);
                match (state.is_forced, state.is_wanted) {
                    (true, _) => return,
                    (false, true) => allowed.map_or(end, |allowed| allowed.min(end)),
                    (false, false) => end,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(at) => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers a token. If there is no space, forgets those that a fetch has decided about: they wait for another
    /// fetch if they are sent again. If there is still none, the token waits, but the next fetch does not decide about it.
    fn remember(&mut self, token: u64, now: Instant) {
        // Without a new fetch there is nothing to forget.
        if self.unknown.len() >= UNKNOWN_MAX && self.forgotten_from != self.answered_from {
            self.forgotten_from = self.answered_from;
            let answered_from = self.answered_from;
            self.unknown.retain(|_, at| answered_from.is_none_or(|from| from < *at));
        }
        if self.unknown.len() < UNKNOWN_MAX {
            self.unknown.insert(token, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn advance(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_refused_after_a_fetch_that_began_after_it_was_first_sent() {
        let refresh = Refresh::default();
        refresh.begin();
        refresh.end(Fetched::Keys);
        advance(10).await;
        assert_eq!(refresh.unknown("a"), Some(Duration::from_secs(21)));
        assert_eq!(refresh.unknown("a"), Some(Duration::from_secs(21)));
        let before = Instant::now();
        refresh.due(Fetched::Keys).await;
        assert_eq!(before.elapsed(), Duration::from_secs(20), "30 s after the last fetch");
        refresh.begin();
        advance(1).await;
        // This key may have been published after the fetch has begun.
        assert_eq!(refresh.unknown("b"), Some(FETCH_TIME));
        refresh.end(Fetched::Keys);
        assert_eq!(refresh.unknown("a"), None);
        assert_eq!(refresh.unknown("b"), Some(Duration::from_secs(30)));
        // A fetch that fails decides nothing.
        refresh.due(Fetched::Keys).await;
        refresh.begin();
        refresh.end(Fetched::Failed);
        assert!(refresh.unknown("b").is_some());
        refresh.due(Fetched::Failed).await;
        refresh.begin();
        refresh.end(Fetched::Keys);
        assert_eq!((refresh.unknown("a"), refresh.unknown("b")), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_cause_a_fetch_at_most_every_30_seconds() {
        let refresh = Refresh::default();
        let mut fetches = 0;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(300) {
            refresh.begin();
            refresh.end(Fetched::Keys);
            fetches += 1;
            for key in 0..100 {
                refresh.unknown(&format!("{fetches} {key}"));
                refresh.unknown("always the same");
            }
            refresh.due(Fetched::Keys).await;
        }
        assert_eq!(fetches, 10);
        // The token that caused a fetch causes no second one.
        refresh.begin();
        refresh.end(Fetched::Keys);
        let before = Instant::now();
        refresh.due(Fetched::Keys).await;
        assert_eq!(before.elapsed(), INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_is_repeated_soon_and_sooner_without_keys() {
        let refresh = Refresh::default();
        for (fetched, interval) in [
            (Fetched::Keys, 600),
            (Fetched::KeysMissing, 30),
            (Fetched::Failed, 60),
            (Fetched::FailedFirst, 5),
        ] {
            let before = Instant::now();
            refresh.due(fetched).await;
            assert_eq!(before.elapsed(), Duration::from_secs(interval));
        }
        refresh.force();
        let before = Instant::now();
        refresh.due(Fetched::FailedFirst).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_remembered_tokens_is_bounded() {
        let refresh = Refresh::default();
        refresh.begin();
        refresh.end(Fetched::Keys);
        advance(1).await;
        for key in 0..2 * UNKNOWN_MAX {
            assert!(refresh.unknown(&key.to_string()).is_some());
            assert!(refresh.state().unknown.len() <= UNKNOWN_MAX);
        }
        refresh.begin();
        refresh.end(Fetched::Keys);
        assert_eq!(refresh.unknown("0"), None);
        // One that was not remembered waits, and takes the place of those that are decided.
        assert!(refresh.unknown("new").is_some());
        assert_eq!(refresh.state().unknown.len(), 1);
    }
}
