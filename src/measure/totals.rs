//! Adding up what many paths come to: the total of a command that measures files, here or on a server.
//!
//! It takes what is told of a path and nothing else, so that the total is the same wherever the paths were
//! measured.

use super::accumulator::PathAccumulator;
use super::error::PathError;
use super::metric::Metric;
use super::sum::{ExactSum, SumOverflow};
use super::summary::{PathSummary, Rejection};

/// What many paths come to together. No leg joins one to another.
///
/// Lengths and climbs are exact sums of those that the paths have by themselves, rounded once: what whoever
/// adds up the rows of a report exactly would get, to the bit, and within one unit in the last place of the
/// sum of all legs. The order of the paths changes no bit.
#[derive(Clone, Debug)]
pub struct Totals {
    metric: Metric,
    length: ExactSum,
    raw_length: ExactSum,
    length_3d: ExactSum,
    ascent: ExactSum,
    descent: ExactSum,
    rejected_length: [ExactSum; 4],
    /// What needs no exact sum.
    rest: Option<PathSummary>,
}

impl Totals {
    /// No path yet, of those that are measured by `metric`.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            length: ExactSum::ZERO,
            raw_length: ExactSum::ZERO,
            length_3d: ExactSum::ZERO,
            ascent: ExactSum::ZERO,
            descent: ExactSum::ZERO,
            rejected_length: [ExactSum::ZERO; 4],
            rest: None,
        }
    }

    /// Adds a path.
    ///
    /// # Errors
    /// When it is measured by another metric or a total is out of range; the totals are then as they
    /// were.
    pub fn add(&mut self, path: &PathSummary) -> Result<(), PathError> {
        if path.metric != self.metric {
            return Err(PathError::Metric { metric: self.metric, other: path.metric });
        }
        let mut next = self.clone();
        next.add_sums(path)?;
        next.rest = Some(match next.rest.take() {
            None => path.clone(),
            Some(rest) => together(rest, path.clone()),
        });
        *self = next;
        Ok(())
    }

    fn add_sums(&mut self, path: &PathSummary) -> Result<(), SumOverflow> {
        self.length.add(path.length)?;
        self.raw_length.add(path.raw_length)?;
        self.length_3d.add(path.length_3d.unwrap_or_default())?;
        self.ascent.add(path.ascent.unwrap_or_default())?;
        self.descent.add(path.descent.unwrap_or_default())?;
        for rejection in &path.rejections {
            self.rejected_length[rejection.reason as usize].add(rejection.rejected_length)?;
        }
        Ok(())
    }

    /// The totals, in the shape of one path. What only one path can have is left out: no displacement
    /// (it is 0), no elapsed time, no bounds; the offset of a first rejection is the smallest one.
    pub fn summary(&self) -> PathSummary {
        let empty = || PathAccumulator::new(super::Options::new(self.metric)).summary();
        let rest = self.rest.clone().unwrap_or_else(empty);
        let rejections = rest.rejections.iter().map(|rejection| Rejection {
            rejected_length: self.rejected_length[rejection.reason as usize].to_f64(),
            ..*rejection
        });
        PathSummary {
            length: self.length.to_f64(),
            raw_length: self.raw_length.to_f64(),
            length_3d: rest.length_3d.map(|_| self.length_3d.to_f64()),
            ascent: rest.ascent.map(|_| self.ascent.to_f64()),
            descent: rest.descent.map(|_| self.descent.to_f64()),
            rejections: rejections.collect(),
            displacement: 0.0,
            elapsed_ns: None,
            bounds: None,
            ..rest
        }
    }
}

/// Counts, times and speeds of two.
fn together(a: PathSummary, b: PathSummary) -> PathSummary {
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
    let either = |a: Option<u64>, b: Option<u64>| match (a, b) {
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
        moving_ns: either(a.moving_ns, b.moving_ns),
        max_speed: match (a.max_speed, b.max_speed) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        },
        rejections,
        ..b
    }
}
