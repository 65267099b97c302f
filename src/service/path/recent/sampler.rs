//! The points of one writer that are shown as recent ones when they are durable. [`Samples`] takes them from blocks.

use std::collections::VecDeque;

use super::samples::{Samples, TakenSamples};
use super::{POINTS_MAX, RecentPoint};

/// Maximum number of samples that are taken after a pause.
const BURST: usize = POINTS_MAX;
/// Number of samples that are added to the budget in each interval.
const SAMPLES_PER_INTERVAL: u64 = 64;
const INTERVAL_MS: u64 = 100;

/// Takes samples of the points of a stream at a limited rate, so that a fast stream pays nearly nothing for them. A
/// receiver that sends its points as they arise is below the rate.
#[derive(Debug)]
pub(in crate::service::path) struct Sampler {
    /// The samples that are not durable, in the order of their offsets. The oldest ones are dropped.
    waiting: VecDeque<RecentPoint>,
    /// The last point, if it is not a sample. It is dropped when the next points arrive before it is durable.
    last: Option<RecentPoint>,
    /// The samples that may be taken, in parts: [`INTERVAL_MS`] parts are one sample.
    budget: u64,
    /// The time when the budget was last increased.
    increased_unix_ms: i64,
    /// Whether a segment has started after the last sample.
    has_start: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        let budget = BURST as u64 * INTERVAL_MS;
        Self {
            waiting: VecDeque::new(),
            last: None,
            budget,
            increased_unix_ms: 0,
            has_start: false,
        }
    }
}

impl Sampler {
    /// Returns an empty list for the samples of the points that arrive next.
    pub(in crate::service::path) fn samples(&mut self, now_unix_ms: i64) -> Samples {
        // A clock that goes back does not stop the samples.
        let elapsed_ms = now_unix_ms.abs_diff(self.increased_unix_ms);
        let added = elapsed_ms.saturating_mul(SAMPLES_PER_INTERVAL);
        self.budget = self.budget.saturating_add(added).min(BURST as u64 * INTERVAL_MS);
        self.increased_unix_ms = now_unix_ms;
        Samples::new((self.budget / INTERVAL_MS) as usize)
    }

    /// Adds samples, which follow those before.
    pub(in crate::service::path) fn add(&mut self, samples: &mut Samples) {
        let TakenSamples { points, last, has_start } = samples.take();
        if !points.is_empty() || last.is_some() {
            let dropped = self.last.take();
            self.has_start |= dropped.is_some_and(|dropped| dropped.fix.starts_segment());
        }
        self.budget = self.budget.saturating_sub(points.len() as u64 * INTERVAL_MS);
        for point in points {
            let point = point.starting_segment_if(std::mem::take(&mut self.has_start));
            self.push(point);
        }
        self.has_start |= has_start;
        if let Some(last) = last {
            self.last = Some(last.starting_segment_if(std::mem::take(&mut self.has_start)));
        }
    }

    fn push(&mut self, point: RecentPoint) {
        if self.waiting.len() == POINTS_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(point);
    }

    /// Removes the points from an offset on, which were not folded.
    pub(in crate::service::path) fn discard_from(&mut self, offset: u64) {
        // Those that were not folded are at the end.
        while self.waiting.back().is_some_and(|point| point.offset >= offset) {
            self.waiting.pop_back();
        }
        self.last = self.last.filter(|last| last.offset < offset);
    }

    /// Removes and returns the points with an offset below `committed_points`.
    pub(in crate::service::path) fn take_durable(
        &mut self,
        committed_points: u64,
    ) -> impl Iterator<Item = RecentPoint> + '_ {
        let count = self.waiting.partition_point(|point| point.offset < committed_points);
        let last = self.last.take_if(|last| last.offset < committed_points);
        self.waiting.drain(..count).chain(last)
    }

    /// Returns the number of bytes that it holds in addition to its own size.
    pub(in crate::service::path) fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<RecentPoint>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{block, fix};
    use super::*;
    use crate::measure::{FixBlock, Metric};

    fn take(sampler: &mut Sampler, block: &FixBlock, first_offset: u64, now_unix_ms: i64) {
        let mut samples = sampler.samples(now_unix_ms);
        samples.add_block(block, first_offset);
        sampler.add(&mut samples);
    }

    fn offsets(sampler: &mut Sampler, committed_points: u64) -> Vec<u64> {
        sampler.take_durable(committed_points).map(|point| point.offset).collect()
    }

    #[test]
    fn only_durable_points_are_taken() {
        let mut sampler = Sampler::default();
        take(&mut sampler, &block(0..3), 10, 0);
        take(&mut sampler, &block(0..2), 13, 0);
        assert_eq!(offsets(&mut sampler, 12), [10, 11]);
        assert_eq!(offsets(&mut sampler, 12), [0_u64; 0]);
        assert_eq!(offsets(&mut sampler, 99), [12, 13, 14]);
    }

    #[test]
    fn a_fast_stream_has_few_samples_at_equal_distances() {
        let mut sampler = Sampler::default();
        let mut taken = 0;
        // 100 000 points in each second, for ten seconds.
        for number in 0..5000 {
            take(&mut sampler, &block(0..200), 200 * number, 1 + 2 * number as i64);
            taken += sampler.waiting.len();
            sampler.waiting.clear();
        }
        assert!((BURST + 6000..=BURST + 6400).contains(&taken), "{taken}");
        for number in 5000..9000 {
            take(&mut sampler, &block(0..200), 200 * number, 1 + 2 * number as i64);
        }
        assert_eq!(sampler.waiting.len(), POINTS_MAX);
        assert!(sampler.heap_bytes() <= 2 * POINTS_MAX * size_of::<RecentPoint>());
        let offsets = offsets(&mut sampler, u64::MAX);
        assert_eq!(offsets.last(), Some(&(200 * 9000 - 1)), "the last point of the stream");
        let steps = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.max() <= Some(400), "{offsets:?}");
        // A clock that goes back does not stop the samples.
        take(&mut sampler, &block(0..1), 1_800_000, -1_000_000);
        assert_eq!(sampler.waiting.back().map(|point| point.offset), Some(1_800_000));
    }

    #[test]
    fn a_receiver_below_the_rate_has_every_point() {
        for points_per_second in [1, 200, 512] {
            let mut sampler = Sampler::default();
            let (mut offset, mut all) = (0, Vec::new());
            for second in 0..20 {
                let mut samples = sampler.samples(1000 * second);
                let mut left = points_per_second;
                while left > FixBlock::CAPACITY {
                    samples.add_block(&block(0..FixBlock::CAPACITY), offset);
                    (offset, left) =
                        (offset + FixBlock::CAPACITY as u64, left - FixBlock::CAPACITY);
                }
                samples.add_block(&block(0..left), offset);
                offset += left as u64;
                sampler.add(&mut samples);
                all.extend(offsets(&mut sampler, offset));
            }
            let expected: Vec<_> = (0..offset).collect();
            assert_eq!(all, expected, "{points_per_second} points in a second");
        }
    }

    #[test]
    fn a_segment_that_starts_between_two_samples_marks_the_second() {
        let mut sampler = Sampler::default();
        take(&mut sampler, &block(0..256), 0, 0);
        take(&mut sampler, &block(0..256), 256, 0);
        let mut start = FixBlock::new(Metric::Planar);
        start.push(fix(0).starting_segment()).unwrap();
        // The budget is used up.
        take(&mut sampler, &start, 512, 0);
        take(&mut sampler, &block(0..2), 513, 100);
        let points: Vec<_> = sampler.take_durable(u64::MAX).collect();
        let starts = points.iter().filter(|point| point.fix.starts_segment());
        assert_eq!(starts.map(|point| point.offset).collect::<Vec<_>>(), [513]);
    }
}
