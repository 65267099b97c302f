//! The accumulator of a path of fixes. It keeps the length of all fixes, the length of the accepted
//! fixes, and statistics of their times and elevations.
//!
//! It combines three parts: the raw [`Polyline`], the filter of `policy.rs` if the options have rules,
//! and the statistics of the accepted fixes.

use super::cost::{self, Cost};
use super::error::PathError;
use super::fix::Fix;
use super::fix_block::FixBlock;
use super::options::{Elevation, Options};
use super::point_block::PointBlock;
use super::policy::Filter;
use super::polyline::Polyline;
use super::state::{State, StateError};
use super::sum::ExactSum;
use super::summary::PathSummary;
use super::track_stats::{FixAttributes, LegBatch, TrackStats};

/// Accumulates one path of fixes.
///
/// The summary is bit-identical for every division of the fixes into blocks or calls, and for every
/// number of times that the accumulator was stored and read back. [`PathAccumulator::state`] returns what has to be stored.
///
/// ```
/// use waywiser::measure::{Fix, PathAccumulator, Metric, Options, Point};
///
/// let options = Options::builder(Metric::Planar).min_step(2.0).build()?;
/// let mut path = PathAccumulator::new(options);
/// for x in [0.0, 1.0, 0.0, 1.0, 3.0] {
///     path.extend(&[Fix::new(Point::planar(x, 0.0)?)])?;
/// }
/// let summary = path.summary();
/// assert_eq!((summary.raw_length, summary.length, summary.accepted_count), (5.0, 3.0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PathAccumulator {
    options: Options,
    /// All fixes. Only segment starts in the input break it.
    raw: Polyline,
    /// The accepted fixes; `None` if no rule of the options can reject a fix or break a segment.
    filter: Option<Filter>,
    /// The statistics of the accepted fixes.
    stats: TrackStats,
    /// The attributes of the last fix. Unused with a filter, which keeps those of the last accepted fix.
    last: FixAttributes,
}

impl PathAccumulator {
    /// Returns a path without fixes.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            raw: Polyline::new(options.metric),
            filter: options.is_selective().then(|| Filter::new(&options)),
            stats: TrackStats::EMPTY,
            last: FixAttributes::NOTHING,
        }
    }

    /// Returns the options of the path.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the number of fixes, including the rejected ones. It is the offset of the next fix.
    pub fn point_count(&self) -> u64 {
        self.raw.point_count()
    }

    /// Adds the fixes of a block and clears the block.
    ///
    /// # Errors
    /// Returns an error if the fixes are in another space or a total is out of range. The path and the
    /// block are then unchanged.
    pub fn fold(&mut self, block: &mut FixBlock) -> Result<(), PathError> {
        self.fold_with_cost(block).map(drop)
    }

    /// Adds the fixes of a block, clears the block, and returns the estimated processor time.
    ///
    /// # Errors
    /// See [`PathAccumulator::fold`].
    pub(crate) fn fold_with_cost(&mut self, block: &mut FixBlock) -> Result<Cost, PathError> {
        if block.is_empty() {
            return Ok(Cost::default());
        }
        let is_plain = self.filter.is_none()
            && self.options.elevation == Elevation::Ignored
            && block.is_without_times_and_z();
        let cost = if is_plain {
            let base = Cost::of_block(block.len(), cost::PLAIN_POINT_NS);
            let legs = &mut [0.0; PointBlock::CAPACITY];
            let long = self.raw.fold_legs(&mut block.points, &block.starts, legs)?;
            self.last = FixAttributes::NOTHING;
            base + long
        } else {
            // An error in one of several totals must leave all of them unchanged.
            let mut next = self.clone();
            let cost = next.fold_all(block)?;
            *self = next;
            cost
        };
        block.clear();
        Ok(cost)
    }

    fn fold_all(&mut self, block: &mut FixBlock) -> Result<Cost, PathError> {
        let (offset, before) = (self.raw.point_count(), self.raw.last());
        let is_joined = before.is_some() && !self.raw.is_broken();
        let mut legs = [0.0; PointBlock::CAPACITY];
        let legs = &mut legs[..block.len()];
        let long = self.raw.fold_legs(&mut block.points, &block.starts, legs)?;
        if let Some(filter) = &mut self.filter {
            let Self { options, stats, .. } = self;
            let base = Cost::of_block(block.len(), cost::FILTERED_POINT_NS);
            let distances = filter.fold(options, block, before, offset, legs, stats)?;
            return Ok(base + long + distances);
        }
        let mut leg_batch = LegBatch::new();
        let mut from = is_joined.then_some(self.last);
        for (index, &leg) in legs.iter().enumerate() {
            let to = block.attributes_of(index);
            if let Some(from) = from.filter(|_| !block.starts.contains(index)) {
                self.stats.add_leg(&self.options, leg, from, to, &mut leg_batch);
            }
            self.stats.add_fix(to);
            from = Some(to);
        }
        self.stats.add_sums(&self.options, &leg_batch)?;
        self.last = from.unwrap_or(FixAttributes::NOTHING);
        Ok(Cost::of_block(block.len(), cost::STATS_POINT_NS) + long)
    }

    /// Adds fixes.
    ///
    /// # Errors
    /// See [`PathAccumulator::fold`]. The fixes are added in blocks. The blocks before the one that
    /// fails are then part of the path; [`PathAccumulator::point_count`] returns the number of fixes.
    pub fn extend(&mut self, fixes: &[Fix]) -> Result<(), PathError> {
        let mut block = FixBlock::new(self.options.metric);
        for chunk in fixes.chunks(FixBlock::CAPACITY) {
            for &fix in chunk {
                block.push(fix)?;
            }
            self.fold(&mut block)?;
        }
        Ok(())
    }

    /// Appends the path `next`. The result is bit-identical to that of a path to which the fixes of `next` were
    /// added one by one, so that parts of a path can be measured in parallel.
    ///
    /// ```
    /// use waywiser::measure::{Metric, Options, PathAccumulator, Point};
    ///
    /// let part = |x: [f64; 2]| -> Result<_, Box<dyn std::error::Error>> {
    ///     let mut path = PathAccumulator::new(Options::new(Metric::Planar));
    ///     path.extend(&[Point::planar(x[0], 0.0)?.into(), Point::planar(x[1], 0.0)?.into()])?;
    ///     Ok(path)
    /// };
    /// let mut path = part([0.0, 3.0])?;
    /// path.merge(&part([5.0, 6.0])?)?;
    /// assert_eq!(path.summary().length, 6.0); // with the leg from 3 to 5
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the options differ, if a path has a filter, elevations or times, or if the total is out of
    /// range. The path is then unchanged. The results of filters depend on the fixes before, and a path does not
    /// keep the elevation and the time of its first fix.
    pub fn merge(&mut self, next: &Self) -> Result<(), PathError> {
        let is_plain = |path: &Self| {
            path.filter.is_none()
                && path.options.elevation == Elevation::Ignored
                && path.stats == TrackStats::EMPTY
                && path.last == FixAttributes::NOTHING
        };
        if self.options.metric == next.options.metric
            && !(self.options == next.options && is_plain(self) && is_plain(next))
        {
            return Err(PathError::NotMergeable);
        }
        self.raw.merge(&next.raw)
    }

    /// Ends the segment. No leg joins the last fix and the next one.
    pub fn start_segment(&mut self) {
        self.raw.start_segment();
        if let Some(filter) = &mut self.filter {
            filter.start_segment();
        }
    }

    fn accepted(&self) -> &Polyline {
        self.filter.as_ref().map_or(&self.raw, Filter::accepted)
    }

    /// Returns the summary of the fixes so far.
    pub fn summary(&self) -> PathSummary {
        let accepted = self.accepted().summary();
        let climb = self.stats.climb();
        let is_3d = self.options.elevation == Elevation::ThreeDimensional;
        PathSummary {
            metric: self.options.metric,
            point_count: self.raw.point_count(),
            accepted_count: accepted.point_count,
            segment_count: accepted.segment_count,
            length: accepted.length,
            raw_length: self.raw.length().to_f64(),
            length_3d: is_3d.then(|| self.stats.length_3d().to_f64()),
            displacement: accepted.displacement,
            rejections: self.filter.as_ref().map_or_else(Vec::new, Filter::rejections),
            elapsed_ns: self.stats.elapsed_ns(),
            moving_ns: self.stats.moving_ns(),
            max_speed: self.stats.max_speed(),
            ascent: climb.map(|(ascent, _)| ExactSum::to_f64(ascent)),
            descent: climb.map(|(_, descent)| ExactSum::to_f64(descent)),
            bounds: accepted.bounds,
        }
    }
}

impl PathAccumulator {
    /// Returns everything that the accumulator keeps, as plain data. `PathAccumulator::try_from` restores it.
    pub fn state(&self) -> State {
        State {
            options: self.options,
            raw: self.raw.state(),
            filter: self.filter.as_ref().map(Filter::state),
            stats: self.stats.state(),
            last: self.last.state(),
        }
    }
}

impl TryFrom<State> for PathAccumulator {
    type Error = StateError;

    /// Restores an accumulator. Folding continues with the same bits as without the round trip.
    ///
    /// # Errors
    /// If no path has this state.
    fn try_from(state: State) -> Result<Self, StateError> {
        state.check()?;
        let metric = state.options.metric;
        Ok(Self {
            options: state.options,
            raw: Polyline::from_checked_state(metric, &state.raw),
            filter: state.filter.as_ref().map(|filter| Filter::from_checked_state(metric, filter)),
            stats: TrackStats::from_checked_state(&state.stats),
            last: FixAttributes::from_checked_state(state.last),
        })
    }
}

#[cfg(test)]
mod tests;
