//! What time and elevation tell of a path: how long it took, how fast it was, how much it rose. Takes
//! the accepted legs one by one, in order; which ones these are is decided elsewhere.

use super::level::Level;
use super::options::{Elevation, Options};
use super::point_block::PointBlock;
use super::state::{AttributesState, StatsState};
use super::sum::{ExactSum, SumOverflow};

/// What is known of a fix beside its place and accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FixAttributes {
    pub(super) z: Option<f64>,
    pub(super) unix_ns: Option<i64>,
}

impl FixAttributes {
    pub(super) const NOTHING: Self = Self { z: None, unix_ns: None };

    /// How long it is from here to `next`, if both times are known.
    #[inline]
    pub(super) fn time_to(self, next: Self) -> Option<TimeStep> {
        let (from, to) = (self.unix_ns?, next.unix_ns?);
        // The difference of two i64 may need 64 bits beside its sign, which the comparison is.
        Some(if to >= from {
            TimeStep::Forward { ns: to.wrapping_sub(from) as u64 }
        } else {
            TimeStep::Backward
        })
    }
}

/// What goes into sums of the accepted legs of a block, as columns: these are added much faster than one
/// by one.
pub(super) struct LegBatch {
    count: usize,
    /// 0 where it does not rise or is not known to.
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

/// From one time to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimeStep {
    Backward,
    Forward { ns: u64 },
}

/// Nanoseconds in seconds, rounded: the one formula, for rules and for speeds.
#[inline]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The running profile of the accepted fixes of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrackStats {
    /// The earliest and the latest time.
    times: Option<(i64, i64)>,
    /// The time of the legs in motion, once a leg has any.
    moving_ns: Option<u128>,
    max_speed: Option<f64>,
    /// Rises and falls, once a leg has elevations at both ends.
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

    /// Takes an accepted fix.
    #[inline]
    pub(super) fn add_fix(&mut self, fix: FixAttributes) {
        if let Some(unix_ns) = fix.unix_ns {
            let (first, last) = self.times.unwrap_or((unix_ns, unix_ns));
            self.times = Some((first.min(unix_ns), last.max(unix_ns)));
        }
    }

    /// Takes an accepted leg, of this length on the map. What of it goes into sums is left in `legs`, for
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
        if let Some(TimeStep::Forward { ns: ns @ 1.. }) = from.time_to(to) {
            let speed = length / seconds(ns);
            let is_stopped = options.stopped_speed.is_some_and(|limit| speed < limit);
            let moving_ns = self.moving_ns.get_or_insert_default();
            *moving_ns = moving_ns.saturating_add(if is_stopped { 0 } else { ns.into() });
            self.max_speed = Some(self.max_speed.map_or(speed, |max| max.max(speed)));
        }
    }

    /// Adds up what the legs of a block left.
    ///
    /// # Errors
    /// When a total is out of range; the profile is then of no use.
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

    /// `u64::MAX` stands for more: 584 years.
    pub(super) fn moving_ns(&self) -> Option<u64> {
        self.moving_ns.map(|ns| u64::try_from(ns).unwrap_or(u64::MAX))
    }

    pub(super) fn max_speed(&self) -> Option<f64> {
        self.max_speed
    }

    /// Ascent and descent.
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
