//! Watchers of a store in memory: the responses to each of them, for any order of the reports.

use std::pin::pin;

use futures::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;

use super::*;
use crate::measure::{Metric, Options};
use crate::recording::CheckpointPolicy;
use crate::recording::{CommitPrecondition, OpenRequest, RecordingName};
use crate::service::path::testing::{self, accumulator};
use crate::store::MemoryStore;

fn name() -> RecordingName {
    "paths/walk".parse().unwrap()
}

fn shared() -> Arc<Shared> {
    Arc::new(testing::shared(Arc::new(MemoryStore::default()), CheckpointPolicy::default()))
}

/// Opens the recording in the store. Nothing is reported to watchers.
async fn open(shared: &Shared) -> Checkpoint {
    let now_unix_ms = unix_ms();
    let options = Some(Options::new(Metric::Planar));
    let opening = OpenRequest {
        options,
        now_unix_ms,
        expire_unix_ms: now_unix_ms + 1_000_000,
        max_in_namespace: None,
    };
    shared.store.open(name(), opening).await.unwrap()
}

/// Commits up to `points`. Nothing is reported to watchers.
async fn commit(shared: &Shared, from: &Checkpoint, points: usize, complete: bool) -> Checkpoint {
    let precondition =
        CommitPrecondition { epoch: from.epoch, committed_points: from.committed_points() };
    let next = Checkpoint { complete, accumulator: accumulator(points), ..from.clone() };
    shared.store.commit(name(), precondition, next.clone()).await.unwrap();
    next
}

fn report(shared: &Shared, stored: &Checkpoint) {
    shared.watchers.report_stored(&name(), &Arc::new(stored.clone()));
}

type Responses =
    std::pin::Pin<Box<dyn Stream<Item = Result<pb::WatchPathResponse, RpcError>> + Send>>;

fn request(allow_missing: bool) -> pb::WatchPathRequest {
    pb::WatchPathRequest { name: name().to_string(), allow_missing, ..Default::default() }
}

async fn watch(shared: &Arc<Shared>, allow_missing: bool) -> Responses {
    Box::pin(
        watch_path(Arc::clone(shared), name().into(), &request(allow_missing))
            .await
            .unwrap()
            .fuse(),
    )
}

/// Returns the responses that are ready: numbers of points, then the state of the stream.
fn ready(responses: &mut Responses) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match responses.next().now_or_never() {
            None => all.push("open".to_owned()),
            Some(None) => all.push("end".to_owned()),
            Some(Some(Ok(response))) => {
                all.push(response.path.unwrap().committed_points.to_string());
                continue;
            }
            Some(Some(Err(error))) => {
                all.push(match error == not_found(&name().into()) {
                    true => "NOT_FOUND".to_owned(),
                    false => error.kind().1.to_owned(),
                });
                continue;
            }
        }
        return all;
    }
}

#[tokio::test]
async fn every_watcher_receives_the_current_state_at_once() {
    let shared = shared();
    let opened = open(&shared).await;
    let grown = commit(&shared, &opened, 7, false).await;
    let mut watchers = Vec::new();
    for _ in 0..5 {
        let mut watcher = watch(&shared, false).await;
        assert_eq!(ready(&mut watcher), ["7", "open"]);
        watchers.push(watcher);
    }
    let finished = commit(&shared, &grown, 9, true).await;
    report(&shared, &finished);
    for watcher in &mut watchers {
        assert_eq!(ready(watcher), ["9", "end"]);
    }
    // The recording is finished. The entry of the earlier watchers is still there.
    for allow_missing in [false, true] {
        assert_eq!(ready(&mut watch(&shared, allow_missing).await), ["9", "end"]);
    }
}

#[tokio::test]
async fn a_watcher_without_reports_receives_the_state() {
    let shared = shared();
    // Both watch before the recording exists. It is created and never grows.
    let (mut first, mut second) = (watch(&shared, true).await, watch(&shared, true).await);
    assert_eq!((ready(&mut first), ready(&mut second)), (vec!["open".into()], vec!["open".into()]));
    open(&shared).await;
    let mut third = watch(&shared, false).await;
    for watcher in [&mut first, &mut second, &mut third] {
        assert_eq!(ready(watcher), ["0", "open"]);
    }
}

#[tokio::test(start_paused = true)]
async fn every_watcher_of_an_expired_recording_receives_not_found() {
    let shared = shared();
    let exactly = request(false);
    let begin = || watch_path(Arc::clone(&shared), name().into(), &exactly);
    let (expire_unix_ms, watchers) = loop {
        let now_unix_ms = unix_ms();
        let expire_unix_ms = now_unix_ms + 50;
        let opening =
            OpenRequest { options: None, now_unix_ms, expire_unix_ms, max_in_namespace: None };
        shared.store.open(name(), opening).await.unwrap();
        // On a slow machine the recording expires before both watches have started.
        if let (Ok(first), Ok(second)) = (begin().await, begin().await) {
            break (expire_unix_ms, [first, second]);
        }
    };
    let mut waiting = watch(&shared, true).await;
    for watcher in watchers {
        let mut responses = pin!(watcher);
        // The state, or NOT_FOUND if the recording has already expired.
        while let Some(response) = responses.next().await {
            match response {
                Ok(response) => assert_eq!(response.path.unwrap().committed_points, 0),
                Err(error) => assert_eq!(error, not_found(&name().into())),
            }
        }
    }
    while unix_ms() < expire_unix_ms {
        tokio::task::yield_now().await;
    }
    assert!(watch_path(Arc::clone(&shared), name().into(), &request(false)).await.is_err());
    drop(ready(&mut waiting));
    assert_eq!(ready(&mut watch(&shared, true).await), ["open"], "it waits for a new recording");
}

#[tokio::test]
async fn a_removal_that_is_reported_late_does_not_hide_the_new_recording() {
    let shared = shared();
    let old = open(&shared).await;
    let mut old_watcher = watch(&shared, false).await;
    assert_eq!(ready(&mut old_watcher), ["0", "open"]);
    let removed = shared.store.delete(name()).await.unwrap().unwrap();
    assert_eq!(removed, old.epoch);
    // A new writer opens before the deletion is reported.
    let new = open(&shared).await;
    report(&shared, &new);
    let mut new_watcher = watch(&shared, false).await;
    let mut waiting = watch(&shared, true).await;
    shared.watchers.report_removed(&name(), removed);
    let grown = commit(&shared, &new, 3, false).await;
    report(&shared, &grown);
    assert_eq!(ready(&mut new_watcher), ["3", "open"]);
    assert_eq!(ready(&mut waiting), ["3", "open"]);
    assert_eq!(ready(&mut old_watcher), ["NOT_FOUND", "end"]);
}

#[tokio::test]
async fn a_load_that_is_reported_after_the_removal_is_ignored() {
    let shared = shared();
    open(&shared).await;
    let mut watcher = watch(&shared, false).await;
    let mut waiting = watch(&shared, true).await;
    let stale = shared.store.load(name()).await.unwrap().unwrap();
    let removed = shared.store.delete(name()).await.unwrap().unwrap();
    shared.watchers.report_removed(&name(), removed);
    report(&shared, &stale);
    for watcher in [&mut watcher, &mut waiting] {
        assert_eq!(ready(watcher), ["NOT_FOUND", "end"]);
    }
    assert_eq!(ready(&mut watch(&shared, true).await), ["open"]);
}

#[tokio::test]
async fn a_load_that_finds_nothing_reports_a_removal_that_was_not_reported() {
    let shared = shared();
    open(&shared).await;
    let mut watcher = watch(&shared, false).await;
    assert_eq!(ready(&mut watcher), ["0", "open"]);
    shared.store.delete(name()).await.unwrap().unwrap();
    shared.recheck(&name()).await;
    assert_eq!(ready(&mut watcher), ["NOT_FOUND", "end"]);
}

#[tokio::test]
async fn a_deletion_is_reported_also_if_its_caller_stops_waiting() {
    for is_dropped in [false, true] {
        let shared = shared();
        open(&shared).await;
        let mut watcher = watch(&shared, false).await;
        assert_eq!(ready(&mut watcher), ["0", "open"]);
        let target: PathName = name().into();
        let mut deletion = Box::pin(shared.delete(&target));
        match is_dropped {
            // Sends the request, and is dropped before the answer.
            true => assert!((&mut deletion).now_or_never().is_none()),
            false => assert_eq!((&mut deletion).await, Ok(true)),
        }
        drop(deletion);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ready(&mut watcher), ["NOT_FOUND", "end"]);
    }
}

#[tokio::test]
async fn a_report_from_before_the_watcher_does_not_revive_a_removed_recording() {
    let shared = shared();
    let opened = open(&shared).await;
    // The recording is removed while there are no watchers, and the report of its writer is late.
    let removed = shared.store.delete(name()).await.unwrap().unwrap();
    shared.watchers.report_removed(&name(), removed);
    let mut watcher = watch(&shared, true).await;
    report(&shared, &opened);
    assert_eq!(ready(&mut watcher), ["open"]);
    let new = open(&shared).await;
    report(&shared, &new);
    report(&shared, &opened);
    assert_eq!(ready(&mut watcher), ["0", "open"]);
}

/// A step of the recording.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Commit,
    Delete,
}

/// A report to watchers.
#[derive(Debug)]
enum Report {
    Stored(Box<Checkpoint>),
    Removed(u64),
}

async fn run(shared: &Shared, steps: &[Step]) -> Vec<Report> {
    let mut reports = Vec::new();
    for step in steps {
        let stored = shared.store.load(name()).await.unwrap();
        match (step, stored) {
            (Step::Open, _) => reports.push(Report::Stored(Box::new(open(shared).await))),
            (Step::Commit, Some(stored)) => {
                let points = stored.committed_points() as usize + 1;
                let next = commit(shared, &stored, points, false).await;
                reports.push(Report::Stored(Box::new(next)));
            }
            (Step::Delete, Some(_)) => {
                let epoch = shared.store.delete(name()).await.unwrap().unwrap();
                reports.push(Report::Removed(epoch));
            }
            (_, None) => {}
        }
    }
    reports
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_last_response_is_the_state_of_the_store(
        steps in prop::collection::vec(
            prop::sample::select(vec![Step::Open, Step::Commit, Step::Delete]), 1..10),
        order in prop::collection::vec(any::<u32>(), 10),
        polls in prop::collection::vec(any::<bool>(), 10),
        joins in 0..10_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let shared = shared();
            let mut early = watch(&shared, true).await;
            let reports = run(&shared, &steps).await;
            let mut shuffled: Vec<_> = order.iter().zip(&reports).collect();
            shuffled.sort_by_key(|(order, _)| **order);
            let (mut early_last, mut late) = (Vec::new(), None);
            for (index, (_, report)) in shuffled.iter().enumerate() {
                if index == joins {
                    late = Some(watch(&shared, true).await);
                }
                match report {
                    Report::Stored(stored) => self::report(&shared, stored),
                    Report::Removed(epoch) => shared.watchers.report_removed(&name(), *epoch),
                }
                if polls[index] {
                    early_last.extend(ready(&mut early));
                }
            }
            early_last.extend(ready(&mut early));
            let stored = shared.store.load(name()).await.unwrap();
            let points = stored.map(|stored| stored.committed_points().to_string());
            // A watcher that received a deletion has ended. Every other one has the stored state.
            if !early_last.contains(&"NOT_FOUND".to_owned()) {
                let last = early_last.iter().rev().find(|last| *last != "open");
                assert_eq!(last, points.as_ref(), "{reports:?}");
            }
            if let Some(mut late) = late {
                let responses = ready(&mut late);
                let last = responses.iter().rev().find(|last| *last != "open" && *last != "end");
                match points {
                    Some(points) => assert_eq!(last, Some(&points), "{reports:?}"),
                    None => assert!(last.is_none_or(|last| last == "NOT_FOUND"), "{responses:?}, {reports:?}"),
                }
            }
            let now = ready(&mut watch(&shared, true).await);
            let stored = shared.store.load(name()).await.unwrap();
            let points = stored.map(|stored| stored.committed_points().to_string());
            assert_eq!(now, points.into_iter().chain(["open".to_owned()]).collect::<Vec<_>>());
        });
    }
}

/// The subscription of the store reports that a failover has lost commits.
#[tokio::test]
async fn a_watcher_of_a_state_that_the_store_has_lost_ends_and_can_start_again() {
    let shared = shared();
    open(&shared).await;
    let stored = shared.store.load(name()).await.unwrap().unwrap();
    let mut watcher = watch(&shared, false).await;
    assert_eq!(ready(&mut watcher), ["0", "open"]);
    let of = |points| Checkpoint { accumulator: accumulator(points), ..stored.clone() };
    let lost = of(7);
    report(&shared, &lost);
    assert_eq!(ready(&mut watcher), ["7", "open"]);
    shared.watchers.report_reverted(&name());
    assert_eq!(ready(&mut watcher), ["STORE_UNAVAILABLE", "end"]);
    let mut again = watch(&shared, false).await;
    assert_eq!(ready(&mut again), ["0", "open"]);
    // An epoch that the store had lost may be smaller than the known one.
    report(&shared, &of(3));
    assert_eq!(ready(&mut again), ["3", "open"]);
}
