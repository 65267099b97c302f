//! Tests of single rules, and a model of a store for all tests of recordings.

mod histories;
mod offsets;

use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};

const POINTS: u64 = 60;
const POLICY: CheckpointPolicy = CheckpointPolicy {
    interval: Duration::from_millis(1_000),
    points: 20,
    retention: Duration::from_millis(100_000),
};

/// The accumulators by number of points.
static PREFIXES: LazyLock<Vec<PathAccumulator>> =
    LazyLock::new(|| (0..=POINTS).map(folded).collect());

fn fix(index: u64) -> Fix {
    let x = index as f64;
    Fix::new(Point::planar((x * 0.7).sin() * x, (x * 1.3).cos() / (x + 0.1)).unwrap())
}

fn folded(count: u64) -> PathAccumulator {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
    accumulator.extend(&(0..count).map(fix).collect::<Vec<_>>()).unwrap();
    accumulator
}

/// A store of one recording, and the commits that have not reached it yet.
#[derive(Default)]
struct Model {
    epoch: u64,
    stored: Option<Checkpoint>,
    late: Vec<Commit>,
}

impl Model {
    fn open(&mut self, now: i64) -> Checkpoint {
        let stored = self.stored.get_or_insert_with(|| Checkpoint {
            epoch: 0,
            complete: false,
            accumulator: folded(0),
            create_unix_ms: now,
            update_unix_ms: now,
            expire_unix_ms: now,
        });
        if !stored.complete {
            self.epoch += 1;
            stored.epoch = self.epoch;
        }
        stored.clone()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let stored = self.stored.as_mut().ok_or(StoreError::NotFound)?;
        let precondition =
            CommitPrecondition { epoch: stored.epoch, committed_points: stored.committed_points() };
        if stored.complete || precondition != commit.precondition {
            return Err(StoreError::Fenced { epoch: stored.epoch });
        }
        assert!(commit.checkpoint.committed_points() >= precondition.committed_points);
        assert_eq!(commit.checkpoint.epoch, precondition.epoch);
        *stored = commit.checkpoint.clone();
        Ok(())
    }
}

fn resumed(store: &mut Model, now: i64) -> Recording {
    Recording::resume(store.open(now), POLICY)
}

/// Sends a message and returns how many of its points were skipped.
fn send(
    recording: &mut Recording,
    offset: impl Into<Option<u64>>,
    count: u64,
    now: i64,
) -> Result<u64, RecordingError> {
    let Admitted { start, skip } = recording.admit(offset.into(), count)?;
    let fixes: Vec<_> = (start + skip..start + count).map(fix).collect();
    recording.accumulator_mut().extend(&fixes).unwrap();
    recording.folded(now);
    Ok(skip)
}

fn unknown() -> StoreError {
    StoreError::Unknown("timed out".into())
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("disk full".into())
}

#[test]
fn a_finished_recording_accepts_no_points_after_its_end() {
    let (mut store, now) = (Model::default(), 5);
    let mut recording = resumed(&mut store, now);
    send(&mut recording, 0, 10, now).unwrap();
    recording.end_here().unwrap();
    assert!(recording.has_end());
    let ended = recording.clone();
    // If the stream is lost now, the path stays open.
    assert!(!recording.clone().next_commit(now, true).unwrap().checkpoint.complete);
    recording.finish();
    let ending = recording.clone();
    store.commit(&recording.next_commit(now, false).unwrap()).unwrap();
    recording.committed();
    assert!(recording.is_complete() && recording.is_settled());
    assert_eq!(recording.next_commit(now, true), None);
    let again = resumed(&mut store, now);
    assert!(again.is_complete() && again.is_settled());
    // It is not finished before the store has confirmed the commit.
    let after_end = RecordingError::AfterEnd { point_count: 10, got: 11, committed_points: 0 };
    let past_end = RecordingError::PastEnd { point_count: 10, got: 11, committed_points: 10 };
    for (recording, error) in [(&ended, after_end), (&ending, after_end), (&recording, past_end)] {
        let mut recording = recording.clone();
        assert_eq!(recording.admit(None, 0), Ok(Admitted { start: 10, skip: 0 }));
        assert_eq!(recording.admit(None, 1), Err(error));
        assert_eq!(recording.admit(Some(10), 1), Err(error));
        assert_eq!(recording.end_here(), Ok(()));
    }
    for start in [5, 10, 11] {
        let got = start + 6;
        let past_end = RecordingError::PastEnd { point_count: 10, got, committed_points: 10 };
        assert_eq!(again.clone().admit(Some(start), 6), Err(past_end));
    }
    // All points of the path are sent again, and all are skipped.
    let mut whole = again.clone();
    assert_eq!(whole.admit(Some(0), 4), Ok(Admitted { start: 0, skip: 4 }));
    assert_eq!(whole.admit(None, 6), Ok(Admitted { start: 4, skip: 6 }));
    assert_eq!((whole.end_here(), whole.skipped_points()), (Ok(()), 10));
    insta::assert_snapshot!(
        past_end,
        @"the message ends at point 11, but the path is finished with 10 points"
    );
    insta::assert_snapshot!(
        after_end,
        @"the message ends at point 11, but an earlier message ended the path with 10 points by finish_write; set finish_write in the last message only"
    );
    assert_eq!(*again.accumulator(), folded(10));
}

#[test]
fn a_commit_is_due_by_time_by_points_and_at_the_end() {
    let mut recording = resumed(&mut Model::default(), 0);
    assert_eq!((recording.due_at(), recording.next_commit(9_999, true)), (None, None));
    send(&mut recording, 0, 1, 100).unwrap();
    send(&mut recording, 1, 1, 900).unwrap();
    assert_eq!(recording.due_at(), Some(1_100));
    assert_eq!(recording.next_commit(1_099, false), None);
    let commit = recording.next_commit(1_100, false).unwrap();
    assert_eq!(commit.precondition, CommitPrecondition { epoch: 1, committed_points: 0 });
    assert_eq!(commit.checkpoint.accumulator, folded(2));
    assert_eq!(
        (commit.checkpoint.update_unix_ms, commit.checkpoint.expire_unix_ms),
        (1_100, 101_100)
    );

    // Points that are folded during a commit are due later, counted from when they were folded.
    send(&mut recording, 2, 1, 1_500).unwrap();
    assert_eq!((recording.due_at(), recording.next_commit(9_999, true)), (None, None));
    assert_eq!(recording.committed_points(), 0);
    recording.committed();
    assert_eq!((recording.committed_points(), recording.due_at()), (2, Some(2_500)));

    send(&mut recording, 3, 19, 1_600).unwrap();
    let commit = recording.next_commit(1_600, false).unwrap();
    assert_eq!(commit.precondition, CommitPrecondition { epoch: 1, committed_points: 2 });
    recording.committed();
    assert!(recording.is_settled() && !recording.is_complete());

    recording.finish();
    assert!(!recording.is_settled());
    assert!(recording.next_commit(1_600, false).unwrap().checkpoint.complete);
}

#[test]
fn a_writer_without_new_points_detects_a_newer_writer() {
    let mut store = Model::default();
    let mut recording = resumed(&mut store, 0);
    send(&mut recording, 0, 1, 0).unwrap();
    assert_eq!(recording.verify(), None, "the commit detects a newer writer");
    store.commit(&recording.next_commit(0, true).unwrap()).unwrap();
    assert_eq!(recording.verify(), None, "a commit is pending");
    recording.committed();
    assert_eq!(recording.verify(), Some(NextStep::Load));
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 1), NextStep::Continue);
    assert!(recording.is_settled() && !recording.is_over());
    store.open(2);
    assert_eq!(recording.verify(), Some(NextStep::Load));
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 2), NextStep::Fenced { epoch: 2 });
    assert!(recording.is_over());
    assert_eq!(recording.verify(), None);
}

#[test]
fn the_pause_before_a_retry_does_not_grow_with_the_interval() {
    let hour = CheckpointPolicy { interval: Duration::from_secs(3600), ..POLICY };
    let mut recording = Recording::resume(Model::default().open(0), hour);
    send(&mut recording, 0, 30, 0).unwrap();
    let _ = recording.next_commit(0, false).unwrap();
    assert_eq!(recording.refused(unavailable(), 50), NextStep::Continue);
    assert_eq!(recording.due_at(), Some(1_050));
    assert!(recording.next_commit(1_050, false).is_some());
}

#[test]
fn a_fast_stream_is_committed_fifty_times_a_second() {
    let mut recording = resumed(&mut Model::default(), 0);
    send(&mut recording, 0, 20, 100).unwrap();
    assert!(recording.next_commit(100, false).is_some(), "at once");
    send(&mut recording, 20, 20, 101).unwrap();
    recording.committed();
    assert_eq!((recording.due_at(), recording.next_commit(119, false)), (Some(120), None));
    assert!(recording.next_commit(120, false).is_some());
}

#[test]
fn a_clock_that_goes_back_makes_a_commit_due() {
    let mut recording = resumed(&mut Model::default(), 0);
    send(&mut recording, 0, 1, 1_000_000).unwrap();
    let commit = recording.next_commit(10, false).unwrap();
    assert_eq!(commit.checkpoint.update_unix_ms, 10);
    recording.committed();
    send(&mut recording, 1, 1, 5).unwrap();
    let commit = recording.next_commit(6, true).unwrap();
    assert_eq!(commit.checkpoint.update_unix_ms, 10, "the time of the last change never goes back");
    assert_eq!(commit.checkpoint.expire_unix_ms, 100_010);
}

#[test]
fn a_commit_is_tried_again_after_a_pause_if_the_store_was_not_available() {
    let mut recording = resumed(&mut Model::default(), 0);
    send(&mut recording, 0, 30, 0).unwrap();
    let first = recording.next_commit(0, false).unwrap();
    assert_eq!(recording.refused(unavailable(), 50), NextStep::Continue);
    assert_eq!(recording.due_at(), Some(1_050));
    assert_eq!(recording.next_commit(1_049, false), None, "the number of points does not matter");
    send(&mut recording, 30, 1, 1_000).unwrap();
    let second = recording.next_commit(1_050, false).unwrap();
    assert_eq!(second.precondition, first.precondition);
    assert_eq!(second.checkpoint.accumulator, folded(31));
    assert_eq!(recording.refused(unavailable(), 1_060), NextStep::Continue);
    assert!(recording.next_commit(1_060, true).is_some(), "the commit is forced");
}

#[test]
fn the_checkpoint_is_loaded_after_an_unknown_result() {
    let mut store = Model::default();
    let mut recording = resumed(&mut store, 0);
    send(&mut recording, 0, 5, 0).unwrap();
    let commit = recording.next_commit(0, true).unwrap();
    assert_eq!(recording.refused(unknown(), 0), NextStep::Load);
    send(&mut recording, 5, 1, 0).unwrap();
    assert_eq!((recording.next_commit(9_999, true), recording.due_at()), (None, None));
    assert!(recording.is_committing());
    assert_eq!(recording.reconcile(Err(unavailable()), 0), NextStep::Load);

    // The commit was not carried out, or not yet.
    let mut pending = recording.clone();
    assert_eq!(pending.reconcile(Ok(store.stored.clone()), 10), NextStep::Continue);
    assert_eq!((pending.committed_points(), pending.due_at()), (0, Some(1_010)));
    let again = pending.next_commit(1_010, false).unwrap();
    assert_eq!(again.precondition, commit.precondition);

    // The commit was carried out.
    store.commit(&commit).unwrap();
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 10), NextStep::Continue);
    assert_eq!(recording.committed_points(), 5);
    assert_eq!(recording.next_commit(1_010, false).unwrap().precondition.committed_points, 5);

    // The first commit was carried out before the second.
    let refusal = store.commit(&again).unwrap_err();
    assert_eq!(pending.refused(refusal, 1_020), NextStep::Load);
    assert_eq!(pending.reconcile(Ok(store.stored.clone()), 1_020), NextStep::Continue);
    assert_eq!(pending.committed_points(), 5);
    store.commit(&pending.next_commit(1_020, true).unwrap()).unwrap();
    pending.committed();
    assert!(pending.is_settled());
}

#[test]
fn a_writer_that_has_ended_commits_nothing() {
    let mut store = Model::default();
    let mut stale = resumed(&mut store, 0);
    send(&mut stale, 0, 5, 0).unwrap();
    let commit = stale.next_commit(0, true).unwrap();
    let mut uncertain = stale.clone();
    let writer = resumed(&mut store, 0);
    let refusal = store.commit(&commit).unwrap_err();
    assert_eq!(stale.refused(refusal, 0), NextStep::Fenced { epoch: writer.epoch() });
    assert_eq!((stale.next_commit(9_999, true), stale.due_at()), (None, None));

    assert_eq!(uncertain.refused(unknown(), 0), NextStep::Load);
    let (mut gone, mut lost, mut other_points) =
        (uncertain.clone(), uncertain.clone(), uncertain.clone());
    let fenced = NextStep::Fenced { epoch: writer.epoch() };
    assert_eq!(uncertain.reconcile(Ok(store.stored.clone()), 0), fenced);
    assert_eq!(gone.reconcile(Ok(None), 0), NextStep::Gone);
    let damaged = StoreError::Damaged("a bit is wrong".into());
    assert_eq!(lost.reconcile(Err(damaged.clone()), 0), NextStep::Lost(damaged));
    let other = Checkpoint { epoch: 1, accumulator: folded(6), ..store.stored.clone().unwrap() };
    assert!(matches!(
        other_points.reconcile(Ok(Some(other)), 0),
        NextStep::Lost(StoreError::Damaged(_))
    ));
    let (mut older_epoch, mut fewer_points) = (writer.clone(), writer);
    let gone_back = |step| matches!(step, NextStep::Lost(StoreError::Unavailable(_)));
    let refusal = StoreError::Fenced { epoch: 1 };
    send(&mut older_epoch, 0, 5, 0).unwrap();
    older_epoch.next_commit(0, true).unwrap();
    assert!(gone_back(older_epoch.refused(refusal, 0)));
    send(&mut fewer_points, 0, 5, 0).unwrap();
    store.commit(&fewer_points.next_commit(0, true).unwrap()).unwrap();
    fewer_points.committed();
    let older = Checkpoint { accumulator: folded(4), ..store.stored.clone().unwrap() };
    assert_eq!(fewer_points.verify(), Some(NextStep::Load));
    assert!(gone_back(fewer_points.reconcile(Ok(Some(older)), 0)));
    for mut ended in [uncertain, gone, lost, other_points, older_epoch] {
        assert_eq!((ended.next_commit(9_999, true), ended.is_settled()), (None, false));
    }
}
