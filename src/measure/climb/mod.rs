//! Ascent and descent without the noise of the receiver. The method has two steps:
//! 1. Smoothing (`smoother.rs`): a centred moving average over time.
//! 2. Hysteresis (`turning.rs`): a climb or a descent counts if it is at least as high as a threshold. It ends
//!    where the elevation turns back by the threshold or more.
//!
//! The threshold rises with the noise (`noise.rs`), to five times its setting at most. Without noise, the
//! average is over five ninths of the smoothing time, so that short hills remain.
//!
//! A fix without a time, and every fix if the smoothing time is 0, goes to the second step as it is. So do the
//! fixes of a segment whose times are wrong: after 16 fixes in less than 16 ms. A fix without an elevation is
//! ignored. No climb goes from one segment to the next.
//!
//! Ascent minus descent is the difference between the last and the first turning point. It differs from that
//! between the last and the first elevation by the noise and less than twice the threshold.

use noise::Noise;
use smoother::{BINS, HALF, Smoother, Window};
pub use state::{ClimbState, LegState, SmootherState};
use turning::{Climbed, Leg};

use super::sum::{ExactSum, SumOverflow};

mod noise;
mod smoother;
mod state;
#[cfg(test)]
mod tests;
mod turning;

/// The limit of the threshold, as a multiple of its setting.
const THRESHOLD_FACTOR_MAX: f64 = 5.0;
/// The limit for an average of fewer than [`DENSE_BINS`] bins. If fixes are that rare, short hills look like noise.
const SPARSE_FACTOR_MAX: f64 = 2.0;
const DENSE_BINS: u8 = 5;
/// The average is over the short time if the threshold is at most this multiple of its setting.
const QUIET_FACTOR: f64 = 1.3;

/// The settings of ascent and descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClimbSettings {
    /// The lowest climb or descent that counts, in metres or in the caller's unit. At least 0 and at most 2^40.
    pub(super) threshold: f64,
    /// The smoothing time; 0 for none. The threshold is then fixed.
    pub(super) smoothing_ns: u64,
}

impl ClimbSettings {
    fn bin_ns(self) -> u64 {
        (self.smoothing_ns / BINS as u64).max(1)
    }

    /// Returns the limit of squared residuals. A higher one raises the threshold to its limit anyway.
    fn square_limit(self) -> f64 {
        let limit = THRESHOLD_FACTOR_MAX * self.threshold;
        limit * limit
    }
}

/// Accumulates the ascent and the descent of a path, from fix to fix.
///
/// All totals are bit-identical for every division of the fixes into calls, and after every [`Climb::state`] and
/// [`Climb::from_checked_state`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Climb {
    settings: ClimbSettings,
    /// The bins that are not smoothed yet, and those before them.
    smoother: Smoother,
    noise: Noise,
    /// Whether the times of the segment are wrong, so that its elevations are not smoothed.
    ignores_times: bool,
    /// The current climb or descent of the segment.
    leg: Option<Leg>,
    /// The completed climbs and descents; `None` until a segment has two elevations.
    climbed: Option<Climbed>,
}

impl Climb {
    pub(super) const fn new(settings: ClimbSettings) -> Self {
        Self {
            settings,
            smoother: Smoother::EMPTY,
            noise: Noise::NONE,
            ignores_times: false,
            leg: None,
            climbed: None,
        }
    }

    /// Adds a fix to the current segment. Times may repeat and go backward: only their differences count, as
    /// magnitudes.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The climb is then unusable.
    #[inline]
    pub(super) fn add(&mut self, z: Option<f64>, unix_ns: Option<i64>) -> Result<(), SumOverflow> {
        let Some(z) = z else { return Ok(()) };
        let z = z + 0.0; // changes -0 to 0
        if self.climbed.is_none() && (self.leg.is_some() || !self.smoother.is_empty()) {
            self.climbed = Some(Climbed::default());
        }
        match unix_ns {
            Some(unix_ns) if self.settings.smoothing_ns > 0 && !self.ignores_times => {
                let bin_ns = self.settings.bin_ns();
                match self.smoother.add(z, unix_ns, bin_ns) {
                    Some(window) if window.has_middle() => self.add_middle(&window),
                    None if self.smoother.is_too_fast() => {
                        self.ignores_times = true;
                        self.add_rest()
                    }
                    _ => Ok(()),
                }
            }
            _ => {
                self.add_rest()?;
                self.add_smoothed(z, self.settings.threshold)
            }
        }
    }

    /// Ends the segment. No climb joins the last fix and the next one.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The climb is then unusable.
    pub(super) fn start_segment(&mut self) -> Result<(), SumOverflow> {
        self.add_rest()?;
        self.ignores_times = false;
        if let (Some(leg), Some(climbed)) = (self.leg.take(), &mut self.climbed) {
            climbed.add(leg)?;
        }
        Ok(())
    }

    /// Returns ascent and descent, as if the segment ended here. `None` if no segment has two elevations.
    ///
    /// The totals may become smaller by a few metres with the next fix, because the last elevations are smoothed
    /// again.
    ///
    /// # Errors
    /// Returns an error if a total is out of range.
    pub(super) fn totals(&self) -> Result<Option<(ExactSum, ExactSum)>, SumOverflow> {
        let mut ended = *self;
        ended.start_segment()?;
        Ok(ended.climbed.map(|climbed| (climbed.ascent, climbed.descent)))
    }

    /// Returns the threshold for the noise so far.
    pub(super) fn threshold(&self) -> f64 {
        self.noise.raise(self.settings.threshold).at(BINS as u8, THRESHOLD_FACTOR_MAX)
    }

    /// Smooths the bins from the middle of the window to its end.
    fn add_rest(&mut self) -> Result<(), SumOverflow> {
        if self.smoother.is_empty() {
            return Ok(());
        }
        let window = self.smoother.window();
        self.smoother = Smoother::EMPTY;
        (window.first.max(HALF)..BINS)
            .try_for_each(|bin| self.add_bin(&window, bin, THRESHOLD_FACTOR_MAX))
    }

    #[inline]
    fn add_middle(&mut self, window: &Window) -> Result<(), SumOverflow> {
        self.noise.add(window, self.settings.square_limit());
        self.add_bin(window, HALF, SPARSE_FACTOR_MAX)
    }

    /// Adds the smoothed elevation of a bin. `sparse_limit` limits the threshold of averages of few bins.
    #[inline]
    fn add_bin(
        &mut self,
        window: &Window,
        bin: usize,
        sparse_limit: f64,
    ) -> Result<(), SumOverflow> {
        let [short, full] = window.smoothed(bin);
        let limit = if full.count < DENSE_BINS { sparse_limit } else { THRESHOLD_FACTOR_MAX };
        let raised = self.noise.raise(self.settings.threshold);
        let threshold = raised.at(full.count, limit);
        if threshold > QUIET_FACTOR * self.settings.threshold {
            self.add_smoothed(full.z, threshold)
        } else {
            self.add_smoothed(short.z, raised.at(short.count, limit))
        }
    }

    #[inline]
    fn add_smoothed(&mut self, z: f64, threshold: f64) -> Result<(), SumOverflow> {
        match (&mut self.leg, &mut self.climbed) {
            (Some(leg), Some(climbed)) => leg.add(z, threshold, climbed),
            _ => {
                self.leg = Some(Leg::starting_at(z));
                Ok(())
            }
        }
    }
}
