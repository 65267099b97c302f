//! The estimate of a length and its interval, from sums over the legs.
//!
//! Every leg has two lengths: its chord in the smoothed path, and the integral of the expected speed. The chord cuts
//! off the turns between two fixes, the more the longer the interval is. The integral contains motion that did
//! not happen if the fixes are dense or if the receiver put them at the turns, so that the intervals are
//! irregular. The estimate of a leg is between the two. Simulated tracks gave all constants.

/// The share of the difference between the two lengths of a leg that counts, by its interval in seconds. It is linear
/// between the rows.
const SHARES: [(f64, f64); 7] =
    [(0.0, 0.4), (1.0, 0.5), (5.0, 0.65), (10.0, 0.7), (20.0, 0.8), (30.0, 0.9), (45.0, 1.0)];

/// The share of a leg with an irregular interval, if it is short.
const IRREGULAR_SHARE: f64 = 0.3;
/// The longest of these intervals in seconds. The share of longer ones is 0.
const IRREGULAR_SHORT_S: f64 = 20.0;
/// The largest difference between the two lengths of such a leg, in chords.
const IRREGULAR_EXCESS_MAX: f64 = 0.25;
/// The difference of two intervals, in intervals, above which they are irregular.
const IRREGULAR: f64 = 0.25;
/// The number of intervals over which the rate of irregular ones is averaged.
const IRREGULARITY_INTERVALS: f64 = 32.0;

/// The parts of a straight leg over a gap by which the motion may be shorter and longer. A walk in a city is about
/// 30 % longer than a polyline with a point every two minutes.
const STRAIGHT_BELOW: f64 = 0.02;
const STRAIGHT_ABOVE: f64 = 0.3;

/// The intervals of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Intervals {
    /// The last interval in nanoseconds.
    pub(super) last_ns: Option<i64>,
    /// The rate of irregular intervals.
    pub(super) irregularity: f64,
}

/// The weight of an interval in an estimate.
#[derive(Clone, Copy)]
struct Interval {
    seconds: f64,
    is_irregular: bool,
    share: f64,
}

impl Intervals {
    fn add(&mut self, ns: i64) -> Interval {
        let seconds = ns as f64 / 1e9;
        let is_irregular = self.last_ns.is_some_and(|last_ns| is_irregular(last_ns, ns));
        self.last_ns = Some(ns);
        let value = if is_irregular { 1.0 } else { 0.0 };
        self.irregularity += (value - self.irregularity) / IRREGULARITY_INTERVALS;
        let share = match is_irregular {
            true if seconds <= IRREGULAR_SHORT_S => IRREGULAR_SHARE,
            true => 0.0,
            false => {
                let regular = (1.0 - 4.0 * self.irregularity).max(0.0);
                IRREGULAR_SHARE + (share(seconds) - IRREGULAR_SHARE) * regular
            }
        };
        Interval { seconds, is_irregular, share }
    }
}

/// Returns whether two intervals in sequence are irregular.
pub(super) fn is_irregular(last_ns: i64, ns: i64) -> bool {
    let (last, next) = (last_ns as f64 / 1e9, ns as f64 / 1e9);
    (next - last).abs() > IRREGULAR * next.max(last)
}

/// Returns the share of a leg over `seconds`.
fn share(seconds: f64) -> f64 {
    let (mut from, mut share) = SHARES[0];
    for (to, next) in SHARES {
        if seconds < to {
            return share + (next - share) * (seconds - from) / (to - from);
        }
        (from, share) = (to, next);
    }
    share
}

/// The lengths of a leg in metres.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    /// The length of the smoothed leg.
    pub(super) chord_m: f64,
    /// The integral of the expected speed.
    pub(super) travel_m: f64,
    /// The length by the fixes alone, without their noise, if it is known.
    pub(super) least_m: Option<f64>,
}

/// The sums over the legs of a path or a trip.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// The estimate of the models in metres.
    pub(super) estimate_m: f64,
    /// The least length in metres: that of the sparse legs by the fixes alone, and the estimate of the others.
    pub(super) least_m: f64,
    /// The difference between the two lengths in metres.
    pub(super) excess_m: f64,
    /// The time in seconds.
    pub(super) time_s: f64,
    /// The expected time of motion in seconds.
    pub(super) moving_s: f64,
    /// The number of legs.
    pub(super) legs: f64,
    /// The part of the estimate in metres that is straight legs over gaps. The other sums do not contain these legs.
    pub(super) straight_m: f64,
}

/// The number of sums.
pub(super) const SUMS: usize = 7;

impl Sums {
    pub(super) const ZERO: Self = Self {
        estimate_m: 0.0,
        least_m: 0.0,
        excess_m: 0.0,
        time_s: 0.0,
        moving_s: 0.0,
        legs: 0.0,
        straight_m: 0.0,
    };

    /// Returns the sums of a leg with these lengths, this probability of motion and this interval.
    pub(super) fn of_leg(
        Lengths { chord_m, travel_m, least_m }: Lengths,
        moving: f64,
        intervals: &mut Intervals,
        interval_ns: i64,
    ) -> Self {
        let Interval { seconds, is_irregular, share } = intervals.add(interval_ns);
        let mut excess_m = (travel_m - chord_m).max(0.0);
        if is_irregular {
            excess_m = excess_m.min(IRREGULAR_EXCESS_MAX * chord_m);
        }
        let estimate_m = chord_m + share * excess_m;
        Self {
            estimate_m,
            least_m: least_m.unwrap_or(estimate_m),
            excess_m,
            time_s: seconds,
            moving_s: seconds * moving,
            legs: 1.0,
            straight_m: 0.0,
        }
    }

    /// Returns the sums of a leg that no filter measured.
    pub(super) fn of_straight_leg(length_m: f64) -> Self {
        Self { estimate_m: length_m, least_m: length_m, straight_m: length_m, ..Self::ZERO }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.estimate_m += other.estimate_m;
        self.least_m += other.least_m;
        self.excess_m += other.excess_m;
        self.time_s += other.time_s;
        self.moving_s += other.moving_s;
        self.legs += other.legs;
        self.straight_m += other.straight_m;
    }

    pub(super) fn values(self) -> [f64; SUMS] {
        let Self { estimate_m, least_m, excess_m, time_s, moving_s, legs, straight_m } = self;
        [estimate_m, least_m, excess_m, time_s, moving_s, legs, straight_m]
    }

    pub(super) fn from_values(values: [f64; SUMS]) -> Self {
        let [estimate_m, least_m, excess_m, time_s, moving_s, legs, straight_m] = values;
        Self { estimate_m, least_m, excess_m, time_s, moving_s, legs, straight_m }
    }
}

/// An estimated length with the interval that contains the true length with a probability of 90 %.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EstimatedLength {
    /// The estimated length in metres.
    pub length_m: f64,
    /// The lower end of the interval in metres.
    pub low_m: f64,
    /// The upper end of the interval in metres.
    pub high_m: f64,
}

impl EstimatedLength {
    pub(super) fn from_sums(sums: Sums) -> Self {
        let Sums { excess_m, time_s, moving_s, legs, straight_m, .. } = sums;
        // The models can smooth sharp turns between sparse fixes away, and take the fixes for outliers.
        let estimate_m = sums.estimate_m.max(sums.least_m);
        let speed = (estimate_m - straight_m).max(0.0) / moving_s.max(1.0);
        let interval_s = time_s / legs.max(1.0);
        // The first terms cover the models. The speeds cover the ends and short tracks. The constant and the
        // terms with a time cover standing still.
        let below = 0.015 * estimate_m
            + 0.5 * excess_m
            + (5.0 + 0.05 * interval_s) * speed
            + 5.0
            + 0.015 * time_s
            + STRAIGHT_BELOW * straight_m;
        let above = 0.005 * estimate_m
            + (1.0 - 0.02 * interval_s).max(0.5) * excess_m
            + 0.06 * moving_s
            + (4.5 + 0.25 * interval_s) * speed
            + 0.0025 * (interval_s - 45.0).clamp(0.0, 200.0) * estimate_m
            + STRAIGHT_ABOVE * straight_m;
        Self {
            length_m: estimate_m,
            low_m: (estimate_m - below).max(0.0),
            high_m: estimate_m + above,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_share_is_linear_between_the_rows() {
        let shares = [0.0, 0.5, 1.0, 3.0, 7.5, 15.0, 20.0, 300.0].map(share);
        let expected = [0.4, 0.45, 0.5, 0.575, 0.675, 0.75, 0.8, 1.0];
        for (share, expected) in shares.into_iter().zip(expected) {
            assert!((share - expected).abs() < 1e-12, "{share}, {expected}");
        }
    }

    #[test]
    fn the_estimate_of_a_leg_is_nearer_to_its_chord_if_the_interval_is_irregular() {
        let estimate = |last_s: Option<i64>, irregularity, seconds| {
            let last_ns = last_s.map(|last| last * SECOND);
            let mut intervals = Intervals { last_ns, irregularity };
            Sums::of_leg(
                Lengths { chord_m: 10.0, travel_m: 20.0, least_m: None },
                1.0,
                &mut intervals,
                seconds * SECOND,
            )
            .estimate_m
        };
        for last_s in [None, Some(5), Some(4)] {
            assert_eq!(estimate(last_s, 0.0, 5), 16.5);
        }
        // A quarter of the chord is the largest excess.
        assert_eq!(estimate(Some(3), 0.0, 5), 10.0 + 0.3 * 2.5);
        assert_eq!(estimate(Some(5), 0.0, 30), 10.0);
        // Many irregular intervals before a regular one.
        assert_eq!(estimate(Some(5), 0.5, 5), 10.0 + 0.3 * 10.0);
    }

    #[test]
    fn the_rate_of_irregular_intervals_follows_them() {
        let mut intervals = Intervals::default();
        for index in 0..200 {
            intervals.add(SECOND * if index % 2 == 0 { 1 } else { 3 });
        }
        assert!((0.99..=1.0).contains(&intervals.irregularity));
        for _ in 0..200 {
            let _ = intervals.add(SECOND);
        }
        assert!((0.0..0.01).contains(&intervals.irregularity));
    }

    #[test]
    fn the_interval_contains_the_estimate_and_is_narrower_for_a_longer_path() {
        let walk = |seconds: f64| {
            EstimatedLength::from_sums(Sums {
                least_m: 0.0,
                estimate_m: 1.4 * seconds,
                excess_m: 0.05 * seconds,
                time_s: seconds,
                moving_s: seconds,
                legs: seconds,
                straight_m: 0.0,
            })
        };
        let width = |length: EstimatedLength| {
            assert!(0.0 <= length.low_m && length.low_m <= length.length_m);
            assert!(length.length_m <= length.high_m);
            (length.high_m - length.low_m) / length.length_m
        };
        let widths = [10.0, 100.0, 1e3, 1e4].map(walk).map(width);
        assert!(widths.is_sorted_by(|a, b| a > b), "{widths:?}");
        assert_eq!(EstimatedLength::from_sums(Sums::ZERO).high_m, 0.0);
        let gaps = EstimatedLength::from_sums(Sums::of_straight_leg(1e5));
        assert!((0.3..0.4).contains(&width(gaps)), "{gaps:?}");
    }
}
