//! An HTTP/2 server that only accepts requests. The test reads and answers them.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The server. It accepts one connection.
pub struct Listener {
    pub address: SocketAddr,
    requests: mpsc::UnboundedReceiver<(Request<RecvStream>, SendResponse<Bytes>)>,
}

impl Listener {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok(request)) = connection.accept().await {
                let _ = sender.send(request);
            }
        });
        Self { address, requests }
    }

    /// Returns the next request and its response.
    pub async fn next(&mut self) -> (Request<RecvStream>, SendResponse<Bytes>) {
        self.requests.recv().await.unwrap()
    }

    /// Returns the body of the next request and its response.
    pub async fn next_body(&mut self) -> (RecvStream, SendResponse<Bytes>) {
        self.maybe_body().await.unwrap()
    }

    /// Returns the same, or `None` if the connection ends without a further request.
    pub async fn maybe_body(&mut self) -> Option<(RecvStream, SendResponse<Bytes>)> {
        let (request, respond) = self.requests.recv().await?;
        Some((request.into_body(), respond))
    }
}
