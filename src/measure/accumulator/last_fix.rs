//! The last fix of a path: where the receiver was most recently.

use super::PathAccumulator;
use crate::measure::fix::Fix;
use crate::measure::point::Point;
use crate::measure::policy::Filter;
use crate::measure::track_fix::{FixAttributes, TrackFix};

impl PathAccumulator {
    /// Returns the last checked fix, as if the path ended here: the last one that no rule but
    /// [`Options::min_step`](crate::measure::Options::min_step) rejects. `None` without such a fix.
    ///
    /// It has what the path keeps of it. A fix that the smallest step rejects has no elevation. After a marked start of a
    /// segment whose fixes are rejected, it has only its position. The accuracy is known while the fix waits in the buffer
    /// that puts fixes in order.
    ///
    /// ```
    /// use waywiser::measure::{Fix, Metric, Options, PathAccumulator, Point};
    ///
    /// let mut path = PathAccumulator::new(Options::new(Metric::Planar));
    /// assert_eq!(path.last_fix(), None);
    /// let last = Fix::new(Point::planar(3.0, 4.0)?).with_z(5.0)?.at_unix_ns(6)?;
    /// path.extend(&[Fix::new(Point::planar(1.0, 2.0)?), last])?;
    /// assert_eq!(path.last_fix(), Some(last));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last_fix(&self) -> Option<Fix> {
        // A fold leaves a reserve in every sum, so that this does not fail.
        let ended = self.with_empty_buffer().ok().flatten();
        let last = ended.as_ref().unwrap_or(self).last_checked()?;
        let TrackFix { at, attributes: FixAttributes { z, unix_ns } } = last;
        let waiting = self.reorder.as_ref().and_then(|buffer| buffer.last());
        let waiting = waiting.filter(|fix| fix.at == at && fix.attributes.unix_ns == unix_ns);
        let accuracy_m = waiting.map(|fix| fix.accuracy_m).filter(|radius| !radius.is_nan());
        // All values were checked when the fix was added.
        let mut fix = Fix::new(Point::from_canonical(self.options.metric.space(), at));
        if let Some(z) = z {
            fix = fix.with_z(z).ok()?;
        }
        if let Some(unix_ns) = unix_ns {
            fix = fix.at_unix_ns(unix_ns).ok()?;
        }
        match accuracy_m {
            Some(accuracy_m) => fix.with_accuracy_m(accuracy_m).ok(),
            None => Some(fix),
        }
    }

    /// Returns the last checked fix that has left the buffer.
    fn last_checked(&self) -> Option<TrackFix> {
        match &self.filter {
            Some(filter) => Filter::last_checked(filter),
            None => {
                let attributes = self.last;
                self.raw.last().map(|at| TrackFix { at, attributes })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, Options, Reorder};

    fn at(x: f64, second: i64) -> Fix {
        Fix::new(Point::planar(x, 0.0).unwrap()).at_unix_ns(second * 1_000_000_000).unwrap()
    }

    /// Returns the last fix, and checks that it survives a round trip through the state.
    fn last_of(options: Options, fixes: &[Fix]) -> Option<Fix> {
        let mut path = PathAccumulator::new(options);
        path.extend(fixes).unwrap();
        let restored = PathAccumulator::try_from(path.state()).unwrap();
        assert_eq!(restored.last_fix(), path.last_fix());
        path.last_fix()
    }

    #[test]
    fn a_path_without_filters_has_its_last_fix_with_what_the_receiver_sent() {
        let options = Options::new(Metric::Planar);
        let full = at(2.0, 9).with_z(7.0).unwrap();
        assert_eq!(last_of(options, &[]), None);
        assert_eq!(last_of(options, &[at(1.0, 1), full]), Some(full));
        let plain = Fix::new(Point::planar(5.0, 0.0).unwrap());
        assert_eq!(last_of(options, &[full, plain]), Some(plain), "no time of an earlier fix");
        // Geographic coordinates come back in degrees.
        let point = Point::geographic(46.4397, -180.0).unwrap();
        let last = last_of(Options::new(Metric::Geodesic), &[point.into()]).unwrap();
        assert_eq!(last.point(), Some(point));
    }

    #[test]
    fn a_rejected_fix_is_not_the_last_one_but_one_of_a_small_step_is() {
        let options = Options::builder(Metric::Planar)
            .max_speed(10.0)
            .min_step(1.0)
            .reject_zero_position(true)
            .build()
            .unwrap();
        let good = at(2.0, 1).with_z(3.0).unwrap();
        let first = at(8.0, 0);
        assert_eq!(last_of(options, &[good]), Some(good), "a tentative fix");
        assert_eq!(last_of(options, &[at(5.0, 0), good]), Some(good));
        assert_eq!(last_of(options, &[at(5.0, 0), good, at(900.0, 2)]), Some(good), "too fast");
        assert_eq!(last_of(options, &[at(5.0, 0), good, at(0.0, 2)]), Some(good), "zero");
        let near = at(2.5, 4);
        let with_z = near.with_z(9.0).unwrap();
        assert_eq!(last_of(options, &[first, good, with_z]), Some(near), "its z is not kept");
        // The same place later, which is a small step of 0.
        assert_eq!(last_of(options, &[first, good, at(2.0, 60)]), Some(at(2.0, 60)));
        // A marked start whose fix is rejected.
        let rejected = at(0.0, 70).starting_segment();
        let place = Fix::new(good.point().unwrap());
        assert_eq!(last_of(options, &[first, good, rejected]), Some(place));
    }

    #[test]
    fn a_fix_in_the_buffer_counts_and_has_its_accuracy() {
        let reorder = Some(Reorder { count: 8, time_ns: None });
        let options = Options::builder(Metric::Planar).reorder(reorder).max_accuracy_m(50.0);
        let options = options.build().unwrap();
        let exact = |fix: Fix| fix.with_accuracy_m(4.0).unwrap();
        let late = exact(at(3.0, 3));
        assert_eq!(last_of(options, &[late, exact(at(1.0, 1)), exact(at(2.0, 2))]), Some(late));
        // One that is rejected when it leaves.
        let coarse = at(9.0, 9).with_accuracy_m(900.0).unwrap();
        assert_eq!(last_of(options, &[late, coarse]).map(Fix::unix_ns), Some(late.unix_ns()));
        assert_eq!(last_of(options, &[at(7.0, 7)]), Some(at(7.0, 7)), "no accuracy");
    }
}
