//! The accept loop's handle of a connection: its activity, and a token to close it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The activity of the streams of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    /// HTTP/2 has not started yet.
    Handshaking,
    /// The connection has no streams.
    Idle,
    /// All streams only wait for updates: watches of health or of recordings.
    Watching,
    /// At least one stream does something else.
    Busy,
}

/// When the server is full, a handshake that takes longer is closed before idle connections. Otherwise clients that
/// never complete theirs could close all idle connections.
const SLOW_HANDSHAKE: Duration = Duration::from_secs(1);

/// The accept loop's view of a connection.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) peer: SocketAddr,
    started: Instant,
    /// The activity in the two lowest bits; above them the time of its last change, in milliseconds after the start.
    state: AtomicU64,
    /// Cancelled to close the connection because its place is needed.
    evicted: CancellationToken,
}

impl Handle {
    pub(super) fn new(peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            peer,
            started: Instant::now(),
            state: AtomicU64::new(0),
            evicted: CancellationToken::new(),
        })
    }

    /// Sets the activity from now on.
    pub(super) fn set_activity(&self, activity: Activity) {
        let since_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or_default();
        self.state.store(since_ms << 2 | activity as u64, Relaxed);
    }

    /// Sets the activity if it is another one. The time of the last change stays otherwise.
    #[cfg(feature = "http")]
    pub(super) fn set_activity_if_changed(&self, activity: Activity) {
        if self.state.load(Relaxed) & 0b11 != activity as u64 {
            self.set_activity(activity);
        }
    }

    /// Returns the key by which connections are compared when one must be closed; the smallest is closed first.
    /// Returns `None` if the connection is busy or is already being closed.
    pub(super) fn eviction_order(&self) -> Option<(Activity, Instant)> {
        let state = self.state.load(Relaxed);
        let activity = match state & 0b11 {
            0 if self.started.elapsed() > SLOW_HANDSHAKE => Activity::Handshaking,
            0 | 1 => Activity::Idle,
            2 => Activity::Watching,
            _ => return None,
        };
        let since = self.started + Duration::from_millis(state >> 2);
        (!self.is_evicted()).then_some((activity, since))
    }

    /// Makes the connection close.
    pub(super) fn evict(&self) {
        self.evicted.cancel();
    }

    /// Returns whether [`Handle::evict`] was called.
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.is_cancelled()
    }

    /// Returns the token that [`Handle::evict`] cancels.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_handshakes_do_not_evict_idle_connections() {
        let handle = || Handle::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let idle = handle();
        idle.set_activity(Activity::Idle);
        tokio::time::advance(Duration::from_secs(60)).await;
        let slow = handle();
        tokio::time::advance(2 * SLOW_HANDSHAKE).await;
        let new = handle();
        let order = [&slow, &idle, &new].map(|handle| handle.eviction_order().unwrap());
        assert!(order.is_sorted(), "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_evicted_before_watching_ones_and_busy_ones_stay() {
        let handle = || Handle::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let (watching, idle, later, busy) = (handle(), handle(), handle(), handle());
        watching.set_activity(Activity::Watching);
        tokio::time::advance(Duration::from_secs(1)).await;
        idle.set_activity(Activity::Idle);
        tokio::time::advance(Duration::from_secs(1)).await;
        later.set_activity(Activity::Idle);
        busy.set_activity(Activity::Busy);
        let order = [&idle, &later, &watching].map(|handle| handle.eviction_order().unwrap());
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(busy.eviction_order(), None);
        idle.evict();
        assert_eq!(idle.eviction_order(), None);
    }
}
