//! Statistics from times and elevations: duration, moving time, highest speed, ascent and descent. The
//! caller passes the accepted legs one by one, in order.

use super::level::Level;
use super::options::{Elevation, Options};
use super::point_block::PointBlock;
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

    /// Removes all terms.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.has_climb = false;
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

/// The statistics of the accepted fixes of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrackStats {
    /// The earliest and the latest time.
    times: Option<(i64, i64)>,
    /// The sum of the durations of the legs in motion; `None` until a leg has a duration above 0.
    moving_ns: Option<u128>,
    max_speed: Option<f64>,
    /// Ascent and descent; `None` until a leg has elevations at both ends.
    climb: Option<(ExactSum, ExactSum)>,
    length_3d: ExactSum,
}

impl TrackStats {
    pub(super) const EMPTY: Self = Self {
        times: None,
        moving_ns: None,
        max_speed: None,
        climb: None,
        length_3d: ExactSum::ZERO,
    };

    /// Adds an accepted fix.
    #[inline]
    pub(super) fn add_fix(&mut self, fix: FixAttributes) {
        if let Some(unix_ns) = fix.unix_ns {
            let (first, last) = self.times.unwrap_or((unix_ns, unix_ns));
            self.times = Some((first.min(unix_ns), last.max(unix_ns)));
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
        if let Some(TimeStep { ns: ns @ 1.., .. }) = from.time_to(to) {
            let speed = length / seconds(ns);
            let is_stopped = options.stopped_speed.is_some_and(|limit| speed < limit);
            let moving_ns = self.moving_ns.get_or_insert_default();
            *moving_ns = moving_ns.saturating_add(if is_stopped { 0 } else { ns.into() });
            self.max_speed = Some(self.max_speed.map_or(speed, |max| max.max(speed)));
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

    pub(super) fn elapsed_ns(&self) -> Option<u64> {
        self.times.map(|(first, last)| last.wrapping_sub(first) as u64)
    }

    /// Returns the moving time. Legs that are back and forth in time add up to more than the elapsed time, which is
    /// the limit.
    pub(super) fn moving_ns(&self) -> Option<u64> {
        let elapsed_ns = self.elapsed_ns().unwrap_or_default();
        self.moving_ns.map(|ns| u64::try_from(ns).map_or(elapsed_ns, |ns| ns.min(elapsed_ns)))
    }

    pub(super) fn max_speed(&self) -> Option<f64> {
        self.max_speed
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
            times: self.times.map(Into::into),
            moving_ns: self.moving_ns,
            max_speed: self.max_speed,
            climb: self.climb.map(Into::into),
            length_3d: self.length_3d,
        }
    }

    /// Restores statistics from a state that was checked.
    pub(super) fn from_checked_state(state: &StatsState) -> Self {
        Self {
            times: state.times.map(Into::into),
            moving_ns: state.moving_ns,
            max_speed: state.max_speed,
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
