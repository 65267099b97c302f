//! Adding up the measurements of many paths, exactly: the total of a command that measures files.

use super::measurement::Measurement;
use super::metric::Metric;
use super::path::PathError;
use super::sum::{ExactSum, SumOverflow};
use super::summary::{PathSummary, Rejection};

/// What many paths come to together. No leg joins one to another.
///
/// Lengths and climbs are exact sums of the legs of all paths, rounded once; the order of the paths
/// changes no bit.
#[derive(Clone, Debug)]
pub struct Totals {
    metric: Metric,
    length: ExactSum,
    raw_length: ExactSum,
    length_3d: ExactSum,
    climb: Option<(ExactSum, ExactSum)>,
    kept_out: [ExactSum; 4],
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
            climb: None,
            kept_out: [ExactSum::ZERO; 4],
            rest: None,
        }
    }

    /// Adds a path.
    ///
    /// # Errors
    /// When it is measured by another metric or a total is out of range; the totals are then as they
    /// were.
    pub fn add(&mut self, path: &Measurement) -> Result<(), PathError> {
        let metric = path.options().metric;
        if metric != self.metric {
            return Err(PathError::Metric { metric: self.metric, other: metric });
        }
        let mut next = self.clone();
        next.add_sums(path)?;
        let summary = path.summary();
        next.rest = Some(match next.rest.take() {
            None => summary,
            Some(rest) => together(rest, summary),
        });
        *self = next;
        Ok(())
    }

    fn add_sums(&mut self, path: &Measurement) -> Result<(), SumOverflow> {
        self.length.merge(&path.accepted().length())?;
        self.raw_length.merge(&path.raw().length())?;
        self.length_3d.merge(&path.profile().length_3d())?;
        if let Some((ascent, descent)) = path.profile().climb() {
            let total = self.climb.get_or_insert_default();
            total.0.merge(&ascent)?;
            total.1.merge(&descent)?;
        }
        for (total, sum) in self.kept_out.iter_mut().zip(path.kept_out()) {
            total.merge(&sum)?;
        }
        Ok(())
    }

    /// The totals, in the shape of one path. What only one path can have is left out: no displacement
    /// (it is 0), no elapsed time, no bounds; the offset of a first rejection is the smallest one.
    pub fn summary(&self) -> PathSummary {
        let empty = || Measurement::new(super::Options::new(self.metric)).summary();
        let rest = self.rest.clone().unwrap_or_else(empty);
        let rejections = rest.rejections.iter().map(|rejection| Rejection {
            kept_out: self.kept_out[rejection.reason as usize].to_f64(),
            ..*rejection
        });
        PathSummary {
            length: self.length.to_f64(),
            raw_length: self.raw_length.to_f64(),
            length_3d: rest.length_3d.map(|_| self.length_3d.to_f64()),
            ascent: self.climb.map(|(ascent, _)| ascent.to_f64()),
            descent: self.climb.map(|(_, descent)| descent.to_f64()),
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
        moving_ns: either(a.moving_ns, b.moving_ns),
        max_speed: match (a.max_speed, b.max_speed) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        },
        rejections,
        ..b
    }
}
