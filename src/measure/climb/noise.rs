//! The noise of the elevations, estimated from how far each bin is from the straight line between its neighbours.
//!
//! White noise puts a bin off the line by the same distance, however far the neighbours are. For noise that wanders,
//! like a random walk, the mean square grows in proportion to the distance of the neighbours. For a smooth hill, it
//! grows with the fourth power. So the mean squares for neighbours at 1, 2 and 3 bins separate noise from hills.

use super::smoother::{HALF, UNITS_PER_BIN, Window};

/// The longest time between bins from which noise is estimated. Hills are not smooth over longer times.
const SPACING_MAX_BINS: u32 = 6;

/// The threshold for white noise, as a multiple of the standard deviation of the smoothed elevation. The
/// elevation of a flat walk of two hours stays within a range of 7 standard deviations.
const WHITE_FACTOR: f64 = 7.0;
/// The threshold for noise that wanders is this factor times the growth of its variance from bin to bin. The
/// unit is the threshold's setting. The benchmark gives the factor: noise of 3 m over 60 s needs 13 m.
const WANDER_FACTOR: f64 = 32.0;

/// The running means of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// The mean squares for neighbours at 1, 2 and 3 bins, as variances of one bin if the noise is white.
    pub(super) squares: [f64; 3],
    /// The number of terms, up to 255. The means remember this number of bins: 21 minutes by default.
    pub(super) count: u8,
}

impl Noise {
    pub(super) const NONE: Self = Self { squares: [0.0; 3], count: 0 };

    /// Adds the bin in the middle of a window. Squares above `limit` count as `limit`.
    #[inline]
    pub(super) fn add(&mut self, window: &Window, limit: f64) {
        if window.first > HALF - 3 {
            return;
        }
        let mut squares = [0.0; 3];
        let middle = window.means[HALF];
        let (mut before, mut after) = (0_u32, 0_u32);
        for side in 1..=3 {
            before = before.saturating_add(window.durations[HALF - side]);
            after = after.saturating_add(window.durations[HALF + side - 1]);
            let (low, high) = (window.means[HALF - side], window.means[HALF + side]);
            let (left, right) = (f64::from(before), f64::from(after));
            let whole = left + right;
            let off = middle * whole - (low * right + high * left);
            squares[side - 1] =
                (off * off / (whole * whole + left * left + right * right)).min(limit);
        }
        if before.saturating_add(after) > 6 * SPACING_MAX_BINS * UNITS_PER_BIN {
            return;
        }
        self.count = self.count.saturating_add(1);
        let weight = 1.0 / f64::from(self.count);
        for (mean, square) in self.squares.iter_mut().zip(squares) {
            *mean += (square - *mean) * weight;
        }
    }

    /// Returns the variance of white noise in one bin, and the growth of the variance of wandering noise from bin to
    /// bin.
    #[inline]
    fn variances(&self) -> (f64, f64) {
        let [near, middle, far] = self.squares;
        // A random walk that grows by w from bin to bin adds w / 6, w / 2 and 5 w / 6.
        let linear = (middle - near).min((far - near) / 2.0);
        // If the mean squares grow faster than in proportion, part of them is a hill.
        let straight = 3.0 * middle - 2.0 * near - far;
        let wander = (3.0 * linear.min(straight)).min(6.0 * near).max(0.0);
        let white = (near - (wander / 6.0).max((middle - near) / 15.0)).max(0.0);
        (white, wander)
    }

    /// Returns the threshold with this setting, raised by the noise.
    #[inline]
    pub(super) fn raise(&self, setting: f64) -> RaisedThreshold {
        let (white, wander) = self.variances();
        let square = setting * setting;
        // If the setting is 0, the variances are 0 too.
        let relative = |variance: f64| if variance > 0.0 { variance / square } else { 0.0 };
        let wander = WANDER_FACTOR * relative(wander);
        let white = WHITE_FACTOR * WHITE_FACTOR * relative(white);
        RaisedThreshold { setting, white, wander: wander * wander }
    }
}

/// A threshold that rises with the noise. The parts of its square are relative to the square of the setting.
#[derive(Clone, Copy)]
pub(super) struct RaisedThreshold {
    setting: f64,
    white: f64,
    wander: f64,
}

impl RaisedThreshold {
    /// Returns the threshold for an average of this many bins, at most `limit` times its setting. Without noise, it is
    /// exactly the setting.
    #[inline]
    pub(super) fn at(&self, bins: u8, limit: f64) -> f64 {
        self.setting * (1.0 + self.white / f64::from(bins) + self.wander).sqrt().min(limit)
    }
}
