//! Clocks: the one of the caller decides what has expired, limited by the one of the database.

use waywiser::recording::{CheckpointStore, OpenRequest, Sweep};
use waywiser::store::{PostgresOpenError, PostgresStore};

use crate::fixtures::{cluster_and_store, connected, settings};
use crate::skip::skipped;
use crate::walk::{EXPIRES, name, opening, recorded};

/// A server whose clock is ahead by decades removes nothing early.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_clock_is_ahead_removes_nothing_early() {
    let Some((_cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    let ahead = EXPIRES + 1_000;
    let swept = store.sweep(Sweep::expired(ahead), None).await.unwrap();
    assert_eq!(swept.removed, []);
    assert_eq!(store.load(name(1)).await, Ok(Some(held)));
    // An opening does not replace it either.
    let request = OpenRequest { now_unix_ms: ahead, expire_unix_ms: ahead + 1_000, ..opening() };
    let opened = store.open(name(1), request).await;
    assert!(opened.as_ref().is_ok_and(|opened| opened.committed_points() == 10), "{opened:?}");
}

/// The server runs with another clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_another_clock_is_reported_or_refused() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    assert!(store.status().clock_skew_ms.abs() < 10_000, "{:?}", store.status());
    drop(store);
    let folders = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    let library = folders.map(|folder| std::path::Path::new(folder).join("libfaketime.so.1"));
    let Some(library) = library.into_iter().find(|library| library.is_file()) else {
        skipped(
            "clocks of the database, because libfaketime is not installed; run tests/postgres/run",
        );
        return;
    };
    for (offset, expected_s) in [("+30s", 30_i64), ("-30s", -30), ("+2h", 7200), ("-2h", -7200)] {
        cluster.stop().await;
        cluster.environment = vec![
            ("LD_PRELOAD".to_owned(), library.display().to_string()),
            ("FAKETIME".to_owned(), offset.to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
        ];
        cluster.launch().await;
        let outcome = PostgresStore::connect(settings(&cluster.url())).await;
        if expected_s.abs() > 3_600 {
            let error = outcome.map(drop).unwrap_err();
            let PostgresOpenError::ClockSkew { skew_ms } = error else {
                panic!("{offset}: {error:?}")
            };
            assert!((skew_ms - 1_000 * expected_s).abs() < 10_000, "{offset}: {skew_ms} ms");
            assert!(error.to_string().contains("clock"), "{error}");
            continue;
        }
        let skew = outcome.unwrap().status().clock_skew_ms;
        assert!((skew - 1_000 * expected_s).abs() < 10_000, "{offset}: {skew} ms");
    }
    cluster.stop().await;
    cluster.environment.clear();
    cluster.launch().await;
    let store = connected(&cluster.url()).await;
    assert_eq!(store.load(name(1)).await.unwrap().unwrap().committed_points(), 10);
}
