//! The addresses of clients whose connections arrive through proxies: headers, and the PROXY protocol.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::{PATH_LENGTH, Raw, Server, frames};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_of_each_call() {
    let server = Server::with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.peer_quota.max_streams = Some(1);
    })
    .await;
    let mut raw = Raw::connect(server.address).await;
    let of = |raw: &mut Raw, value: &str| raw.call_with(PATH_LENGTH, &[("x-forwarded-for", value)]);
    let mut open = of(&mut raw, "203.0.113.7");
    open.send(frames(&[(0, 0)]));
    // Quotas per peer apply to the client, whatever it wrote into the header itself.
    let refused = of(&mut raw, "198.51.100.1, 203.0.113.7").answer().await.unwrap();
    assert_eq!(refused.code, Code::ResourceExhausted);
    let mut other = of(&mut raw, "203.0.113.8:999");
    other.close();
    assert_eq!(other.answer().await.unwrap().code, Code::Ok);
    assert_eq!(server.ended_calls(address("203.0.113.8:999"), 1).await.len(), 1);
    let mut unknown = of(&mut raw, "unknown");
    unknown.close();
    assert_eq!(unknown.answer().await.unwrap().code, Code::Ok);
    assert_eq!(server.ended_calls(raw.peer, 1).await.len(), 1);
    open.close();
    assert_eq!(open.answer().await.unwrap().code, Code::Ok);
    assert_eq!(server.ended_calls(address("203.0.113.7:0"), 2).await.len(), 2);
}

#[tokio::test]
async fn a_client_that_is_no_trusted_proxy_is_not_believed() {
    let server =
        Server::with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call_with(PATH_LENGTH, &[("x-forwarded-for", "203.0.113.7")]);
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    assert_eq!(server.ended_calls(raw.peer, 1).await.len(), 1);
}

async fn proxy_server(trusted: &str, max_connections_per_peer: usize) -> Server {
    Server::with(|config| {
        config.trusted_proxies = vec![trusted.parse().unwrap()];
        config.proxy_protocol = true;
        config.max_connections_per_peer = max_connections_per_peer;
    })
    .await
}

/// Connects and sends these bytes first.
async fn connect(server: &Server, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(header).await.unwrap();
    stream
}

/// Makes a call on a new connection that starts with this header. Returns the connection if the server answers.
async fn call_after(server: &Server, header: &[u8]) -> Option<Raw> {
    let mut raw = Raw::over_tcp(connect(server, header).await).await?;
    let answer = raw.try_call(PATH_LENGTH).await.ok()?;
    (answer.code == Code::Ok).then_some(raw)
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_of_a_connection() {
    let server = proxy_server("127.0.0.1", 1).await;
    let one = b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 50051\r\n";
    let mut other = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    other.extend([203, 0, 113, 8, 10, 0, 0, 1, 0, 99, 0, 80]);
    let first = call_after(&server, one).await.unwrap();
    let second = call_after(&server, &other).await.unwrap();
    // The limit of connections per peer applies to the client, not to the proxy.
    assert!(call_after(&server, one).await.is_none());
    // A health check of the proxy itself.
    assert!(call_after(&server, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.is_some());
    server.ended_calls(address("203.0.113.7:5000"), 1).await;
    server.ended_calls(address("203.0.113.8:99"), 1).await;
    drop((first, second));
}

#[tokio::test]
async fn a_trusted_proxy_must_send_a_header_and_others_must_not() {
    let server = proxy_server("127.0.0.1", 9).await;
    assert!(call_after(&server, b"").await.is_none());
    let mut stream = connect(&server, b"GET / HTTP/1.1\r\n\r\n").await;
    // The server closes the connection, with or without a reset.
    let read = stream.read(&mut [0; 16]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let server = proxy_server("10.0.0.0/8", 9).await;
    assert!(call_after(&server, b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 50051\r\n").await.is_none());
    assert!(call_after(&server, b"").await.is_some());
}
