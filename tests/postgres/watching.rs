//! Changes that other servers make: a store reports those of the recordings that its server watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use waywiser::recording::{
    Checkpoint, CheckpointStore, RecordingName, RecordingVersion, Removed, StoreEvent, StoreEvents,
    Sweep, WatchedRecording, WatchedRecordings,
};

use crate::cluster::DATABASE;
use crate::fixtures::{cluster_and_store, connected, proxied};
use crate::proxy::Fault;
use crate::walk::{EXPIRES, commit, grown, name, opening, precondition, recorded};

/// What a server watches, and the version that it knows of each recording.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<BTreeMap<RecordingName, Option<RecordingVersion>>>>);

impl Watched {
    fn add(&self, recording: u64, known: Option<&Checkpoint>) {
        self.0.lock().unwrap().insert(name(recording), known.map(version));
    }

    fn handle(&self) -> WatchedRecordings {
        let shared = Arc::clone(&self.0);
        WatchedRecordings::new(move || {
            let watched = shared.lock().unwrap();
            let watched = watched.iter().map(|(name, known)| (name.clone(), *known));
            watched.map(|(name, known)| WatchedRecording { name, known }).collect()
        })
    }

    /// Returns the next event of a recording that changes what the server knows, like a server does.
    async fn next(&self, events: &mut StoreEvents) -> StoreEvent {
        loop {
            let event = events.next().await.unwrap();
            let mut watched = self.0.lock().unwrap();
            let (name, now) = match &event {
                StoreEvent::Stored { name, epoch, committed_points, complete } => {
                    let (epoch, committed_points, complete) =
                        (*epoch, *committed_points, *complete);
                    (name, Some(RecordingVersion { epoch, committed_points, complete }))
                }
                StoreEvent::Removed(removed) => (&removed.name, None),
                _ => return event,
            };
            if let Some(known) = watched.get_mut(name)
                && *known != now
            {
                *known = now;
                return event;
            }
        }
    }
}

fn version(checkpoint: &Checkpoint) -> RecordingVersion {
    RecordingVersion {
        epoch: checkpoint.epoch,
        committed_points: checkpoint.committed_points(),
        complete: checkpoint.complete,
    }
}

fn stored(recording: u64, checkpoint: &Checkpoint) -> StoreEvent {
    StoreEvent::Stored {
        name: name(recording),
        epoch: checkpoint.epoch,
        committed_points: checkpoint.committed_points(),
        complete: checkpoint.complete,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_by_another_server_are_reported_in_their_order() {
    let Some((cluster, writer)) = cluster_and_store().await else { return };
    let watcher = connected(&cluster.url()).await;
    let watched = Watched::default();
    watched.add(1, None);
    let mut events = watcher.changes(watched.handle());
    let mut held = recorded(&*writer, 1, 10).await;
    // Fast commits may be reported by the last one.
    loop {
        let event = watched.next(&mut events).await;
        if event == stored(1, &held) {
            break;
        }
        assert!(matches!(event, StoreEvent::Stored { committed_points: 0, .. }), "{event:?}");
    }
    for _ in 0..3 {
        held = commit(&*writer, 1, &held, 5).await.unwrap();
        assert_eq!(watched.next(&mut events).await, stored(1, &held));
    }
    // A recording that is watched later.
    let second = recorded(&*writer, 2, 7).await;
    watched.add(2, None);
    assert_eq!(watched.next(&mut events).await, stored(2, &second));
    // An opening changes the epoch only.
    let opened = writer.open(name(1), opening()).await.unwrap();
    assert_eq!(watched.next(&mut events).await, stored(1, &opened));
    let end = Checkpoint { complete: true, ..grown(&opened, 1, 1) };
    writer.commit(name(1), precondition(&opened), end.clone()).await.unwrap();
    assert_eq!(watched.next(&mut events).await, stored(1, &end));
    writer.delete(name(1)).await.unwrap();
    let removed = Removed { name: name(1), epoch: end.epoch };
    assert_eq!(watched.next(&mut events).await, StoreEvent::Removed(removed));
    // Another server replaces a recording between two polls.
    let before = second.epoch;
    writer.delete(name(2)).await.unwrap();
    let third = recorded(&*writer, 2, 3).await;
    loop {
        let event = watched.next(&mut events).await;
        if event == stored(2, &third) {
            break;
        }
        let is_older = match &event {
            StoreEvent::Removed(removed) => removed.epoch == before,
            StoreEvent::Stored { epoch, committed_points: 0, .. } => *epoch == third.epoch,
            _ => false,
        };
        assert!(is_older, "{event:?}");
    }
    // Expiry by a sweep.
    cluster
        .sql(DATABASE, "UPDATE waywiser_recording SET expire_ms = 5000 WHERE id = 'walk-2'")
        .await;
    writer.sweep(Sweep::expired(EXPIRES - 1), None).await.unwrap();
    let removed = Removed { name: name(2), epoch: third.epoch };
    assert_eq!(watched.next(&mut events).await, StoreEvent::Removed(removed));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_while_the_connection_is_lost_are_reported_afterwards() {
    let Some((cluster, writer)) = cluster_and_store().await else { return };
    let held = recorded(&*writer, 1, 10).await;
    let (proxy, watcher) = proxied(&cluster).await;
    let watched = Watched::default();
    watched.add(1, Some(&held));
    let mut events = watcher.changes(watched.handle());
    proxy.cut(true).await;
    let next = commit(&*writer, 1, &held, 5).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    proxy.cut(false).await;
    loop {
        match watched.next(&mut events).await {
            StoreEvent::Missed => {}
            event => break assert_eq!(event, stored(1, &next)),
        }
    }
}

/// A watched recording that is damaged is not read at each poll, and the others are reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_recording_hides_no_changes_of_others() {
    let Some((cluster, writer)) = cluster_and_store().await else { return };
    let first = recorded(&*writer, 1, 10).await;
    let mut second = recorded(&*writer, 2, 10).await;
    let watcher = connected(&cluster.url()).await;
    let watched = Watched::default();
    watched.add(1, Some(&first));
    watched.add(2, Some(&second));
    let mut events = watcher.changes(watched.handle());
    let garbage = "UPDATE waywiser_recording SET state = '\\x00', points = 11 WHERE id = 'walk-1'";
    cluster.sql(DATABASE, garbage).await;
    for _ in 0..4 {
        second = commit(&*writer, 2, &second, 5).await.unwrap();
        loop {
            let event = watched.next(&mut events).await;
            if event == stored(2, &second) {
                break;
            }
            let is_first =
                matches!(&event, StoreEvent::Stored { name, .. } if *name == crate::walk::name(1));
            assert!(is_first, "{event:?}");
        }
    }
}

/// A failover to an asynchronous standby loses the last commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_is_reported_and_then_what_is_stored() {
    let Some((cluster, writer)) = cluster_and_store().await else { return };
    let first = recorded(&*writer, 1, 10).await;
    cluster.sql(DATABASE, "CREATE TABLE kept AS SELECT * FROM waywiser_recording").await;
    let lost = commit(&*writer, 1, &first, 5).await.unwrap();
    let watcher = connected(&cluster.url()).await;
    let watched = Watched::default();
    watched.add(1, Some(&lost));
    let mut events = watcher.changes(watched.handle());
    let back = "UPDATE waywiser_recording r SET points = k.points, state = k.state, update_ms = k.update_ms
                FROM kept k WHERE r.id = k.id";
    cluster.sql(DATABASE, back).await;
    let expected = StoreEvent::Reverted(name(1));
    while events.next().await.unwrap() != expected {}
    // A server forgets what it knew.
    watched.0.lock().unwrap().insert(name(1), None);
    assert_eq!(watched.next(&mut events).await, stored(1, &first));
}

/// A commit whose answer is lost is reported once it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_reported() {
    let Some((cluster, reader)) = cluster_and_store().await else { return };
    let (proxy, writer) = proxied(&cluster).await;
    let held = recorded(&*writer, 1, 10).await;
    let watched = Watched::default();
    watched.add(1, Some(&held));
    let mut events = reader.changes(watched.handle());
    proxy.on(crate::lost_answers::COMMIT, Fault::CutAfter);
    commit(&*writer, 1, &held, 5).await.unwrap_err();
    assert_eq!(watched.next(&mut events).await, stored(1, &grown(&held, 1, 5)));
}
