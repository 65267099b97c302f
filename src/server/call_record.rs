//! The record of one call, from which observers receive a report when the call ends.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Response};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use super::memory::Charge;
use super::methods::Methods;
use super::observer::{CallInfo, CallKind, CallReport};
use super::open_calls::OpenCall;
use super::quota::Admission;
use super::shared::Shared;
use crate::auth::Principal;
use crate::service::{Progress, RpcError};

/// The record of a call. Reports the end of the call when it is dropped, so that no path out of a call skips it.
pub(super) struct CallRecord {
    shared: Arc<Shared>,
    span: Span,
    method: String,
    kind: CallKind,
    peer: SocketAddr,
    principal: Option<Arc<Principal>>,
    traceparent: Option<Box<str>>,
    progress: Arc<Progress>,
    _open: OpenCall,
    started: Instant,
    status: Option<Status>,
    /// An answer exists, whether or not the client has read it.
    is_answered: bool,
    _held: Held,
    /// Counts the call as a stream of its principal and its peer.
    quota: Admission,
}

/// Resources that a call holds until it has ended.
pub(super) struct Held {
    /// The memory of the stream.
    pub(super) _charge: Charge,
    /// Counts the call as one that only waits for updates.
    pub(super) _watch: Option<Arc<()>>,
    /// Makes the drain wait for the call.
    pub(super) _drain: Option<TaskTrackerToken>,
}

impl CallRecord {
    /// Starts the record of a call and reports the start.
    pub(super) fn start(
        shared: &Arc<Shared>,
        method: String,
        kind: CallKind,
        peer: SocketAddr,
        held: Held,
    ) -> Self {
        // The log of calls does not need it. It names the call in other lines, at the price of its formatting.
        let span = tracing::debug_span!("call", %method, %peer);
        let progress = Arc::default();
        let method_id = Methods::get().find(&method);
        let record = Self {
            shared: Arc::clone(shared),
            span,
            method,
            kind,
            peer,
            principal: None,
            traceparent: None,
            _open: shared.monitored.calls.open(method_id, &progress),
            progress,
            started: Instant::now(),
            status: None,
            is_answered: false,
            _held: held,
            quota: Admission::default(),
        };
        let call = record.info();
        record.span.in_scope(|| {
            for observer in &shared.observers {
                observer.call_started(&call);
            }
        });
        record
    }

    fn info(&self) -> CallInfo<'_> {
        CallInfo {
            method: &self.method,
            kind: self.kind,
            peer: self.peer,
            principal: self.principal.as_ref().map(|principal| &*principal.name),
            traceparent: self.traceparent.as_deref(),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Returns the address of the client.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns the kind of the call.
    pub(super) fn kind(&self) -> CallKind {
        self.kind
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Sets the caller, once the call is authenticated.
    pub(super) fn set_principal(&mut self, principal: Arc<Principal>) {
        self.principal = Some(principal);
    }

    /// Sets the trace that the client names, if it names one.
    pub(super) fn set_trace(&mut self, headers: &HeaderMap) {
        const TRACEPARENT_BYTES_MAX: usize = 64;
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        self.traceparent =
            traceparent.filter(|text| text.len() <= TRACEPARENT_BYTES_MAX).map(Box::from);
    }

    /// Returns the caller, if the call is authenticated.
    pub(super) fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// Counts the call against quotas until it has ended.
    pub(super) fn hold_quota(&mut self, admission: Admission) {
        self.quota = admission;
    }

    /// Sets the status that is reported.
    pub(super) fn set_status(&mut self, status: Status) {
        self.status = Some(status);
    }

    /// Notes that there is an answer, and its status if the headers contain one.
    pub(super) fn set_answer<B>(&mut self, response: &Response<B>) {
        self.status = Status::from_header_map(response.headers());
        self.is_answered = true;
    }

    /// Ends the call with an error.
    pub(super) fn end_with_error(mut self, error: RpcError) -> Response<Body> {
        let status = Status::from(error);
        self.status = Some(status.clone());
        status.into_http()
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let (code, message) = match &self.status {
            Some(status) => (status.code(), status.message()),
            None if self.is_answered => (
                Code::Cancelled,
                "the client ended the stream before the status of the answer was sent",
            ),
            None => (Code::Cancelled, "the stream ended before there was an answer"),
        };
        if let Some(status) = &self.status
            && code != Code::Ok
        {
            self.shared.monitored.counters.call_failed(status);
        }
        let report = CallReport {
            call: self.info(),
            code,
            message,
            points: self.progress.added_points(),
            bytes: self.progress.byte_count(),
            duration: self.started.elapsed(),
        };
        self.span.in_scope(|| {
            for observer in &self.shared.observers {
                observer.call_ended(&report);
            }
        });
    }
}
