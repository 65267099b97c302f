//! Errors that concern all rows: the database refuses every part of a batch, and the number of parts is bounded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures::StreamExt as _;
use futures::future::join_all;
use waywiser::recording::{
    CheckpointStore, StoreError, StoreEvent, WatchedRecording, WatchedRecordings,
};

use crate::cluster::{Cluster, DATABASE};
use crate::fixtures::cluster_and_store;
use crate::walk::{commit, name, opening};

/// Maximum number of failed transactions of a batch.
const FAILURES_MAX: usize = 64;
const COUNT: u64 = 300;

/// Returns how many transactions have failed with the error of these tests.
fn failures(cluster: &Cluster) -> usize {
    cluster.log().matches("ERROR:  the disk fails").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_all_writes_ends_a_batch() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let opened = join_all((0..COUNT).map(|recording| store.open(name(recording), opening()))).await;
    let held: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let fail = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'the disk fails' USING ERRCODE = 'XX001'; END $$;
         CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON waywiser_recording FOR EACH ROW EXECUTE FUNCTION fail()";
    cluster.sql(DATABASE, fail).await;
    let before = store.stats().batches;
    let commits = (0..).zip(&held).map(|(recording, held)| commit(&*store, recording, held, 5));
    let outcomes = join_all(commits).await;
    let batches = usize::try_from(store.stats().batches - before).unwrap();
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    // It is not known whether those that were not tried alone are damaged.
    let is_unavailable = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
    assert!(outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(is_unavailable)));
    let of_commits = failures(&cluster);
    assert!(of_commits > 0 && of_commits <= FAILURES_MAX * batches, "{of_commits}, {batches}");
    // New recordings have a statement of their own.
    let before = store.stats().batches;
    let opens = (COUNT..2 * COUNT).map(|recording| store.open(name(recording), opening()));
    let outcomes = join_all(opens).await;
    let batches = usize::try_from(store.stats().batches - before).unwrap();
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    let of_openings = failures(&cluster) - of_commits;
    assert!(of_openings > 0 && of_openings <= FAILURES_MAX * batches, "{of_openings}, {batches}");
    cluster.sql(DATABASE, "DROP TRIGGER fail ON waywiser_recording").await;
    commit(&*store, 0, &held[0], 5).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_all_reads_ends_a_batch() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    join_all((0..COUNT).map(|recording| store.open(name(recording), opening()))).await;
    let fail = "CREATE FUNCTION fail() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'the disk fails' USING ERRCODE = '58030'; END $$;
         ALTER TABLE waywiser_recording ENABLE ROW LEVEL SECURITY;
         ALTER TABLE waywiser_recording FORCE ROW LEVEL SECURITY;
         CREATE POLICY fail ON waywiser_recording USING (fail())";
    cluster.sql(DATABASE, fail).await;
    let outcomes = join_all((0..COUNT).map(|recording| store.load(name(recording)))).await;
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    // Without a limit, almost two transactions for each load.
    let failures = failures(&cluster);
    assert!(failures > 0 && failures < COUNT as usize, "{failures}");
    cluster.sql(DATABASE, "ALTER TABLE waywiser_recording DISABLE ROW LEVEL SECURITY").await;
    assert!(store.load(name(1)).await.unwrap().is_some());
}

/// Watches recordings in this number of polls. Returns the watched recordings, and the number of polls that have begun.
fn watched_for(polls: usize) -> (WatchedRecordings, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let watched: Vec<_> = (0..COUNT)
        .map(|recording| WatchedRecording { name: name(recording), known: None })
        .collect();
    let counted = Arc::clone(&begun);
    let watched = WatchedRecordings::new(move || match counted.fetch_add(1, SeqCst) < polls {
        true => watched.clone(),
        false => Vec::new(),
    });
    (watched, begun)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_all_reads_ends_a_poll_of_the_watched_recordings() {
    const POLLS: usize = 2;
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let fail = "CREATE FUNCTION fail() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'the disk fails' USING ERRCODE = '58030'; END $$;
         ALTER TABLE waywiser_recording ENABLE ROW LEVEL SECURITY;
         ALTER TABLE waywiser_recording FORCE ROW LEVEL SECURITY;
         CREATE POLICY fail ON waywiser_recording USING (fail())";
    join_all((0..COUNT).map(|recording| store.open(name(recording), opening()))).await;
    cluster.sql(DATABASE, fail).await;
    let (watched, begun) = watched_for(POLLS);
    let mut events = store.changes(watched);
    let polls = tokio::spawn(async move { events.next().await });
    while begun.load(SeqCst) <= POLLS {
        assert!(!polls.is_finished(), "an event of recordings that cannot be read");
        tokio::task::yield_now().await;
    }
    polls.abort();
    // Without a limit, each poll would have almost two failed queries for each recording.
    assert_eq!(failures(&cluster), POLLS * FAILURES_MAX);
}

/// Many recordings that cannot be read do not hide the changes of the others for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_starts_with_the_recordings_that_the_last_one_has_not_read() {
    const READABLE: u64 = 10;
    let Some((cluster, store)) = cluster_and_store().await else { return };
    join_all((0..COUNT).map(|recording| store.open(name(recording), opening()))).await;
    let first_readable = COUNT - READABLE;
    let fail = format!(
        "CREATE FUNCTION readable(id text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           IF substr(id, 6)::int < {first_readable} THEN
             RAISE EXCEPTION 'the disk fails' USING ERRCODE = 'XX001';
           END IF;
           RETURN true;
         END $$;
         ALTER TABLE waywiser_recording ENABLE ROW LEVEL SECURITY;
         ALTER TABLE waywiser_recording FORCE ROW LEVEL SECURITY;
         CREATE POLICY readable ON waywiser_recording USING (readable(id))"
    );
    cluster.sql(DATABASE, &fail).await;
    let (watched, begun) = watched_for(usize::MAX);
    let mut events = store.changes(watched);
    let mut changed = BTreeSet::new();
    while changed.len() < READABLE as usize {
        match events.next().await.unwrap() {
            StoreEvent::Stored { name, .. } => changed.insert(name),
            event => panic!("{event:?}"),
        };
    }
    let expected: BTreeSet<_> = (first_readable..COUNT).map(name).collect();
    assert_eq!(changed, expected);
    let (failures, polls) = (failures(&cluster), begun.load(SeqCst));
    assert!(polls > 1 && failures <= polls * FAILURES_MAX, "{failures} failures in {polls} polls");
}
