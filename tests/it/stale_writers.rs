//! Stale writers of a recording that others open, finish, delete and begin again. In any order of these steps, only the
//! newest writer commits, and only from the stored offset.

use proptest::prelude::*;
use waywiser::measure::{Fix, Metric, Options, Point};
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, RecordingName, StoreError, Sweep,
};
use waywiser::store::{MemoryStore, RedbStore};

/// A step. A writer is an index into the list of those that have opened the recording.
#[derive(Clone, Debug)]
enum Step {
    Open {
        expire_unix_ms: i64,
    },
    /// The writer commits from the state that it knows. It receives the answer, or the answer is lost.
    Commit {
        writer: usize,
        points: u64,
        complete: bool,
        is_lost: bool,
    },
    /// A commit that was prepared earlier reaches the store, perhaps a second time.
    Late {
        commit: usize,
    },
    Delete,
    Expire {
        now_unix_ms: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (2_000..4_000_i64).prop_map(|expire_unix_ms| Step::Open { expire_unix_ms }),
        6 => (any::<usize>(), 0..3_u64, prop::bool::weighted(0.1), any::<bool>()).prop_map(
            |(writer, points, complete, is_lost)| Step::Commit { writer, points, complete, is_lost }
        ),
        3 => any::<usize>().prop_map(|commit| Step::Late { commit }),
        2 => Just(Step::Delete),
        1 => (1_000..4_000_i64).prop_map(|now_unix_ms| Step::Expire { now_unix_ms }),
    ];
    prop::collection::vec(step, 1..30)
}

fn grown(from: &Checkpoint, points: u64) -> Checkpoint {
    let mut next = from.clone();
    let start = from.committed_points();
    let fixes = (start..start + points).map(|i| Fix::new(Point::planar(i as f64, 0.5).unwrap()));
    next.accumulator.extend(&fixes.collect::<Vec<_>>()).unwrap();
    next
}

async fn check(store: &dyn CheckpointStore, steps: &[Step]) {
    let name: RecordingName = "paths/walk".parse().unwrap();
    let options = Some(Options::new(Metric::Planar));
    // The expected stored state, the known state of each writer, and all commits that were requested.
    let mut stored = None::<Checkpoint>;
    let mut writers = Vec::<Checkpoint>::new();
    let mut commits = Vec::<(CommitPrecondition, Checkpoint)>::new();
    let mut last_epoch = 0;
    for step in steps {
        let commit = match *step {
            Step::Open { expire_unix_ms } => {
                let opening = OpenRequest {
                    options,
                    now_unix_ms: 1_500,
                    expire_unix_ms,
                    max_in_namespace: None,
                };
                let opened = store.open(name.clone(), opening).await.unwrap();
                match &stored {
                    Some(stored) if stored.complete => assert_eq!(opened, *stored),
                    Some(stored) => {
                        let expire_unix_ms = stored.expire_unix_ms.max(expire_unix_ms);
                        let epoch = opened.epoch;
                        assert_eq!(opened, Checkpoint { epoch, expire_unix_ms, ..stored.clone() });
                        assert!(epoch > last_epoch);
                    }
                    None => {
                        assert!(opened.epoch > last_epoch && opened.committed_points() == 0);
                    }
                }
                last_epoch = last_epoch.max(opened.epoch);
                stored = Some(opened.clone());
                writers.push(opened);
                continue;
            }
            Step::Delete => {
                let deleted = store.delete(name.clone()).await.unwrap();
                assert_eq!(deleted, stored.take().map(|stored| stored.epoch));
                continue;
            }
            Step::Expire { now_unix_ms } => {
                let swept = store.sweep(Sweep::expired(now_unix_ms), None).await.unwrap();
                let expired = stored.take_if(|stored| stored.expire_unix_ms <= now_unix_ms);
                let epochs: Vec<_> = swept.removed.iter().map(|removed| removed.epoch).collect();
                assert_eq!(epochs, Vec::from_iter(expired.map(|expired| expired.epoch)));
                continue;
            }
            Step::Commit { writer, points, complete, is_lost } if !writers.is_empty() => {
                let writer = writer % writers.len();
                let from = writers[writer].clone();
                let precondition = CommitPrecondition {
                    epoch: from.epoch,
                    committed_points: from.committed_points(),
                };
                let next =
                    Checkpoint { complete: from.complete || complete, ..grown(&from, points) };
                commits.push((precondition, next.clone()));
                if !is_lost {
                    writers[writer] = next;
                }
                commits.len() - 1
            }
            Step::Late { commit } if !commits.is_empty() => commit % commits.len(),
            _ => continue,
        };
        let (precondition, next) = commits[commit].clone();
        let result = store.commit(name.clone(), precondition, next.clone()).await;
        let expected = match &stored {
            None => Err(StoreError::NotFound),
            Some(stored)
                if stored.epoch == precondition.epoch
                    && stored.committed_points() == precondition.committed_points
                    && !stored.complete =>
            {
                Ok(())
            }
            Some(stored) => Err(StoreError::Fenced { epoch: stored.epoch }),
        };
        assert_eq!(result, expected, "{step:?}");
        if result.is_ok() {
            stored = Some(next);
        }
        assert_eq!(store.load(name.clone()).await.unwrap(), stored, "{step:?}");
    }
    assert_eq!(store.load(name).await.unwrap(), stored);
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn a_stale_writer_changes_nothing_in_memory(steps in steps()) {
        block_on(check(&MemoryStore::default(), &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20) })]
    #[test]
    fn a_stale_writer_changes_nothing_on_disk(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            check(&RedbStore::open(directory.path()).unwrap(), &steps).await;
        });
    }
}
