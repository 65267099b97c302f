//! The accepted fixes of a block, in columns.

use crate::measure::cost::Cost;
use crate::measure::error::PathError;
use crate::measure::fix_sink::FixSink;
use crate::measure::index_set::IndexSet;
use crate::measure::point_block::PointBlock;
use crate::measure::polyline::Polyline;
use crate::measure::track_fix::FixAttributes;
use crate::measure::track_fix::TrackFix;

/// Adds accepted fixes to a polyline and to the statistics, a block at a time.
pub(super) struct Output<'a> {
    polyline: &'a mut Polyline,
    pub(super) sink: FixSink<'a>,
    count: usize,
    /// The fixes that start a segment.
    starts: IndexSet,
    x: [f64; PointBlock::CAPACITY],
    y: [f64; PointBlock::CAPACITY],
    /// The length of the leg to each fix, 0 without a leg.
    legs: [f64; PointBlock::CAPACITY],
    /// The cost of the box around the fixes.
    cost: Cost,
}

impl<'a> Output<'a> {
    pub(super) fn new(polyline: &'a mut Polyline, sink: FixSink<'a>) -> Self {
        let column = [0.0; PointBlock::CAPACITY];
        let starts = IndexSet::EMPTY;
        Self {
            polyline,
            sink,
            count: 0,
            starts,
            x: column,
            y: column,
            legs: column,
            cost: Cost::default(),
        }
    }

    /// Adds an accepted fix with the leg to it. A fix without a leg starts a segment.
    #[inline]
    pub(super) fn push(
        &mut self,
        fix: TrackFix,
        leg: Option<(FixAttributes, f64)>,
    ) -> Result<(), PathError> {
        if self.count == PointBlock::CAPACITY {
            self.flush()?;
        }
        (self.x[self.count], self.y[self.count]) = fix.at;
        self.legs[self.count] = leg.map_or(0.0, |(_, length)| length);
        if leg.is_none() {
            self.starts.insert(self.count);
        }
        self.count += 1;
        self.sink.add_accepted(fix, leg);
        Ok(())
    }

    #[cold]
    fn flush(&mut self) -> Result<(), PathError> {
        let Self { count, starts, x, y, legs, .. } = self;
        let count = *count;
        self.cost +=
            self.polyline.add_measured(&x[..count], &y[..count], &legs[..count], starts)?;
        (self.count, self.starts) = (0, IndexSet::EMPTY);
        Ok(self.sink.flush()?)
    }

    /// Adds what remains. Returns the cost of the box around the fixes.
    ///
    /// # Errors
    /// Returns an error if a total is out of range.
    pub(super) fn finish(mut self) -> Result<Cost, PathError> {
        self.flush()?;
        Ok(self.cost)
    }
}
