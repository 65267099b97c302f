//! The fixes of a path that are rejected for their times.

use super::rejection_reason::RejectionReason;
use super::summary::PathSummary;

/// The numbers of fixes that are rejected for their times. See [`PathSummary::time_rejections`].
///
/// They are written as their reasons, such as `too fast or late`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeRejections {
    /// The number of fixes with a valid position.
    pub valid_count: u64,
    /// The number of fixes with the reason [`RejectionReason::Speed`].
    pub speed_count: u64,
    /// The number of fixes with the reason [`RejectionReason::BackwardTime`].
    pub backward_count: u64,
    /// The number of fixes with the reason [`RejectionReason::Late`].
    pub late_count: u64,
}

impl TimeRejections {
    /// Returns the number of these fixes.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.speed_count.saturating_add(self.backward_count).saturating_add(self.late_count)
    }

    /// Returns whether they are more than half of the fixes with a valid position. Then the length is far too short: the
    /// times may be wrong, or the fixes are not in order of time.
    #[must_use]
    pub fn are_most(&self) -> bool {
        self.count() > self.valid_count.saturating_sub(self.count())
    }
}

impl std::fmt::Display for TimeRejections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (self.speed_count, "too fast"),
            (self.backward_count, "back in time"),
            (self.late_count, "late"),
        ];
        let mut separator = "";
        for (_, name) in names.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{name}")?;
            separator = " or ";
        }
        Ok(())
    }
}

impl PathSummary {
    /// Returns the numbers of fixes that are rejected for their times.
    #[must_use]
    pub fn time_rejections(&self) -> TimeRejections {
        let count = |reason| {
            let mut rejections = self.rejections.iter();
            rejections.find(|rejection| rejection.reason == reason).map_or(0, |one| one.count)
        };
        TimeRejections {
            valid_count: self.point_count.saturating_sub(count(RejectionReason::InvalidPosition)),
            speed_count: count(RejectionReason::Speed),
            backward_count: count(RejectionReason::BackwardTime),
            late_count: count(RejectionReason::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{
        Fix, FixBlock, InvalidPoints, Metric, Options, PathAccumulator, Point, Space,
    };

    #[test]
    fn fixes_that_are_rejected_for_their_times_are_counted() {
        let options = Options::builder(Metric::Planar)
            .max_speed(1.0)
            .reject_backward_time(true)
            .invalid_points(InvalidPoints::Skip)
            .build()
            .unwrap();
        let mut path = PathAccumulator::new(options);
        let mut block = FixBlock::new(Metric::Planar);
        for (x, second) in
            [(0.0, 10), (9.0, 11), (1.0, 3), (f64::NAN, 12), (0.5, 12), (9.0, 13), (8.0, 1)]
        {
            let fix = match Point::new(Space::Planar, x, 0.0) {
                Ok(point) => Fix::new(point),
                Err(_) => Fix::without_position(),
            };
            block.push(fix.at_unix_ns(second * 1_000_000_000).unwrap()).unwrap();
        }
        path.fold(&mut block).unwrap();
        let found = path.summary().time_rejections();
        let expected =
            TimeRejections { valid_count: 6, speed_count: 2, backward_count: 2, late_count: 0 };
        assert_eq!(found, expected);
        assert_eq!((found.count(), found.to_string()), (4, "too fast or back in time".to_owned()));
        assert!(found.are_most());
        assert!(!TimeRejections { valid_count: 8, ..found }.are_most());
        let late =
            TimeRejections { speed_count: 0, backward_count: 0, late_count: u64::MAX, ..found };
        assert_eq!(late.to_string(), "late");
        assert!(late.are_most());
        let none = PathAccumulator::new(options).summary().time_rejections();
        assert!(!none.are_most());
        assert_eq!(none.to_string(), "");
    }
}
