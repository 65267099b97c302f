//! A test suite for implementations of [`CheckpointStore`]. Call [`check_store`] with an empty store, and
//! [`check_maximum`] with an empty store that has a maximum number of recordings.
//!
//! Available with the feature `store-contract`, so that other crates can test their stores.

#![allow(clippy::unwrap_used, reason = "only tests call this suite")]

mod namespaces;
mod pages;

use std::sync::Arc;

use futures::future::join_all;

use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};

use crate::recording::{
    Abandoned, Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, OpenRequest,
    RecordingName, Removed, SWEEP_STEP, StoreError, Sweep,
};

/// Runs all tests except those of a maximum. The store must be empty, and is empty afterwards.
///
/// # Panics
/// If the store does not keep the contract.
pub async fn check_store(store: &dyn CheckpointStore) {
    assert_eq!(
        store.list(ListQuery::all(), 1).await,
        Ok(Vec::new()),
        "the store is not empty at the start"
    );
    a_recording_is_created_and_continued(store).await;
    a_stale_writer_is_fenced(store).await;
    a_commit_continues_from_its_offset(store).await;
    a_finished_recording_is_final(store).await;
    other_options_change_nothing(store).await;
    a_missing_recording_is_not_found(store).await;
    the_writer_of_a_deleted_recording_stays_fenced(store).await;
    pages::are_ordered_and_complete(store).await;
    only_expired_recordings_are_removed(store).await;
    a_removal_returns_the_epoch_that_it_removed(store).await;
    a_sweep_checks_every_recording_in_steps(store).await;
    a_sweep_removes_only_abandoned_recordings(store).await;
    the_last_of_many_openers_writes(store).await;
    one_of_many_commits_from_one_offset_succeeds(store).await;
    many_recordings_do_not_mix(store).await;
    namespaces::check(store).await;
    assert_eq!(
        store.list(ListQuery::all(), 1).await,
        Ok(Vec::new()),
        "the store is not empty at the end"
    );
}

/// Runs the tests of a store with a maximum of `max_recordings` recordings, at least 1. The store must be empty, and is
/// empty afterwards.
///
/// # Panics
/// If the store does not keep the contract.
pub async fn check_maximum(store: &dyn CheckpointStore, max_recordings: usize) {
    let ids: Vec<_> = (0..max_recordings).map(|i| format!("held-{i}")).collect();
    let mut held = Vec::new();
    for id in &ids {
        held.push(create(store, id).await);
    }
    let error = store.open(name("more"), request()).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert_eq!(store.load(name("more")).await, Ok(None));
    // Stored recordings can be written and opened.
    commit(store, &ids[0], &held[0], &grown(&held[0], 2)).await.unwrap();
    create(store, &ids[0]).await;
    // An expired recording is replaced.
    let later = OpenRequest { now_unix_ms: 9_001, expire_unix_ms: 20_000, ..request() };
    let last = &ids[max_recordings - 1];
    let replaced = store.open(name(last), later).await.unwrap();
    assert_eq!(replaced.create_unix_ms, 9_001);
    // Deleting and sweeping make space.
    clear(store, last).await;
    create(store, "more").await;
    assert!(matches!(store.open(name("again"), request()).await, Err(StoreError::Full(_))));
    assert_eq!(expire(store, 9_001).await.len(), max_recordings);
    create(store, "again").await;
    clear(store, "again").await;
}

fn name(id: &str) -> RecordingName {
    format!("paths/{id}").parse().unwrap()
}

fn request() -> OpenRequest {
    let options = Some(Options::new(Metric::Planar));
    OpenRequest { options, now_unix_ms: 1_000, expire_unix_ms: 9_000, max_in_namespace: None }
}

fn precondition(checkpoint: &Checkpoint) -> CommitPrecondition {
    CommitPrecondition { epoch: checkpoint.epoch, committed_points: checkpoint.committed_points() }
}

/// Returns the checkpoint with `count` more points.
fn grown(checkpoint: &Checkpoint, count: u32) -> Checkpoint {
    let mut next = checkpoint.clone();
    let fixes = (0..count).map(|i| Fix::new(Point::planar(f64::from(i), 0.1).unwrap()));
    next.accumulator.extend(&fixes.collect::<Vec<_>>()).unwrap();
    next.update_unix_ms += 1;
    next.expire_unix_ms += 1;
    next
}

fn finished(checkpoint: &Checkpoint) -> Checkpoint {
    Checkpoint { complete: true, ..checkpoint.clone() }
}

async fn create(store: &dyn CheckpointStore, id: &str) -> Checkpoint {
    store.open(name(id), request()).await.unwrap()
}

async fn commit(
    store: &dyn CheckpointStore,
    id: &str,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<(), StoreError> {
    store.commit(name(id), precondition(from), to.clone()).await
}

async fn assert_stored(store: &dyn CheckpointStore, id: &str, expected: &Checkpoint) {
    assert_eq!(store.load(name(id)).await.unwrap().as_ref(), Some(expected), "{id}");
}

async fn clear(store: &dyn CheckpointStore, id: &str) {
    let deleted = store.delete(name(id)).await.unwrap();
    assert!(deleted.is_some(), "{id} did not exist");
    assert_eq!(store.load(name(id)).await, Ok(None), "{id} still exists");
}

/// Removes expired recordings in steps, and returns their names in order.
async fn expire(store: &dyn CheckpointStore, now_unix_ms: i64) -> Vec<RecordingName> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let swept = store.sweep(Sweep::expired(now_unix_ms), after).await.unwrap();
        names.extend(swept.removed.into_iter().map(|removed| removed.name));
        after = swept.next;
        if after.is_none() {
            names.sort();
            return names;
        }
    }
}

async fn a_recording_is_created_and_continued(store: &dyn CheckpointStore) {
    let first = create(store, "created").await;
    let expected = Checkpoint {
        epoch: first.epoch,
        complete: false,
        accumulator: PathAccumulator::new(Options::new(Metric::Planar)),
        create_unix_ms: 1_000,
        update_unix_ms: 1_000,
        expire_unix_ms: 9_000,
    };
    assert_eq!(first, expected);
    assert_stored(store, "created", &first).await;

    let next = grown(&first, 1_000);
    commit(store, "created", &first, &next).await.unwrap();
    assert_stored(store, "created", &next).await;

    // The second writer continues with the options of the first, and postpones the expiry.
    let later = OpenRequest {
        options: None,
        now_unix_ms: 8_000,
        expire_unix_ms: 16_000,
        max_in_namespace: None,
    };
    let again = store.open(name("created"), later).await.unwrap();
    assert!(again.epoch > first.epoch, "{} after {}", again.epoch, first.epoch);
    assert_eq!(again, Checkpoint { epoch: again.epoch, expire_unix_ms: 16_000, ..next });
    assert_stored(store, "created", &again).await;
    let sooner = store.open(name("created"), request()).await.unwrap();
    assert_eq!(sooner.expire_unix_ms, 16_000, "opening never makes a recording expire earlier");
    clear(store, "created").await;

    let request = OpenRequest { options: None, ..request() };
    let by_default = store.open(name("created"), request).await.unwrap();
    assert_eq!(*by_default.accumulator.options(), Options::default());
    clear(store, "created").await;
}

async fn a_stale_writer_is_fenced(store: &dyn CheckpointStore) {
    let stale = create(store, "stale").await;
    let writer = create(store, "stale").await;
    let fenced = Err(StoreError::Fenced { epoch: writer.epoch });
    assert_eq!(commit(store, "stale", &stale, &grown(&stale, 1)).await, fenced);
    assert_eq!(commit(store, "stale", &stale, &finished(&stale)).await, fenced);
    assert_stored(store, "stale", &writer).await;

    // A late commit with the right offset and the wrong epoch.
    let next = grown(&writer, 2);
    commit(store, "stale", &writer, &next).await.unwrap();
    let late = Checkpoint { epoch: stale.epoch, ..next.clone() };
    assert_eq!(commit(store, "stale", &late, &grown(&late, 1)).await, fenced);
    // A commit with the right precondition whose checkpoint has the old epoch.
    let old_epoch = Checkpoint { epoch: stale.epoch, ..grown(&next, 1) };
    assert_eq!(commit(store, "stale", &next, &old_epoch).await, fenced);
    // An epoch that was never assigned.
    let ahead = Checkpoint { epoch: writer.epoch + 1, ..next.clone() };
    assert_eq!(commit(store, "stale", &ahead, &grown(&ahead, 1)).await, fenced);
    assert_stored(store, "stale", &next).await;
    clear(store, "stale").await;
}

async fn a_commit_continues_from_its_offset(store: &dyn CheckpointStore) {
    let empty = create(store, "offset").await;
    let two = grown(&empty, 2);
    commit(store, "offset", &empty, &two).await.unwrap();
    let fenced = Err(StoreError::Fenced { epoch: empty.epoch });
    assert_eq!(commit(store, "offset", &empty, &grown(&empty, 5)).await, fenced, "sent twice");
    let four = grown(&two, 2);
    assert_eq!(commit(store, "offset", &four, &grown(&four, 1)).await, fenced, "from ahead");
    assert_eq!(commit(store, "offset", &two, &empty).await, fenced, "back to fewer points");
    assert_stored(store, "offset", &two).await;
    commit(store, "offset", &two, &Checkpoint { update_unix_ms: 7, ..two.clone() }).await.unwrap();
    commit(store, "offset", &two, &four).await.unwrap();
    assert_stored(store, "offset", &four).await;
    clear(store, "offset").await;
}

async fn a_finished_recording_is_final(store: &dyn CheckpointStore) {
    let created = create(store, "finished").await;
    let end = finished(&grown(&created, 3));
    commit(store, "finished", &created, &end).await.unwrap();
    assert_stored(store, "finished", &end).await;

    let later = OpenRequest { expire_unix_ms: 99_000, ..request() };
    assert_eq!(
        store.open(name("finished"), later).await,
        Ok(end.clone()),
        "returned without a change"
    );
    let unfinished = Checkpoint { complete: false, ..end.clone() };
    let fenced = Err(StoreError::Fenced { epoch: end.epoch });
    for next in [grown(&end, 1), end.clone(), unfinished.clone(), grown(&unfinished, 1)] {
        assert_eq!(commit(store, "finished", &end, &next).await, fenced);
    }
    assert_stored(store, "finished", &end).await;
    clear(store, "finished").await;
}

async fn other_options_change_nothing(store: &dyn CheckpointStore) {
    let created = create(store, "options").await;
    let other = Options::builder(Metric::Planar).max_speed(50.0).build().unwrap();
    let other = OpenRequest { options: Some(other), expire_unix_ms: 99_000, ..request() };
    let differ = Err(StoreError::OptionsDiffer);
    assert_eq!(store.open(name("options"), other.clone()).await, differ);
    assert_stored(store, "options", &created).await;
    let end = finished(&created);
    commit(store, "options", &created, &end).await.unwrap();
    assert_eq!(store.open(name("options"), other).await, differ, "also of a finished recording");
    assert_stored(store, "options", &end).await;
    clear(store, "options").await;
}

async fn a_missing_recording_is_not_found(store: &dyn CheckpointStore) {
    let created = create(store, "stored").await;
    assert_eq!(store.load(name("absent")).await, Ok(None));
    assert_eq!(store.delete(name("absent")).await, Ok(None));
    let next = grown(&created, 1);
    assert_eq!(commit(store, "absent", &created, &next).await, Err(StoreError::NotFound));
    assert_eq!(store.load(name("absent")).await, Ok(None), "a commit creates no recording");
    clear(store, "stored").await;
}

async fn the_writer_of_a_deleted_recording_stays_fenced(store: &dyn CheckpointStore) {
    let stale = create(store, "deleted").await;
    clear(store, "deleted").await;
    let next = grown(&stale, 1);
    assert_eq!(commit(store, "deleted", &stale, &next).await, Err(StoreError::NotFound));
    // A recording that is created with the same name is another recording.
    let writer = create(store, "deleted").await;
    assert!(writer.epoch > stale.epoch, "{} was assigned twice", stale.epoch);
    let fenced = Err(StoreError::Fenced { epoch: writer.epoch });
    assert_eq!(commit(store, "deleted", &stale, &next).await, fenced);
    assert_stored(store, "deleted", &writer).await;
    // The same holds for an expired recording.
    assert_eq!(expire(store, 9_000).await, [name("deleted")]);
    let third = create(store, "deleted").await;
    assert!(third.epoch > writer.epoch);
    clear(store, "deleted").await;
}

async fn only_expired_recordings_are_removed(store: &dyn CheckpointStore) {
    for (id, expire_unix_ms) in [("long", i64::MAX), ("second", 11), ("first", 10), ("old", -5)] {
        store.open(name(id), OpenRequest { expire_unix_ms, ..request() }).await.unwrap();
    }
    // A finished recording expires, too.
    let end = finished(&store.load(name("first")).await.unwrap().unwrap());
    commit(store, "first", &Checkpoint { complete: false, ..end.clone() }, &end).await.unwrap();
    assert_eq!(expire(store, -6).await, []);
    assert_eq!(expire(store, 10).await, [name("first"), name("old")]);
    assert_eq!(store.load(name("first")).await, Ok(None));
    // A commit postpones the expiry.
    let second = store.load(name("second")).await.unwrap().unwrap();
    commit(store, "second", &second, &grown(&second, 1)).await.unwrap();
    assert_eq!(expire(store, 11).await, []);
    assert_eq!(expire(store, 12).await, [name("second")]);
    clear(store, "long").await;
}

async fn a_removal_returns_the_epoch_that_it_removed(store: &dyn CheckpointStore) {
    create(store, "removed").await;
    let second = create(store, "removed").await;
    assert_eq!(store.delete(name("removed")).await, Ok(Some(second.epoch)));
    let third = create(store, "removed").await;
    assert!(third.epoch > second.epoch);
    let swept = store.sweep(Sweep::expired(9_000), None).await.unwrap();
    assert_eq!(swept.removed, [Removed { name: name("removed"), epoch: third.epoch }]);
    assert_eq!(swept.next, None, "a step that checks all recordings is the last one");
}

async fn a_sweep_checks_every_recording_in_steps(store: &dyn CheckpointStore) {
    let count = 3 * SWEEP_STEP + 1;
    let names: Vec<_> = (0..count).map(|i| name(&format!("sweep-{i:05}"))).collect();
    // Every third recording expires.
    let requests = names.iter().zip(0..).map(|(name, i)| {
        let expire_unix_ms = if i % 3 == 0 { 10 } else { 20 };
        store.open(name.clone(), OpenRequest { now_unix_ms: 0, expire_unix_ms, ..request() })
    });
    assert!(join_all(requests).await.into_iter().all(|opened| opened.is_ok()));
    let first = store.sweep(Sweep::expired(10), None).await.unwrap();
    assert!(first.removed.len() <= SWEEP_STEP, "{} removed at once", first.removed.len());
    assert!(first.next.is_some(), "the step is not the last one");
    // The rest: a sweep can start after a name that was removed.
    let expired = |i: &usize| i.is_multiple_of(3);
    let mut removed = expire(store, 10).await;
    removed.extend(first.removed.into_iter().map(|removed| removed.name));
    removed.sort();
    let expected = (0..count).filter(expired).map(|i| names[i].clone());
    assert_eq!(removed, expected.collect::<Vec<_>>());
    assert_eq!(expire(store, 20).await.len(), count - (0..count).filter(expired).count());
}

async fn a_sweep_removes_only_abandoned_recordings(store: &dyn CheckpointStore) {
    // The columns are the ID, the number of points, whether it is finished, and the time of the last change.
    for (id, points, complete, update_unix_ms) in [
        ("abandoned", 10, false, 100),
        ("empty", 0, false, 99),
        ("finished", 10, true, 100),
        ("large", 11, false, 100),
        ("recent", 10, false, 101),
        ("written", 10, false, 100),
    ] {
        let now = OpenRequest { now_unix_ms: update_unix_ms, ..request() };
        let created = store.open(name(id), now).await.unwrap();
        let next = Checkpoint { complete, update_unix_ms, ..grown(&created, points) };
        commit(store, id, &created, &next).await.unwrap();
    }
    let written = name("written");
    let abandoned = Abandoned {
        namespace: None,
        update_unix_ms: 100,
        points_max: 10,
        removals_max: 1,
        has_writer: Arc::new(move |name| *name == written),
    };
    let sweep = Sweep { now_unix_ms: 0, abandoned: Some(abandoned) };
    let (mut removed, mut after) = (Vec::new(), None);
    loop {
        let swept = store.sweep(sweep.clone(), after).await.unwrap();
        assert!(swept.removed.len() <= 1, "the step ends after one selected recording");
        removed.extend(swept.removed.into_iter().map(|removed| removed.name));
        after = swept.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(removed, [name("abandoned"), name("empty")]);
    for id in ["finished", "large", "recent", "written"] {
        clear(store, id).await;
    }
}

async fn the_last_of_many_openers_writes(store: &dyn CheckpointStore) {
    let opened = join_all((0..16).map(|_| store.open(name("race"), request()))).await;
    let mut opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    opened.sort_by_key(|checkpoint| checkpoint.epoch);
    assert!(opened.is_sorted_by(|a, b| a.epoch < b.epoch), "an epoch was assigned twice");
    let last = opened.last().unwrap().clone();
    assert_stored(store, "race", &last).await;
    let steps: Vec<_> =
        (1..).zip(&opened).map(|(count, from)| (from, grown(from, count))).collect();
    let commits = steps.iter().map(|(from, next)| commit(store, "race", from, next));
    for ((from, _), outcome) in steps.iter().zip(join_all(commits).await) {
        let fenced = Err(StoreError::Fenced { epoch: last.epoch });
        assert_eq!(outcome, if **from == last { Ok(()) } else { fenced });
    }
    assert_stored(store, "race", &steps[15].1).await;
    clear(store, "race").await;
}

async fn one_of_many_commits_from_one_offset_succeeds(store: &dyn CheckpointStore) {
    let created = create(store, "commits").await;
    let nexts: Vec<_> = (1..=16).map(|count| grown(&created, count)).collect();
    let commits = nexts.iter().map(|next| commit(store, "commits", &created, next));
    let outcomes = join_all(commits).await;
    let done: Vec<_> = outcomes.iter().zip(&nexts).filter(|(outcome, _)| outcome.is_ok()).collect();
    assert_eq!(done.len(), 1, "{outcomes:?}");
    assert_stored(store, "commits", done[0].1).await;
    clear(store, "commits").await;
}

async fn many_recordings_do_not_mix(store: &dyn CheckpointStore) {
    let ids: Vec<_> = (0..200).map(|i| format!("many-{i}")).collect();
    let opened = join_all(ids.iter().map(|id| store.open(name(id), request()))).await;
    let created: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let ends: Vec<_> = (1..).zip(&created).map(|(count, created)| grown(created, count)).collect();
    let steps = ids.iter().zip(created.iter().zip(&ends));
    let commits = steps.map(|(id, (created, end))| commit(store, id, created, end));
    assert!(join_all(commits).await.into_iter().all(|outcome| outcome.is_ok()));
    for (id, end) in ids.iter().zip(&ends) {
        assert_stored(store, id, end).await;
    }
    let names = expire(store, 9_001).await;
    let mut expected: Vec<_> = ids.iter().map(|id| name(id)).collect();
    expected.sort();
    assert_eq!(names, expected);
}
