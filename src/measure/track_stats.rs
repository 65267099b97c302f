//! Statistics from times and elevations: duration, moving time, highest speed, ascent and descent. The
//! caller passes the accepted legs and the checked fixes one by one, in order.

use super::level::Level;
use super::options::{Elevation, Options};
use super::point_block::PointBlock;
use super::speed_runs::SpeedRuns;
use super::state::StatsState;
use super::sum::{ExactSum, SumOverflow};
use super::track_fix::{FixAttributes, seconds};

/// The accepted fixes of a block and the legs to them, in columns. Adding a column is much faster than adding single
/// values.
pub(super) struct LegBatch {
    fixes: FixColumns,
    /// The number of legs.
    count: usize,
    /// 0 if the leg falls or an elevation is missing.
    rises: [f64; PointBlock::CAPACITY],
    falls: [f64; PointBlock::CAPACITY],
    lengths_3d: [f64; PointBlock::CAPACITY],
    has_climb: bool,
}

/// The times of fixes and the legs to them.
pub(super) struct FixColumns {
    count: usize,
    /// [`NO_TIME`] if missing.
    unix_ns: [i64; PointBlock::CAPACITY],
    /// The time of the fix at the start of the leg.
    from_unix_ns: [i64; PointBlock::CAPACITY],
    /// NaN if the fix starts a segment.
    legs: [f64; PointBlock::CAPACITY],
    has_time: bool,
}

/// A value outside the range of the time of a fix.
const NO_TIME: i64 = i64::MIN;

impl LegBatch {
    pub(super) fn new() -> Self {
        let column = [0.0; PointBlock::CAPACITY];
        let times = [NO_TIME; PointBlock::CAPACITY];
        let fixes = FixColumns {
            count: 0,
            unix_ns: times,
            from_unix_ns: times,
            legs: column,
            has_time: false,
        };
        Self { fixes, count: 0, rises: column, falls: column, lengths_3d: column, has_climb: false }
    }

    /// Removes all terms.
    pub(super) fn clear(&mut self) {
        (self.fixes.count, self.fixes.has_time) = (0, false);
        self.count = 0;
        self.has_climb = false;
    }
}

/// Returns whether the speed of a leg, `length / seconds(ns)`, is at least `limit`. A product decides most cases: a
/// division takes longer.
#[inline]
fn is_at_least(length: f64, ns: u64, limit: f64) -> bool {
    /// Far above the rounding errors.
    const MARGIN: f64 = 1e-12;
    // A time of 2^63 ns or more is negative here. Signed numbers are converted faster.
    let at_limit = limit * (ns as i64 as f64 * 1e-9);
    if length > at_limit * (1.0 + MARGIN) && at_limit >= f64::MIN_POSITIVE {
        return true;
    }
    if length < at_limit * (1.0 - MARGIN) {
        return false;
    }
    length / seconds(ns) >= limit
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

    /// Adds accepted fixes that start a segment or have no time, no elevation and no length in three dimensions.
    pub(super) fn add_plain_fixes(&mut self) {
        self.speed.end_all();
    }

    /// Adds a checked fix that is not accepted.
    #[inline]
    pub(super) fn add_checked(&mut self, fix: FixAttributes) {
        if let Some(unix_ns) = fix.unix_ns {
            self.checked = TimeRange::extended(self.checked, unix_ns);
        }
    }

    /// Adds an accepted fix, which is a checked fix too. `leg` has the attributes of the fix at the start of the leg
    /// and the length of the leg; it is missing if the fix starts a segment. The fix counts from the next call of
    /// [`TrackStats::add_batch`] on. Between two calls, at most [`PointBlock::CAPACITY`] fixes are added.
    #[inline]
    pub(super) fn add_fix(
        options: &Options,
        fix: FixAttributes,
        leg: Option<(FixAttributes, f64)>,
        batch: &mut LegBatch,
    ) {
        let fixes = &mut batch.fixes;
        let slot = fixes.count;
        fixes.count += 1;
        fixes.unix_ns[slot] = fix.unix_ns.unwrap_or(NO_TIME);
        fixes.has_time |= fix.unix_ns.is_some();
        let Some((from, length)) = leg else {
            fixes.legs[slot] = f64::NAN;
            return;
        };
        fixes.legs[slot] = length;
        fixes.from_unix_ns[slot] = from.unix_ns.unwrap_or(NO_TIME);
        let slot = batch.count;
        batch.count += 1;
        batch.lengths_3d[slot] = length;
        if let (Some(low), Some(high)) = (from.z, fix.z) {
            let rise = high - low;
            batch.rises[slot] = rise.max(0.0);
            batch.falls[slot] = (-rise).max(0.0);
            batch.has_climb = true;
            if options.elevation == Elevation::ThreeDimensional {
                batch.lengths_3d[slot] = (length * length + rise * rise).sqrt();
            }
        } else {
            // The slot can have the terms of an earlier batch.
            (batch.rises[slot], batch.falls[slot]) = (0.0, 0.0);
        }
    }

    /// Adds the fixes of a batch.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The statistics are then unusable.
    pub(super) fn add_batch(
        &mut self,
        options: &Options,
        batch: &LegBatch,
    ) -> Result<(), SumOverflow> {
        let level = Level::best();
        if batch.fixes.has_time {
            self.add_times(options, &batch.fixes);
        } else if batch.fixes.count > 0 {
            self.add_plain_fixes();
        }
        if batch.has_climb {
            let (ascent, descent) = self.climb.get_or_insert_default();
            ascent.add_block(level, &batch.rises[..batch.count])?;
            descent.add_block(level, &batch.falls[..batch.count])?;
        }
        if options.elevation == Elevation::ThreeDimensional {
            self.length_3d.add_block(level, &batch.lengths_3d[..batch.count])?;
        }
        Ok(())
    }

    fn add_times(&mut self, options: &Options, fixes: &FixColumns) {
        // Copies stay in registers.
        let (mut accepted, mut moving_ns, mut speed) = (self.accepted, self.moving_ns, self.speed);
        let rows = fixes.unix_ns.iter().zip(&fixes.from_unix_ns).zip(&fixes.legs);
        for ((&unix_ns, &from_unix_ns), &leg) in rows.take(fixes.count) {
            if unix_ns == NO_TIME {
                speed.end_all();
                continue;
            }
            speed.add_fix(unix_ns, leg);
            let duration_ns = unix_ns.abs_diff(from_unix_ns);
            let has_duration = from_unix_ns != NO_TIME && duration_ns > 0 && !leg.is_nan();
            if let (Some(stopped_speed), true) = (options.stopped_speed, has_duration) {
                let moving_ns = moving_ns.get_or_insert_default();
                if is_at_least(leg, duration_ns, stopped_speed) {
                    // The start of the leg is an accepted fix, so that only its end can be outside the range. Each
                    // moment counts once, because the range includes the end from now on.
                    let added = accepted.map_or(0, |range| range.distance_ns(unix_ns));
                    *moving_ns = moving_ns.saturating_add(added);
                }
            }
            accepted = TimeRange::extended(accepted, unix_ns);
        }
        (self.accepted, self.moving_ns, self.speed) = (accepted, moving_ns, speed);
        if let Some(TimeRange { first, last }) = accepted {
            self.checked = TimeRange::extended(TimeRange::extended(self.checked, first), last);
        }
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

    /// Returns whether every sum is far below its limit.
    pub(super) fn has_reserve(&self) -> bool {
        let (ascent, descent) = self.climb.unwrap_or_default();
        [ascent, descent, self.length_3d].into_iter().all(ExactSum::has_reserve)
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
