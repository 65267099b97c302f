//! The totals of many paths, for commands that measure several files locally or on a server.
//!
//! The totals depend only on the summaries, so that they are the same wherever the paths were measured.

use super::accumulator::PathAccumulator;
use super::error::PathError;
use super::estimate::EstimatedLength;
use super::metric::Metric;
use super::rejection_reason::RejectionReason;
use super::sum::{ExactSum, SignedSum, SumOverflow};
use super::summary::{PathSummary, Rejection, Trips};
use super::windows::WindowTotals;

/// The totals of many paths. No leg joins two paths.
///
/// Lengths, ascent and descent are exact sums of the values of the paths, rounded once. An exact sum of the
/// rows of a report is bit-identical. The difference from the sum of all legs is at most one unit in the
/// last place. The order of the paths does not matter.
#[derive(Clone, Debug)]
pub struct Totals {
    metric: Metric,
    length: ExactSum,
    raw_length: ExactSum,
    length_3d: ExactSum,
    gap_length: SignedSum,
    ascent: ExactSum,
    descent: ExactSum,
    raw_ascent: ExactSum,
    raw_descent: ExactSum,
    rejected_length: [SignedSum; RejectionReason::COUNT],
    /// The sums of the estimates, and of the ends of their intervals.
    estimate: [ExactSum; 3],
    has_estimate: bool,
    /// Whether a path with a length has no estimate.
    lacks_estimate: bool,
    windows: WindowTotals,
    /// The values that need no exact sum.
    rest: Option<PathSummary>,
}

impl Totals {
    /// Returns totals without paths, for paths measured with `metric`.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            length: ExactSum::ZERO,
            raw_length: ExactSum::ZERO,
            length_3d: ExactSum::ZERO,
            gap_length: SignedSum::ZERO,
            ascent: ExactSum::ZERO,
            descent: ExactSum::ZERO,
            raw_ascent: ExactSum::ZERO,
            raw_descent: ExactSum::ZERO,
            rejected_length: [SignedSum::ZERO; RejectionReason::COUNT],
            estimate: [ExactSum::ZERO; 3],
            has_estimate: false,
            lacks_estimate: false,
            windows: WindowTotals::default(),
            rest: None,
        }
    }

    /// Adds a path.
    ///
    /// # Errors
    /// Returns an error if the path was measured with another metric or a total is out of range. The totals
    /// are then unchanged.
    pub fn add(&mut self, path: &PathSummary) -> Result<(), PathError> {
        if path.metric != self.metric {
            return Err(PathError::Metric { metric: self.metric, other: path.metric });
        }
        // An error must leave the totals unchanged. Windows cause no error, and are too large for a copy per path.
        let windows = std::mem::take(&mut self.windows);
        let mut next = self.clone();
        self.windows = windows;
        next.add_sums(path)?;
        next.rest = Some(match next.rest.take() {
            None => combined(Self::new(self.metric).summary(), path.clone()),
            Some(rest) => combined(rest, path.clone()),
        });
        next.windows = std::mem::take(&mut self.windows);
        if let Some(windows) = &path.windows {
            next.windows.add(windows);
        }
        *self = next;
        Ok(())
    }

    fn add_sums(&mut self, path: &PathSummary) -> Result<(), SumOverflow> {
        self.length.add(path.length)?;
        self.raw_length.add(path.raw_length)?;
        self.length_3d.add(path.length_3d.unwrap_or_default())?;
        self.ascent.add(path.ascent.unwrap_or_default())?;
        self.descent.add(path.descent.unwrap_or_default())?;
        self.raw_ascent.add(path.raw_ascent.unwrap_or_default())?;
        self.raw_descent.add(path.raw_descent.unwrap_or_default())?;
        add_signed(&mut self.gap_length, path.gap_length)?;
        match path.estimate {
            None => self.lacks_estimate |= path.raw_length > 0.0,
            Some(EstimatedLength { length_m, low_m, high_m }) => {
                self.has_estimate = true;
                for (sum, term) in self.estimate.iter_mut().zip([length_m, low_m, high_m]) {
                    sum.add(term)?;
                }
            }
        }
        for rejection in &path.rejections {
            let sum = &mut self.rejected_length[rejection.reason as usize];
            add_signed(sum, rejection.rejected_length)?;
        }
        Ok(())
    }

    /// Returns the totals as a summary. Values of single paths are missing: the displacement is 0, and there
    /// is no elapsed time and no bounding box. The estimate is the sum of the estimates, and its interval that of the
    /// ends of the intervals; it is missing if a path with a length has none. The offset of the first rejection is
    /// the smallest of all paths.
    pub fn summary(&self) -> PathSummary {
        let empty = || PathAccumulator::new(super::Options::new(self.metric)).summary();
        let rest = self.rest.clone().unwrap_or_else(empty);
        let rejections = rest.rejections.iter().map(|rejection| Rejection {
            rejected_length: self.rejected_length[rejection.reason as usize].to_f64(),
            ..*rejection
        });
        let [length_m, low_m, high_m] = self.estimate.map(ExactSum::to_f64);
        let has_estimate = self.has_estimate && !self.lacks_estimate;
        PathSummary {
            windows: self.windows.summary(),
            estimate: has_estimate.then_some(EstimatedLength { length_m, low_m, high_m }),
            length: self.length.to_f64(),
            raw_length: self.raw_length.to_f64(),
            length_3d: rest.length_3d.map(|_| self.length_3d.to_f64()),
            ascent: rest.ascent.map(|_| self.ascent.to_f64()),
            descent: rest.descent.map(|_| self.descent.to_f64()),
            climb_threshold: None,
            raw_ascent: rest.raw_ascent.map(|_| self.raw_ascent.to_f64()),
            raw_descent: rest.raw_descent.map(|_| self.raw_descent.to_f64()),
            gap_length: self.gap_length.to_f64(),
            rejections: rejections.collect(),
            displacement: 0.0,
            elapsed_ns: None,
            bounds: None,
            ..rest
        }
    }
}

/// Adds the stops and trips of two paths. The lists of single stops and trips are left out.
fn sum_of_trips(a: Option<Trips>, b: Option<Trips>) -> Option<Trips> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => (a.or(b)?, Trips::default()),
    };
    Some(Trips {
        stop_count: a.stop_count.saturating_add(b.stop_count),
        trip_count: a.trip_count.saturating_add(b.trip_count),
        stopped_ns: a.stopped_ns.saturating_add(b.stopped_ns),
        ..Trips::default()
    })
}

/// Adds a difference of lengths.
fn add_signed(sum: &mut SignedSum, term: f64) -> Result<(), SumOverflow> {
    if term < 0.0 { sum.subtract(-term) } else { sum.add(term) }
}

/// Combines the counts, times and speeds of two summaries.
fn combined(a: PathSummary, b: PathSummary) -> PathSummary {
    let mut rejections = a.rejections;
    for new in b.rejections {
        match rejections.iter_mut().find(|old| old.reason == new.reason) {
            None => rejections.push(new),
            Some(old) => {
                old.count = old.count.saturating_add(new.count);
                old.first_offset = old.first_offset.min(new.first_offset);
            }
        }
    }
    rejections.sort_unstable_by_key(|rejection| rejection.reason as usize);
    let either = |a: Option<u128>, b: Option<u128>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        _ => a.or(b),
    };
    PathSummary {
        point_count: a.point_count.saturating_add(b.point_count),
        accepted_count: a.accepted_count.saturating_add(b.accepted_count),
        segment_count: a.segment_count.saturating_add(b.segment_count),
        length_3d: a.length_3d.or(b.length_3d),
        ascent: a.ascent.or(b.ascent),
        descent: a.descent.or(b.descent),
        raw_ascent: a.raw_ascent.or(b.raw_ascent),
        raw_descent: a.raw_descent.or(b.raw_descent),
        estimate: None,
        trips: sum_of_trips(a.trips, b.trips),
        windows: None,
        unused_options: Vec::new(),
        moving_ns: either(a.moving_ns, b.moving_ns),
        max_speed: match (a.max_speed, b.max_speed) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        },
        rejections,
        ..b
    }
}
