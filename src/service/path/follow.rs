//! Reports the changes that other users of the store make, so that watchers receive the commits of other servers.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::shared::Shared;
use crate::recording::{Removed, StoreEvent, WatchedRecordings};

/// Maximum number of recordings that are loaded at the same time.
const LOADS_MAX: usize = 64;

/// Reports changes to watchers. Never completes.
///
/// Handles a bounded number of changes at a time, so that a store can load several recordings with one request. If the
/// store changes faster than recordings can be loaded, it reports [`StoreEvent::Missed`], and all watched recordings
/// are loaded. The server's own commits were reported before, so they cost no load.
pub(super) async fn follow(shared: &Shared) {
    let watchers = Arc::clone(&shared.watchers);
    let watched = WatchedRecordings::new(move || watchers.watched_recordings());
    // The reports of one recording may arrive in any order.
    let events = shared.store.changes(watched);
    events.for_each_concurrent(LOADS_MAX, |event| report(shared, event)).await;
    std::future::pending::<()>().await;
}

async fn report(shared: &Shared, event: StoreEvent) {
    match event {
        StoreEvent::Removed(Removed { name, epoch }) => {
            shared.report_removed(&name, epoch);
        }
        StoreEvent::Stored { name, epoch, committed_points, complete } => {
            if shared.watchers.misses(&name, (epoch, complete, committed_points)) {
                shared.recheck(&name).await;
            }
        }
        StoreEvent::Reverted(name) => {
            shared.recent.forget(&name);
            shared.watchers.report_reverted(&name);
            shared.recheck(&name).await;
        }
        StoreEvent::Missed => {
            let names = stream::iter(shared.watchers.names());
            let recheck = |name| async move { shared.recheck(&name).await };
            names.for_each_concurrent(LOADS_MAX, recheck).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{CheckpointPolicy, RecordingName};
    use crate::service::path::testing;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn the_recent_points_of_lost_commits_are_forgotten() {
        let shared = testing::shared(Arc::new(MemoryStore::default()), CheckpointPolicy::default());
        let [lost, kept] = ["paths/lost", "paths/kept"].map(|name| name.parse().unwrap());
        let known = |name: &RecordingName| {
            shared.recent.rows(name, &testing::checkpoint(1, 3, false), 0).len()
        };
        for name in [&lost, &kept] {
            testing::add_recent(&shared.recent, name, &testing::checkpoint(1, 3, false), 0..3);
            assert_eq!(known(name), 3);
        }
        report(&shared, StoreEvent::Reverted(lost.clone())).await;
        assert_eq!((known(&lost), known(&kept)), (0, 3));
    }
}
