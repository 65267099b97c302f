//! One round: streams over connections, as fast as flow control lets them, every reply checked.
//!
//! HTTP/2 is spoken through h2 itself: whatever stands above it would be measured along.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, RecvStream, SendStream};
use http::{HeaderValue, Request, Response, header};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::call::Call;
use super::encode;
use super::target::Target;
use super::track::Track;
use crate::contract::method::v1::DELETE_PATH;
use crate::recording::RecordingName;

/// What is sent and how.
#[derive(Debug)]
pub(crate) struct Load {
    pub call: Call,
    pub track: Track,
    /// What the names of recordings begin with, so that none was ever there before.
    pub run: String,
    pub stream_count: usize,
    pub chunk_bytes: usize,
    /// How far the length in a reply may be off, relative to it.
    pub length_tolerance: f64,
    /// How long nothing at all may move.
    pub patience: Duration,
}

impl Load {
    /// The recording that a stream of a round makes. All names are of one length.
    fn name(&self, round: u64, stream: usize) -> Option<RecordingName> {
        let name = || format!("paths/bench-{}-{round:08}-{stream:08}", self.run).parse().ok();
        self.call.is_named().then(name)?
    }

    /// What a stream of a round begins with, before the track.
    pub(crate) fn opening(&self, round: u64, stream: usize) -> Bytes {
        self.call.opening(self.name(round, stream).as_ref())
    }

    /// Bytes that a stream sends.
    pub(crate) fn byte_count(&self) -> u64 {
        self.opening(0, 0).len() as u64 + self.track.byte_count()
    }
}

/// What replies a connection may hold unread. Many that come at once are small frames, of which h2 bears as
/// many as half of this has room for at 256 bytes each.
const REPLY_WINDOW_BYTES: u32 = 16 << 20;

/// How long a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// What one round took.
#[derive(Debug)]
pub(crate) struct Round {
    pub elapsed: Duration,
    /// Of each stream, from when its last bytes were handed to the connection to the end of its
    /// reply.
    pub latencies: Vec<Duration>,
}

/// The connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    senders: Vec<SendRequest<Bytes>>,
    is_counter: bool,
    authority: Arc<str>,
}

impl Connections {
    /// Opens connections. They are closed when the last clone is gone.
    ///
    /// # Errors
    /// When one cannot be opened, in words for the user.
    pub(crate) async fn open(target: &Target, count: usize) -> Result<Self, String> {
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            let late = || Err("nobody answers".to_owned());
            let opened = timeout(CONNECT_TIME, connect(&target.authority));
            senders.push(opened.await.unwrap_or_else(|_| late()).map_err(|error| {
                format!(
                    "no connection to {}: {error}; is a server running there?",
                    target.authority
                )
            })?);
        }
        let authority = target.authority.as_str().into();
        Ok(Self { senders, is_counter: target.is_counter, authority })
    }

    /// Opens the stream with this number.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn call(
        &self,
        path: &str,
        number: usize,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), String> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = format!("http://{}{}", self.authority, path)
            .parse()
            .map_err(|error| format!("{error}"))?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let sender = self.senders[number % self.senders.len()].clone();
        let lost = |error: h2::Error| format!("stream {number}: {error}");
        let mut sender = sender.ready().await.map_err(lost)?;
        sender.send_request(request, false).map_err(lost)
    }

    /// Whether a reply is the right one for so many points and bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, load: &Load, reply: Bytes) -> Result<(), String> {
        let track = &load.track;
        if self.is_counter {
            let expected = load.byte_count();
            let counted = reply.get(5..13).map_or(0, |mut count| count.get_u64());
            return if counted == expected {
                Ok(())
            } else {
                Err(format!("{expected} bytes were sent and the server counted {counted}"))
            };
        }
        let (point_count, length) = load.call.counted(reply)?;
        if point_count != track.point_count {
            let sent = track.point_count;
            return Err(format!("{sent} points were sent and the server counted {point_count}"));
        }
        let tolerance = load.call.length_rounding() + load.length_tolerance * track.length;
        // So written that a length that is no number is wrong, unless none is asked for.
        let is_right =
            load.length_tolerance.is_infinite() || (length - track.length).abs() <= tolerance;
        if !is_right {
            let expected = track.length;
            return Err(format!("the length is {expected} and the server says {length}"));
        }
        Ok(())
    }
}

/// How many recordings are being deleted at one time.
const DELETIONS: usize = 64;

/// Deletes the recordings of a round, if it made any.
///
/// # Errors
/// When one cannot be deleted.
pub(crate) async fn delete(
    connections: Connections,
    load: Arc<Load>,
    round: u64,
) -> Result<(), String> {
    if connections.is_counter || !load.call.is_named() {
        return Ok(());
    }
    let deletions = (0..load.stream_count).map(|number| {
        let (connections, load) = (&connections, &load);
        async move {
            let Some(name) = load.name(round, number) else { return Ok(()) };
            let (response, mut body) = connections.call(DELETE_PATH, number).await?;
            let reply = async {
                let words = |error: h2::Error| error.to_string();
                body.send_data(encode::deletion(&name), true).map_err(words)?;
                read_reply(response.await.map_err(words)?).await
            };
            let reply = timeout(load.patience, reply).await;
            let reply = reply.unwrap_or_else(|_| Err("it was not answered".to_owned()));
            reply.map(|_| ()).map_err(|error| format!("{name} could not be deleted: {error}"))
        }
    });
    stream::iter(deletions).buffer_unordered(DELETIONS).try_collect().await
}

/// Opens one connection, and has the other end say a word of HTTP/2.
async fn connect(authority: &str) -> Result<SendRequest<Bytes>, String> {
    let stream = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let no_http2 = |error: h2::Error| format!("this is no HTTP/2 ({error})");
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(REPLY_WINDOW_BYTES);
    let (sender, mut connection) = builder.handshake(stream).await.map_err(no_http2)?;
    let mut pings = connection.ping_pong().ok_or("it cannot be asked for a sign of life")?;
    let mut connection = Box::pin(connection);
    tokio::select! {
        end = connection.as_mut() => {
            return Err(end.err().map_or("it was closed at once".to_owned(), no_http2));
        }
        pong = pings.ping(Ping::opaque()) => pong.map_err(no_http2)?,
    };
    // How it ends is told by its streams.
    tokio::spawn(connection);
    Ok(sender)
}

/// Runs all streams of a load, and waits for their replies. A round has a number of its own.
///
/// # Errors
/// The first stream that failed or was answered wrong, or that nothing has moved for too long.
pub(crate) async fn round(
    connections: Connections,
    load: Arc<Load>,
    round: u64,
) -> Result<Round, String> {
    let start = Instant::now();
    let moves = Arc::<AtomicU64>::default();
    let mut streams = JoinSet::new();
    for number in 0..load.stream_count {
        let (connections, load) = (connections.clone(), Arc::clone(&load));
        let moves = Arc::clone(&moves);
        streams.spawn(async move {
            let failed = |error: String| format!("stream {number}: {error}");
            let (response, body) = connections.call(load.call.path(), number).await?;
            let opening = load.opening(round, number);
            let exchange = exchange(&load, opening, response, body, &moves);
            let (reply, latency) = exchange.await.map_err(failed)?;
            connections.check(&load, reply).map_err(failed)?;
            Ok::<_, String>(latency)
        });
    }
    let mut latencies = Vec::with_capacity(load.stream_count);
    let mut moved = 0;
    loop {
        match timeout(load.patience, streams.join_next()).await {
            Ok(Some(outcome)) => latencies.push(outcome.map_err(|error| error.to_string())??),
            Ok(None) => break,
            Err(_) => {
                let before = std::mem::replace(&mut moved, moves.load(Ordering::Relaxed));
                if moved == before {
                    let patience = humantime::format_duration(load.patience);
                    return Err(format!("it took no bytes and gave no reply for {patience}"));
                }
            }
        }
    }
    Ok(Round { elapsed: start.elapsed(), latencies })
}

/// Sends the whole track and waits for the reply.
async fn exchange(
    load: &Load,
    opening: Bytes,
    mut response: ResponseFuture,
    mut body: SendStream<Bytes>,
    moves: &AtomicU64,
) -> Result<(Bytes, Duration), String> {
    let mut early = None;
    let sent = {
        let mut send = std::pin::pin!(send(load, opening, &mut body, moves));
        loop {
            tokio::select! {
                biased;
                sent = send.as_mut() => break sent,
                // Headers may come early and mean nothing, or refuse what is still being sent.
                answer = &mut response, if early.is_none() => {
                    let answer = answer.map_err(|error| error.to_string())?;
                    if answer.headers().contains_key(Status::GRPC_STATUS) {
                        return Err(refusal(answer.headers()));
                    }
                    early = Some(answer);
                }
            }
        }
    };
    let sent_at = Instant::now();
    let answer = match early {
        Some(answer) => answer,
        None => response.await.map_err(|error| error.to_string())?,
    };
    let reply = read_reply(answer).await?;
    // A stream that was reset while the reply came says why it was only in the reply.
    sent?;
    Ok((reply, sent_at.elapsed()))
}

/// Sends the track as flow control lets it.
async fn send(
    load: &Load,
    opening: Bytes,
    body: &mut SendStream<Bytes>,
    moves: &AtomicU64,
) -> Result<(), String> {
    if !opening.is_empty() {
        // A few bytes: they wait for no window.
        body.send_data(opening, false).map_err(|error| error.to_string())?;
    }
    let byte_count = load.track.byte_count();
    let mut at = 0;
    while at < byte_count {
        let wanted = load.track.slice(at, load.chunk_bytes);
        body.reserve_capacity(wanted.len());
        let room = match poll_fn(|cx| body.poll_capacity(cx)).await {
            Some(room) => room.map_err(|error| error.to_string())?,
            None => return Err("the server ended the stream before it was sent".to_owned()),
        };
        let chunk = wanted.slice(..room.min(wanted.len()));
        at += chunk.len() as u64;
        body.send_data(chunk, at == byte_count).map_err(|error| error.to_string())?;
        moves.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads a reply to its end and gives its frame.
///
/// # Errors
/// When its status is not OK or there is none.
pub(crate) async fn read_reply(answer: Response<RecvStream>) -> Result<Bytes, String> {
    if answer.headers().contains_key(Status::GRPC_STATUS) {
        return Err(refusal(answer.headers()));
    }
    let mut body = answer.into_body();
    let mut reply = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.to_string())?;
        let _ = body.flow_control().release_capacity(data.len());
        // In one piece, or it is too long to be right.
        reply = if reply.is_empty() { data } else { [reply, data].concat().into() };
        if reply.len() > 1024 {
            return Err("the reply is too long".to_owned());
        }
    }
    let trailers = body.trailers().await.map_err(|error| error.to_string())?;
    let trailers = trailers.ok_or("the reply ended without a status")?;
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() == Code::Ok => Ok(reply),
        _ => Err(refusal(&trailers)),
    }
}

fn refusal(headers: &http::HeaderMap) -> String {
    match Status::from_header_map(headers) {
        Some(status) => format!("the server answered {:?}: {}", status.code(), status.message()),
        None => "the reply ended without a status".to_owned(),
    }
}
