//! A store that records each of its calls, with the names that it is about.

use std::sync::{Arc, Mutex};

use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, OpenRequest, Page, RecordingName,
    StoreFuture, Sweep, Swept,
};

pub struct Traced {
    inner: Arc<dyn CheckpointStore>,
    calls: Mutex<Vec<String>>,
}

impl Traced {
    pub fn new(inner: Arc<dyn CheckpointStore>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// Returns the calls since the last time, such as `load namespaces/a/paths/walk`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Returns whether a recording was opened since the last time.
    pub fn has_opened(&self) -> bool {
        self.calls.lock().unwrap().iter().any(|call| call.starts_with("open "))
    }

    fn trace(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl CheckpointStore for Traced {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.trace(format!("open {name}"));
        self.inner.open(name, opening)
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        self.trace(format!("commit {name}"));
        self.inner.commit(name, precondition, next)
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.trace(format!("load {name}"));
        self.inner.load(name)
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        self.trace(format!("list {limit} of {query:?}"));
        self.inner.list(query, limit)
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.trace(format!("delete {name}"));
        self.inner.delete(name)
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        // No client calls it.
        self.inner.sweep(sweep, after)
    }
}
