//! Recordings with an estimate, trips, windows and the buffer, over gRPC: each front end returns the summary of one
//! fold.

use futures::StreamExt as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use prost_types::{Duration, Timestamp};
use tokio::runtime::Runtime;
use tokio_stream::iter;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::measure::{
    EstimateOptions, Fix, InvalidPoints, Metric, Options, PathAccumulator, Point, Reorder,
    WindowOptions, WindowUnit, Zone,
};
use waywiser::proto::waywiser_v1 as pb;

use crate::support::Server;

const POINTS: usize = 1_200;

/// A walk from before a midnight in Ljubljana to after the next, with a stop. Some points are out of order.
fn sample(index: usize) -> (f64, f64, i64) {
    let moving = index.min(400) + index.saturating_sub(700);
    let noise = |factor: f64| (index as f64 * factor).sin() * 2e-5;
    let (x, y) = (13.8 + moving as f64 * 1.7e-5 + noise(12.9), 46.3 + noise(78.2));
    let late = if index % 7 == 3 { 4 } else { 0 };
    let day = if index < 900 { 0 } else { 86_400 };
    // 2023-11-14T22:55:00Z is five minutes before midnight.
    (x, y, 1_700_002_500 + index as i64 + day - late)
}

fn rows(range: std::ops::Range<usize>) -> Vec<pb::Point> {
    let row = |index| {
        let (x, y, seconds) = sample(index);
        let time = Some(Timestamp { seconds, nanos: 0 });
        pb::Point { x, y, time, z: Some(600.0), accuracy_m: Some(5.0), ..Default::default() }
    };
    range.map(row).collect()
}

fn options_message() -> pb::PathOptions {
    let windows = pb::WindowOptions {
        unit: pb::WindowUnit::Day.into(),
        time_zone: "Europe/Ljubljana".to_owned(),
        max_windows: 0,
        keep_latest: false,
    };
    pb::PathOptions {
        estimate: true,
        max_trips: 8,
        min_stop_time: Some(Duration { seconds: 90, nanos: 0 }),
        windows: Some(windows),
        reorder_count: 16,
        ..Default::default()
    }
}

fn options() -> Options {
    let zone = Zone::parse("Europe/Ljubljana").unwrap();
    Options::builder(Metric::Geodesic)
        .estimate(EstimateOptions { max_trips: 8, min_stop_ns: 90_000_000_000 })
        .windows(WindowOptions { max_windows: 400, ..WindowOptions::new(WindowUnit::Day, zone) })
        .reorder(Reorder { count: 16, time_ns: None })
        .build()
        .unwrap()
}

fn measured(options: Options) -> PathAccumulator {
    measured_to(POINTS, options)
}

/// Measures the first points.
fn measured_to(count: usize, options: Options) -> PathAccumulator {
    let fix = |index| {
        let (x, y, seconds) = sample(index);
        let fix = Fix::new(Point::geographic(y, x).unwrap());
        let fix = fix.at_unix_ns(seconds * 1_000_000_000).unwrap();
        fix.with_z(600.0).unwrap().with_accuracy_m(5.0).unwrap()
    };
    let mut path = PathAccumulator::new(options);
    path.extend(&(0..count).map(fix).collect::<Vec<_>>()).unwrap();
    path
}

fn message(
    name: &str,
    range: std::ops::Range<usize>,
    options: pb::PathOptions,
) -> pb::RecordPathRequest {
    pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(options),
        write_offset: Some(range.start as u64),
        finish_write: range.end == POINTS,
        points: rows(range),
        ..Default::default()
    }
}

async fn record(
    server: &Server,
    message: pb::RecordPathRequest,
) -> Result<pb::RecordPathResponse, Status> {
    Ok(server.paths().await.record_path(iter([message])).await?.into_inner())
}

/// Compares a message with the summary of a fold, without the conversion of the server.
fn check(message: &pb::PathSummary) {
    let summary = measured(options()).summary();
    let estimate = summary.estimate.unwrap();
    assert_eq!(message.point_count, summary.point_count);
    assert_eq!(message.length_m, Some(summary.length));
    assert_eq!(message.estimated_length_m, Some(estimate.length_m));
    assert_eq!(message.estimated_length_low_m, Some(estimate.low_m));
    assert_eq!(message.estimated_length_high_m, Some(estimate.high_m));
    let (trips, sent) = (summary.trips.unwrap(), message.trips.as_ref().unwrap());
    assert_eq!((trips.stop_count, trips.trip_count), (sent.stop_count, sent.trip_count));
    assert!(trips.stop_count >= 1 && trips.trip_count >= 2, "{trips:?}");
    let times =
        |stop: &pb::Stop| [stop.arrival_time, stop.departure_time].map(|t| t.unwrap().seconds);
    assert_eq!(sent.stops.len(), trips.stops.len());
    for (sent, stop) in sent.stops.iter().zip(&trips.stops) {
        let ns = [stop.arrival_unix_ns, stop.departure_unix_ns];
        assert_eq!(times(sent), ns.map(|ns| ns / 1_000_000_000));
        assert_eq!([sent.x, sent.y], stop.position);
    }
    let lengths: Vec<_> = trips.trips.iter().map(|trip| trip.length.length_m).collect();
    let sent: Vec<_> = sent.trips.iter().map(|trip| trip.estimated_length_m).collect();
    assert_eq!(sent, lengths);
    let windows = summary.windows.unwrap();
    let lengths: Vec<_> = windows.windows.iter().map(|window| window.length.to_f64()).collect();
    let sent: Vec<_> = message.windows.iter().map(|window| window.length_m.unwrap()).collect();
    assert_eq!((sent.len(), &sent), (3, &lengths));
    let total: f64 = sent.iter().sum();
    assert_eq!(total + message.undated_length_m.unwrap(), summary.length);
    // The options are explicit, with their defaults.
    let options = message.options.as_ref().unwrap();
    assert_eq!((options.estimate, options.max_trips, options.reorder_count), (true, 8, 16));
    let windows = options.windows.as_ref().unwrap();
    assert_eq!((&*windows.time_zone, windows.max_windows), ("Europe/Ljubljana", 400));
}

#[test]
fn every_call_returns_the_summary_of_one_fold_for_any_cuts() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let mut runner =
        TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let mut names = 0;
    let cuts = prop::collection::vec(0..POINTS, 0..6);
    let mut cases = Vec::new();
    for _ in 0..12 {
        cases.push(cuts.new_tree(&mut runner).unwrap().current());
    }
    for mut cuts in cases {
        names += 1;
        let name = format!("paths/cut-{names}");
        cuts.sort_unstable();
        cuts.push(POINTS);
        runtime.block_on(async {
            let (mut from, mut reply) = (0, None);
            for to in cuts {
                // Each stream resumes from the stored checkpoint. Some points are sent again.
                let again = from.min(5);
                reply = Some(
                    record(&server, message(&name, from - again..to, options_message()))
                        .await
                        .unwrap(),
                );
                from = to;
            }
            let reply = reply.unwrap();
            assert!(reply.complete);
            let summary = reply.summary.unwrap();
            check(&summary);
            let mut paths = server.paths().await;
            let request = pb::GetPathRequest { name: name.clone(), ..Default::default() };
            let path = paths.get_path(request).await.unwrap().into_inner().path.unwrap();
            assert_eq!(path.summary.as_ref(), Some(&summary));
            let request = pb::WatchPathRequest { name: name.clone(), ..Default::default() };
            let mut watch = paths.watch_path(request).await.unwrap().into_inner();
            let watched = watch.next().await.unwrap().unwrap().path.unwrap();
            assert_eq!(watched.summary.as_ref(), Some(&summary));
            let listed = paths.list_paths(pb::ListPathsRequest::default()).await.unwrap();
            let listed = listed.into_inner().paths.into_iter().find(|path| path.name == name);
            assert_eq!(listed.unwrap(), path);
        });
    }
}

/// Returns the code, the reason and the fields of an error.
fn refusal(status: &Status) -> (Code, String, Vec<String>) {
    let reason = status.get_details_error_info().unwrap().reason;
    let violations = status.get_details_bad_request().unwrap().field_violations;
    (status.code(), reason, violations.into_iter().map(|violation| violation.field).collect())
}

#[tokio::test]
async fn other_options_of_a_recording_are_named() {
    let server = Server::start().await;
    let name = "paths/options";
    record(&server, message(name, 0..10, options_message())).await.unwrap();
    record(&server, message(name, 10..20, options_message())).await.unwrap();
    let other = pb::PathOptions {
        max_trips: 7,
        min_stop_time: None,
        reorder_count: 17,
        reorder_time: Some(Duration { seconds: 5, nanos: 0 }),
        drop_duplicates: true,
        min_climb_m: 4.0,
        climb_smoothing_time: Some(Duration::default()),
        reject_zero_position: true,
        windows: Some(pb::WindowOptions {
            unit: 1,
            time_zone: String::new(),
            max_windows: 9,
            keep_latest: true,
        }),
        ..options_message()
    };
    let status = record(&server, message(name, 20..30, other)).await.unwrap_err();
    let fields = [
        "options.min_stop_time",
        "options.max_trips",
        "options.reject_zero_position",
        "options.reorder_count",
        "options.reorder_time",
        "options.drop_duplicates",
        "options.min_climb_m",
        "options.climb_smoothing_time",
        "options.windows.unit",
        "options.windows.time_zone",
        "options.windows.max_windows",
        "options.windows.keep_latest",
    ];
    let fields = fields.map(str::to_owned).to_vec();
    let expected = (Code::FailedPrecondition, "OPTIONS_DIFFER".to_owned(), fields);
    assert_eq!(refusal(&status), expected);
    // Without estimate and windows at all.
    let status =
        record(&server, message(name, 20..30, pb::PathOptions::default())).await.unwrap_err();
    let (_, reason, fields) = refusal(&status);
    assert_eq!(reason, "OPTIONS_DIFFER");
    assert!(
        ["options.estimate", "options.windows.unit"]
            .iter()
            .all(|field| fields.contains(&(*field).to_owned())),
        "{fields:?}"
    );
}

#[tokio::test]
async fn the_lists_of_a_recording_have_limits() {
    let server = Server::start().await;
    let windows =
        |max_windows| pb::WindowOptions { max_windows, ..options_message().windows.unwrap() };
    for (options, field) in [
        (pb::PathOptions { max_trips: 33, ..options_message() }, "options.max_trips"),
        (
            pb::PathOptions { windows: Some(windows(401)), ..options_message() },
            "options.windows.max_windows",
        ),
    ] {
        let status = record(&server, message("paths/limits", 0..10, options)).await.unwrap_err();
        let (code, _, fields) = refusal(&status);
        assert_eq!((code, fields), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let largest =
        pb::PathOptions { max_trips: 32, windows: Some(windows(400)), ..options_message() };
    record(&server, message("paths/limits", 0..10, largest)).await.unwrap();
}

/// Each stream resumes from the stored checkpoint. All windows but the latest one are one part.
#[tokio::test]
async fn a_recording_keeps_its_latest_windows() {
    let server = Server::start().await;
    let windows = options_message().windows.map(|windows| pb::WindowOptions {
        max_windows: 1,
        keep_latest: true,
        ..windows
    });
    let kept = pb::PathOptions { windows, ..options_message() };
    let (mut from, mut reply) = (0, None);
    for to in [200, 500, 950, POINTS] {
        let points = from..to;
        reply = Some(record(&server, message("paths/latest", points, kept.clone())).await.unwrap());
        from = to;
    }
    let message = reply.unwrap().summary.unwrap();
    let all = measured(options()).summary();
    let all = all.windows.as_ref().unwrap().windows.as_slice();
    let [first, second, latest] = all else { panic!("{all:?}") };
    let values = |window: &pb::Window| {
        let times = [window.start_time, window.end_time].map(|time| time.unwrap().seconds);
        (times, window.length_m.unwrap(), window.point_count)
    };
    let earlier = first.length.to_f64() + second.length.to_f64();
    let points = first.point_count + second.point_count;
    assert_eq!(
        values(message.earlier_windows.as_ref().unwrap()),
        ([first.start_unix_s, second.end_unix_s], earlier, points)
    );
    assert_eq!(
        message.windows.iter().map(values).collect::<Vec<_>>(),
        [([latest.start_unix_s, latest.end_unix_s], latest.length.to_f64(), latest.point_count)]
    );
    assert!(!message.windows_dropped);
    assert_eq!(points + latest.point_count + message.undated_point_count, message.accepted_count);
}

/// Points that are sent again, in a shuffled order and in another call, change neither the length nor the estimate.
#[tokio::test]
async fn repeated_points_are_dropped() {
    let server = Server::start().await;
    let options = pb::PathOptions { drop_duplicates: true, ..options_message() };
    let name = "paths/repeated";
    record(&server, message(name, 0..40, options.clone())).await.unwrap();
    let mut again = message(name, 30..60, options.clone());
    again.write_offset = Some(40);
    again.points.swap(3, 7);
    again.points.insert(20, again.points[11]);
    let summary = record(&server, again).await.unwrap().summary.unwrap();
    let expected = measured_to(60, self::options()).summary();
    assert_eq!(summary.length_m, Some(expected.length));
    assert_eq!(summary.raw_length_m, Some(expected.raw_length));
    assert_eq!(summary.point_count, 71);
    let [rejection] = &summary.rejections[..] else { panic!("{:?}", summary.rejections) };
    assert_eq!((rejection.reason(), rejection.count), (pb::RejectionReason::Duplicate, 11));
    // Only points in a buffer are compared.
    let options = pb::PathOptions { reorder_count: 0, ..options };
    let status = record(&server, message("paths/other", 0..1, options)).await.unwrap_err();
    let (code, _, fields) = refusal(&status);
    assert_eq!((code, fields), (Code::InvalidArgument, vec!["options.drop_duplicates".to_owned()]));
}

#[tokio::test]
async fn a_preset_is_stored_as_its_options() {
    let server = Server::start().await;
    let name = "paths/preset";
    let preset =
        pb::PathOptions { preset: pb::Preset::Phone.into(), max_trips: 3, ..Default::default() };
    let reply = record(&server, message(name, 0..600, preset.clone())).await.unwrap();
    let stored = reply.summary.unwrap().options.unwrap();
    assert_eq!(stored.preset(), pb::Preset::Unspecified);
    assert_eq!((stored.estimate, stored.max_trips, stored.reorder_count), (true, 3, 32));
    assert_eq!((stored.max_speed_mps, stored.reject_zero_position), (400.0, true));
    assert_eq!(stored.invalid_points(), pb::InvalidPoints::Skip);
    // The preset again, and the options of the summary, are the options of the recording.
    let reply = record(&server, message(name, 600..900, preset)).await.unwrap();
    assert_eq!(reply.committed_points, 900);
    let reply = record(&server, message(name, 900..POINTS, stored.clone())).await.unwrap();
    let options = Options::builder(Metric::Geodesic)
        .estimate(EstimateOptions { max_trips: 3, ..EstimateOptions::default() })
        .reorder(Reorder { count: 32, time_ns: None })
        .drop_duplicates(true)
        .max_speed(400.0)
        .max_accuracy_m(200.0)
        .stopped_speed(0.5)
        .reject_zero_position(true)
        .invalid_points(InvalidPoints::Skip)
        .build()
        .unwrap();
    let (summary, expected) = (reply.summary.unwrap(), measured(options).summary());
    assert_eq!(summary.length_m, Some(expected.length));
    assert_eq!(summary.estimated_length_m, expected.estimate.map(|estimate| estimate.length_m));
    // Another preset is not.
    let other =
        pb::PathOptions { preset: pb::Preset::Car.into(), max_trips: 3, ..Default::default() };
    let status = record(&server, message(name, 900..901, other)).await.unwrap_err();
    let (_, reason, fields) = refusal(&status);
    assert_eq!(reason, "OPTIONS_DIFFER");
    assert!(fields.contains(&"options.max_speed_mps".to_owned()), "{fields:?}");
}
