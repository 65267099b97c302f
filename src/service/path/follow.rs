//! Reports the changes that other users of the store make, so that watchers receive the commits of other servers.

use std::sync::Arc;

use futures::StreamExt as _;

use super::shared::Shared;
use crate::recording::{Removed, StoreEvent, WatchedRecordings};

/// Reports changes to watchers. Never completes.
///
/// Handles one change at a time. If the store changes faster than recordings can be loaded, it reports
/// [`StoreEvent::Missed`], and all watched recordings are loaded. The server's own commits were reported before,
/// so they cost no load.
pub(super) async fn follow(shared: &Shared) {
    let watchers = Arc::clone(&shared.watchers);
    let watched = WatchedRecordings::new(move || watchers.watched_recordings());
    let mut events = shared.store.changes(watched);
    while let Some(event) = events.next().await {
        match event {
            StoreEvent::Removed(Removed { name, epoch }) => {
                shared.watchers.report_removed(&name, epoch);
            }
            StoreEvent::Stored { name, epoch, committed_points, complete } => {
                if shared.watchers.misses(&name, (epoch, complete, committed_points)) {
                    shared.recheck(&name).await;
                }
            }
            StoreEvent::Missed => {
                for name in shared.watchers.names() {
                    shared.recheck(&name).await;
                }
            }
        }
    }
    std::future::pending::<()>().await;
}
