//! Samples of the fixes of a block, for code that shows where a receiver was.

use super::fix::Fix;
use super::fix_block::FixBlock;
use super::point::Point;
use super::track_fix::FixAttributes;

impl FixBlock {
    /// Returns at most `count` of the fixes that have a position: evenly spaced, and the last one. Each has its index in the
    /// block. A sample starts a segment if a fix after the sample before it does.
    pub(crate) fn samples(&self, count: usize) -> impl Iterator<Item = (usize, Fix)> {
        let slots = self.points.len();
        let count = count.min(slots);
        let is_whole = self.without_position_count() == 0;
        let starts = if is_whole { self.starts } else { self.starting_slots(false).0 };
        let indices = (!is_whole).then(|| self.offsets_of_slots(0));
        let mut from = 0;
        (1..=count).filter_map(move |number| {
            let slot = (number * slots / count).checked_sub(1)?;
            let starts_segment = !starts.is_empty() && (from..=slot).any(|at| starts.contains(at));
            from = slot + 1;
            let index = indices.as_ref().map_or(slot, |indices| indices[slot] as usize);
            let fix = self.fix_in_slot(slot)?;
            Some((index, if starts_segment { fix.starting_segment() } else { fix }))
        })
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
    fn samples_are_evenly_spaced_and_end_with_the_last_fix() {
        let hundred = block((0..100).map(fix));
        let all: Vec<_> = hundred.samples(256).collect();
        assert_eq!(all, (0..100).map(|index| (index, fix(index))).collect::<Vec<_>>());
        let some: Vec<_> = hundred.samples(4).map(|(index, _)| index).collect();
        assert_eq!(some, [24, 49, 74, 99]);
        assert_eq!(hundred.samples(1).collect::<Vec<_>>(), [(99, fix(99))]);
        assert_eq!(hundred.samples(0).count() + block([]).samples(9).count(), 0);
    }

    #[test]
    fn fixes_without_a_position_are_left_out_and_segments_stay_marked() {
        let mut fixes: Vec<_> = (0..10).map(fix).collect();
        fixes[3] = Fix::without_position().starting_segment();
        fixes[9] = Fix::without_position();
        fixes[6] = fix(6).starting_segment();
        let samples: Vec<_> = block(fixes).samples(4).collect();
        // The slots 1, 3, 5 and 7 of eight.
        let expected = [
            (1, fix(1)),
            (4, fix(4).starting_segment()),
            (6, fix(6).starting_segment()),
            (8, fix(8)),
        ];
        assert_eq!(samples, expected);
    }
}
