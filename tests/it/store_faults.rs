//! The service with a store that has injected faults. Whatever the result of a call to the store is, a recording
//! finishes once and with the same bits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::iter;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::StoreError;
use waywiser::store::{MemoryStore, RedbStore};

use crate::support::Server;
use crate::support::faulty::{Call, Fault, Faulty, unavailable, unknown};

const NAME: &str = "paths/walk";

async fn start(store: &Arc<Faulty>) -> Server {
    Server::with_store(Arc::clone(store) as _, |config| {
        config.checkpoint_points = 1;
        config.checkpoint_interval = Duration::from_millis(2);
    })
    .await
}

fn faulty() -> Arc<Faulty> {
    Arc::new(Faulty::new(Arc::new(MemoryStore::default())))
}

/// A message with points of a path whose legs have length 5.
fn message(range: std::ops::Range<usize>, finish_write: bool) -> pb::RecordPathRequest {
    let row = |i: usize| {
        let (x, y) = (3.0 * i as f64, 4.0 * i as f64);
        pb::Point { x, y, ..Default::default() }
    };
    pb::RecordPathRequest {
        name: NAME.to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        write_offset: Some(range.start as u64),
        points: range.map(row).collect(),
        finish_write,
        ..Default::default()
    }
}

async fn stored(server: &Server) -> Result<pb::Path, Status> {
    let request = pb::GetPathRequest { name: NAME.to_owned(), ..Default::default() };
    Ok(server.paths().await.get_path(request).await?.into_inner().path.unwrap())
}

/// Loads the path. Repeats a call that has the injected fault.
async fn stored_with_retry(server: &Server) -> pb::Path {
    match stored(server).await {
        Ok(path) => path,
        Err(_) => stored(server).await.unwrap(),
    }
}

/// Sends the points that are not durable until the path is finished. Returns the number of streams that this took.
async fn finish(server: &Server) -> (pb::RecordPathResponse, usize) {
    for streams in 1..=10 {
        let start = match stored(server).await {
            Ok(path) => path.committed_points as usize,
            Err(status) if status.code() == Code::NotFound => 0,
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                continue;
            }
        };
        // The first message sends a durable point again.
        let messages = [message(start.min(2)..start.max(3), false), message(start.max(3)..5, true)];
        match server.paths().await.record_path(iter(messages)).await {
            Ok(reply) => return (reply.into_inner(), streams),
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
    panic!("the store failed once, but the path is not finished after ten streams");
}

#[tokio::test]
async fn a_path_finishes_once_with_the_same_bits_after_any_store_fault() {
    let faults = [
        Fault::Before(unknown()),
        Fault::After(unknown()),
        Fault::Before(unavailable()),
        Fault::After(unavailable()),
        Fault::Late,
    ];
    for fault in faults {
        for call in [Call::Open, Call::Commit, Call::Load] {
            if matches!(fault, Fault::Late) && call != Call::Commit {
                continue;
            }
            for nth in 1..=2 {
                let store = faulty();
                store.on(call, nth, fault.clone());
                let server = start(&store).await;
                let what = format!("{fault:?} at {call:?} {nth}");
                if let Err(status) =
                    server.paths().await.record_path(iter([message(0..2, false)])).await
                {
                    assert_eq!(status.code(), Code::Unavailable, "{what}: {status:?}");
                }
                let (reply, _) = finish(&server).await;
                assert!(reply.complete, "{what}");
                assert_eq!(reply.committed_points, 5, "{what}");
                assert_eq!(reply.summary.as_ref().unwrap().length, Some(20.0), "{what}");
                let path = stored_with_retry(&server).await;
                assert_eq!((path.complete, &path.summary), (true, &reply.summary), "{what}");
                // Late commits change nothing.
                for outcome in store.deliver().await {
                    assert!(
                        matches!(outcome, Err(StoreError::Fenced { .. })),
                        "{what}: {outcome:?}"
                    );
                }
                assert_eq!(stored_with_retry(&server).await, path, "{what}");
                assert!(store.is_spent(), "{what}: the faulty call did not happen");
            }
        }
    }
}

#[tokio::test]
async fn an_unavailable_store_is_reported_as_unavailable() {
    let store = faulty();
    for call in [Call::Open, Call::Load] {
        store.always(call, Some(Fault::Before(unavailable())));
    }
    let server = start(&store).await;
    let refused = server.paths().await.record_path(iter([message(0..3, false)])).await.unwrap_err();
    for status in [refused, stored(&server).await.unwrap_err()] {
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.domain.as_str()), (Code::Unavailable, "waywiser"));
    }
    for call in [Call::Open, Call::Load] {
        store.always(call, None);
    }
    assert_eq!(stored(&server).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(finish(&server).await.1, 1);
}

#[tokio::test]
async fn reading_does_not_wait_for_the_disk() {
    let store = faulty();
    store.on(Call::Commit, 1, Fault::HeldBefore);
    let server = start(&store).await;
    let (messages, receiver) = mpsc::channel(1);
    let mut client = server.paths().await;
    let call = tokio::spawn(async move { client.record_path(ReceiverStream::new(receiver)).await });
    // More than fits into the windows, so the server reads while the first commit is pending.
    let (count, size) = (100, 2000);
    for at in 0..count {
        messages.send(message(at * size..(at + 1) * size, at + 1 == count)).await.unwrap();
    }
    assert_eq!(store.calls(Call::Commit), 1);
    assert_eq!(stored(&server).await.unwrap().committed_points, 0);
    store.release(1);
    drop(messages);
    let reply = call.await.unwrap().unwrap().into_inner();
    let points = (count * size) as u64;
    assert_eq!((reply.complete, reply.committed_points), (true, points));
    assert_eq!(reply.summary.unwrap().length, Some(5.0 * (points - 1) as f64));
}

/// The directory is deleted, and then replaced, while a stream records.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_directory_is_lost_acknowledges_nothing() {
    for is_replaced in [false, true] {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let store = Arc::new(RedbStore::open(&path).unwrap());
        let server = Server::with_store(store, |config| {
            config.checkpoint_points = 1;
            config.checkpoint_interval = Duration::from_millis(2);
        })
        .await;
        let (messages, receiver) = mpsc::channel(1);
        let mut client = server.paths().await;
        let call =
            tokio::spawn(async move { client.record_path(ReceiverStream::new(receiver)).await });
        messages.send(message(0..2, false)).await.unwrap();
        while stored(&server).await.map_or(0, |path| path.committed_points) < 2 {
            tokio::task::yield_now().await;
        }
        std::fs::rename(&path, parent.path().join("aside")).unwrap();
        if is_replaced {
            drop(RedbStore::open(&path).unwrap());
        }
        // The stream continues, and the rest is not reported as durable while the directory is lost.
        messages.send(message(2..5, true)).await.unwrap();
        let status = stored(&server).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let text = status.message();
        assert!(
            text.contains("was deleted, moved or replaced") && text.contains("restart"),
            "{text}"
        );
        let refused = server.paths().await.record_path(iter([message(0..1, false)])).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
        // When the directory is back, everything is stored.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::rename(parent.path().join("aside"), &path).unwrap();
        drop(messages);
        let reply = call.await.unwrap().unwrap().into_inner();
        assert_eq!((reply.complete, reply.committed_points), (true, 5));
    }
}
