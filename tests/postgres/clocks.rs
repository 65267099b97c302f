//! Clocks: the one of the caller decides what has expired, limited by the one of the database.

use waywiser::recording::{CheckpointStore, OpenRequest, Sweep};
use waywiser::store::{PostgresOpenError, PostgresStatus, PostgresStore};

use crate::cluster::{Cluster, DATABASE};
use crate::fixtures::{cluster_and_store, connected, retried, settings};
use crate::skip::skipped;
use crate::walk::{EXPIRES, name, opening, recorded};

/// The time for a status that must come. It never decides whether a result is right.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

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

/// Settings that weaken durability are found at the next connection, and while the store runs.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_weaken_durability_are_reported_when_they_change() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let warned = |store: &PostgresStore, setting: &str| {
        store.status().warnings.iter().any(|warning| warning.contains(setting))
    };
    // The clusters of the tests have no fsync.
    assert!(warned(&store, "fsync") && store.status().warnings.len() == 1, "{:?}", store.status());
    let change = async |statement: &str| {
        cluster.sql("postgres", statement).await;
        cluster.reload().await;
    };
    change("ALTER SYSTEM SET full_page_writes = off").await;
    change("ALTER SYSTEM SET synchronous_commit = off").await;
    change("ALTER SYSTEM SET fsync = on").await;
    let is = |full_page_writes: bool, synchronous_commit: bool, fsync: bool| {
        warned(&store, "full_page_writes") == full_page_writes
            && warned(&store, "synchronous_commit") == synchronous_commit
            && warned(&store, "fsync") == fsync
    };
    until(&store, |_| is(true, true, false)).await;
    let other = connected(&cluster.url()).await;
    assert_eq!(other.status().warnings, store.status().warnings);
    assert_eq!(store.stats().connections, 2, "the connections are the same");
    change("ALTER SYSTEM RESET ALL").await;
    until(&store, |_| is(false, false, true)).await;
}

/// A commit waits for the disk and the standby at once, and not only when the store has noticed the setting.
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_synchronous_although_the_setting_is_off() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    let note = "CREATE TABLE used (of_session text, setting text); GRANT ALL ON used TO PUBLIC;
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO used SELECT reset_val, setting FROM pg_settings WHERE name = 'synchronous_commit';
           RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE UPDATE ON waywiser_recording FOR EACH ROW EXECUTE FUNCTION note()";
    cluster.sql(DATABASE, note).await;
    for (setting, used) in [("off", "on"), ("remote_apply", "remote_apply"), ("local", "local")] {
        cluster.sql("postgres", &format!("ALTER SYSTEM SET synchronous_commit = {setting}")).await;
        cluster.reload().await;
        cluster.sql(DATABASE, "TRUNCATE used").await;
        store.open(name(1), opening()).await.unwrap();
        // The session has the setting of the server, and the transaction another one.
        let noted = cluster.sql(DATABASE, "SELECT of_session, setting FROM used").await;
        assert_eq!(noted, [[setting, used]]);
    }
    assert_eq!(store.load(name(1)).await.unwrap().unwrap().accumulator, held.accumulator);
}

/// The server runs with another clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_another_clock_is_reported_or_refused() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    assert!(store.status().clock_skew_ms.abs() < 10_000, "{:?}", store.status());
    drop(store);
    let Some(library) = faketime() else { return };
    for (offset, expected_s) in [("+30s", 30_i64), ("-30s", -30), ("+2h", 7200), ("-2h", -7200)] {
        cluster.stop().await;
        cluster.environment = vec![
            ("LD_PRELOAD".to_owned(), library.clone()),
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
        let status = outcome.unwrap().status();
        let skew = status.clock_skew_ms;
        assert!((skew - 1_000 * expected_s).abs() < 10_000, "{offset}: {skew} ms");
        assert!(is_warned(&status), "{offset}: {status:?}");
    }
    cluster.stop().await;
    cluster.environment.clear();
    cluster.launch().await;
    let store = connected(&cluster.url()).await;
    assert!(!is_warned(&store.status()), "{:?}", store.status());
    assert_eq!(store.load(name(1)).await.unwrap().unwrap().committed_points(), 10);
}

/// The clock of the server changes while the store is connected.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_changes_is_noticed() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    drop(store);
    let Some(library) = faketime() else { return };
    cluster.stop().await;
    let file = cluster.data().join("offset");
    let set = |cluster: &Cluster, offset: &str| {
        cluster.write("offset.new", offset);
        std::fs::rename(cluster.data().join("offset.new"), cluster.data().join("offset")).unwrap();
    };
    set(&cluster, "+0s");
    cluster.environment = vec![
        ("LD_PRELOAD".to_owned(), library),
        ("FAKETIME_TIMESTAMP_FILE".to_owned(), file.display().to_string()),
        ("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
    cluster.launch().await;
    let store = connected(&cluster.url()).await;
    assert!(!is_warned(&store.status()), "{:?}", store.status());
    set(&cluster, "+30s");
    until(&store, is_warned).await;
    assert!(store.load(name(1)).await.unwrap().is_some());
    // The database is not used any more, until its clock is right again.
    set(&cluster, "+2h");
    until(&store, |status| status.error.as_ref().is_some_and(|error| error.contains("clock")))
        .await;
    set(&cluster, "+0s");
    until(&store, |status| status.connected && !is_warned(status)).await;
    let stored = retried(async || store.load(name(1)).await).await;
    assert_eq!(stored.unwrap().committed_points(), 10);
}

/// Waits for a status that must come.
#[track_caller]
fn until(
    store: &PostgresStore,
    is_reached: impl Fn(&PostgresStatus) -> bool,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = std::time::Instant::now();
        while !is_reached(&store.status()) {
            assert!(start.elapsed() < LIMIT, "{caller}: {:?}", store.status());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn is_warned(status: &PostgresStatus) -> bool {
    status.warnings.iter().any(|warning| warning.contains("clock"))
}

/// Returns the library that changes the clock of a process, or prints that it is missing.
fn faketime() -> Option<String> {
    let folders = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    let library = folders.map(|folder| std::path::Path::new(folder).join("libfaketime.so.1"));
    let library = library.into_iter().find(|library| library.is_file());
    if library.is_none() {
        skipped(
            "clocks of the database, because libfaketime is not installed; run tests/postgres/run",
        );
    }
    library.map(|library| library.display().to_string())
}
