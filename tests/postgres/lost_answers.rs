//! Answers of the server that do not arrive: the statement may or may not have been executed.

use std::sync::Arc;

use tokio::task::JoinSet;
use waywiser::recording::{CheckpointStore, StoreError};

use crate::cluster::Cluster;
use crate::fixtures::{cluster_and_store, connected, proxied, retried};
use crate::proxy::{Fault, Proxy};
use crate::walk::{
    Acknowledged, assert_folded, commit, committing, grown, name, opening, precondition, recorded,
    spawn_writers,
};

pub const COMMIT: &str = "UPDATE waywiser_recording";
pub const OPEN: &str = "INSERT INTO waywiser_recording";
pub const DELETE: &str = "DELETE FROM waywiser_recording";

fn is_unknown<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unknown(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unknown_and_is_loaded_afterwards() {
    let Some((cluster, _)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    for (recording, fault) in (1..).zip([Fault::CutBefore, Fault::CutAfter]) {
        let held = recorded(&*store, recording, 10).await;
        proxy.on(COMMIT, fault);
        let outcome = commit(&*store, recording, &held, 5).await;
        assert!(is_unknown(&outcome), "{fault:?}: {outcome:?}");
        let stored = retried(async || store.load(name(recording)).await).await.unwrap();
        let executed = fault == Fault::CutAfter;
        assert_eq!(stored.committed_points(), if executed { 15 } else { 10 }, "{fault:?}");
        assert_folded(recording, &stored);
        // The writer continues with the same epoch, and the lost commit is not executed again.
        let next = retried(async || commit(&*store, recording, &stored, 5).await).await;
        let stored = retried(async || store.load(name(recording)).await).await;
        assert_eq!(stored, Some(next));
    }
    assert_eq!(store.stats().unknown_outcomes, 2);
}

/// The deadline of the store ends the wait, so this test takes as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_never_answered_is_unknown() {
    let Some((cluster, _)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    let held = recorded(&*store, 1, 10).await;
    proxy.on(COMMIT, Fault::Silence);
    let outcome = commit(&*store, 1, &held, 5).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
    let stored = retried(async || store.load(name(1)).await).await.unwrap();
    assert_eq!(stored.committed_points(), 15);
}

/// The client has left when the server receives the commit. By then another commit was executed.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_late_changes_nothing() {
    let Some((cluster, direct)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    let held = recorded(&*store, 1, 10).await;
    proxy.on(COMMIT, Fault::Hold);
    let outcome = commit(&*store, 1, &held, 5).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
    let stored = retried(async || store.load(name(1)).await).await.unwrap();
    assert_eq!(stored, held, "the statement is held");
    let next = retried(async || commit(&*store, 1, &stored, 2).await).await;
    proxy.release();
    // The session of the held statement ends after it was executed.
    cluster
        .wait_until(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'waywiser'",
            "0",
        )
        .await;
    assert_eq!(direct.load(name(1)).await, Ok(Some(next)));
}

/// The same with a writer on another server, which has opened the recording meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_after_a_takeover_changes_nothing() {
    let Some((cluster, direct)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    let held = recorded(&*store, 1, 10).await;
    proxy.on(COMMIT, Fault::Hold);
    let late = grown(&held, 1, 5);
    let pending = {
        let (store, late, guard) = (Arc::clone(&store), late, precondition(&held));
        tokio::spawn(async move { store.commit(name(1), guard, late).await })
    };
    proxy.happened(1).await;
    let taken = direct.open(name(1), opening()).await.unwrap();
    proxy.release();
    assert_eq!(pending.await.unwrap(), Err(StoreError::Fenced { epoch: taken.epoch }));
    assert_eq!(direct.load(name(1)).await, Ok(Some(taken)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_or_deletion_without_an_answer_is_repeated_safely() {
    let Some((cluster, direct)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        proxy.on(OPEN, fault);
        let outcome = store.open(name(1), opening()).await;
        assert!(
            outcome.as_ref().is_ok_and(|opened| opened.epoch > 0)
                || is_unknown(&outcome)
                || matches!(outcome, Err(StoreError::Unavailable(_))),
            "{fault:?}: {outcome:?}"
        );
        let opened = retried(async || store.open(name(1), opening()).await).await;
        let next = commit(&*store, 1, &opened, 4).await.unwrap();
        assert_eq!(direct.load(name(1)).await, Ok(Some(next)));
        proxy.on(DELETE, fault);
        let outcome = store.delete(name(1)).await;
        assert!(
            outcome.is_ok()
                || is_unknown(&outcome)
                || matches!(outcome, Err(StoreError::Unavailable(_))),
            "{fault:?}: {outcome:?}"
        );
        let _ = retried(async || store.delete(name(1)).await).await;
        assert_eq!(direct.load(name(1)).await, Ok(None));
    }
}

/// Every connection of the store is cut at random statements while writers on two servers share names.
#[tokio::test(flavor = "multi_thread")]
async fn writers_lose_nothing_while_answers_are_lost() {
    const POINTS: u64 = 150;
    let Some((cluster, _)) = cluster_and_store().await else { return };
    let mut writers = JoinSet::new();
    let acknowledged: Vec<_> = (0..4).map(|_| Acknowledged::default()).collect();
    let mut proxies = Vec::new();
    for _ in 0..2 {
        let (proxy, store) = proxied(&cluster).await;
        spawn_writers(&mut writers, &store, &acknowledged, POINTS, 2);
        proxies.push((proxy, 0));
    }
    let faults = async {
        let kinds =
            [(COMMIT, Fault::CutAfter), (OPEN, Fault::CutAfter), (COMMIT, Fault::CutBefore)];
        for (statement, fault) in kinds.into_iter().cycle() {
            for (proxy, count) in &mut proxies {
                proxy.on(statement, fault);
                *count += 1;
                proxy.happened(*count).await;
            }
        }
    };
    let outcomes = tokio::select! {
        outcomes = async { let mut all = Vec::new(); while let Some(one) = writers.join_next().await { all.push(one.unwrap()); } all } => outcomes,
        () = faults => unreachable!("the faults are repeated"),
    };
    assert!(outcomes.iter().any(|outcomes| outcomes.unknown > 0), "{outcomes:?}");
    let check = connected(&cluster.url()).await;
    for recording in 0..4 {
        let stored = check.load(name(recording)).await.unwrap().unwrap();
        assert!(stored.committed_points() >= POINTS);
        assert_folded(recording, &stored);
    }
}

/// The commit was executed, the server was killed before it answered, and starts again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_before_its_answer_has_the_commit_afterwards() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let store = crate::fixtures::migrated(&cluster.url_at(proxy.address)).await;
    let held = recorded(&*store, 1, 10).await;
    proxy.on(COMMIT, Fault::Silence);
    let pending = committing(&store, &held);
    proxy.happened(1).await;
    cluster.kill().await;
    assert!(is_unknown(&pending.await.unwrap()));
    let error = store.load(name(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    cluster.launch().await;
    let stored = retried(async || store.load(name(1)).await).await.unwrap();
    assert_eq!(stored.committed_points(), 15);
    assert_folded(1, &stored);
    retried(async || commit(&*store, 1, &stored, 5).await).await;
}
