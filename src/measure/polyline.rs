//! The accumulator: a path that grows by blocks, breaks into segments, merges with its
//! continuation, and tells its summary at any time.

use super::bounds::{Bounds, Extent};
use super::cost::{self, Cost};
use super::level::Level;
use super::metric::Metric;
use super::point::{Point, Space};
use super::point_block::PointBlock;
use super::starts::Starts;
use super::state::PolylineState;
use super::sum::{ExactSum, SumOverflow};

/// The running accumulator of one path.
///
/// However its points are cut into blocks, calls or partial paths, the summary has the same bits.
///
/// ```
/// use waywiser::measure::{Metric, Polyline, Point};
///
/// let mut path = Polyline::new(Metric::Planar);
/// path.extend(&[Point::planar(0.0, 0.0)?, Point::planar(3.0, 4.0)?])?;
/// path.start_segment(); // no leg crosses a break
/// path.extend(&[Point::planar(10.0, 0.0)?, Point::planar(10.0, 1.0)?])?;
///
/// let summary = path.summary();
/// assert_eq!((summary.length, summary.segment_count), (6.0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Polyline {
    metric: Metric,
    sum: ExactSum,
    point_count: u64,
    segment_count: u64,
    extent: Extent,
    /// The first and the last point, in canonical coordinates.
    ends: Option<((f64, f64), (f64, f64))>,
    /// A segment was started after the last point, or before the first.
    broken: bool,
    /// A segment was started before the first point: a merge must not join this path to another.
    broken_before_first: bool,
}

/// What is known of a path so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolylineSummary {
    /// What a leg is.
    pub metric: Metric,
    /// The correctly rounded sum of all legs: metres or, for [`Metric::Planar`], the caller's unit.
    pub length: f64,
    /// The distance from the first point to the last, in the same unit; 0 for fewer than two points.
    pub displacement: f64,
    /// How many points there are.
    pub point_count: u64,
    /// How many unbroken runs of points there are.
    pub segment_count: u64,
    /// The box around all points; `None` when there is none.
    pub bounds: Option<Bounds>,
}

/// Why a path could not take something. It is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Points of another space than the metric measures.
    #[error("{points} points on a path that is measured as {metric}")]
    Space {
        /// The path's metric.
        metric: Metric,
        /// Where the points lie.
        points: Space,
    },
    /// A continuation that was measured by another metric.
    #[error("a path measured as {other} cannot continue one measured as {metric}")]
    Metric {
        /// The path's metric.
        metric: Metric,
        /// The continuation's.
        other: Metric,
    },
    /// The total is out of range.
    #[error(transparent)]
    Overflow(#[from] SumOverflow),
}

impl Polyline {
    /// A path without points.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            sum: ExactSum::ZERO,
            point_count: 0,
            segment_count: 0,
            extent: Extent::EMPTY,
            ends: None,
            broken: false,
            broken_before_first: false,
        }
    }

    /// How its legs are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How many points it has.
    pub fn point_count(&self) -> u64 {
        self.point_count
    }

    /// The exact sum of its legs.
    pub(super) fn length(&self) -> ExactSum {
        self.sum
    }

    /// The last point, in canonical coordinates.
    pub(super) fn last(&self) -> Option<(f64, f64)> {
        self.ends.map(|(_, last)| last)
    }

    /// Whether the next point starts a segment though there are points before it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Folds a block in and empties it.
    ///
    /// # Errors
    /// When the block is of another space or the total is out of range; path and block are then as
    /// they were.
    pub fn fold(&mut self, block: &mut PointBlock) -> Result<(), PathError> {
        self.fold_with_cost(block).map(drop)
    }

    /// Folds a block in, empties it, and returns what that cost.
    ///
    /// # Errors
    /// As [`Polyline::fold`].
    pub fn fold_with_cost(&mut self, block: &mut PointBlock) -> Result<Cost, PathError> {
        let base = Cost::of_block(block.len(), cost::PLAIN_POINT_NS);
        let long = self.fold_legs(block, &Starts::NONE, &mut [0.0; PointBlock::CAPACITY])?;
        block.clear();
        Ok(base + long)
    }

    /// Folds a block in and leaves it as it is; those of its points that `starts` names start a
    /// segment. `legs[i]` becomes the leg that ends in the point `i`, 0 where none does. Returns what the legs
    /// cost that are measured one by one.
    ///
    /// # Errors
    /// As [`Polyline::fold`].
    #[inline]
    pub(super) fn fold_legs(
        &mut self,
        block: &mut PointBlock,
        starts: &Starts,
        legs: &mut [f64],
    ) -> Result<Cost, PathError> {
        if block.space() != self.metric.space() {
            return Err(PathError::Space { metric: self.metric, points: block.space() });
        }
        if block.is_empty() {
            return Ok(Cost::default());
        }
        let added = block.len();
        let joined = self.ends.filter(|_| !self.broken && !starts.contains(0));
        let (x, y) = match joined {
            Some((_, last)) => block.columns_after(last),
            None => block.columns(),
        };
        let legs = &mut legs[..added];
        let level = Level::best();
        if joined.is_none() {
            legs[0] = 0.0;
        }
        let cost = self.metric.legs(level, x, y, &mut legs[usize::from(joined.is_none())..]);
        let mut start_count = u64::from(joined.is_none());
        if !starts.is_empty() {
            for index in (1..added).filter(|&index| starts.contains(index)) {
                legs[index] = 0.0;
                start_count += 1;
            }
        }
        self.sum.add_block(level, legs)?;

        // Nothing fails from here on.
        self.broken_before_first |= self.ends.is_none() && starts.contains(0);
        self.take(level, x, y, added as u64, start_count);
        Ok(cost)
    }

    /// Adds points whose legs were measured by the caller: each in its place, 0 for the first of a
    /// segment; `start_count` points are one.
    ///
    /// # Errors
    /// When the total is out of range; the path is then as it was.
    pub(super) fn add_measured(
        &mut self,
        x: &[f64],
        y: &[f64],
        legs: &[f64],
        start_count: u64,
    ) -> Result<(), PathError> {
        if x.is_empty() {
            return Ok(());
        }
        let level = Level::best();
        self.sum.add_block(level, legs)?;
        self.take(level, x, y, x.len() as u64, start_count);
        Ok(())
    }

    /// All that is kept of points beside their legs. The point before a block may be among them: it is
    /// counted among the bounds already, and once more does no harm.
    #[inline]
    fn take(&mut self, level: Level, x: &[f64], y: &[f64], added: u64, start_count: u64) {
        self.extent.extend(level, x, y);
        self.point_count = self.point_count.saturating_add(added);
        self.segment_count = self.segment_count.saturating_add(start_count);
        let last = (x[x.len() - 1], y[y.len() - 1]);
        let first = self.ends.map_or((x[0], y[0]), |(first, _)| first);
        self.ends = Some((first, last));
        self.broken = false;
    }

    /// Adds points.
    ///
    /// # Errors
    /// When a point is of another space or the total is out of range. The points of whole blocks
    /// before the failing one are then part of the path; [`Polyline::point_count`] tells how many.
    pub fn extend(&mut self, points: &[Point]) -> Result<(), PathError> {
        let space = self.metric.space();
        if let Some(stray) = points.iter().find(|point| point.space() != space) {
            return Err(PathError::Space { metric: self.metric, points: stray.space() });
        }
        let mut block = PointBlock::new(space);
        for chunk in points.chunks(PointBlock::CAPACITY) {
            for point in chunk {
                let (x, y) = point.canonical();
                block.push_canonical(x, y);
            }
            self.fold(&mut block)?;
        }
        Ok(())
    }

    /// Ends the segment: no leg joins what came before to what comes next. Two breaks in a row are
    /// one.
    pub fn start_segment(&mut self) {
        self.broken = true;
        self.broken_before_first |= self.ends.is_none();
    }

    /// Appends the accumulator of what follows, as if its points had been added here one by one.
    ///
    /// # Errors
    /// When the two are measured differently or the total is out of range.
    pub fn merge(&mut self, next: &Polyline) -> Result<(), PathError> {
        if next.metric != self.metric {
            return Err(PathError::Metric { metric: self.metric, other: next.metric });
        }
        let Some((next_first, next_last)) = next.ends else {
            if next.broken {
                self.start_segment();
            }
            return Ok(());
        };
        let mut sum = self.sum;
        sum.merge(&next.sum)?;
        let joined = self.ends.filter(|_| !self.broken && !next.broken_before_first);
        if let Some((_, last)) = joined {
            sum.add(self.metric.canonical_distance(last, next_first))?;
        }

        self.sum = sum;
        if self.ends.is_none() {
            self.broken_before_first |= next.broken_before_first;
        }
        self.point_count = self.point_count.saturating_add(next.point_count);
        let segment_count = next.segment_count.saturating_sub(u64::from(joined.is_some()));
        self.segment_count = self.segment_count.saturating_add(segment_count);
        self.extent.merge(&next.extent);
        let first = self.ends.map_or(next_first, |(first, _)| first);
        self.ends = Some((first, next_last));
        self.broken = next.broken;
        Ok(())
    }

    /// What is known so far.
    pub fn summary(&self) -> PolylineSummary {
        let displacement =
            self.ends.map_or(0.0, |(first, last)| self.metric.canonical_distance(first, last));
        PolylineSummary {
            metric: self.metric,
            length: self.sum.to_f64(),
            displacement,
            point_count: self.point_count,
            segment_count: self.segment_count,
            bounds: self.extent.bounds(self.metric.space()),
        }
    }
}

impl Polyline {
    pub(super) fn state(&self) -> PolylineState {
        PolylineState {
            length: self.sum,
            point_count: self.point_count,
            segment_count: self.segment_count,
            places: self.ends.map(|(first, last)| self.extent.state(first, last)),
            is_broken: self.broken,
            is_broken_before_first: self.broken_before_first,
        }
    }

    /// Restores a polyline from a state that was checked.
    pub(super) fn from_checked_state(metric: Metric, state: &PolylineState) -> Self {
        Self {
            metric,
            sum: state.length,
            point_count: state.point_count,
            segment_count: state.segment_count,
            extent: state.places.as_ref().map_or(Extent::EMPTY, Extent::from_checked_state),
            ends: state.places.map(|places| (places.first.into(), places.last.into())),
            broken: state.is_broken,
            broken_before_first: state.is_broken_before_first,
        }
    }
}

#[cfg(test)]
mod tests;
