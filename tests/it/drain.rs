//! The shutdown of a server: open streams finish, and clients cannot delay the end beyond the drain timeout.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{PATH_LENGTH, Raw, Server, frames};

#[tokio::test]
async fn an_open_stream_may_finish_and_a_new_one_is_refused() {
    let mut server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    call.send(frames(&[(0, 0)]));

    let mut health = HealthClient::new(server.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);

    server.stop();
    // The watch receives NOT_SERVING first. The listener closes at about the same time.
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }

    // On an open connection a new stream is refused, by GOAWAY or by its answer.
    if let Ok(answer) = raw.try_call(PATH_LENGTH).await {
        assert_eq!(answer.reason.as_deref(), Some("SHUTTING_DOWN"));
    }
    call.send(frames(&[(3, 4)]));
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::Ok, "{}", answer.message);
    // After the last measured path the drain waits for nothing, so the watch ends.
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    drop((raw, watch, health));
    server.stopped().await;
}

#[tokio::test]
async fn a_stream_that_does_not_finish_ends_with_unavailable() {
    let mut server = Server::with(|config| config.drain_timeout = Duration::from_millis(300)).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    call.send(frames(&[(0, 0), (1, 1)]));
    // An answered call shows that the open one has begun.
    let mut other = raw.call(PATH_LENGTH);
    other.close();
    other.answer().await.unwrap();
    server.stop();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::Unavailable);
    assert_eq!(answer.reason.as_deref(), Some("SHUTTING_DOWN"));
    assert_eq!(
        answer.message,
        "the server is shutting down after 2 points; send the path again, or a recording from its committed_points"
    );
    server.stopped().await;
}

#[tokio::test]
async fn silent_and_stalled_clients_do_not_delay_the_end() {
    let mut server = Server::with(|config| config.drain_timeout = Duration::from_millis(300)).await;
    // One client sends nothing. The other one performs the handshake, then reads nothing and answers no ping.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let stalled = TcpStream::connect(server.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stalled).await.unwrap();
    server.assert_works().await;
    server.stop();
    server.stopped().await;
    // The connection has ended, also if it was reset.
    let _ = silent.read_to_end(&mut Vec::new()).await;
    drop((send, connection));
}
