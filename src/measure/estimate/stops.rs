//! Finds stops and trips in the legs of a path, and adds up the lengths outside stops.
//!
//! A slow time is a sequence of legs that are still or whose speed is not significant. If it lasts at least
//! [`EstimateSettings::stop_time_ns`], and half of it is still, it is a stop, and its legs have no length. A trip is
//! the part of the path between two stops, or between a stop and an end of the path.
//!
//! A stop needs several fixes: about 2 minutes with a fix every 15 s, and 4 minutes with a fix every 30 s.
//!
//! Two stops at the same place with hardly any motion between them are one stop: a receiver sometimes jumps.
//! A segment break or a gap during which the path stays at its place is a still leg of a slow time. It starts one if
//! it is as long as a stop. Other breaks of that length end a trip; shorter breaks and gaps do not.

use std::collections::VecDeque;
use std::sync::Arc;

use super::EstimateSettings;
use super::block::Leg;
use super::interval::{EstimatedLength, Sums};
use super::place::{Place, wrapped};
use super::summary::{EstimateSummary, Stop, Trip};

/// The largest distance in metres between two fixes or stops at the same place.
const SAME_PLACE_M: f64 = 30.0;
/// The longest motion in metres between two stops at the same place that is an error of the receiver.
const JUMP_MAX_M: f64 = 60.0;

/// A slow time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SlowTime {
    pub(super) first: Place,
    pub(super) last: Place,
    /// The sums of the differences of longitude and latitude to the first fix, in units of 1e-7 degree.
    pub(super) offsets_e7: [i64; 2],
    /// The number of fixes.
    pub(super) count: u64,
    /// The duration of its still legs in nanoseconds.
    pub(super) still_ns: u64,
    /// The sums over the legs. They count if the slow time is too short for a stop.
    pub(super) sums: Sums,
}

/// A trip that has not ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OpenTrip {
    pub(super) first: Place,
    pub(super) last: Place,
    pub(super) sums: Sums,
}

/// The state of the search.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tracker {
    /// The last fix.
    pub(super) last: Option<Place>,
    /// The current slow time.
    pub(super) slow: Option<SlowTime>,
    /// The trip after the last stop.
    pub(super) trip: Option<OpenTrip>,
    /// The last stop. It is in no list and no count, because the current slow time may continue it.
    pub(super) stop: Option<SlowTime>,
    /// The sums of the trips that ended.
    pub(super) sums: Sums,
    /// The number of legs.
    pub(super) leg_count: u64,
    pub(super) stop_count: u64,
    pub(super) trip_count: u64,
    pub(super) stopped_ns: u64,
    /// The latest stops and trips. Copies of a path share them until they change.
    pub(super) stops: Arc<VecDeque<Stop>>,
    pub(super) trips: Arc<VecDeque<Trip>>,
}

impl SlowTime {
    fn new(first: Place) -> Self {
        Self { first, last: first, offsets_e7: [0; 2], count: 1, still_ns: 0, sums: Sums::ZERO }
    }

    fn add(&mut self, place: Place, sums: Sums, is_still: bool) {
        let [latitude, longitude] = self.first.differences_e7(place);
        self.add_offsets([longitude, latitude], 1);
        if is_still {
            let ns = place.unix_ns.saturating_sub(self.last.unix_ns).max(0).unsigned_abs();
            self.still_ns = self.still_ns.saturating_add(ns);
        }
        self.last = place;
        self.sums.add(sums);
    }

    fn add_offsets(&mut self, [longitude, latitude]: [i64; 2], count: u64) {
        self.offsets_e7[0] = self.offsets_e7[0].saturating_add(longitude);
        self.offsets_e7[1] = self.offsets_e7[1].saturating_add(latitude);
        self.count = self.count.saturating_add(count);
    }

    /// Continues the slow time with a later one at the same place.
    fn merge(&mut self, next: &Self) {
        let [latitude, longitude] = self.first.differences_e7(next.first);
        let count = i64::try_from(next.count).unwrap_or(i64::MAX);
        let moved = |offset: i64, first: i64| offset.saturating_add(first.saturating_mul(count));
        let offsets = [moved(next.offsets_e7[0], longitude), moved(next.offsets_e7[1], latitude)];
        self.add_offsets(offsets, next.count);
        self.still_ns = self.still_ns.saturating_add(next.still_ns);
        self.last = next.last;
    }

    fn duration_ns(&self) -> u64 {
        self.last.unix_ns.saturating_sub(self.first.unix_ns).max(0).unsigned_abs()
    }

    /// Returns the mean position, at the time of the first fix.
    fn mean(&self) -> Place {
        let count = i64::try_from(self.count).unwrap_or(i64::MAX).max(1);
        let [longitude, latitude] = self.offsets_e7.map(|offset| offset / count);
        let longitude = wrapped(i64::from(self.first.longitude_e7).saturating_add(longitude));
        let latitude = i64::from(self.first.latitude_e7).saturating_add(latitude);
        // Offsets of a damaged state may lead out of the range.
        let bounded =
            |value: i64, limit: i64| i32::try_from(value.clamp(-limit, limit)).unwrap_or(0);
        Place {
            longitude_e7: bounded(longitude, 1_800_000_000),
            latitude_e7: bounded(latitude, 900_000_000),
            unix_ns: self.first.unix_ns,
        }
    }

    fn stop(&self) -> Stop {
        Stop {
            position: self.mean().degrees(),
            arrival_unix_ns: self.first.unix_ns,
            departure_unix_ns: self.last.unix_ns,
        }
    }
}

impl Tracker {
    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        self.stops.capacity() * size_of::<Stop>() + self.trips.capacity() * size_of::<Trip>()
    }

    /// Adds the first fix of a segment.
    pub(super) fn start_segment(&mut self, settings: &EstimateSettings, place: Place) {
        if let Some(last) = self.last {
            let pause_ns = place.unix_ns.checked_sub(last.unix_ns).filter(|&ns| ns >= 0);
            let is_long = pause_ns.is_none_or(|ns| ns.unsigned_abs() >= settings.stop_time_ns);
            let is_near = pause_ns.is_some() && last.distance_m(place) <= SAME_PLACE_M;
            if is_near && (is_long || self.slow.is_some()) {
                self.add_slow(last, place, Sums::ZERO, true);
            } else {
                self.end_slow(settings);
                if is_long {
                    self.end_trip(settings);
                }
                if pause_ns.is_none() {
                    self.end_stop(settings);
                }
            }
        }
        self.last = Some(place);
    }

    /// Adds a leg that the filters measured.
    pub(super) fn add_leg(
        &mut self,
        settings: &EstimateSettings,
        place: Place,
        sums: Sums,
        leg: Leg,
    ) {
        let is_still = leg.still > 0.5;
        self.add_any_leg(settings, place, sums, is_still, is_still || leg.fast < 0.5);
    }

    /// Adds a leg over a gap, which no filter measures.
    pub(super) fn add_gap(&mut self, settings: &EstimateSettings, place: Place) {
        let Some(last) = self.last else { return };
        let distance_m = last.distance_m(place);
        let pause_ns = place.unix_ns.saturating_sub(last.unix_ns);
        let is_still = pause_ns >= 0
            && distance_m <= SAME_PLACE_M
            && (self.slow.is_some() || pause_ns.unsigned_abs() >= settings.stop_time_ns);
        if pause_ns < 0 {
            self.end_slow(settings);
            self.end_trip(settings);
            self.end_stop(settings);
            // The next trip starts at the time of its first usable fix.
            self.last = Some(Place { unix_ns: place.unix_ns, ..last });
        }
        let sums = Sums::of_straight_leg(distance_m);
        self.add_any_leg(settings, place, sums, is_still, is_still);
    }

    fn add_any_leg(
        &mut self,
        settings: &EstimateSettings,
        place: Place,
        sums: Sums,
        is_still: bool,
        is_slow: bool,
    ) {
        let Some(last) = self.last.replace(place) else { return };
        self.leg_count = self.leg_count.saturating_add(1);
        if is_slow {
            self.add_slow(last, place, sums, is_still);
        } else {
            self.end_slow(settings);
            self.add_to_trip(last, place, sums);
        }
    }

    fn add_slow(&mut self, from: Place, to: Place, sums: Sums, is_still: bool) {
        self.slow.get_or_insert_with(|| SlowTime::new(from)).add(to, sums, is_still);
    }

    fn add_to_trip(&mut self, from: Place, to: Place, sums: Sums) {
        let trip = self.trip.get_or_insert(OpenTrip { first: from, last: from, sums: Sums::ZERO });
        trip.last = to;
        trip.sums.add(sums);
    }

    /// Ends the current slow time. It is a stop if it is long enough.
    fn end_slow(&mut self, settings: &EstimateSettings) {
        let Some(slow) = self.slow.take() else { return };
        let duration_ns = slow.duration_ns();
        if duration_ns < settings.stop_time_ns || slow.still_ns < duration_ns / 2 {
            self.add_to_trip(slow.first, slow.last, slow.sums);
            return;
        }
        if let Some(stop) = &mut self.stop {
            let moved_m = self.trip.map_or(0.0, |trip| trip.sums.estimate_m);
            if moved_m <= JUMP_MAX_M && stop.mean().distance_m(slow.mean()) <= SAME_PLACE_M {
                stop.merge(&slow);
                self.trip = None;
                return;
            }
        }
        self.end_trip(settings);
        self.end_stop(settings);
        self.stop = Some(slow);
    }

    fn end_trip(&mut self, settings: &EstimateSettings) {
        let Some(trip) = self.trip.take() else { return };
        // A trip follows its stop in the lists.
        self.end_stop(settings);
        self.sums.add(trip.sums);
        self.trip_count = self.trip_count.saturating_add(1);
        let trip = Trip {
            start_unix_ns: trip.first.unix_ns,
            end_unix_ns: trip.last.unix_ns,
            start_position: trip.first.degrees(),
            end_position: trip.last.degrees(),
            length: EstimatedLength::from_sums(trip.sums),
        };
        push(&mut self.trips, trip, settings);
    }

    /// Adds the last stop to the lists. Later slow times do not continue it.
    fn end_stop(&mut self, settings: &EstimateSettings) {
        let Some(stop) = self.stop.take() else { return };
        self.stop_count = self.stop_count.saturating_add(1);
        self.stopped_ns = self.stopped_ns.saturating_add(stop.duration_ns());
        push(&mut self.stops, stop.stop(), settings);
    }

    /// Ends the path.
    pub(super) fn finish(&mut self, settings: &EstimateSettings) {
        self.end_slow(settings);
        self.end_trip(settings);
        self.end_stop(settings);
    }

    /// Returns the result of a path that was finished.
    pub(super) fn summary(self) -> EstimateSummary {
        EstimateSummary {
            length: (self.leg_count > 0).then(|| EstimatedLength::from_sums(self.sums)),
            untimed_count: 0,
            skipped_count: 0,
            stop_count: self.stop_count,
            trip_count: self.trip_count,
            stopped_ns: self.stopped_ns,
            stops: self.stops.iter().copied().collect(),
            trips: self.trips.iter().copied().collect(),
        }
    }
}

/// Appends an item and removes the oldest one if there are too many.
fn push<T: Clone>(list: &mut Arc<VecDeque<T>>, item: T, settings: &EstimateSettings) {
    let limit = usize::from(settings.max_trips);
    if limit == 0 {
        return;
    }
    let list = Arc::make_mut(list);
    while list.len() >= limit {
        list.pop_front();
    }
    list.push_back(item);
}
