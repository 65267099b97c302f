//! WatchPath: those who watch a recording grow, and what they are told.
//!
//! A watcher is told the latest state, not every one: a slow one costs no memory and holds up nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::convert::path_message;
use super::shared::{Shared, has_expired, unix_ms};
use crate::checkpoint::{Checkpoint, PathName, StoreError};
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;

/// The latest of a recording. Whoever tells does so in a task of its own, so news may come late: what is older
/// than what is known is no news.
#[derive(Clone, Debug, Default)]
enum News {
    #[default]
    Nothing,
    Stored(Arc<Checkpoint>),
    /// It was deleted; what this epoch or one before has stored is gone, too.
    Gone {
        epoch: u64,
    },
}

impl News {
    /// Takes note of a checkpoint, and tells whether it is news.
    fn stored(&mut self, next: &Arc<Checkpoint>) -> bool {
        let key = |of: &Checkpoint| (of.epoch, of.complete, of.committed_points());
        let is_news = match self {
            Self::Nothing => true,
            Self::Stored(known) => key(next) > key(known),
            Self::Gone { epoch } => next.epoch > *epoch,
        };
        if is_news {
            *self = Self::Stored(Arc::clone(next));
        }
        is_news
    }

    /// Takes note that the recording was deleted.
    fn gone(&mut self) -> bool {
        let epoch = match self {
            Self::Nothing => 0,
            Self::Stored(known) => known.epoch,
            Self::Gone { .. } => return false,
        };
        *self = Self::Gone { epoch };
        true
    }
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
        self.send(name, |news| news.stored(checkpoint));
    }

    /// Tells that a recording was deleted.
    pub(super) fn gone(&self, name: &PathName) {
        self.send(name, News::gone);
    }

    fn send(&self, name: &PathName, change: impl FnOnce(&mut News) -> bool) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = self.watched().get(name) {
            sender.send_if_modified(change);
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
    told: Option<Arc<Checkpoint>>,
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
    let stored = shared.stored(&name).await?;
    if stored.is_none() && !allow_missing {
        return Err(not_found(&name));
    }
    if let Some(stored) = stored {
        shared.watchers.tell(&name, &Arc::new(stored));
    }
    let watch = Watch { watcher, told: None, is_over: false };
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
            let gone = || Some(Err(not_found(&self.watcher.name)));
            let Ok(changed) = timeout(self.time_left(), self.watcher.news.changed()).await else {
                // Unless somebody has opened it meanwhile, who says so.
                if self.told.as_ref().is_some_and(|told| has_expired(told)) {
                    return gone();
                }
                continue;
            };
            // The sender lives as long as the entry, and that as long as this receiver.
            changed.ok()?;
            let news = self.watcher.news.borrow_and_update().clone();
            match news {
                News::Nothing => {}
                News::Gone { .. } => return gone(),
                News::Stored(checkpoint) => {
                    let points = checkpoint.committed_points();
                    if let Some(told) = &self.told {
                        // Another of that name: the one that was watched went without a word.
                        let is_other = checkpoint.create_unix_ms != told.create_unix_ms;
                        if is_other || points < told.committed_points() {
                            return gone();
                        }
                        if points == told.committed_points() && !checkpoint.complete {
                            self.told = Some(checkpoint);
                            continue;
                        }
                    }
                    self.is_over = checkpoint.complete;
                    let path = path_message(&self.watcher.name, &checkpoint);
                    self.told = Some(checkpoint);
                    return Some(Ok(pb::WatchPathResponse { path: Some(path) }));
                }
            }
        }
    }
}

impl Watch {
    /// How long until what was told expires, and some milliseconds more.
    fn time_left(&self) -> Duration {
        let expire_unix_ms = self.told.as_ref().map_or(i64::MAX, |told| told.expire_unix_ms);
        let left_ms = expire_unix_ms.saturating_sub(unix_ms()).saturating_add(10);
        Duration::from_millis(left_ms.try_into().unwrap_or_default())
    }
}

pub(super) fn not_found(name: &PathName) -> RpcError {
    let error = StoreError::NotFound;
    RpcError::Store { name: name.to_string(), error, committed_points: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Fix, Measurement, Metric, Options, Point};

    fn stored(epoch: u64, points: usize, complete: bool) -> Arc<Checkpoint> {
        let mut measurement = Measurement::new(Options::new(Metric::Planar));
        measurement.extend(&vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); points]).unwrap();
        let (create_unix_ms, update_unix_ms, expire_unix_ms) = (1, 2, 3);
        Arc::new(Checkpoint {
            epoch,
            complete,
            measurement,
            create_unix_ms,
            update_unix_ms,
            expire_unix_ms,
        })
    }

    #[test]
    fn news_that_come_late_do_not_hide_what_came_after() {
        let mut news = News::default();
        assert!(news.stored(&stored(1, 0, false)));
        assert!(news.stored(&stored(1, 100, false)));
        assert!(!news.stored(&stored(1, 50, false)), "an older commit");
        assert!(news.stored(&stored(2, 200, true)));
        assert!(!news.stored(&stored(1, 100, false)), "a writer that was fenced");
        assert!(!news.stored(&stored(2, 200, false)), "before the end");
        assert!(news.gone());
        assert!(!news.gone());
        assert!(!news.stored(&stored(2, 200, true)), "it was deleted since");
        assert!(matches!(news, News::Gone { epoch: 2 }));
        assert!(news.stored(&stored(3, 0, false)), "begun again");
    }
}
