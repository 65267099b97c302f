//! What the accept loop knows of a connection: whether it may be closed to make space, and the way to close it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the streams of a connection do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    /// The connection has no streams.
    Idle,
    /// All streams only wait for updates: watches of health or of recordings.
    Watching,
    /// At least one stream does something else.
    Busy,
}

/// A connection as the accept loop sees it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) peer: SocketAddr,
    started: Instant,
    /// The activity in the two lowest bits, and since when in milliseconds after the start.
    state: AtomicU64,
    /// Set to have the connection close because its place is needed.
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

    /// Notes what the streams do from now on.
    pub(super) fn set_activity(&self, activity: Activity) {
        let since_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or_default();
        self.state.store(since_ms << 2 | activity as u64, Relaxed);
    }

    /// What to compare connections by when one must be closed: the least goes first. `None` if the connection is
    /// busy or is being closed already.
    pub(super) fn eviction_order(&self) -> Option<(Activity, Instant)> {
        let state = self.state.load(Relaxed);
        let activity = match state & 0b11 {
            0 => Activity::Idle,
            1 => Activity::Watching,
            _ => return None,
        };
        let since = self.started + Duration::from_millis(state >> 2);
        (!self.is_evicted()).then_some((activity, since))
    }

    /// Has the connection close.
    pub(super) fn evict(&self) {
        self.evicted.cancel();
    }

    /// Whether [`Handle::evict`] was called.
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.is_cancelled()
    }

    /// Completes when [`Handle::evict`] is called.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_connections_go_before_watching_ones_and_busy_ones_stay() {
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
