//! The server's bounds, each met from outside.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::{PATH_LENGTH, Raw, Server, frame, frames, logged};

/// Waits until the other side has closed.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset is a close as well.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_connection_past_the_limit_is_closed_and_one_that_ends_makes_room() {
    let server = Server::with(|config| config.max_connections = 1).await;
    let mut first = Raw::connect(server.address).await;
    let mut call = first.call(PATH_LENGTH);
    call.close();
    call.answer().await.unwrap();
    closed(TcpStream::connect(server.address).await.unwrap()).await;
    first.vanish().await;
    // The server notices in its own time: try until there is room.
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
async fn a_connection_that_never_speaks_or_stops_in_its_preface_is_closed() {
    let server = Server::with(|config| config.handshake_timeout = Duration::from_millis(50)).await;
    for opening in ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening.as_bytes()).await.unwrap();
        closed(stream).await;
    }
    server.assert_well().await;
}

#[tokio::test]
async fn other_protocols_are_turned_away() {
    let server = Server::start().await;
    for opening in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1], &[0; 99]]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening).await.unwrap();
        stream.shutdown().await.unwrap();
        closed(stream).await;
    }
    server.assert_well().await;
}

#[tokio::test]
async fn health_and_reflection_have_the_same_bounds() {
    let server = Server::with(|config| {
        config.max_message_bytes = 100;
        config.stream_idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call("/grpc.health.v1.Health/Check");
    call.send(vec![0, 0, 0, 0, 9]); // and never the message
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
    let mut call = raw.call("/grpc.health.v1.Health/Check");
    call.send(vec![0, 0, 0, 0, 101]);
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::ResourceExhausted);
    assert_eq!(answer.reason.as_deref(), Some("MESSAGE_TOO_LARGE"));
}

#[tokio::test]
async fn the_message_limit_is_the_one_configured() {
    let server = Server::with(|config| config.max_message_bytes = 100).await;
    let mut raw = Raw::connect(server.address).await;
    // Unknown fields are legal and skipped, however many there are.
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
async fn a_header_list_past_the_limit_is_refused() {
    let server = Server::with(|config| config.max_header_bytes = 2048).await;
    let mut raw = Raw::connect(server.address).await;
    let long = "x".repeat(4096);
    let mut call = raw.call_with(PATH_LENGTH, &[("x-long", &long)]);
    assert_eq!(call.response_status().await, Some(431));
    server.assert_well().await;
}

#[tokio::test]
async fn streams_past_the_limit_wait_their_turn() {
    let server = Server::with(|config| config.max_streams_per_connection = 2).await;
    let mut raw = Raw::connect(server.address).await;
    // The first answer comes after the server's settings. A client that opens many streams before
    // it has read them sees some refused, with REFUSED_STREAM, which is safe to try again.
    let mut calls = vec![raw.call(PATH_LENGTH)];
    calls[0].close();
    calls[0].answer().await.unwrap();
    calls = vec![raw.call(PATH_LENGTH), raw.call(PATH_LENGTH)];
    let mut third = raw.call(PATH_LENGTH);
    // The third has said all it has to say, and is not answered before one of the others.
    third.close();
    for call in &mut calls {
        call.send(frames(&[(0, 0)]));
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    }
    assert_eq!(third.answer().await.unwrap().code, Code::Ok);
    let lines = logged(raw.peer, 4).await;
    assert!(lines[1].contains("points=1 "), "{lines:?}");
}

#[tokio::test]
async fn what_is_no_grpc_call_gets_an_http_status_and_a_word() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    assert_eq!(raw.plain("GET", "text/html").await, (405, true));
    assert_eq!(raw.plain("POST", "application/json").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpcx").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpc+json").await, (415, true));
    assert_eq!(raw.plain("POST", "application/grpc+proto").await, (200, false));
}
