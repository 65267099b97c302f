//! The points of recordings that servers return: the last one, and the recent ones.

use std::sync::Arc;

use futures::StreamExt as _;
use tokio_stream::iter;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use crate::support::Server;

fn row(x: f64, y: f64) -> pb::Point {
    pb::Point { x, y, ..Default::default() }
}

fn points(range: std::ops::Range<usize>) -> Vec<pb::Point> {
    range.map(|i| row(3.0 * i as f64, 4.0 * i as f64)).collect()
}

fn message(name: &str, range: std::ops::Range<usize>) -> pb::RecordPathRequest {
    let options = pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() };
    pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(options),
        write_offset: Some(range.start as u64),
        points: points(range),
        ..Default::default()
    }
}

/// Returns a message that finishes the path.
fn last(message: pb::RecordPathRequest) -> pb::RecordPathRequest {
    pb::RecordPathRequest { finish_write: true, ..message }
}

async fn record(server: &Server, message: pb::RecordPathRequest) {
    server.paths().await.record_path(iter([message])).await.unwrap();
}

/// Returns a recording and its recent points.
async fn stored(server: &Server, name: &str) -> (pb::Path, Vec<pb::Point>) {
    let request = pb::GetPathRequest { name: name.to_owned(), include_recent_points: true };
    let reply = server.paths().await.get_path(request).await.unwrap().into_inner();
    (reply.path.unwrap(), reply.recent_points)
}

#[tokio::test]
async fn a_recording_has_the_last_durable_point_also_on_another_server() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let (name, time) = ("paths/van", prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 });
    let point = |x, seconds| {
        let time = Some(prost_types::Timestamp { seconds: time.seconds + seconds, ..time });
        pb::Point { x, y: 46.4397, z: Some(9.5), time, accuracy_m: Some(3.0), ..row(0.0, 0.0) }
    };
    // The last one is too fast.
    let points = vec![point(13.7, 0), point(13.7001, 60), point(-80.0, 61)];
    let options = pb::PathOptions { max_speed_mps: 100.0, ..Default::default() };
    let message = pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(options),
        points: points.clone(),
        ..Default::default()
    };
    record(&server, message).await;
    let other = Server::with_store(store, |_| {}).await;
    for server in [&server, &other] {
        let found = stored(server, name).await.0.last_point;
        // The accuracy is used when the point is measured, and not kept.
        assert_eq!(found, Some(pb::Point { accuracy_m: None, ..points[1] }));
    }
    record(&server, pb::RecordPathRequest { name: "paths/empty".to_owned(), ..Default::default() })
        .await;
    assert_eq!(stored(&server, "paths/empty").await.0.last_point, None);
}

/// Returns the x of the recent points of a recording.
async fn recent(server: &Server, name: &str) -> Vec<f64> {
    stored(server, name).await.1.iter().map(|point| point.x).collect()
}

#[tokio::test]
async fn the_server_that_writes_a_recording_has_its_recent_points() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let name = "paths/walk";
    let point = pb::Point {
        z: Some(2.5),
        time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        accuracy_m: Some(3.5),
        ..row(1.0, -2.0)
    };
    let marked = pb::Point { starts_segment: true, ..row(7.0, 8.0) };
    let first = pb::RecordPathRequest { points: vec![point, marked], ..message(name, 0..0) };
    record(&server, first).await;
    assert_eq!(stored(&server, name).await.1, [point, marked], "as they were sent");
    let request = pb::GetPathRequest { name: name.to_owned(), ..Default::default() };
    let reply = server.paths().await.get_path(request).await.unwrap().into_inner();
    assert_eq!(reply.recent_points, []);

    // Another server has none until it writes, and the recording is one.
    let other = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    assert_eq!(recent(&other, name).await, [0.0; 0]);
    record(&other, message(name, 2..4)).await;
    assert_eq!(recent(&other, name).await, [6.0, 9.0]);

    // A deleted recording leaves nothing to one with its name.
    let request = pb::DeletePathRequest { name: name.to_owned(), ..Default::default() };
    server.paths().await.delete_path(request).await.unwrap();
    record(&server, message(name, 0..1)).await;
    assert_eq!(recent(&server, name).await, [0.0]);
    assert_eq!(recent(&other, name).await, [0.0; 0]);
}

#[tokio::test]
async fn the_recent_points_of_a_long_upload_end_with_its_last_point() {
    let server = Server::start().await;
    let x: Vec<_> = [0].into_iter().chain(std::iter::repeat_n(1, 99_999)).collect();
    let columns = pb::PointColumns { y: vec![0; x.len()], x, ..Default::default() };
    // In the columns of one message, and as one whole block.
    for (id, count) in [("long", 10_000), ("block", 256)] {
        let name = format!("paths/{id}");
        let part = |column: &[i64]| column[..count].to_vec();
        let columns =
            pb::PointColumns { x: part(&columns.x), y: part(&columns.y), ..Default::default() };
        let message = pb::RecordPathRequest { columns: Some(columns), ..message(&name, 0..0) };
        record(&server, message).await;
        let known = recent(&server, &name).await;
        assert!(known.len() <= 512 && known.is_sorted_by(|a, b| a < b), "{known:?}");
        assert_eq!(known.last(), Some(&(count as f64 - 1.0)));
    }
}

/// The batches of apps have more points than a block.
#[tokio::test]
async fn a_batch_of_one_request_has_all_or_evenly_spaced_recent_points() {
    let server = Server::start().await;
    for (count, steps) in
        [(300, 3.0..=3.0), (512, 3.0..=3.0), (1000, 3.0..=6.0), (2000, 3.0..=24.0)]
    {
        let name = format!("paths/of{count}");
        let options = pb::PathOptions {
            model: pb::Model::Planar.into(),
            reorder_count: 8,
            drop_duplicates: true,
            ..Default::default()
        };
        let at = |(index, point): (usize, pb::Point)| {
            let seconds = 1_700_000_000 + index as i64;
            pb::Point { time: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..point }
        };
        let request = pb::AppendPointsRequest {
            name: name.clone(),
            options: Some(options),
            points: points(0..count).into_iter().enumerate().map(at).collect(),
            ..Default::default()
        };
        server.paths().await.append_points(request).await.unwrap();
        let known = recent(&server, &name).await;
        assert!(known.len() >= 256.min(count) && known.len() <= 512, "{}", known.len());
        assert_eq!(known.last(), Some(&(3.0 * (count - 1) as f64)));
        for pair in known.windows(2) {
            assert!(steps.contains(&(pair[1] - pair[0])), "{count} points: {pair:?}");
        }
    }
}

#[tokio::test]
async fn a_watcher_receives_each_recent_point_once() {
    let store = Arc::new(MemoryStore::default());
    let quick = |config: &mut waywiser::Config| {
        config.checkpoint_interval = std::time::Duration::from_millis(1);
    };
    let server = Server::with_store(store, quick).await;
    let name = "paths/live";
    record(&server, message(name, 0..3)).await;
    let request = pb::WatchPathRequest {
        name: name.to_owned(),
        include_recent_points: true,
        ..Default::default()
    };
    let mut watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
    let mut known = Vec::new();
    for range in [3..3, 3..4, 4..9, 9..10] {
        let end = range.end;
        let message = message(name, range.clone());
        record(&server, if end == 10 { last(message) } else { message }).await;
        while known.len() < end {
            let response = watch.next().await.unwrap().unwrap();
            known.extend(response.recent_points.iter().map(|point| point.x));
            assert_eq!(known.len() as u64, response.path.unwrap().committed_points);
        }
    }
    assert_eq!(known, points(0..10).iter().map(|point| point.x).collect::<Vec<_>>());
}
