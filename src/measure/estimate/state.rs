//! The state of the estimator as plain data, and its check.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bank::{Bank, VALUES};
use super::interval::{EstimatedLength, Intervals, SUMS, Sums};
use super::models::{
    BACKWARD_COUNT, CAPACITY, EXTENT_MAX_M, FIRST_VELOCITY_VARIANCE, INTERVAL_MAX_NS,
    INTERVAL_MIN_NS, LEG_MAX_M,
};
use super::place::{Place, wrapped};
use super::stops::{OpenTrip, SlowTime, Tracker};
use super::summary::{Stop, Trip};
use super::{EstimateSettings, Estimator, Piece};
use crate::measure::fix::checked_unix_ns;

/// The largest sum in metres: more than 10^9 of the longest legs.
const SUM_MAX: f64 = 1e18;

/// The state of the estimator of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EstimateState {
    /// The current piece.
    pub piece: Option<PieceState>,
    /// The time of the last fix whose time is before that of the piece, and the number of such fixes in a row.
    pub backward: Option<(i64, u32)>,
    /// The last fix whose leg was measured.
    pub last: Option<PlaceState>,
    /// The current slow time.
    pub slow: Option<SlowTimeState>,
    /// The current trip.
    pub trip: Option<OpenTripState>,
    /// The last stop, which the current slow time may continue.
    pub stop: Option<SlowTimeState>,
    /// The sums of the trips that ended: metres of the estimate, of the least length and of the excess, seconds and
    /// seconds of motion, the number of legs, and metres of straight legs.
    pub sums: [f64; EstimateState::SUMS],
    /// The number of legs.
    pub leg_count: u64,
    /// The number of fixes without a time.
    pub untimed_count: u64,
    /// The number of fixes that were skipped for their times.
    pub skipped_count: u64,
    /// The number of stops that ended.
    pub stop_count: u64,
    /// The number of trips that ended.
    pub trip_count: u64,
    /// The sum of the durations of the stops that ended, in nanoseconds.
    pub stopped_ns: u64,
    /// The latest stops that ended.
    pub stops: Vec<Stop>,
    /// The latest trips that ended.
    pub trips: Vec<Trip>,
}

/// A fix: the longitude and the latitude in units of 1e-7 degree, and the time in nanoseconds since
/// 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceState {
    /// The longitude in units of 1e-7 degree.
    pub longitude_e7: i32,
    /// The latitude in units of 1e-7 degree.
    pub latitude_e7: i32,
    /// The time in nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
}

/// The state of a piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PieceState {
    /// The last fix that was measured.
    pub base: PlaceState,
    /// The interval before it in nanoseconds, if it is not the first fix of the piece.
    pub interval_ns: Option<i64>,
    /// The rate of irregular intervals, from 0 to 1.
    pub irregularity: f64,
    /// The values of the filters: [`PieceState::FILTER_VALUES`] numbers.
    pub filters: Vec<f32>,
    /// The fixes after it, as differences to the fix before: longitude and latitude in units of 1e-7 degree, and the
    /// time in nanoseconds. At most [`PieceState::MAX_WAITING`].
    pub waiting: Vec<[i64; 3]>,
}

/// The state of a slow time or a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SlowTimeState {
    /// The first fix.
    pub first: PlaceState,
    /// The last fix.
    pub last: PlaceState,
    /// The sums of the differences of longitude and latitude to the first fix, in units of 1e-7 degree.
    pub offsets_e7: [i64; 2],
    /// The number of fixes.
    pub count: u64,
    /// The duration of its still legs in nanoseconds.
    pub still_ns: u64,
    /// The sums over its legs.
    pub sums: [f64; EstimateState::SUMS],
}

/// The state of a trip that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpenTripState {
    /// The first fix.
    pub first: PlaceState,
    /// The last fix.
    pub last: PlaceState,
    /// The sums over its legs.
    pub sums: [f64; EstimateState::SUMS],
}

impl EstimateState {
    /// The number of sums of a path, a slow time or a trip.
    pub const SUMS: usize = SUMS;
}

impl PieceState {
    /// The number of values of the filters.
    pub const FILTER_VALUES: usize = VALUES;
    /// The largest number of waiting fixes: one more would have completed a block.
    pub const MAX_WAITING: usize = CAPACITY - 1;
}

impl Estimator {
    /// Returns everything that the estimator keeps, as plain data, except for the settings.
    pub(in crate::measure) fn state(&self) -> EstimateState {
        let tracker = &self.tracker;
        EstimateState {
            piece: self.piece.as_ref().map(Piece::state),
            backward: self.backward,
            last: tracker.last.map(Place::state),
            slow: tracker.slow.map(SlowTime::state),
            trip: tracker.trip.map(OpenTrip::state),
            stop: tracker.stop.map(SlowTime::state),
            sums: tracker.sums.values(),
            leg_count: tracker.leg_count,
            untimed_count: self.untimed_count,
            skipped_count: self.skipped_count,
            stop_count: tracker.stop_count,
            trip_count: tracker.trip_count,
            stopped_ns: tracker.stopped_ns,
            stops: tracker.stops.iter().copied().collect(),
            trips: tracker.trips.iter().copied().collect(),
        }
    }

    /// Checks a state. Returns the problem if no path has it.
    pub(in crate::measure) fn check(state: &EstimateState) -> Result<(), &'static str> {
        check(state)
    }

    /// Restores an estimator from a state that was checked.
    pub(in crate::measure) fn from_checked_state(
        settings: EstimateSettings,
        state: &EstimateState,
    ) -> Self {
        let tracker = Tracker {
            last: state.last.map(Place::from_state),
            slow: state.slow.map(SlowTime::from_state),
            trip: state.trip.map(OpenTrip::from_state),
            stop: state.stop.map(SlowTime::from_state),
            sums: Sums::from_values(state.sums),
            leg_count: state.leg_count,
            stop_count: state.stop_count,
            trip_count: state.trip_count,
            stopped_ns: state.stopped_ns,
            stops: latest(settings, &state.stops),
            trips: latest(settings, &state.trips),
        };
        Self {
            settings,
            piece: state.piece.as_ref().map(Piece::from_state),
            tracker,
            backward: state.backward,
            untimed_count: state.untimed_count,
            skipped_count: state.skipped_count,
        }
    }
}

/// Returns the latest items that the settings allow.
fn latest<T: Copy>(settings: EstimateSettings, items: &[T]) -> Arc<VecDeque<T>> {
    let first = items.len().saturating_sub(usize::from(settings.max_trips));
    Arc::new(items.iter().skip(first).copied().collect())
}

impl Piece {
    fn state(&self) -> PieceState {
        let mut before = self.base;
        let differences = |place: &Place| {
            let [latitude, longitude] = before.differences_e7(*place);
            let ns = place.unix_ns.saturating_sub(before.unix_ns);
            before = *place;
            [longitude, latitude, ns]
        };
        PieceState {
            base: self.base.state(),
            interval_ns: self.intervals.last_ns,
            irregularity: self.intervals.irregularity,
            filters: self.bank.values().to_vec(),
            waiting: self.waiting.iter().map(differences).collect(),
        }
    }

    fn from_state(state: &PieceState) -> Self {
        let mut piece = Self::new(Place::from_state(state.base));
        let (last_ns, irregularity) = (state.interval_ns, state.irregularity);
        piece.intervals = Intervals { last_ns, irregularity };
        piece.bank = Bank::from_values(&state.filters)
            .unwrap_or_else(|_| Bank::first(FIRST_VELOCITY_VARIANCE));
        for &difference in &state.waiting {
            let next = piece.last().moved(difference);
            piece.waiting.extend(next);
        }
        piece
    }
}

impl Place {
    fn state(self) -> PlaceState {
        let Self { longitude_e7, latitude_e7, unix_ns } = self;
        PlaceState { longitude_e7, latitude_e7, unix_ns }
    }

    fn from_state(state: PlaceState) -> Self {
        let PlaceState { longitude_e7, latitude_e7, unix_ns } = state;
        Self { longitude_e7, latitude_e7, unix_ns }
    }

    /// Returns the place at a difference of longitude, latitude and time; `None` if it is out of range.
    fn moved(self, [longitude, latitude, ns]: [i64; 3]) -> Option<Self> {
        let longitude = i64::from(self.longitude_e7).checked_add(longitude)?;
        let latitude = i64::from(self.latitude_e7).checked_add(latitude)?;
        let place = Self {
            longitude_e7: i32::try_from(wrapped(longitude)).ok()?,
            latitude_e7: i32::try_from(latitude).ok()?,
            unix_ns: self.unix_ns.checked_add(ns)?,
        };
        place.is_valid().then_some(place)
    }

    fn is_valid(self) -> bool {
        (-1_800_000_000..1_800_000_000).contains(&self.longitude_e7)
            && self.latitude_e7.unsigned_abs() <= 900_000_000
            && checked_unix_ns(self.unix_ns).is_ok()
    }
}

impl SlowTime {
    fn state(self) -> SlowTimeState {
        let Self { first, last, offsets_e7, count, still_ns, sums } = self;
        let (first, last) = (first.state(), last.state());
        let sums = sums.values();
        SlowTimeState { first, last, offsets_e7, count, still_ns, sums }
    }

    fn from_state(state: SlowTimeState) -> Self {
        let SlowTimeState { first, last, offsets_e7, count, still_ns, sums } = state;
        let (first, last) = (Place::from_state(first), Place::from_state(last));
        let sums = Sums::from_values(sums);
        Self { first, last, offsets_e7, count, still_ns, sums }
    }
}

impl OpenTrip {
    fn state(self) -> OpenTripState {
        let Self { first, last, sums } = self;
        OpenTripState { first: first.state(), last: last.state(), sums: sums.values() }
    }

    fn from_state(state: OpenTripState) -> Self {
        let OpenTripState { first, last, sums } = state;
        let (first, last) = (Place::from_state(first), Place::from_state(last));
        Self { first, last, sums: Sums::from_values(sums) }
    }
}

type Check = Result<(), &'static str>;

fn require(is_valid: bool, problem: &'static str) -> Check {
    if is_valid { Ok(()) } else { Err(problem) }
}

fn check(state: &EstimateState) -> Check {
    if let Some(piece) = &state.piece {
        check_piece(piece)?;
        require(state.last == Some(piece.base), "the last measured fix is not that of the piece")?;
    }
    if let Some((unix_ns, count)) = state.backward {
        let is_count = (1..BACKWARD_COUNT).contains(&count);
        let is_valid = is_count && state.piece.is_some() && checked_unix_ns(unix_ns).is_ok();
        require(is_valid, "the fixes with times before the last one are not possible")?;
    }
    for slow in state.slow.iter().chain(&state.stop) {
        check_span(slow.first, slow.last)?;
        check_sums(slow.sums)?;
        // A fix is at most half a turn from the first one. Two stops that became one add half a turn.
        let limit = slow.count.saturating_mul(3_600_000_000);
        let is_mean = slow.offsets_e7.iter().all(|offset| offset.unsigned_abs() <= limit);
        require(slow.count > 0 && is_mean, "the mean of a slow time is not possible")?;
    }
    if let Some(trip) = state.trip {
        check_span(trip.first, trip.last)?;
        check_sums(trip.sums)?;
    }
    let has_open = state.slow.is_some() || state.trip.is_some() || state.stop.is_some();
    require(state.last.is_some() || !has_open, "there is a trip or a stop, but no fix")?;
    if let Some(last) = state.last {
        require(Place::from_state(last).is_valid(), "a fix is out of range")?;
    }
    check_sums(state.sums)?;
    check_lists(state)
}

fn check_piece(piece: &PieceState) -> Check {
    let base = Place::from_state(piece.base);
    require(base.is_valid(), "a fix is out of range")?;
    Bank::from_values(&piece.filters)?;
    let is_count = piece.waiting.len() <= PieceState::MAX_WAITING;
    require(is_count, "there are too many waiting fixes")?;
    let is_interval = |ns: i64| (INTERVAL_MIN_NS..=INTERVAL_MAX_NS).contains(&ns);
    let problem = "an interval between two fixes is not possible";
    require(piece.interval_ns.is_none_or(is_interval), problem)?;
    let irregularity = piece.irregularity;
    let is_rate = (0.0..=1.0).contains(&irregularity) && irregularity.is_sign_positive();
    require(is_rate, "the rate of irregular intervals is not possible")?;
    let mut last = base;
    for &difference in &piece.waiting {
        let [_, _, ns] = difference;
        require(is_interval(ns), problem)?;
        let next = last.moved(difference).ok_or("a waiting fix is out of range")?;
        // The fixes were near the fix that the base was measured from, and the base was too.
        let is_near = base.distance_m(next) <= 2.01 * EXTENT_MAX_M;
        require(is_near && last.distance_m(next) <= LEG_MAX_M, "a waiting fix is too far away")?;
        last = next;
    }
    Ok(())
}

fn check_span(first: PlaceState, last: PlaceState) -> Check {
    let is_valid = [first, last].map(Place::from_state).iter().all(|place| place.is_valid());
    require(is_valid && first.unix_ns <= last.unix_ns, "a trip or a stop has impossible ends")
}

fn check_sums(sums: [f64; SUMS]) -> Check {
    let is_valid = |sum: f64| (0.0..=SUM_MAX).contains(&sum) && sum.is_sign_positive();
    let Sums { estimate_m, straight_m, time_s, moving_s, .. } = Sums::from_values(sums);
    // Rounding differs by far less.
    let is_part = straight_m <= estimate_m * 1.001 + 1.0 && moving_s <= time_s * 1.001 + 1.0;
    let is_valid = sums.into_iter().all(is_valid) && is_part;
    require(is_valid, "the sums of lengths and times are not possible")
}

fn check_lists(state: &EstimateState) -> Check {
    let limit = usize::from(EstimateSettings::MAX_TRIPS);
    let fits = |length: usize, count: u64| length <= limit && length as u64 <= count;
    let is_count = fits(state.stops.len(), state.stop_count)
        && fits(state.trips.len(), state.trip_count)
        && state.trip_count <= state.leg_count;
    require(is_count, "the numbers of stops and trips are not possible")?;
    let is_position =
        |[longitude, latitude]: [f64; 2]| longitude.abs() <= 180.0 && latitude.abs() <= 90.0;
    let is_span = |from: i64, to: i64| {
        from <= to && checked_unix_ns(from).is_ok() && checked_unix_ns(to).is_ok()
    };
    let is_stop = |stop: &Stop| {
        is_position(stop.position) && is_span(stop.arrival_unix_ns, stop.departure_unix_ns)
    };
    require(state.stops.iter().all(is_stop), "a stop is not possible")?;
    let is_trip = |trip: &Trip| {
        let EstimatedLength { length_m, low_m, high_m } = trip.length;
        is_position(trip.start_position)
            && is_position(trip.end_position)
            && is_span(trip.start_unix_ns, trip.end_unix_ns)
            && [length_m, low_m, high_m].into_iter().all(|m| (0.0..=2.0 * SUM_MAX).contains(&m))
    };
    require(state.trips.iter().all(is_trip), "a trip is not possible")
}
