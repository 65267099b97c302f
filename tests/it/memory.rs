//! The memory limit: connections that hold much unread input get no new streams, and are closed if memory is short.

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use prost::Message as _;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;

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
