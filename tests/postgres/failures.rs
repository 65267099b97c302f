//! Errors that the server reports while the store uses it, by their SQLSTATE.

use std::sync::Arc;
use std::time::Duration;

use waywiser::recording::{Checkpoint, CheckpointStore, ListQuery, StoreError};
use waywiser::store::PostgresStore;

use crate::cluster::{Cluster, DATABASE, USER};
use crate::fixtures::{cluster_and_store, connected, ready, retried, settings, unavailable};
use crate::walk::{commit, name, opening, recorded};

/// Returns the number of stored points when the store is available.
async fn available_again(store: &PostgresStore) -> Option<u64> {
    let stored = retried(async || store.load(name(1)).await).await;
    stored.map(|stored| stored.committed_points())
}

/// The query returns whether a session waits for a lock.
const WAITING: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";

/// A session for which all statements of the store wait.
async fn lock_table(cluster: &Cluster) -> tokio_postgres::Client {
    let session = cluster.session(DATABASE).await;
    session.batch_execute("BEGIN; LOCK TABLE waywiser_recording").await.unwrap();
    session
}

/// A session that holds the row of a recording.
async fn lock_row(cluster: &Cluster, id: u64) -> tokio_postgres::Client {
    let session = cluster.session(DATABASE).await;
    let lock = format!("BEGIN; SELECT FROM waywiser_recording WHERE id = 'walk-{id}' FOR UPDATE");
    session.batch_execute(&lock).await.unwrap();
    session
}

/// 57P01 FATAL: an administrator ends the sessions.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_sessions_are_replaced() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    let terminate =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'");
    // Idle sessions.
    cluster.sql(DATABASE, &terminate).await;
    assert_eq!(available_again(&store).await, Some(10));
    // A session that executes a commit.
    ready(&store).await;
    let lock = lock_table(&cluster).await;
    let pending = {
        let (store, held) = (Arc::clone(&store), held.clone());
        tokio::spawn(async move { commit(&*store, 1, &held, 5).await })
    };
    cluster.wait_until(WAITING, "t").await;
    cluster.sql(DATABASE, &terminate).await;
    let outcome = pending.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    drop(lock);
    assert_eq!(available_again(&store).await, Some(10));
    retried(async || commit(&*store, 1, &held, 5).await).await;
}

/// The server kills all its sessions when one of them crashes.
#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_backend_interrupts_the_store_for_a_moment() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    let session = cluster.session(DATABASE).await;
    let process = crate::cluster::query(&session, "SELECT pg_backend_pid()").await[0][0].clone();
    let process = rustix::process::Pid::from_raw(process.parse().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    assert_eq!(available_again(&store).await, Some(10));
}

/// 55P03 ERROR: another session holds the row. The store waits for a limited time, and nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_makes_a_commit_unavailable_and_others_succeed() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let (held, other) = (recorded(&*store, 1, 10).await, recorded(&*store, 2, 10).await);
    let lock = lock_row(&cluster, 1).await;
    // The commit of the other recording may be in the same batch as the one that waits.
    let (locked, free) = tokio::join!(commit(&*store, 1, &held, 5), async {
        let mut outcome = commit(&*store, 2, &other, 5).await;
        while let Err(StoreError::Unavailable(_)) = outcome {
            outcome = commit(&*store, 2, &other, 5).await;
        }
        outcome
    });
    let locked = unavailable(locked);
    assert!(!locked.is_empty());
    assert_eq!(free.unwrap().committed_points(), 15);
    drop(lock);
    retried(async || commit(&*store, 1, &held, 5).await).await;
}

/// 55P03 ERROR: an administrator holds the table for longer than a statement of the store waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_delays_a_commit_or_makes_it_unavailable() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    let lock = lock_table(&cluster).await;
    let pending = {
        let (store, held) = (Arc::clone(&store), held.clone());
        tokio::spawn(async move { commit(&*store, 1, &held, 5).await })
    };
    while !cluster.log().contains("lock timeout") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(lock);
    match pending.await.unwrap() {
        Ok(next) => {
            let stored = retried(async || store.load(name(1)).await).await;
            assert_eq!(stored, Some(next));
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            retried(async || commit(&*store, 1, &held, 5).await).await;
        }
    }
}

/// 40P01 ERROR: PostgreSQL ends one of the transactions that wait for each other. The store repeats its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_with_an_administrator_changes_nothing() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    cluster.configure("deadlock_timeout = 1s");
    cluster.reload().await;
    let held = recorded(&*store, 1, 10).await;
    let mut epoch = held.epoch;
    // The server looks once for a deadlock. On a slow machine, the administrator may begin to wait after that.
    for _ in 0..20 {
        let opened = open_while_an_administrator_locks(&cluster, &store).await;
        assert!(opened.epoch > epoch);
        assert_eq!(opened.committed_points(), 10);
        epoch = opened.epoch;
        if cluster.log().contains("deadlock detected") {
            return;
        }
    }
    panic!("no deadlock: {}", cluster.log());
}

/// The opening holds its row and waits for the sequence, which the administrator holds. The administrator asks for the row.
async fn open_while_an_administrator_locks(
    cluster: &Cluster,
    store: &Arc<PostgresStore>,
) -> Checkpoint {
    let administrator = cluster.session(DATABASE).await;
    // The server looks for deadlocks in the session of the store, which waits longer.
    administrator.batch_execute("SET deadlock_timeout = '1min'; BEGIN").await.unwrap();
    administrator.batch_execute("ALTER SEQUENCE waywiser_epoch CACHE 1").await.unwrap();
    let open = {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.open(name(1), opening()).await })
    };
    cluster.wait_until(WAITING, "t").await;
    let lock = "SELECT FROM waywiser_recording WHERE id = 'walk-1' FOR UPDATE";
    administrator.batch_execute(lock).await.unwrap();
    administrator.batch_execute("COMMIT").await.unwrap();
    match open.await.unwrap() {
        Ok(opened) => opened,
        Err(error) => {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            retried(async || store.open(name(1), opening()).await).await
        }
    }
}

/// 57014 ERROR: an administrator cancels a statement that waits for a lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_changes_nothing() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    let lock = lock_table(&cluster).await;
    let pending = {
        let (store, held) = (Arc::clone(&store), held.clone());
        tokio::spawn(async move { commit(&*store, 1, &held, 5).await })
    };
    cluster.wait_until(WAITING, "t").await;
    cluster
        .sql(
            DATABASE,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        )
        .await;
    let cancelled = pending.await.unwrap();
    drop(lock);
    match cancelled {
        // The store may repeat a statement that certainly changed nothing.
        Ok(next) => assert_eq!(next.committed_points(), 15),
        Err(error) => {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            let stored = retried(async || store.load(name(1)).await).await;
            assert_eq!(stored, Some(held.clone()));
            retried(async || commit(&*store, 1, &held, 5).await).await;
        }
    }
}

/// 25006 ERROR: the database is read-only, as after a failover to a standby.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_unavailable_until_it_accepts_writes() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    cluster.sql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on").await;
    cluster.reload().await;
    let text = unavailable(commit(&*store, 1, &held, 5).await);
    assert!(text.contains("read-only"), "{text}");
    unavailable(store.open(name(2), opening()).await);
    unavailable(store.delete(name(1)).await);
    let administrator = cluster.session("postgres").await;
    for statement in ["SET default_transaction_read_only = off", "ALTER SYSTEM RESET ALL"] {
        administrator.batch_execute(statement).await.unwrap();
    }
    cluster.reload().await;
    assert_eq!(available_again(&store).await, Some(10));
    retried(async || commit(&*store, 1, &held, 5).await).await;
}

/// The URL leads to a standby only.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_not_used() {
    let Some((primary, _)) = cluster_and_store().await else { return };
    let standby = primary.standby(primary.address).await;
    let error = PostgresStore::connect(settings(&standby.url())).await.map(drop).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("read-only") || text.contains("standby") || text.contains("read-write"),
        "{text}"
    );
    let waiting = PostgresStore::start(settings(&standby.url()));
    unavailable(waiting.load(name(1)).await);
    standby.promote().await;
    assert_eq!(available_again(&waiting).await, None);
}

/// 57P03 and refused connections: the server restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_interrupts_the_store_for_a_moment() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    for _ in 0..2 {
        cluster.stop().await;
        let text = unavailable(store.load(name(1)).await);
        assert!(!text.contains("correct-horse"), "{text}");
        unavailable(commit(&*store, 1, &held, 5).await);
        cluster.launch().await;
        assert_eq!(available_again(&store).await, Some(10));
    }
    retried(async || commit(&*store, 1, &held, 5).await).await;
}

/// The pauses between the attempts of the two connections have become long. When one of them is opened, the other does
/// not wait for the end of its pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_back_is_used_by_both_connections_at_once() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    let mut held = recorded(&*store, 1, 10).await;
    for is_read_first in [true, false] {
        let before = store.stats().failures;
        cluster.stop().await;
        while store.stats().failures < before + 8 {
            unavailable(store.load(name(1)).await);
            unavailable(commit(&*store, 1, &held, 5).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cluster.launch().await;
        if is_read_first {
            retried(async || store.load(name(1)).await).await;
            held = commit(&*store, 1, &held, 5).await.unwrap();
        } else {
            held = retried(async || commit(&*store, 1, &held, 5).await).await;
            store.load(name(1)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_at_the_start_is_used_when_it_comes() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    drop(store);
    cluster.stop().await;
    let error = PostgresStore::connect(settings(&cluster.url())).await.map(drop).unwrap_err();
    assert!(!error.to_string().contains("correct-horse"), "{error}");
    let store = PostgresStore::start(settings(&cluster.url()));
    let text = unavailable(store.load(name(1)).await);
    assert!(text.contains("refused"), "{text}");
    unavailable(store.open(name(1), opening()).await);
    unavailable(store.list(ListQuery::all(), 1).await);
    assert!(format!("{:?}", store.status()).contains("refused"), "{:?}", store.status());
    cluster.launch().await;
    assert_eq!(available_again(&store).await, Some(10));
}

/// 53300 FATAL: all connections of the role are in use.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_are_retried() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    cluster.sql("postgres", &format!("ALTER ROLE {USER} CONNECTION LIMIT 0")).await;
    let error = PostgresStore::connect(settings(&cluster.url())).await.map(drop).unwrap_err();
    // The operator gets the message of the server, and clients do not get the name of the role.
    assert!(
        error.to_string().contains("connections") && error.to_string().contains(USER),
        "{error}"
    );
    let waiting = PostgresStore::start(settings(&cluster.url()));
    let text = unavailable(waiting.load(name(1)).await);
    assert!(text.contains("connections") && !text.contains(USER), "{text}");
    // The store that is connected continues.
    assert_eq!(available_again(&store).await, Some(10));
    cluster.sql("postgres", &format!("ALTER ROLE {USER} CONNECTION LIMIT -1")).await;
    assert_eq!(available_again(&waiting).await, Some(10));
}

/// The message of a server that ends an idle session.
const ENDED: &str = "terminating connection due to idle-session timeout";

/// 57P05 FATAL: the server ends idle sessions. The store has connected again when the next request comes.
#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_that_the_server_ends_are_replaced() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    drop(store);
    let change = async |change: &str| {
        cluster.sql("postgres", &format!("ALTER ROLE {USER} {change}")).await;
    };
    change("SET idle_session_timeout = '2s'").await;
    let store = loop {
        match PostgresStore::connect(settings(&cluster.url())).await {
            Ok(store) => break store,
            // On a slow machine a session can end before the store is connected.
            Err(error) => assert!(cluster.log().contains(ENDED), "{error}"),
        }
    };
    // All sessions end before one can replace them. The new ones have no limit, so that none ends while a request uses it.
    change("CONNECTION LIMIT 0").await;
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'");
    cluster.wait_until(&sessions, "0").await;
    change("RESET idle_session_timeout").await;
    change("CONNECTION LIMIT -1").await;
    cluster.wait_until(&sessions, "2").await;
    while !store.status().connected {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cluster.log().contains(ENDED), "{}", cluster.log());
    assert_eq!(store.load(name(1)).await, Ok(Some(held.clone())));
    commit(&store, 1, &held, 5).await.unwrap();
}

/// The transactions of the store replace the timeouts of the server. The server notes those of its session, and those of
/// the transaction.
#[tokio::test(flavor = "multi_thread")]
async fn timeouts_of_the_server_do_not_apply_to_the_store() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    drop(store);
    // They end nothing on a slow machine, because the first statement of a transaction is subject to them.
    for timeout in [
        "idle_in_transaction_session_timeout = '71s'",
        "lock_timeout = '72s'",
        "statement_timeout = '73s'",
    ] {
        cluster.sql("postgres", &format!("ALTER ROLE {USER} SET {timeout}")).await;
    }
    let note = "CREATE TABLE used (name text, of_session text, setting text); GRANT ALL ON used TO PUBLIC;
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO used SELECT name, reset_val, setting FROM pg_settings
             WHERE name IN ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout');
           RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE UPDATE ON waywiser_recording FOR EACH ROW EXECUTE FUNCTION note()";
    cluster.sql(DATABASE, note).await;
    let store = connected(&cluster.url()).await;
    let expected = [
        ["idle_in_transaction_session_timeout", "71000", "10000"],
        ["lock_timeout", "72000", "2000"],
        ["statement_timeout", "73000", "9000"],
    ];
    let noted = async || {
        let noted = cluster.sql(DATABASE, "SELECT DISTINCT * FROM used ORDER BY name").await;
        cluster.sql(DATABASE, "TRUNCATE used").await;
        noted
    };
    let held = commit(&*store, 1, &held, 5).await.unwrap();
    assert_eq!(noted().await, expected);
    let opened = store.open(name(1), opening()).await.unwrap();
    assert_eq!(noted().await, expected);
    assert_eq!(opened.accumulator, held.accumulator);
}
