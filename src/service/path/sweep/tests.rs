//! Sweeps over a store in memory: every expired recording is removed and reported, and a full store makes space.

use super::*;
use std::sync::atomic::AtomicUsize;

use crate::measure::{Metric, Options};
use crate::proto::waywiser_v1 as pb;
use crate::recording::CheckpointPolicy;
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, OpenRequest, Page, SWEEP_STEP,
    StoreFuture,
};
use crate::service::path::recording_writer::RecordingWriter;
use crate::service::path::testing::{self, accumulator};
use crate::service::path::watch::{not_found, watch_path};
use crate::store::MemoryStore;
use futures::{FutureExt as _, StreamExt as _};

fn name(id: &str) -> RecordingName {
    RecordingName::from_id(id).unwrap()
}

fn shared(max_recordings: usize) -> Arc<Shared> {
    Arc::new(testing::shared(
        Arc::new(MemoryStore::new(max_recordings)),
        CheckpointPolicy::default(),
    ))
}

/// Stores a recording of the default namespace with `points` points that last grew `age` ago.
async fn recorded(shared: &Shared, id: &str, points: usize, age: Duration) {
    store(shared, name(id), points, age).await;
}

async fn store(shared: &Shared, name: RecordingName, points: usize, age: Duration) {
    let now_unix_ms = unix_ms() - age.as_millis() as i64;
    let options = Some(Options::new(Metric::Planar));
    let opening = OpenRequest {
        options,
        now_unix_ms,
        expire_unix_ms: now_unix_ms + 1_000_000_000,
        max_in_namespace: None,
    };
    let opened = shared.store.open(name.clone(), opening).await.unwrap();
    let next = Checkpoint { accumulator: accumulator(points), ..opened.clone() };
    let precondition = CommitPrecondition { epoch: opened.epoch, committed_points: 0 };
    shared.store.commit(name.clone(), precondition, next).await.unwrap();
}

#[tokio::test]
async fn expiry_removes_and_reports_every_expired_recording() {
    let shared = shared(usize::MAX);
    let count = 2 * SWEEP_STEP + 5;
    for i in 0..count {
        recorded(&shared, &format!("walk-{i:05}"), 1, Duration::ZERO).await;
    }
    // The watchers use the real clock, so that only the report of the sweep can end them.
    let mut watchers = Vec::new();
    for i in [0, SWEEP_STEP, count - 1] {
        let watched: PathName = name(&format!("walk-{i:05}")).into();
        let watcher =
            watch_path(Arc::clone(&shared), watched.clone(), &pb::WatchPathRequest::default())
                .await
                .unwrap();
        let mut watcher = Box::pin(watcher);
        assert!(watcher.next().await.unwrap().is_ok());
        watchers.push((watched, watcher));
    }
    let mut expiry = Expiry::default();
    expiry.run(&shared, unix_ms() + 2_000_000_000).await;
    assert_eq!(shared.store.list(ListQuery::all(), 1).await, Ok(vec![]));
    for (watched, watcher) in &mut watchers {
        // The removal was reported.
        assert_eq!(watcher.next().now_or_never(), Some(Some(Err(not_found(watched)))));
    }
    assert_eq!(expiry.after, None);
}

#[tokio::test]
async fn a_full_store_removes_abandoned_recordings_and_reports_them() {
    let (old, new) = (Duration::from_secs(601), Duration::from_secs(500));
    let shared = shared(4);
    recorded(&shared, "abandoned", 1_000, old).await;
    recorded(&shared, "large", 1_001, old).await;
    recorded(&shared, "recent", 1, new).await;
    recorded(&shared, "written", 1, old).await;
    let writer = RecordingWriter::open(&shared, name("written").into(), None, None).await.unwrap();
    let watched: PathName = name("abandoned").into();
    let watcher =
        watch_path(Arc::clone(&shared), watched.clone(), &pb::WatchPathRequest::default())
            .await
            .unwrap();
    let mut watcher = Box::pin(watcher);
    assert!(watcher.next().await.unwrap().is_ok());

    drop(RecordingWriter::open(&shared, name("first").into(), None, None).await.unwrap());
    assert_eq!(watcher.next().now_or_never(), Some(Some(Err(not_found(&watched)))));
    let listed =
        shared.store.list(ListQuery::all(), 9).await.unwrap().into_iter().map(|(name, _)| name);
    assert_eq!(listed.collect::<Vec<_>>(), ["first", "large", "recent", "written"].map(name));

    // The store removes nothing else.
    let refused =
        RecordingWriter::open(&shared, name("second").into(), None, None).await.err().unwrap();
    assert!(refused.to_string().contains("the store is full"), "{refused}");
    drop(writer);
    // Without a writer the recording is removed in the next round.
    shared.reclaim.lock().await.abandoned(None).retry_after = None;
    drop(RecordingWriter::open(&shared, name("second").into(), None, None).await.unwrap());
    assert_eq!(shared.store.load(name("written")).await, Ok(None));
}

fn named(namespace: &str, id: &str) -> RecordingName {
    RecordingName::in_namespace(Some(&namespace.parse().unwrap()), id).unwrap()
}

#[tokio::test]
async fn a_full_store_removes_no_abandoned_recording_of_another_namespace() {
    let old = Duration::from_secs(700);
    let shared = shared(6);
    let others = [named("a", "1"), named("aa", "1"), named("~", "1"), name("1"), name("~")];
    for name in &others {
        store(&shared, name.clone(), 1, old).await;
    }
    store(&shared, named("b", "1"), 1, old).await;
    let open = async |name: RecordingName| {
        RecordingWriter::open(&shared, name.into(), None, None).await.map(drop)
    };
    // The namespace makes space for itself, as long as it has an abandoned recording.
    open(named("b", "2")).await.unwrap();
    assert_eq!(shared.store.load(named("b", "1")).await, Ok(None));
    for name in [named("b", "3"), named("c", "1")] {
        let refused = open(name).await.unwrap_err();
        assert!(refused.to_string().contains("the store is full"), "{refused}");
    }
    for name in others {
        assert!(shared.store.load(name.clone()).await.unwrap().is_some(), "{name}");
    }
    // That one namespace found nothing does not delay the search of another one.
    open(named("a", "2")).await.unwrap();
    assert_eq!(shared.store.load(named("a", "1")).await, Ok(None));
}

#[tokio::test]
async fn a_full_store_removes_expired_recordings_of_all_namespaces_first() {
    let shared = shared(3);
    store(&shared, named("a", "expired"), 1, Duration::from_secs(2_000_000)).await;
    store(&shared, named("b", "abandoned"), 1, Duration::from_secs(700)).await;
    store(&shared, named("a", "abandoned"), 1, Duration::from_secs(700)).await;
    drop(RecordingWriter::open(&shared, named("b", "new").into(), None, None).await.unwrap());
    assert_eq!(shared.store.load(named("a", "expired")).await, Ok(None));
    assert!(shared.store.load(named("b", "abandoned")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_store_without_abandoned_recordings_is_not_searched_at_every_call() {
    let shared = shared(1);
    recorded(&shared, "recent", 1, Duration::ZERO).await;
    assert!(!reclaim(&shared, None).await);
    let until = shared.reclaim.lock().await.abandoned(None).retry_after;
    assert!(until.is_some());
    assert!(!reclaim(&shared, None).await);
    assert_eq!(shared.reclaim.lock().await.abandoned(None).retry_after, until, "no second search");
}

#[tokio::test]
async fn a_search_continues_after_the_last_removal_and_wraps_around() {
    let shared = shared(usize::MAX);
    let count = SWEEP_STEP + 3 * ABANDONED_AT_ONCE;
    for i in 0..count {
        recorded(&shared, &format!("walk-{i:05}"), 1, Duration::from_secs(700)).await;
    }
    let mut left = count;
    while left > 0 {
        assert!(reclaim(&shared, None).await, "{left} are left");
        let page = shared.store.list(ListQuery::all(), count).await.unwrap();
        assert!(left - page.len() <= ABANDONED_AT_ONCE && page.len() < left);
        left = page.len();
        if left == count - ABANDONED_AT_ONCE {
            // A recording before the position of the cursor.
            recorded(&shared, "a", 1, Duration::from_secs(700)).await;
            left += 1;
        }
    }
    assert!(!reclaim(&shared, None).await);
}

/// A store that never answers a sweep, and counts the sweeps.
#[derive(Default)]
struct Hanging {
    store: MemoryStore,
    sweeps: Arc<AtomicUsize>,
}

impl CheckpointStore for Hanging {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.store.open(name, opening)
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        self.store.commit(name, precondition, next)
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.store.load(name)
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        self.store.list(query, limit)
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.store.delete(name)
    }

    fn sweep(&self, _: Sweep, _: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        self.sweeps.fetch_add(1, Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn callers_that_stop_waiting_leave_one_search_running() {
    let store = Hanging::default();
    let sweeps = Arc::clone(&store.sweeps);
    let shared = Arc::new(testing::shared(Arc::new(store), CheckpointPolicy::default()));
    for _ in 0..10 {
        let mut search = Box::pin(reclaim(&shared, None));
        assert!(search.as_mut().now_or_never().is_none());
        // Lets the task of the search run.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        drop(search);
    }
    assert_eq!(sweeps.load(Relaxed), 1);
}

/// A store that other servers use, too.
#[derive(Default)]
struct SharedStore(MemoryStore);

impl CheckpointStore for SharedStore {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.0.open(name, opening)
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        self.0.commit(name, precondition, next)
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.0.load(name)
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        self.0.list(query, limit)
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.0.delete(name)
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        self.0.sweep(sweep, after)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn recordings_that_another_server_may_write_are_not_abandoned() {
    for (store, is_removed) in [
        (Arc::new(MemoryStore::default()) as Arc<dyn CheckpointStore>, true),
        (Arc::new(SharedStore::default()), false),
    ] {
        let shared = Arc::new(testing::shared(store, CheckpointPolicy::default()));
        let name: RecordingName = "paths/old".parse().unwrap();
        let opening = OpenRequest {
            options: None,
            now_unix_ms: 0,
            expire_unix_ms: i64::MAX,
            max_in_namespace: None,
        };
        shared.store.open(name.clone(), opening.clone()).await.unwrap();
        assert_eq!(reclaim(&shared, None).await, is_removed);
        assert_eq!(shared.store.load(name.clone()).await.unwrap().is_none(), is_removed);
        // Expired recordings have no writers.
        let expired = OpenRequest { expire_unix_ms: 1, ..opening };
        shared.store.open("paths/expired".parse().unwrap(), expired).await.unwrap();
        let mut state = shared.reclaim.lock().await;
        *state = ReclaimState::default();
        drop(state);
        assert!(reclaim(&shared, None).await);
    }
}
