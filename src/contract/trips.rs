//! `Trips` of the contract to and from [`Trips`].

use super::summary_error::SummaryError;
use super::time::{duration, duration_ns, timestamp_of_ns, unix_ns};
use crate::measure::{EstimatedLength, Stop, Trip, Trips};
use crate::proto::waywiser_v1 as pb;

/// Converts stops and trips into a message.
pub(super) fn to_message(trips: &Trips) -> pb::Trips {
    let stop = |stop: &Stop| pb::Stop {
        x: stop.position[0],
        y: stop.position[1],
        arrival_time: Some(timestamp_of_ns(stop.arrival_unix_ns)),
        departure_time: Some(timestamp_of_ns(stop.departure_unix_ns)),
    };
    let trip = |trip: &Trip| pb::Trip {
        start_time: Some(timestamp_of_ns(trip.start_unix_ns)),
        end_time: Some(timestamp_of_ns(trip.end_unix_ns)),
        estimated_length_m: trip.length.length_m,
        estimated_length_low_m: trip.length.low_m,
        estimated_length_high_m: trip.length.high_m,
        start_x: trip.start_position[0],
        start_y: trip.start_position[1],
        end_x: trip.end_position[0],
        end_y: trip.end_position[1],
    };
    pb::Trips {
        stop_count: trips.stop_count,
        trip_count: trips.trip_count,
        stopped_time: Some(duration(u64::try_from(trips.stopped_ns).unwrap_or(u64::MAX))),
        stops: trips.stops.iter().map(stop).collect(),
        trips: trips.trips.iter().map(trip).collect(),
    }
}

/// Reads stops and trips.
///
/// # Errors
/// A time is missing or out of range.
pub(super) fn from_message(message: &pb::Trips) -> Result<Trips, SummaryError> {
    let time = |time: Option<prost_types::Timestamp>, name| {
        let time = time.ok_or(SummaryError::Missing(name))?;
        unix_ns((time.seconds, time.nanos)).ok_or(SummaryError::Time(name))
    };
    let stop = |stop: &pb::Stop| {
        Ok(Stop {
            position: [stop.x, stop.y],
            arrival_unix_ns: time(stop.arrival_time, "arrival time of a stop")?,
            departure_unix_ns: time(stop.departure_time, "departure time of a stop")?,
        })
    };
    let trip = |trip: &pb::Trip| {
        Ok(Trip {
            start_unix_ns: time(trip.start_time, "start time of a trip")?,
            end_unix_ns: time(trip.end_time, "end time of a trip")?,
            start_position: [trip.start_x, trip.start_y],
            end_position: [trip.end_x, trip.end_y],
            length: EstimatedLength {
                length_m: trip.estimated_length_m,
                low_m: trip.estimated_length_low_m,
                high_m: trip.estimated_length_high_m,
            },
        })
    };
    let stopped_time = message.stopped_time.unwrap_or_default();
    let stopped_ns = duration_ns(&stopped_time).ok_or(SummaryError::Duration("stopped time"))?;
    Ok(Trips {
        stop_count: message.stop_count,
        trip_count: message.trip_count,
        stopped_ns: stopped_ns.into(),
        stops: message.stops.iter().map(stop).collect::<Result<_, SummaryError>>()?,
        trips: message.trips.iter().map(trip).collect::<Result<_, SummaryError>>()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::contract) fn full() -> Trips {
        let length = EstimatedLength { length_m: 6.25, low_m: 6.0, high_m: 6.75 };
        Trips {
            stop_count: 8,
            trip_count: 9,
            stopped_ns: 1_500_000_000,
            stops: vec![Stop {
                position: [14.5, 46.25],
                arrival_unix_ns: -1,
                departure_unix_ns: 7,
            }],
            trips: vec![Trip {
                start_unix_ns: 7,
                end_unix_ns: 2_000_000_001,
                start_position: [14.5, 46.25],
                end_position: [14.75, 46.5],
                length,
            }],
        }
    }

    #[test]
    fn an_invalid_time_is_refused() {
        let error = |edit: fn(&mut pb::Trips)| {
            let mut message = to_message(&full());
            edit(&mut message);
            from_message(&message).unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            error(|message| message.stops[0].arrival_time = None),
            @"its summary has no arrival time of a stop"
        );
        insta::assert_snapshot!(
            error(|message| {
                message.trips[0].end_time = Some(prost_types::Timestamp { seconds: 1 << 40, nanos: 0 });
            }),
            @"the end time of a trip of its summary is not in the years 1678 to 2261"
        );
    }
}
