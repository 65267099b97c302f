//! Synchronous standbys: what no standby has is not reported as durable, and what was reported survives a promotion.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::task::JoinHandle;
use waywiser::recording::{
    Checkpoint, CheckpointStore, ListQuery, RecordingVersion, StoreError, StoreEvent,
    WatchedRecording, WatchedRecordings,
};
use waywiser::store::PostgresStore;

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER};
use crate::fixtures::{connected, migrated, retried, settings};
use crate::proxy::{Fault, Proxy};
use crate::walk::{
    Acknowledged, assert_folded, commit, committing, name, opening, recorded, spawn_writers,
};

/// A primary whose commits wait for a standby, and the link between them.
pub struct Pair {
    pub primary: Cluster,
    pub standby: Cluster,
    pub link: Proxy,
}

impl Pair {
    pub async fn start() -> Option<Self> {
        let primary = Cluster::start().await?;
        let link = Proxy::start(primary.address).await;
        let standby = primary.standby(link.address).await;
        primary.require_standby().await;
        Some(Self { primary, standby, link })
    }

    /// Ends the replication, so that commits wait.
    async fn isolate(&self) {
        self.link.cut(true).await;
    }

    async fn reconnect(&self) {
        self.link.cut(false).await;
        crate::cluster::wait_for_sync(&self.primary).await;
    }

    /// Returns the URL of both servers.
    fn url(&self) -> String {
        let (first, second) = (self.primary.address.port(), self.standby.address.port());
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{first},127.0.0.1:{second}/{DATABASE}")
    }

    /// Starts a commit and waits until it waits for the standby.
    async fn waiting(
        &self,
        store: &Arc<PostgresStore>,
        held: &Checkpoint,
    ) -> JoinHandle<Result<Checkpoint, StoreError>> {
        let pending = committing(store, held);
        while self.primary.waiting_for_standby().await == 0 {
            tokio::task::yield_now().await;
        }
        pending
    }

    /// Executes a function on the sessions that wait for the standby.
    async fn signal_waiting(&self, function: &str) {
        let statement =
            format!("SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        self.primary.sql(DATABASE, &statement).await;
    }
}

/// Starts requests that report what is durable, on a store. None of them may report the commit that waits.
fn reads(store: &Arc<PostgresStore>) -> Vec<JoinHandle<u64>> {
    async fn points(outcome: Result<u64, StoreError>) -> u64 {
        match outcome {
            Ok(points) => points,
            // The request timed out, which reports nothing.
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => 10,
            Err(error) => panic!("{error:?}"),
        }
    }
    let store = || Arc::clone(store);
    let load = {
        let store = store();
        async move {
            let loaded = store.load(name(1)).await;
            points(loaded.map(|stored| stored.unwrap().committed_points())).await
        }
    };
    let list = {
        let store = store();
        async move {
            let page = store.list(ListQuery::all(), 10).await;
            let of =
                |page: waywiser::recording::Page| page[0].1.as_ref().unwrap().committed_points();
            points(page.map(of)).await
        }
    };
    let open = {
        let store = store();
        async move {
            let opened = store.open(name(1), opening()).await;
            points(opened.map(|opened| opened.committed_points())).await
        }
    };
    vec![tokio::spawn(load), tokio::spawn(list), tokio::spawn(open)]
}

/// Checks that no request returns the commit until the standby is back, and that it is there then.
async fn assert_hidden_until_reconnected(pair: &Pair, stores: &[&Arc<PostgresStore>]) {
    let pending: Vec<_> = stores.iter().flat_map(|store| reads(store)).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut waiting = Vec::new();
    for read in pending {
        if read.is_finished() {
            assert_eq!(
                read.await.unwrap(),
                10,
                "a read returned a commit that only the primary has"
            );
        } else {
            waiting.push(read);
        }
    }
    pair.reconnect().await;
    for read in waiting {
        assert!([10, 15].contains(&read.await.unwrap()));
    }
    for store in stores {
        let stored = retried(async || store.load(name(1)).await).await.unwrap();
        assert_eq!(stored.committed_points(), 15);
        assert_folded(1, &stored);
    }
    // What was reported is on the standby now.
    let points = "SELECT points FROM waywiser_recording WHERE id = 'walk-1'";
    assert_eq!(pair.standby.value(points).await, "15");
}

/// An administrator ends the wait by a function. PostgreSQL then reports the commit as done, or closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_standby_that_is_ended_is_not_reported_as_durable() {
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        println!("{function}");
        let Some(pair) = Pair::start().await else { return };
        let writer = migrated(&pair.primary.url()).await;
        let other = connected(&pair.primary.url()).await;
        let held = recorded(&*writer, 1, 10).await;
        pair.isolate().await;
        let pending = pair.waiting(&writer, &held).await;
        pair.signal_waiting(function).await;
        let outcome = pending.await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
        // The primary shows it to every plain read.
        assert_eq!(pair.primary.value("SELECT points FROM waywiser_recording").await, "15");
        assert_hidden_until_reconnected(&pair, &[&writer, &other]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_before_a_crash_of_the_primary_is_not_reported_until_the_standby_has_it() {
    let Some(mut pair) = Pair::start().await else { return };
    let writer = migrated(&pair.primary.url()).await;
    let held = recorded(&*writer, 1, 10).await;
    pair.isolate().await;
    let pending = pair.waiting(&writer, &held).await;
    pair.primary.kill().await;
    let outcome = pending.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    pair.primary.launch().await;
    assert_eq!(pair.primary.value("SELECT points FROM waywiser_recording").await, "15");
    // A new server connects while the standby is away.
    let other = Arc::new(PostgresStore::start(crate::fixtures::settings(&pair.primary.url())));
    assert_hidden_until_reconnected(&pair, &[&writer, &other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_points_survive_a_promotion() {
    const POINTS: u64 = 400;
    let Some(mut pair) = Pair::start().await else { return };
    let store = migrated(&pair.url()).await;
    let acknowledged: Vec<_> = (0..4).map(|_| Acknowledged::default()).collect();
    let mut writers = tokio::task::JoinSet::new();
    spawn_writers(&mut writers, &store, &acknowledged, POINTS, 1);
    while acknowledged.iter().any(|acknowledged| acknowledged.points() < POINTS / 4) {
        tokio::task::yield_now().await;
    }
    pair.primary.kill().await;
    pair.standby.promote().await;
    // The writers check that no acknowledged point is missing.
    while let Some(outcomes) = writers.join_next().await {
        outcomes.unwrap();
    }
    for recording in 0..4 {
        let stored = retried(async || store.load(name(recording)).await).await.unwrap();
        assert_eq!(stored.committed_points(), POINTS);
        assert_folded(recording, &stored);
    }
}

/// The old primary is paused, the standby is promoted, and the old primary continues. A server that is still connected
/// to it must not acknowledge anything there.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_comes_back_acknowledges_nothing() {
    let Some(pair) = Pair::start().await else { return };
    let old = migrated(&pair.primary.url()).await;
    let held = recorded(&*old, 1, 10).await;
    pair.primary.pause();
    pair.isolate().await;
    pair.standby.promote().await;
    let new = connected(&pair.standby.url()).await;
    let taken = new.open(name(1), opening()).await.unwrap();
    assert_eq!(taken.committed_points(), 10);
    let next = commit(&*new, 1, &taken, 7).await.unwrap();
    pair.primary.resume();
    let late = committing(&old, &held);
    let reading = tokio::spawn({
        let old = Arc::clone(&old);
        async move { old.load(name(1)).await }
    });
    let (late, reading) = (late.await.unwrap(), reading.await.unwrap());
    assert!(matches!(late, Err(StoreError::Unknown(_) | StoreError::Unavailable(_))), "{late:?}");
    assert!(matches!(reading, Err(StoreError::Unavailable(_))), "{reading:?}");
    // A server that starts now cannot use it, either.
    let started = PostgresStore::connect(crate::fixtures::settings(&pair.primary.url())).await;
    assert!(started.is_err());
    assert_eq!(new.load(name(1)).await, Ok(Some(next.clone())));
    // With both hosts, it uses the other one, although the old primary accepts connections and comes first.
    let both = connected(&pair.url()).await;
    assert_eq!(both.load(name(1)).await, Ok(Some(next)));
}

/// A session on the old primary waits for its standby for ever, and holds a row. Another server that only writes must
/// notice that it is connected to an old primary, although its statements skip the row and do not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_leaves_an_old_primary_where_its_row_is_locked() {
    let Some(pair) = Pair::start().await else { return };
    let first = migrated(&pair.url()).await;
    let second = connected(&pair.url()).await;
    let held = recorded(&*first, 1, 10).await;
    pair.isolate().await;
    let pending = pair.waiting(&first, &held).await;
    pair.standby.promote().await;
    // The watchdog of the tests ends a writer that stays for ever.
    let opened = loop {
        match second.open(name(1), opening()).await {
            Ok(opened) => break opened,
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(opened.committed_points(), 10);
    let outcome = pending.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_only_the_primary_has_is_not_reported_as_a_change() {
    let Some(pair) = Pair::start().await else { return };
    let writer = migrated(&pair.primary.url()).await;
    let other = connected(&pair.primary.url()).await;
    let held = recorded(&*writer, 1, 10).await;
    let known = RecordingVersion { epoch: held.epoch, committed_points: 10, complete: false };
    let watched = WatchedRecording { name: name(1), known: Some(known) };
    let mut events = other.changes(WatchedRecordings::new(move || vec![watched.clone()]));
    pair.isolate().await;
    let pending = pair.waiting(&writer, &held).await;
    pair.signal_waiting("pg_cancel_backend").await;
    assert!(matches!(pending.await.unwrap(), Err(StoreError::Unknown(_))));
    let mut early = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    while let Ok(Some(StoreEvent::Missed)) = early {
        early = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    }
    assert!(early.is_err(), "{early:?}");
    pair.reconnect().await;
    loop {
        match events.next().await.unwrap() {
            StoreEvent::Missed => {}
            StoreEvent::Stored { committed_points, .. } => break assert_eq!(committed_points, 15),
            event => panic!("{event:?}"),
        }
    }
}

/// With an asynchronous standby, a promotion loses acknowledged points. The offset goes back, and the totals are those
/// of the points that are stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_lost_commits_never_leads_to_a_wrong_total() {
    let Some(mut primary) = Cluster::start().await else { return };
    let link = Proxy::start(primary.address).await;
    let standby = primary.standby(link.address).await;
    let ports = (primary.address.port(), standby.address.port());
    let url = format!(
        "postgres://{USER}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/{DATABASE}",
        ports.0, ports.1
    );
    let (first, second) = (migrated(&url).await, connected(&url).await);
    let held = recorded(&*first, 1, 10).await;
    standby.wait_until("SELECT count(*) FROM waywiser_recording WHERE points = 10", "1").await;
    link.cut(true).await;
    // The standby knows neither this opening nor the commits after it.
    let held = {
        let reopened = first.open(name(1), opening()).await.unwrap();
        assert!(reopened.epoch > held.epoch);
        commit(&*first, 1, &reopened, 20).await.unwrap()
    };
    primary.kill().await;
    standby.promote().await;
    // Another writer takes over, and the sequence may assign the same number again.
    let taken = loop {
        match second.open(name(1), opening()).await {
            Ok(taken) => break taken,
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(taken.committed_points(), 10);
    assert_ne!(taken.epoch, held.epoch);
    let next = commit(&*second, 1, &taken, 25).await.unwrap();
    // The first writer continues from its offset, at which the other writer has other points.
    let outcome = loop {
        match commit(&*first, 1, &held, 3).await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(StoreError::Unknown(_)) => {}
            outcome => break outcome,
        }
    };
    assert_eq!(outcome, Err(StoreError::Fenced { epoch: taken.epoch }));
    // Its reading connection may still be lost.
    let stored = retried(async || first.load(name(1)).await).await;
    assert_eq!(stored, Some(next.clone()));
    let again = retried(async || first.open(name(1), opening()).await).await;
    assert_eq!(again.committed_points(), 35);
    assert_folded(1, &again);
}

/// The paused primary accepts connections and does not answer. The standby is asked while that attempt is still open.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_primary_does_not_delay_the_use_of_the_promoted_standby() {
    let Some(pair) = Pair::start().await else { return };
    let store = migrated(&pair.primary.url()).await;
    let held = recorded(&*store, 1, 10).await;
    drop(store);
    pair.primary.pause();
    pair.isolate().await;
    pair.standby.promote().await;
    let (first, second) =
        (Proxy::start(pair.primary.address).await, Proxy::start(pair.standby.address).await);
    second.block(true);
    let url = format!(
        "postgres://{USER}:{PASSWORD}@{},{}/{DATABASE}?connect_timeout=60",
        first.address, second.address
    );
    let connecting = tokio::spawn(async move { connected(&url).await });
    // Each host is accepted by its own proxy, in any order.
    first.accepted(1).await;
    second.accepted(1).await;
    assert_eq!((first.accepted_so_far(), first.open_now()), (1, 1), "the first attempt is open");
    second.block(false);
    let store = connecting.await.unwrap();
    assert_eq!(store.load(name(1)).await, Ok(Some(held)));
    // The second connection starts with the host that answered. On a slow machine it asks the other one, too.
    assert_eq!(second.accepted_so_far(), 2);
    assert!(first.accepted_so_far() <= 2, "{}", first.accepted_so_far());
    assert_eq!(store.stats().failures, 0);
    pair.primary.resume();
}

/// The first host accepts the connection, and does not answer to the transaction that waits for its standbys. The attempt
/// is cancelled when the second one has succeeded.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_cancelled_keeps_no_connection() {
    let Some(cluster) = Cluster::start().await else { return };
    let (first, second) =
        (Proxy::start(cluster.address).await, Proxy::start(cluster.address).await);
    second.block(true);
    first.on("pg_logical_emit_message", Fault::Silence);
    let url = format!(
        "postgres://{USER}:{PASSWORD}@{},{}/{DATABASE}?connect_timeout=60",
        first.address, second.address
    );
    // A migration has one connection.
    let settings = settings(&url);
    let connecting = tokio::spawn(async move { PostgresStore::migrate(&settings).await });
    first.happened(1).await;
    assert_eq!(first.open_now(), 1);
    second.block(false);
    connecting.await.unwrap().unwrap();
    first.closed().await;
}
