//! The gate of a connection: it admits requests as calls, with the same checks as those of gRPC.
//!
//! [`Gate::call`] passes a message to a gRPC method of this server, so that recordings have one implementation, with its
//! isolation, its errors, its log lines and its metrics. [`Gate::open`] admits a request that its caller answers itself.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;

use super::basic;
use crate::auth::{Principal, Role};
use crate::server::call::CallService;
use crate::server::call_record::{CallRecord, Held};
use crate::server::cutoff::Cutoff;
use crate::server::handle::{Activity, Handle};
use crate::server::memory::{Charge, STREAM_BYTES};
use crate::server::observer::CallKind;
use crate::service::{Pace, PermissionError, RpcError, WATCH_PATH};

/// Admits the requests of one connection.
#[derive(Clone)]
pub struct Gate(Arc<Connection>);

struct Connection {
    calls: CallService,
    /// Only this machine can reach the listener.
    is_loopback: bool,
    /// The requests whose answers are not complete.
    open: AtomicUsize,
    handle: Arc<Handle>,
}

impl Gate {
    pub(super) fn new(calls: CallService, is_loopback: bool, handle: Arc<Handle>) -> Self {
        Self(Arc::new(Connection { calls, is_loopback, open: AtomicUsize::new(0), handle }))
    }

    /// Reports the activity of the connection to the accept loop. Returns whether it has no open request.
    pub(super) fn update_activity(&self) -> bool {
        let (open, watching) = (self.0.open.load(Relaxed), self.0.calls.watch_count());
        self.0.handle.set_activity_if_changed(match open {
            0 => Activity::Idle,
            _ if open == watching => Activity::Watching,
            _ => Activity::Busy,
        });
        open == 0
    }

    /// Counts a request until [`Gate::ended`].
    pub(super) fn opened(&self) {
        self.0.open.fetch_add(1, Relaxed);
        self.update_activity();
    }

    /// Counts the end of a request.
    pub(super) fn ended(&self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.update_activity();
    }

    /// Returns whether a request needs credentials.
    pub(crate) fn requires_credentials(&self) -> bool {
        self.0.calls.shared.authenticator.is_some()
    }

    /// Returns whether only this machine can reach the listener, so that the name of the host must be that of this
    /// machine. A proxy on this machine that the server trusts may pass on other names.
    pub(crate) fn expects_local_host(&self) -> bool {
        let proxies = &self.0.calls.shared.proxies;
        self.0.is_loopback && !proxies.contains(self.0.calls.peer.address.ip())
    }

    /// Calls a gRPC method of this server with a message and the credentials of a request. `route` names the call in
    /// the log.
    pub(crate) async fn call(
        &self,
        headers: &HeaderMap,
        route: &'static str,
        method: &'static str,
        message: Bytes,
    ) -> Response<Body> {
        let calls = &self.0.calls;
        let mut record = self.record(headers, route, method == WATCH_PATH);
        let request = grpc_request(headers, method, message);
        match calls.admit(&request, &mut record) {
            Ok(admitted) => calls.start(request, None, record, admitted).await.map(Body::new),
            Err(error) => record.end_with_error(error),
        }
    }

    /// Admits a request that its caller answers. It counts as a call until the returned value is dropped.
    ///
    /// # Errors
    /// The status of the refusal.
    pub(crate) fn open(
        &self,
        headers: &HeaderMap,
        route: &'static str,
    ) -> Result<OpenRequest, Box<Status>> {
        let calls = &self.0.calls;
        let mut record = self.record(headers, route, false);
        let request = grpc_request(headers, "/", Bytes::new());
        match calls.admit(&request, &mut record) {
            Ok(admitted) => Ok(OpenRequest {
                record,
                cutoff: admitted.cutoff,
                principal: admitted.principal,
                pace: admitted.rates.map(Pace::new),
                points: 0,
                gate: self.clone(),
            }),
            Err(error) => {
                let status = Status::from(error);
                record.set_status(status.clone());
                Err(Box::new(status))
            }
        }
    }

    /// Charges bytes to the memory budget until the returned value is dropped. Ends the largest connection if the budget is used
    /// up.
    pub(super) fn charge(&self, bytes: u64) -> Charge {
        let charge = self.0.calls.usage.charge(bytes);
        self.0.calls.shared.relieve();
        charge
    }

    /// Changes the bytes of a charge, as [`Gate::charge`].
    pub(super) fn set_charge(&self, charge: &mut Charge, bytes: u64) {
        charge.set(bytes);
        self.0.calls.shared.relieve();
    }

    fn record(&self, headers: &HeaderMap, route: &'static str, is_watch: bool) -> CallRecord {
        let calls = &self.0.calls;
        let shared = &calls.shared;
        let address = shared.proxies.client(calls.peer.address, headers);
        let held = Held {
            _charge: calls.usage.charge(STREAM_BYTES),
            _watch: is_watch.then(|| Arc::clone(&calls.watches)),
            _drain: (!is_watch).then(|| shared.stages.calls.token()),
        };
        let mut record =
            CallRecord::start(shared, route.to_owned(), CallKind::Measuring, address, held);
        record.set_trace(headers);
        record
    }
}

/// Returns a request of gRPC with the credentials of a request of HTTP.
fn grpc_request(headers: &HeaderMap, method: &'static str, message: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(message)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(method);
    let credentials = headers.get_all(AUTHORIZATION).iter().map(basic::to_bearer);
    let copied = request.headers_mut();
    for value in credentials {
        copied.append(AUTHORIZATION, value);
    }
    copied.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request
}

/// Bytes that are charged to the memory budget until this is dropped.
pub(crate) struct HeldBytes {
    charge: Charge,
    gate: Gate,
}

impl HeldBytes {
    /// Charges this number of bytes instead.
    pub(crate) fn set(&mut self, bytes: u64) {
        self.gate.set_charge(&mut self.charge, bytes);
    }
}

/// A request that was admitted. It counts as a call until it is dropped.
pub(crate) struct OpenRequest {
    record: CallRecord,
    cutoff: Cutoff,
    /// The caller. `None` if the server has no authentication.
    principal: Option<Arc<Principal>>,
    pace: Option<Pace>,
    points: u64,
    gate: Gate,
}

impl OpenRequest {
    /// Charges bytes of the request to the memory budget.
    ///
    /// # Errors
    /// If the budget is used up.
    pub(crate) fn hold(&self, bytes: u64) -> Result<HeldBytes, Box<Status>> {
        let charge = self.gate.charge(bytes);
        match self.gate.0.calls.usage.ended().is_cancelled() {
            true => Err(Box::new(RpcError::Overloaded.into())),
            false => Ok(HeldBytes { charge, gate: self.gate.clone() }),
        }
    }

    /// Counts bytes that have arrived, and waits while the caller is above its rate limits.
    ///
    /// # Errors
    /// If the caller is far above its limits.
    pub(crate) async fn received(&mut self, bytes: usize) -> Result<(), Box<Status>> {
        self.record.progress().add_bytes(bytes);
        self.wait().await
    }

    /// Counts points that were measured, and waits while the caller is above its rate limits.
    ///
    /// # Errors
    /// If the caller is far above its limits.
    pub(crate) async fn measured(&mut self, points: u64) -> Result<(), Box<Status>> {
        self.points = self.points.saturating_add(points);
        self.record.progress().set_points(self.points);
        self.wait().await
    }

    /// Checks that the caller may change recordings.
    ///
    /// # Errors
    /// If it is a reader.
    pub(crate) fn check_writer(&self) -> Result<(), Box<Status>> {
        let role = self.principal.as_ref().map_or(Role::Admin, |principal| principal.role);
        PermissionError::check_role(role, Role::Writer)
            .map_err(|error| Box::new(RpcError::PermissionDenied(error).into()))
    }

    /// Returns the name of the caller, if the server has authentication.
    pub(crate) fn principal_name(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| &*principal.name)
    }

    /// Returns the maximum size of a message of a call.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.record.shared().config.max_message_bytes
    }

    /// Calls a unary gRPC method of this server as a part of this request. It is not a call of its own in the log, the
    /// metrics and the quotas: [`OpenRequest::received`] and [`OpenRequest::measured`] count its bytes and points.
    ///
    /// # Errors
    /// The reason for which the request ends early.
    pub(crate) async fn call(
        &mut self,
        method: &'static str,
        message: Bytes,
    ) -> Result<Response<Body>, Box<Status>> {
        let request = grpc_request(&HeaderMap::new(), method, message);
        let gate = self.gate.clone();
        let principal = self.principal.clone();
        let call = gate.0.calls.part(request, &self.record, principal);
        let (cutoff, points) = (&mut self.cutoff, self.points);
        run_until(call, cutoff, points).await.map_err(|error| self.end_status(error))
    }

    /// Returns the status of a request that ends early.
    fn end_status(&self, error: RpcError) -> Box<Status> {
        Box::new(self.gate.0.calls.shared.end_error(error).into())
    }

    async fn wait(&mut self) -> Result<(), Box<Status>> {
        let Some(pace) = &mut self.pace else { return Ok(()) };
        let bytes = self.record.progress().byte_count();
        pace.charge(self.points, bytes).map_err(|error| Box::new(RpcError::from(error).into()))?;
        poll_fn(|cx| pace.poll(cx)).await;
        Ok(())
    }

    /// Waits for a future, or for the end of the session or of the server.
    ///
    /// # Errors
    /// The reason for which the request ends early.
    pub(crate) async fn run<T>(
        &mut self,
        future: impl Future<Output = T>,
    ) -> Result<T, Box<Status>> {
        let result = run_until(future, &mut self.cutoff, self.points).await;
        result.map_err(|error| self.end_status(error))
    }

    /// Sets the status that is reported.
    pub(crate) fn end(mut self, status: Status) {
        self.record.set_status(status);
    }
}

/// Waits for a future, or for the events that end its request.
async fn run_until<T>(
    future: impl Future<Output = T>,
    cutoff: &mut Cutoff,
    points: u64,
) -> Result<T, RpcError> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => cutoff.poll(cx, points).map(Err),
    })
    .await
}
