//! The numbers of requests and fixes of phone apps.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::ingest::{FixProblem, Protocol};

/// The results of fixes: `accepted`, and the kinds of problems.
const FIX_RESULTS: usize = 1 + FixProblem::NAMES.len();

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// All fixes are durable.
    Accepted,
    /// The good fixes are durable, and the bad ones were dropped.
    AcceptedAndDropped,
    /// The request had no fix, such as a sign of life.
    Event,
    /// The request could not be read.
    Rejected,
    /// The caller may not store the fixes: its token is not valid, a quota is used up, or the recording is another program's.
    Refused,
    /// The server could not store the fixes, also because another server writes the recording.
    Failed,
    /// The client disconnected before the answer, or its body was cut or arrived too slowly.
    Cancelled,
}

impl RequestOutcome {
    const NAMES: [&'static str; 7] =
        ["accepted", "accepted_and_dropped", "event", "rejected", "refused", "failed", "cancelled"];
}

/// The number of requests with an outcome, or of fixes with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngestCount {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// The name of the outcome or result.
    pub result: &'static str,
    /// The number.
    pub count: u64,
}

/// The numbers of requests and fixes of phone apps. Those that are zero are included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngestStats {
    /// The requests by protocol and outcome.
    pub requests: Vec<IngestCount>,
    /// The fixes by protocol and result: `accepted`, or a name of [`FixProblem::NAMES`]. A fix that is sent again counts
    /// again.
    pub fixes: Vec<IngestCount>,
}

/// The counters, by the index of the protocol in [`Protocol::ALL`].
#[derive(Debug, Default)]
pub(in crate::http) struct Counters {
    requests: [[AtomicU64; RequestOutcome::NAMES.len()]; Protocol::ALL.len()],
    fixes: [[AtomicU64; FIX_RESULTS]; Protocol::ALL.len()],
}

fn index(protocol: Protocol) -> usize {
    match protocol {
        Protocol::OwnTracks => 0,
        Protocol::OsmAnd => 1,
        Protocol::Traccar => 2,
        Protocol::Overland => 3,
        Protocol::Forward => 4,
    }
}

impl Counters {
    /// Counts a request when the returned value is dropped.
    pub(super) fn request(&self, protocol: Protocol) -> CountedRequest<'_> {
        CountedRequest { counters: self, protocol, outcome: RequestOutcome::Cancelled }
    }

    /// Counts fixes that are durable.
    pub(super) fn accepted(&self, protocol: Protocol, count: u64) {
        self.fixes[index(protocol)][0].fetch_add(count, Relaxed);
    }

    /// Counts bad fixes, by the kinds of problems.
    pub(super) fn dropped(&self, protocol: Protocol, counts: &[usize; FixProblem::NAMES.len()]) {
        for (counter, &count) in self.fixes[index(protocol)][1..].iter().zip(counts) {
            counter.fetch_add(count as u64, Relaxed);
        }
    }

    pub(in crate::http) fn stats(&self) -> IngestStats {
        let mut stats = IngestStats::default();
        for protocol in Protocol::ALL {
            let name = protocol.name();
            let count = |(result, counter): (&'static str, &AtomicU64)| IngestCount {
                protocol: name,
                result,
                count: counter.load(Relaxed),
            };
            let index = index(protocol);
            let outcomes = RequestOutcome::NAMES.into_iter();
            stats.requests.extend(outcomes.zip(&self.requests[index]).map(count));
            let results = std::iter::once("accepted").chain(FixProblem::NAMES);
            stats.fixes.extend(results.zip(&self.fixes[index]).map(count));
        }
        stats
    }
}

/// Counts a request when it is dropped. Without an outcome, its client has disconnected.
pub(super) struct CountedRequest<'a> {
    counters: &'a Counters,
    protocol: Protocol,
    outcome: RequestOutcome,
}

impl CountedRequest<'_> {
    pub(super) fn set(&mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for CountedRequest<'_> {
    fn drop(&mut self) {
        let counters = &self.counters.requests[index(self.protocol)];
        counters[self.outcome as usize].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_and_each_fix_counts_once() {
        let counters = Counters::default();
        drop(counters.request(Protocol::Forward));
        counters.request(Protocol::OwnTracks).set(RequestOutcome::Event);
        counters.accepted(Protocol::OsmAnd, 3);
        counters.dropped(Protocol::OsmAnd, &[0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let stats = counters.stats();
        let set = |counts: &[IngestCount]| -> Vec<_> {
            let counts = counts.iter().filter(|count| count.count > 0);
            counts.map(|count| (count.protocol, count.result, count.count)).collect()
        };
        assert_eq!(set(&stats.requests), [("owntracks", "event", 1), ("forward", "cancelled", 1)]);
        assert_eq!(set(&stats.fixes), [("osmand", "accepted", 3), ("osmand", "too_late", 2)]);
        assert_eq!((stats.requests.len(), stats.fixes.len()), (35, 50));
        for (place, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(index(protocol), place);
        }
    }
}
