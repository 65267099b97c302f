//! The expected message of a summary, converted by hand: the checks do not use the conversion of the server.

use prost_types::{Duration, Timestamp};
use waywiser::measure::{
    Metric, MissingData, PathSummary, RejectionReason, Stop, Trip, WindowSummary,
};
use waywiser::proto::waywiser_v1 as pb;

/// Returns the message without the options.
pub fn summary_message(summary: &PathSummary) -> pb::PathSummary {
    let is_planar = summary.metric == Metric::Planar;
    let metres = |value: Option<f64>| value.filter(|_| !is_planar);
    let units = |value: Option<f64>| value.filter(|_| is_planar);
    let duration = |ns: u128| Duration {
        seconds: (ns / 1_000_000_000) as i64,
        nanos: (ns % 1_000_000_000) as i32,
    };
    let reason = |reason| match reason {
        RejectionReason::BackwardTime => pb::RejectionReason::BackwardTime,
        RejectionReason::Accuracy => pb::RejectionReason::Accuracy,
        RejectionReason::Speed => pb::RejectionReason::Speed,
        RejectionReason::Step => pb::RejectionReason::Step,
        RejectionReason::InvalidPosition => pb::RejectionReason::InvalidPosition,
        RejectionReason::Late => pb::RejectionReason::Late,
        RejectionReason::ZeroPosition => pb::RejectionReason::ZeroPosition,
        RejectionReason::Duplicate => pb::RejectionReason::Duplicate,
    };
    let rejections = summary.rejections.iter().map(|rejection| pb::Rejection {
        reason: reason(rejection.reason).into(),
        count: rejection.count,
        first_offset: rejection.first_offset,
        rejected_length_m: metres(Some(rejection.rejected_length)),
        rejected_length: units(Some(rejection.rejected_length)),
    });
    let unused_options = summary.unused_options.iter().map(|unused| pb::UnusedOption {
        // The tracks that set options are geographic.
        option: match unused.option {
            "elevation" => "elevation_mode",
            "max_gap_time_ns" => "max_gap_time",
            "max_speed" => "max_speed_mps",
            "stopped_speed" => "stopped_speed_mps",
            "reorder" => "reorder_count",
            other => other,
        }
        .to_owned(),
        missing: match unused.missing {
            MissingData::Time => pb::PointField::Time,
            MissingData::Z => pb::PointField::Z,
            MissingData::Accuracy => pb::PointField::Accuracy,
        }
        .into(),
    });
    let windows = summary.windows.as_ref();
    pb::PathSummary {
        options: None,
        point_count: summary.point_count,
        accepted_count: summary.accepted_count,
        segment_count: summary.segment_count,
        length_m: metres(Some(summary.length)),
        raw_length_m: metres(Some(summary.raw_length)),
        length_3d_m: metres(summary.length_3d),
        displacement_m: metres(Some(summary.displacement)),
        length: units(Some(summary.length)),
        raw_length: units(Some(summary.raw_length)),
        length_3d: units(summary.length_3d),
        displacement: units(Some(summary.displacement)),
        rejections: rejections.collect(),
        elapsed_time: summary.elapsed_ns.map(duration),
        moving_time: summary.moving_ns.map(duration),
        max_speed_mps: metres(summary.max_speed),
        max_speed: units(summary.max_speed),
        ascent_m: metres(summary.ascent),
        descent_m: metres(summary.descent),
        ascent: units(summary.ascent),
        descent: units(summary.descent),
        bounds: summary.bounds.map(|bounds| pb::BoundingBox {
            min_x: bounds.min_x,
            min_y: bounds.min_y,
            max_x: bounds.max_x,
            max_y: bounds.max_y,
        }),
        gap_length_m: metres(Some(summary.gap_length)),
        gap_length: units(Some(summary.gap_length)),
        raw_ascent_m: metres(summary.raw_ascent),
        raw_descent_m: metres(summary.raw_descent),
        raw_ascent: units(summary.raw_ascent),
        raw_descent: units(summary.raw_descent),
        climb_threshold_m: metres(summary.climb_threshold),
        climb_threshold: units(summary.climb_threshold),
        estimated_length_m: summary.estimate.map(|estimate| estimate.length_m),
        estimated_length_low_m: summary.estimate.map(|estimate| estimate.low_m),
        estimated_length_high_m: summary.estimate.map(|estimate| estimate.high_m),
        trips: summary.trips.as_ref().map(|trips| pb::Trips {
            stop_count: trips.stop_count,
            trip_count: trips.trip_count,
            stopped_time: Some(duration(trips.stopped_ns)),
            stops: trips.stops.iter().map(stop).collect(),
            trips: trips.trips.iter().map(trip).collect(),
        }),
        unused_options: unused_options.collect(),
        // The tracks that have windows are geographic.
        windows: windows
            .map_or_else(Vec::new, |windows| windows.windows.iter().map(window).collect()),
        undated_length_m: windows
            .filter(|windows| !windows.is_dropped)
            .map(|windows| windows.undated_length.to_f64()),
        undated_length: None,
        undated_point_count: windows.map_or(0, |windows| windows.undated_point_count),
        earlier_windows: windows.and_then(|windows| windows.earlier.as_ref()).map(window),
        windows_dropped: windows.is_some_and(|windows| windows.is_dropped),
    }
}

fn timestamp(unix_ns: i64) -> Option<Timestamp> {
    let (seconds, nanos) = (unix_ns.div_euclid(1_000_000_000), unix_ns.rem_euclid(1_000_000_000));
    Some(Timestamp { seconds, nanos: nanos as i32 })
}

fn stop(stop: &Stop) -> pb::Stop {
    let [x, y] = stop.position;
    pb::Stop {
        x,
        y,
        arrival_time: timestamp(stop.arrival_unix_ns),
        departure_time: timestamp(stop.departure_unix_ns),
    }
}

fn trip(trip: &Trip) -> pb::Trip {
    pb::Trip {
        start_time: timestamp(trip.start_unix_ns),
        end_time: timestamp(trip.end_unix_ns),
        estimated_length_m: trip.length.length_m,
        estimated_length_low_m: trip.length.low_m,
        estimated_length_high_m: trip.length.high_m,
        start_x: trip.start_position[0],
        start_y: trip.start_position[1],
        end_x: trip.end_position[0],
        end_y: trip.end_position[1],
    }
}

fn window(window: &WindowSummary) -> pb::Window {
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    pb::Window {
        start_time: time(window.start_unix_s),
        end_time: time(window.end_unix_s),
        length_m: Some(window.length.to_f64()),
        length: None,
        point_count: window.point_count,
    }
}
