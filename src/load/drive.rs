//! One round: sends a track over all streams as fast as flow control permits, and checks every reply.
//!
//! It uses h2 directly, because the cost of a layer above it would be part of the result.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, RecvStream, SendStream};
use http::{Response, StatusCode};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::call::Call;
use super::encode;
use super::target::Target;
use super::track::Track;
use crate::client::opener::Opener;
use crate::contract::method::v1::DELETE_PATH;
use crate::recording::RecordingName;

/// The configuration of a load.
#[derive(Debug)]
pub(crate) struct Load {
    pub call: Call,
    pub track: Track,
    /// Part of the names of recordings. It is unique per run, so that no recording exists already.
    pub run_id: String,
    pub stream_count: usize,
    /// Bytes that a stream passes to its connection at once.
    pub chunk_bytes: usize,
    /// The accepted relative error of the length in a reply.
    pub length_tolerance: f64,
    /// The accepted absolute error of the length in a reply, in the unit of the metric. Both errors may add up.
    pub length_tolerance_abs: f64,
    /// Time without progress of any stream after which the round fails.
    pub stall_timeout: Duration,
}

impl Load {
    /// Returns the name of the recording that a stream of a round creates. All names have the same length.
    fn name(&self, round: u64, stream: usize) -> Option<RecordingName> {
        let name = || format!("paths/bench-{}-{round:08}-{stream:08}", self.run_id).parse().ok();
        self.call.is_named().then(name)?
    }

    /// Returns the first message of a stream of a round, before the track.
    pub(crate) fn first_message(&self, round: u64, stream: usize) -> Bytes {
        self.call.first_message(self.name(round, stream).as_ref())
    }

    /// Returns the number of bytes that a stream sends.
    pub(crate) fn byte_count(&self) -> u64 {
        self.first_message(0, 0).len() as u64 + self.track.byte_count()
    }
}

/// The window for unread replies of a connection. h2 charges at least 256 bytes for each small frame against half
/// of it, which bounds the number of replies that may arrive at once.
const REPLY_WINDOW_BYTES: u32 = 16 << 20;

/// Maximum number of errors of calls in a report.
pub(crate) const FAILURES_MAX: usize = 5;

/// The timeout of a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The times of one round.
#[derive(Debug)]
pub(crate) struct Round {
    pub elapsed: Duration,
    /// The time of each stream from passing its last bytes to the connection to the end of its reply.
    pub latencies: Vec<Duration>,
}

/// The connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    senders: Vec<SendRequest<Bytes>>,
    is_counter: bool,
    opener: Arc<Opener>,
}

impl Connections {
    /// Opens connections. They are closed when the last clone is dropped.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) async fn open(target: &Target, count: usize) -> Result<Self, String> {
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            let late = || Err("the server did not answer in time; is it running there?".to_owned());
            let opened = timeout(CONNECT_TIMEOUT, connect(&target.opener));
            let failed = |error| format!("no connection to {}: {error}", target.name);
            senders.push(opened.await.unwrap_or_else(|_| late()).map_err(failed)?);
        }
        Ok(Self { senders, is_counter: target.is_counter, opener: Arc::clone(&target.opener) })
    }

    /// Opens the stream with this number.
    ///
    /// # Errors
    /// If the connection was closed, or there is no valid token.
    pub(crate) async fn call(
        &self,
        path: &str,
        number: usize,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), String> {
        let request = self.opener.request(path)?;
        let sender = self.senders[number % self.senders.len()].clone();
        let lost = |error: h2::Error| format!("stream {number}: {error}");
        let mut sender = sender.ready().await.map_err(lost)?;
        sender.send_request(request, false).map_err(lost)
    }

    /// Checks the point count and the length of a reply, or its byte count.
    ///
    /// # Errors
    /// If the reply is wrong.
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
        let (point_count, length) = load.call.decode_reply(reply)?;
        if point_count != track.point_count {
            let sent = track.point_count;
            return Err(format!("{sent} points were sent and the server counted {point_count}"));
        }
        let tolerance = load.call.length_rounding()
            + load.length_tolerance_abs
            + load.length_tolerance * track.length;
        // NaN compares false, so a length that is not a number is wrong unless the tolerance is infinite.
        let is_right =
            load.length_tolerance.is_infinite() || (length - track.length).abs() <= tolerance;
        if !is_right {
            let expected = track.length;
            let error = (length - expected).abs();
            return Err(format!(
                "the length is {expected} and the server replied {length}; the difference of {error:.3e} \
                 ({:.1e} of the length) is above --length-tolerance and --length-tolerance-abs",
                error / expected
            ));
        }
        Ok(())
    }
}

/// Maximum number of concurrent deletions.
const DELETIONS_MAX: usize = 64;

/// Deletes the recordings of a round, if it created any.
///
/// # Errors
/// If one cannot be deleted.
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
                let message = |error: h2::Error| error.to_string();
                body.send_data(encode::deletion(&name), true).map_err(message)?;
                receive_reply(response.await.map_err(message)?).await
            };
            let reply = timeout(load.stall_timeout, reply).await;
            let late = |_| Err("the server did not reply in time".to_owned());
            let reply = reply.unwrap_or_else(late);
            reply.map(|_| ()).map_err(|error| format!("{name} could not be deleted: {error}"))
        }
    });
    stream::iter(deletions).buffer_unordered(DELETIONS_MAX).try_collect().await
}

/// Opens one connection and waits for the answer to a PING, which shows that the other end speaks HTTP/2.
async fn connect(opener: &Opener) -> Result<SendRequest<Bytes>, String> {
    let stream = opener.open().await?;
    let no_http2 = |error: h2::Error| {
        opener.fault().unwrap_or_else(|| format!("the server does not speak HTTP/2 ({error})"))
    };
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(REPLY_WINDOW_BYTES);
    let (sender, mut connection) = builder.handshake(stream).await.map_err(no_http2)?;
    let mut pings = connection.ping_pong().ok_or("the connection cannot send a PING")?;
    let mut connection = Box::pin(connection);
    tokio::select! {
        end = connection.as_mut() => {
            return Err(end.err().map_or("the server closed the connection".to_owned(), no_http2));
        }
        pong = pings.ping(Ping::opaque()) => pong.map_err(no_http2)?,
    };
    // The streams report an error of the connection.
    tokio::spawn(connection);
    Ok(sender)
}

/// Runs all streams of a load and waits for their replies. Each round has its own number.
///
/// # Errors
/// If a stream fails or receives a wrong reply, or if no stream makes progress within the timeout.
pub(crate) async fn round(
    connections: Connections,
    load: Arc<Load>,
    round: u64,
) -> Result<Round, String> {
    let start = Instant::now();
    // Incremented whenever a stream sends bytes.
    let progress = Arc::<AtomicU64>::default();
    let mut streams = JoinSet::new();
    for number in 0..load.stream_count {
        let (connections, load) = (connections.clone(), Arc::clone(&load));
        let progress = Arc::clone(&progress);
        streams.spawn(async move {
            let failed = |error: String| format!("stream {number}: {error}");
            let (response, body) = connections.call(load.call.path(), number).await?;
            let first = load.first_message(round, number);
            let exchange = exchange(&load, first, response, body, &progress);
            let (reply, latency) = exchange.await.map_err(failed)?;
            connections.check(&load, reply).map_err(failed)?;
            Ok::<_, String>(latency)
        });
    }
    let mut latencies = Vec::with_capacity(load.stream_count);
    let mut seen = 0;
    loop {
        match timeout(load.stall_timeout, streams.join_next()).await {
            Ok(Some(outcome)) => latencies.push(outcome.map_err(|error| error.to_string())??),
            Ok(None) => break,
            Err(_) => {
                let before = std::mem::replace(&mut seen, progress.load(Ordering::Relaxed));
                if seen == before {
                    let time = humantime::format_duration(load.stall_timeout);
                    return Err(format!("the server read no bytes and sent no reply for {time}"));
                }
            }
        }
    }
    Ok(Round { elapsed: start.elapsed(), latencies })
}

/// Sends the whole track and waits for the reply.
pub(crate) async fn exchange(
    load: &Load,
    first: Bytes,
    mut response: ResponseFuture,
    mut body: SendStream<Bytes>,
    progress: &AtomicU64,
) -> Result<(Bytes, Duration), String> {
    let mut early = None;
    let sent = {
        let mut send = std::pin::pin!(send(load, first, &mut body, progress));
        loop {
            tokio::select! {
                biased;
                sent = send.as_mut() => break sent,
                // The server may send headers early, or refuse the stream while it is being sent.
                answer = &mut response, if early.is_none() => {
                    let answer = answer.map_err(|error| error.to_string())?;
                    let status = answer.status();
                    if answer.headers().contains_key(Status::GRPC_STATUS) || status != StatusCode::OK {
                        return Err(refusal(status, answer.headers()));
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
    let reply = receive_reply(answer).await?;
    // If the stream was reset, the reply has the reason.
    sent?;
    Ok((reply, sent_at.elapsed()))
}

/// Sends the track as fast as flow control permits.
async fn send(
    load: &Load,
    first: Bytes,
    body: &mut SendStream<Bytes>,
    progress: &AtomicU64,
) -> Result<(), String> {
    if !first.is_empty() {
        // A few bytes fit into any window.
        body.send_data(first, false).map_err(|error| error.to_string())?;
    }
    let byte_count = load.track.byte_count();
    let mut at = 0;
    while at < byte_count {
        let wanted = load.track.slice(at, load.chunk_bytes);
        body.reserve_capacity(wanted.len());
        let capacity = match poll_fn(|cx| body.poll_capacity(cx)).await {
            Some(capacity) => capacity.map_err(|error| error.to_string())?,
            None => {
                return Err("the server ended the stream before the end of the track".to_owned());
            }
        };
        let chunk = wanted.slice(..capacity.min(wanted.len()));
        at += chunk.len() as u64;
        body.send_data(chunk, at == byte_count).map_err(|error| error.to_string())?;
        progress.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads a reply to its end and returns its message with the prefix.
///
/// # Errors
/// If its status is missing or not OK.
pub(crate) async fn receive_reply(answer: Response<RecvStream>) -> Result<Bytes, String> {
    let status = answer.status();
    if answer.headers().contains_key(Status::GRPC_STATUS) || status != StatusCode::OK {
        return Err(refusal(status, answer.headers()));
    }
    let mut body = answer.into_body();
    let mut reply = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.to_string())?;
        let _ = body.flow_control().release_capacity(data.len());
        // A correct reply is short.
        reply = if reply.is_empty() { data } else { [reply, data].concat().into() };
        if reply.len() > 1024 {
            return Err("the reply is too long".to_owned());
        }
    }
    let trailers = body.trailers().await.map_err(|error| error.to_string())?;
    let trailers = trailers.ok_or("the reply ended without a gRPC status")?;
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() == Code::Ok => Ok(reply),
        _ => Err(refusal(status, &trailers)),
    }
}

fn refusal(http: StatusCode, headers: &http::HeaderMap) -> String {
    match Status::from_header_map(headers) {
        Some(status) => format!("the server answered {:?}: {}", status.code(), status.message()),
        None if http == StatusCode::OK => "the reply ended without a gRPC status".to_owned(),
        None => format!(
            "the server answered HTTP status {http} and no gRPC status; is it a gRPC server?"
        ),
    }
}
