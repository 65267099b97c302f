//! Connections that hold resources: idle ones, silent ones, ones that do not read, ones that reset.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::Request;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use crate::support::{PATH_LENGTH, Raw, Server, frame, frames, logged};

const WATCH_PATH: &str = "/waywiser.v1.PathService/WatchPath";
const MEASURE_PATHS: &str = "/waywiser.v1.PathService/MeasurePaths";
const LIST_PATHS: &str = "/waywiser.v1.PathService/ListPaths";

/// An HTTP/2 connection whose receive window is of this size, and the task that drives it.
async fn connect(
    address: SocketAddr,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>, SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    let peer = stream.local_addr().unwrap();
    let mut builder = h2::client::Builder::new();
    let (send, connection) = builder.initial_window_size(window).handshake(stream).await.unwrap();
    (send, tokio::spawn(connection), peer)
}

fn request(path: &str) -> Request<()> {
    let builder = Request::post(format!("http://localhost{path}"));
    builder.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap()
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_after_its_time() {
    let server =
        Server::with(|config| config.connection_idle_timeout = Duration::from_millis(50)).await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    // It ends by GOAWAY with NO_ERROR, which a client takes for an ordinary end.
    connection.await.unwrap().unwrap();
    drop(send);
    // One with a stream stays.
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    call.send(frames(&[(0, 0)]));
    let (_send, idle, _) = connect(server.address, 1 << 16).await;
    idle.await.unwrap().unwrap();
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_makes_room() {
    let server = Server::with(|config| {
        config.max_connections = 3;
        config.max_connections_per_peer = 3;
    })
    .await;
    let mut busy = Raw::connect(server.address).await;
    let mut open = busy.call(PATH_LENGTH);
    open.send(frames(&[(0, 0)]));
    let (first, first_connection, _) = connect(server.address, 1 << 16).await;
    for _ in 0..5 {
        // Each is served, in the place of the one before that is idle.
        server.assert_well().await;
    }
    first_connection.await.unwrap().unwrap();
    drop(first);
    open.close();
    assert_eq!(open.answer().await.unwrap().code, Code::Ok);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let server = Server::with(|config| {
        config.keepalive_interval = Duration::from_millis(50);
        config.keepalive_timeout = Duration::from_millis(50);
    })
    .await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut received = Vec::new();
    let _ = silent.read_to_end(&mut received).await;
    // A PING and a GOAWAY are among what the server has sent.
    let kinds = frame_kinds(&received);
    assert!(kinds.contains(&6) && kinds.last() == Some(&7), "{kinds:?}");
    // One that answers stays, although it does nothing else.
    let mut raw = Raw::connect(server.address).await;
    let mut other = TcpStream::connect(server.address).await.unwrap();
    other.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let _ = other.read_to_end(&mut Vec::new()).await;
    let mut call = raw.call(PATH_LENGTH);
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
}

/// The types of the HTTP/2 frames in these bytes.
fn frame_kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((&[a, b, c, kind, ..], rest)) = bytes.split_first_chunk::<9>() {
        kinds.push(kind);
        bytes = rest.get(u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn a_reply_that_is_not_read_is_ended_and_logged() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(50)).await;
    for window in [0, 1] {
        let (send, _connection, peer) = connect(server.address, window).await;
        let mut send = send.ready().await.unwrap();
        let (response, mut body) = send.send_request(request(LIST_PATHS), false).unwrap();
        body.send_data(frame(&[]), true).unwrap();
        let mut reply: RecvStream = response.await.unwrap().into_body();
        // The window stays as it is: nothing is released.
        let end = loop {
            match reply.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the reply ended"),
            }
        };
        assert_eq!(end.reason(), Some(Reason::CANCEL), "window {window}");
        let line = &logged(peer, 1).await[0];
        assert!(line.contains("outcome=DeadlineExceeded"), "{line}");
        assert!(line.contains("read nothing of the answer for 0.05 s"), "{line}");
    }
    server.assert_well().await;
}

/// A stream of paths whose answers are not read, with as much input as the windows hold.
async fn unread_batch(send: &mut SendRequest<Bytes>) -> h2::SendStream<Bytes> {
    let mut ready = send.clone().ready().await.unwrap();
    let (_response, mut body) = ready.send_request(request(MEASURE_PATHS), false).unwrap();
    let one = pb::MeasurePathsRequest { end_path: true, ..Default::default() };
    let many = Bytes::from(frame(&one.encode_to_vec()).repeat(4096));
    let mut left = 1 << 20;
    while left > 0 {
        body.reserve_capacity(left);
        if body.capacity() == 0 {
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let Some(Ok(_)) = room else { break };
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
async fn a_connection_that_holds_most_gets_no_new_streams_and_is_ended_in_the_end() {
    // Three streams with a full window each are 84 % of this, five are more than all of it.
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
        // A call that was admitted has no status yet: the server had not read all of the three.
        if let Some(status) = tonic::Status::from_header_map(&headers) {
            break status;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    let info = tonic_types::StatusExt::get_details_error_info(&refused).unwrap();
    assert_eq!(info.reason, "SERVER_MEMORY");
    // Others are served.
    server.assert_well().await;
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
    server.assert_well().await;
}

#[tokio::test]
async fn a_connection_that_resets_more_than_half_of_its_streams_is_closed() {
    let server = Server::start().await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    let watch = pb::WatchPathRequest { name: "paths/none".into(), allow_missing: true };
    let watch = frame(&watch.encode_to_vec());
    let run = async |is_reset: bool| {
        let mut send = send.clone().ready().await?;
        let path = if is_reset { WATCH_PATH } else { PATH_LENGTH };
        let (response, mut body) = send.send_request(request(path), false)?;
        body.send_data(if is_reset { watch.clone() } else { Bytes::new() }, true)?;
        let response = response.await?;
        if is_reset {
            body.send_reset(Reason::CANCEL);
        } else {
            let mut reply = response.into_body();
            while let Some(data) = reply.data().await {
                data?;
            }
        }
        Ok::<_, h2::Error>(())
    };
    // Half of them is not more than half.
    for index in 0..1000 {
        run(index % 2 == 0).await.unwrap();
    }
    let mut count = 0;
    while run(true).await.is_ok() {
        count += 1;
    }
    assert!((900..=1100).contains(&count), "{count}");
    let end = connection.await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end:?}");
}

#[tokio::test]
async fn resets_count_also_while_the_server_reads_the_request() {
    // Without the limit on resets before a stream starts, which would close the connection first.
    let server = Server::with(|config| config.max_pending_resets = 1_000_000).await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    let reset = async || {
        let mut send = send.clone().ready().await?;
        let (_response, mut body) = send.send_request(request(PATH_LENGTH), false)?;
        body.send_data(frames(&[(0, 0)]), false)?;
        body.send_reset(Reason::CANCEL);
        // Lets the connection write.
        tokio::task::yield_now().await;
        Ok::<_, h2::Error>(())
    };
    while reset().await.is_ok() {}
    let end = connection.await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end:?}");
}

#[tokio::test]
async fn resets_before_the_server_gets_to_a_stream_are_limited() {
    let server = Server::with(|config| config.max_pending_resets = 8).await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..2001_u32).step_by(2) {
        bytes.extend(headers(stream));
        bytes.extend([0, 0, 4, 3, 0]); // RST_STREAM
        bytes.extend(stream.to_be_bytes());
        bytes.extend(8_u32.to_be_bytes()); // CANCEL
    }
    assert_eq!(goaway(&mut raw, &bytes).await, Some(11), "ENHANCE_YOUR_CALM");
    server.assert_well().await;
}

#[tokio::test]
async fn streams_that_the_client_breaks_are_limited() {
    let server = Server::with(|config| config.max_error_resets = 8).await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..401_u32).step_by(2) {
        // HEADERS with content-length: 0, and DATA of one byte, which is an error of the stream.
        bytes.extend([0, 0, 7, 1, 4]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend([0x83, 0x86, 0x84, 0x0f, 0x0d, 1, b'0']);
        bytes.extend([0, 0, 1, 0, 0]);
        bytes.extend(stream.to_be_bytes());
        bytes.push(0);
    }
    assert_eq!(goaway(&mut raw, &bytes).await, Some(11), "ENHANCE_YOUR_CALM");
    server.assert_well().await;
}

/// A HEADERS frame with POST, http and the path /, by index in the static table.
fn headers(stream: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 3, 1, 4];
    bytes.extend(stream.to_be_bytes());
    bytes.extend([0x83, 0x86, 0x84]);
    bytes
}

/// Sends bytes and returns the error code of the GOAWAY that answers them.
async fn goaway(raw: &mut TcpStream, bytes: &[u8]) -> Option<u32> {
    let (mut reader, mut writer) = raw.split();
    let send = async {
        let _ = writer.write_all(bytes).await;
    };
    let mut received = Vec::new();
    let receive = async {
        let _ = reader.read_to_end(&mut received).await;
    };
    futures::future::join(send, receive).await;
    let mut rest = &received[..];
    let mut code = None;
    while let Some((&[a, b, c, kind, ..], payload)) = rest.split_first_chunk::<9>() {
        if kind == 7 {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = payload.get(u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    code
}

#[tokio::test]
async fn a_drain_closes_idle_connections_and_watches_at_once() {
    // With this drain time the test would not end if the drain waited for any of them.
    let mut server =
        Server::with(|config| config.drain_timeout = Duration::from_secs(24 * 60 * 60)).await;
    let (idle, idle_connection, _) = connect(server.address, 1 << 16).await;
    // One that answers no ping.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut paths = server.paths().await;
    let watch = pb::WatchPathRequest { name: "paths/none".into(), allow_missing: true };
    let mut watch = paths.watch_path(watch).await.unwrap().into_inner();
    server.assert_well().await;
    server.stop();
    let status = watch.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the server is shutting down; call again");
    server.stopped().await;
    idle_connection.await.unwrap().unwrap();
    drop((idle, silent));
}

#[tokio::test]
async fn metadata_past_the_limit_get_a_status() {
    let server = Server::with(|config| config.max_header_bytes = 2048).await;
    let mut raw = Raw::connect(server.address).await;
    let long = "x".repeat(3000);
    let answer = raw.call_with(PATH_LENGTH, &[("x-long", &long)]).answer().await.unwrap();
    assert_eq!(answer.code, Code::ResourceExhausted);
    assert_eq!(answer.reason.as_deref(), Some("METADATA_TOO_LARGE"));
    server.assert_well().await;
}

#[tokio::test]
async fn reflection_refuses_a_long_message_and_repeats_none() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let mut call = raw.call(&path);
        // A ServerReflectionRequest with a file_containing_symbol of 60 KB.
        let symbol = "x".repeat(60_000);
        let mut message = vec![0x22, 0xe0, 0xd4, 0x03];
        message.extend(symbol.as_bytes());
        call.send(frame(&message));
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::ResourceExhausted);
        assert_eq!(answer.reason.as_deref(), Some("MESSAGE_TOO_LARGE"));
        assert!(answer.message.len() < 200, "{}", answer.message);
    }
    server.assert_well().await;
}

#[tokio::test]
async fn health_answers_for_unknown_services_as_specified_and_its_watches_last() {
    let mut server = Server::with_store(Arc::new(MemoryStore::default()), |config| {
        config.stream_idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut health = HealthClient::new(server.channel().await);
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let error = health.check(of("no.Such")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let mut unknown = health.watch(of("no.Such")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status, 3, "SERVICE_UNKNOWN");
    let mut known = health.watch(of("waywiser.v1.PathService")).await.unwrap().into_inner();
    assert_eq!(known.message().await.unwrap().unwrap().status, 1);
    // A stream that is idle for as long as a stream may be does not end the watches.
    let mut raw = Raw::connect(server.address).await;
    for _ in 0..3 {
        let answer = raw.call(PATH_LENGTH).answer().await.unwrap();
        assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
    }
    server.stop();
    assert_eq!(known.message().await.unwrap().unwrap().status, 2);
    for watch in [&mut known, &mut unknown] {
        let status = watch.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "the server is shutting down; call again");
    }
    drop((raw, health, known, unknown));
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_socket_is_closed() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(100)).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut raw = socket.connect(server.address).await.unwrap();
    // Settings and a window that hold back nothing: only the socket is in the way.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    bytes.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0]);
    raw.write_all(&bytes).await.unwrap();
    // Each answer has the descriptors of a service, some kilobytes.
    let symbol = b"waywiser.v1.PathService";
    let message = frame(&[&[0x22, symbol.len() as u8], &symbol[..]].concat());
    let mut stream = 1_u32;
    let error = loop {
        let mut call =
            literal_headers(stream, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        call.extend([0, 0, message.len() as u8, 0, 1]);
        call.extend(stream.to_be_bytes());
        call.extend(&message);
        // Before it is closed, the server may stop reading.
        if let Err(error) = raw.write_all(&call).await {
            break error;
        }
        stream += 2;
    };
    assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
    server.assert_well().await;
}

/// A HEADERS frame of a gRPC call, all fields as literals.
fn literal_headers(stream: u32, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    let mut bytes = vec![0, 0, block.len() as u8, 1, 4];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(block);
    bytes
}

#[tokio::test]
async fn input_that_was_read_is_not_charged_to_idle_connections() {
    // Less than the clients send together.
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

#[tokio::test]
async fn connections_that_only_watch_make_room_when_none_is_idle() {
    let server = Server::with(|config| {
        config.max_connections = 2;
        config.max_connections_per_peer = 2;
    })
    .await;
    let mut health = HealthClient::new(server.channel().await);
    let mut first = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    first.message().await.unwrap();
    let mut paths = server.paths().await;
    let watch = pb::WatchPathRequest { name: "paths/none".into(), allow_missing: true };
    let mut second = paths.watch_path(watch).await.unwrap().into_inner();
    server.assert_well().await;
    let status = first.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("which only watched"), "{}", status.message());
    // The other one still waits.
    let next = futures::FutureExt::now_or_never(second.message());
    assert!(next.is_none());
}

#[tokio::test]
async fn streams_that_open_at_the_same_time_share_the_limit_on_new_recordings() {
    let server = Server::with(|config| config.max_new_recordings_per_minute = 1).await;
    let paths = server.paths().await;
    let record = |index: usize| {
        let mut paths = paths.clone();
        let message = pb::RecordPathRequest {
            name: format!("paths/new-{index}"),
            points: vec![pb::Point::default()],
            ..Default::default()
        };
        async move { paths.record_path(tokio_stream::iter([message])).await.map(drop) }
    };
    let outcomes = futures::future::join_all((0..100).map(record)).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 98, "two minutes' worth are created");
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = tonic_types::StatusExt::get_details_error_info(status).unwrap();
        assert_eq!(info.reason, "CREATION_RATE");
    }
    // A recording that exists is opened all the same.
    let created = outcomes.iter().position(Result::is_ok).unwrap();
    let message = pb::RecordPathRequest {
        name: format!("paths/new-{created}"),
        write_offset: Some(1),
        points: vec![pb::Point::default()],
        ..Default::default()
    };
    let mut paths = server.paths().await;
    let reply = paths.record_path(tokio_stream::iter([message])).await.unwrap().into_inner();
    assert_eq!(reply.committed_points, 2);
}
