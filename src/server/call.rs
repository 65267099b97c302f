//! Around every call: whether it is admitted, its deadline, the server's end, and its line in the log.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower_service::Service;
use tracing::{Instrument as _, Span};

use super::body::{IncomingBody, Input};
use super::cutoff::Cutoff;
use super::log_limit::{LineKind, LogLimit};
use super::memory::{Charge, Memory, STREAM_BYTES, Usage};
use super::message_limit::{LimitedBody, Refusal};
use super::peer::peer_key;
use super::routes::{AUXILIARY, HEALTH_WATCH, MEASURING};
use super::{Config, Stages, system_memory};
use crate::service::{CreationLimit, Progress, RpcError, WATCH_PATH, excerpt, refuse_foreign};

/// What all connections of a server have in common.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) stages: Stages,
    pub(super) memory: Arc<Memory>,
    pub(super) log: LogLimit,
    pub(super) creations: Arc<CreationLimit>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Arc<Self> {
        let memory = config.max_memory_bytes.unwrap_or_else(system_memory::default_budget);
        Arc::new(Self {
            stages: Stages::default(),
            memory: Memory::new(memory),
            log: LogLimit::new(config.max_log_rate),
            creations: CreationLimit::new(config.max_new_recordings_per_minute),
            config,
        })
    }

    /// Ends the largest consumer of memory if too little is left.
    pub(super) fn relieve(&self) {
        if let Some((peer, bytes)) = self.memory.relieve()
            && let Some(suppressed) = self.log.admit(LineKind::Capacity)
        {
            let suppressed = (suppressed > 0).then_some(suppressed);
            tracing::warn!(
                %peer,
                bytes,
                suppressed,
                "closed the connection that held most memory: unread input and unsent replies are at their limit"
            );
        }
    }
}

/// The routes of one connection, each call of which ends in time and is logged.
pub(super) struct CallService {
    shared: Arc<Shared>,
    routes: Routes,
    peer: SocketAddr,
    usage: Arc<Usage>,
    /// Ends the calls of this connection with UNAVAILABLE.
    closing: CancellationToken,
    /// Held by each call that only waits for updates.
    watches: Arc<()>,
}

/// A call on its way to its answer.
pub(super) type CallFuture = Pin<Box<dyn Future<Output = Response<CallBody>> + Send>>;

impl CallService {
    pub(super) fn new(
        shared: Arc<Shared>,
        routes: Routes,
        peer: SocketAddr,
        usage: Arc<Usage>,
        closing: CancellationToken,
    ) -> Self {
        Self { shared, routes, peer, usage, closing, watches: Arc::new(()) }
    }

    /// How many calls only wait for updates: watches of health or of recordings.
    pub(super) fn watch_count(&self) -> usize {
        Arc::strong_count(&self.watches) - 1
    }

    /// Begins a call.
    pub(super) fn call(&mut self, request: Request<RecvStream>) -> CallFuture {
        if let Some(response) = refuse_foreign(&request) {
            tracing::debug!(peer = %self.peer, method = %request.method(), "not a gRPC call");
            return Box::pin(async { response.map(CallBody::unwatched) });
        }
        let path = request.uri().path();
        let (service, method) =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
        let measuring = MEASURING.contains(&service);
        let known = !method.is_empty() && (measuring || AUXILIARY.contains(&service));
        let stages = &self.shared.stages;
        let record = Record {
            span: tracing::info_span!("call", method = %excerpt(path), peer = %self.peer),
            shared: Arc::clone(&self.shared),
            measuring,
            progress: Arc::default(),
            started: Instant::now(),
            outcome: None,
            answered: false,
            _charge: self.usage.charge(STREAM_BYTES),
            _watch: [WATCH_PATH, HEALTH_WATCH].contains(&path).then(|| Arc::clone(&self.watches)),
            // A watch of a recording lasts as long as the recording grows: the drain waits for the recording.
            _waited_for: (measuring && path != WATCH_PATH).then(|| stages.calls.token()),
        };
        match self.admit(&request, known, measuring) {
            Ok(cutoff) => self.start(request, record, cutoff, measuring),
            Err(error) => Box::pin(async { record.refuse(error) }),
        }
    }

    /// Decides whether a call may start.
    ///
    /// # Errors
    /// Why it may not.
    fn admit(
        &self,
        request: &Request<RecvStream>,
        known: bool,
        measuring: bool,
    ) -> Result<Cutoff, RpcError> {
        let config = &self.shared.config;
        if !known {
            return Err(RpcError::UnknownMethod(excerpt(request.uri().path())));
        }
        // A client may open streams until it has read that the connection is going.
        if measuring && self.shared.stages.draining.is_cancelled() {
            return Err(RpcError::ShuttingDown { point_count: 0 });
        }
        let metadata_bytes = header_list_bytes(request.headers());
        if metadata_bytes > config.max_header_bytes as usize {
            let metadata_bytes_max = config.max_header_bytes;
            return Err(RpcError::MetadataTooLarge { metadata_bytes, metadata_bytes_max });
        }
        // Health checks are small, and an operator needs their answer most when memory is short.
        if measuring && !self.usage.admits_stream() {
            return Err(RpcError::Overloaded);
        }
        // Health and reflection do not watch over their requests, whose clients may never finish them.
        let answer_time = (!measuring).then_some(config.stream_idle_timeout);
        Cutoff::new(request.headers(), answer_time, self.closing.clone())
    }

    fn start(
        &mut self,
        request: Request<RecvStream>,
        record: Record,
        mut cutoff: Cutoff,
        measuring: bool,
    ) -> CallFuture {
        let (mut parts, stream) = request.into_parts();
        let progress = Arc::clone(&record.progress);
        parts.extensions.insert(Arc::clone(&progress));
        parts.extensions.insert(self.shared.creations.of_peer(peer_key(self.peer.ip())));
        let body = IncomingBody::new(Input::new(stream, &self.usage, progress));
        let (body, refusal) = match measuring {
            true => (Body::new(body), None),
            false => {
                let (body, refusal) = LimitedBody::new(body, self.shared.config.max_message_bytes);
                (Body::new(body), Some(refusal))
            }
        };
        let mut call = Box::pin(self.routes.call(Request::from_parts(parts, body)));
        let span = record.span.clone();
        let call = async move {
            let answer = poll_fn(|cx| {
                let answer = call.as_mut().poll(cx);
                if let Some(error) = refusal.as_ref().and_then(|refusal| refusal.get()) {
                    return Poll::Ready(Err(error.clone()));
                }
                // The call first: an answer that is ready is given, however late it is.
                if let Poll::Ready(Ok(response)) = answer {
                    return Poll::Ready(Ok(response));
                }
                cutoff.poll(cx, record.progress.point_count()).map(Err)
            })
            .await;
            match answer {
                Ok(response) => record.answer(response, cutoff, refusal),
                Err(error) => {
                    let error = record.shared.cause(error);
                    record.refuse(error)
                }
            }
        };
        Box::pin(call.instrument(span))
    }
}

impl Shared {
    /// Why a call ends, where its connection and not the server is closing.
    fn cause(&self, error: RpcError) -> RpcError {
        match error {
            RpcError::ShuttingDown { .. } if !self.stages.closing.is_cancelled() => {
                RpcError::Evicted
            }
            error => error,
        }
    }
}

/// The size of a header list as HTTP/2 counts it: RFC 9113, section 6.5.2.
fn header_list_bytes(headers: &HeaderMap) -> usize {
    const OVERHEAD_BYTES: usize = 32;
    let fields = headers.iter();
    fields.map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD_BYTES).sum()
}

/// The log line of a call, written when the call ends.
struct Record {
    span: Span,
    shared: Arc<Shared>,
    measuring: bool,
    progress: Arc<Progress>,
    started: Instant,
    outcome: Option<Status>,
    /// There was an answer, whether or not the client took it.
    answered: bool,
    _charge: Charge,
    _watch: Option<Arc<()>>,
    /// The drain waits until this is dropped.
    _waited_for: Option<TaskTrackerToken>,
}

impl Record {
    fn answer(
        mut self,
        response: Response<Body>,
        mut cutoff: Cutoff,
        refusal: Option<Refusal>,
    ) -> Response<CallBody> {
        self.outcome = Status::from_header_map(response.headers());
        self.answered = true;
        cutoff.answered();
        response.map(|body| CallBody { body, watch: Some(Watch { record: self, cutoff, refusal }) })
    }

    fn refuse(mut self, error: RpcError) -> Response<CallBody> {
        let status = Status::from(error);
        self.outcome = Some(status.clone());
        status.into_http::<Body>().map(CallBody::unwatched)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (code, error) = match &self.outcome {
            Some(status) => (status.code(), status.message()),
            None if self.answered => {
                (Code::Cancelled, "the stream ended before the client read the answer")
            }
            None => (Code::Cancelled, "the stream ended before there was an answer"),
        };
        let fault = matches!(code, Code::Internal | Code::Unknown | Code::DataLoss);
        // Health checks come every few seconds: their lines are for debugging only.
        let is_logged = self.measuring || fault;
        let suppressed = match is_logged {
            true => match self.shared.log.admit(LineKind::Call(code)) {
                Some(suppressed) => suppressed,
                None => return,
            },
            false => 0,
        };
        // One line per call: what happened, how much of it, and for how long.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    outcome = ?code,
                    error = (code != Code::Ok).then_some(error),
                    points = self.progress.point_count(),
                    bytes = self.progress.byte_count(),
                    duration_ms = self.started.elapsed().as_micros() as f64 / 1e3,
                    suppressed = (suppressed > 0).then_some(suppressed),
                    "call ended"
                )
            };
        }
        self.span.in_scope(|| match (is_logged, fault) {
            (_, true) => line!(tracing::Level::WARN),
            (true, false) => line!(tracing::Level::INFO),
            (false, false) => line!(tracing::Level::DEBUG),
        });
    }
}

/// The body of an answer, which ends in time too: a health watch has no end of its own.
pub(super) struct CallBody {
    body: Body,
    watch: Option<Watch>,
}

struct Watch {
    record: Record,
    cutoff: Cutoff,
    refusal: Option<Refusal>,
}

impl CallBody {
    fn unwatched(body: Body) -> Self {
        Self { body, watch: None }
    }

    /// Ready when the call must end although its client reads nothing, so that no status reaches it.
    pub(super) fn poll_cutoff(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(watch) = &mut self.watch else { return Poll::Pending };
        let point_count = watch.record.progress.point_count();
        let error = ready!(watch.cutoff.poll(cx, point_count));
        watch.record.outcome = Some(error.into());
        Poll::Ready(())
    }

    /// Has the log say that the client left the answer unread for this long.
    pub(super) fn set_unread(&mut self, unread_time: Duration) {
        if let Some(watch) = &mut self.watch {
            watch.record.outcome = Some(RpcError::Unread { unread_time }.into());
        }
    }

    /// Ends the answer with an error in place of what the service would send.
    fn end_with(&mut self, error: RpcError) -> Frame<Bytes> {
        let status = Status::from(error);
        let mut trailers = HeaderMap::new();
        // Its message and details are ours, and fit into headers.
        let _ = status.add_header(&mut trailers);
        if let Some(watch) = &mut self.watch {
            watch.record.outcome = Some(status);
        }
        *self = Self::unwatched(Body::empty());
        Frame::trailers(trailers)
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Some(watch) = &mut this.watch else { return frame };
        if let Some(error) = watch.refusal.as_ref().and_then(|refusal| refusal.get()).cloned() {
            return Poll::Ready(Some(Ok(this.end_with(error))));
        }
        match frame {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame
                    && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
                {
                    watch.record.outcome = Some(status);
                    this.watch = None;
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let point_count = watch.record.progress.point_count();
                let error = ready!(watch.cutoff.poll(cx, point_count));
                let error = watch.record.shared.cause(error);
                Poll::Ready(Some(Ok(this.end_with(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
