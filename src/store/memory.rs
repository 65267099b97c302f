//! A store that keeps checkpoints in memory until the process ends: for tests, and for servers without a data
//! directory. It uses no disk and never waits.

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::rules::{self, OpenDecision};
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, Page, RecordingName, Removed,
    SWEEP_STEP, StoreError, StoreFuture, Sweep, Swept,
};

/// Keeps checkpoints in memory, up to a maximum number of recordings.
#[derive(Debug)]
pub struct MemoryStore {
    max_recordings: usize,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// The last epoch that was assigned. All names share one sequence, so that a name that is deleted and created
    /// again never gets the same epoch twice.
    epoch: u64,
    recordings: BTreeMap<RecordingName, Checkpoint>,
}

impl MemoryStore {
    /// Maximum number of recordings by default. They take about 100 MB.
    pub const RECORDINGS_MAX: usize = 100_000;

    /// Creates an empty store that keeps up to `max_recordings` recordings.
    pub fn new(max_recordings: usize) -> Self {
        Self { max_recordings, content: Mutex::default() }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // No code panics while it holds the lock.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_now(
        &self,
        name: RecordingName,
        request: &OpenRequest,
    ) -> Result<Checkpoint, StoreError> {
        let mut content = self.content();
        let epoch = content.epoch + 1;
        let stored = content.recordings.get(&name);
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
        if stored.is_none() && content.recordings.len() >= self.max_recordings {
            return Err(rules::full(self.max_recordings as u64));
        }
        content.epoch = epoch;
        content.recordings.insert(name, checkpoint.clone());
        Ok(checkpoint)
    }

    fn commit_now(
        &self,
        name: &RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> Result<(), StoreError> {
        let mut content = self.content();
        let stored = content.recordings.get_mut(name);
        rules::check_commit(stored.as_deref().map(Into::into), precondition, (&next).into())?;
        if let Some(stored) = stored {
            *stored = next;
        }
        Ok(())
    }

    fn sweep_now(&self, sweep: &Sweep, after: Option<&RecordingName>) -> Swept {
        let mut content = self.content();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut recordings = content.recordings.range((start, Bound::Unbounded));
        let mut swept = Swept::default();
        for (name, stored) in recordings.by_ref().take(SWEEP_STEP) {
            swept.next = Some(name.clone());
            if rules::is_selected(sweep, name, stored.into()) {
                swept.removed.push(Removed { name: name.clone(), epoch: stored.epoch });
                if swept.removed.len() == sweep.removals_max() {
                    break;
                }
            }
        }
        if recordings.next().is_none() {
            swept.next = None;
        }
        for Removed { name, .. } in &swept.removed {
            content.recordings.remove(name);
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
        Box::pin(ready(Ok(self.content().recordings.get(&name).cloned())))
    }

    fn list(&self, after: Option<RecordingName>, limit: usize) -> StoreFuture<'_, Page> {
        let content = self.content();
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = content.recordings.range((start, Bound::Unbounded)).take(limit);
        let page = page.map(|(name, checkpoint)| (name.clone(), Ok(checkpoint.clone()))).collect();
        Box::pin(ready(Ok(page)))
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        let removed = self.content().recordings.remove(&name);
        Box::pin(ready(Ok(removed.map(|stored| stored.epoch))))
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        Box::pin(ready(Ok(self.sweep_now(&sweep, after.as_ref()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[tokio::test]
    async fn the_contract_is_kept() {
        contract::check_store(&MemoryStore::default()).await;
    }

    #[tokio::test]
    async fn the_maximum_number_of_recordings_is_kept() {
        contract::check_maximum(&MemoryStore::new(3), 3).await;
    }
}
