//! A histogram of durations that many threads update without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts durations by size.
#[derive(Debug)]
pub struct Histogram {
    /// The upper bounds of the buckets in seconds, in ascending order.
    bounds: &'static [f64],
    /// One count for each bound, and one for longer durations.
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

/// The state of a histogram when the metrics are read.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// The buckets: the upper bound of each, and the number of values above the previous bound. The last bound is
    /// infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all values.
    pub sum: f64,
}

impl Histogram {
    /// Returns an empty histogram with these upper bounds in seconds, which must ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_ns: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Returns the current state.
    pub fn sample(&self) -> HistogramSample {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        let sum = Duration::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64();
        HistogramSample { buckets: bounds.zip(counts).collect(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[0.001, 0.5]);
        for ms in [0, 1, 2, 500, 501, 4_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let sample = histogram.sample();
        assert_eq!(sample.buckets, [(0.001, 2), (0.5, 2), (f64::INFINITY, 2)]);
        assert_eq!(sample.sum, 5.004);
    }
}
