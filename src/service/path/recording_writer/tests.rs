//! The end of the service and the pauses between commits that fail.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use prost::Message as _;

use super::*;
use crate::measure::{Fix, Metric, PathAccumulator, Point};
use crate::proto::waywiser_v1 as pb;
use crate::recording::CheckpointPolicy;
use crate::recording::{
    CheckpointStore, CommitPrecondition, ListQuery, Page, RecordingName, StoreFuture, Sweep, Swept,
};
use crate::service::StreamLimits;
use crate::service::path::request;
use crate::service::path::{PathService, testing};
use crate::service::store_timeout::StoreTimeout;
use crate::store::MemoryStore;

fn name() -> RecordingName {
    "paths/walk".parse().unwrap()
}

fn options() -> Option<Options> {
    Some(Options::new(Metric::Planar))
}

fn fold(writer: &mut RecordingWriter, points: usize) {
    let recording = writer.recording().unwrap();
    let fixes = vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); points];
    recording.accumulator_mut().extend(&fixes).unwrap();
    recording.folded(unix_ms());
}

#[tokio::test]
async fn the_service_is_flushed_only_when_no_recording_is_open() {
    let store = Arc::new(MemoryStore::default());
    let service =
        PathService::new(StreamLimits::default(), store.clone(), CheckpointPolicy::default());
    let mut writer =
        RecordingWriter::open(&service.shared, name().into(), options(), None).await.unwrap();
    fold(&mut writer, 5);
    // The stream is cut, but it is not dropped yet.
    let mut flushed = Box::pin(service.flushed());
    assert!((&mut flushed).now_or_never().is_none(), "a recording is still open");
    drop(writer);
    flushed.await;
    let stored = store.load(name()).await.unwrap().unwrap();
    assert_eq!(stored.committed_points(), 5);
    assert!(!service.shared.writers.contains(&name()));
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_stays_open_does_not_block_the_service() {
    let store = Arc::new(MemoryStore::default());
    let service = PathService::new(StreamLimits::default(), store, CheckpointPolicy::default());
    let writer =
        RecordingWriter::open(&service.shared, name().into(), options(), None).await.unwrap();
    service.flushed().await;
    drop(writer);
}

/// A store that is not available for commits, and counts them.
#[derive(Default)]
struct Unavailable {
    inner: MemoryStore,
    commits: AtomicU64,
}

impl CheckpointStore for Unavailable {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.inner.open(name, opening)
    }

    fn commit(
        &self,
        _: RecordingName,
        _: CommitPrecondition,
        _: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            // Yields, so that the time limit of the flush is checked.
            tokio::task::yield_now().await;
            Err(StoreError::Unavailable("it is not available".into()))
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.inner.load(name)
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        self.inner.list(query, limit)
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.inner.delete(name)
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        self.inner.sweep(sweep, after)
    }
}

/// A stream that was closed or cut commits its points. While the store is not available, it pauses between attempts.
#[tokio::test]
async fn commits_that_fail_are_retried_with_pauses() {
    let store = Arc::new(Unavailable::default());
    let interval = Duration::from_millis(5);
    let policy = CheckpointPolicy { interval, ..CheckpointPolicy::default() };
    let mut shared = testing::shared(store.clone(), policy);
    shared.store_timeout = StoreTimeout::new(Duration::from_millis(50));
    let shared = Arc::new(shared);
    let mut writer = RecordingWriter::open(&shared, name().into(), options(), None).await.unwrap();
    fold(&mut writer, 5);
    let started = std::time::Instant::now();
    writer.flush().await;
    let tries = store.commits.load(Ordering::Relaxed);
    // One attempt at once, and one after each pause.
    let pauses = started.elapsed().as_millis() as u64 / interval.as_millis() as u64;
    assert!((1..=pauses + 1).contains(&tries), "{tries} attempts in {pauses} pauses");
}

/// Returns a buffer with points for a path of this metric.
fn buffer(metric: Metric, x: std::ops::Range<u32>) -> PointBuffer {
    let point = |x| pb::Point { x: f64::from(x), ..Default::default() };
    let message = pb::RecordPathRequest { points: x.map(point).collect(), ..Default::default() };
    let bytes = message.encode_to_vec();
    let mut recoded = Vec::new();
    let message = request::read::<pb::RecordPathRequest>(&bytes, 0, &mut recoded).unwrap();
    let mut path = PathAccumulator::new(Options::new(metric));
    let mut buffer = PointBuffer::sampled(Samples::new(512));
    buffer.add_all(&mut path, &message.view, 0, &mut Work::default()).unwrap();
    buffer
}

#[tokio::test]
async fn points_that_were_not_folded_are_no_recent_points() {
    let shared = testing::shared(Arc::new(MemoryStore::default()), CheckpointPolicy::default());
    let shared = Arc::new(shared);
    let mut writer = RecordingWriter::open(&shared, name().into(), options(), None).await.unwrap();
    let mut fold = |buffer: &mut PointBuffer| writer.fold(buffer, &mut Work::default());
    fold(&mut buffer(Metric::Planar, 0..2)).unwrap();
    // The path is in another space. The points stay in the buffer, and are tried again.
    let mut refused = buffer(Metric::Geodesic, 80..83);
    assert!(fold(&mut refused).is_err() && fold(&mut refused).is_err());
    fold(&mut buffer(Metric::Planar, 2..5)).unwrap();
    assert_eq!(writer.commit().await, Ok(5));
    let stored = shared.store.load(name()).await.unwrap().unwrap();
    let recent = shared.recent.rows(&name(), &stored, 0);
    assert_eq!(recent.iter().map(|row| row.x).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
}
