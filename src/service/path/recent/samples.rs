//! Samples of the points of one block after the other.

use super::{POINTS_MAX, RecentPoint};
use crate::measure::FixBlock;

/// Samples at equal distances, of any number of points. Their number and the work for them have a limit: when there would be
/// too many, the distance is doubled, and every other sample is dropped.
#[derive(Debug)]
pub(in crate::service::path) struct Samples {
    points: Vec<RecentPoint>,
    max: usize,
    /// One of this many points is a sample.
    step: usize,
    /// The number of points with a position so far.
    seen: usize,
    /// The last point, without a mark of a segment.
    last: Option<RecentPoint>,
    /// Whether a segment has started after the last sample.
    has_start: bool,
}

/// The samples of a list.
#[derive(Debug)]
pub(super) struct TakenSamples {
    pub(super) points: Vec<RecentPoint>,
    /// The last point, if it is not a sample, without a mark of a segment.
    pub(super) last: Option<RecentPoint>,
    /// Whether a segment has started after the last sample.
    pub(super) has_start: bool,
}

impl Default for Samples {
    fn default() -> Self {
        Self { points: Vec::new(), max: 0, step: 1, seen: 0, last: None, has_start: false }
    }
}

impl Samples {
    /// Returns an empty list for at most `max` samples.
    pub(in crate::service::path) fn new(max: usize) -> Self {
        Self { max: max.min(POINTS_MAX), ..Self::default() }
    }

    /// Adds samples of a block, and notes its last point.
    #[inline]
    pub(in crate::service::path) fn add_block(&mut self, block: &FixBlock, first_offset: u64) {
        if let Some((index, fix)) = block.last_fix() {
            self.last = Some(RecentPoint::new(first_offset + index as u64, fix));
        }
        if self.max == 0 {
            self.has_start |= block.has_start_after(0);
            return;
        }
        let seen = self.seen + block.position_count();
        while seen / self.step > self.max {
            self.double_step();
        }
        // The place of the next sample in the block.
        let first = self.step - 1 - self.seen % self.step;
        self.push(block, first_offset, first, self.step);
        self.seen = seen;
    }

    /// Removes and returns the samples.
    pub(super) fn take(&mut self) -> TakenSamples {
        let Self { points, last, has_start, .. } = std::mem::take(self);
        let is_sample =
            |last: &RecentPoint| points.last().is_some_and(|it| it.offset == last.offset);
        let last = last.filter(|last| !is_sample(last));
        TakenSamples { points, last, has_start }
    }

    /// Removes the samples from an offset on.
    pub(in crate::service::path) fn discard_from(&mut self, offset: u64) {
        let kept = self.points.partition_point(|point| point.offset < offset);
        self.points.truncate(kept);
        self.last = self.last.filter(|last| last.offset < offset);
    }

    fn push(&mut self, block: &FixBlock, first_offset: u64, first: usize, step: usize) {
        let mut seen = 0;
        for (number, (index, fix)) in block.samples(first, step).enumerate() {
            let point = RecentPoint::new(first_offset + index as u64, fix);
            self.points.push(point.starting_segment_if(std::mem::take(&mut self.has_start)));
            seen = first + number * step + 1;
        }
        self.has_start |= block.has_start_after(seen);
    }

    fn double_step(&mut self) {
        self.step *= 2;
        let (mut number, mut has_start) = (0, false);
        self.points.retain_mut(|point| {
            number += 1;
            has_start |= point.fix.starts_segment();
            let is_kept = number % 2 == 0;
            if is_kept {
                *point = point.starting_segment_if(std::mem::take(&mut has_start));
            }
            is_kept
        });
        self.has_start |= has_start;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{block, fix};
    use super::*;
    use crate::measure::Metric;

    /// Returns the offsets of the samples of full blocks and of a last block.
    fn offsets(max: usize, points: usize) -> Vec<u64> {
        let mut samples = Samples::new(max);
        let mut offset = 0;
        // The last block is full or not, or empty.
        while points - offset >= FixBlock::CAPACITY {
            samples.add_block(&block(0..FixBlock::CAPACITY), offset as u64);
            offset += FixBlock::CAPACITY;
        }
        samples.add_block(&block(0..points - offset), offset as u64);
        let TakenSamples { points: taken, last, has_start } = samples.take();
        assert!(!has_start && taken.iter().all(|point| !point.fix.starts_segment()));
        let mut offsets: Vec<_> = taken.iter().map(|point| point.offset).collect();
        let count = offsets.len();
        assert!(count <= max && count >= max.min(points) / 2, "{count} of {max}, {points}");
        offsets.extend(last.map(|last| last.offset));
        offsets
    }

    #[test]
    fn samples_of_many_blocks_are_at_equal_distances_and_reach_the_end() {
        for max in [1, 2, 3, 64, 100, 512] {
            for points in [1, 2, 100, 256, 257, 300, 512, 513, 1000, 100_000] {
                let offsets = offsets(max, points);
                let steps: Vec<_> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
                let step = steps.first().copied().unwrap_or(points as u64);
                let (last, others) = steps.split_last().unwrap_or((&1, &[]));
                assert!(others.iter().all(|&other| other == step) && *last <= step, "{offsets:?}");
                if points <= max {
                    assert_eq!(offsets, (0..points as u64).collect::<Vec<_>>());
                }
                assert_eq!(offsets.last(), Some(&(points as u64 - 1)));
            }
        }
        assert_eq!(offsets(0, 1000), [999]);
    }

    #[test]
    fn a_start_moves_to_the_next_sample() {
        for at in [0, 1, 255, 256, 300, 700] {
            let mut samples = Samples::new(8);
            for first in [0, 256, 512] {
                let mut one = FixBlock::new(Metric::Planar);
                for index in first..first + 256 {
                    let fix = fix(index);
                    one.push(if index == at { fix.starting_segment() } else { fix }).unwrap();
                }
                samples.add_block(&one, first as u64);
            }
            // The last point of this block is not a sample.
            samples.add_block(&block(0..3), 768);
            let TakenSamples { points, last, has_start } = samples.take();
            assert!(last.is_some_and(|last| last.offset == 770 && !last.fix.starts_segment()));
            let starts: Vec<_> = points
                .iter()
                .filter(|point| point.fix.starts_segment())
                .map(|point| point.offset)
                .collect();
            let next = points.iter().find(|point| point.offset >= at as u64).map(|it| it.offset);
            assert_eq!(starts, Vec::from_iter(next), "{at}");
            assert_eq!(has_start, next.is_none());
        }
    }
}
