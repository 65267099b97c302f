//! The result of the estimator: the estimated length, stops and trips.

use super::interval::EstimatedLength;

/// A place where the path stood still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// The mean of the positions, longitude and latitude in degrees.
    pub position: [f64; 2],
    /// The time of the arrival, in nanoseconds since 1970-01-01T00:00:00Z.
    pub arrival_unix_ns: i64,
    /// The time of the departure, in nanoseconds since 1970-01-01T00:00:00Z. If the path ends with the stop, it is
    /// the time of the last fix.
    pub departure_unix_ns: i64,
}

/// The part of a path between two stops, or between a stop and an end of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// The time of the first fix, in nanoseconds since 1970-01-01T00:00:00Z.
    pub start_unix_ns: i64,
    /// The time of the last fix, in nanoseconds since 1970-01-01T00:00:00Z.
    pub end_unix_ns: i64,
    /// The position of the first fix, longitude and latitude in degrees.
    pub start_position: [f64; 2],
    /// The position of the last fix, longitude and latitude in degrees.
    pub end_position: [f64; 2],
    /// The estimated length.
    pub length: EstimatedLength,
}

/// The estimated length of a path, its stops and its trips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EstimateSummary {
    /// The estimated length, without the motion inside stops. It is missing if no segment has two fixes with usable
    /// times.
    pub length: Option<EstimatedLength>,
    /// The number of fixes without a time. The estimate ignores them.
    pub untimed_count: u64,
    /// The number of fixes less than half a second after the fix before, or before it. The estimate ignores them.
    pub skipped_count: u64,
    /// The number of stops.
    pub stop_count: u64,
    /// The number of trips.
    pub trip_count: u64,
    /// The sum of the durations of the stops, in nanoseconds.
    pub stopped_ns: u64,
    /// The latest stops in the order of the path, at most [`EstimateSettings::max_trips`].
    ///
    /// [`EstimateSettings::max_trips`]: super::EstimateSettings::max_trips
    pub stops: Vec<Stop>,
    /// The latest trips in the order of the path, at most [`EstimateSettings::max_trips`].
    ///
    /// [`EstimateSettings::max_trips`]: super::EstimateSettings::max_trips
    pub trips: Vec<Trip>,
}
