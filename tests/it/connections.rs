//! Connections that hold resources: idle ones, silent ones, and ones that do not read.

use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waywiser::proto::waywiser_v1 as pb;

use crate::support::window::{connect, request};
use crate::support::{PATH_LENGTH, Raw, Server, frame, frames};

/// Attempts of a check that a pause of the machine can spoil.
const ATTEMPTS: usize = 20;

const LIST_PATHS: &str = "/waywiser.v1.PathService/ListPaths";

#[tokio::test]
async fn a_connection_without_streams_is_closed_after_the_idle_timeout() {
    let server =
        Server::with(|config| config.connection_idle_timeout = Duration::from_millis(50)).await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    // It ends with GOAWAY and NO_ERROR, which is a normal end for a client.
    connection.await.unwrap().unwrap();
    drop(send);
    // A connection with a stream stays open. On a slow machine it is idle for too long before its stream arrives.
    for _ in 0..ATTEMPTS {
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call(PATH_LENGTH);
        call.send(frames(&[(0, 0)]));
        let (_send, idle, _) = connect(server.address, 1 << 16).await;
        idle.await.unwrap().unwrap();
        let _ = call.body.send_data(Bytes::new(), true);
        if let Ok(answer) = call.answer().await {
            assert_eq!(answer.code, Code::Ok);
            return;
        }
    }
    panic!("each connection with a stream was closed");
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_is_closed() {
    let server = Server::with(|config| {
        config.max_connections = 3;
        config.max_connections_per_peer = 3;
    })
    .await;
    let mut busy = Raw::connect(server.address).await;
    let mut open = busy.call(PATH_LENGTH);
    open.send(frames(&[(0, 0)]));
    let (first, first_connection, _) = connect(server.address, 1 << 16).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        // Each takes the place of an idle one, because none is closed by its client.
        let mut other = Raw::connect(server.address).await;
        assert_eq!(other.try_call(PATH_LENGTH).await.unwrap().code, Code::Ok);
        others.push(other);
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
    // The server has sent a PING, and a GOAWAY at the end.
    let kinds = frame_kinds(&received);
    assert!(kinds.contains(&6) && kinds.last() == Some(&7), "{kinds:?}");
    // A connection that answers pings stays open, although it does nothing else. On a slow machine an answer is late.
    for _ in 0..ATTEMPTS {
        let mut raw = Raw::connect(server.address).await;
        let mut other = TcpStream::connect(server.address).await.unwrap();
        other.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let _ = other.read_to_end(&mut Vec::new()).await;
        if let Ok(answer) = raw.try_call(PATH_LENGTH).await {
            assert_eq!(answer.code, Code::Ok);
            return;
        }
    }
    panic!("each connection that answers pings was closed");
}

/// Returns the types of the HTTP/2 frames in these bytes.
fn frame_kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((&[a, b, c, kind, ..], rest)) = bytes.split_first_chunk::<9>() {
        kinds.push(kind);
        bytes = rest.get(u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn a_call_whose_reply_is_not_read_ends_and_is_reported() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(50)).await;
    for window in [0, 1] {
        let (send, _connection, peer) = connect(server.address, window).await;
        let mut send = send.ready().await.unwrap();
        let (response, mut body) = send.send_request(request(LIST_PATHS), false).unwrap();
        body.send_data(frame(&[]), true).unwrap();
        let mut reply: RecvStream = response.await.unwrap().into_body();
        // The client releases no capacity, so the window stays as it is.
        let end = loop {
            match reply.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the reply ended"),
            }
        };
        assert_eq!(end.reason(), Some(Reason::CANCEL), "window {window}");
        let call = &server.ended_calls(peer, 1).await[0];
        assert_eq!(call.code, Code::DeadlineExceeded, "{call:?}");
        assert!(call.message.contains("did not read the answer for 0.05 s"), "{call:?}");
    }
    server.assert_works().await;
}

#[tokio::test]
async fn a_drain_closes_idle_connections_and_watches_at_once() {
    // With this drain timeout the test would not end if the drain waited for any of them.
    let mut server =
        Server::with(|config| config.drain_timeout = Duration::from_secs(24 * 60 * 60)).await;
    let (idle, idle_connection, _) = connect(server.address, 1 << 16).await;
    // A connection that answers no ping.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut paths = server.paths().await;
    let watch = pb::WatchPathRequest {
        name: "paths/none".into(),
        allow_missing: true,
        ..Default::default()
    };
    let mut watch = paths.watch_path(watch).await.unwrap().into_inner();
    server.assert_works().await;
    server.stop();
    let status = watch.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the server is shutting down; call again");
    server.stopped().await;
    idle_connection.await.unwrap().unwrap();
    drop((idle, silent));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_socket_is_closed() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(100)).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut raw = socket.connect(server.address).await.unwrap();
    // Settings and a window without a limit, so that only the socket limits the server.
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
        // The server may stop reading before it closes the connection.
        if let Err(error) = raw.write_all(&call).await {
            break error;
        }
        stream += 2;
    };
    assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
    server.assert_works().await;
}

/// Returns a HEADERS frame of a gRPC call with all fields as literals.
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
async fn a_connection_that_only_watches_is_closed_if_none_is_idle() {
    let server = Server::with(|config| {
        config.max_connections = 2;
        config.max_connections_per_peer = 2;
    })
    .await;
    let mut health = HealthClient::new(server.channel().await);
    let mut first = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    first.message().await.unwrap();
    let mut paths = server.paths().await;
    let watch = pb::WatchPathRequest {
        name: "paths/none".into(),
        allow_missing: true,
        ..Default::default()
    };
    let mut second = paths.watch_path(watch).await.unwrap().into_inner();
    server.assert_works().await;
    let status = first.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("because it only watched"), "{}", status.message());
    // The other watch is still open.
    let next = futures::FutureExt::now_or_never(second.message());
    assert!(next.is_none());
}
