//! Tests of the recent points of all recordings.

use std::ops::Range;

use super::*;
use crate::measure::Point;
use crate::service::path::testing::checkpoint;

fn points(offsets: Range<u64>) -> impl Iterator<Item = RecentPoint> {
    offsets.map(|offset| {
        let fix = Fix::new(Point::planar(offset as f64, 0.0).unwrap());
        RecentPoint { offset, fix }
    })
}

fn name(text: &str) -> RecordingName {
    text.parse().unwrap()
}

fn stored(epoch: u64, points: usize, create_unix_ms: i64) -> Checkpoint {
    Checkpoint { create_unix_ms, ..(*checkpoint(epoch, points, false)).clone() }
}

/// Returns the offsets of the known points.
fn known(recent: &RecentPoints, name: &RecordingName, stored: &Checkpoint, from: u64) -> Vec<u64> {
    recent.rows(name, stored, from).iter().map(|row| row.x as u64).collect()
}

#[test]
fn the_last_points_of_a_recording_are_known() {
    let (recent, walk) = (RecentPoints::default(), name("paths/walk"));
    let now = stored(1, 2000, 7);
    recent.add(&walk, &now, points(0..3));
    recent.add(&walk, &now, points(5..6));
    recent.add(&walk, &now, points(0..0));
    assert_eq!(known(&recent, &walk, &now, 0), [0, 1, 2, 5]);
    assert_eq!(known(&recent, &walk, &now, 2), [2, 5], "those that a watcher does not have");
    // Another store, or a standby, has less.
    assert_eq!(known(&recent, &walk, &stored(1, 2, 7), 0), [0, 1]);
    recent.add(&walk, &now, points(6..2000));
    let last = 2000 - POINTS_MAX as u64..2000;
    assert_eq!(known(&recent, &walk, &now, 0), last.collect::<Vec<_>>());
    assert_eq!(known(&recent, &name("paths/other"), &now, 0), [0_u64; 0]);
}

#[test]
fn points_that_are_sent_again_are_known_once() {
    let (recent, walk) = (RecentPoints::default(), name("paths/walk"));
    recent.add(&walk, &stored(1, 5, 7), points(0..5));
    // A failover lost the last three points.
    recent.add(&walk, &stored(2, 4, 7), points(2..4));
    assert_eq!(known(&recent, &walk, &stored(2, 4, 7), 0), [0, 1, 2, 3]);
}

#[test]
fn a_new_recording_with_the_name_of_a_deleted_one_has_none_of_its_points() {
    let (recent, walk) = (RecentPoints::default(), name("paths/walk"));
    recent.add(&walk, &stored(3, 5, 7), points(0..5));
    // Another server has deleted it, and this one does not know.
    assert_eq!(known(&recent, &walk, &stored(4, 5, 8), 0), [0_u64; 0]);
    recent.add(&walk, &stored(4, 5, 8), points(0..1));
    assert_eq!(known(&recent, &walk, &stored(4, 5, 8), 0), [0]);
    // A late report of the removal.
    recent.remove(&walk, 3);
    assert_eq!(known(&recent, &walk, &stored(4, 5, 8), 0), [0]);
    recent.remove(&walk, 4);
    assert_eq!(known(&recent, &walk, &stored(4, 5, 8), 0), [0_u64; 0]);
    let state = recent.state();
    assert_eq!((state.bytes, state.namespaces.len()), (0, 0));
}

#[test]
fn the_memory_has_a_limit_and_a_small_namespace_keeps_its_points() {
    let recent = RecentPoints { bytes_max: 1 << 20, ..RecentPoints::default() };
    let now = stored(1, 600, 7);
    let small = name("namespaces/small/paths/a");
    recent.add(&small, &now, points(0..POINTS_MAX as u64));
    let large = |number: u64| name(&format!("namespaces/large/paths/{number}"));
    for number in 0..300 {
        recent.add(&large(number), &now, points(0..POINTS_MAX as u64));
        let state = recent.state();
        assert!(state.bytes <= 1 << 20, "{} bytes", state.bytes);
        let sum: usize = state.namespaces.values().map(|namespace| namespace.bytes).sum();
        assert_eq!(sum, state.bytes);
        for namespace in state.namespaces.values() {
            assert_eq!(namespace.by_change.len(), namespace.recordings.len());
        }
    }
    assert_eq!(known(&recent, &small, &now, 0).len(), POINTS_MAX);
    assert_eq!(known(&recent, &large(299), &now, 0).len(), POINTS_MAX, "the newest");
    assert_eq!(known(&recent, &large(0), &now, 0), [0_u64; 0], "the oldest");
}
