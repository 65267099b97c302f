//! The metrics of the store: its requests, its commits, and its transactions on disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::metrics::{Family, Histogram, HistogramSample, Samples};
use crate::recording::StoreError;
use crate::store::StoreStats;

/// Upper bounds of the durations of commits in seconds.
const COMMIT_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A kind of request to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    Commit,
    Load,
    List,
    Delete,
    Sweep,
    Export,
}

impl Operation {
    const NAMES: [&str; 7] = ["open", "commit", "load", "list", "delete", "sweep", "export"];
}

/// The names of failures of the store. Refusals that the rules of recordings demand are not failures.
const FAILURES: [&str; 4] = ["unavailable", "unknown", "damaged", "full"];

fn failure(error: &StoreError) -> Option<usize> {
    match error {
        StoreError::Unavailable(_) => Some(0),
        StoreError::Unknown(_) => Some(1),
        StoreError::Damaged(_) => Some(2),
        StoreError::Full(_) => Some(3),
        StoreError::Fenced { .. }
        | StoreError::NamespaceFull(_)
        | StoreError::NotFound
        | StoreError::OptionsDiffer => None,
    }
}

/// The requests to a store by operation and failure, and the durations of its commits.
#[derive(Debug)]
pub(super) struct Requests {
    answered: [AtomicU64; Operation::NAMES.len()],
    failed: [AtomicU64; FAILURES.len()],
    commits: Histogram,
    /// The last request found the store not available.
    is_down: AtomicBool,
    is_probed: AtomicBool,
}

impl Default for Requests {
    fn default() -> Self {
        let commits = Histogram::new(&COMMIT_BOUNDS);
        let (answered, failed) = Default::default();
        let (is_down, is_probed) = Default::default();
        Self { answered, failed, commits, is_down, is_probed }
    }
}

impl Requests {
    /// Counts a request that was answered.
    pub(super) fn record(&self, operation: Operation, error: Option<&StoreError>) {
        self.answered[operation as usize].fetch_add(1, Relaxed);
        if let Some(count) = error.and_then(failure).and_then(|at| self.failed.get(at)) {
            count.fetch_add(1, Relaxed);
        }
        self.set_state(error);
    }

    /// Sets whether the store is available by the result of a request.
    pub(super) fn set_state(&self, error: Option<&StoreError>) {
        let is_down = matches!(error, Some(StoreError::Unavailable(_) | StoreError::Unknown(_)));
        self.is_down.store(is_down, Relaxed);
    }

    /// Returns whether the last request found the store not available.
    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Relaxed)
    }

    /// Returns whether the caller must start a probe: the store is down, and no probe runs.
    pub(super) fn begins_probe(&self) -> bool {
        self.is_down() && !self.is_probed.swap(true, Relaxed)
    }

    /// Returns whether the probe ends: the store is available.
    pub(super) fn ends_probe(&self) -> bool {
        if self.is_down() {
            return false;
        }
        self.is_probed.store(false, Relaxed);
        // A failure in between has not started another probe.
        !self.begins_probe()
    }

    /// Counts the duration of a commit.
    pub(super) fn commit_ended(&self, duration: Duration) {
        self.commits.observe(duration);
    }
}

/// Adds the metrics of the requests to a store.
pub(super) fn requests(requests: &Requests, samples: &mut Samples<'_>) {
    let help = "0 if the store was not available for the last request, otherwise 1; a store that is down is asked every 5 s";
    samples.gauge("waywiser_store_up", help, |family| {
        family.add(&[], !requests.is_down());
    });
    let help = "Requests that the store has answered, with success or an error";
    samples.counter("waywiser_store_requests", help, |family| {
        by_label(family, "operation", &Operation::NAMES, &requests.answered);
    });
    let help = "Requests that the store could not carry out, by the reason";
    samples.counter("waywiser_store_failures", help, |family| {
        by_label(family, "reason", &FAILURES, &requests.failed);
    });
    let help = "Duration of commits, from the request to its answer";
    samples.histogram("waywiser_commit_duration_seconds", help, |family| {
        family.add_histogram(&[], &requests.commits.sample());
    });
}

fn by_label(family: &mut Family<'_>, label: &str, names: &[&str], counts: &[AtomicU64]) {
    for (name, count) in names.iter().zip(counts) {
        family.add(&[(label, name)], count.load(Relaxed));
    }
}

/// Adds the metrics of a store on disk.
pub(super) fn disk(stats: &StoreStats, samples: &mut Samples<'_>) {
    let help = "Recordings in the store after its last transaction";
    samples.gauge("waywiser_store_recordings", help, |family| {
        family.add(&[], stats.recordings);
    });
    let help = "Write requests that were carried out together";
    samples.histogram("waywiser_store_batch_requests", help, |family| {
        let bounds = (0..).map(|power| f64::from(1_u32 << power));
        let mut buckets: Vec<_> = bounds.zip(stats.batches).collect();
        // The store limits a batch to the last bound.
        buckets.push((f64::INFINITY, 0));
        family.add_histogram(&[], &HistogramSample { buckets, sum: stats.requests as f64 });
    });
    let help = "Transactions that were committed";
    samples.counter("waywiser_store_transactions", help, |family| {
        family.add(&[], stats.transactions);
    });
    samples.counter("waywiser_store_syncs", "Syncs of the file", |family| {
        family.add(&[], stats.syncs);
    });
    samples.counter("waywiser_store_written_bytes", "Bytes written to the file", |family| {
        family.add(&[], stats.bytes);
    });
    let help = "Time that the store has spent in transactions";
    samples.counter("waywiser_store_busy_seconds", help, |family| {
        family.add(&[], stats.busy.as_secs_f64());
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn failures_are_counted_by_reason_and_refusals_are_not_failures() {
        let requests = Arc::new(Requests::default());
        let metrics = Metrics::default();
        let source = Arc::clone(&requests);
        metrics.add(move |samples: &mut Samples<'_>| super::requests(&source, samples));
        requests.record(Operation::Open, None);
        requests.record(Operation::Commit, Some(&StoreError::Fenced { epoch: 1 }));
        requests.commit_ended(Duration::from_millis(3));
        assert!(metrics.text().contains("\nwaywiser_store_up 1\n"));
        requests.record(Operation::Commit, Some(&StoreError::Unavailable("disk".into())));
        let text = metrics.text();
        for line in [
            "waywiser_store_up 0",
            "waywiser_store_requests_total{operation=\"open\"} 1",
            "waywiser_store_requests_total{operation=\"commit\"} 2",
            "waywiser_store_failures_total{reason=\"unavailable\"} 1",
            "waywiser_store_failures_total{reason=\"unknown\"} 0",
            "waywiser_commit_duration_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
        }
    }
}
