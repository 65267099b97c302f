//! Around every call: its deadline, the server's end, and the one line that the log has of it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower_service::Service;
use tracing::{Instrument as _, Span};

use super::Stages;
use super::cutoff::Cutoff;
use super::routes::{AUXILIARY, MEASURING};
use crate::service::{Progress, RpcError, WATCH_PATH, excerpt, refuse_foreign};

/// The routes of one connection, each call of which ends in time and is logged.
#[derive(Clone)]
pub(super) struct CallService {
    routes: Routes,
    peer: SocketAddr,
    stages: Stages,
    /// How long health and reflection may take to answer, which their clients can draw out by not
    /// finishing the request. The measuring services watch their requests themselves.
    answer_time: Duration,
}

impl CallService {
    pub(super) fn new(
        routes: Routes,
        peer: SocketAddr,
        stages: Stages,
        answer_time: Duration,
    ) -> Self {
        Self { routes, peer, stages, answer_time }
    }
}

impl Service<Request<hyper::body::Incoming>> for CallService {
    type Response = Response<CallBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        if let Some(response) = refuse_foreign(&request) {
            tracing::debug!(peer = %self.peer, method = %request.method(), "not a gRPC call");
            return Box::pin(async { Ok(response.map(CallBody::unwatched)) });
        }
        let path = request.uri().path();
        let (service, method) =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
        let measuring = MEASURING.contains(&service);
        let known = !method.is_empty() && (measuring || AUXILIARY.contains(&service));
        let span = tracing::info_span!("call", method = %excerpt(path), peer = %self.peer);
        let record = Record {
            span: span.clone(),
            measuring,
            progress: Arc::default(),
            started: Instant::now(),
            outcome: None,
            answered: false,
            // Who watches a recording stays as long as it grows: the drain waits for the recording.
            _waited_for: (measuring && path != WATCH_PATH).then(|| self.stages.calls.token()),
        };
        if !known {
            let error = RpcError::UnknownMethod(excerpt(path));
            return Box::pin(async { Ok(record.refuse(error)) });
        }
        // A client may open streams until it has read that the connection is going.
        if measuring && self.stages.draining.is_cancelled() {
            let error = RpcError::ShuttingDown { point_count: 0 };
            return Box::pin(async { Ok(record.refuse(error)) });
        }
        let answer_time = (!measuring).then_some(self.answer_time);
        let closing = self.stages.closing.clone();
        let mut cutoff = match Cutoff::new(request.headers(), answer_time, closing) {
            Ok(cutoff) => cutoff,
            Err(error) => return Box::pin(async { Ok(record.refuse(error)) }),
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&record.progress));
        let mut call = Box::pin(self.routes.call(request));
        let call = async move {
            let answer = poll_fn(|cx| {
                // The call first: an answer that is ready is given, however late it is.
                if let Poll::Ready(Ok(response)) = call.as_mut().poll(cx) {
                    return Poll::Ready(Ok(response));
                }
                cutoff.poll(cx, record.progress.point_count()).map(Err)
            });
            Ok(match answer.await {
                Ok(response) => record.answer(response, cutoff),
                Err(error) => record.refuse(error),
            })
        };
        Box::pin(call.instrument(span))
    }
}

/// What the log will say of a call, once, when the last of it is gone.
struct Record {
    span: Span,
    measuring: bool,
    progress: Arc<Progress>,
    started: Instant,
    outcome: Option<Status>,
    /// There was an answer, whether or not the client took it.
    answered: bool,
    /// The drain waits until this is dropped.
    _waited_for: Option<TaskTrackerToken>,
}

impl Record {
    fn answer(mut self, response: Response<Body>, mut cutoff: Cutoff) -> Response<CallBody> {
        self.outcome = Status::from_header_map(response.headers());
        self.answered = true;
        cutoff.answered();
        response.map(|body| CallBody { body, watch: Some(Watch { record: self, cutoff }) })
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
                (Code::Cancelled, "the stream was cut before the answer was taken")
            }
            None => (Code::Cancelled, "the stream was cut before there was an answer"),
        };
        let fault = matches!(code, Code::Internal | Code::Unknown | Code::DataLoss);
        // One line a call: what happened, how much of it, and for how long.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    outcome = ?code,
                    error = (code != Code::Ok).then_some(error),
                    points = self.progress.point_count(),
                    bytes = self.progress.byte_count(),
                    duration_ms = self.started.elapsed().as_micros() as f64 / 1e3,
                    "call ended"
                )
            };
        }
        self.span.in_scope(|| match (self.measuring, fault) {
            (_, true) => line!(tracing::Level::WARN),
            (true, false) => line!(tracing::Level::INFO),
            // Health checks come every few seconds and are nobody's news.
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
}

impl CallBody {
    fn unwatched(body: Body) -> Self {
        Self { body, watch: None }
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
                let status = Status::from(ready!(watch.cutoff.poll(cx, point_count)));
                let mut trailers = HeaderMap::new();
                // Its message and details are ours, and fit into headers.
                let _ = status.add_header(&mut trailers);
                watch.record.outcome = Some(status);
                *this = Self::unwatched(Body::empty());
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
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
