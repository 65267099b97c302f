//! Restoring records of a backup: completely, or not at all.

use std::sync::Arc;

use waywiser::recording::{CheckpointStore, ExportQuery, ListQuery, RecordingName};
use waywiser::store::{BackupError, PostgresRestoreError, PostgresStore};

use crate::cluster::{Cluster, DATABASE, USER};
use crate::fixtures::{cluster_and_store, connected, migrated, retried, settings};
use crate::proxy::{Fault, Proxy};
use crate::walk::{assert_folded, name, opening, recorded};

type Records = Vec<(RecordingName, Vec<u8>)>;

async fn exported(store: &PostgresStore) -> Records {
    let query = ExportQuery { after: None, now_unix_ms: 2_000, bytes_max: usize::MAX };
    let exported = store.export(query).await.unwrap();
    exported.records.into_iter().map(|(name, bytes)| (name, bytes.unwrap())).collect()
}

fn iterator(
    records: &Records,
) -> impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> {
    records.clone().into_iter().map(Ok)
}

/// Returns the records of some recordings, and the cluster with an empty database.
async fn prepared(count: u64) -> Option<(Cluster, Records)> {
    let (cluster, store) = cluster_and_store().await?;
    for recording in 0..count {
        recorded(&*store, recording, recording % 40).await;
    }
    let namespaced = "namespaces/van/paths/1".parse().unwrap();
    store.open(namespaced, opening()).await.unwrap();
    let records = exported(&store).await;
    assert_eq!(records.len() as u64, count + 1);
    drop(store);
    cluster.sql(DATABASE, "TRUNCATE waywiser_recording").await;
    Some((cluster, records))
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_recordings_are_the_same_and_can_be_continued() {
    let Some((cluster, records)) = prepared(300).await else { return };
    let store = connected(&cluster.url()).await;
    assert_eq!(store.restore(iterator(&records)).await.unwrap(), 301);
    for (before, after) in records.iter().zip(exported(&store).await) {
        assert_eq!(before.0, after.0);
    }
    for recording in 0..300 {
        let stored = store.load(name(recording)).await.unwrap().unwrap();
        assert_eq!(stored.committed_points(), recording % 40);
        assert_folded(recording, &stored);
    }
    // New epochs are larger than those of the backup.
    let before = store.load(name(7)).await.unwrap().unwrap();
    let opened = store.open(name(7), opening()).await.unwrap();
    assert!(opened.epoch > before.epoch);
    let error = store.restore(iterator(&records)).await.unwrap_err();
    assert!(error.to_string().contains("empty"), "{error}");
}

/// The epochs of another store may be larger than the next one of this database.
#[tokio::test(flavor = "multi_thread")]
async fn epochs_after_a_restore_into_a_new_database_are_larger() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    cluster.sql(DATABASE, "SELECT setval('waywiser_epoch', 5000000)").await;
    let held = recorded(&*store, 1, 10).await;
    let records = exported(&store).await;
    cluster.sql(DATABASE, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO waywiser").await;
    let store = migrated(&cluster.url()).await;
    store.restore(iterator(&records)).await.unwrap();
    let opened = store.open(name(1), opening()).await.unwrap();
    assert!(opened.epoch > held.epoch, "{} after {}", opened.epoch, held.epoch);
    assert_eq!(opened.committed_points(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_stores_nothing() {
    let Some((cluster, records)) = prepared(300).await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let store = connected(&cluster.url_at(proxy.address)).await;
    // The backup ends early.
    let cut = iterator(&records).take(200).chain([Err(BackupError::Truncated { position: 9 })]);
    store.restore(cut).await.unwrap_err();
    // A record is damaged.
    let mut damaged = records.clone();
    let middle = damaged[150].1.len() / 2;
    damaged[150].1[middle] ^= 1;
    store.restore(iterator(&damaged)).await.unwrap_err();
    // The connection is lost.
    proxy.on("INSERT INTO waywiser_recording", Fault::CutBefore);
    store.restore(iterator(&records)).await.unwrap_err();
    let direct = connected(&cluster.url()).await;
    assert_eq!(direct.list(ListQuery::all(), 1).await, Ok(Vec::new()));
}

/// The last message of a restore, which has the commit.
const END: &str = "setval('waywiser_epoch'";

/// Returns the number of recordings in the table.
async fn stored(cluster: &Cluster) -> String {
    cluster.value("SELECT count(*) FROM waywiser_recording").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_last_answer_is_lost_finds_out_its_result() {
    let Some((cluster, records)) = prepared(300).await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let store = connected(&cluster.url_at(proxy.address)).await;
    proxy.on(END, Fault::CutBefore);
    let error = store.restore(iterator(&records)).await.unwrap_err();
    assert!(matches!(&error, PostgresRestoreError::Database(_)), "{error:?}");
    assert_eq!(stored(&cluster).await, "0");
    proxy.on(END, Fault::CutAfter);
    assert_eq!(store.restore(iterator(&records)).await.unwrap(), 301);
    assert_eq!(stored(&cluster).await, "301");
    assert_eq!(proxy.happened_so_far(), 2);
    // No recordings are stored either way.
    cluster.sql(DATABASE, "TRUNCATE waywiser_recording").await;
    proxy.on(END, Fault::CutBefore);
    assert_eq!(store.restore(std::iter::empty()).await.unwrap(), 0);
    assert_eq!(proxy.happened_so_far(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_result_cannot_be_found_out_says_so() {
    let Some((cluster, records)) = prepared(30).await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let url = format!("{}?connect_timeout=1", cluster.url_at(proxy.address));
    // A busy machine may need longer than this limit.
    let store = loop {
        match PostgresStore::connect(settings(&url)).await {
            Ok(store) => break Arc::new(store),
            Err(error) => assert!(error.is_retriable(), "{error:?}"),
        }
    };
    proxy.on(END, Fault::Silence);
    let restored = tokio::spawn({
        let (store, records) = (store.clone(), records.clone());
        async move { store.restore(iterator(&records)).await }
    });
    proxy.happened(1).await;
    proxy.cut(true).await;
    let error = restored.await.unwrap().unwrap_err();
    assert!(matches!(error, PostgresRestoreError::Unknown { count: 31, .. }), "{error:?}");
    assert!(error.to_string().contains("waywiser store check"), "{error}");
    // The advice shows the result.
    assert_eq!(connected(&cluster.url()).await.check().await.unwrap().recordings, 31);
    // Another server has stored recordings since, so that their absence proves nothing.
    proxy.cut(false).await;
    cluster.sql(DATABASE, "TRUNCATE waywiser_recording").await;
    let url = format!("{}?connect_timeout=60", cluster.url_at(proxy.address));
    let store = connected(&url).await;
    proxy.on(END, Fault::Hold);
    let restored = tokio::spawn(async move { store.restore(iterator(&records)).await });
    proxy.happened(2).await;
    proxy.cut(true).await;
    retried(async || connected(&cluster.url()).await.open(name(1), opening()).await).await;
    proxy.cut(false).await;
    let error = restored.await.unwrap().unwrap_err();
    assert!(matches!(&error, PostgresRestoreError::Unknown { .. }), "{error:?}");
    assert!(error.to_string().contains("other recordings"), "{error}");
}

/// A backup can pause for longer than other transactions may. If it does not continue, the database ends the
/// transaction after some minutes, and with it the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_may_wait_for_its_backup_for_minutes() {
    let Some((cluster, records)) = prepared(300).await else { return };
    let audit = format!(
        "CREATE TABLE audit AS SELECT current_setting('idle_in_transaction_session_timeout') AS idle_limit;
         CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
           UPDATE audit SET idle_limit = current_setting('idle_in_transaction_session_timeout');
           RETURN NULL;
         END $$;
         CREATE TRIGGER audit AFTER INSERT ON waywiser_recording FOR EACH STATEMENT EXECUTE FUNCTION audit();
         ALTER ROLE {USER} SET idle_in_transaction_session_timeout = '100ms'"
    );
    cluster.sql(DATABASE, &audit).await;
    let store = connected(&cluster.url()).await;
    for is_ended in [false, true] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (store, handle) = (store.clone(), tokio::runtime::Handle::current());
        let restored = tokio::task::spawn_blocking(move || {
            handle.block_on(store.restore(receiver.into_iter()))
        });
        let (first, rest) = records.split_at(200);
        first.iter().for_each(|record| sender.send(Ok(record.clone())).unwrap());
        let idle =
            "FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'waywiser'
            AND clock_timestamp() - state_change > interval '300ms'";
        cluster.wait_until(&format!("SELECT count(*) {idle}"), "1").await;
        if is_ended {
            // As at the end of the limit.
            cluster.sql(DATABASE, &format!("SELECT pg_terminate_backend(pid) {idle}")).await;
        }
        for record in rest {
            // The restore may have ended.
            let _ = sender.send(Ok(record.clone()));
        }
        drop(sender);
        let restored = restored.await.unwrap();
        match is_ended {
            true => {
                assert!(matches!(restored, Err(PostgresRestoreError::Database(_))), "{restored:?}");
            }
            false => {
                assert_eq!(restored.unwrap(), 301);
                assert_eq!(cluster.value("SELECT idle_limit FROM audit").await, "5min");
            }
        }
        assert_eq!(stored(&cluster).await, if is_ended { "0" } else { "301" });
        cluster.sql(DATABASE, "TRUNCATE waywiser_recording").await;
    }
    // The lock has ended, too.
    retried(async || store.open(name(1), opening()).await).await;
}
