//! A store that keeps checkpoints in memory until the process ends: for tests, and for servers without a data
//! directory. It uses no disk and never waits.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream;
use tokio::sync::broadcast::{self, error::RecvError};

use super::key;
use super::rules::{self, OpenDecision};
#[cfg(feature = "_codec")]
use super::{codec, export_step::ExportStep};
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, Namespace, OpenRequest, Page,
    RecordingName, Removed, SWEEP_STEP, StoreError, StoreEvent, StoreEvents, StoreFuture, Sweep,
    Swept, WatchedRecordings,
};
#[cfg(feature = "_codec")]
use crate::recording::{ExportQuery, Exported};

/// Number of changes that a subscription holds until the subscriber reads them.
const CHANGES_MAX: usize = 1024;

/// Keeps checkpoints in memory, up to a maximum number of recordings.
#[derive(Debug)]
pub struct MemoryStore {
    max_recordings: usize,
    content: Mutex<Content>,
    /// Sends each change to all subscriptions, in the order of the changes.
    changes: broadcast::Sender<StoreEvent>,
}

#[derive(Debug, Default)]
struct Content {
    /// The last epoch that was assigned. All names share one sequence, so that a name that is deleted and created
    /// again never gets the same epoch twice.
    epoch: u64,
    /// The recordings by their keys.
    recordings: BTreeMap<String, Checkpoint>,
    /// The number of recordings of each namespace that has any.
    counts: HashMap<Option<Namespace>, u64>,
}

impl Content {
    fn get(&self, name: &RecordingName) -> Option<&Checkpoint> {
        self.recordings.get(&*key::of(name))
    }

    fn count(&self, name: &RecordingName) -> u64 {
        self.counts.get(&name.namespace().cloned()).copied().unwrap_or_default()
    }

    fn insert(&mut self, name: &RecordingName, checkpoint: Checkpoint) {
        if self.recordings.insert(key::of(name).into_owned(), checkpoint).is_none() {
            *self.counts.entry(name.namespace().cloned()).or_default() += 1;
        }
    }

    fn remove(&mut self, name: &RecordingName) -> Option<Checkpoint> {
        let removed = self.recordings.remove(&*key::of(name))?;
        let left = self.count(name).saturating_sub(1);
        match left {
            0 => self.counts.remove(&name.namespace().cloned()),
            _ => self.counts.insert(name.namespace().cloned(), left),
        };
        Some(removed)
    }
}

impl MemoryStore {
    /// Maximum number of recordings by default. They take about 100 MB.
    pub const RECORDINGS_MAX: usize = 100_000;

    /// Creates an empty store that keeps up to `max_recordings` recordings.
    pub fn new(max_recordings: usize) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        Self { max_recordings, content: Mutex::default(), changes }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // No code panics while it holds the lock.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports a stored checkpoint. The caller holds the lock, so that the order of the reports is that of the changes.
    fn report_stored(&self, name: &RecordingName, checkpoint: &Checkpoint) {
        self.report(|| StoreEvent::Stored {
            name: name.clone(),
            epoch: checkpoint.epoch,
            committed_points: checkpoint.committed_points(),
            complete: checkpoint.complete,
        });
    }

    /// Reports a removal. The caller holds the lock.
    fn report_removed(&self, name: &RecordingName, epoch: u64) {
        self.report(|| StoreEvent::Removed(Removed { name: name.clone(), epoch }));
    }

    fn report(&self, event: impl FnOnce() -> StoreEvent) {
        if self.changes.receiver_count() > 0 {
            // Fails only if the last subscription has just ended.
            let _ = self.changes.send(event());
        }
    }

    fn open_now(
        &self,
        name: RecordingName,
        request: &OpenRequest,
    ) -> Result<Checkpoint, StoreError> {
        let mut content = self.content();
        let epoch = content.epoch + 1;
        let stored = content.get(&name);
        let options = || stored.map(|stored| *stored.accumulator.options());
        let options = || options().ok_or(StoreError::NotFound);
        let checkpoint = match rules::open(stored.map(Into::into), options, request, epoch)? {
            OpenDecision::Create(checkpoint) => checkpoint,
            OpenDecision::Resume(header) => {
                let stored = stored.cloned().ok_or(StoreError::NotFound)?;
                Checkpoint { epoch, expire_unix_ms: header.expire_unix_ms, ..stored }
            }
            OpenDecision::Finished => return stored.cloned().ok_or(StoreError::NotFound),
        };
        if stored.is_none() {
            let in_store = content.recordings.len() as u64;
            let max_recordings = self.max_recordings as u64;
            rules::check_space(request, content.count(&name), in_store, max_recordings)?;
        }
        content.epoch = epoch;
        self.report_stored(&name, &checkpoint);
        content.insert(&name, checkpoint.clone());
        Ok(checkpoint)
    }

    fn commit_now(
        &self,
        name: &RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> Result<(), StoreError> {
        let mut content = self.content();
        let stored = content.recordings.get_mut(&*key::of(name));
        rules::check_commit(stored.as_deref().map(Into::into), precondition, (&next).into())?;
        if let Some(stored) = stored {
            self.report_stored(name, &next);
            *stored = next;
        }
        Ok(())
    }

    fn sweep_now(&self, sweep: &Sweep, after: Option<&RecordingName>) -> Swept {
        let mut content = self.content();
        let recordings = content.recordings.range(key::swept(sweep, after));
        let mut recordings = recordings.filter_map(|(key, stored)| Some((key::name(key)?, stored)));
        let mut swept = Swept::default();
        for (name, stored) in recordings.by_ref().take(SWEEP_STEP) {
            swept.next = Some(name.clone());
            if rules::is_selected(sweep, &name, stored.into()) {
                swept.removed.push(Removed { name, epoch: stored.epoch });
                if swept.removed.len() == sweep.removals_max() {
                    break;
                }
            }
        }
        if recordings.next().is_none() {
            swept.next = None;
        }
        for Removed { name, epoch } in &swept.removed {
            content.remove(name);
            self.report_removed(name, *epoch);
        }
        swept
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Self::RECORDINGS_MAX)
    }
}

impl CheckpointStore for MemoryStore {
    fn open(&self, name: RecordingName, request: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        Box::pin(ready(self.open_now(name, &request)))
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.commit_now(&name, precondition, next)))
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        Box::pin(ready(Ok(self.content().get(&name).cloned())))
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        let content = self.content();
        let page = content.recordings.range(key::selected(&query)).take(limit);
        let page = page.filter_map(|(key, stored)| Some((key::name(key)?, Ok(stored.clone()))));
        let page = page.collect();
        Box::pin(ready(Ok(page)))
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        let mut content = self.content();
        let removed = content.remove(&name).map(|stored| stored.epoch);
        if let Some(epoch) = removed {
            self.report_removed(&name, epoch);
        }
        Box::pin(ready(Ok(removed)))
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        Box::pin(ready(Ok(self.sweep_now(&sweep, after.as_ref()))))
    }

    #[cfg(feature = "_codec")]
    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        let content = self.content();
        let range = key::after(query.after.as_ref());
        let recordings = content.recordings.range(range);
        let recordings = recordings.filter_map(|(key, stored)| Some((key::name(key)?, stored)));
        let mut step = ExportStep::new(&query);
        for (name, stored) in recordings {
            if step.is_full() {
                return Box::pin(ready(Ok(step.full())));
            }
            step.add(name, Ok(stored.into()), |name| codec::encode(name, stored));
        }
        Box::pin(ready(Ok(step.last())))
    }

    /// Reports the changes of all recordings by all users of this store, also those of the subscriber.
    fn changes(&self, _: WatchedRecordings) -> StoreEvents {
        Box::pin(stream::unfold(self.changes.subscribe(), |mut changes| async {
            let event = match changes.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => StoreEvent::Missed,
                // The store is gone, so nothing changes any more.
                Err(RecvError::Closed) => std::future::pending().await,
            };
            Some((event, changes))
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};
    use tokio::task::unconstrained;

    use super::*;
    use crate::store::contract;

    #[tokio::test]
    async fn the_contract_is_kept() {
        contract::check_store(&MemoryStore::default()).await;
    }

    fn opening(expire_unix_ms: i64) -> OpenRequest {
        OpenRequest { options: None, now_unix_ms: 1, expire_unix_ms, max_in_namespace: None }
    }

    #[tokio::test]
    async fn a_subscription_reports_each_change_in_order() {
        let store = MemoryStore::default();
        let name: RecordingName = "paths/a".parse().unwrap();
        store.open(name.clone(), opening(100)).await.unwrap();
        let mut events = store.changes(WatchedRecordings::new(Vec::new));
        let opened = store.open(name.clone(), opening(100)).await.unwrap();
        let precondition = CommitPrecondition { epoch: 2, committed_points: 0 };
        let next = Checkpoint { complete: true, ..opened };
        store.commit(name.clone(), precondition, next).await.unwrap();
        store.delete(name.clone()).await.unwrap();
        store.delete(name.clone()).await.unwrap();
        store.open(name.clone(), opening(100)).await.unwrap();
        store.sweep(Sweep::expired(100), None).await.unwrap();
        let stored = |epoch, complete| {
            let name = name.clone();
            StoreEvent::Stored { name, epoch, committed_points: 0, complete }
        };
        let removed = |epoch| StoreEvent::Removed(Removed { name: name.clone(), epoch });
        let expected =
            [stored(2, false), stored(2, true), removed(2), stored(3, false), removed(3)];
        for event in expected {
            assert_eq!(events.next().await, Some(event));
        }
        assert_eq!(events.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_subscription_holds_a_bounded_number_of_changes() {
        let store = MemoryStore::default();
        let name: RecordingName = "paths/a".parse().unwrap();
        let mut events = store.changes(WatchedRecordings::new(Vec::new));
        for _ in 0..2 * CHANGES_MAX {
            store.open(name.clone(), opening(100)).await.unwrap();
        }
        assert_eq!(events.next().await, Some(StoreEvent::Missed));
        let mut held = 0;
        let mut next = || unconstrained(events.next()).now_or_never();
        while let Some(Some(StoreEvent::Stored { .. })) = next() {
            held += 1;
        }
        assert_eq!(held, CHANGES_MAX);
    }

    #[tokio::test]
    async fn the_maximum_number_of_recordings_is_kept() {
        contract::check_maximum(&MemoryStore::new(3), 3).await;
    }
}
