//! The accumulator of points without attributes. It adds blocks of points, breaks the path into
//! segments, merges with a following path, and returns a summary at any time.

use super::bounds::{Bounds, Extent, Run};
use super::cost::{self, Cost};
use super::error::PathError;
use super::index_set::IndexSet;
use super::level::Level;
use super::metric::Metric;
use super::point::Point;
use super::point_block::PointBlock;
use super::state::PolylineState;
use super::sum::ExactSum;

/// Accumulates one path of points.
///
/// The summary is bit-identical for every division of the points into blocks, calls or partial paths.
#[derive(Clone, Debug, PartialEq)]
pub struct Polyline {
    metric: Metric,
    sum: ExactSum,
    point_count: u64,
    segment_count: u64,
    extent: Extent,
    /// The first and the last point, in canonical coordinates.
    ends: Option<((f64, f64), (f64, f64))>,
    /// Whether the next point starts a segment, although there may be points before it.
    broken: bool,
    /// Whether a segment was started before the first point. A merge then does not join this path to the one before.
    broken_before_first: bool,
}

/// The summary of a path of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolylineSummary {
    /// The metric of the legs.
    pub metric: Metric,
    /// The correctly rounded sum of all legs, in metres or, for [`Metric::Planar`], in the caller's unit.
    pub length: f64,
    /// The distance from the first point to the last, in the same unit; 0 for fewer than two points.
    pub displacement: f64,
    /// The number of points.
    pub point_count: u64,
    /// The number of segments.
    pub segment_count: u64,
    /// The bounding box of all points and legs; `None` if there are no points.
    pub bounds: Option<Bounds>,
}

impl Polyline {
    /// Returns a path without points.
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

    /// Returns the metric of the legs.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Returns the number of points.
    pub fn point_count(&self) -> u64 {
        self.point_count
    }

    /// Returns the exact sum of the legs.
    pub(super) fn length(&self) -> ExactSum {
        self.sum
    }

    /// Returns the last point, in canonical coordinates.
    pub(super) fn last(&self) -> Option<(f64, f64)> {
        self.ends.map(|(_, last)| last)
    }

    /// Returns whether [`Polyline::start_segment`] was called after the last point.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Adds the points of a block and clears the block.
    ///
    /// # Errors
    /// Returns an error if the block is in another space or the total is out of range. The path and the
    /// block are then unchanged.
    pub fn fold(&mut self, block: &mut PointBlock) -> Result<(), PathError> {
        self.fold_with_cost(block).map(drop)
    }

    /// Adds the points of a block, clears the block, and returns the estimated processor time.
    ///
    /// # Errors
    /// See [`Polyline::fold`].
    pub(crate) fn fold_with_cost(&mut self, block: &mut PointBlock) -> Result<Cost, PathError> {
        let base = Cost::of_block(block.len(), cost::PLAIN_POINT_NS);
        let long = self.fold_legs(block, &IndexSet::EMPTY, &mut [0.0; PointBlock::CAPACITY])?;
        block.clear();
        Ok(base + long)
    }

    /// Adds the points of a block without clearing it. The points in `starts` start a segment. Sets
    /// `legs[i]` to the leg to point `i`, or to 0 without a leg. Returns the cost of the legs that are
    /// measured one by one.
    ///
    /// # Errors
    /// See [`Polyline::fold`].
    #[inline]
    pub(super) fn fold_legs(
        &mut self,
        block: &mut PointBlock,
        starts: &IndexSet,
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

        // No error is possible from here on.
        self.broken_before_first |= self.ends.is_none() && starts.contains(0);
        let run = Run { x, y, starts, offset: usize::from(joined.is_some()) };
        Ok(cost + self.add_points(level, run, added as u64, start_count))
    }

    /// Adds points whose legs the caller measured. `legs[i]` is the leg to point `i`, or 0 if the point
    /// is in `starts`, which has the points that start a segment. The first point of the path is one of them. Returns
    /// the cost apart from the legs.
    ///
    /// # Errors
    /// Returns an error if the total is out of range. The path is then unchanged.
    pub(super) fn add_measured(
        &mut self,
        x: &[f64],
        y: &[f64],
        legs: &[f64],
        starts: &IndexSet,
    ) -> Result<Cost, PathError> {
        if x.is_empty() {
            return Ok(Cost::default());
        }
        let level = Level::best();
        self.sum.add_block(level, legs)?;
        let joined = self.ends.filter(|_| !starts.contains(0));
        let run = Run { x, y, starts, offset: 0 };
        let mut cost = self.add_points(level, run, x.len() as u64, starts.len() as u64);
        if let Some((_, last)) = joined {
            cost += self.extent.add_leg(self.metric, last, (x[0], y[0]));
        }
        Ok(cost)
    }

    /// Updates everything except the sum. The columns may begin with the point before the block, which is
    /// already in the bounds; adding it again does not change them.
    #[inline]
    fn add_points(&mut self, level: Level, run: Run<'_>, added: u64, start_count: u64) -> Cost {
        let Run { x, y, .. } = run;
        let cost = self.extent.extend(level, self.metric, run);
        self.point_count = self.point_count.saturating_add(added);
        self.segment_count = self.segment_count.saturating_add(start_count);
        let last = (x[x.len() - 1], y[y.len() - 1]);
        let first = self.ends.map_or((x[0], y[0]), |(first, _)| first);
        self.ends = Some((first, last));
        self.broken = false;
        cost
    }

    /// Adds points.
    ///
    /// # Errors
    /// Returns an error if a point is in another space or the total is out of range. The points are added
    /// in blocks. The blocks before the one that fails are then part of the path;
    /// [`Polyline::point_count`] returns the number of points.
    pub fn extend(&mut self, points: &[Point]) -> Result<(), PathError> {
        let space = self.metric.space();
        if let Some(other) = points.iter().find(|point| point.space() != space) {
            return Err(PathError::Space { metric: self.metric, points: other.space() });
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

    /// Ends the segment. No leg joins the last point and the next one. A second call without points in
    /// between has no effect.
    pub fn start_segment(&mut self) {
        self.broken = true;
        self.broken_before_first |= self.ends.is_none();
    }

    /// Appends the path `next`. The result is the same as if its points were added one by one.
    ///
    /// # Errors
    /// Returns an error if the metrics differ or the total is out of range. The path is then unchanged.
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
        if let Some((_, last)) = joined {
            let _cost = self.extent.add_leg(self.metric, last, next_first);
        }
        let first = self.ends.map_or(next_first, |(first, _)| first);
        self.ends = Some((first, next_last));
        self.broken = next.broken;
        Ok(())
    }

    /// Returns the summary of the points so far.
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
