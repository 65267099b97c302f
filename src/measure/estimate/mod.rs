//! Estimates the true length of a path from noisy fixes, with an interval, and finds its stops.
//!
//! A bank of Kalman filters follows the fixes in a plane. Each filter is a model of the motion and of the noise of
//! the receiver; the models are mixed by their likelihoods. `models.rs` has their parameters. A smoother runs
//! back over each block, and each leg gets two lengths: that of the smoothed path, and the integral of the expected
//! speed. `interval.rs` makes the estimate of them, and `stops.rs` finds stops and trips.
//!
//! A *piece* is a sequence of fixes with ascending times, without a long gap or a long leg. Fixes wait until there
//! are [`models::CAPACITY`] of them after the last block of the piece. Then [`models::BLOCK`] of them are measured;
//! the others improve the result and stay. So the work per fix is bounded, and the blocks depend on the fixes
//! only, not on the calls in which they arrive. At the end of a piece all waiting fixes are measured.
//!
//! The leg over a gap counts with its straight length. A fix less than [`models::INTERVAL_MIN_NS`] after the fix
//! before or earlier than it is skipped. [`models::BACKWARD_COUNT`] consecutive fixes with earlier times that ascend
//! start a new piece, because the time of the fix before them was wrong.

// A loop over lanes indexes several columns, so that the compiler vectorises it.
#![allow(clippy::needless_range_loop)]

mod bank;
mod block;
mod elementary;
mod interval;
mod models;
mod moving;
mod place;
mod state;
mod still;
mod stops;
mod summary;

use bank::Bank;
use block::{Leg, Outcome};
use interval::{Intervals, Lengths, Sums, is_irregular};
use models::{
    BACKWARD_COUNT, BLOCK, CAPACITY, EXTENT_MAX_M, FIRST_VELOCITY_VARIANCE, INTERVAL_MAX_NS,
    INTERVAL_MIN_NS, LEG_MAX_M, LOST_VELOCITY_VARIANCE, OUTLIER_RATIO, PIECE_LEGS_MIN,
    REGULAR_INTERVAL_MAX_NS, SPARSE_MIN_NS, SPARSE_NOISE_M,
};
use place::Place;
use stops::Tracker;

pub use interval::EstimatedLength;
pub use state::{EstimateState, OpenTripState, PieceState, PlaceState, SlowTimeState};
pub use summary::{EstimateSummary, Stop, Trip};

/// The settings of the estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimateSettings {
    /// The shortest stop in nanoseconds. Shorter still times are part of a trip.
    pub stop_time_ns: u64,
    /// The number of the latest stops, and of the latest trips, that are listed: at most 1000. With 0 they are only
    /// counted.
    pub max_trips: u16,
}

/// Stops are at least a minute long, and none is listed.
impl Default for EstimateSettings {
    fn default() -> Self {
        Self { stop_time_ns: 60_000_000_000, max_trips: 0 }
    }
}

impl EstimateSettings {
    /// The largest value of [`EstimateSettings::max_trips`].
    pub const MAX_TRIPS: u16 = 1000;
}

/// Estimates the length of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimator {
    settings: EstimateSettings,
    piece: Option<Piece>,
    tracker: Tracker,
    /// The last fix whose time is before that of the piece, and the number of such fixes in a row with ascending
    /// times.
    backward: Option<(i64, u32)>,
    untimed_count: u64,
    skipped_count: u64,
}

/// The current piece.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    /// The last fix that was measured.
    base: Place,
    /// The intervals up to it.
    intervals: Intervals,
    /// The filters after it.
    bank: Bank,
    /// The fixes after it.
    waiting: Vec<Place>,
}

impl Piece {
    fn new(first: Place) -> Self {
        Self {
            base: first,
            intervals: Intervals::default(),
            bank: Bank::first(FIRST_VELOCITY_VARIANCE),
            waiting: Vec::with_capacity(CAPACITY),
        }
    }

    /// Starts a new piece in place of this one. The waiting fixes stay.
    fn restart(&mut self, first: Place, velocity_variance: f64) {
        (self.base, self.intervals) = (first, Intervals::default());
        self.bank = Bank::first(velocity_variance);
    }

    /// Returns the longest interval to the next fix, which has this interval.
    fn interval_max_ns(&self, interval_ns: i64) -> i64 {
        let last_ns = match self.waiting[..] {
            [] => self.intervals.last_ns,
            [only] => Some(only.unix_ns.saturating_sub(self.base.unix_ns)),
            [.., before, last] => Some(last.unix_ns.saturating_sub(before.unix_ns)),
        };
        match last_ns.is_some_and(|last_ns| is_irregular(last_ns, interval_ns)) {
            true => INTERVAL_MAX_NS,
            false => REGULAR_INTERVAL_MAX_NS,
        }
    }

    fn last(&self) -> Place {
        self.waiting.last().copied().unwrap_or(self.base)
    }

    /// Measures all waiting fixes.
    fn measure_all(&mut self, settings: &EstimateSettings, tracker: &mut Tracker) {
        let is_short = self.intervals.last_ns.is_none() && self.waiting.len() < PIECE_LEGS_MIN;
        if is_short {
            self.waiting.drain(..).for_each(|place| tracker.add_gap(settings, place));
        }
        while !self.waiting.is_empty() {
            self.measure(settings, tracker, self.waiting.len());
        }
    }

    /// Measures the first `count` of the waiting fixes, or fewer of them, but at least one.
    fn measure(&mut self, settings: &EstimateSettings, tracker: &mut Tracker, count: usize) {
        let count = match self.run(settings, tracker, self.waiting.len(), count) {
            Outcome::Measured => count,
            Outcome::Lost(index) => {
                // The fixes before the jump have results. A straight leg leads to the first fix after it.
                if index > 0 {
                    self.run(settings, tracker, index, index);
                }
                let place = self.waiting[index];
                tracker.add_gap(settings, place);
                self.restart(place, LOST_VELOCITY_VARIANCE);
                index + 1
            }
            Outcome::Overflow => {
                // The filters start again, and the legs count with their straight lengths.
                let fixes = &self.waiting[..count];
                fixes.iter().for_each(|&place| tracker.add_gap(settings, place));
                let last = fixes.last().copied().unwrap_or(self.base);
                self.restart(last, FIRST_VELOCITY_VARIANCE);
                count
            }
        };
        self.waiting.drain(..count);
    }

    /// Measures the first `count` of the waiting fixes with the first `known` of them.
    fn run(
        &mut self,
        settings: &EstimateSettings,
        tracker: &mut Tracker,
        known: usize,
        count: usize,
    ) -> Outcome {
        let Self { base, intervals, bank, waiting } = self;
        let (mut before, mut last) = (None, *base);
        let add = |index: usize, leg: Leg| {
            let place: Place = waiting[index];
            let interval_ns = place.unix_ns.saturating_sub(last.unix_ns);
            let least_m = match interval_ns >= SPARSE_MIN_NS {
                true => least_length_m(before, [last, place], waiting.get(index + 1).copied()),
                false => None,
            };
            let Leg { chord_m, travel_m, still, .. } = leg;
            let lengths =
                Lengths { chord_m, travel_m, least_m: least_m.map(|m| m * (1.0 - still)) };
            let sums = Sums::of_leg(lengths, 1.0 - still, intervals, interval_ns);
            tracker.add_leg(settings, place, sums, leg);
            (before, last) = (Some(last), place);
        };
        let outcome = block::run(bank, *base, &waiting[..known], count, add);
        *base = last;
        outcome
    }
}

/// Returns the length of a sparse leg in metres without noise, or `None` if it is short or if one of its ends can be an
/// outlier. `before` and `after` are the fixes next to its ends, if they are known.
fn least_length_m(
    before: Option<Place>,
    [from, to]: [Place; 2],
    after: Option<Place>,
) -> Option<f64> {
    let length_m = from.distance_m(to);
    let is_plausible = |first: Place, middle: Place, last: Place| {
        let way_m = first.distance_m(middle) + middle.distance_m(last);
        first.distance_m(last) >= OUTLIER_RATIO * way_m
    };
    let is_bound = length_m > SPARSE_NOISE_M
        && before.is_none_or(|before| is_plausible(before, from, to))
        && after.is_none_or(|after| is_plausible(from, to, after));
    is_bound.then(|| (length_m * length_m - SPARSE_NOISE_M * SPARSE_NOISE_M).sqrt())
}

impl Estimator {
    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        let waiting = self.piece.as_ref().map_or(0, |piece| piece.waiting.capacity());
        waiting * size_of::<Place>() + self.tracker.heap_bytes()
    }

    /// Returns an estimator without fixes.
    pub(super) fn new(settings: EstimateSettings) -> Self {
        Self {
            settings,
            piece: None,
            tracker: Tracker::default(),
            backward: None,
            untimed_count: 0,
            skipped_count: 0,
        }
    }

    /// Adds a fix to the current segment. `at` is its canonical longitude and latitude in units of 1e-7 degree.
    pub(super) fn add(&mut self, at: (f64, f64), unix_ns: Option<i64>) {
        let Some(unix_ns) = unix_ns else {
            self.untimed_count = self.untimed_count.saturating_add(1);
            return;
        };
        let place = Place::new(at, unix_ns);
        let Self { settings, piece, tracker, .. } = self;
        let Some(piece) = piece else {
            tracker.start_segment(settings, place);
            self.piece = Some(Piece::new(place));
            return;
        };
        let last = piece.last();
        // The difference of two times may exceed the range.
        let interval_ns = unix_ns.saturating_sub(last.unix_ns);
        // The variance of the velocity, if a piece starts.
        let starts_piece = if interval_ns < INTERVAL_MIN_NS {
            if interval_ns >= 0 || !is_time_corrected(&mut self.backward, unix_ns) {
                self.skipped_count = self.skipped_count.saturating_add(1);
                return;
            }
            Some(FIRST_VELOCITY_VARIANCE)
        } else if interval_ns > piece.interval_max_ns(interval_ns) {
            Some(FIRST_VELOCITY_VARIANCE)
        } else {
            is_far(piece, last, place).then_some(LOST_VELOCITY_VARIANCE)
        };
        self.backward = None;
        if let Some(velocity_variance) = starts_piece {
            piece.measure_all(settings, tracker);
            tracker.add_gap(settings, place);
            piece.restart(place, velocity_variance);
            return;
        }
        piece.waiting.push(place);
        if piece.waiting.len() >= CAPACITY {
            piece.measure(settings, tracker, BLOCK);
        }
    }

    fn end_piece(&mut self) {
        if let Some(mut piece) = self.piece.take() {
            piece.measure_all(&self.settings, &mut self.tracker);
        }
    }

    /// Ends the segment.
    pub(super) fn start_segment(&mut self) {
        self.end_piece();
        self.backward = None;
    }

    /// Returns the result of the fixes so far.
    pub(super) fn summary(&self) -> EstimateSummary {
        let mut path = self.clone();
        path.end_piece();
        path.tracker.finish(&path.settings);
        EstimateSummary {
            untimed_count: self.untimed_count,
            skipped_count: self.skipped_count,
            ..path.tracker.summary()
        }
    }
}

/// Counts a fix with a time before that of the last one. Returns whether there are enough of them to show that the
/// last time was wrong.
fn is_time_corrected(backward: &mut Option<(i64, u32)>, unix_ns: i64) -> bool {
    let count = match *backward {
        Some((before_ns, count)) if before_ns < unix_ns => count + 1,
        _ => 1,
    };
    *backward = Some((unix_ns, count));
    count >= BACKWARD_COUNT
}

/// Returns whether a fix is too far away for the piece.
#[inline]
fn is_far(piece: &Piece, last: Place, place: Place) -> bool {
    /// A tenth of a degree of latitude or longitude is at most 11.2 km.
    const NEAR_LEG_E7: i64 = 1_000_000;
    /// A degree is at most 112 km.
    const NEAR_BASE_E7: i64 = 10_000_000;
    let is_within = |from: Place, limit: i64| {
        let [latitude, longitude] = from.differences_e7(place);
        latitude.abs() <= limit && longitude.abs() <= limit
    };
    (!is_within(last, NEAR_LEG_E7) && last.distance_m(place) > LEG_MAX_M)
        || (!is_within(piece.base, NEAR_BASE_E7) && piece.base.distance_m(place) > EXTENT_MAX_M)
}

#[cfg(test)]
mod tests;
