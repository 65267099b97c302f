//! The calls of a connection: admission, the deadline, and the end of the server.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;
use tracing::Instrument as _;

use super::acceptor::PeerInfo;
use super::body::{IncomingBody, Input};
use super::call_body::CallBody;
use super::call_record::{CallRecord, Held};
use super::cutoff::Cutoff;
use super::memory::{STREAM_BYTES, Usage};
use super::message_limit::LimitedBody;
use super::observer::CallKind;
use super::peer::peer_key;
use super::quota::Admission;
use super::service_names::{AUXILIARY, HEALTH_WATCH, MEASURING};
use super::shared::Shared;
use crate::service::{RpcError, WATCH_PATH, excerpt, refuse_non_grpc};

/// The routes of one connection. Each of its calls ends in time and is reported to observers.
pub(super) struct CallService {
    shared: Arc<Shared>,
    routes: Routes,
    peer: PeerInfo,
    usage: Arc<Usage>,
    /// Ends the calls of this connection with UNAVAILABLE.
    closing: CancellationToken,
    /// Cloned by each call that only waits for updates.
    watches: Arc<()>,
}

/// A call whose answer has not started.
pub(super) type CallFuture = Pin<Box<dyn Future<Output = Response<CallBody>> + Send>>;

impl CallService {
    pub(super) fn new(
        shared: Arc<Shared>,
        routes: Routes,
        peer: PeerInfo,
        usage: Arc<Usage>,
        closing: CancellationToken,
    ) -> Self {
        Self { shared, routes, peer, usage, closing, watches: Arc::new(()) }
    }

    /// Returns the number of calls that only wait for updates: watches of health or of recordings.
    pub(super) fn watch_count(&self) -> usize {
        Arc::strong_count(&self.watches) - 1
    }

    /// Begins a call.
    pub(super) fn call(&mut self, request: Request<RecvStream>) -> CallFuture {
        let address = self.shared.proxies.client(self.peer.address, request.headers());
        if let Some(response) = refuse_non_grpc(&request) {
            tracing::debug!(peer = %address, method = %request.method(), "not a gRPC call");
            return Box::pin(async { response.map(CallBody::finished) });
        }
        let path = request.uri().path();
        let (service, method) =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
        let kind = match method {
            "" => CallKind::Unknown,
            _ if MEASURING.contains(&service) => CallKind::Measuring,
            _ if AUXILIARY.contains(&service) => CallKind::Auxiliary,
            _ => CallKind::Unknown,
        };
        let is_measuring = kind == CallKind::Measuring;
        let is_watch = [WATCH_PATH, HEALTH_WATCH].contains(&path);
        let calls = &self.shared.stages.calls;
        let held = Held {
            _charge: self.usage.charge(STREAM_BYTES),
            _watch: is_watch.then(|| Arc::clone(&self.watches)),
            // A watch lasts as long as its recording grows, so the drain waits for the writer instead.
            _drain: (is_measuring && path != WATCH_PATH).then(|| calls.token()),
        };
        let mut record = CallRecord::start(&self.shared, excerpt(path), kind, address, held);
        let admitted = self.admit(&request, kind).and_then(|cutoff| {
            // Health checks are not limited: their answers are needed most when a quota is used up.
            let quota = match is_measuring {
                true => self.shared.quotas.admit(None, peer_key(address.ip()))?,
                false => Admission::default(),
            };
            Ok((cutoff, quota))
        });
        match admitted {
            Ok((cutoff, mut quota)) => {
                let mut request = request;
                if let Some(rates) = quota.rates() {
                    request.extensions_mut().insert(rates);
                }
                record.hold_quota(quota);
                self.start(request, record, cutoff, is_measuring)
            }
            Err(error) => {
                let response = record.end_with_error(error);
                Box::pin(async { response.map(CallBody::finished) })
            }
        }
    }

    /// Decides whether a call may start.
    ///
    /// # Errors
    /// The reason for the refusal.
    fn admit(&self, request: &Request<RecvStream>, kind: CallKind) -> Result<Cutoff, RpcError> {
        let config = &self.shared.config;
        let is_measuring = match kind {
            CallKind::Unknown => {
                return Err(RpcError::UnknownMethod(excerpt(request.uri().path())));
            }
            CallKind::Measuring => true,
            CallKind::Auxiliary => false,
        };
        // A client may open streams until it has read the GOAWAY of the connection.
        if is_measuring && self.shared.stages.draining.is_cancelled() {
            return Err(RpcError::ShuttingDown { point_count: 0 });
        }
        let metadata_bytes = header_list_bytes(request.headers());
        if metadata_bytes > config.max_header_bytes as usize {
            let metadata_bytes_max = config.max_header_bytes;
            return Err(RpcError::MetadataTooLarge { metadata_bytes, metadata_bytes_max });
        }
        // Health checks are small, and an operator needs their answer most when memory is short.
        if is_measuring && !self.usage.admits_stream() {
            return Err(RpcError::Overloaded);
        }
        // Health and reflection set no time limit on their requests, which clients may never finish.
        let answer_time = (!is_measuring).then_some(config.stream_idle_timeout);
        Cutoff::new(request.headers(), answer_time, self.closing.clone())
    }

    fn start(
        &mut self,
        request: Request<RecvStream>,
        record: CallRecord,
        mut cutoff: Cutoff,
        is_measuring: bool,
    ) -> CallFuture {
        let (mut parts, stream) = request.into_parts();
        let progress = Arc::clone(record.progress());
        parts.extensions.insert(Arc::clone(&progress));
        let peer = peer_key(record.peer().ip());
        parts.extensions.insert(self.shared.creations.of_peer(peer));
        let body = IncomingBody::new(Input::new(stream, &self.usage, progress));
        let (body, refusal) = match is_measuring {
            true => (Body::new(body), None),
            false => {
                let (body, refusal) = LimitedBody::new(body, self.shared.config.max_message_bytes);
                (Body::new(body), Some(refusal))
            }
        };
        let mut call = Box::pin(self.routes.call(Request::from_parts(parts, body)));
        let span = record.span().clone();
        let call = async move {
            let answer = poll_fn(|cx| {
                let answer = call.as_mut().poll(cx);
                if let Some(error) = refusal.as_ref().and_then(|refusal| refusal.get()) {
                    return Poll::Ready(Err(error.clone()));
                }
                // The call is checked first, so that an answer that is ready is sent, even after the deadline.
                if let Poll::Ready(Ok(response)) = answer {
                    return Poll::Ready(Ok(response));
                }
                cutoff.poll(cx, record.progress().point_count()).map(Err)
            })
            .await;
            match answer {
                Ok(response) => CallBody::answer(record, response, cutoff, refusal),
                Err(error) => {
                    let error = record.shared().end_error(error);
                    record.end_with_error(error).map(CallBody::finished)
                }
            }
        };
        Box::pin(call.instrument(span))
    }
}

/// Returns the size of a header list as HTTP/2 counts it: RFC 9113, section 6.5.2.
fn header_list_bytes(headers: &HeaderMap) -> usize {
    const OVERHEAD_BYTES: usize = 32;
    let fields = headers.iter();
    fields.map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD_BYTES).sum()
}
