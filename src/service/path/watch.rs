//! WatchPath: a stream of the states of one recording.
//!
//! A watcher receives the current state at once, and then the latest state each time it changes. It may skip
//! states, so a slow watcher costs no memory and delays no other client.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::convert::path_message;
use super::scope::PathName;
use super::shared::{Shared, has_expired, unix_ms};
use super::updates::WatchState;
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, StoreError};
use crate::service::status::RpcError;

/// A subscription to the updates of a recording.
struct Subscription {
    shared: Arc<Shared>,
    name: PathName,
    updates: watch::Receiver<WatchState>,
}

impl Subscription {
    fn new(shared: &Arc<Shared>, name: PathName) -> Self {
        let updates = shared.watchers.subscribe(&name.stored);
        Self { shared: Arc::clone(shared), name, updates }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.watchers.unsubscribe(&self.name.stored);
    }
}

/// One watcher.
struct Watch {
    subscription: Subscription,
    /// The epoch of the newest checkpoint that this watcher knows to be of the watched recording.
    seen_epoch: Option<u64>,
    /// The number of reversions of the recording when this watcher started.
    reversions: u64,
    has_recent_points: bool,
    /// The last checkpoint that was sent.
    sent: Option<Arc<Checkpoint>>,
    is_over: bool,
}

/// Returns the state of a recording now and each time it grows, until it is finished.
///
/// # Errors
/// If there is no such recording and `allow_missing` is not set, and if the store does not answer.
pub(super) async fn watch_path(
    shared: Arc<Shared>,
    name: PathName,
    request: &pb::WatchPathRequest,
) -> Result<impl Stream<Item = Result<pb::WatchPathResponse, RpcError>> + Send + use<>, RpcError> {
    // Subscribes before it loads, so that no update after the load is missed.
    let subscription = Subscription::new(&shared, name.clone());
    let loaded = shared.load_and_report(&name).await?;
    let stored = loaded.filter(|stored| !has_expired(stored));
    if stored.is_none() && !request.allow_missing {
        return Err(not_found(&name));
    }
    let seen_epoch = stored.map(|stored| stored.epoch);
    let reversions = subscription.updates.borrow().reversions();
    let watch = Watch {
        subscription,
        seen_epoch,
        reversions,
        has_recent_points: request.include_recent_points,
        sent: None,
        is_over: false,
    };
    Ok(stream::unfold(watch, |mut watch| async {
        let item = watch.next().await?;
        Some((item, watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<Result<pb::WatchPathResponse, RpcError>> {
        while !self.is_over {
            // Reads the current state before it waits: a subscription starts with the current state marked as seen.
            let mut latest = self.subscription.updates.borrow_and_update().clone();
            if latest.reversions() > self.reversions {
                return Some(self.revert());
            }
            if self.seen_epoch.is_none() && latest.stored().is_some() {
                if let Err(error) = self.verify().await {
                    self.is_over = true;
                    return Some(Err(error));
                }
                latest = self.subscription.updates.borrow_and_update().clone();
            }
            if let Some(item) = self.respond(&latest) {
                return Some(item);
            }
            let changed = timeout(self.time_left(), self.subscription.updates.changed()).await;
            if let Ok(Err(_)) = changed {
                // The sender lives as long as the entry, and the entry as long as this receiver.
                return None;
            }
        }
        None
    }

    /// Loads the recording when the first report of it arrives. That report may be of a recording that was removed
    /// before this watcher subscribed. The load reports what it finds.
    async fn verify(&mut self) -> Result<(), RpcError> {
        let Subscription { shared, name, .. } = &self.subscription;
        let loaded = shared.load_and_report(name).await?;
        let stored = loaded.filter(|stored| !has_expired(stored));
        self.seen_epoch = stored.map(|stored| stored.epoch);
        Ok(())
    }

    /// Returns the response to a state that differs from the last one.
    fn respond(&mut self, latest: &WatchState) -> Option<Result<pb::WatchPathResponse, RpcError>> {
        if self.seen_epoch.is_some_and(|epoch| latest.is_removed(epoch)) {
            return Some(self.end());
        }
        let checkpoint = latest.stored()?;
        if has_expired(checkpoint) {
            // An expired recording counts as removed. A watcher that has seen no recording waits for the next one.
            return self.seen_epoch.is_some().then(|| self.end());
        }
        let points = checkpoint.committed_points();
        if let Some(sent) = &self.sent {
            // A new recording took the place of an expired one.
            if checkpoint.create_unix_ms != sent.create_unix_ms {
                return Some(self.end());
            }
            if points < sent.committed_points() {
                return Some(self.revert());
            }
        }
        let is_first = self.sent.is_none();
        let sent_points = self.sent.as_ref().map_or(0, |sent| sent.committed_points());
        let has_grown = self.sent.as_ref().is_none_or(|sent| points > sent.committed_points());
        self.is_over = checkpoint.complete;
        self.seen_epoch = Some(checkpoint.epoch);
        self.sent = Some(Arc::clone(checkpoint));
        (is_first || has_grown || self.is_over).then(|| {
            let Subscription { shared, name, .. } = &self.subscription;
            let recent_points = match self.has_recent_points {
                true => shared.recent.rows(&name.stored, checkpoint, sent_points),
                false => Vec::new(),
            };
            let path = path_message(name, checkpoint);
            Ok(pb::WatchPathResponse { path: Some(path), recent_points })
        })
    }

    fn end(&mut self) -> Result<pb::WatchPathResponse, RpcError> {
        self.is_over = true;
        Err(not_found(&self.subscription.name))
    }

    /// Ends the stream because the last response has points that the store has lost. The client watches again.
    fn revert(&mut self) -> Result<pb::WatchPathResponse, RpcError> {
        self.is_over = true;
        let lost = "the database has lost the last commits of this recording in a failover; watch it again";
        let name = self.subscription.name.to_string();
        let error = StoreError::Unavailable(lost.into());
        Err(RpcError::Store { name, error, committed_points: None })
    }

    /// Returns the time until the recording has expired, plus some milliseconds.
    fn time_left(&self) -> Duration {
        let expire_unix_ms = self.sent.as_ref().map_or(i64::MAX, |sent| sent.expire_unix_ms);
        let left_ms = expire_unix_ms.saturating_sub(unix_ms()).saturating_add(10);
        Duration::from_millis(left_ms.try_into().unwrap_or_default())
    }
}

pub(super) fn not_found(name: &PathName) -> RpcError {
    let error = StoreError::NotFound;
    RpcError::Store { name: name.to_string(), error, committed_points: None }
}

#[cfg(test)]
mod tests;
