//! Helpers for the tests of this module.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::measure::{Fix, Measurement, Metric, Options, Point};

/// A planar measurement of `points` equal points.
pub(super) fn measurement(points: usize) -> Measurement {
    let mut measurement = Measurement::new(Options::new(Metric::Planar));
    measurement.extend(&vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); points]).unwrap();
    measurement
}

/// A checkpoint that never expires.
pub(super) fn checkpoint(epoch: u64, points: usize, complete: bool) -> Arc<Checkpoint> {
    Arc::new(Checkpoint {
        epoch,
        complete,
        measurement: measurement(points),
        create_unix_ms: 1,
        update_unix_ms: 2,
        expire_unix_ms: i64::MAX,
    })
}
