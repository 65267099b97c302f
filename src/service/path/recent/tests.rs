//! Tests of the recent points of all recordings.

use std::ops::Range;

use super::*;
use crate::measure::Point;
use crate::service::memory_budget::Unlimited;
use crate::service::path::testing::checkpoint;

fn points(offsets: Range<u64>) -> impl Iterator<Item = RecentPoint> {
    offsets.map(|offset| {
        let fix = Fix::new(Point::planar(offset as f64, 0.0).unwrap());
        RecentPoint { offset, fix }
    })
}

fn recent_points() -> RecentPoints {
    let unlimited: Arc<dyn MemoryBudget> = Arc::new(Unlimited);
    RecentPoints::new(&unlimited)
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
    let (recent, walk) = (recent_points(), name("paths/walk"));
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
    let (recent, walk) = (recent_points(), name("paths/walk"));
    recent.add(&walk, &stored(1, 5, 7), points(0..5));
    // A failover lost the last three points.
    recent.add(&walk, &stored(2, 4, 7), points(2..4));
    assert_eq!(known(&recent, &walk, &stored(2, 4, 7), 0), [0, 1, 2, 3]);
}

#[test]
fn a_new_recording_with_the_name_of_a_deleted_one_has_none_of_its_points() {
    let (recent, walk) = (recent_points(), name("paths/walk"));
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
    assert_eq!((state.known.bytes(), state.known.check()), (0, (0, 0)));
}

#[test]
fn the_memory_has_a_limit_and_a_small_namespace_keeps_its_points() {
    let recent = RecentPoints { bytes_max: 1 << 20, ..recent_points() };
    let now = stored(1, 600, 7);
    let small = name("namespaces/small/paths/a");
    recent.add(&small, &now, points(0..POINTS_MAX as u64));
    let large = |number: u64| name(&format!("namespaces/large/paths/{number}"));
    for number in 0..300 {
        recent.add(&large(number), &now, points(0..POINTS_MAX as u64));
        let state = recent.state();
        assert!(state.known.bytes() <= 1 << 20, "{} bytes", state.known.bytes());
        state.known.check();
    }
    assert_eq!(known(&recent, &small, &now, 0).len(), POINTS_MAX);
    assert_eq!(known(&recent, &large(299), &now, 0).len(), POINTS_MAX, "the newest");
    assert_eq!(known(&recent, &large(0), &now, 0), [0_u64; 0], "the oldest");
}

#[test]
fn a_writer_forgets_points_that_the_store_has_lost() {
    let (recent, walk) = (recent_points(), name("paths/walk"));
    recent.add(&walk, &stored(1, 5, 7), points(0..5));
    recent.opened(&walk, &stored(2, 5, 7));
    assert_eq!(known(&recent, &walk, &stored(2, 5, 7), 0), [0, 1, 2, 3, 4]);
    // A failover has lost the last two. Only some points are samples.
    recent.opened(&walk, &stored(3, 3, 7));
    recent.add(&walk, &stored(3, 6, 7), points(5..6));
    assert_eq!(known(&recent, &walk, &stored(3, 6, 7), 0), [0, 1, 2, 5]);
    recent.opened(&walk, &stored(4, 0, 7));
    recent.opened(&name("paths/other"), &stored(4, 0, 7));
    assert_eq!(recent.state().known.check(), (0, 0));
}

/// The work of a call that makes space depends neither on the number of namespaces nor on that of all recordings.
#[test]
fn a_call_removes_few_recordings_with_few_lookups_of_namespaces() {
    let recent = RecentPoints { bytes_max: 1 << 20, ..recent_points() };
    let now = stored(1, 600, 7);
    let add = |name: String, count: u64| {
        recent.state().known.lookups.set(0);
        recent.add(&self::name(&name), &now, points(0..count));
        recent.state().known.lookups.get()
    };
    for number in 0..300 {
        add(format!("namespaces/n{number}/paths/a"), 1);
    }
    for number in 0..2000 {
        add(format!("namespaces/large/paths/small{number}"), 1);
    }
    let (namespaces, mut before) = recent.state().known.check();
    assert!(namespaces == 301 && before > 1000, "{before} of {namespaces}");
    let most_removed = (POINTS_MAX * size_of::<RecentPoint>()).div_ceil(ENTRY_BYTES) + 1;
    for number in 0..9 {
        let lookups = add(format!("namespaces/large/paths/{number}"), POINTS_MAX as u64);
        let (namespaces, after) = recent.state().known.check();
        assert_eq!(namespaces, 301);
        let removed = before + 1 - after;
        assert!((1..=most_removed).contains(&removed), "{removed}");
        assert!(lookups <= 2 * removed + 2, "{lookups} for {removed}");
        before = after;
    }
}
