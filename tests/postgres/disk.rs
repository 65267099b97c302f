//! Full disks of the server. As root only, because the tests mount small disks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waywiser::recording::{CheckpointStore, OpenRequest, StoreError};

use crate::cluster::{Cluster, DATABASE};
use crate::fixtures::{cluster_and_store, migrated, retried};
use crate::skip::skipped;
use crate::small_disk::SmallDisk;
use crate::walk::{Acknowledged, Writer, assert_folded, commit, name, opening, recorded};

/// Mounts a disk that belongs to the server. Prints why the test is skipped if that is not possible.
fn mount(cluster: &Cluster, folder: &str, mebibytes: u32) -> Option<SmallDisk> {
    match SmallDisk::mount(&cluster.folder().join(folder), mebibytes) {
        Ok(disk) => {
            cluster.binaries.own(&disk.folder);
            Some(disk)
        }
        Err(error) => {
            skipped(format_args!(
                "full disks of PostgreSQL, because a disk cannot be mounted: {error}"
            ));
            None
        }
    }
}

/// 53100 ERROR: the disk of the table is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_data_disk_refuses_new_recordings_and_loses_none() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let Some(disk) = mount(&cluster, "small", 8) else { return };
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder.display());
    cluster.sql(DATABASE, &tablespace).await;
    cluster.sql(DATABASE, "ALTER TABLE waywiser_recording SET TABLESPACE small").await;
    let mut held = recorded(&*store, 0, 10).await;
    disk.fill();
    let mut created = 0;
    let error = loop {
        created += 1;
        match store.open(name(created), opening()).await {
            Ok(_) => assert!(created < 100_000, "the disk is not full"),
            Err(error) => break error,
        }
    };
    // A full store would delete recordings to make space, which frees nothing here.
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("space") || error.to_string().contains("disk"), "{error}");
    // A commit is not lost: it succeeds, or nothing is changed and it can be repeated.
    let mut failed = 0;
    for _ in 0..50 {
        match commit(&*store, 0, &held, 1).await {
            Ok(next) => held = next,
            Err(StoreError::Unavailable(_)) => failed += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(store.load(name(0)).await, Ok(Some(held.clone())), "{failed} commits failed");
    disk.free();
    held = commit(&*store, 0, &held, 3).await.unwrap();
    store.open(name(created), opening()).await.unwrap();
    assert_folded(0, &store.load(name(0)).await.unwrap().unwrap());
    assert_eq!(
        held.committed_points(),
        store.load(name(0)).await.unwrap().unwrap().committed_points()
    );
    drop(cluster);
}

/// 53100 PANIC: the disk with the write-ahead log is full. The server ends, and does not start until there is space.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_write_ahead_log_loses_no_acknowledged_point() {
    let mut disk = None;
    let cluster = Cluster::initialized(
        "max_wal_size = 8MB\nmin_wal_size = 2MB\nwal_keep_size = 0\ncheckpoint_timeout = 30s",
        &["--wal-segsize=1"],
        |cluster| {
            disk = mount(cluster, "wal", 24);
        },
    );
    let Some(mut cluster) = cluster.await else { return };
    let Some(disk) = disk else { return };
    // Move the log to the small disk.
    let store = migrated(&cluster.url()).await;
    cluster.stop().await;
    let (log, target) = (cluster.data().join("pg_wal"), disk.folder.join("pg_wal"));
    let moved = std::process::Command::new("cp").arg("-a").arg(&log).arg(&target).status().unwrap();
    assert!(moved.success());
    std::fs::remove_dir_all(&log).unwrap();
    std::os::unix::fs::symlink(&target, &log).unwrap();
    cluster.launch().await;
    let acknowledged = Acknowledged::default();
    // It writes until the test has seen that it continues after the server has space again.
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writer = Writer::new(Arc::clone(&store) as _, 1, acknowledged.clone());
    let writing = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            while !is_over.load(Ordering::SeqCst) {
                let points = writer.acknowledged.points() + 1;
                writer.write(points, 1).await;
            }
            writer.outcomes
        }
    });
    while acknowledged.points() < 30 {
        tokio::task::yield_now().await;
    }
    disk.fill();
    // Other work fills the space that is left in the log.
    let other = cluster.try_connect("postgres", DATABASE).await;
    if let Ok(other) = other {
        let _ = other
            .batch_execute(
                "CREATE TABLE filler AS SELECT repeat('x', 2000) FROM generate_series(1, 20000)",
            )
            .await;
    }
    while !cluster.has_ended() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cluster.log().contains("PANIC"), "{}", cluster.log());
    let points = acknowledged.points();
    disk.free();
    cluster.stop().await;
    cluster.launch().await;
    // The writer continues, and checks that no acknowledged point is missing.
    while acknowledged.points() < points + 100 {
        assert!(!writing.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_over.store(true, Ordering::SeqCst);
    let outcomes = writing.await.unwrap();
    assert!(outcomes.unavailable + outcomes.unknown > 0, "{outcomes:?}");
    // The other connection of the store may not be open yet.
    let stored = retried(async || store.load(name(1)).await).await.unwrap();
    assert_eq!(stored.committed_points(), acknowledged.points());
    assert_folded(1, &stored);
    let request = OpenRequest { options: None, ..opening() };
    assert_eq!(
        store.open(name(1), request).await.unwrap().committed_points(),
        stored.committed_points()
    );
}
