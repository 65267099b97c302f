//! Stores under failure: a process that commits until it is killed, and a store with injected faults.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use waywiser::measure::{Fix, Metric, Options, PathAccumulator, Point};
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, RecordingName, StoreError,
};
use waywiser::recording::{CheckpointPolicy, NextStep, Recording};
use waywiser::store::{MemoryStore, RedbStore, contract};

use crate::support::faulty::{Call, Fault, Faulty, unavailable, unknown};

/// Environment variable with the directory of the child's recordings.
const DIRECTORY: &str = "WAYWISER_TEST_STORE";
const RECORDINGS: u64 = 3;
const ROUNDS: usize = 8;

fn name(index: u64) -> RecordingName {
    format!("paths/walk-{index}").parse().unwrap()
}

fn opening() -> OpenRequest {
    let options = Some(Options::new(Metric::Geodesic));
    OpenRequest { options, now_unix_ms: 0, expire_unix_ms: i64::MAX, max_in_namespace: None }
}

fn fix(recording: u64, offset: u64) -> Fix {
    let (a, b) = (recording as f64, offset as f64);
    Fix::new(Point::geographic((a + b * 0.37).sin() * 80.0, (b * 0.01 + a).cos() * 170.0).unwrap())
}

fn folded(recording: u64, count: u64) -> PathAccumulator {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Geodesic));
    accumulator
        .extend(&(0..count).map(|offset| fix(recording, offset)).collect::<Vec<_>>())
        .unwrap();
    accumulator
}

/// Adds a few points to a recording per commit, and prints each commit that the store acknowledged.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
async fn commit_until_killed(store: &RedbStore, recording: u64) {
    let mut last = store.open(name(recording), opening()).await.unwrap();
    loop {
        let from = last.committed_points();
        let precondition = CommitPrecondition { epoch: last.epoch, committed_points: from };
        let mut next = last.clone();
        let fixes = (from..from + 1 + from % 4).map(|offset| fix(recording, offset));
        next.accumulator.extend(&fixes.collect::<Vec<_>>()).unwrap();
        store.commit(name(recording), precondition, next.clone()).await.unwrap();
        println!("committed {recording} {}", next.committed_points());
        last = next;
    }
}

#[tokio::test]
#[ignore = "started by `acknowledged_commits_survive_a_kill` as a child process"]
async fn a_child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = RedbStore::open(directory).unwrap();
    tokio::join!(
        commit_until_killed(&store, 0),
        commit_until_killed(&store, 1),
        commit_until_killed(&store, 2)
    );
}

/// Kills a child after it has acknowledged `lines` commits. Returns the last acknowledged offsets.
fn killed_child(directory: &Path, lines: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "store::a_child_that_commits_until_it_is_killed"])
        .arg("--nocapture")
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = vec![0; RECORDINGS as usize];
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The kill may cut the last line. A cut line acknowledges nothing.
        let words: Vec<_> = line.split(' ').collect();
        let ["committed", recording, points] = words[..] else { continue };
        if seen == lines {
            child.kill().unwrap();
        }
        seen += 1;
        let (Ok(recording), Ok(points)) = (recording.parse::<usize>(), points.parse()) else {
            continue;
        };
        // Lines that were in the pipe before the kill count. Later ones may end with a cut number.
        if seen <= lines {
            acknowledged[recording] = points;
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the child stopped by itself after {seen} commits");
    acknowledged
}

#[tokio::test]
async fn acknowledged_commits_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = vec![0; RECORDINGS as usize];
    for round in 0..ROUNDS {
        let acknowledged = killed_child(directory.path(), 1 + round * 7);
        let store = RedbStore::open(directory.path()).unwrap();
        for recording in 0..RECORDINGS {
            let stored = store.load(name(recording)).await.unwrap();
            let points = stored.as_ref().map_or(0, Checkpoint::committed_points);
            let least = acknowledged[recording as usize].max(before[recording as usize]);
            assert!(points >= least, "{points} of {least} points in round {round}");
            if let Some(stored) = stored {
                assert_eq!(stored.accumulator, folded(recording, points));
            }
            before[recording as usize] = points;
        }
    }
}

#[tokio::test]
async fn the_faulty_store_without_faults_passes_the_contract() {
    contract::check_store(&Faulty::new(Arc::new(MemoryStore::default()))).await;
}

/// A recording has the same result whichever fault the store has.
#[tokio::test]
async fn a_recording_finishes_in_a_store_with_faults() {
    let faults = [
        Fault::Before(unavailable()),
        Fault::Before(unknown()),
        Fault::After(unknown()),
        Fault::Late,
    ];
    for fault in faults {
        let store = Faulty::new(Arc::new(MemoryStore::default()));
        store.on(Call::Commit, 2, fault.clone());
        store.on(Call::Load, 1, Fault::Before(unavailable()));
        let opened = store.open(name(0), opening()).await.unwrap();
        let mut recording = Recording::resume(opened, CheckpointPolicy::default());
        for count in 1..=4 {
            recording.accumulator_mut().extend(&[fix(0, count - 1)]).unwrap();
            recording.folded(0);
            if count == 4 {
                recording.finish();
            }
            while let Some(commit) = recording.next_commit(0, true) {
                match store.commit(name(0), commit.precondition, commit.checkpoint).await {
                    Ok(()) => recording.committed(),
                    Err(error) => {
                        let mut next_step = recording.refused(error, 0);
                        while next_step == NextStep::Load {
                            next_step = recording.reconcile(store.load(name(0)).await, 0);
                        }
                        assert_eq!(next_step, NextStep::Continue, "{fault:?}");
                    }
                }
            }
            // Late commits are fenced.
            for outcome in store.deliver().await {
                assert!(matches!(outcome, Err(StoreError::Fenced { .. })), "{outcome:?}");
            }
        }
        assert!(recording.is_complete() && recording.is_settled());
        let stored = store.open(name(0), opening()).await.unwrap();
        assert!(stored.complete);
        assert_eq!(stored.accumulator, folded(0, 4), "{fault:?}");
    }
}

#[tokio::test]
async fn an_unavailable_store_refuses_until_it_is_available() {
    let store = Faulty::new(Arc::new(MemoryStore::default()));
    store.always(Call::Open, Some(Fault::Before(unavailable())));
    for _ in 0..3 {
        assert_eq!(store.open(name(0), opening()).await, Err(unavailable()));
    }
    store.always(Call::Open, None);
    store.open(name(0), opening()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_held_waits_until_it_is_released() {
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::default())));
    store.on(Call::Open, 1, Fault::HeldBefore);
    store.on(Call::Open, 2, Fault::HeldAfter);
    let open = |store: Arc<Faulty>| async move { store.open(name(0), opening()).await };
    let first = tokio::spawn(open(Arc::clone(&store)));
    while store.calls(Call::Open) < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.load(name(0)).await, Ok(None));
    let second = tokio::spawn(open(Arc::clone(&store)));
    while store.load(name(0)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished() && !second.is_finished());
    store.release(2);
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert!(first.epoch > second.epoch);
}
