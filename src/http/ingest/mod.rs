//! The requests of phone apps and trackers: `/ingest/{protocol}`, with a token as a further segment of the path if the app
//! can send no header.
//!
//! [`crate::ingest`] parses a request. Its fixes are passed to the method AppendPoints, so that the answer follows when they
//! are durable, and a request that is repeated changes nothing. `credentials` reads the token, `append` makes the calls, and
//! `counters` counts requests and fixes. docs/phones.md is the reference for users.
//!
//! A request is one call: it is admitted once, before its body is read, and its fixes are parts of this call.

mod append;
mod counters;
mod credentials;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use self::counters::{Counters, RequestOutcome};
pub use self::counters::{IngestCount, IngestStats};
use super::body::STREAM_RESET;
use super::error::ApiError;
use super::paths::gate;
use super::{Shared, answer, blocking, body};
use crate::ingest::{
    self, BODY_BYTES_MAX, Batch, Protocol, QUERY_BYTES_MAX, Rejection, SERVER_TIME_MIN_UNIX_S,
};
use crate::measure::Zone;
use crate::proto::waywiser_v1 as pb;
use crate::server::{HeldBytes, OpenRequest};

/// The routes of each protocol, without and with a token, in the order of [`Protocol::ALL`].
pub(super) const ROUTES: [&str; 10] = [
    "/ingest/owntracks",
    "/ingest/owntracks/{token}",
    "/ingest/osmand",
    "/ingest/osmand/{token}",
    "/ingest/traccar",
    "/ingest/traccar/{token}",
    "/ingest/overland",
    "/ingest/overland/{token}",
    "/ingest/forward",
    "/ingest/forward/{token}",
];

/// Larger bodies are parsed on another thread: they take more than a millisecond.
const PARSED_AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// The bytes of memory of a fix that was parsed, with the name of its device.
const FIX_BYTES: u64 = 512;

/// When an app may send its request again, if the clock of the server is not set.
const CLOCK_RETRY_TIME: Duration = Duration::from_secs(30);

/// What the requests share.
pub(super) struct Ingest {
    /// The options of new recordings.
    options: pb::PathOptions,
    /// The large bodies that are parsed at the same time: one for each processor.
    parsing: Arc<Semaphore>,
    pub(super) counters: Counters,
    /// Whether the log has a line about a clock that is not set.
    is_clock_reported: AtomicBool,
}

impl Ingest {
    pub(super) fn new(zone: Zone, cores: usize) -> Self {
        let parsing = Arc::new(Semaphore::new(cores));
        let options = append::options(zone);
        Self { options, parsing, counters: Counters::default(), is_clock_reported: false.into() }
    }

    /// Returns the time of the server in nanoseconds since 1970.
    ///
    /// # Errors
    /// If the clock is not set, as that of a machine without a battery before it has reached a time server. The server would
    /// drop all fixes as those of the future, and the apps would delete them.
    fn now_unix_ns(&self, now: SystemTime) -> Result<i64, ApiError> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() >= SERVER_TIME_MIN_UNIX_S.unsigned_abs() {
            return Ok(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        }
        let message =
            "the clock of the server is not set, so that it cannot check the times of positions";
        if !self.is_clock_reported.swap(true, Relaxed) {
            tracing::error!(
                unix_s = since.as_secs(),
                "{message}; requests of phones are refused until it is set"
            );
        }
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable);
        let error = ApiError::new(status, code, "CLOCK_NOT_SET", message);
        Err(error.retry_after(CLOCK_RETRY_TIME))
    }
}

pub(super) fn add_routes(mut router: Router<Arc<Shared>>) -> Router<Arc<Shared>> {
    for (protocol, routes) in Protocol::ALL.into_iter().zip(ROUTES.chunks(2)) {
        let filter = match accepts_get(protocol) {
            true => MethodFilter::GET.or(MethodFilter::POST),
            false => MethodFilter::POST,
        };
        for route in routes {
            let handler = move |State(shared): State<Arc<Shared>>, request: Request<Body>| async move {
                receive(protocol, &shared, request).await
            };
            router = router.route(route, on(filter, handler));
        }
    }
    router
}

/// Returns the methods of a route, for the header `allow`.
pub(super) fn methods(route: &str) -> &'static str {
    if route.starts_with("/ingest/osmand") { "GET, POST" } else { "POST" }
}

/// Returns whether an app of the protocol sends fixes by GET.
fn accepts_get(protocol: Protocol) -> bool {
    protocol == Protocol::OsmAnd
}

/// Returns the route in the log, which has no token.
fn log_route(protocol: Protocol, method: &Method) -> &'static str {
    match protocol {
        Protocol::OwnTracks => "POST /ingest/owntracks",
        Protocol::OsmAnd if method == Method::GET => "GET /ingest/osmand",
        Protocol::OsmAnd => "POST /ingest/osmand",
        Protocol::Traccar => "POST /ingest/traccar",
        Protocol::Overland => "POST /ingest/overland",
        Protocol::Forward => "POST /ingest/forward",
    }
}

async fn receive(protocol: Protocol, shared: &Shared, request: Request<Body>) -> Response {
    // The router passes HEAD to the handlers of GET, and a HEAD must not change anything.
    if request.method() == Method::HEAD {
        return ApiError::method_unknown(&Method::HEAD, "GET, POST").into_response();
    }
    let mut counted = shared.ingest.counters.request(protocol);
    match admit(protocol, shared, request).await {
        Ok(outcome) => {
            counted.set(outcome);
            success(protocol)
        }
        Err(error) => {
            counted.set(outcome(&error));
            error.into_response()
        }
    }
}

/// Returns the outcome of a request that has an error.
fn outcome(error: &ApiError) -> RequestOutcome {
    match error.status() {
        _ if error.is_rejection() => RequestOutcome::Rejected,
        // The body was cut, or came too slowly.
        StatusCode::REQUEST_TIMEOUT => RequestOutcome::Cancelled,
        StatusCode::BAD_REQUEST if error.reason() == STREAM_RESET => RequestOutcome::Cancelled,
        StatusCode::CONFLICT => RequestOutcome::Failed,
        status if status.is_server_error() => RequestOutcome::Failed,
        _ => RequestOutcome::Refused,
    }
}

fn success(protocol: Protocol) -> Response {
    match protocol.success_body() {
        "" => Response::new(Body::empty()),
        text => answer::json(text.to_owned()),
    }
}

/// Admits a request as a call, and answers it.
async fn admit(
    protocol: Protocol,
    shared: &Shared,
    request: Request<Body>,
) -> Result<RequestOutcome, ApiError> {
    let gate = gate(request.extensions())?;
    let headers = credentials::headers(request.uri().path(), request.headers());
    let mut open = gate.open(&headers, log_route(protocol, request.method()))?;
    let answer = store(protocol, shared, &mut open, request).await;
    open.end(match &answer {
        Ok(_) => Status::ok(""),
        Err(error) => error.to_status(),
    });
    answer
}

/// Stores the fixes of a request.
async fn store(
    protocol: Protocol,
    shared: &Shared,
    open: &mut OpenRequest,
    request: Request<Body>,
) -> Result<RequestOutcome, ApiError> {
    open.check_writer()?;
    let now_unix_ns = shared.ingest.now_unix_ns(SystemTime::now())?;
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(Rejection::TooLarge { what: "query string", max: QUERY_BYTES_MAX }.into());
    }
    let too_large = || Rejection::TooLarge { what: "body", max: BODY_BYTES_MAX }.into();
    let (body, held) = body::read(open, body, BODY_BYTES_MAX, too_large).await?;
    let content = Content {
        query: query.to_owned(),
        content_type: text(&parts.headers, header::CONTENT_TYPE.as_str())?,
        user: text(&parts.headers, "x-limit-u")?,
        device: text(&parts.headers, "x-limit-d")?,
        body,
        _held: held,
        now_unix_ns,
    };
    let batch = parse(protocol, &shared.ingest, open, content).await?;
    let _parsed: HeldBytes = open.hold(batch.fixes.len() as u64 * FIX_BYTES)?;
    for problem in &batch.problems {
        let (protocol, index) = (protocol.name(), problem.index);
        tracing::debug!(protocol, index, problem = %problem.problem, "a fix was dropped");
    }
    append::append(protocol, &shared.ingest, open, &batch.fixes).await?;
    shared.ingest.counters.dropped(protocol, &batch.bad_counts);
    Ok(match (batch.fixes.len(), batch.bad_count) {
        (0, 0) => RequestOutcome::Event,
        (_, 0) => RequestOutcome::Accepted,
        _ => RequestOutcome::AcceptedAndDropped,
    })
}

/// The parts of a request that the parsers read.
struct Content {
    query: String,
    content_type: Option<String>,
    user: Option<String>,
    device: Option<String>,
    body: Bytes,
    /// The charge of the body.
    _held: Vec<HeldBytes>,
    now_unix_ns: i64,
}

impl Content {
    fn parse(&self, protocol: Protocol) -> Result<Batch, Rejection> {
        protocol.parse(&ingest::Request {
            query: &self.query,
            content_type: self.content_type.as_deref(),
            user: self.user.as_deref(),
            device: self.device.as_deref(),
            body: &self.body,
            now_unix_ns: self.now_unix_ns,
        })
    }
}

async fn parse(
    protocol: Protocol,
    ingest: &Ingest,
    open: &mut OpenRequest,
    content: Content,
) -> Result<Batch, ApiError> {
    if content.body.len() <= PARSED_AT_ONCE_BYTES_MAX {
        return Ok(content.parse(protocol)?);
    }
    let work = move || content.parse(protocol);
    Ok(open.run(blocking::run(&ingest.parsing, work)).await???)
}

/// Returns the text of a header.
///
/// # Errors
/// If it is not UTF-8. A device with such a name would be recorded as another device.
fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(ApiError::invalid(name, "the header is not UTF-8").into_rejection()),
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let message = rejection.to_string();
        let error = match rejection {
            Rejection::TooLarge { .. } | Rejection::TooManyFixes => {
                let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
                Self::new(status, code, "INGEST_TOO_LARGE", message)
            }
            _ => {
                let (status, code) = (StatusCode::BAD_REQUEST, Code::InvalidArgument);
                Self::new(status, code, "INGEST_INVALID", message)
            }
        };
        error.into_rejection()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_an_error_names_its_cause() {
        use RequestOutcome::{Cancelled, Failed, Refused, Rejected};
        for (status, reason, expected) in [
            (401, "CREDENTIALS_INVALID", Refused),
            (403, "ROLE_REQUIRED", Refused),
            (429, "QUOTA", Refused),
            (400, "OPTIONS_DIFFER", Refused),
            (400, "PATH_COMPLETE", Refused),
            (408, "STREAM_IDLE", Cancelled),
            (400, STREAM_RESET, Cancelled),
            (409, "WRITER_FENCED", Failed),
            (503, "STORE_UNAVAILABLE", Failed),
            (500, "INTERNAL", Failed),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = ApiError::new(status, Code::Unknown, reason, "");
            assert_eq!(outcome(&error), expected, "{reason}");
        }
        for rejection in [Rejection::TooManyFixes, Rejection::Encrypted] {
            assert_eq!(outcome(&rejection.into()), Rejected);
        }
    }

    #[test]
    fn a_server_whose_clock_is_not_set_refuses_requests() {
        let ingest = Ingest::new(Zone::UTC, 1);
        let first = UNIX_EPOCH + Duration::from_secs(SERVER_TIME_MIN_UNIX_S.unsigned_abs());
        for now in
            [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH, first - Duration::from_nanos(1)]
        {
            let response = ingest.now_unix_ns(now).unwrap_err().response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "30");
        }
        assert_eq!(ingest.now_unix_ns(first).unwrap(), SERVER_TIME_MIN_UNIX_S * 1_000_000_000);
        // The clock of this machine.
        assert!(ingest.now_unix_ns(SystemTime::now()).is_ok());
    }
}
