//! The end of a server: in good order, and in time, whatever its clients do.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{PATH_LENGTH, Raw, Server, frames};

#[tokio::test]
async fn an_open_stream_may_finish_and_a_new_one_may_not_begin() {
    let mut server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    call.send(frames(&[(0, 0)]));

    let mut health = HealthClient::new(server.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);

    server.stop();
    // NOT_SERVING is told first; by then the listener is gone or about to go.
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }

    // On a connection that is open already a new stream is refused, by GOAWAY or by its answer.
    if let Ok(answer) = raw.try_call(PATH_LENGTH).await {
        assert_eq!(answer.reason.as_deref(), Some("SHUTTING_DOWN"));
    }
    call.send(frames(&[(3, 4)]));
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::Ok, "{}", answer.message);
    // With the last path measured nothing is waited for, the watch least of all.
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    drop((raw, watch, health));
    server.stopped().await;
}

#[tokio::test]
async fn a_stream_that_does_not_finish_is_told_unavailable() {
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
        "the server is shutting down, 2 points in; send the path again, a recording from its committed_points on"
    );
    server.stopped().await;
}

#[tokio::test]
async fn silent_and_stalled_clients_do_not_keep_the_server() {
    let mut server = Server::with(|config| config.drain_timeout = Duration::from_millis(300)).await;
    // One that never speaks, and one that speaks and then reads nothing and answers no ping.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let stalled = TcpStream::connect(server.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stalled).await.unwrap();
    server.assert_well().await;
    server.stop();
    server.stopped().await;
    // What comes before the end is the server's own SETTINGS; a reset is an end as well.
    let _ = silent.read_to_end(&mut Vec::new()).await;
    drop((send, connection));
}
