//! Each rule of a recording alone, and a model of a store for all tests.

mod histories;
mod offsets;

use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};
use crate::recording::{Checkpoint, CommitPrecondition, StoreError};

const POINTS: u64 = 60;
const PACE: CheckpointPolicy = CheckpointPolicy {
    interval: Duration::from_millis(1_000),
    points: 20,
    retention: Duration::from_millis(100_000),
};

/// What the first so many points come to.
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

/// A store of one recording, and of commits that nobody has heard of yet.
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
    Recording::resume(store.open(now), PACE)
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
fn a_finished_recording_takes_what_it_has_and_nothing_past_its_end() {
    let (mut store, now) = (Model::default(), 5);
    let mut recording = resumed(&mut store, now);
    send(&mut recording, 0, 10, now).unwrap();
    recording.end_here().unwrap();
    assert!(recording.has_end());
    let ended = recording.clone();
    // A stream that is lost now leaves the path open.
    assert!(!recording.clone().next_commit(now, true).unwrap().checkpoint.complete);
    recording.finish();
    let ending = recording.clone();
    store.commit(&recording.next_commit(now, false).unwrap()).unwrap();
    recording.committed();
    assert!(recording.is_complete() && recording.is_settled());
    assert_eq!(recording.next_commit(now, true), None);
    let again = resumed(&mut store, now);
    assert!(again.is_complete() && again.is_settled());
    // It is not finished before the store says so.
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
    // The whole path again: all of it is skipped.
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

    // What is folded meanwhile waits its turn, from when it was folded.
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
fn a_writer_with_nothing_to_commit_can_ask_whether_it_is_still_the_one() {
    let mut store = Model::default();
    let mut recording = resumed(&mut store, 0);
    send(&mut recording, 0, 1, 0).unwrap();
    assert_eq!(recording.verify(), None, "the commit will tell");
    store.commit(&recording.next_commit(0, true).unwrap()).unwrap();
    assert_eq!(recording.verify(), None, "a commit is on its way");
    recording.committed();
    assert_eq!(recording.verify(), Some(NextStep::Load));
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 1), NextStep::GoOn);
    assert!(recording.is_settled() && !recording.is_over());
    store.open(2);
    assert_eq!(recording.verify(), Some(NextStep::Load));
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 2), NextStep::Fenced { epoch: 2 });
    assert!(recording.is_over());
    assert_eq!(recording.verify(), None);
}

#[test]
fn the_pause_before_another_try_does_not_grow_with_the_interval() {
    let hour = CheckpointPolicy { interval: Duration::from_secs(3600), ..PACE };
    let mut recording = Recording::resume(Model::default().open(0), hour);
    send(&mut recording, 0, 30, 0).unwrap();
    let _ = recording.next_commit(0, false).unwrap();
    assert_eq!(recording.refused(unavailable(), 50), NextStep::GoOn);
    assert_eq!(recording.due_at(), Some(1_050));
    assert!(recording.next_commit(1_050, false).is_some());
}

#[test]
fn a_stream_at_full_speed_is_committed_fifty_times_a_second() {
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
    assert_eq!(commit.checkpoint.update_unix_ms, 10, "a recording never gets younger");
    assert_eq!(commit.checkpoint.expire_unix_ms, 100_010);
}

#[test]
fn what_the_store_was_not_available_for_is_tried_again_after_a_pause() {
    let mut recording = resumed(&mut Model::default(), 0);
    send(&mut recording, 0, 30, 0).unwrap();
    let first = recording.next_commit(0, false).unwrap();
    assert_eq!(recording.refused(unavailable(), 50), NextStep::GoOn);
    assert_eq!(recording.due_at(), Some(1_050));
    assert_eq!(recording.next_commit(1_049, false), None, "also with many points");
    send(&mut recording, 30, 1, 1_000).unwrap();
    let second = recording.next_commit(1_050, false).unwrap();
    assert_eq!(second.precondition, first.precondition);
    assert_eq!(second.checkpoint.accumulator, folded(31));
    assert_eq!(recording.refused(unavailable(), 1_060), NextStep::GoOn);
    assert!(recording.next_commit(1_060, true).is_some(), "there is no later time");
}

#[test]
fn an_unknown_outcome_is_looked_up_before_anything_else() {
    let mut store = Model::default();
    let mut recording = resumed(&mut store, 0);
    send(&mut recording, 0, 5, 0).unwrap();
    let commit = recording.next_commit(0, true).unwrap();
    assert_eq!(recording.refused(unknown(), 0), NextStep::Load);
    send(&mut recording, 5, 1, 0).unwrap();
    assert_eq!((recording.next_commit(9_999, true), recording.due_at()), (None, None));
    assert!(recording.is_committing());
    assert_eq!(recording.reconcile(Err(unavailable()), 0), NextStep::Load);

    // It was not done, or not yet.
    let mut undone = recording.clone();
    assert_eq!(undone.reconcile(Ok(store.stored.clone()), 10), NextStep::GoOn);
    assert_eq!((undone.committed_points(), undone.due_at()), (0, Some(1_010)));
    let again = undone.next_commit(1_010, false).unwrap();
    assert_eq!(again.precondition, commit.precondition);

    // It was done.
    store.commit(&commit).unwrap();
    assert_eq!(recording.reconcile(Ok(store.stored.clone()), 10), NextStep::GoOn);
    assert_eq!(recording.committed_points(), 5);
    assert_eq!(recording.next_commit(1_010, false).unwrap().precondition.committed_points, 5);

    // It was done in the end, and has come before the one that was tried again.
    let refusal = store.commit(&again).unwrap_err();
    assert_eq!(undone.refused(refusal, 1_020), NextStep::Load);
    assert_eq!(undone.reconcile(Ok(store.stored.clone()), 1_020), NextStep::GoOn);
    assert_eq!(undone.committed_points(), 5);
    store.commit(&undone.next_commit(1_020, true).unwrap()).unwrap();
    undone.committed();
    assert!(undone.is_settled());
}

#[test]
fn a_writer_that_is_over_commits_no_more() {
    let mut store = Model::default();
    let mut ghost = resumed(&mut store, 0);
    send(&mut ghost, 0, 5, 0).unwrap();
    let commit = ghost.next_commit(0, true).unwrap();
    let mut unsure = ghost.clone();
    let writer = resumed(&mut store, 0);
    let refusal = store.commit(&commit).unwrap_err();
    assert_eq!(ghost.refused(refusal, 0), NextStep::Fenced { epoch: writer.epoch() });
    assert_eq!((ghost.next_commit(9_999, true), ghost.due_at()), (None, None));

    assert_eq!(unsure.refused(unknown(), 0), NextStep::Load);
    let (mut gone, mut lost, mut odd) = (unsure.clone(), unsure.clone(), unsure.clone());
    let fenced = NextStep::Fenced { epoch: writer.epoch() };
    assert_eq!(unsure.reconcile(Ok(store.stored.clone()), 0), fenced);
    assert_eq!(gone.reconcile(Ok(None), 0), NextStep::Gone);
    let damaged = StoreError::Damaged("a bit is wrong".into());
    assert_eq!(lost.reconcile(Err(damaged.clone()), 0), NextStep::Lost(damaged));
    let other = Checkpoint { epoch: 1, accumulator: folded(6), ..store.stored.clone().unwrap() };
    assert!(matches!(odd.reconcile(Ok(Some(other)), 0), NextStep::Lost(StoreError::Damaged(_))));
    for mut over in [unsure, gone, lost, odd] {
        assert_eq!((over.next_commit(9_999, true), over.is_settled()), (None, false));
    }
}
