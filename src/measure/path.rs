//! The accumulator: a path that grows by blocks, breaks into segments, merges with its
//! continuation, and tells its summary at any time.

use super::block::Block;
use super::bounds::{Bounds, Extent};
use super::level::Level;
use super::metric::Metric;
use super::point::{Point, Space};
use super::sum::{ExactSum, SumOverflow};

/// The running measurement of one path.
///
/// However its points are cut into blocks, calls or partial paths, the summary has the same bits.
///
/// ```
/// use waywiser::measure::{Metric, Path, Point};
///
/// let mut path = Path::new(Metric::Planar);
/// path.extend(&[Point::planar(0.0, 0.0)?, Point::planar(3.0, 4.0)?])?;
/// path.start_segment(); // no leg crosses a break
/// path.extend(&[Point::planar(10.0, 0.0)?, Point::planar(10.0, 1.0)?])?;
///
/// let summary = path.summary();
/// assert_eq!((summary.length, summary.segment_count), (6.0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Path {
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
pub struct Summary {
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

impl Path {
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

    /// Folds a block in and empties it.
    ///
    /// # Errors
    /// When the block is of another space or the total is out of range; path and block are then as
    /// they were.
    pub fn fold(&mut self, block: &mut Block) -> Result<(), PathError> {
        if block.space() != self.metric.space() {
            return Err(PathError::Space { metric: self.metric, points: block.space() });
        }
        if block.is_empty() {
            return Ok(());
        }
        let added = block.len() as u64;
        let joined = self.ends.filter(|_| !self.broken);
        let (x, y) = match joined {
            Some((_, last)) => block.columns_after(last),
            None => block.columns(),
        };
        let mut legs = [0.0; Block::CAPACITY];
        let legs = &mut legs[..x.len() - 1];
        let level = Level::best();
        self.metric.legs(level, x, y, legs);
        self.sum.add_block(level, legs)?;

        // Nothing fails from here on. The point before the block is counted among the bounds
        // already; once more does no harm.
        self.extent.extend(level, x, y);
        self.point_count += added;
        self.segment_count += u64::from(joined.is_none());
        let last = (x[x.len() - 1], y[y.len() - 1]);
        let first = self.ends.map_or((x[0], y[0]), |(first, _)| first);
        self.ends = Some((first, last));
        self.broken = false;
        block.clear();
        Ok(())
    }

    /// Adds points.
    ///
    /// # Errors
    /// When a point is of another space or the total is out of range. The points of whole blocks
    /// before the failing one are then part of the path; [`Path::point_count`] tells how many.
    pub fn extend(&mut self, points: &[Point]) -> Result<(), PathError> {
        let space = self.metric.space();
        if let Some(stray) = points.iter().find(|point| point.space() != space) {
            return Err(PathError::Space { metric: self.metric, points: stray.space() });
        }
        let mut block = Block::new(space);
        for chunk in points.chunks(Block::CAPACITY) {
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

    /// Appends the measurement of what follows, as if its points had been added here one by one.
    ///
    /// # Errors
    /// When the two are measured differently or the total is out of range.
    pub fn merge(&mut self, next: &Path) -> Result<(), PathError> {
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
            sum.add(self.metric.distance(last, next_first))?;
        }

        self.sum = sum;
        if self.ends.is_none() {
            self.broken_before_first |= next.broken_before_first;
        }
        self.point_count += next.point_count;
        self.segment_count += next.segment_count - u64::from(joined.is_some());
        self.extent.merge(&next.extent);
        let first = self.ends.map_or(next_first, |(first, _)| first);
        self.ends = Some((first, next_last));
        self.broken = next.broken;
        Ok(())
    }

    /// What is known so far.
    pub fn summary(&self) -> Summary {
        let displacement = self.ends.map_or(0.0, |(first, last)| self.metric.distance(first, last));
        Summary {
            metric: self.metric,
            length: self.sum.to_f64(),
            displacement,
            point_count: self.point_count,
            segment_count: self.segment_count,
            bounds: self.extent.bounds(self.metric.space()),
        }
    }
}

#[cfg(test)]
mod tests;
