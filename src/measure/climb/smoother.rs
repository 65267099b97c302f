//! Smoothing over time: a centred moving average of elevations.
//!
//! The fixes are put into bins. A bin ends at the first fix that is a ninth of the smoothing time or more after the
//! first fix of the bin. Each bin has the same weight, so the average does not depend on how many fixes a second has.
//!
//! Times may be in any order. The clock of the smoother runs by the magnitude of the time from each fix to the
//! next, so a path in reverse order has the same durations.

/// The number of bins of the smoothing time.
pub(super) const BINS: usize = 9;
/// The number of bins that are kept on each side of the bin that is smoothed.
pub(super) const HALF: usize = BINS / 2;
/// The number of closed bins. The bin that is open is the last one of the window.
pub(super) const CLOSED: usize = BINS - 1;
/// Durations are kept in units of this part of a bin.
pub(super) const UNITS_PER_BIN: u32 = 1 << 10;
/// The time from the middle to the ends of the averages: half the smoothing time, and five ninths of that.
const FULL_REACH: u32 = UNITS_PER_BIN * 9 / 2;
const SHORT_REACH: u32 = UNITS_PER_BIN * 5 / 2;

/// Receivers whose times are in whole seconds make up to 10 fixes a second. More fixes at one time, or more than 1000
/// a second, are those of a file with wrong times.
const FAST_COUNT: u32 = 16;
const FAST_INTERVAL_NS: u64 = 1_000_000;

/// The last bins of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Smoother {
    /// The time of the last fix.
    pub(super) last_ns: i64,
    /// The time from the first fix of the open bin to the last fix.
    pub(super) offset_ns: u64,
    /// The sum of the elevations in the open bin.
    pub(super) sum: f64,
    /// The number of fixes in the open bin; 0 if there are no bins at all.
    pub(super) count: u32,
    /// The averages of the closed bins, the latest at the end.
    pub(super) means: [f64; CLOSED],
    /// The time from the start of each closed bin to the start of the next bin.
    pub(super) durations: [u32; CLOSED],
    /// The number of closed bins that are set, at the end of the arrays.
    pub(super) closed: u8,
}

/// The closed bins and the open one, to smooth the bins from the one in the middle on.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) means: [f64; BINS],
    pub(super) durations: [u32; CLOSED],
    /// The first bin that is set.
    pub(super) first: usize,
}

/// A smoothed elevation, and the number of bins in the average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Smoothed {
    pub(super) z: f64,
    pub(super) count: u8,
}

impl Smoother {
    pub(super) const EMPTY: Self = Self {
        last_ns: 0,
        offset_ns: 0,
        sum: 0.0,
        count: 0,
        means: [0.0; CLOSED],
        durations: [0; CLOSED],
        closed: 0,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns whether the open bin has more fixes than a receiver makes in its time. Their times are then wrong.
    #[inline]
    pub(super) fn is_too_fast(&self) -> bool {
        self.count >= FAST_COUNT && self.offset_ns < u64::from(self.count) * FAST_INTERVAL_NS
    }

    /// Adds a fix. Returns the window up to the bin that ends at this fix, if one does.
    #[inline]
    pub(super) fn add(&mut self, z: f64, unix_ns: i64, bin_ns: u64) -> Option<Window> {
        let step_ns = if self.is_empty() { 0 } else { unix_ns.abs_diff(self.last_ns) };
        self.last_ns = unix_ns;
        self.offset_ns = self.offset_ns.saturating_add(step_ns);
        if self.offset_ns < bin_ns {
            // The average of the first 2^32 fixes of a bin is exact enough.
            if self.count < u32::MAX {
                self.sum += z;
                self.count += 1;
            }
            return None;
        }
        let window = self.window();
        let bins = self.offset_ns as f64 / bin_ns as f64;
        self.means.copy_from_slice(&window.means[1..]);
        self.durations.copy_within(1.., 0);
        // The conversion saturates. Bins that are this far apart are never averaged.
        self.durations[CLOSED - 1] = (bins * f64::from(UNITS_PER_BIN)) as u32;
        self.closed = (self.closed + 1).min(CLOSED as u8);
        (self.sum, self.count, self.offset_ns) = (z, 1, 0);
        Some(window)
    }

    /// Returns the window of all bins. The open bin must have a fix.
    #[inline]
    pub(super) fn window(&self) -> Window {
        let mut means = [0.0; BINS];
        means[..CLOSED].copy_from_slice(&self.means);
        // The addition changes a negative zero to 0.
        means[CLOSED] = self.sum / f64::from(self.count) + 0.0;
        Window { means, durations: self.durations, first: CLOSED - usize::from(self.closed) }
    }
}

impl Window {
    /// Returns whether the bin in the middle is set.
    #[inline]
    pub(super) fn has_middle(&self) -> bool {
        self.first <= HALF
    }

    /// Returns the averages of the bins around `bin` over a short and over the full smoothing time.
    ///
    /// An average has the same number of bins on each side. It therefore does not lag on a slope, and the first
    /// and the last bin of a segment are averages of one bin.
    #[inline]
    pub(super) fn smoothed(&self, bin: usize) -> [Smoothed; 2] {
        let (mut before, mut after) = (0_u32, 0_u32);
        let mut sums = [(self.means[bin], 1_u8); 2];
        let sides = HALF.min(bin - self.first).min(BINS - 1 - bin);
        for side in 1..=sides {
            before = before.saturating_add(self.durations[bin - side]);
            after = after.saturating_add(self.durations[bin + side - 1]);
            let distance = before.max(after);
            if distance > FULL_REACH {
                break;
            }
            let [short, full] = &mut sums;
            full.0 += self.means[bin - side] + self.means[bin + side];
            full.1 += 2;
            if distance <= SHORT_REACH {
                *short = *full;
            }
        }
        // The addition changes a negative zero to 0.
        sums.map(|(sum, count)| Smoothed { z: sum / f64::from(count) + 0.0, count })
    }
}
