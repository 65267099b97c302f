//! The state of a [`Climb`] as plain data, and its checks.

use super::noise::Noise;
use super::smoother::{CLOSED, Smoother, UNITS_PER_BIN};
use super::turning::{Climbed, Leg};
use super::{Climb, ClimbSettings};
use crate::measure::fix::checked_unix_ns;
use crate::measure::sum::ExactSum;

/// A bound of averages of elevations, which are at most 2^40 either way. The bound leaves a margin for rounding.
const Z_MAX: f64 = (1_u64 << 41) as f64;

/// The state of the ascent and the descent of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClimbState {
    /// The elevations that are not smoothed yet. It is set if the segment has elevations, and the last one has a
    /// time.
    pub smoother: Option<SmootherState>,
    /// The running means of squared residuals, for neighbours at 1, 2 and 3 bins.
    pub squares: [f64; 3],
    /// The number of residuals, up to 255.
    pub square_count: u8,
    /// Whether the times of the segment are wrong, so that its elevations are not smoothed.
    pub ignores_times: bool,
    /// The climb or descent that is not complete yet. It is set if the segment has a smoothed elevation.
    pub leg: Option<LegState>,
    /// The exact sums of the completed climbs and descents. They are set once a segment has two elevations.
    pub sums: Option<[ExactSum; 2]>,
}

/// The elevations that are not smoothed yet, and those before them that their averages need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmootherState {
    /// The time of the last fix, in nanoseconds since 1970-01-01T00:00:00Z.
    pub last_ns: i64,
    /// The time from the first fix of the open bin to the last fix, in nanoseconds.
    pub offset_ns: u64,
    /// The sum of the elevations in the open bin.
    pub sum: f64,
    /// The number of fixes in the open bin, at least 1.
    pub count: u32,
    /// The average elevations of the closed bins, the latest at the end.
    pub means: [f64; CLOSED],
    /// The time from the start of each closed bin to that of the next bin, in units of 1/1024 bin.
    pub durations: [u32; CLOSED],
    /// The number of closed bins that are set, at the end of the arrays. The others are 0.
    pub closed: u8,
}

/// A climb or a descent that is not complete yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegState {
    /// The elevation at which it starts.
    pub from: f64,
    /// The extreme so far.
    pub to: f64,
    /// Whether it is high enough to count.
    pub is_confirmed: bool,
}

/// Checks that a number is finite, at most `limit` either way, and not a negative zero.
fn is_number(value: f64, limit: f64) -> bool {
    value.abs() <= limit && (value != 0.0 || value.is_sign_positive())
}

fn require(is_valid: bool, problem: &'static str) -> Result<(), &'static str> {
    if is_valid { Ok(()) } else { Err(problem) }
}

impl SmootherState {
    fn check(&self, settings: ClimbSettings) -> Result<(), &'static str> {
        require(settings.smoothing_ns > 0, "the options do not smooth elevations")?;
        require(checked_unix_ns(self.last_ns).is_ok(), "a time is out of range")?;
        require(self.count > 0, "a bin is empty")?;
        require(self.offset_ns < settings.bin_ns(), "a bin is too long")?;
        let is_valid = is_number(self.sum, Z_MAX * f64::from(self.count));
        require(is_valid, "a sum of elevations is out of range")?;
        let closed = usize::from(self.closed);
        require(closed <= CLOSED, "there are too many bins")?;
        let bins = || self.means.iter().zip(&self.durations);
        let (mut unset, mut set) = (bins().take(CLOSED - closed), bins().skip(CLOSED - closed));
        let is_valid =
            set.all(|(&mean, &duration)| is_number(mean, Z_MAX) && duration >= UNITS_PER_BIN);
        require(is_valid, "a bin is out of range")?;
        let is_valid = unset.all(|(mean, &duration)| mean.to_bits() == 0 && duration == 0);
        require(is_valid, "a bin should be unset")
    }
}

impl LegState {
    fn check(&self, settings: ClimbSettings) -> Result<(), &'static str> {
        let is_valid = is_number(self.from, Z_MAX) && is_number(self.to, Z_MAX);
        require(is_valid, "a turning point is out of range")?;
        let is_high = self.from != self.to && (self.to - self.from).abs() >= settings.threshold;
        require(is_high || !self.is_confirmed, "a climb is lower than the threshold")
    }
}

impl ClimbState {
    /// Checks that no value can make the arithmetic fail, and that the values do not contradict each other. The sums
    /// are not checked, because their limit depends on the number of fixes.
    ///
    /// # Errors
    /// Returns a description of the problem.
    pub(in crate::measure) fn check(&self, settings: ClimbSettings) -> Result<(), &'static str> {
        if let Some(smoother) = &self.smoother {
            smoother.check(settings)?;
        }
        if let Some(leg) = &self.leg {
            leg.check(settings)?;
        }
        // The running mean of the highest square may be rounded up.
        let limit = 2.0 * settings.square_limit();
        let is_valid = self.squares.iter().all(|&square| square >= 0.0 && is_number(square, limit));
        require(is_valid, "a variance is out of range")?;
        let is_valid = match self.square_count {
            0 => self.squares == [0.0; 3],
            _ => settings.smoothing_ns > 0,
        };
        require(is_valid, "a variance should be unset")?;
        let is_possible =
            settings.smoothing_ns > 0 && self.smoother.is_none() && self.leg.is_some();
        require(is_possible || !self.ignores_times, "its times should not be ignored")?;
        let has_two = match (&self.smoother, &self.leg) {
            (Some(smoother), None) => smoother.closed > 0 || smoother.count > 1,
            (None, Some(leg)) => leg.from != leg.to,
            (Some(_), Some(_)) => true,
            (None, None) => false,
        };
        let is_first = self.sums.is_none();
        require(!(is_first && has_two), "the sums are not set")?;
        require(!is_first || self.square_count == 0, "a variance should be unset")
    }
}

impl Climb {
    pub(in crate::measure) fn state(&self) -> ClimbState {
        let Smoother { last_ns, offset_ns, sum, count, means, durations, closed } = self.smoother;
        let smoother = SmootherState { last_ns, offset_ns, sum, count, means, durations, closed };
        ClimbState {
            smoother: (!self.smoother.is_empty()).then_some(smoother),
            squares: self.noise.squares,
            square_count: self.noise.count,
            ignores_times: self.ignores_times,
            leg: self.leg.map(|Leg { from, to, is_confirmed }| LegState { from, to, is_confirmed }),
            sums: self.climbed.map(|climbed| [climbed.ascent, climbed.descent]),
        }
    }

    /// Restores a climb from a state that was checked with the same settings.
    pub(in crate::measure) fn from_checked_state(
        settings: ClimbSettings,
        state: &ClimbState,
    ) -> Self {
        let smoother = state.smoother.map(|state| {
            let SmootherState { last_ns, offset_ns, sum, count, means, durations, closed } = state;
            Smoother { last_ns, offset_ns, sum, count, means, durations, closed }
        });
        Self {
            settings,
            smoother: smoother.unwrap_or(Smoother::EMPTY),
            noise: Noise { squares: state.squares, count: state.square_count },
            ignores_times: state.ignores_times,
            leg: state.leg.map(|LegState { from, to, is_confirmed }| Leg {
                from,
                to,
                is_confirmed,
            }),
            climbed: state.sums.map(|[ascent, descent]| Climbed { ascent, descent }),
        }
    }
}
