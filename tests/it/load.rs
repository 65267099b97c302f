//! Many concurrent streams, among them slow and stalled ones.

use futures::future::join_all;
use tokio::task::yield_now;
use waywiser::proto::my_package::Point;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::server::Monitor;

use crate::support::{PATH_LENGTH, Raw, Server, frames};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_streams_get_correct_answers() {
    let server = Server::start().await;
    let client = server.planar().await;
    let calls = (0..200).map(|stream| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let points = (0..2000).map(move |i| Point { x: i * (stream + 1), y: 0 });
            let reply = client.compute_path_length(tokio_stream::iter(points)).await;
            let reply = reply.unwrap().into_inner();
            assert_eq!(reply.length, 1999.0 * f64::from(stream + 1));
            assert_eq!(reply.point_count, 2000);
        })
    });
    for outcome in join_all(calls).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn a_stalled_stream_does_not_delay_others() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let points = frames(&[(0, 0), (3, 4)]);
    let mut stalled = raw.call(PATH_LENGTH);
    stalled.send(points.slice(..points.len() - 1));
    let mut active = raw.call(PATH_LENGTH);
    active.send(points.clone());
    active.close();
    assert_eq!(active.answer().await.unwrap().code, tonic::Code::Ok);
    stalled.send(points.slice(points.len() - 1..));
    stalled.close();
    assert_eq!(stalled.answer().await.unwrap().code, tonic::Code::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_per_frame_at_full_speed_keeps_the_connection() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    let point = frames(&[(464_000_000, 137_000_000)]);
    let mut sent = 0_u64;
    while sent < 200_000 {
        assert!(call.send_within_window(point.clone()).await, "cut after {sent} points");
        sent += 1;
    }
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, tonic::Code::Ok, "{}", answer.message);
    let reply: waywiser::proto::my_package::PathLengthResponse =
        prost::Message::decode(&answer.body[5..]).unwrap();
    assert_eq!(reply.point_count, sent);
}

#[tokio::test]
async fn one_byte_per_frame_is_accepted() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    let zigzag: Vec<_> = (0..2000).map(|i| (3 * i, 4 * (i % 2))).collect();
    let points = frames(&zigzag);
    for at in 0..points.len() {
        call.send(points.slice(at..=at));
        if at % 256 == 0 {
            tokio::task::yield_now().await;
        }
    }
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, tonic::Code::Ok, "{}", answer.message);
}

/// Returns the most calls that competed for the threads until a future was complete.
pub async fn most_competing<T>(
    monitor: &Monitor,
    future: impl Future<Output = T> + Send + 'static,
) -> u64
where
    T: Send + 'static,
{
    // The server runs on the thread of the test.
    let task = tokio::spawn(future);
    let mut most = 0;
    while !task.is_finished() {
        most = most.max(monitor.stats().calls_competing);
        yield_now().await;
    }
    task.await.unwrap();
    most
}

#[tokio::test]
async fn appended_points_compete_for_the_threads() {
    let mut monitor = Monitor::default();
    let large = |config: &mut waywiser::Config| config.max_message_bytes = 1 << 20;
    let server = Server::in_memory(large, |server| {
        monitor = server.monitor();
        server
    })
    .await;
    let mut client = server.paths().await;
    let point = |index: i64| {
        let time = Some(prost_types::Timestamp { seconds: 1_700_000_000 + index, nanos: 0 });
        pb::Point { x: 13.0 + index as f64 * 1e-5, y: 46.0, time, ..Default::default() }
    };
    let request = move |range: std::ops::Range<i64>| pb::AppendPointsRequest {
        name: "paths/phone".to_owned(),
        options: Some(pb::PathOptions {
            preset: pb::Preset::Phone.into(),
            reorder_count: 8,
            drop_duplicates: true,
            ..Default::default()
        }),
        points: range.map(point).collect(),
        columns: None,
    };
    let append = async move { client.append_points(request(0..10_000)).await.unwrap() };
    assert_eq!(most_competing(&monitor, append).await, 1);
    let mut client = server.paths().await;
    let append = async move { client.append_points(request(10_000..10_001)).await.unwrap() };
    assert_eq!(most_competing(&monitor, append).await, 0, "a small request needs one time slice");
    assert_eq!(monitor.stats().calls_competing, 0);
}
