//! Server-Sent Events of a recording.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use super::{Client, Web};
use crate::isolation::transcript::piece;

/// Opens a stream of events, and checks its headers.
async fn watch(web: &Web, query: &str, headers: &[(&str, &str)]) -> Client {
    let mut client = web.connect().await;
    client.send("GET", &format!("/api/paths/live/events{query}"), headers, b"").await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.header("content-type").as_str()), (200, "text/event-stream"));
    assert_eq!(head.header("cache-control"), "no-store");
    assert!(client.until("retry: 2000\n\n").await.is_some());
    client
}

/// Returns the next event, and the comments before it.
async fn event(client: &mut Client) -> (String, Value, usize) {
    let mut comments = 0;
    loop {
        // Chunks end with a line break of their own.
        let text = client.until("\n\n").await.unwrap();
        let lines: Vec<_> = text.lines().collect();
        let of = |prefix: &str| lines.iter().find_map(|line| line.strip_prefix(prefix));
        match of("event: ") {
            Some(kind) => {
                let data = serde_json::from_str(of("data: ").unwrap()).unwrap();
                return (kind.to_owned(), data, comments);
            }
            None => comments += usize::from(of(": heartbeat").is_some()),
        }
    }
}

/// Starts to record over gRPC, and returns the sender of the points.
async fn recorder(web: &Web) -> mpsc::Sender<pb::RecordPathRequest> {
    let (pieces, received) = mpsc::channel(1);
    let mut client = web.server.paths().await;
    tokio::spawn(async move { client.record_path(ReceiverStream::new(received)).await });
    pieces
}

#[tokio::test]
async fn a_watcher_sees_a_recording_grow_until_its_end() {
    let store = Arc::new(MemoryStore::default());
    let quick = |config: &mut waywiser::Config| {
        config.checkpoint_interval = std::time::Duration::from_millis(1);
    };
    let same = |server| server;
    let web = Web::with_store(Arc::clone(&store) as _, quick, same).await;
    // The identifier of an earlier event changes nothing.
    let query = "?allow_missing&recent_points";
    let mut watcher = watch(&web, query, &[("last-event-id", "999 x")]).await;
    // Comments keep the stream open while there is no recording.
    for _ in 0..3 {
        assert!(watcher.until(": heartbeat\n\n").await.is_some());
    }
    assert_eq!(web.monitor.web_stats().event_streams, 1);
    let pieces = recorder(&web).await;
    let mut last = 0;
    for end in [2, 4, 6] {
        pieces.send(piece("paths/live", end - 2..end, end == 6)).await.unwrap();
        while last < end as u64 {
            let (kind, path, _) = event(&mut watcher).await;
            assert_eq!((kind.as_str(), &path["name"]), ("path", &Value::from("paths/live")));
            let committed = path["committed_points"].as_u64().unwrap();
            assert!(committed >= last, "{committed} after {last}");
            let points = path["recent_points"].as_array().unwrap();
            assert_eq!(points.len() as u64, committed - last, "those since the last event");
            last = committed;
        }
    }
    drop(pieces);
    let (mut kind, mut data, _) = event(&mut watcher).await;
    while kind == "path" {
        (kind, data, _) = event(&mut watcher).await;
    }
    assert_eq!((kind.as_str(), data), ("end", serde_json::json!({})));
    while web.monitor.web_stats().event_streams > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_deletion_ends_the_stream_with_an_error() {
    let web = Web::start().await;
    let pieces = recorder(&web).await;
    pieces.send(piece("paths/live", 0..2, false)).await.unwrap();
    let mut watcher = watch(&web, "?allow_missing", &[]).await;
    assert_eq!(event(&mut watcher).await.0, "path");
    let deleted = web.request("DELETE", "/api/paths/live", &[], b"").await;
    assert_eq!(deleted.status, 204);
    let error = loop {
        let (kind, data, _) = event(&mut watcher).await;
        if kind == "error" {
            break data;
        }
    };
    assert_eq!(
        (&error["error"]["status"], &error["error"]["reason"]),
        (&Value::from(404), &Value::from("PATH_NOT_FOUND"))
    );
}

#[tokio::test]
async fn a_watcher_that_disconnects_leaves_nothing_behind() {
    let web = Web::start().await;
    for _ in 0..20 {
        drop(watch(&web, "?allow_missing", &[]).await);
    }
    while web.monitor.web_stats().event_streams > 0 || web.monitor.stats().watchers > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drain_ends_open_streams_and_the_server() {
    let mut web = Web::with(
        |config| config.drain_timeout = std::time::Duration::from_millis(200),
        |server| server,
    )
    .await;
    let mut watcher = watch(&web, "?allow_missing", &[]).await;
    let idle = web.connect().await;
    web.server.stop();
    let (kind, data, _) = event(&mut watcher).await;
    assert_eq!((kind.as_str(), &data["error"]["reason"]), ("error", &Value::from("SHUTTING_DOWN")));
    assert_eq!(data["error"]["status"], 503);
    assert_eq!(idle.closed().await, "");
    web.server.stopped().await;
}
