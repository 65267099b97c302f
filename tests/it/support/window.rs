//! HTTP/2 connections with a receive window of the test's choice.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Opens a connection with this receive window. Returns the task that drives it and the address of the client, too.
pub async fn connect(
    address: SocketAddr,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>, SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    let peer = stream.local_addr().unwrap();
    let mut builder = h2::client::Builder::new();
    let (send, connection) = builder.initial_window_size(window).handshake(stream).await.unwrap();
    (send, tokio::spawn(connection), peer)
}

/// Returns the request of a gRPC call.
pub fn request(path: &str) -> Request<()> {
    let builder = Request::post(format!("http://localhost{path}"));
    builder.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap()
}
