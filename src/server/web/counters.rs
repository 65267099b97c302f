//! The counters of the requests to the HTTP listener, by route and status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

/// The label of requests that belong to no route.
const OTHER: &str = "other";

/// The number of requests of a route that were answered with a status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCount {
    /// The route, such as `/api/paths/{name}`, or `other`.
    pub route: &'static str,
    /// The status of HTTP.
    pub status: u16,
    /// The number of answers.
    pub count: u64,
}

/// The statistics of the HTTP listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebStats {
    /// The requests by route and status. There are as many entries as pairs that have occurred.
    pub requests: Vec<RequestCount>,
    /// The requests whose answers are not complete.
    pub open: u64,
    /// The streams of events that are open.
    pub event_streams: u64,
    /// The bytes of request bodies.
    pub received_bytes: u64,
    /// The bytes of answers, without headers.
    pub sent_bytes: u64,
}

/// The counters of the HTTP listener.
#[derive(Debug, Default)]
pub(in crate::server) struct WebCounters {
    /// The keys are bounded by the routes and by the statuses that the server uses.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    open: AtomicU64,
    event_streams: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

impl WebCounters {
    pub(in crate::server) fn stats(&self) -> WebStats {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let requests =
            requests.iter().map(|(&(route, status), &count)| RequestCount { route, status, count });
        WebStats {
            requests: requests.collect(),
            open: self.open.load(Relaxed),
            event_streams: self.event_streams.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
        }
    }

    pub(super) fn answered(&self, route: Option<&'static str>, status: StatusCode) {
        let key = (route.unwrap_or(OTHER), status.as_u16());
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}

/// Counts the bytes of bodies.
#[derive(Clone, Debug)]
pub(super) struct ByteCounter(pub(super) Arc<WebCounters>);

impl ByteCounter {
    pub(super) fn add_received(&self, bytes: u64) {
        self.0.received_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn add_sent(&self, bytes: u64) {
        self.0.sent_bytes.fetch_add(bytes, Relaxed);
    }
}

/// Counts as an open request until it is dropped.
#[derive(Debug)]
pub(super) struct OpenCount {
    counters: Arc<WebCounters>,
    is_event_stream: bool,
}

impl OpenCount {
    pub(super) fn new(counters: &Arc<WebCounters>) -> Self {
        counters.open.fetch_add(1, Relaxed);
        Self { counters: Arc::clone(counters), is_event_stream: false }
    }

    /// Counts the request also as an open stream of events.
    pub(super) fn set_event_stream(&mut self) {
        if !std::mem::replace(&mut self.is_event_stream, true) {
            self.counters.event_streams.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
        if self.is_event_stream {
            self.counters.event_streams.fetch_sub(1, Relaxed);
        }
    }
}
