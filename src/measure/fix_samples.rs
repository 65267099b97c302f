//! Samples of the fixes of a block, for code that shows where a receiver was.

use super::fix::Fix;
use super::fix_block::FixBlock;
use super::point::Point;
use super::track_fix::FixAttributes;

impl FixBlock {
    /// Returns the number of fixes that have a position.
    pub(crate) fn position_count(&self) -> usize {
        self.points.len()
    }

    /// Returns one of `step` fixes, counting only those that have a position, from `first` on. Each has its index in the
    /// block. A sample starts a segment if a fix after the sample before it does.
    pub(crate) fn samples(&self, first: usize, step: usize) -> impl Iterator<Item = (usize, Fix)> {
        let is_whole = self.without_position_count() == 0;
        let starts = if is_whole { self.starts } else { self.starting_slots(false).0 };
        let indices = (!is_whole).then(|| self.offsets_of_slots(0));
        let mut from = 0;
        (first..self.points.len()).step_by(step.max(1)).filter_map(move |slot| {
            let starts_segment = !starts.is_empty() && (from..=slot).any(|at| starts.contains(at));
            from = slot + 1;
            let index = indices.as_ref().map_or(slot, |indices| indices[slot] as usize);
            let fix = self.fix_in_slot(slot)?;
            Some((index, if starts_segment { fix.starting_segment() } else { fix }))
        })
    }

    /// Returns the last fix that has a position, without its mark of a segment, and its index in the block.
    pub(crate) fn last_fix(&self) -> Option<(usize, Fix)> {
        let slot = self.points.len().checked_sub(1)?;
        let is_whole = self.without_position_count() == 0;
        let index = if is_whole { slot } else { self.offsets_of_slots(0)[slot] as usize };
        Some((index, self.fix_in_slot(slot)?))
    }

    /// Returns whether a segment starts after the first `count` fixes that have a position.
    pub(crate) fn has_start_after(&self, count: usize) -> bool {
        if self.starts.is_empty() {
            return false;
        }
        let (starts, is_after) = self.starting_slots(false);
        is_after || (count..self.points.len()).any(|slot| starts.contains(slot))
    }

    /// Returns the fix in a slot, without its mark of a segment.
    fn fix_in_slot(&self, slot: usize) -> Option<Fix> {
        let (x, y) = self.points.columns();
        let at = (*x.get(slot)?, *y.get(slot)?);
        let FixAttributes { z, unix_ns } = self.attributes_of(slot);
        let accuracy_m = Some(self.accuracy_m(slot)).filter(|radius| !radius.is_nan());
        let fix = Fix::new(Point::from_canonical(self.metric().space(), at));
        // The values of a block were checked, so that none of these fails.
        let fix = z.map_or(Ok(fix), |z| fix.with_z(z)).ok()?;
        let fix = unix_ns.map_or(Ok(fix), |unix_ns| fix.at_unix_ns(unix_ns)).ok()?;
        accuracy_m.map_or(Ok(fix), |radius| fix.with_accuracy_m(radius)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Metric;

    fn fix(index: usize) -> Fix {
        let fix = Fix::new(Point::geographic(46.0, index as f64 / 8.0).unwrap());
        fix.at_unix_ns(index as i64).unwrap().with_accuracy_m(2.5).unwrap()
    }

    fn block(fixes: impl IntoIterator<Item = Fix>) -> FixBlock {
        let mut block = FixBlock::new(Metric::Geodesic);
        fixes.into_iter().for_each(|fix| block.push(fix).unwrap());
        block
    }

    #[test]
    fn samples_are_evenly_spaced() {
        let hundred = block((0..100).map(fix));
        let all: Vec<_> = hundred.samples(0, 1).collect();
        assert_eq!(all, (0..100).map(|index| (index, fix(index))).collect::<Vec<_>>());
        let some: Vec<_> = hundred.samples(24, 25).map(|(index, _)| index).collect();
        assert_eq!(some, [24, 49, 74, 99]);
        assert_eq!(hundred.samples(99, 0).collect::<Vec<_>>(), [(99, fix(99))]);
        assert_eq!(hundred.samples(100, 1).count() + block([]).samples(0, 1).count(), 0);
    }

    #[test]
    fn fixes_without_a_position_are_left_out_and_segments_stay_marked() {
        let mut fixes: Vec<_> = (0..10).map(fix).collect();
        fixes[3] = Fix::without_position().starting_segment();
        fixes[9] = Fix::without_position();
        fixes[6] = fix(6).starting_segment();
        let block = block(fixes);
        let samples: Vec<_> = block.samples(1, 2).collect();
        // The slots 1, 3, 5 and 7 of eight.
        let expected = [
            (1, fix(1)),
            (4, fix(4).starting_segment()),
            (6, fix(6).starting_segment()),
            (8, fix(8)),
        ];
        assert_eq!(samples, expected);
        assert_eq!(block.position_count(), 8);
        assert_eq!(
            [0, 5, 6, 8].map(|count| block.has_start_after(count)),
            [true, true, false, false]
        );
    }

    #[test]
    fn a_start_at_the_end_without_a_position_is_after_all_fixes() {
        let block = block([fix(0), Fix::without_position().starting_segment()]);
        assert!(block.has_start_after(1));
    }
}
