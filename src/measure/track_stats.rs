//! Statistics from times and elevations: duration, moving time, highest speed, ascent and descent. The
//! caller passes the accepted legs and the checked fixes one by one, in order.

use super::level::Level;
use super::options::{Elevation, Options};
use super::point_block::PointBlock;
use super::speed_runs::SpeedRuns;
use super::state::{AttributesState, StatsState};
use super::sum::{ExactSum, SumOverflow};

/// The elevation and the time of a fix, if known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FixAttributes {
    pub(super) z: Option<f64>,
    pub(super) unix_ns: Option<i64>,
}

impl FixAttributes {
    pub(super) const NOTHING: Self = Self { z: None, unix_ns: None };

    /// Returns the time from this fix to `next`, if both times are known.
    #[inline]
    pub(super) fn time_to(self, next: Self) -> Option<TimeStep> {
        let (from, to) = (self.unix_ns?, next.unix_ns?);
        Some(TimeStep { ns: to.abs_diff(from), is_backward: to < from })
    }
}

/// The terms of the exact sums of a block, in columns. Adding a column is much faster than adding single
/// terms.
pub(super) struct LegBatch {
    count: usize,
    /// 0 if the leg falls or an elevation is missing.
    rises: [f64; PointBlock::CAPACITY],
    falls: [f64; PointBlock::CAPACITY],
    lengths_3d: [f64; PointBlock::CAPACITY],
    has_climb: bool,
}

impl LegBatch {
    pub(super) fn new() -> Self {
        let column = [0.0; PointBlock::CAPACITY];
        Self { count: 0, rises: column, falls: column, lengths_3d: column, has_climb: false }
    }
}

/// The time from one fix to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeStep {
    /// The magnitude.
    pub(super) ns: u64,
    /// Whether the second fix is earlier.
    pub(super) is_backward: bool,
}

/// Converts nanoseconds to seconds, rounded. The speed rule and the reported speeds use this function.
#[inline]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The earliest and the latest of several times.
#[derive(Clone, Copy, Debug, PartialEq)]
struct TimeRange {
    first: i64,
    last: i64,
}

impl TimeRange {
    /// Returns the range that also has `unix_ns`.
    #[inline]
    fn extended(range: Option<Self>, unix_ns: i64) -> Option<Self> {
        Some(range.map_or(Self { first: unix_ns, last: unix_ns }, |range| Self {
            first: range.first.min(unix_ns),
            last: range.last.max(unix_ns),
        }))
    }

    fn length_ns(self) -> u64 {
        self.last.abs_diff(self.first)
    }

    /// Returns the time from the range to `unix_ns`, 0 if it is in the range.
    #[inline]
    fn distance_ns(self, unix_ns: i64) -> u64 {
        unix_ns.abs_diff(unix_ns.clamp(self.first, self.last))
    }

    fn state(self) -> [i64; 2] {
        [self.first, self.last]
    }

    fn from_checked_state([first, last]: [i64; 2]) -> Self {
        Self { first, last }
    }
}

/// The statistics of the accepted fixes of a path, and the time of the checked ones: those that no rule but
/// [`Options::min_step`] rejects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrackStats {
    /// The times of the checked fixes.
    checked: Option<TimeRange>,
    /// The times of the accepted fixes, which are checked fixes too.
    accepted: Option<TimeRange>,
    /// The time of the legs in motion; `None` until a leg has a duration above 0. At most the length of `accepted`.
    moving_ns: Option<u64>,
    speed: SpeedRuns,
    /// Ascent and descent; `None` until a leg has elevations at both ends.
    climb: Option<(ExactSum, ExactSum)>,
    length_3d: ExactSum,
}

impl TrackStats {
    pub(super) const EMPTY: Self = Self {
        checked: None,
        accepted: None,
        moving_ns: None,
        speed: SpeedRuns::EMPTY,
        climb: None,
        length_3d: ExactSum::ZERO,
    };

    /// Ends the segment. No leg joins the last accepted fix and the next one.
    #[inline]
    pub(super) fn start_segment(&mut self) {
        self.speed.end_all();
    }

    /// Adds a checked fix that is not accepted.
    #[inline]
    pub(super) fn add_checked(&mut self, fix: FixAttributes) {
        if let Some(unix_ns) = fix.unix_ns {
            self.checked = TimeRange::extended(self.checked, unix_ns);
        }
    }

    /// Adds an accepted fix, after the leg to it. It is a checked fix too.
    #[inline]
    pub(super) fn add_fix(&mut self, fix: FixAttributes) {
        self.add_checked(fix);
        self.speed.add_fix(fix.unix_ns);
        if let Some(unix_ns) = fix.unix_ns {
            self.accepted = TimeRange::extended(self.accepted, unix_ns);
        }
    }

    /// Adds an accepted leg with this horizontal length. Writes the terms of the exact sums to `legs`, for
    /// [`TrackStats::add_sums`].
    #[inline]
    pub(super) fn add_leg(
        &mut self,
        options: &Options,
        length: f64,
        from: FixAttributes,
        to: FixAttributes,
        legs: &mut LegBatch,
    ) {
        let slot = legs.count;
        legs.count += 1;
        legs.lengths_3d[slot] = length;
        if let (Some(low), Some(high)) = (from.z, to.z) {
            let rise = high - low;
            legs.rises[slot] = rise.max(0.0);
            legs.falls[slot] = (-rise).max(0.0);
            legs.has_climb = true;
            if options.elevation == Elevation::ThreeDimensional {
                legs.lengths_3d[slot] = (length * length + rise * rise).sqrt();
            }
        }
        self.speed.add_leg(length);
        let Some(stopped_speed) = options.stopped_speed else { return };
        if let (Some(TimeStep { ns: ns @ 1.., .. }), Some(unix_ns)) = (from.time_to(to), to.unix_ns)
        {
            let moving_ns = self.moving_ns.get_or_insert_default();
            if length / seconds(ns) >= stopped_speed {
                // The start of the leg is an accepted fix, so that only its end can be outside the range. Each moment
                // counts once, because the range includes the end from now on.
                let added = self.accepted.map_or(0, |range| range.distance_ns(unix_ns));
                *moving_ns = moving_ns.saturating_add(added);
            }
        }
    }

    /// Adds the terms of a block to the exact sums.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The statistics are then unusable.
    pub(super) fn add_sums(
        &mut self,
        options: &Options,
        legs: &LegBatch,
    ) -> Result<(), SumOverflow> {
        let level = Level::best();
        if legs.has_climb {
            let (ascent, descent) = self.climb.get_or_insert_default();
            ascent.add_block(level, &legs.rises[..legs.count])?;
            descent.add_block(level, &legs.falls[..legs.count])?;
        }
        if options.elevation == Elevation::ThreeDimensional {
            self.length_3d.add_block(level, &legs.lengths_3d[..legs.count])?;
        }
        Ok(())
    }

    /// Returns the time from the earliest to the latest checked fix.
    pub(super) fn elapsed_ns(&self) -> Option<u64> {
        self.checked.map(TimeRange::length_ns)
    }

    /// Returns the moving time, at most the elapsed time.
    pub(super) fn moving_ns(&self) -> Option<u64> {
        self.moving_ns
    }

    /// Returns the highest average speed of a run.
    pub(super) fn max_speed(&self) -> Option<f64> {
        self.speed.max_speed()
    }

    /// Returns ascent and descent.
    pub(super) fn climb(&self) -> Option<(ExactSum, ExactSum)> {
        self.climb
    }

    pub(super) fn length_3d(&self) -> ExactSum {
        self.length_3d
    }
}

impl TrackStats {
    pub(super) fn state(&self) -> StatsState {
        StatsState {
            checked_times: self.checked.map(TimeRange::state),
            accepted_times: self.accepted.map(TimeRange::state),
            moving_ns: self.moving_ns,
            max_speed: self.speed.max_speed(),
            speed_runs: self.speed.state(),
            climb: self.climb.map(Into::into),
            length_3d: self.length_3d,
        }
    }

    /// Restores statistics from a state that was checked.
    pub(super) fn from_checked_state(state: &StatsState) -> Self {
        Self {
            checked: state.checked_times.map(TimeRange::from_checked_state),
            accepted: state.accepted_times.map(TimeRange::from_checked_state),
            moving_ns: state.moving_ns,
            speed: SpeedRuns::from_checked_state(state.max_speed, state.speed_runs.as_ref()),
            climb: state.climb.map(Into::into),
            length_3d: state.length_3d,
        }
    }
}

impl FixAttributes {
    pub(super) fn state(self) -> AttributesState {
        AttributesState { z: self.z, unix_ns: self.unix_ns }
    }

    pub(super) fn from_checked_state(state: AttributesState) -> Self {
        Self { z: state.z, unix_ns: state.unix_ns }
    }
}
