//! Recordings with known points. A writer adds points through a store and handles every outcome as a server does. It
//! checks that each checkpoint that it receives is bit-identical to one uninterrupted fold of its points.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use waywiser::measure::{Fix, Metric, Options, PathAccumulator, Point};
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, RecordingName, StoreError,
};
use waywiser::store::PostgresStore;

/// The expiry of the recordings: the year 2100.
pub const EXPIRES: i64 = 4_102_444_800_000;

pub fn name(recording: u64) -> RecordingName {
    format!("paths/walk-{recording}").parse().unwrap()
}

pub fn options() -> Options {
    Options::new(Metric::Geodesic)
}

pub fn opening() -> OpenRequest {
    OpenRequest {
        options: Some(options()),
        now_unix_ms: 1_000,
        expire_unix_ms: EXPIRES,
        max_in_namespace: None,
    }
}

fn fix(recording: u64, offset: u64) -> Fix {
    let (a, b) = (recording as f64, offset as f64);
    Fix::new(Point::geographic((a + b * 0.37).sin() * 80.0, (b * 0.01 + a).cos() * 170.0).unwrap())
}

fn extend(accumulator: &mut PathAccumulator, recording: u64, count: u64) {
    let from = accumulator.point_count();
    let fixes: Vec<_> = (from..from + count).map(|offset| fix(recording, offset)).collect();
    accumulator.extend(&fixes).unwrap();
}

/// Returns the fold of the first points of a recording.
pub fn folded(recording: u64, count: u64) -> PathAccumulator {
    let mut accumulator = PathAccumulator::new(options());
    extend(&mut accumulator, recording, count);
    accumulator
}

pub fn precondition(checkpoint: &Checkpoint) -> CommitPrecondition {
    CommitPrecondition { epoch: checkpoint.epoch, committed_points: checkpoint.committed_points() }
}

/// Returns the checkpoint with the next points of its recording.
pub fn grown(checkpoint: &Checkpoint, recording: u64, count: u64) -> Checkpoint {
    let mut next = checkpoint.clone();
    extend(&mut next.accumulator, recording, count);
    next.update_unix_ms += 1;
    next
}

/// Commits the next points. Returns the checkpoint after them.
pub async fn commit(
    store: &dyn CheckpointStore,
    recording: u64,
    from: &Checkpoint,
    count: u64,
) -> Result<Checkpoint, StoreError> {
    let next = grown(from, recording, count);
    store.commit(name(recording), precondition(from), next.clone()).await?;
    Ok(next)
}

/// Starts a commit of five points to recording 1, as a task.
pub fn committing(
    store: &Arc<PostgresStore>,
    held: &Checkpoint,
) -> JoinHandle<Result<Checkpoint, StoreError>> {
    let (store, held) = (Arc::clone(store), held.clone());
    tokio::spawn(async move { commit(&*store, 1, &held, 5).await })
}

/// Opens a recording and commits its first points.
pub async fn recorded(store: &dyn CheckpointStore, recording: u64, count: u64) -> Checkpoint {
    let opened = store.open(name(recording), opening()).await.unwrap();
    commit(store, recording, &opened, count).await.unwrap()
}

/// Checks that a checkpoint is the fold of its points.
#[track_caller]
pub fn assert_folded(recording: u64, checkpoint: &Checkpoint) {
    let expected = folded(recording, checkpoint.committed_points());
    // The debug text of a floating-point number identifies all of its bits.
    let (expected, got) = (format!("{expected:?}"), format!("{:?}", checkpoint.accumulator));
    assert_eq!(got, expected, "recording {recording}");
}

/// The answers about one recording that all of its writers have received.
#[derive(Clone, Default)]
pub struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    pub fn points(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Takes a checkpoint that was reported as durable by a request that began when `before` points were acknowledged.
    #[track_caller]
    pub fn observe(&self, recording: u64, before: u64, checkpoint: &Checkpoint) {
        assert_folded(recording, checkpoint);
        let points = checkpoint.committed_points();
        assert!(points >= before, "recording {recording}: {points} points after {before}");
        self.0.fetch_max(points, Ordering::SeqCst);
    }
}

/// One writer of a recording.
pub struct Writer {
    pub store: Arc<dyn CheckpointStore>,
    pub recording: u64,
    pub acknowledged: Acknowledged,
    pub outcomes: Outcomes,
    held: Option<Checkpoint>,
}

/// The number of requests of a writer that ended in this way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub done: u64,
    pub fenced: u64,
    pub unknown: u64,
    pub unavailable: u64,
}

impl Writer {
    pub fn new(
        store: Arc<dyn CheckpointStore>,
        recording: u64,
        acknowledged: Acknowledged,
    ) -> Self {
        Self { store, recording, acknowledged, outcomes: Outcomes::default(), held: None }
    }

    /// Writes until `points` points are acknowledged, by this writer or by another one.
    pub async fn write(&mut self, points: u64, per_commit: u64) {
        while self.acknowledged.points() < points {
            match self.step(points, per_commit).await {
                Ok(()) => self.outcomes.done += 1,
                Err(StoreError::Fenced { .. }) => {
                    self.outcomes.fenced += 1;
                    self.held = None;
                }
                Err(StoreError::Unknown(_)) => self.outcomes.unknown += 1,
                Err(StoreError::Unavailable(_)) => {
                    self.outcomes.unavailable += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("recording {}: {error:?}", self.recording),
            }
        }
    }

    /// Opens the recording if this writer does not hold it, or else commits points.
    async fn step(&mut self, points: u64, per_commit: u64) -> Result<(), StoreError> {
        let (recording, before) = (self.recording, self.acknowledged.points());
        let Some(held) = &self.held else {
            let opened = self.store.open(name(recording), opening()).await?;
            self.acknowledged.observe(recording, before, &opened);
            self.held = Some(opened);
            return Ok(());
        };
        let count = per_commit.min(points.saturating_sub(held.committed_points()));
        match commit(&*self.store, recording, held, count).await {
            Ok(next) => {
                self.acknowledged.observe(recording, 0, &next);
                self.held = Some(next);
                Ok(())
            }
            Err(error) => {
                match &error {
                    // Nothing was changed, so the same commit is repeated.
                    StoreError::Unavailable(_) => {}
                    // A server continues with what is stored if it is still the writer.
                    StoreError::Unknown(_) => {
                        let epoch = self.held.take().map(|held| held.epoch);
                        if let Ok(Some(stored)) = self.store.load(name(recording)).await {
                            self.acknowledged.observe(recording, before, &stored);
                            self.held = Some(stored).filter(|stored| Some(stored.epoch) == epoch);
                        }
                    }
                    _ => self.held = None,
                }
                Err(error)
            }
        }
    }
}

/// Starts a writer for each of the first recordings, which adds points until there are `points`.
pub fn spawn_writers(
    writers: &mut JoinSet<Outcomes>,
    store: &Arc<PostgresStore>,
    acknowledged: &[Acknowledged],
    points: u64,
    per_commit: u64,
) {
    for (recording, acknowledged) in (0..).zip(acknowledged) {
        let mut writer = Writer::new(Arc::clone(store) as _, recording, acknowledged.clone());
        writers.spawn(async move {
            writer.write(points, per_commit).await;
            writer.outcomes
        });
    }
}
