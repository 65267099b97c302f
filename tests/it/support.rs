//! A server on port 0, clients that send single HTTP/2 frames, and the calls that the server reports as ended.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use waywiser::Config;
use waywiser::auth::Authenticator;
use waywiser::proto::{my_package, routeguide, waywiser_v1};
use waywiser::recording::CheckpointStore;
use waywiser::server;
use waywiser::store::MemoryStore;

use ended_calls::{EndedCall, EndedCalls};
pub use listener::Listener;

pub use crate::reserved::reserved_address;

pub mod callers;
mod ended_calls;
pub mod faulty;
mod listener;
pub mod live_recording;
pub mod methods;
pub mod pki;
pub mod traced;
pub mod window;

pub const PATH_LENGTH: &str = "/my_package.DisplacementService/computePathLength";
pub const DISPLACEMENT: &str = "/my_package.DisplacementService/computeDisplacement";
pub const RECORD_ROUTE: &str = "/routeguide.RouteGuide/RecordRoute";

pub struct Server {
    pub address: SocketAddr,
    ended_calls: Arc<EndedCalls>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::with_store(Arc::new(MemoryStore::default()), configure).await
    }

    pub async fn with_store(
        store: Arc<dyn CheckpointStore>,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, store, configure)
    }

    /// Starts a server on this listener.
    pub fn on(
        listener: TcpListener,
        store: Arc<dyn CheckpointStore>,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        Self::adapted(listener, store, configure, |server| server)
    }

    /// Starts a server with an authenticator.
    pub async fn with_authenticator(authenticator: Arc<dyn Authenticator>) -> Self {
        Self::in_memory(|_| {}, |server| server.with_authenticator(authenticator)).await
    }

    /// Starts a server with a store in memory, after `adapt` has changed it.
    pub async fn in_memory(
        configure: impl FnOnce(&mut Config),
        adapt: impl FnOnce(server::Server) -> server::Server,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::adapted(listener, Arc::new(MemoryStore::default()), configure, adapt)
    }

    /// Starts a server on this listener, after `adapt` has changed it.
    pub fn adapted(
        listener: TcpListener,
        store: Arc<dyn CheckpointStore>,
        configure: impl FnOnce(&mut Config),
        adapt: impl FnOnce(server::Server) -> server::Server,
    ) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended_calls = Arc::new(EndedCalls::default());
        let server =
            server::Server::new(config, store).with_observer(Arc::clone(&ended_calls) as _);
        let server = adapt(server);
        let served = tokio::spawn(server.run(listener, async {
            let _ = stopped.await;
        }));
        Self { address, ended_calls, stop: Some(stop), served }
    }

    /// Waits until `count` calls of this client have ended, and returns them in the order of their ends. Each call is
    /// returned once.
    pub async fn ended_calls(&self, peer: SocketAddr, count: usize) -> Vec<EndedCall> {
        self.ended_calls.take(peer, count).await
    }

    /// Returns the record of the calls of this server, which outlives the server.
    pub fn all_ended_calls(&self) -> Arc<EndedCalls> {
        Arc::clone(&self.ended_calls)
    }

    /// Begins the drain.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Returns whether the server has ended.
    pub fn is_finished(&self) -> bool {
        self.served.is_finished()
    }

    /// Waits until the server has ended.
    pub async fn stopped(self) {
        self.served.await.unwrap().unwrap();
    }

    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address);
        Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }

    pub async fn planar(
        &self,
    ) -> my_package::displacement_service_client::DisplacementServiceClient<Channel> {
        my_package::displacement_service_client::DisplacementServiceClient::new(
            self.channel().await,
        )
    }

    pub async fn routes(&self) -> routeguide::route_guide_client::RouteGuideClient<Channel> {
        routeguide::route_guide_client::RouteGuideClient::new(self.channel().await)
    }

    pub async fn paths(&self) -> waywiser_v1::path_service_client::PathServiceClient<Channel> {
        waywiser_v1::path_service_client::PathServiceClient::new(self.channel().await)
    }

    /// Checks that the server still works: a normal call gets the expected answer.
    pub async fn assert_works(&self) {
        let points = [(0, 0), (3, 4), (3, 10)].map(|(x, y)| my_package::Point { x, y });
        let reply = self.planar().await.compute_path_length(tokio_stream::iter(points)).await;
        let reply = reply.unwrap().into_inner();
        assert_eq!((reply.length, reply.point_count), (11.0, 3));
    }
}

/// An HTTP/2 connection on which the test controls each frame.
pub struct Raw {
    send: SendRequest<Bytes>,
    /// The address of the client, as the server reports it.
    pub peer: SocketAddr,
    connection: JoinHandle<()>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over_tcp(TcpStream::connect(address).await.unwrap()).await.unwrap()
    }

    /// Starts HTTP/2 on a TCP connection. Returns `None` if the server closes it.
    pub async fn over_tcp(stream: TcpStream) -> Option<Self> {
        stream.set_nodelay(true).unwrap();
        let peer = stream.local_addr().unwrap();
        Self::over_stream(stream, peer).await.ok()
    }

    /// Starts HTTP/2 on any stream.
    ///
    /// # Errors
    /// Returns an error if the server closes it.
    pub async fn over_stream<S>(stream: S, peer: SocketAddr) -> Result<Self, h2::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(async {
            let _ = connection.await;
        });
        Ok(Self { send: send.ready().await?, peer, connection })
    }

    pub fn call(&mut self, path: &str) -> Call {
        self.call_with(path, &[])
    }

    pub fn call_with(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Call {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for &(name, value) in headers {
            let headers = request.headers_mut().unwrap();
            // Tests replace the content type, and repeat other headers.
            match name {
                "content-type" | "te" => drop(headers.insert(name, value.parse().unwrap())),
                _ => drop(headers.append(name, value.parse().unwrap())),
            }
        }
        let (response, body) = self.send.send_request(request.body(()).unwrap(), false).unwrap();
        Call { body, response: Some(response) }
    }

    /// Sends a request that is not a gRPC call. Returns the HTTP status, and whether the body names gRPC.
    pub async fn plain(&mut self, method: &str, content_type: &str) -> (u16, bool) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{PATH_LENGTH}"))
            .header("content-type", content_type)
            .body(());
        let (response, _) = self.send.send_request(request.unwrap(), true).unwrap();
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            text.extend(data.unwrap());
        }
        (status, String::from_utf8_lossy(&text).contains("this is a gRPC server"))
    }

    /// Performs a call without points.
    ///
    /// # Errors
    /// Returns an error if the connection accepts no new streams.
    pub async fn try_call(&mut self, path: &str) -> Result<Answer, h2::Error> {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .body(());
        let mut send = self.send.clone().ready().await?;
        let (response, _) = send.send_request(request.unwrap(), true)?;
        answer(response).await
    }

    /// Drops the connection without closing it, like a client that was killed.
    pub async fn abort(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

/// One stream of a raw connection.
pub struct Call {
    pub body: SendStream<Bytes>,
    response: Option<ResponseFuture>,
}

/// The answer of a call: grpc-status, grpc-message, the reason, the body and the headers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: tonic::Code,
    pub message: String,
    pub reason: Option<String>,
    pub body: Vec<u8>,
    pub headers: HeaderMap,
}

impl Call {
    pub fn send(&mut self, bytes: impl Into<Bytes>) {
        self.body.send_data(bytes.into(), false).unwrap();
    }

    pub fn close(&mut self) {
        self.body.send_data(Bytes::new(), true).unwrap();
    }

    /// Returns the HTTP status, or `None` if the stream was reset.
    pub async fn response_status(&mut self) -> Option<u16> {
        let response = self.response.take().unwrap().await;
        response.ok().map(|response| response.status().as_u16())
    }

    pub async fn answer(&mut self) -> Result<Answer, h2::Error> {
        answer(self.take_response()).await
    }

    pub fn take_response(&mut self) -> ResponseFuture {
        self.response.take().unwrap()
    }

    /// Sends all bytes as flow control permits. Returns `false` if the stream has ended.
    pub async fn send_within_window(&mut self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            self.body.reserve_capacity(bytes.len());
            let capacity = std::future::poll_fn(|cx| self.body.poll_capacity(cx)).await;
            let Some(Ok(capacity)) = capacity else { return false };
            let part = bytes.split_to(capacity.min(bytes.len()));
            if !part.is_empty() && self.body.send_data(part, false).is_err() {
                return false;
            }
        }
        true
    }
}

pub async fn answer(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let response = response.await?;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let mut stream: RecvStream = response.into_body();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        body.extend(data?);
    }
    let trailers = stream.trailers().await?.unwrap_or_else(|| headers.clone());
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    let info = tonic_types::StatusExt::get_details_error_info(&status);
    if let Some(info) = &info {
        assert_eq!(info.domain, "waywiser");
    }
    Ok(Answer {
        code: status.code(),
        message: status.message().to_owned(),
        reason: info.map(|info| info.reason),
        body,
        headers,
    })
}

/// Frames a message.
pub fn frame(payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + payload.len());
    bytes.put_u8(0);
    bytes.put_u32(payload.len() as u32);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// Compresses and frames a message.
pub fn gzip_frame(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(payload).unwrap();
    let packed = encoder.finish().unwrap();
    let mut bytes = vec![1];
    bytes.extend((packed.len() as u32).to_be_bytes());
    bytes.extend(packed);
    bytes
}

/// Encodes points, one per message, with their framing.
pub fn frames(points: &[(i32, i32)]) -> Bytes {
    let mut bytes = BytesMut::new();
    for &(x, y) in points {
        bytes.extend_from_slice(&frame(&my_package::Point { x, y }.encode_to_vec()));
    }
    bytes.freeze()
}
