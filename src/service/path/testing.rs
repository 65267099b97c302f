//! Helpers for the tests of this module.

use std::ops::Range;
use std::sync::Arc;

use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};
use crate::recording::{Checkpoint, CheckpointPolicy, CheckpointStore, RecordingName};
use crate::service::memory_budget::Unlimited;

use super::recent::{RecentPoint, RecentPoints};
use super::shared::Shared;

/// Returns the state of a service with this store and no limit on memory.
pub(super) fn shared(store: Arc<dyn CheckpointStore>, policy: CheckpointPolicy) -> Shared {
    Shared::new(store, policy, Arc::new(Unlimited))
}

/// Returns a planar accumulator of `points` equal points.
pub(super) fn accumulator(points: usize) -> PathAccumulator {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
    accumulator.extend(&vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); points]).unwrap();
    accumulator
}

/// Returns a checkpoint that never expires.
pub(super) fn checkpoint(epoch: u64, points: usize, complete: bool) -> Arc<Checkpoint> {
    Arc::new(Checkpoint {
        epoch,
        complete,
        accumulator: accumulator(points),
        create_unix_ms: 1,
        update_unix_ms: 2,
        expire_unix_ms: i64::MAX,
    })
}

/// Adds recent points whose x is their offset.
pub(super) fn add_recent(
    recent: &RecentPoints,
    name: &RecordingName,
    checkpoint: &Checkpoint,
    offsets: Range<u64>,
) {
    let fix = |x| Fix::new(Point::planar(x, 0.0).unwrap());
    let points = offsets.map(|offset| RecentPoint::new(offset, fix(offset as f64)));
    recent.add(name, checkpoint, points);
}
