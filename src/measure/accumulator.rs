//! The accumulator of a path of fixes. It keeps the length of all fixes, the length of the accepted
//! fixes, and statistics of their times and elevations.
//!
//! It combines three parts: the raw [`Polyline`], the filter of `policy.rs` if the options have rules,
//! and the statistics of the accepted fixes.

use super::climb::ClimbState;
use super::cost::{self, Cost};
use super::derived::Derived;
use super::error::PathError;
use super::fix::Fix;
use super::fix_block::FixBlock;
use super::fix_sink::FixSink;
use super::index_set::IndexSet;
use super::options::{Elevation, InvalidPoints, Options};
use super::point_block::PointBlock;
use super::policy::{Filter, PlacedBlock};
use super::polyline::Polyline;
use super::rejection_reason::RejectionReason;
use super::reorder::ReorderBuffer;
use super::seen_attributes::SeenAttributes;
use super::state::{SkippedFixesState, State, StateError, StatsState};
use super::summary::{PathSummary, Rejection};
use super::track_fix::FixAttributes;
use super::track_fix::TrackFix;
use super::unused_options::unused_options;

/// Accumulates one path of fixes.
///
/// The summary is bit-identical for every division of the fixes into blocks or calls, and for every
/// number of times that the accumulator was stored and read back. [`PathAccumulator::state`] returns what has to be
/// stored.
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
    /// All fixes with a position. Only segment starts in the input break it.
    raw: Polyline,
    /// The accepted fixes; `None` if no rule of the options can reject a fix or break a segment.
    filter: Option<Filter>,
    /// What is computed from the checked and the accepted fixes.
    derived: Derived,
    /// The attributes of the last fix. Unused with a filter, which keeps those of the last accepted fix.
    last: FixAttributes,
    /// The fixes without a position.
    invalid_points: SkippedFixesState,
    /// The attributes of all fixes with a position.
    seen: SeenAttributes,
    /// The fixes that wait, if the options put fixes in order.
    reorder: Option<ReorderBuffer>,
}

/// The indices in the path of the fixes of a block.
#[derive(Clone, Copy)]
struct FixOrder<'a> {
    /// The slots of the fixes that are late.
    late: &'a IndexSet,
    /// The index of the first fix.
    offset: u64,
    /// The index of the fix in each slot. Without it, the indices are consecutive.
    offsets: Option<&'a [u64]>,
}

impl PathAccumulator {
    /// Returns a path without fixes.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            raw: Polyline::new(options.metric),
            filter: options.is_selective().then(|| Filter::new(&options)),
            derived: Derived::new(&options),
            last: FixAttributes::NOTHING,
            invalid_points: SkippedFixesState::default(),
            seen: SeenAttributes::default(),
            reorder: options
                .reorder
                .map(|limits| ReorderBuffer::new(limits, options.drop_duplicates)),
        }
    }

    /// Returns the options of the path.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the number of fixes, including the rejected ones. It is the offset of the next fix.
    pub fn point_count(&self) -> u64 {
        let in_buffer = self.reorder.as_ref().map_or(0, ReorderBuffer::point_count);
        let measured = self.raw.point_count().saturating_add(self.invalid_points.count);
        measured.saturating_add(in_buffer)
    }

    /// Returns the number of bytes that the path holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.derived.heap_bytes() + self.reorder.as_ref().map_or(0, ReorderBuffer::heap_bytes)
    }

    /// Adds the fixes of a block and clears the block.
    ///
    /// # Errors
    /// Returns an error if the fixes are in another space, a total is out of range, or a fix has no position and
    /// [`Options::invalid_points`] is [`InvalidPoints::RejectCall`]. The path and the block are then unchanged.
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
        let cost = if block.without_position_count() == 0 {
            let starts = block.starts;
            self.fold_positions(block, &starts)?
        } else {
            self.fold_some_without_position(block)?
        };
        block.clear();
        Ok(cost)
    }

    /// Adds a block in which some fixes have no position.
    #[cold]
    fn fold_some_without_position(&mut self, block: &mut FixBlock) -> Result<Cost, PathError> {
        let splits = match self.options.invalid_points {
            InvalidPoints::RejectCall => return Err(PathError::InvalidPoint),
            InvalidPoints::Skip => false,
            InvalidPoints::Split => true,
        };
        let (starts, starts_next) = block.starting_slots(splits);
        // An error in one of several totals must leave all of them unchanged.
        let mut next = self.clone();
        let mut cost = Cost::of_block(block.without_position_count(), cost::INVALID_POINT_NS);
        if !block.points.is_empty() {
            cost += next.fold_positions(block, &starts)?;
        }
        let first_offset = self.point_count().saturating_add(block.first_without_position() as u64);
        next.invalid_points.add(first_offset, block.without_position_count() as u64);
        if starts_next {
            next.end_segment()?;
        }
        *self = next;
        Ok(cost)
    }

    /// Adds the fixes of a block that have a position, at least one. `starts` has the slots of those that start a
    /// segment.
    #[inline]
    fn fold_positions(
        &mut self,
        block: &mut FixBlock,
        starts: &IndexSet,
    ) -> Result<Cost, PathError> {
        let is_plain = self.filter.is_none()
            && self.options.elevation == Elevation::Ignored
            && block.is_without_times_and_z()
            && self.derived.ignores_plain_fixes();
        if is_plain {
            let base = Cost::of_block(block.points.len(), cost::PLAIN_POINT_NS);
            let legs = &mut [0.0; PointBlock::CAPACITY];
            let is_start = self.raw.is_broken() || !starts.is_empty();
            let climb = match is_start {
                true => self.derived.ended_climb()?,
                false => self.derived.climb,
            };
            let long = self.raw.fold_legs(&mut block.points, starts, legs)?;
            self.derived.climb = climb;
            self.last = FixAttributes::NOTHING;
            self.derived.stats.add_plain_fixes();
            self.seen.merge(block.seen_attributes());
            return Ok(base + long);
        }
        // An error in one of several totals must leave all of them unchanged.
        let mut next = self.clone();
        let cost = match next.reorder.take() {
            Some(mut buffer) => {
                let cost = next.fold_in_order(&mut buffer, block, starts)?;
                next.reorder = Some(buffer);
                cost
            }
            None => {
                let order =
                    FixOrder { late: &IndexSet::EMPTY, offset: self.point_count(), offsets: None };
                next.fold_all(block, starts, order)?
            }
        };
        *self = next;
        Ok(cost)
    }

    fn fold_all(
        &mut self,
        block: &mut FixBlock,
        starts: &IndexSet,
        order: FixOrder<'_>,
    ) -> Result<Cost, PathError> {
        let was_broken = self.raw.is_broken();
        let is_joined = self.raw.last().is_some() && !was_broken;
        let count = block.points.len();
        let mut legs = [0.0; PointBlock::CAPACITY];
        let legs = &mut legs[..count];
        let long = self.raw.fold_legs(&mut block.points, starts, legs)?;
        self.seen.merge(block.seen_attributes());
        let Self { options, derived, filter, last, .. } = self;
        let point_ns = derived.point_ns();
        if let Some(filter) = filter {
            let base = Cost::of_block(count, cost::FILTERED_POINT_NS + point_ns);
            let mut starts = *starts;
            if was_broken {
                starts.insert(0);
            }
            let FixOrder { late, offset, offsets } = order;
            let placed = PlacedBlock { block, starts: &starts, late, offset, offsets };
            let distances = filter.fold(options, placed, legs, derived)?;
            return Ok(base + long + distances);
        }
        let (x, y) = block.points.columns();
        let mut sink = FixSink::new(options, derived);
        let mut from = is_joined.then_some(*last);
        for (index, ((&x, &y), &leg)) in x.iter().zip(y).zip(&*legs).enumerate() {
            let fix = TrackFix { at: (x, y), attributes: block.attributes_of(index) };
            let from = from.replace(fix.attributes).filter(|_| !starts.contains(index));
            sink.add_accepted(fix, from.map(|from| (from, leg)));
        }
        sink.flush()?;
        *last = from.unwrap_or(FixAttributes::NOTHING);
        Ok(Cost::of_block(count, cost::STATS_POINT_NS + point_ns) + long)
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
                && path.derived == Derived::new(&path.options)
                && path.derived.ignores_plain_fixes()
                && path.last == FixAttributes::NOTHING
        };
        if self.options.metric == next.options.metric
            && !(self.options == next.options && is_plain(self) && is_plain(next))
        {
            return Err(PathError::NotMergeable);
        }
        let next_offset = self.point_count();
        self.raw.merge(&next.raw)?;
        let SkippedFixesState { count, first_offset } = next.invalid_points;
        self.invalid_points.add(next_offset.saturating_add(first_offset), count);
        self.seen.merge(next.seen);
        Ok(())
    }

    /// Ends the segment. No leg joins the last fix and the next one.
    pub fn start_segment(&mut self) {
        // A fold leaves a reserve in every sum, so that the fixes in the buffer can be added without an error.
        if self.end_segment().is_err() {
            self.raw.start_segment();
        }
    }

    /// Returns the summary of the fixes so far.
    pub fn summary(&self) -> PathSummary {
        // A fold leaves a reserve in every sum, so that this does not fail.
        match self.with_empty_buffer() {
            Ok(Some(next)) => next.summary_of_added(),
            _ => self.summary_of_added(),
        }
    }

    /// Returns the summary of the fixes that have left the buffer.
    fn summary_of_added(&self) -> PathSummary {
        let mut derived = self.derived.clone();
        let filter = self.filter.as_ref().map(|filter| {
            let ended = filter.ended(&self.options, &mut derived);
            // A fold leaves a reserve in every sum, so that this does not fail.
            ended.unwrap_or_else(|_| filter.clone())
        });
        let accepted = filter.as_ref().map_or(&self.raw, Filter::accepted).summary();
        let is_3d = self.options.elevation == Elevation::ThreeDimensional;
        let mut rejections = filter.as_ref().map_or_else(Vec::new, Filter::rejections);
        let duplicates = self.reorder.as_ref().map(ReorderBuffer::duplicates).unwrap_or_default();
        for (reason, SkippedFixesState { count, first_offset }) in [
            (RejectionReason::InvalidPosition, self.invalid_points),
            (RejectionReason::Duplicate, duplicates),
        ] {
            if count == 0 {
                continue;
            }
            let at = rejections.partition_point(|entry| (entry.reason as usize) < reason as usize);
            let rejected_length = 0.0;
            rejections.insert(at, Rejection { reason, count, first_offset, rejected_length });
        }
        let mut summary = PathSummary {
            metric: self.options.metric,
            point_count: self.point_count(),
            accepted_count: accepted.point_count,
            segment_count: accepted.segment_count,
            length: accepted.length,
            raw_length: self.raw.length().to_f64(),
            length_3d: is_3d.then(|| derived.stats.length_3d().to_f64()),
            gap_length: filter.as_ref().map_or(0.0, |filter| filter.gap_length().to_f64()),
            displacement: accepted.displacement,
            rejections,
            elapsed_ns: None,
            moving_ns: None,
            max_speed: None,
            ascent: None,
            descent: None,
            climb_threshold: None,
            raw_ascent: None,
            raw_descent: None,
            bounds: accepted.bounds,
            estimate: None,
            trips: None,
            windows: None,
            unused_options: match self.raw.point_count() {
                0 => Vec::new(),
                _ => unused_options(self.seen, &self.options),
            },
        };
        derived.summarize(&mut summary);
        summary
    }
}

impl SkippedFixesState {
    /// Adds `count` fixes, the first of which has this offset.
    pub(super) fn add(&mut self, first_offset: u64, count: u64) {
        if self.count == 0 && count > 0 {
            self.first_offset = first_offset;
        }
        self.count = self.count.saturating_add(count);
    }
}

impl PathAccumulator {
    /// Returns everything that the accumulator keeps, as plain data. `PathAccumulator::try_from` restores it.
    pub fn state(&self) -> State {
        let mut state = State {
            options: self.options,
            raw: self.raw.state(),
            filter: self.filter.as_ref().map(Filter::state),
            stats: StatsState::default(),
            climb: ClimbState::default(),
            windows: None,
            estimate: None,
            last: self.last.state(),
            invalid_points: self.invalid_points,
            seen: self.seen,
            reorder: self.reorder.as_ref().map(ReorderBuffer::state),
        };
        self.derived.write(&mut state);
        state
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
        let (options, metric) = (state.options, state.options.metric);
        let raw = Polyline::from_checked_state(metric, &state.raw);
        let filter = state.filter.as_ref().map(|filter| Filter::from_checked_state(metric, filter));
        if filter.as_ref().is_some_and(|filter| !filter.is_balanced(&options, raw.length())) {
            let problem = "accepted and rejected lengths are not the whole length";
            return Err(StateError { part: "filter", problem });
        }
        Ok(Self {
            options,
            raw,
            filter,
            derived: Derived::from_checked_state(&state),
            last: FixAttributes::from_checked_state(state.last),
            invalid_points: state.invalid_points,
            seen: state.seen,
            reorder: options.reorder.zip(state.reorder.as_ref()).map(|(limits, state)| {
                ReorderBuffer::from_checked_state(limits, options.drop_duplicates, state)
            }),
        })
    }
}

mod in_order;
mod last_fix;
mod rejected;
#[cfg(test)]
mod tests;
