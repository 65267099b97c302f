//! A server on port 0, clients down to the frame, and what the server's log said of a call.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use waywiser::proto::{my_package, routeguide, waywiser_v1};
use waywiser::recording::CheckpointStore;
use waywiser::store::MemoryStore;
use waywiser::{Config, server};

pub mod faulty;

pub const PATH_LENGTH: &str = "/my_package.DisplacementService/computePathLength";
pub const DISPLACEMENT: &str = "/my_package.DisplacementService/computeDisplacement";
pub const RECORD_ROUTE: &str = "/routeguide.RouteGuide/RecordRoute";

pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

/// An address whose port nobody else is given while the socket lives, and where nobody is until a test
/// listens there.
pub fn reserved_address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
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

    /// On a listener of the test's.
    pub fn on(
        listener: TcpListener,
        store: Arc<dyn CheckpointStore>,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        LazyLock::force(&LOG);
        let mut config = Config::default();
        configure(&mut config);
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server::run(listener, config, store, async {
            let _ = stopped.await;
        }));
        Self { address, stop: Some(stop), served }
    }

    /// Begins the drain.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Whether the server has ended.
    pub fn is_finished(&self) -> bool {
        self.served.is_finished()
    }

    /// Waits until the server is gone.
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

    /// Shows that nothing before has harmed the server: an ordinary call gets its ordinary answer.
    pub async fn assert_well(&self) {
        let points = [(0, 0), (3, 4), (3, 10)].map(|(x, y)| my_package::Point { x, y });
        let reply = self.planar().await.compute_path_length(tokio_stream::iter(points)).await;
        let reply = reply.unwrap().into_inner();
        assert_eq!((reply.length, reply.point_count), (11.0, 3));
    }
}

/// An HTTP/2 connection whose frames the test decides.
pub struct Raw {
    send: SendRequest<Bytes>,
    /// The address that the server's log has for it.
    pub peer: SocketAddr,
    connection: JoinHandle<()>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let peer = stream.local_addr().unwrap();
        // The port may have been another test's client's before.
        LOG.send_modify(|log| drop(log.remove(&peer.to_string())));
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async {
            let _ = connection.await;
        });
        Self { send: send.ready().await.unwrap(), peer, connection }
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
            request.headers_mut().unwrap().insert(name, value.parse().unwrap());
        }
        let (response, body) = self.send.send_request(request.body(()).unwrap(), false).unwrap();
        Call { body, response: Some(response) }
    }

    /// A call that is none: the HTTP status, and whether the body says what is spoken here.
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

    /// A whole call without points; an error when the connection takes none any more.
    pub async fn try_call(&mut self, path: &str) -> Result<Answer, h2::Error> {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .body(());
        let mut send = self.send.clone().ready().await?;
        let (response, _) = send.send_request(request.unwrap(), true)?;
        answer(response).await
    }

    /// Drops the connection without a word, as a killed client does.
    pub async fn vanish(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

/// One stream of a raw connection.
pub struct Call {
    pub body: SendStream<Bytes>,
    response: Option<ResponseFuture>,
}

/// What a call was answered: grpc-status, grpc-message, and the messages in between.
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

    /// The HTTP status, or `None` when the stream was reset.
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

    /// Sends all of it as flow control makes room. `false` when the stream is over.
    pub async fn send_within_window(&mut self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            self.body.reserve_capacity(bytes.len());
            let room = std::future::poll_fn(|cx| self.body.poll_capacity(cx)).await;
            let Some(Ok(room)) = room else { return false };
            let part = bytes.split_to(room.min(bytes.len()));
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

/// The frame of one message.
pub fn frame(payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + payload.len());
    bytes.put_u8(0);
    bytes.put_u32(payload.len() as u32);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// A message as gRPC frames it, compressed.
pub fn gzip_frame(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(payload).unwrap();
    let packed = encoder.finish().unwrap();
    let mut bytes = vec![1];
    bytes.extend((packed.len() as u32).to_be_bytes());
    bytes.extend(packed);
    bytes
}

/// The frames of points, one a message.
pub fn frames(points: &[(i32, i32)]) -> Bytes {
    let mut bytes = BytesMut::new();
    for &(x, y) in points {
        bytes.extend_from_slice(&frame(&my_package::Point { x, y }.encode_to_vec()));
    }
    bytes.freeze()
}

/// What the server's log says about calls, by the address of the client.
static LOG: LazyLock<watch::Sender<HashMap<String, Vec<String>>>> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::registry().with(CallLog::default());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    watch::channel(HashMap::new()).0
});

/// The log's lines on the calls of this client. Waits until `count` of them have ended.
pub async fn logged(peer: SocketAddr, count: usize) -> Vec<String> {
    let mut log = LOG.subscribe();
    let peer = peer.to_string();
    let enough =
        |log: &HashMap<String, Vec<String>>| log.get(&peer).is_some_and(|l| l.len() >= count);
    let lines = log.wait_for(enough).await.unwrap();
    lines[&peer].clone()
}

#[derive(Default)]
struct CallLog {
    peers: Mutex<HashMap<u64, String>>,
}

/// The fields of a span or an event as text.
#[derive(Default)]
struct Fields {
    peer: Option<String>,
    text: String,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "peer" => self.peer = Some(format!("{value:?}")),
            "duration_ms" => {}
            name => write!(self.text, "{name}={value:?} ").unwrap(),
        }
    }
}

impl<S> Layer<S> for CallLog
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("waywiser")
    }

    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(peer) = fields.peer {
            self.peers.lock().unwrap().insert(id.into_u64(), peer);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let Some(peer) = self.peers.lock().unwrap().get(&span.id().into_u64()).cloned() else {
            return;
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        LOG.send_modify(|log| log.entry(peer).or_default().push(fields.text.trim().to_owned()));
    }
}
