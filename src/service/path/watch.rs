//! WatchPath: those who watch a recording grow, and what they are told.
//!
//! A watcher is told the latest state, not every one: a slow one costs no memory and holds up nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, Stream};
use tokio::sync::watch;

use super::convert::path_message;
use super::shared::Shared;
use crate::checkpoint::{Checkpoint, PathName, StoreError};
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;

/// The latest of a recording.
#[derive(Clone, Debug, Default)]
enum News {
    #[default]
    Nothing,
    Stored(Arc<Checkpoint>),
    Gone,
}

/// Who watches what. There is an entry for a recording only while somebody watches it.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watched: Mutex<HashMap<PathName, watch::Sender<News>>>,
    /// How many entries there are, so that commits that nobody watches take no lock.
    count: AtomicUsize,
}

impl Watchers {
    /// Tells that a checkpoint is durable.
    pub(super) fn tell(&self, name: &PathName, checkpoint: &Arc<Checkpoint>) {
        self.send(name, || News::Stored(Arc::clone(checkpoint)));
    }

    /// Tells that a recording was deleted.
    pub(super) fn gone(&self, name: &PathName) {
        self.send(name, || News::Gone);
    }

    fn send(&self, name: &PathName, news: impl FnOnce() -> News) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = self.watched().get(name) {
            sender.send_replace(news());
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<PathName, watch::Sender<News>>> {
        // No code panics while it holds the lock.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who watches; the entry goes with the last of them.
struct Watcher {
    shared: Arc<Shared>,
    name: PathName,
    news: watch::Receiver<News>,
}

impl Watcher {
    fn new(shared: &Arc<Shared>, name: PathName) -> Self {
        let mut watched = shared.watchers.watched();
        let sender = watched.entry(name.clone()).or_default();
        let news = sender.subscribe();
        shared.watchers.count.store(watched.len(), Ordering::Release);
        drop(watched);
        Self { shared: Arc::clone(shared), name, news }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = self.shared.watchers.watched();
        if watched.get(&self.name).is_some_and(|sender| sender.receiver_count() <= 1) {
            watched.remove(&self.name);
        }
        self.shared.watchers.count.store(watched.len(), Ordering::Release);
    }
}

/// What a watcher has been told.
struct Watch {
    watcher: Watcher,
    first: Option<Arc<Checkpoint>>,
    told_points: Option<u64>,
    is_over: bool,
}

/// A recording now and each time it grows, until it is finished.
///
/// # Errors
/// When there is none and that is not allowed, and when the store cannot tell.
pub(super) async fn watch_path(
    shared: Arc<Shared>,
    name: PathName,
    allow_missing: bool,
) -> Result<impl Stream<Item = Result<pb::WatchPathResponse, RpcError>> + Send, RpcError> {
    // First the subscription: nothing that comes after the load is missed.
    let watcher = Watcher::new(&shared, name.clone());
    let stored = shared.ask(&name, shared.store.load(name.clone())).await?;
    if stored.is_none() && !allow_missing {
        return Err(not_found(&name));
    }
    let first = stored.map(Arc::new);
    let watch = Watch { watcher, first, told_points: None, is_over: false };
    Ok(stream::unfold(watch, |mut watch| async {
        let item = watch.next().await?;
        watch.is_over |= item.is_err();
        Some((item, watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<Result<pb::WatchPathResponse, RpcError>> {
        if self.is_over {
            return None;
        }
        loop {
            let news = match self.first.take() {
                Some(checkpoint) => News::Stored(checkpoint),
                None => {
                    // The sender lives as long as the entry, and that as long as this receiver.
                    self.watcher.news.changed().await.ok()?;
                    self.watcher.news.borrow_and_update().clone()
                }
            };
            match news {
                News::Nothing => {}
                News::Gone => return Some(Err(not_found(&self.watcher.name))),
                News::Stored(checkpoint) => {
                    let points = checkpoint.committed_points();
                    let is_news = self.told_points.is_none_or(|told| points > told);
                    if !is_news && !checkpoint.complete {
                        continue;
                    }
                    self.told_points = Some(points);
                    self.is_over = checkpoint.complete;
                    let path = Some(path_message(&self.watcher.name, &checkpoint));
                    return Some(Ok(pb::WatchPathResponse { path }));
                }
            }
        }
    }
}

pub(super) fn not_found(name: &PathName) -> RpcError {
    let error = StoreError::NotFound;
    RpcError::Store { name: name.to_string(), error, committed_points: None }
}
