//! Many rounds, and many more times, in a few numbers. Pure.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The middle of some values, and their ends. A median, because one round that the machine spoilt
/// must not count; the ends, because it may have spoilt several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one value; `None` where there is none, or one is unknown.
    pub(crate) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let mut values = values.into_iter().collect::<Option<Vec<_>>>()?;
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = values.len() / 2;
        let lower = (values.len() - 1) / 2;
        Some(Self { median: (values[lower] + values[upper]) / 2.0, min, max })
    }
}

/// Times, each to three digits. However many they are, they take less than half a megabyte.
#[derive(Debug)]
pub(crate) struct Times {
    ns: Option<Histogram<u64>>,
}

impl Default for Times {
    fn default() -> Self {
        // Three digits are always to be had, and it grows to hold any time that passes.
        Self { ns: Histogram::new(3).ok() }
    }
}

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        if let Some(ns) = &mut self.ns {
            let _ = ns.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// The time that this part of them did not pass; `None` where there is none.
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
    fn times_take_no_more_room_the_more_there_are() {
        let mut times = Times::default();
        assert_eq!(times.at_quantile(0.5), None);
        times.record(Duration::MAX);
        let room = times.ns.as_ref().unwrap().distinct_values();
        assert!(room * size_of::<u64>() < 500_000, "{room}");
        for us in 1..=100_000 {
            times.record(Duration::from_micros(us));
        }
        assert_eq!(times.ns.as_ref().unwrap().distinct_values(), room);
        let median = times.at_quantile(0.5).unwrap().as_secs_f64();
        assert!((median - 0.05).abs() < 0.05 * 1e-3, "{median}");
    }

    fn spread(values: &[f64]) -> Option<Spread> {
        Spread::of(values.iter().copied().map(Some))
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        let expected = Spread { median: 2.0, min: 1.0, max: 9.0 };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(expected));
        let expected = Spread { median: 2.5, min: 1.0, max: 9.0 };
        assert_eq!(spread(&[3.0, 9.0, 1.0, 2.0]), Some(expected));
        assert_eq!(spread(&[7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(spread(&[]), None);
        assert_eq!(Spread::of([Some(1.0), None]), None);
    }
}
