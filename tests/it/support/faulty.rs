//! A store with injected faults, around another store. The nth call of a kind is refused, executed but reported as
//! failed, executed late, or delayed until the test releases it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ExportQuery, Exported, ListQuery, OpenRequest,
    Page, RecordingName, StoreError, StoreFuture, Sweep, Swept,
};

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Open,
    Commit,
    Load,
    List,
    Delete,
    Sweep,
}

/// The fault of a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Returns this error and does not execute the call.
    Before(StoreError),
    /// Executes the call and returns this error.
    After(StoreError),
    /// Returns [`StoreError::Unknown`]; [`Faulty::deliver`] executes the call. For commits only.
    Late,
    /// Waits for [`Faulty::release`], then executes the call.
    HeldBefore,
    /// Executes the call, then waits for [`Faulty::release`].
    HeldAfter,
}

/// Returns the error of a store that timed out.
pub fn unknown() -> StoreError {
    StoreError::Unknown("it did not answer in time".into())
}

/// Returns the error of an unavailable store.
pub fn unavailable() -> StoreError {
    StoreError::Unavailable("it does not respond".into())
}

pub struct Faulty {
    inner: Arc<dyn CheckpointStore>,
    plan: Mutex<Plan>,
    held: Semaphore,
}

#[derive(Default)]
struct Plan {
    calls: HashMap<Call, u64>,
    faults: HashMap<(Call, u64), Fault>,
    always: HashMap<Call, Fault>,
    late: Vec<(RecordingName, CommitPrecondition, Checkpoint)>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn CheckpointStore>) -> Self {
        Self { inner, plan: Mutex::default(), held: Semaphore::new(0) }
    }

    /// Injects a fault into the `nth` call of a kind, counted from 1 since the store was made.
    pub fn on(&self, call: Call, nth: u64, fault: Fault) {
        self.plan.lock().unwrap().faults.insert((call, nth), fault);
    }

    /// Returns whether all faults of single calls have happened.
    pub fn is_spent(&self) -> bool {
        self.plan.lock().unwrap().faults.is_empty()
    }

    /// Injects a fault into every further call of a kind, or into none.
    pub fn always(&self, call: Call, fault: Option<Fault>) {
        let mut plan = self.plan.lock().unwrap();
        match fault {
            Some(fault) => plan.always.insert(call, fault),
            None => plan.always.remove(&call),
        };
    }

    /// Returns the number of calls of a kind so far.
    pub fn calls(&self, call: Call) -> u64 {
        self.plan.lock().unwrap().calls.get(&call).copied().unwrap_or(0)
    }

    /// Releases this many calls that are delayed now or later.
    pub fn release(&self, count: usize) {
        self.held.add_permits(count);
    }

    /// Executes the late commits in their order. Returns their results.
    pub async fn deliver(&self) -> Vec<Result<(), StoreError>> {
        let late = std::mem::take(&mut self.plan.lock().unwrap().late);
        let mut outcomes = Vec::new();
        for (name, precondition, next) in late {
            outcomes.push(self.inner.commit(name, precondition, next).await);
        }
        outcomes
    }

    fn fault(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        let count = plan.calls.entry(call).or_default();
        *count += 1;
        let nth = *count;
        plan.faults.remove(&(call, nth)).or_else(|| plan.always.get(&call).cloned())
    }

    async fn wait(&self) {
        self.held.acquire().await.unwrap().forget();
    }

    async fn call<T>(&self, call: Call, real: StoreFuture<'_, T>) -> Result<T, StoreError> {
        match self.fault(call) {
            None => real.await,
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => real.await.and(Err(error)),
            Some(Fault::Late) => panic!("only commits can be late"),
            Some(Fault::HeldBefore) => {
                self.wait().await;
                real.await
            }
            Some(Fault::HeldAfter) => {
                let outcome = real.await;
                self.wait().await;
                outcome
            }
        }
    }
}

/// Returns a future that makes the call when it is first polled.
fn lazily<'a, T: 'a>(call: impl FnOnce() -> StoreFuture<'a, T> + Send + 'a) -> StoreFuture<'a, T> {
    Box::pin(async move { call().await })
}

impl CheckpointStore for Faulty {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        let real = lazily(|| self.inner.open(name, opening));
        Box::pin(self.call(Call::Open, real))
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let nth = self.calls(Call::Commit) + 1;
            let is_late = {
                let plan = self.plan.lock().unwrap();
                let fault = plan.faults.get(&(Call::Commit, nth));
                matches!(fault.or(plan.always.get(&Call::Commit)), Some(Fault::Late))
            };
            if is_late {
                self.fault(Call::Commit);
                self.plan.lock().unwrap().late.push((name, precondition, next));
                return Err(unknown());
            }
            let real = lazily(|| self.inner.commit(name, precondition, next));
            self.call(Call::Commit, real).await
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        let real = lazily(|| self.inner.load(name));
        Box::pin(self.call(Call::Load, real))
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        let real = lazily(move || self.inner.list(query, limit));
        Box::pin(self.call(Call::List, real))
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        let real = lazily(|| self.inner.delete(name));
        Box::pin(self.call(Call::Delete, real))
    }

    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        self.inner.export(query)
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        let real = lazily(move || self.inner.sweep(sweep, after));
        Box::pin(self.call(Call::Sweep, real))
    }
}
