//! The memory limit: connections that hold much unread input get no new streams, and are closed if memory is short. Recordings
//! that are open for requests count as well.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::server::Monitor;
use waywiser::store::MemoryStore;

use crate::support::faulty::{Call, Fault, Faulty};
use crate::support::window::{connect, request};
use crate::support::{PATH_LENGTH, Raw, Server, frame, frames};

const MEASURE_PATHS: &str = "/waywiser.v1.PathService/MeasurePaths";

/// Opens a stream of paths whose answers are not read, and sends as much input as the windows permit.
async fn unread_batch(send: &mut SendRequest<Bytes>) -> h2::SendStream<Bytes> {
    let mut ready = send.clone().ready().await.unwrap();
    let (_response, mut body) = ready.send_request(request(MEASURE_PATHS), false).unwrap();
    let one = pb::MeasurePathsRequest { end_path: true, ..Default::default() };
    let many = Bytes::from(frame(&one.encode_to_vec()).repeat(4096));
    let mut left = 1 << 20;
    while left > 0 {
        body.reserve_capacity(left);
        if body.capacity() == 0 {
            let capacity = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let Some(Ok(_)) = capacity else { break };
        }
        let part = many.slice(..body.capacity().min(many.len()).min(left));
        left -= part.len();
        if body.send_data(part, false).is_err() {
            break;
        }
    }
    body
}

#[tokio::test]
async fn a_connection_that_holds_most_memory_gets_no_new_streams_and_is_closed() {
    // Three streams with a full window each hold 84 % of the first limit, and more than the second one.
    let windows = |config: &mut waywiser::Config| {
        config.stream_window_bytes = 1 << 20;
        config.connection_window_bytes = 4 << 20;
    };
    let server = Server::with(|config| {
        windows(config);
        config.max_memory_bytes = Some(3_800_000);
    })
    .await;
    let (mut send, connection, _) = connect(server.address, 0).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(unread_batch(&mut send).await);
    }
    let refused = loop {
        let mut ready = send.clone().ready().await.unwrap();
        let (response, _) = ready.send_request(request(PATH_LENGTH), true).unwrap();
        let headers = response.await.unwrap().headers().clone();
        // A call that was admitted has no status yet: the server had not received the input of all three.
        if let Some(status) = tonic::Status::from_header_map(&headers) {
            break status;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    let info = tonic_types::StatusExt::get_details_error_info(&refused).unwrap();
    assert_eq!(info.reason, "SERVER_MEMORY");
    // Other connections still get streams.
    server.assert_works().await;
    drop((held, send, connection));

    let server = Server::with(|config| {
        windows(config);
        config.max_memory_bytes = Some(3_000_000);
    })
    .await;
    let (mut send, connection, _) = connect(server.address, 0).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(unread_batch(&mut send).await);
    }
    let end = connection.await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end:?}");
    server.assert_works().await;
}

#[tokio::test]
async fn input_that_was_read_is_not_charged_to_idle_connections() {
    // The limit is less than the clients send together.
    let server = Server::with(|config| config.max_memory_bytes = Some(2 << 20)).await;
    let points = frames(&[(1, 1); 10_000]);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call(PATH_LENGTH);
        assert!(call.send_within_window(points.clone()).await);
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
        clients.push(raw);
    }
    for raw in &mut clients {
        let mut call = raw.call(PATH_LENGTH);
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    }
}

/// Many clients send points of recordings whose commits take long, until the budget is used up.
#[tokio::test]
async fn requests_beyond_the_memory_limit_are_refused_and_no_point_is_lost() {
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::default())));
    store.always(Call::Commit, Some(Fault::HeldBefore));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut monitor = Monitor::default();
    let small = |config: &mut waywiser::Config| config.max_memory_bytes = Some(1 << 20);
    let server = Server::adapted(listener, Arc::clone(&store) as _, small, |server| {
        monitor = server.monitor();
        server
    });
    let client = server.paths().await;
    let append = |index: usize| {
        let mut client = client.clone();
        let options = pb::PathOptions { preset: pb::Preset::Phone.into(), ..Default::default() };
        let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
        let point = pb::Point { x: 13.7, y: 46.4, time, ..Default::default() };
        let request = pb::AppendPointsRequest {
            name: format!("paths/p{index}"),
            options: Some(pb::PathOptions { reorder_count: 8, drop_duplicates: true, ..options }),
            points: vec![point],
            columns: None,
        };
        async move { client.append_points(request).await.map(|reply| reply.into_inner()) }
    };
    let mut accepted = Vec::new();
    let refused = loop {
        let index = accepted.len();
        // Without recordings, the budget is enough for more than 60 calls.
        assert!(index < 50);
        let call = tokio::spawn(append(index));
        while !call.is_finished() && store.calls(Call::Commit) <= index as u64 {
            yield_now().await;
        }
        if call.is_finished() {
            break call.await.unwrap().unwrap_err();
        }
        accepted.push(call);
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    let info = tonic_types::StatusExt::get_details_error_info(&refused).unwrap();
    assert_eq!(info.reason, "SERVER_MEMORY");
    let held = monitor.stats().memory_used_bytes;
    assert!(held > (accepted.len() as u64) * 24 * 1024, "{held}");

    store.always(Call::Commit, None);
    store.release(accepted.len());
    let count = accepted.len();
    for call in accepted {
        assert_eq!(call.await.unwrap().unwrap().committed_points, 1);
    }
    // Few recordings stay open without requests.
    while monitor.stats().recordings_open > 5 {
        yield_now().await;
    }
    assert_eq!(append(count).await.unwrap().committed_points, 1);
    for index in 0..=count {
        let request = pb::GetPathRequest { name: format!("paths/p{index}"), ..Default::default() };
        let path = server.paths().await.get_path(request).await.unwrap().into_inner().path;
        assert_eq!(path.unwrap().committed_points, 1);
    }
}
