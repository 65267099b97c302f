//! The limits of the server, tested from outside.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;

use crate::support::{PATH_LENGTH, Raw, Server, frame, frames};

/// Waits until the other side has closed.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset closes the connection, too.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_is_closed_until_another_one_ends() {
    let server = Server::with(|config| config.max_connections = 1).await;
    let mut first = Raw::connect(server.address).await;
    let mut call = first.call(PATH_LENGTH);
    call.close();
    call.answer().await.unwrap();
    closed(TcpStream::connect(server.address).await.unwrap()).await;
    first.abort().await;
    // The server detects the end with some delay, so the test tries again.
    loop {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let Ok((send, connection)) = h2::client::handshake(stream).await else { continue };
        let connection = tokio::spawn(connection);
        let ready = send.ready().await;
        let Ok(mut send) = ready else { continue };
        let request = http::Request::post("http://localhost/").body(()).unwrap();
        let Ok((response, _)) = send.send_request(request, true) else { continue };
        if response.await.is_ok() {
            connection.abort();
            break;
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_complete_preface_is_closed() {
    let server = Server::with(|config| config.handshake_timeout = Duration::from_millis(50)).await;
    for opening in ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening.as_bytes()).await.unwrap();
        closed(stream).await;
    }
    server.assert_works().await;
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let server = Server::start().await;
    for opening in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1], &[0; 99]]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening).await.unwrap();
        stream.shutdown().await.unwrap();
        closed(stream).await;
    }
    server.assert_works().await;
}

#[tokio::test]
async fn health_checks_are_limited_in_size_and_time() {
    let server = Server::with(|config| {
        config.max_message_bytes = 100;
        config.stream_idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call("/grpc.health.v1.Health/Check");
    call.send(vec![0, 0, 0, 0, 9]); // The message does not follow.
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
    let mut call = raw.call("/grpc.health.v1.Health/Check");
    call.send(vec![0, 0, 0, 0, 101]);
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::ResourceExhausted);
    assert_eq!(answer.reason.as_deref(), Some("MESSAGE_TOO_LARGE"));
}

#[tokio::test]
async fn the_message_limit_is_configurable() {
    let server = Server::with(|config| config.max_message_bytes = 100).await;
    let mut raw = Raw::connect(server.address).await;
    // Unknown fields are valid and are skipped.
    for (length, code) in [(100, Code::Ok), (101, Code::ResourceExhausted)] {
        let mut payload = vec![0x1a, length - 2];
        payload.resize(length.into(), 0);
        let mut call = raw.call(PATH_LENGTH);
        call.send(frame(&payload));
        call.close();
        assert_eq!(call.answer().await.unwrap().code, code, "{length}");
    }
}

#[tokio::test]
async fn a_header_list_above_the_limit_is_refused() {
    let server = Server::with(|config| config.max_header_bytes = 2048).await;
    let mut raw = Raw::connect(server.address).await;
    let long = "x".repeat(4096);
    let mut call = raw.call_with(PATH_LENGTH, &[("x-long", &long)]);
    assert_eq!(call.response_status().await, Some(431));
    server.assert_works().await;
}

#[tokio::test]
async fn streams_above_the_limit_wait() {
    let server = Server::with(|config| config.max_streams_per_connection = 2).await;
    let mut raw = Raw::connect(server.address).await;
    // The first answer follows the settings of the server. A client that opens many streams before it has read the
    // settings gets REFUSED_STREAM for some, which it may retry safely.
    let mut calls = vec![raw.call(PATH_LENGTH)];
    calls[0].close();
    calls[0].answer().await.unwrap();
    calls = vec![raw.call(PATH_LENGTH), raw.call(PATH_LENGTH)];
    let mut third = raw.call(PATH_LENGTH);
    // The third stream is complete, but it is not answered before one of the others has ended.
    third.close();
    for call in &mut calls {
        call.send(frames(&[(0, 0)]));
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    }
    assert_eq!(third.answer().await.unwrap().code, Code::Ok);
    let calls = server.ended_calls(raw.peer, 4).await;
    assert_eq!(calls[1].points, 1, "{calls:?}");
}

#[tokio::test]
async fn a_request_that_is_not_a_grpc_call_gets_an_http_status_and_a_text() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    assert_eq!(raw.plain("GET", "text/html").await, (405, true));
    assert_eq!(raw.plain("POST", "application/json").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpcx").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpc+json").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpc+proto").await, (200, false));
}

#[tokio::test]
async fn metadata_above_the_limit_is_refused_with_a_status() {
    let server = Server::with(|config| config.max_header_bytes = 2048).await;
    let mut raw = Raw::connect(server.address).await;
    let long = "x".repeat(3000);
    let answer = raw.call_with(PATH_LENGTH, &[("x-long", &long)]).answer().await.unwrap();
    assert_eq!(answer.code, Code::ResourceExhausted);
    assert_eq!(answer.reason.as_deref(), Some("METADATA_TOO_LARGE"));
    server.assert_works().await;
}

#[tokio::test]
async fn reflection_refuses_a_long_message_without_repeating_it() {
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
    server.assert_works().await;
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
    assert_eq!(refused.len(), 98, "the recordings of two minutes are created");
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = tonic_types::StatusExt::get_details_error_info(status).unwrap();
        assert_eq!(info.reason, "CREATION_RATE");
    }
    // A recording that exists can still be opened.
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
