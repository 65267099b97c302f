//! WatchPath over sockets: each watcher receives the latest state, also if reports are late, their caller disconnects,
//! or another server makes the commit.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::iter;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::{CheckpointStore as _, OpenRequest, RecordingName};
use waywiser::store::MemoryStore;

use crate::support::faulty::{Call, Fault, Faulty};
use crate::support::{Raw, Server, frame};

const NAME: &str = "paths/walk";

fn piece(range: std::ops::Range<usize>, finish_write: bool) -> pb::RecordPathRequest {
    let row = |i: usize| pb::Point { x: 3.0 * i as f64, y: 4.0 * i as f64, ..Default::default() };
    pb::RecordPathRequest {
        name: NAME.to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        write_offset: Some(range.start as u64),
        points: range.map(row).collect(),
        finish_write,
        ..Default::default()
    }
}

async fn record(server: &Server, range: std::ops::Range<usize>, finish_write: bool) {
    let pieces = iter([piece(range, finish_write)]);
    server.paths().await.record_path(pieces).await.unwrap();
}

async fn watch(server: &Server, allow_missing: bool) -> Streaming<pb::WatchPathResponse> {
    let request =
        pb::WatchPathRequest { name: NAME.to_owned(), allow_missing, ..Default::default() };
    server.paths().await.watch_path(request).await.unwrap().into_inner()
}

async fn next(watch: &mut Streaming<pb::WatchPathResponse>) -> Result<(u64, bool), Status> {
    let path = watch.next().await.unwrap()?.path.unwrap();
    Ok((path.committed_points, path.complete))
}

fn faulty() -> Arc<Faulty> {
    Arc::new(Faulty::new(Arc::new(MemoryStore::default())))
}

#[tokio::test]
async fn every_watcher_receives_the_current_state_at_once() {
    let server = Server::start().await;
    record(&server, 0..3, false).await;
    // The recording does not grow while these watches begin.
    let mut watches = Vec::new();
    for _ in 0..4 {
        let mut watch = watch(&server, false).await;
        assert_eq!(next(&mut watch).await.unwrap(), (3, false));
        watches.push(watch);
    }
    record(&server, 3..5, true).await;
    for watch in &mut watches {
        while !next(watch).await.unwrap().1 {}
        assert!(watch.next().await.is_none());
    }
    for allow_missing in [false, true] {
        let mut watch = watch(&server, allow_missing).await;
        assert_eq!(next(&mut watch).await.unwrap(), (5, true));
        assert!(watch.next().await.is_none());
    }
}

/// Two servers in one process use one store.
#[tokio::test]
async fn a_watcher_receives_the_commits_and_the_deletion_of_another_server() {
    let store = Arc::new(MemoryStore::default());
    let watched = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let written = Server::with_store(store, |_| {}).await;
    let mut from_the_start = watch(&watched, true).await;
    record(&written, 0..3, false).await;
    while next(&mut from_the_start).await.unwrap() != (3, false) {}
    let mut later = watch(&watched, false).await;
    assert_eq!(next(&mut later).await.unwrap(), (3, false));
    record(&written, 3..5, false).await;
    for watch in [&mut from_the_start, &mut later] {
        while next(watch).await.unwrap() != (5, false) {}
    }
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    written.paths().await.delete_path(request).await.unwrap();
    for watch in [&mut from_the_start, &mut later] {
        assert_eq!(next(watch).await.unwrap_err().code(), Code::NotFound);
    }
    let mut again = watch(&watched, true).await;
    record(&written, 0..2, true).await;
    while next(&mut again).await.unwrap() != (2, true) {}
    assert!(again.next().await.is_none());
}

#[tokio::test]
async fn a_watcher_of_a_recording_that_expires_receives_not_found() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    // The store has a recording that expires soon. It has no writer, whose commit could be too late.
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now_unix_ms = since_1970.as_millis() as i64;
    let opening = OpenRequest {
        options: None,
        now_unix_ms,
        expire_unix_ms: now_unix_ms + 20,
        max_in_namespace: None,
    };
    store.open(NAME.parse().unwrap(), opening).await.unwrap();
    // The recording expires before the watch begins, or during it.
    let request =
        pb::WatchPathRequest { name: NAME.to_owned(), allow_missing: false, ..Default::default() };
    let status = match server.paths().await.watch_path(request).await {
        Err(status) => status,
        Ok(watch) => {
            let mut watch = watch.into_inner();
            loop {
                match next(&mut watch).await {
                    Ok(state) => assert_eq!(state, (0, false)),
                    Err(status) => break status,
                }
            }
        }
    };
    assert_eq!(status.code(), Code::NotFound);
}

/// The store has done the deletion, and its answer is delayed while another writer begins the recording again.
#[tokio::test]
async fn a_deletion_that_is_reported_late_does_not_hide_the_new_recording() {
    let store = faulty();
    store.on(Call::Delete, 1, Fault::HeldAfter);
    let server = Server::with_store(Arc::clone(&store) as _, |config| {
        config.checkpoint_points = 1;
    })
    .await;
    record(&server, 0..3, false).await;
    let mut old = watch(&server, false).await;
    assert_eq!(next(&mut old).await.unwrap(), (3, false));
    let mut client = server.paths().await;
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    let deletion = tokio::spawn(async move { client.delete_path(request).await });
    let name: RecordingName = NAME.parse().unwrap();
    while store.load(name.clone()).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let (messages, receiver) = mpsc::channel(1);
    let mut client = server.paths().await;
    let writer =
        tokio::spawn(async move { client.record_path(ReceiverStream::new(receiver)).await });
    messages.send(piece(0..2, false)).await.unwrap();
    let mut new = watch(&server, true).await;
    while next(&mut new).await.unwrap() != (2, false) {}
    store.release(1);
    deletion.await.unwrap().unwrap();
    assert_eq!(next(&mut old).await.unwrap_err().code(), Code::NotFound);
    // The late report has no effect on the new recording.
    let mut later = watch(&server, false).await;
    assert_eq!(next(&mut later).await.unwrap(), (2, false));
    messages.send(piece(2..3, true)).await.unwrap();
    drop(messages);
    for watch in [&mut new, &mut later] {
        while next(watch).await.unwrap() != (3, true) {}
    }
    writer.await.unwrap().unwrap();
}

/// The answer to the load of a new watcher is delayed while the recording is deleted.
#[tokio::test]
async fn a_load_that_is_reported_after_the_deletion_is_ignored() {
    let store = faulty();
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    record(&server, 0..3, false).await;
    let loads = store.calls(Call::Load);
    store.on(Call::Load, loads + 1, Fault::HeldAfter);
    let mut client = server.paths().await;
    let request =
        pb::WatchPathRequest { name: NAME.to_owned(), allow_missing: false, ..Default::default() };
    let watching = tokio::spawn(async move { client.watch_path(request).await });
    while store.calls(Call::Load) == loads {
        tokio::task::yield_now().await;
    }
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    server.paths().await.delete_path(request).await.unwrap();
    store.release(1);
    let status = match watching.await.unwrap() {
        Ok(watch) => next(&mut watch.into_inner()).await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(status.code(), Code::NotFound);
}

/// The client of a deletion disconnects before the store answers.
#[tokio::test]
async fn a_deletion_is_reported_also_if_its_caller_stops_waiting() {
    let store = faulty();
    store.on(Call::Delete, 1, Fault::HeldAfter);
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    record(&server, 0..3, false).await;
    let mut watch = watch(&server, false).await;
    assert_eq!(next(&mut watch).await.unwrap(), (3, false));
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call("/waywiser.v1.PathService/DeletePath");
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    call.send(frame(&request.encode_to_vec()));
    call.close();
    let name: RecordingName = NAME.parse().unwrap();
    while store.load(name.clone()).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    call.body.send_reset(h2::Reason::CANCEL);
    server.ended_calls(raw.peer, 1).await;
    store.release(1);
    assert_eq!(next(&mut watch).await.unwrap_err().code(), Code::NotFound);
}

/// The store deletes a recording and answers that the outcome is unknown.
#[tokio::test]
async fn a_deletion_with_an_unknown_outcome_is_looked_up_for_watchers() {
    let store = faulty();
    let unknown = crate::support::faulty::unknown();
    store.on(Call::Delete, 1, Fault::After(unknown));
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    record(&server, 0..3, false).await;
    let mut watch = watch(&server, false).await;
    assert_eq!(next(&mut watch).await.unwrap(), (3, false));
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    let status = server.paths().await.delete_path(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(next(&mut watch).await.unwrap_err().code(), Code::NotFound);
}

/// The store has not answered when the server ends: the server waits for the commit of the stream that it cut.
#[tokio::test]
async fn a_cut_stream_is_committed_before_the_server_ends() {
    let store = faulty();
    let mut server = Server::with_store(Arc::clone(&store) as _, |config| {
        config.drain_timeout = Duration::from_millis(200);
        config.checkpoint_interval = Duration::from_secs(3_600);
    })
    .await;
    let (messages, receiver) = mpsc::channel(1);
    let mut client = server.paths().await;
    let call = tokio::spawn(async move { client.record_path(ReceiverStream::new(receiver)).await });
    messages.send(piece(0..4, false)).await.unwrap();
    // The server has the points, and none of them is durable.
    let mut watch = watch(&server, true).await;
    assert_eq!(next(&mut watch).await.unwrap(), (0, false));
    store.always(Call::Commit, Some(Fault::HeldBefore));
    server.stop();
    while store.calls(Call::Commit) == 0 {
        tokio::task::yield_now().await;
    }
    // The client has its answer, and its connection is closed. The server still waits for the store.
    assert!(call.await.unwrap().is_err());
    while watch.next().await.is_some() {}
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!server.is_finished(), "the server ended before the commit");
    store.release(1_000);
    server.stopped().await;
    let stored = store.load(NAME.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.committed_points(), 4);
}
