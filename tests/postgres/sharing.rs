//! Several stores on one database, as several servers use it.

use std::sync::Arc;

use tokio::task::JoinSet;
use waywiser::recording::{CheckpointStore, ListQuery, OpenRequest, StoreError};

use crate::fixtures::{cluster_and_store, connected};
use crate::walk::{Acknowledged, Outcomes, Writer, assert_folded, commit, name, opening, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_on_another_server_fences_the_first() {
    let Some((cluster, first)) = cluster_and_store().await else { return };
    let second = connected(&cluster.url()).await;
    let held = recorded(&*first, 1, 10).await;
    let taken = second.open(name(1), opening()).await.unwrap();
    assert_eq!(taken.committed_points(), 10);
    assert_folded(1, &taken);
    let fenced = Err(StoreError::Fenced { epoch: taken.epoch });
    assert_eq!(commit(&*first, 1, &held, 5).await, fenced);
    let next = commit(&*second, 1, &taken, 7).await.unwrap();
    assert_eq!(first.load(name(1)).await, Ok(Some(next.clone())));
    // Both see the same list, and a deletion by one fences the writer of the other.
    for store in [&first, &second] {
        let page = store.list(ListQuery::all(), 10).await.unwrap();
        assert_eq!(page, [(name(1), Ok(next.clone()))]);
    }
    assert_eq!(first.delete(name(1)).await, Ok(Some(next.epoch)));
    assert_eq!(commit(&*second, 1, &next, 1).await, Err(StoreError::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_names_on_several_servers_lose_nothing() {
    const RECORDINGS: u64 = 6;
    const POINTS: u64 = 300;
    let Some((cluster, first)) = cluster_and_store().await else { return };
    let mut stores = vec![first];
    for _ in 0..2 {
        stores.push(connected(&cluster.url()).await);
    }
    let acknowledged: Vec<_> = (0..RECORDINGS).map(|_| Acknowledged::default()).collect();
    let mut writers = JoinSet::new();
    for store in stores.iter().flat_map(|store| [store, store]) {
        for recording in 0..RECORDINGS {
            let acknowledged = acknowledged[recording as usize].clone();
            let mut writer = Writer::new(Arc::clone(store) as _, recording, acknowledged);
            writers.spawn(async move {
                writer.write(POINTS, 1 + recording).await;
                writer.outcomes
            });
        }
    }
    let outcomes = writers.join_all().await;
    let fenced: u64 = outcomes.iter().map(|outcomes| outcomes.fenced).sum();
    assert!(fenced > 0, "no writer was fenced: {outcomes:?}");
    let wrong = |outcomes: &&Outcomes| outcomes.unknown + outcomes.unavailable > 0;
    assert_eq!(outcomes.iter().find(wrong), None);
    for recording in 0..RECORDINGS {
        let stored = stores[2].load(name(recording)).await.unwrap().unwrap();
        assert_eq!(stored.committed_points(), POINTS);
        assert_folded(recording, &stored);
    }
    // The epochs of concurrent openings were all different, or two writers would have committed one offset.
    assert!(cluster.log().lines().all(|line| !line.contains("deadlock")), "{}", cluster.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn openings_and_deletions_of_the_same_names_do_not_mix() {
    let Some((cluster, first)) = cluster_and_store().await else { return };
    let second = connected(&cluster.url()).await;
    let mut tasks = JoinSet::new();
    for (number, store) in (0..8).flat_map(|i| [(i, Arc::clone(&first)), (i, Arc::clone(&second))])
    {
        tasks.spawn(async move {
            let mut epochs = Vec::new();
            for round in 0..40 {
                let recording = (number + round) % 3;
                if (number + round) % 4 == 0 {
                    store.delete(name(recording)).await.unwrap();
                    continue;
                }
                let opened = store.open(name(recording), opening()).await.unwrap();
                assert_folded(recording, &opened);
                epochs.push(opened.epoch);
                match commit(&*store, recording, &opened, 3).await {
                    Ok(_) | Err(StoreError::Fenced { .. } | StoreError::NotFound) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            epochs
        });
    }
    let mut epochs = tasks.join_all().await.concat();
    epochs.sort_unstable();
    let count = epochs.len();
    epochs.dedup();
    assert_eq!(epochs.len(), count, "an epoch was assigned twice");
    assert!(cluster.log().lines().all(|line| !line.contains("deadlock")), "{}", cluster.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_namespace_holds_for_all_servers_together() {
    const MAX: u64 = 7;
    let Some((cluster, first)) = cluster_and_store().await else { return };
    let second = connected(&cluster.url()).await;
    let mut tasks = JoinSet::new();
    for (number, store) in (0..20).flat_map(|i| [(i, Arc::clone(&first)), (i, Arc::clone(&second))])
    {
        tasks.spawn(async move {
            let name = format!("namespaces/limited/paths/{number}").parse().unwrap();
            let request = OpenRequest { max_in_namespace: Some(MAX), ..opening() };
            match store.open(name, request).await {
                Ok(_) => true,
                Err(StoreError::NamespaceFull(_)) => false,
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    let opened = tasks.join_all().await;
    assert!(opened.contains(&false));
    let stored = first.list(ListQuery::all(), 100).await.unwrap();
    assert_eq!(stored.len() as u64, MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_maximum_of_the_store_holds_for_all_servers_together() {
    const MAX: u64 = 5;
    let Some((cluster, first)) = cluster_and_store().await else { return };
    drop(first);
    let limited = || async {
        let settings = crate::fixtures::settings(&cluster.url()).with_max_recordings(MAX);
        Arc::new(waywiser::store::PostgresStore::connect(settings).await.unwrap())
    };
    let (first, second) = (limited().await, limited().await);
    let mut tasks = JoinSet::new();
    for (number, store) in
        (0..15).flat_map(|i| [(i, Arc::clone(&first)), (20 + i, Arc::clone(&second))])
    {
        tasks.spawn(async move {
            match store.open(name(number), opening()).await {
                Ok(_) => true,
                Err(StoreError::Full(_)) => false,
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    let opened = tasks.join_all().await.into_iter().filter(|opened| *opened).count();
    assert_eq!(opened as u64, MAX);
    assert_eq!(first.list(ListQuery::all(), 100).await.unwrap().len() as u64, MAX);
}
