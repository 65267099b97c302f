//! The share of successful calls that are logged.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A share between 0 and 1. The default is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSample(f64);

/// A number is not a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ratio must be a number from 0 to 1")]
pub struct LogSampleError;

// The number is never NaN.
impl Eq for LogSample {}

impl Default for LogSample {
    fn default() -> Self {
        Self(1.0)
    }
}

impl LogSample {
    /// Returns a share.
    ///
    /// # Errors
    /// If the number is not between 0 and 1.
    pub fn new(ratio: f64) -> Result<Self, LogSampleError> {
        // The absolute value turns -0 into 0.
        if (0.0..=1.0).contains(&ratio) { Ok(Self(ratio.abs())) } else { Err(LogSampleError) }
    }

    /// Returns the share as a number.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl FromStr for LogSample {
    type Err = LogSampleError;

    fn from_str(text: &str) -> Result<Self, LogSampleError> {
        text.parse().map_err(|_| LogSampleError).and_then(Self::new)
    }
}

impl fmt::Display for LogSample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Selects the calls of a sample.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Hashes below it are in the sample. 2^32 is above all.
    threshold: u64,
    count: AtomicU64,
}

impl Sampler {
    pub(super) fn new(sample: LogSample) -> Self {
        const HASHES: f64 = 4_294_967_296.0;
        Self { threshold: (sample.ratio() * HASHES).round() as u64, count: AtomicU64::new(0) }
    }

    /// Returns whether the next call is in the sample. The selection has no period, so that it is also fair to calls
    /// that come in a fixed order.
    pub(super) fn select(&self) -> bool {
        const ALL: u64 = 1 << 32;
        self.threshold == ALL || hash(self.count.fetch_add(1, Relaxed)) < self.threshold
    }
}

/// Returns 32 bits that look random, by the finalizer of SplitMix64.
fn hash(count: u64) -> u64 {
    let mut bits = count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_share_of_all_calls_and_of_every_nth() {
        for ratio in [0.5, 0.1, 0.01] {
            let sampler = Sampler::new(LogSample::new(ratio).unwrap());
            let selected: Vec<bool> = (0..100_000).map(|_| sampler.select()).collect();
            for step in [1, 2, 3, 10] {
                let count =
                    selected.iter().step_by(step).filter(|&&is_selected| is_selected).count();
                let expected = ratio * (selected.len() / step) as f64;
                assert!((count as f64 / expected - 1.0).abs() < 0.15, "{ratio} {step} {count}");
            }
        }
        let count = |sample| {
            let sampler = Sampler::new(sample);
            (0..1000).filter(|_| sampler.select()).count()
        };
        assert_eq!((count(LogSample::new(0.0).unwrap()), count(LogSample::default())), (0, 1000));
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        for (text, expected) in
            [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001), ("-0", 0.0)]
        {
            let sample: LogSample = text.parse().unwrap();
            assert_eq!(sample.ratio(), expected);
            assert_eq!(sample.to_string().parse(), Ok(sample));
        }
        assert_eq!("-0".parse::<LogSample>().unwrap().to_string(), "0");
        for text in ["", "1.01", "-0.1", "nan", "inf", "10%"] {
            assert_eq!(text.parse::<LogSample>(), Err(LogSampleError), "{text}");
        }
    }
}
