//! The calls of a connection: admission, the deadline, and the end of the server.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use h2::RecvStream;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;
use tracing::Instrument as _;

use super::acceptor::PeerInfo;
use super::body::{IncomingBody, Input};
use super::call_body::CallBody;
use super::call_record::{CallRecord, Held};
use super::client_certificate::ClientCertificate;
use super::cutoff::{Cutoff, Grounds};
use super::memory::{STREAM_BYTES, Usage};
use super::message_limit::{LimitedBody, Refusal};
use super::observer::CallKind;
use super::peer::peer_key;
use super::service_names::{AUXILIARY, HEALTH_PREFIX, HEALTH_WATCH, MEASURING};
use super::shared::Shared;
use crate::auth::{AuthError, Credentials, Principal, Session};
use crate::service::{
    ClientAddress, LoadShare, Owner, Rates, RpcError, WATCH_PATH, excerpt, refuse_non_grpc,
};

/// The routes of one connection. Each of its calls ends in time and is reported to observers.
pub(super) struct CallService {
    pub(super) shared: Arc<Shared>,
    routes: Routes,
    pub(super) peer: PeerInfo,
    pub(super) usage: Arc<Usage>,
    /// Ends the calls of this connection with UNAVAILABLE.
    closing: CancellationToken,
    /// Cloned by each call that only waits for updates.
    pub(super) watches: Arc<()>,
    /// Whether an expensive check of credentials has failed on this connection.
    has_failed_check: AtomicBool,
}

/// A call that may start.
pub(super) struct Admitted {
    pub(super) cutoff: Cutoff,
    /// The caller. `None` if the server has no authentication, or the method needs none.
    pub(super) principal: Option<Arc<Principal>>,
    /// The rate limits of the caller.
    pub(super) rates: Option<Rates>,
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
        let has_failed_check = AtomicBool::new(false);
        Self { shared, routes, peer, usage, closing, watches: Arc::new(()), has_failed_check }
    }

    /// Returns the number of calls that only wait for updates: watches of health or of recordings.
    pub(super) fn watch_count(&self) -> usize {
        Arc::strong_count(&self.watches) - 1
    }

    /// Begins a call.
    pub(super) fn call(&self, request: Request<RecvStream>) -> CallFuture {
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
        record.set_trace(request.headers());
        match self.admit(&request, &mut record) {
            Ok(admitted) => {
                let (parts, stream) = request.into_parts();
                let progress = Arc::clone(record.progress());
                let body = IncomingBody::new(Input::new(stream, &self.usage, progress));
                let (body, refusal) = match is_measuring {
                    true => (Body::new(body), None),
                    false => {
                        let max_bytes = self.shared.config.max_message_bytes;
                        let (body, refusal) = LimitedBody::new(body, max_bytes);
                        (Body::new(body), Some(refusal))
                    }
                };
                self.start(Request::from_parts(parts, body), refusal, record, admitted)
            }
            Err(error) => {
                let response = record.end_with_error(error);
                Box::pin(async { response.map(CallBody::finished) })
            }
        }
    }

    /// Decides whether a call may start, and counts it against the quotas of its caller.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub(super) fn admit<B>(
        &self,
        request: &Request<B>,
        record: &mut CallRecord,
    ) -> Result<Admitted, RpcError> {
        let admitted = self.check(request, record.kind(), record.peer().ip())?;
        if let Some(principal) = &admitted.principal {
            record.set_principal(Arc::clone(principal));
        }
        // Health checks count against no quota: their answers are needed most when quotas are used up.
        let is_measuring = record.kind() == CallKind::Measuring;
        let rates = if is_measuring { self.count(record)? } else { None };
        Ok(Admitted { rates, ..admitted })
    }

    /// Decides whether a call may start.
    ///
    /// # Errors
    /// The reason for the refusal.
    fn check<B>(
        &self,
        request: &Request<B>,
        kind: CallKind,
        client: IpAddr,
    ) -> Result<Admitted, RpcError> {
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
        let session = self.authenticate(request, client)?;
        // Health checks are small, and an operator needs their answer most when memory is short.
        if is_measuring && !self.usage.admits_stream() {
            return Err(RpcError::Overloaded);
        }
        // Health and reflection set no time limit on their requests, which clients may never finish.
        let answer_time = (!is_measuring).then_some(config.stream_idle_timeout);
        let closing = self.closing.clone();
        let grounds = Grounds {
            session: session.as_ref(),
            certificate: self.peer.certificate.as_deref(),
            is_certificate_session: self.has_certificate_credential(request.headers()),
        };
        let cutoff = Cutoff::new(request.headers(), answer_time, closing, grounds)?;
        let quotas = &self.shared.quotas;
        let principal = session.map(|session| quotas.with_defaults(session.principal));
        Ok(Admitted { cutoff, principal, rates: None })
    }

    /// Counts a call against the quotas of its caller. Returns the rate limits that it must keep to.
    ///
    /// # Errors
    /// A quota is used up.
    fn count(&self, record: &mut CallRecord) -> Result<Option<Rates>, RpcError> {
        let peer = peer_key(record.peer().ip());
        let mut admission = self.shared.quotas.admit(record.principal(), peer)?;
        let rates = admission.rates();
        record.hold_quota(admission);
        Ok(rates)
    }

    /// Returns whether the credential of a call is the certificate of the client. A token has precedence.
    fn has_certificate_credential(&self, headers: &HeaderMap) -> bool {
        self.peer.certificate.is_some() && !headers.contains_key(AUTHORIZATION)
    }

    /// Checks the credentials of a call. Returns `None` if the call needs none.
    ///
    /// # Errors
    /// The caller is not known, or has sent too many credentials that are not valid.
    fn authenticate<B>(
        &self,
        request: &Request<B>,
        client: IpAddr,
    ) -> Result<Option<Session>, RpcError> {
        let Some(authenticator) = &self.shared.authenticator else { return Ok(None) };
        if request.uri().path().starts_with(HEALTH_PREFIX) {
            return Ok(None);
        }
        let mut values = request.headers().get_all(AUTHORIZATION).iter();
        let authorization = values.next().map(|value| value.as_bytes());
        if values.next().is_some() {
            let error = AuthError::Malformed("the header authorization is repeated");
            return Err(RpcError::Unauthenticated(error));
        }
        let certificate = self.peer.certificate.as_deref();
        let checks = &self.shared.failed_checks;
        let failures = checks.of_call(peer_key(client), &self.has_failed_check);
        let credentials = Credentials {
            authorization,
            certificate: certificate.map(ClientCertificate::names),
            certificate_session: certificate.map(ClientCertificate::session),
            failures: Some(&failures),
        };
        authenticator.authenticate(&credentials).map(Some).map_err(|error| match error {
            AuthError::Throttled => failures.error().into(),
            // The client can have renewed it, and presents it in its next connection.
            AuthError::Expired if self.has_certificate_credential(request.headers()) => {
                RpcError::CertificateEnded
            }
            error => RpcError::Unauthenticated(error),
        })
    }

    /// Returns the part of a call in the load of the server.
    fn load_share(
        &self,
        record: &CallRecord,
        peer: IpAddr,
        deadline: Option<Instant>,
    ) -> LoadShare {
        let owner = Owner::of(record.principal(), peer);
        LoadShare::new(Arc::clone(&self.shared.load), owner, deadline)
    }

    /// Passes a message to a method as a part of a call that was admitted. It has no record, and no rate limits: its
    /// caller keeps to them. The body of the answer is complete, because the method is unary.
    #[cfg(feature = "http")]
    pub(super) async fn part(
        &self,
        request: Request<Body>,
        record: &CallRecord,
        principal: Option<Arc<Principal>>,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        if let Some(principal) = principal {
            parts.extensions.insert(principal);
        }
        let address = record.peer().ip();
        let peer = peer_key(address);
        parts.extensions.insert(self.shared.creations.of_peer(peer));
        parts.extensions.insert(ClientAddress(address));
        // The progress of the call is that of its own request.
        let progress = Arc::default();
        let share = self.load_share(record, peer, None);
        let mut load = share.begin(Arc::clone(&progress));
        parts.extensions.insert(share);
        parts.extensions.insert(progress);
        let mut call = Box::pin(self.routes.clone().call(Request::from_parts(parts, body)));
        let answer = poll_fn(|cx| load.poll(|| call.as_mut().poll(cx)));
        match answer.instrument(record.span().clone()).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Passes an admitted call to its service.
    pub(super) fn start(
        &self,
        request: Request<Body>,
        refusal: Option<Refusal>,
        record: CallRecord,
        admitted: Admitted,
    ) -> CallFuture {
        let Admitted { mut cutoff, principal, rates } = admitted;
        let (mut parts, body) = request.into_parts();
        if let Some(principal) = principal {
            // The services need the principal, and not its secret.
            parts.headers.remove(AUTHORIZATION);
            parts.extensions.insert(principal);
        }
        if let Some(rates) = rates {
            parts.extensions.insert(rates);
        }
        parts.extensions.insert(Arc::clone(record.progress()));
        let peer = peer_key(record.peer().ip());
        parts.extensions.insert(self.shared.creations.of_peer(peer));
        parts.extensions.insert(ClientAddress(record.peer().ip()));
        let share = self.load_share(&record, peer, cutoff.deadline());
        let mut load = share.begin(Arc::clone(record.progress()));
        parts.extensions.insert(share);
        let mut call = Box::pin(self.routes.clone().call(Request::from_parts(parts, body)));
        let span = record.span().clone();
        let call = async move {
            let answer = poll_fn(|cx| {
                let answer = load.poll(|| call.as_mut().poll(cx));
                if let Some(error) = refusal.as_ref().and_then(|refusal| refusal.get()) {
                    return Poll::Ready(Err(error.clone()));
                }
                // The call is checked first, so that an answer that is ready is sent, even after the deadline.
                if let Poll::Ready(Ok(response)) = answer {
                    return Poll::Ready(Ok(response));
                }
                if load.is_refused() {
                    return Poll::Ready(Err(RpcError::Busy));
                }
                cutoff.poll(cx, record.progress().point_count()).map(Err)
            })
            .await;
            match answer {
                Ok(response) => CallBody::answer(record, response, cutoff, load, refusal),
                Err(error) => {
                    // The call is charged for what it has read before its client receives the status.
                    drop(call);
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
