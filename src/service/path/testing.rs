//! Helpers for the tests of this module.

use std::sync::Arc;

use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};
use crate::recording::Checkpoint;

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
