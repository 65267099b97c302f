//! Summaries of measured values: the spread of a few rounds, and quantiles of many times. Sans-IO.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The median, least and greatest of some values. One round that the machine disturbed does not change the median;
/// the extremes show whether several were disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Returns the spread of the values, or `None` if there are no values or one is unknown.
    pub(crate) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let mut values = values.into_iter().collect::<Option<Vec<_>>>()?;
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = values.len() / 2;
        let lower = (values.len() - 1) / 2;
        Some(Self { median: (values[lower] + values[upper]) / 2.0, min, max })
    }
}

/// A histogram of times with three significant digits. It takes less than 500 kB for any number of times.
#[derive(Debug)]
pub(crate) struct Times {
    ns: Option<Histogram<u64>>,
}

impl Default for Times {
    fn default() -> Self {
        // Three digits are a valid precision, and the histogram grows to hold any time.
        Self { ns: Histogram::new(3).ok() }
    }
}

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        if let Some(ns) = &mut self.ns {
            let _ = ns.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Returns the time at a quantile from 0 to 1, or `None` if there are no times.
    pub(crate) fn at_quantile(&self, quantile: f64) -> Option<Duration> {
        let ns = self.ns.as_ref().filter(|ns| !ns.is_empty())?;
        Some(Duration::from_nanos(ns.value_at_quantile(quantile)))
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut all = Self::default();
        times.into_iter().for_each(|time| all.record(time));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_times_does_not_grow_with_their_number() {
        let mut times = Times::default();
        assert_eq!(times.at_quantile(0.5), None);
        times.record(Duration::MAX);
        let buckets = times.ns.as_ref().unwrap().distinct_values();
        assert!(buckets * size_of::<u64>() < 500_000, "{buckets}");
        for us in 1..=100_000 {
            times.record(Duration::from_micros(us));
        }
        assert_eq!(times.ns.as_ref().unwrap().distinct_values(), buckets);
        let median = times.at_quantile(0.5).unwrap().as_secs_f64();
        assert!((median - 0.05).abs() < 0.05 * 1e-3, "{median}");
    }

    fn spread(values: &[f64]) -> Option<Spread> {
        Spread::of(values.iter().copied().map(Some))
    }

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_the_two_middle_values() {
        let expected = Spread { median: 2.0, min: 1.0, max: 9.0 };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(expected));
        let expected = Spread { median: 2.5, min: 1.0, max: 9.0 };
        assert_eq!(spread(&[3.0, 9.0, 1.0, 2.0]), Some(expected));
        assert_eq!(spread(&[7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
    }

    #[test]
    fn there_is_no_spread_of_no_values_or_of_unknown_ones() {
        assert_eq!(spread(&[]), None);
        assert_eq!(Spread::of([Some(1.0), None]), None);
    }
}
