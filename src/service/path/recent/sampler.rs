//! The points of one writer that are shown as recent ones when they are durable.

use std::collections::VecDeque;

use super::{POINTS_MAX, RecentPoint};
use crate::measure::FixBlock;

/// Maximum number of samples that are taken without a pause.
const BURST: usize = POINTS_MAX;
/// Number of samples that are added to the budget in each interval.
const SAMPLES_PER_INTERVAL: usize = 64;
const INTERVAL_MS: i64 = 100;

/// Takes samples of the points of a stream at a limited rate, so that a fast stream pays nearly nothing for them. A
/// receiver that sends its points as they arise is below the rate.
#[derive(Debug)]
pub(in crate::service::path) struct Sampler {
    /// The samples that are not durable, in the order of their offsets. The oldest ones are dropped.
    waiting: VecDeque<RecentPoint>,
    budget: usize,
    /// The time when the budget was last increased.
    increased_unix_ms: i64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), budget: BURST, increased_unix_ms: 0 }
    }
}

impl Sampler {
    /// Takes samples of a block. `first_offset` is the offset of its first point.
    pub(in crate::service::path) fn take_block(
        &mut self,
        block: &FixBlock,
        first_offset: u64,
        now_unix_ms: i64,
    ) {
        if now_unix_ms.abs_diff(self.increased_unix_ms) >= INTERVAL_MS.unsigned_abs() {
            self.budget = (self.budget + SAMPLES_PER_INTERVAL).min(BURST);
            self.increased_unix_ms = now_unix_ms;
        }
        if self.budget == 0 {
            return;
        }
        let count = self.budget.min(SAMPLES_PER_INTERVAL.max(self.budget / 2));
        for point in RecentPoint::of_block(block, first_offset, count) {
            self.budget = self.budget.saturating_sub(1);
            self.push(point);
        }
    }

    /// Adds a point in front of those of the next block.
    pub(in crate::service::path) fn push(&mut self, point: RecentPoint) {
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
    }

    /// Removes and returns the points with an offset below `committed_points`.
    pub(in crate::service::path) fn take_durable(
        &mut self,
        committed_points: u64,
    ) -> impl Iterator<Item = RecentPoint> + '_ {
        let count = self.waiting.partition_point(|point| point.offset < committed_points);
        self.waiting.drain(..count)
    }

    /// Returns the number of bytes that it holds in addition to its own size.
    pub(in crate::service::path) fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<RecentPoint>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Fix, Metric, Point};

    fn block(count: usize) -> FixBlock {
        let mut block = FixBlock::new(Metric::Planar);
        (0..count)
            .for_each(|x| block.push(Fix::new(Point::planar(x as f64, 0.0).unwrap())).unwrap());
        block
    }

    fn offsets(sampler: &mut Sampler, committed_points: u64) -> Vec<u64> {
        sampler.take_durable(committed_points).map(|point| point.offset).collect()
    }

    #[test]
    fn only_durable_points_are_taken() {
        let mut sampler = Sampler::default();
        sampler.take_block(&block(3), 10, 0);
        sampler.take_block(&block(2), 13, 0);
        assert_eq!(offsets(&mut sampler, 12), [10, 11]);
        assert_eq!(offsets(&mut sampler, 12), [0_u64; 0]);
        assert_eq!(offsets(&mut sampler, 99), [12, 13, 14]);
    }

    #[test]
    fn a_fast_stream_has_few_samples_and_its_last_points_within_the_budget() {
        let mut sampler = Sampler::default();
        for number in 0..1000 {
            sampler.take_block(&block(200), 200 * number, 1);
        }
        assert_eq!(sampler.budget, 0);
        assert_eq!(sampler.waiting.len(), POINTS_MAX);
        // The interval has passed.
        sampler.take_block(&block(200), 200_000, 1 + INTERVAL_MS);
        assert_eq!(sampler.waiting.back().map(|point| point.offset), Some(200_199));
        assert_eq!(sampler.waiting.len(), POINTS_MAX);
        assert!(sampler.heap_bytes() <= 2 * POINTS_MAX * size_of::<RecentPoint>());
        // A clock that goes back does not stop the samples.
        sampler.take_block(&block(1), 200_200, -1_000_000);
        assert_eq!(sampler.waiting.back().map(|point| point.offset), Some(200_200));
    }

    #[test]
    fn a_receiver_with_a_point_per_second_has_every_point() {
        let mut sampler = Sampler::default();
        for offset in 0..2000 {
            sampler.take_block(&block(1), offset, 1000 * offset as i64);
        }
        assert_eq!(
            offsets(&mut sampler, 2000),
            (2000 - POINTS_MAX as u64..2000).collect::<Vec<_>>()
        );
    }
}
