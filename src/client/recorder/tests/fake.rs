//! A fake server over in-memory pipes. It keeps the state of one path. Each of its connections follows a plan of the
//! test. It measures nothing.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::future::{BoxFuture, OptionFuture};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower_service::Service;

use super::super::*;
use crate::client::transport::Transport;
use crate::contract::options;
use crate::measure::Metric;
use crate::proto::waywiser_v1 as pb;

/// The plan of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plan {
    /// The connection is refused.
    Unavailable,
    /// Nothing fails.
    Good,
    /// The connection is cut when this many points are durable.
    Cut(u64),
    /// The connection is cut as in `Cut`, and WatchPath does not report the durable points.
    CutUnreported(u64),
    /// The connection is cut instead of the reply.
    LoseReply,
    /// The connection is cut before a point is read.
    CutAtOnce,
    /// GetPath reports this many points fewer than are durable. WatchPath reports nothing.
    Stale(u64),
    /// GetPath reports this many points fewer than are durable. WatchPath reports the right number.
    Late(u64),
    /// Points become durable when the stream is closed.
    Lazy,
    /// Points become durable this number of seconds after the first of them, or when the stream is closed.
    Interval(u64),
    /// Points are read and never become durable.
    Forgetful,
    /// GetPath is not answered, and the connection stays open.
    MuteGet,
    /// WatchPath is not answered, and the connection stays open.
    MuteWatch,
    /// RecordPath is neither read nor answered, and the connection stays open.
    MuteRecord,
    /// GetPath reports this many points fewer than are durable. WatchPath reports the right number after the first
    /// message of the stream.
    Behind(u64),
    /// RecordPath is refused after its first message.
    Refused(Refusal),
    /// The recording is deleted after the first message, and WatchPath reports it first.
    Deleted,
}

/// The reason for refusing a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refusal {
    StoreFull,
    OffsetGap,
    PathDeleted,
    Fenced,
    /// The caller has used up a rate for this number of seconds.
    PointRate(u64),
}

impl Refusal {
    fn status(self) -> Status {
        let (code, reason) = match self {
            Self::StoreFull => (Code::ResourceExhausted, "STORE_FULL"),
            Self::OffsetGap => (Code::OutOfRange, "OFFSET_GAP"),
            Self::PathDeleted => (Code::Aborted, "PATH_DELETED"),
            Self::Fenced => (Code::Aborted, "WRITER_FENCED"),
            Self::PointRate(_) => (Code::ResourceExhausted, "POINT_RATE"),
        };
        let mut details = ErrorDetails::with_error_info(reason, "waywiser", HashMap::new());
        match self {
            Self::StoreFull => _ = details.set_retry_info(Some(Duration::from_secs(1))),
            Self::PointRate(seconds) => {
                _ = details.set_retry_info(Some(Duration::from_secs(seconds)));
            }
            _ => {}
        }
        Status::with_error_details(code, reason, details)
    }
}

/// The end of a RecordPath stream at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Closed,
    Reset(Reason),
    Lost,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) points: u64,
    pub(super) is_complete: bool,
}

/// Counters of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) connections: u64,
    pub(super) duplicates: u64,
    /// The number of times that the path became complete.
    pub(super) finishes: u64,
}

/// A server that keeps the path of the points (0, 0), (1, 0), ... and counts events. All points that it has are
/// durable.
pub(super) struct Fake {
    pub(super) kept: watch::Sender<Option<Kept>>,
    pub(super) ends: watch::Sender<Vec<End>>,
    /// Whether another client has sent the points. The path is longer then.
    pub(super) is_other: AtomicBool,
    seen: Mutex<Seen>,
    plans: Mutex<VecDeque<Plan>>,
}

impl Fake {
    /// Returns a server whose connections follow these plans. Later connections do not fail.
    pub(super) fn new(plans: impl IntoIterator<Item = Plan>) -> Arc<Self> {
        Arc::new(Self {
            kept: watch::Sender::default(),
            ends: watch::Sender::default(),
            is_other: AtomicBool::default(),
            seen: Mutex::default(),
            plans: Mutex::new(plans.into_iter().collect()),
        })
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    /// Returns a recorder that connects to this server.
    pub(super) fn recorder(self: &Arc<Self>) -> Recorder {
        let client = Client::connect_lazy("http://127.0.0.1:9").unwrap();
        let recorder = client.recorder("paths/x".parse().unwrap(), Options::new(Metric::Planar));
        let fake = Arc::clone(self);
        let connect: Connect = Box::new(move |endpoint| {
            let dial = Dial(Arc::clone(&fake));
            Box::pin(async move {
                let connected = endpoint.connect_with_connector(dial).await;
                let url = "http://127.0.0.1:9".to_owned();
                connected.map_err(|source| ClientError::Connect { url, source })
            })
        });
        Recorder { connect, ..recorder }
    }

    /// Returns a client that is connected to this server.
    pub(super) async fn client(self: &Arc<Self>) -> Client {
        let client = Client::connect_lazy("http://127.0.0.1:9").unwrap();
        let dial = Dial(Arc::clone(self));
        let channel = client.parts.endpoint.connect_with_connector(dial).await.unwrap();
        let settings = Arc::clone(client.transport.settings());
        Client { transport: Transport::new(channel, settings), ..client }
    }

    async fn serve(self: Arc<Self>, far: DuplexStream, plan: Plan) {
        let cut = Arc::new(Notify::new());
        let Ok(mut connection) = h2::server::handshake(far).await else { return };
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = cut.notified() => return,
            };
            let Some(Ok((request, response))) = accepted else { return };
            tokio::spawn(Arc::clone(&self).answer(request, response, plan, Arc::clone(&cut)));
        }
    }

    /// Answers a call. Returns `None` if the connection is lost.
    async fn answer(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut response: SendResponse<Bytes>,
        plan: Plan,
        cut: Arc<Notify>,
    ) -> Option<()> {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let mut messages = Messages { body: request.into_body(), bytes: BytesMut::new() };
        match &*method {
            "GetPath" if plan == Plan::MuteGet => std::future::pending().await,
            "WatchPath" if plan == Plan::MuteWatch => std::future::pending().await,
            "RecordPath" if plan == Plan::MuteRecord => std::future::pending().await,
            "GetPath" => {
                let kept = *self.kept.borrow();
                let mut stream = head(&mut response)?;
                let Some(mut kept) = kept else { return status(&mut stream, 5) };
                if let Plan::Stale(by) | Plan::Late(by) | Plan::Behind(by) = plan {
                    kept.points -= by;
                }
                send(
                    &mut stream,
                    &pb::GetPathResponse { path: Some(self.path(kept)), ..Default::default() },
                )?;
                status(&mut stream, 0)
            }
            "WatchPath" => {
                let mut updates = self.kept.subscribe();
                let mut stream = head(&mut response)?;
                if let Plan::Behind(_) | Plan::Deleted = plan {
                    updates.borrow_and_update();
                    updates.changed().await.ok()?;
                }
                if plan == Plan::Deleted {
                    return status(&mut stream, 5);
                }
                loop {
                    let kept = *updates.borrow_and_update();
                    let is_reported = !matches!(plan, Plan::CutUnreported(_) | Plan::Stale(_));
                    if let Some(kept) = kept.filter(|_| is_reported) {
                        send(
                            &mut stream,
                            &pb::WatchPathResponse {
                                path: Some(self.path(kept)),
                                ..Default::default()
                            },
                        )?;
                        if kept.is_complete {
                            return status(&mut stream, 0);
                        }
                    }
                    updates.changed().await.ok()?;
                }
            }
            _ if plan == Plan::Deleted => {
                messages.next::<pb::RecordPathRequest>().await.ok()?;
                self.kept.send_replace(None);
                std::future::pending().await
            }
            _ if matches!(plan, Plan::Refused(_)) => {
                let Plan::Refused(refusal) = plan else { return None };
                messages.next::<pb::RecordPathRequest>().await.ok()?;
                if refusal == Refusal::PathDeleted {
                    self.kept.send_replace(None);
                }
                let mut trailers = HeaderMap::new();
                refusal.status().add_header(&mut trailers).ok()?;
                head(&mut response)?.send_trailers(trailers).ok()
            }
            _ => {
                let end = self.record(messages, plan, &cut).await;
                self.ends.send_modify(|ends| ends.push(end));
                if end != End::Closed || plan == Plan::LoseReply {
                    cut.notify_one();
                    return None;
                }
                let kept = (*self.kept.borrow()).unwrap_or_default();
                let mut stream = head(&mut response)?;
                let reply = pb::RecordPathResponse {
                    complete: kept.is_complete,
                    committed_points: kept.points,
                    summary: self.path(kept).summary,
                    ..Default::default()
                };
                send(&mut stream, &reply)?;
                status(&mut stream, 0)
            }
        }
    }

    fn path(&self, kept: Kept) -> pb::Path {
        let other = if self.is_other.load(Ordering::Relaxed) { 0.5 } else { 0.0 };
        let length = Some(kept.points.saturating_sub(1) as f64 + other);
        let summary = pb::PathSummary {
            options: Some(options::to_message(&Options::new(Metric::Planar))),
            point_count: kept.points,
            length,
            raw_length: length,
            displacement: length,
            ..Default::default()
        };
        pb::Path {
            complete: kept.is_complete,
            committed_points: kept.points,
            summary: Some(summary),
            ..Default::default()
        }
    }

    async fn record(&self, mut messages: Messages, plan: Plan, cut: &Notify) -> End {
        if plan == Plan::CutAtOnce {
            return End::Lost;
        }
        let mut next = None;
        let mut unsaved = None;
        let mut commit_at = None;
        loop {
            let due = OptionFuture::from(commit_at.map(tokio::time::sleep_until));
            let message = tokio::select! {
                Some(()) = due => {
                    self.kept.send_replace(unsaved.take());
                    commit_at = None;
                    continue;
                }
                message = messages.next() => message,
            };
            let message: pb::RecordPathRequest = match message {
                Ok(Some(message)) => message,
                Ok(None) if let Some(kept) = unsaved => {
                    self.kept.send_replace(Some(kept));
                    return End::Closed;
                }
                Ok(None) if plan == Plan::Forgetful => std::future::pending().await,
                Ok(None) => return End::Closed,
                Err(error) if error.is_remote() && error.is_reset() => {
                    return End::Reset(error.reason().unwrap());
                }
                Err(_) => return End::Lost,
            };
            if plan == Plan::Forgetful {
                continue;
            }
            let mut kept = unsaved.or(*self.kept.borrow()).unwrap_or_default();
            let mut seen = self.seen();
            let (mut x, mut offset) =
                (0, message.write_offset.expect("every message has an offset"));
            assert!(
                next.is_none_or(|next| next == offset),
                "a message does not continue the stream"
            );
            for difference in message.columns.unwrap_or_default().x {
                x += difference;
                assert_eq!(x, i64::try_from(offset).unwrap(), "a point has the wrong offset");
                assert!(offset <= kept.points, "points are missing");
                match offset < kept.points {
                    true => seen.duplicates += 1,
                    false => kept.points += 1,
                }
                offset += 1;
            }
            next = Some(offset);
            seen.finishes += u64::from(message.finish_write && !kept.is_complete);
            kept.is_complete |= message.finish_write;
            *self.seen.lock().unwrap() = seen;
            if let Plan::Lazy | Plan::Interval(_) = plan {
                unsaved = Some(kept);
                if let Plan::Interval(seconds) = plan {
                    let interval = Duration::from_secs(seconds);
                    commit_at = commit_at.or_else(|| Some(Instant::now() + interval));
                }
                continue;
            }
            self.kept.send_replace(Some(kept));
            if matches!(plan, Plan::Cut(limit) | Plan::CutUnreported(limit) if kept.points >= limit)
            {
                cut.notify_one();
                return End::Lost;
            }
        }
    }
}

fn head(response: &mut SendResponse<Bytes>) -> Option<SendStream<Bytes>> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    response.send_response(head, false).ok()
}

fn send(stream: &mut SendStream<Bytes>, message: &impl Message) -> Option<()> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len().try_into().unwrap());
    message.encode(&mut bytes).unwrap();
    stream.send_data(bytes.freeze(), false).ok()
}

fn status(stream: &mut SendStream<Bytes>, code: u16) -> Option<()> {
    let trailers = [(http::HeaderName::from_static("grpc-status"), HeaderValue::from(code))];
    stream.send_trailers(HeaderMap::from_iter(trailers)).ok()
}

/// The messages of a request.
struct Messages {
    body: RecvStream,
    bytes: BytesMut,
}

impl Messages {
    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, h2::Error> {
        loop {
            if let Some(prefix) = self.bytes.first_chunk::<5>() {
                let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
                if self.bytes.len() >= 5 + len {
                    self.bytes.advance(5);
                    return Ok(Some(M::decode(self.bytes.split_to(len)).unwrap()));
                }
            }
            let Some(data) = self.body.data().await else { return Ok(None) };
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            self.bytes.extend_from_slice(&data);
        }
    }
}

/// Connects to the fake server through an in-memory pipe.
struct Dial(Arc<Fake>);

impl Service<Uri> for Dial {
    type Response = TokioIo<DuplexStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let fake = Arc::clone(&self.0);
        let plan = fake.plans.lock().unwrap().pop_front().unwrap_or(Plan::Good);
        fake.seen.lock().unwrap().connections += 1;
        Box::pin(async move {
            if plan == Plan::Unavailable {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(fake.serve(far, plan));
            Ok(TokioIo::new(near))
        })
    }
}
