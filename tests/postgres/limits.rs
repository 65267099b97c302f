//! Time limits of transactions: that of a server that has disappeared, and that of the count of all recordings.

use waywiser::recording::{CheckpointStore, StoreError};
use waywiser::store::PostgresStore;

use crate::cluster::DATABASE;
use crate::fixtures::{cluster_and_store, connected, retried, settings};
use crate::proxy::{Fault, Proxy};
use crate::walk::{commit, name, opening, recorded};

/// The machine of a server disappears between a statement and its COMMIT. PostgreSQL keeps the connection, and the row is
/// locked until the time limit of the transaction.
#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_of_a_server_that_disappears_ends() {
    let Some((cluster, direct)) = cluster_and_store().await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let store = connected(&cluster.url_at(proxy.address)).await;
    let held = recorded(&*store, 1, 10).await;
    let pending = {
        let (store, held) = (store.clone(), held.clone());
        proxy.on("UPDATE waywiser_recording", Fault::HoldNext);
        tokio::spawn(async move { commit(&*store, 1, &held, 5).await })
    };
    proxy.happened(1).await;
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'waywiser'";
    cluster.wait_until(locked, "1").await;
    let outcome = direct.delete(name(1)).await;
    // The limit of the transaction began before that of the deletion, and may end first on a slow machine.
    let is_ended = cluster.log().contains("idle-in-transaction timeout");
    let points = match outcome {
        Err(StoreError::Unavailable(_)) => 10,
        Ok(Some(_)) if is_ended => 0,
        outcome => panic!("{outcome:?}, the transaction has ended: {is_ended}"),
    };
    let opened = retried(async || direct.open(name(1), opening()).await).await;
    assert_eq!(opened.committed_points(), points);
    assert!(cluster.log().contains("idle-in-transaction timeout"), "{}", cluster.log());
    assert!(matches!(pending.await.unwrap(), Err(StoreError::Unknown(_))));
}

/// The maximum is not enforced while the recordings cannot be counted in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_takes_too_long_prevents_no_opening() {
    const MAX: u64 = 30;
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 0..MAX {
        store.open(name(recording), opening()).await.unwrap();
    }
    let limited = async || {
        let settings = settings(&cluster.url()).with_max_recordings(MAX);
        PostgresStore::connect(settings).await.unwrap()
    };
    let full = limited().await.open(name(MAX), opening()).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    // Each row that is read takes some time.
    let slow = "CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN true; END $$;
         ALTER TABLE waywiser_recording ENABLE ROW LEVEL SECURITY;
         ALTER TABLE waywiser_recording FORCE ROW LEVEL SECURITY;
         CREATE POLICY slow ON waywiser_recording USING (slow())";
    cluster.sql(DATABASE, slow).await;
    let unlimited = limited().await;
    for recording in MAX..MAX + 2 {
        let opened = unlimited.open(name(recording), opening()).await;
        assert!(opened.is_ok(), "{recording}: {opened:?}");
    }
    assert_eq!(cluster.log().matches("statement timeout").count(), 1, "{}", cluster.log());
    cluster.sql(DATABASE, "ALTER TABLE waywiser_recording DISABLE ROW LEVEL SECURITY").await;
    let full = limited().await.open(name(MAX + 2), opening()).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
}
