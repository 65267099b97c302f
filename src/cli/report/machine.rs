//! The rows of a report for programs: JSON objects and rows of a CSV table. Names contain the unit. Lengths and speeds
//! of planar paths are in the caller's unit, and their names contain no unit.
//!
//! Existing names never change. New ones are added at the end.

use std::borrow::Cow;

use super::row::{Row, Value};
use super::text::{rfc3339, utc};
use super::{FileNote, ReportOptions, Total, Track, Units};
use crate::cli::flags::{flag, missing_data};
use crate::client::StoredPath;
use crate::formats::{Note, Position};
use crate::measure::{
    ClimbOptions, EstimatedLength, Fix, Metric, Options, PathSummary, RejectionReason, Space, Trips,
};

const REASONS: [RejectionReason; 5] = [
    RejectionReason::BackwardTime,
    RejectionReason::Accuracy,
    RejectionReason::Speed,
    RejectionReason::Step,
    RejectionReason::InvalidPosition,
];

pub(in crate::cli) fn reason_name(reason: RejectionReason) -> &'static str {
    match reason {
        RejectionReason::BackwardTime => "backward_time",
        RejectionReason::Accuracy => "accuracy",
        RejectionReason::Speed => "speed",
        RejectionReason::Step => "step",
        RejectionReason::InvalidPosition => "invalid_position",
        RejectionReason::Late => "late",
        RejectionReason::ZeroPosition => "zero_position",
        RejectionReason::Duplicate => "duplicate",
    }
}

/// Appends the unit to a name, except for planar paths.
pub(super) fn named(metric: Metric, name: &str, unit: &str) -> Cow<'static, str> {
    match metric.space() {
        Space::Planar => name.to_owned().into(),
        Space::Geographic => format!("{name}_{unit}").into(),
    }
}

/// Returns the members that tracks and totals share after their first ones.
fn more<'a>(summary: &PathSummary) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let metric = summary.metric;
    vec![
        ("accepted".into(), Value::Count(summary.accepted_count)),
        (named(metric, "raw_length", "m"), Value::Number(summary.raw_length)),
        (named(metric, "length_3d", "m"), Value::number(summary.length_3d)),
        ("elapsed_s".into(), Value::seconds(summary.elapsed_ns)),
        ("moving_s".into(), Value::seconds(summary.moving_ns)),
        (named(metric, "max_speed", "mps"), Value::number(summary.max_speed)),
        (named(metric, "ascent", "m"), Value::number(summary.ascent)),
        (named(metric, "descent", "m"), Value::number(summary.descent)),
    ]
}

/// The reasons whose columns come last, because they are newer than the others.
const LAST_REASONS: [RejectionReason; 3] =
    [RejectionReason::Late, RejectionReason::ZeroPosition, RejectionReason::Duplicate];

/// Returns the newer members that tracks and totals share.
fn newer<'a>(summary: &PathSummary) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let metric = summary.metric;
    let estimate = |part: fn(EstimatedLength) -> f64| Value::number(summary.estimate.map(part));
    let trips = summary.trips.as_ref();
    let count =
        |count: fn(&Trips) -> u64| trips.map_or(Value::Missing, |trips| Value::Count(count(trips)));
    let mut row = vec![
        (named(metric, "gap_length", "m"), Value::Number(summary.gap_length)),
        (named(metric, "raw_ascent", "m"), Value::number(summary.raw_ascent)),
        (named(metric, "raw_descent", "m"), Value::number(summary.raw_descent)),
    ];
    if metric.space() == Space::Geographic {
        row.extend([
            ("estimated_length_m".into(), estimate(|estimate| estimate.length_m)),
            ("estimated_length_low_m".into(), estimate(|estimate| estimate.low_m)),
            ("estimated_length_high_m".into(), estimate(|estimate| estimate.high_m)),
            ("stop_count".into(), count(|trips| trips.stop_count)),
            ("trip_count".into(), count(|trips| trips.trip_count)),
            ("stopped_s".into(), Value::seconds(trips.map(|trips| trips.stopped_ns))),
        ]);
    }
    row
}

/// Returns the method of ascent and descent, if there are any.
fn climb_method<'a>(summary: &PathSummary, options: &Options) -> Value<'a> {
    if summary.ascent.is_none() {
        return Value::Missing;
    }
    let ClimbOptions { threshold, smoothing_ns } = options.climb();
    let threshold = summary.climb_threshold.unwrap_or(threshold);
    Value::Row(Row(vec![
        ("smoothing_s".into(), Value::seconds(Some(smoothing_ns.into()))),
        (named(summary.metric, "threshold", "m"), Value::Number(threshold)),
    ]))
}

/// Returns the newer members that all JSON objects share.
fn json_newer<'a>(
    summary: &PathSummary,
    options: Option<&Options>,
) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let mut row = newer(summary);
    let method = options.map_or(Value::Missing, |options| climb_method(summary, options));
    row.push(("ascent_method".into(), method));
    row
}

/// Returns the lists of stops and trips, if the options request them.
fn trip_lists<'a>(
    summary: &PathSummary,
    options: Option<&Options>,
) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let estimate = options.and_then(Options::estimate);
    let Some(trips) = &summary.trips else { return Vec::new() };
    if estimate.is_none_or(|estimate| estimate.max_trips == 0) {
        return Vec::new();
    }
    let time = |unix_ns| Value::Text(rfc3339(unix_ns).into());
    let stops = trips.stops.iter().map(|stop| {
        Row(vec![
            ("longitude_deg".into(), Value::Number(stop.position[0])),
            ("latitude_deg".into(), Value::Number(stop.position[1])),
            ("arrival_time".into(), time(stop.arrival_unix_ns)),
            ("departure_time".into(), time(stop.departure_unix_ns)),
        ])
    });
    let trips = trips.trips.iter().map(|trip| {
        Row(vec![
            ("start_time".into(), time(trip.start_unix_ns)),
            ("end_time".into(), time(trip.end_unix_ns)),
            ("start_longitude_deg".into(), Value::Number(trip.start_position[0])),
            ("start_latitude_deg".into(), Value::Number(trip.start_position[1])),
            ("end_longitude_deg".into(), Value::Number(trip.end_position[0])),
            ("end_latitude_deg".into(), Value::Number(trip.end_position[1])),
            ("estimated_length_m".into(), Value::Number(trip.length.length_m)),
            ("estimated_length_low_m".into(), Value::Number(trip.length.low_m)),
            ("estimated_length_high_m".into(), Value::Number(trip.length.high_m)),
        ])
    });
    vec![
        ("stops".into(), Value::Rows(stops.collect())),
        ("trips".into(), Value::Rows(trips.collect())),
    ]
}

/// Returns the same members for JSON. A total has no offsets.
fn json_more<'a>(summary: &PathSummary, is_total: bool) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let mut row = more(summary);
    let rejections = summary.rejections.iter().map(|rejection| {
        let first = if is_total { Value::Missing } else { Value::Count(rejection.first_offset) };
        Row(vec![
            ("reason".into(), Value::Text(reason_name(rejection.reason).into())),
            ("count".into(), Value::Count(rejection.count)),
            ("first_offset".into(), first),
            (
                named(summary.metric, "rejected_length", "m"),
                Value::Number(rejection.rejected_length),
            ),
        ])
    });
    row.push(("rejections".into(), Value::Rows(rejections.collect())));
    row
}

pub(super) fn json_track<'a>(track: &Track<'a>, options: &ReportOptions) -> Row<'a> {
    let summary = &track.summary;
    let name = match &track.info.name {
        Some(name) => Value::Text(name.as_str().into()),
        None => Value::Text(track.number.to_string().into()),
    };
    // West, south, east, north, as in RFC 7946, section 5; or the least and largest x and y.
    let bbox = summary.bounds.map(|b| Value::Box([b.min_x, b.min_y, b.max_x, b.max_y]));
    let mut row = vec![
        ("file".into(), Value::Text(track.file.into())),
        ("track".into(), name),
        ("points".into(), Value::Count(summary.point_count)),
        ("segments".into(), Value::Count(summary.segment_count)),
        (named(summary.metric, "length", "m"), Value::Number(summary.length)),
        (named(summary.metric, "displacement", "m"), Value::Number(summary.displacement)),
        ("model".into(), Value::Text(summary.metric.to_string().into())),
        ("bbox".into(), bbox.unwrap_or(Value::Null)),
    ];
    row.extend(json_more(summary, false));
    row.extend(of_file(track));
    row.extend(in_units(summary.metric, summary.length, options.units));
    row.push(("notes".into(), Value::Rows(track.notes.iter().map(json_note).collect())));
    row.extend(json_newer(summary, Some(&options.measure)));
    row.extend(trip_lists(summary, Some(&options.measure)));
    // From 0, as all indices; the name of a track without a name counts from 1.
    row.push(("track_index".into(), Value::Count(track.number.saturating_sub(1))));
    Row(row)
}

/// Returns the row of a recording with these options. A damaged one has only its name.
pub(super) fn json_recording<'a>(
    path: &'a StoredPath,
    options: Option<&Options>,
    state: &'static str,
) -> Row<'a> {
    let name = ("name".into(), Value::Text((&*path.name).into()));
    let state = ("state".into(), Value::Text(state.into()));
    let Some(summary) = &path.summary else {
        return Row(vec![name, ("damaged".into(), Value::Flag(true)), state]);
    };
    let bbox = summary.bounds.map(|b| Value::Box([b.min_x, b.min_y, b.max_x, b.max_y]));
    let time = |unix_ms: Option<i64>| {
        unix_ms.and_then(utc).map_or(Value::Missing, |time| Value::Text(time.into()))
    };
    let mut row = vec![
        name,
        ("complete".into(), Value::Flag(path.is_complete)),
        ("committed_points".into(), Value::Count(path.committed_points)),
        (named(summary.metric, "length", "m"), Value::Number(summary.length)),
        ("model".into(), Value::Text(summary.metric.to_string().into())),
        ("segments".into(), Value::Count(summary.segment_count)),
        (named(summary.metric, "displacement", "m"), Value::Number(summary.displacement)),
        ("bbox".into(), bbox.unwrap_or(Value::Null)),
    ];
    row.extend(json_more(summary, false));
    row.extend([
        ("create_time".into(), time(path.create_unix_ms)),
        ("update_time".into(), time(path.update_unix_ms)),
        ("expire_time".into(), time(path.expire_unix_ms)),
    ]);
    row.extend(json_newer(summary, options));
    row.extend(trip_lists(summary, options));
    let unused = summary.unused_options.iter().map(|unused| {
        Row(vec![
            ("option".into(), Value::Text(flag(unused.option).into())),
            ("missing".into(), Value::Text(missing_data(unused.missing).into())),
        ])
    });
    row.push(("unused_options".into(), Value::Rows(unused.collect())));
    row.push(state);
    let last = path.last_fix.and_then(|fix| last_point(summary.metric, fix));
    row.push(("last_point".into(), last.map_or(Value::Missing, Value::Row)));
    Row(row)
}

/// Returns the last point of a recording.
fn last_point<'a>(metric: Metric, fix: Fix) -> Option<Row<'a>> {
    let point = fix.point()?;
    let (x, y, z) = match metric.space() {
        Space::Geographic => ("longitude_deg", "latitude_deg", "elevation_m"),
        Space::Planar => ("x", "y", "z"),
    };
    let time = fix.unix_ns().map_or(Value::Missing, |ns| Value::Text(rfc3339(ns).into()));
    Some(Row(vec![
        (x.into(), Value::Number(point.x())),
        (y.into(), Value::Number(point.y())),
        (z.into(), Value::number(fix.z())),
        ("time".into(), time),
        ("accuracy_m".into(), Value::number(fix.accuracy_m())),
    ]))
}

/// Returns the members about the content of the file.
fn of_file<'a>(track: &Track<'a>) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let info = track.info;
    let time = |unix_ns: Option<i64>| {
        unix_ns.map_or(Value::Missing, |unix_ns| Value::Text(rfc3339(unix_ns).into()))
    };
    vec![
        ("kind".into(), Value::Text(info.kind.id().into())),
        ("start_time".into(), time(info.start_unix_ns)),
        ("end_time".into(), time(info.end_unix_ns)),
        ("device_length_m".into(), Value::number(info.device_length_m)),
        ("incomplete".into(), Value::Flag(info.is_incomplete)),
    ]
}

/// Returns the length in other units than metres, if the report has them.
pub(super) fn in_units<'a>(
    metric: Metric,
    length_m: f64,
    units: Units,
) -> Option<(Cow<'static, str>, Value<'a>)> {
    (units != Units::M && metric.space() == Space::Geographic).then(|| {
        let name = format!("length_{}", units.symbol());
        (name.into(), Value::Number(units.length(length_m)))
    })
}

fn json_note<'a>(note: &Note) -> Row<'a> {
    let mut row = vec![
        ("kind".into(), Value::Text(note.kind.id().into())),
        ("message".into(), Value::Text(note.message.clone().into())),
        ("count".into(), Value::Count(note.count)),
    ];
    match note.position {
        Some(Position::Text { line, column }) => {
            row.push(("line".into(), Value::Count(line)));
            row.push(("column".into(), column.map_or(Value::Missing, Value::Count)));
        }
        Some(Position::Byte(offset)) => row.push(("byte".into(), Value::Count(offset))),
        Some(Position::Record(number)) => row.push(("record".into(), Value::Count(number))),
        None => {}
    }
    Row(row)
}

fn json_file_note<'a>(note: &FileNote) -> Row<'a> {
    let Row(members) = json_note(&note.note);
    let file = ("file".into(), Value::Text(note.file.clone().into()));
    Row([file].into_iter().chain(members).collect())
}

pub(super) fn json_total(total: &Total<'_>, options: &ReportOptions) -> Row<'static> {
    let summary = &total.summary;
    let mut row = vec![
        ("files".into(), Value::Count(total.file_count)),
        ("failed_files".into(), Value::Count(total.failed_file_count)),
        ("tracks".into(), Value::Count(total.track_count)),
        ("points".into(), Value::Count(summary.point_count)),
        ("segments".into(), Value::Count(summary.segment_count)),
        (named(summary.metric, "length", "m"), Value::Number(summary.length)),
        ("model".into(), Value::Text(summary.metric.to_string().into())),
    ];
    row.extend(json_more(summary, true));
    row.extend(in_units(summary.metric, summary.length, options.units));
    let notes = total.notes.iter().map(json_file_note).collect();
    row.push(("notes".into(), Value::Rows(notes)));
    row.push(("more_notes".into(), Value::Count(total.more_note_count)));
    row.extend(json_newer(summary, Some(&options.measure)));
    Row(vec![("total".into(), Value::Row(Row(row)))])
}

/// Returns the names and values of a row of the table: of a track, or of the total.
fn csv_row<'a>(
    track: Option<&Track<'a>>,
    summary: &PathSummary,
    units: Units,
) -> Vec<(Cow<'static, str>, Value<'a>)> {
    let metric = summary.metric;
    let text = |text: fn(&Track<'a>) -> Cow<'a, str>| {
        track.map_or(Value::Missing, |track| Value::Text(text(track)))
    };
    let name = |track: &Track<'a>| match &track.info.name {
        Some(name) => name.as_str().into(),
        None => track.number.to_string().into(),
    };
    let bounds = summary.bounds.filter(|_| track.is_some());
    let [west, south, east, north] = match metric.space() {
        Space::Planar => ["min_x", "min_y", "max_x", "max_y"],
        Space::Geographic => ["west_deg", "south_deg", "east_deg", "north_deg"],
    };
    let displacement = track.map(|_| summary.displacement);
    let kind = track.map_or("total", |track| track.info.kind.id());
    let mut row = vec![
        ("kind".into(), Value::Text(kind.into())),
        ("file".into(), text(|track| track.file.into())),
        ("track".into(), text(name)),
        ("points".into(), Value::Count(summary.point_count)),
        ("segments".into(), Value::Count(summary.segment_count)),
        (named(metric, "length", "m"), Value::Number(summary.length)),
        (named(metric, "displacement", "m"), Value::number(displacement)),
        ("model".into(), Value::Text(metric.to_string().into())),
        (west.into(), Value::number(bounds.map(|bounds| bounds.min_x))),
        (south.into(), Value::number(bounds.map(|bounds| bounds.min_y))),
        (east.into(), Value::number(bounds.map(|bounds| bounds.max_x))),
        (north.into(), Value::number(bounds.map(|bounds| bounds.max_y))),
    ];
    row.extend(more(summary));
    row.extend(REASONS.into_iter().flat_map(|reason| csv_rejection(track, summary, reason)));
    // The kind is the first column.
    row.extend(track.map_or_else(missing_of_file, |track| of_file(track).split_off(1)));
    let note_count = track.map_or(0, |track| track.notes.len() as u64);
    row.push(("notes".into(), Value::Count(note_count)));
    row.extend(in_units(summary.metric, summary.length, units));
    row.extend(LAST_REASONS.into_iter().flat_map(|reason| csv_rejection(track, summary, reason)));
    row.extend(newer(summary));
    row
}

/// Returns the columns of the fixes that were rejected for a reason.
fn csv_rejection<'a>(
    track: Option<&Track<'a>>,
    summary: &PathSummary,
    reason: RejectionReason,
) -> [(Cow<'static, str>, Value<'a>); 3] {
    let name = reason_name(reason);
    let rejection = summary.rejections.iter().find(|rejection| rejection.reason == reason);
    let first = rejection.filter(|_| track.is_some()).map(|rejection| rejection.first_offset);
    [
        (
            format!("{name}_count").into(),
            Value::Count(rejection.map_or(0, |rejection| rejection.count)),
        ),
        (format!("{name}_first_offset").into(), first.map_or(Value::Missing, Value::Count)),
        (
            named(summary.metric, &format!("{name}_rejected_length"), "m"),
            Value::Number(rejection.map_or(0.0, |rejection| rejection.rejected_length)),
        ),
    ]
}

fn missing_of_file<'a>() -> Vec<(Cow<'static, str>, Value<'a>)> {
    ["start_time", "end_time", "device_length_m", "incomplete"]
        .map(|name| (name.into(), Value::Missing))
        .into()
}

pub(super) fn csv_header(summary: &PathSummary, units: Units) -> Vec<String> {
    csv_row(None, summary, units).into_iter().map(|(name, _)| name.into_owned()).collect()
}

pub(super) fn csv_fields(
    track: Option<&Track<'_>>,
    summary: &PathSummary,
    units: Units,
) -> Vec<String> {
    csv_row(track, summary, units).iter().map(|(_, value)| value.field()).collect()
}
