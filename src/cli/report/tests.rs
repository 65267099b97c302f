//! Tests of reports, with constructed summaries.

use super::*;
use crate::measure::{
    ClimbOptions, EstimateOptions, EstimatedLength, Fix, MissingData, PathAccumulator, Point,
    Rejection, RejectionReason, Stop, Totals, Trip, Trips, UnusedOption,
};

const SECOND_NS: i64 = 1_000_000_000;
const START_NS: i64 = 1_716_023_560 * SECOND_NS;

fn estimate(length_m: f64) -> EstimatedLength {
    EstimatedLength { length_m, low_m: length_m * 0.96, high_m: length_m * 1.05 }
}

/// Returns the summary of a day with two trips and a stop.
fn day(options: Options) -> PathSummary {
    let mut summary = PathAccumulator::new(options).summary();
    (summary.point_count, summary.accepted_count, summary.segment_count) = (9448, 9440, 3);
    (summary.raw_length, summary.length, summary.gap_length) = (12391.62, 12171.5, 20.12);
    let rejection = |reason, count, rejected_length| Rejection {
        reason,
        count,
        first_offset: 17,
        rejected_length,
    };
    summary.rejections = vec![
        rejection(RejectionReason::Speed, 3, 200.0),
        rejection(RejectionReason::Late, 1, -1e-9),
        rejection(RejectionReason::ZeroPosition, 4, -0.0),
    ];
    summary.displacement = 6.997;
    summary.elapsed_ns = Some(10_047_000_000_000);
    summary.moving_ns = Some(9_446_500_000_000);
    summary.max_speed = Some(2.643);
    (summary.ascent, summary.descent) = (Some(587.5), Some(583.25));
    (summary.raw_ascent, summary.raw_descent) = (Some(4979.7), Some(4974.1));
    summary.estimate = Some(estimate(8012.4));
    let trip = |start_s: i64, end_s: i64, length_m| Trip {
        start_unix_ns: START_NS + start_s * SECOND_NS,
        end_unix_ns: START_NS + end_s * SECOND_NS,
        start_position: [13.75, 46.4375],
        end_position: [13.875, 46.5],
        length: estimate(length_m),
    };
    summary.trips = Some(Trips {
        stop_count: 1,
        trip_count: 2,
        stopped_ns: 600_500_000_000,
        stops: vec![Stop {
            position: [13.8125, 46.46875],
            arrival_unix_ns: START_NS + 3600 * SECOND_NS,
            departure_unix_ns: START_NS + 4200 * SECOND_NS + SECOND_NS / 2,
        }],
        trips: vec![trip(0, 3600, 5000.0), trip(4200, 200_047, 3012.4)],
    });
    summary
}

fn lists() -> Options {
    let estimate = EstimateOptions { max_trips: 1000, ..EstimateOptions::default() };
    Options::builder(Metric::Geodesic).estimate(estimate).build().unwrap()
}

/// Returns the report on tracks and their total.
fn report(measure: Options, style: Style, units: Units, tracks: &[PathSummary]) -> String {
    let mut out = Vec::new();
    let options = ReportOptions { style, measure, units, names: Names::Truncated };
    let mut report = Report::new(&mut out, options, ["a.gpx"].into_iter());
    let mut totals = Totals::new(measure.metric());
    for (number, summary) in (1..).zip(tracks) {
        totals.add(summary).unwrap();
        let info = &TrackInfo::default();
        let summary = summary.clone();
        report.track(&Track { file: "a.gpx", number, info, summary, notes: &[] }).unwrap();
    }
    let total = Total {
        file_count: 1,
        failed_file_count: 0,
        track_count: tracks.len() as u64,
        summary: totals.summary(),
        notes: &[],
        more_note_count: 0,
    };
    report.total(&total).unwrap();
    let text = String::from_utf8(out).unwrap();
    if matches!(style, Style::Text | Style::Details) {
        let width = |line: &str| unicode_width::UnicodeWidthStr::width(line);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
    }
    text
}

#[test]
fn a_plain_table_has_the_estimate_under_each_track() {
    let day = day(lists());
    insta::assert_snapshot!(report(lists(), Style::Text, Units::M, &[day.clone(), day.clone()]), @r"
    file   track                                    points segments           length
    a.gpx  1                                         9 448        3     12 171.500 m
        length with 8 rejected points                                   12 391.620 m
        estimated length, 90 % interval                   8 012 m (7 692 to 8 413 m)
    a.gpx  2                                         9 448        3     12 171.500 m
        length with 8 rejected points                                   12 391.620 m
        estimated length, 90 % interval                   8 012 m (7 692 to 8 413 m)
    total  2 tracks                                 18 896        6     24 343.000 m
        length with 16 rejected points                                  24 783.240 m
        estimated length, 90 % interval                16 025 m (15 384 to 16 826 m)
    ");
    insta::assert_snapshot!(report(lists(), Style::Text, Units::Km, std::slice::from_ref(&day)), @r"
    file   track                                    points segments           length
    a.gpx  1                                         9 448        3        12.171 km
        length with 8 rejected points                                      12.392 km
        estimated length, 90 % interval                 8.012 km (7.692 to 8.413 km)
    total  1 track                                   9 448        3        12.171 km
        length with 8 rejected points                                      12.392 km
        estimated length, 90 % interval                 8.012 km (7.692 to 8.413 km)
    ");
    // A total without all estimates has none.
    let without = PathSummary { estimate: None, trips: None, rejections: vec![], ..day.clone() };
    insta::assert_snapshot!(report(lists(), Style::Text, Units::M, &[day, without]), @r"
    file   track                                    points segments           length
    a.gpx  1                                         9 448        3     12 171.500 m
        length with 8 rejected points                                   12 391.620 m
        estimated length, 90 % interval                   8 012 m (7 692 to 8 413 m)
    a.gpx  2                                         9 448        3     12 171.500 m
        estimated length, 90 % interval                                not available
    total  2 tracks                                 18 896        6     24 343.000 m
        length with 8 rejected points                                   24 783.240 m
        estimated length, 90 % interval                                not available
    ");
}

#[test]
fn details_add_up_and_list_the_trips() {
    insta::assert_snapshot!(report(lists(), Style::Details, Units::M, &[day(lists())]), @r"
    file   track                                    points segments           length
    a.gpx  1                                         9 440        3     12 171.500 m
        all points, unfiltered                       9 448              12 391.620 m
        - too fast, first at 17                          3                 200.000 m
        - late, first at 17                              1                   0.000 m
        - at 0, 0, first at 17                           4                   0.000 m
        - gaps between segments                                             20.120 m
        = accepted points                            9 440              12 171.500 m
        from first to last                                                   6.997 m
        estimated length, 90 % interval                   8 012 m (7 692 to 8 413 m)
        movement                                                     2 trips, 1 stop
        stopped time                                                       10m 500ms
        ascent (mean of 45s, climbs from 3 m or more)                      587.500 m
        descent                                                            583.250 m
        raw ascent                                                       4 979.700 m
        raw descent                                                      4 974.100 m
        elapsed time                                                      2h 47m 27s
        moving time, at least 0.3 m/s                               2h 37m 26s 500ms
        highest speed over 5 s                                             2.643 m/s
        trip  2024-05-18T09:12:40Z  1h                    5 000 m (4 800 to 5 250 m)
        stop  2024-05-18T10:12:40Z  10m                         46.468750, 13.812500
        trip  2024-05-18T10:22:40Z  2d 6h                 3 012 m (2 892 to 3 163 m)
    total  1 track                                   9 440        3     12 171.500 m
        all points, unfiltered                       9 448              12 391.620 m
        - too fast                                       3                 200.000 m
        - late                                           1                   0.000 m
        - at 0, 0                                        4                   0.000 m
        - gaps between segments                                             20.120 m
        = accepted points                            9 440              12 171.500 m
        estimated length, 90 % interval                   8 012 m (7 692 to 8 413 m)
        movement                                                     2 trips, 1 stop
        stopped time                                                       10m 500ms
        ascent (mean of 45s, climbs from 3 m or more)                      587.500 m
        descent                                                            583.250 m
        raw ascent                                                       4 979.700 m
        raw descent                                                      4 974.100 m
        moving time, at least 0.3 m/s                               2h 37m 26s 500ms
        highest speed over 5 s                                             2.643 m/s
    ");
    // Without smoothing, and in other units.
    let options = Options::builder(Metric::Geodesic)
        .climb(ClimbOptions { threshold: 4.5, smoothing_ns: 0 })
        .stopped_speed(None::<f64>)
        .build()
        .unwrap();
    let summary = PathSummary { trips: None, estimate: None, ..day(options) };
    insta::assert_snapshot!(report(options, Style::Details, Units::Mi, &[summary]), @r"
    file   track                                    points segments           length
    a.gpx  1                                         9 440        3         7.563 mi
        all points, unfiltered                       9 448                  7.700 mi
        - too fast, first at 17                          3                  0.124 mi
        - late, first at 17                              1                  0.000 mi
        - at 0, 0, first at 17                           4                  0.000 mi
        - gaps between segments                                             0.013 mi
        = accepted points                            9 440                  7.563 mi
        from first to last                                                  0.004 mi
        ascent (climbs from 4.5 m or more)                                1 927.5 ft
        descent                                                           1 913.5 ft
        raw ascent                                                       16 337.6 ft
        raw descent                                                      16 319.2 ft
        elapsed time                                                      2h 47m 27s
        moving time                                                 2h 37m 26s 500ms
        highest speed over 5 s                                             5.912 mph
    total  1 track                                   9 440        3         7.563 mi
        all points, unfiltered                       9 448                  7.700 mi
        - too fast                                       3                  0.124 mi
        - late                                           1                  0.000 mi
        - at 0, 0                                        4                  0.000 mi
        - gaps between segments                                             0.013 mi
        = accepted points                            9 440                  7.563 mi
        ascent (climbs from 4.5 m or more)                                1 927.5 ft
        descent                                                           1 913.5 ft
        raw ascent                                                       16 337.6 ft
        raw descent                                                      16 319.2 ft
        moving time                                                 2h 37m 26s 500ms
        highest speed over 5 s                                             5.912 mph
    ");
}

/// `report` checks the width of each line.
#[test]
fn a_table_of_large_values_is_80_columns_wide() {
    for (length, expected) in [
        (99_999_999.9, "99 999 999.900 m"),
        (123_456_789.6, "123 456 790 m"),
        (3_045_678_901.2, "3 045 678 901 m"),
    ] {
        let mut large = day(lists());
        (large.length, large.raw_length, large.displacement) = (length, length, length);
        large.estimate = Some(estimate(length.min(9.0e8)));
        (large.elapsed_ns, large.moving_ns) = (Some(u64::MAX.into()), Some(u64::MAX.into()));
        if let Some(trips) = &mut large.trips {
            for trip in &mut trips.trips {
                trip.length = estimate(length.min(3.0e7));
                trip.end_unix_ns = trip.start_unix_ns + 2_570_486_704_000_000;
            }
        }
        let text = report(lists(), Style::Details, Units::M, &[large.clone()]);
        assert!(text.lines().any(|line| line.ends_with(expected)), "{text}");
        assert!(text.contains(" 29d"), "{text}");
        for units in [Units::Km, Units::Mi, Units::Nmi, Units::Ft] {
            report(lists(), Style::Details, units, &[large.clone()]);
        }
    }
}

#[test]
fn a_table_has_times_in_whole_seconds() {
    let info = TrackInfo {
        start_unix_ns: Some(-2_147_483_647_792_656_300),
        end_unix_ns: Some(START_NS + 1),
        ..TrackInfo::default()
    };
    let mut out = Vec::new();
    let options = ReportOptions {
        style: Style::Details,
        measure: lists(),
        units: Units::default(),
        names: Names::Truncated,
    };
    let mut report = Report::new(&mut out, options, ["a.gpx"].into_iter());
    let summary = day(lists());
    report.track(&Track { file: "a.gpx", number: 1, info: &info, summary, notes: &[] }).unwrap();
    let text = String::from_utf8(out).unwrap();
    for (label, time) in [("start", "1901-12-13T20:45:52Z"), ("end", "2024-05-18T09:12:40Z")] {
        let line = text.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        assert!(line.ends_with(time) && line.len() == 80, "{line}");
    }
}

#[test]
fn only_the_latest_trips_are_listed() {
    let mut long = day(lists());
    if let Some(trips) = &mut long.trips {
        (trips.trip_count, trips.stop_count) = (3000, 2999);
    }
    let text = report(lists(), Style::Details, Units::M, &[long.clone()]);
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    assert_eq!(text.matches("only the latest 2 trips and 1 stop are listed").count(), 1, "{text}");
    // Nothing is listed without --trips.
    if let Some(trips) = &mut long.trips {
        (trips.trips, trips.stops) = (vec![], vec![]);
    }
    let text = report(Options::default(), Style::Details, Units::M, &[long]);
    assert!(!text.contains("latest"), "{text}");
}

#[test]
fn json_has_the_estimate_the_ledger_and_the_trips() {
    insta::assert_snapshot!(report(lists(), Style::Json, Units::M, &[day(lists())]), @r#"
    {"file":"a.gpx","track":"1","points":9448,"segments":3,"length_m":12171.5,"displacement_m":6.997,"model":"geodesic","bbox":null,"accepted":9440,"raw_length_m":12391.62,"elapsed_s":10047.0,"moving_s":9446.5,"max_speed_mps":2.643,"ascent_m":587.5,"descent_m":583.25,"rejections":[{"reason":"speed","count":3,"first_offset":17,"rejected_length_m":200.0},{"reason":"late","count":1,"first_offset":17,"rejected_length_m":-1e-9},{"reason":"zero_position","count":4,"first_offset":17,"rejected_length_m":0.0}],"kind":"track","incomplete":false,"notes":[],"gap_length_m":20.12,"raw_ascent_m":4979.7,"raw_descent_m":4974.1,"estimated_length_m":8012.4,"estimated_length_low_m":7691.9039999999995,"estimated_length_high_m":8413.02,"stop_count":1,"trip_count":2,"stopped_s":600.5,"ascent_method":{"smoothing_s":45.0,"threshold_m":3.0},"stops":[{"longitude_deg":13.8125,"latitude_deg":46.46875,"arrival_time":"2024-05-18T10:12:40Z","departure_time":"2024-05-18T10:22:40.5Z"}],"trips":[{"start_time":"2024-05-18T09:12:40Z","end_time":"2024-05-18T10:12:40Z","start_longitude_deg":13.75,"start_latitude_deg":46.4375,"end_longitude_deg":13.875,"end_latitude_deg":46.5,"estimated_length_m":5000.0,"estimated_length_low_m":4800.0,"estimated_length_high_m":5250.0},{"start_time":"2024-05-18T10:22:40Z","end_time":"2024-05-20T16:46:47Z","start_longitude_deg":13.75,"start_latitude_deg":46.4375,"end_longitude_deg":13.875,"end_latitude_deg":46.5,"estimated_length_m":3012.4,"estimated_length_low_m":2891.904,"estimated_length_high_m":3163.0200000000004}],"track_index":0}
    {"total":{"files":1,"failed_files":0,"tracks":1,"points":9448,"segments":3,"length_m":12171.5,"model":"geodesic","accepted":9440,"raw_length_m":12391.62,"moving_s":9446.5,"max_speed_mps":2.643,"ascent_m":587.5,"descent_m":583.25,"rejections":[{"reason":"speed","count":3,"rejected_length_m":200.0},{"reason":"late","count":1,"rejected_length_m":-1.0000000000157452e-9},{"reason":"zero_position","count":4,"rejected_length_m":0.0}],"notes":[],"more_notes":0,"gap_length_m":20.12,"raw_ascent_m":4979.7,"raw_descent_m":4974.1,"estimated_length_m":8012.4,"estimated_length_low_m":7691.9039999999995,"estimated_length_high_m":8413.02,"stop_count":1,"trip_count":2,"stopped_s":600.5,"ascent_method":{"smoothing_s":45.0,"threshold_m":3.0}}}
    "#);
    // The lists are there with --trips, also if they are empty.
    let mut short = day(lists());
    short.trips = Some(Trips::default());
    let json = report(lists(), Style::Json, Units::M, &[short.clone()]);
    assert_eq!(json.matches(r#""stops":[],"trips":[]"#).count(), 1, "{json}");
    let json = report(Options::default(), Style::Json, Units::M, &[short]);
    assert!(!json.contains(r#""stops":"#), "{json}");
}

#[test]
fn csv_has_the_newer_columns_at_the_end() {
    let csv = report(lists(), Style::Csv, Units::Km, &[day(lists())]);
    let row = |at: usize| csv.lines().nth(at).unwrap().split(',').collect::<Vec<_>>();
    let (names, track, total) = (row(0), row(1), row(2));
    let first = names.iter().position(|name| *name == "length_km").unwrap();
    let text = (first..names.len())
        .map(|at| format!("{}: {} | {}", names[at], track[at], total[at]))
        .collect::<Vec<_>>();
    insta::assert_snapshot!(text.join("\n"), @r"
    length_km: 12.1715 | 12.1715
    late_count: 1 | 1
    late_first_offset: 17 | 
    late_rejected_length_m: -0.000000001 | -0.0000000010000000000157452
    zero_position_count: 4 | 4
    zero_position_first_offset: 17 | 
    zero_position_rejected_length_m: 0 | 0
    duplicate_count: 0 | 0
    duplicate_first_offset:  | 
    duplicate_rejected_length_m: 0 | 0
    gap_length_m: 20.12 | 20.12
    raw_ascent_m: 4979.7 | 4979.7
    raw_descent_m: 4974.1 | 4974.1
    estimated_length_m: 8012.4 | 8012.4
    estimated_length_low_m: 7691.9039999999995 | 7691.9039999999995
    estimated_length_high_m: 8413.02 | 8413.02
    stop_count: 1 | 1
    trip_count: 2 | 2
    stopped_s: 600.5 | 600.5
    ");
}

#[test]
fn a_recording_has_its_trips_and_unused_options() {
    let mut summary = day(lists());
    let unused = UnusedOption { option: "reorder", missing: MissingData::Time };
    summary.unused_options = vec![unused];
    let path = StoredPath {
        name: "paths/day".to_owned(),
        is_complete: true,
        committed_points: summary.point_count,
        summary: Some(summary.clone()),
        options: None,
        create_unix_ms: None,
        update_unix_ms: None,
        expire_unix_ms: None,
        last_fix: Some(last_fix()),
    };
    let row = machine::json_recording(&path, Some(&lists()), "finished");
    let json = serde_json::to_string(&row).unwrap();
    let end = json.split_once(r#""gap_length_m""#).unwrap().1;
    insta::assert_snapshot!(end, @r#":20.12,"raw_ascent_m":4979.7,"raw_descent_m":4974.1,"estimated_length_m":8012.4,"estimated_length_low_m":7691.9039999999995,"estimated_length_high_m":8413.02,"stop_count":1,"trip_count":2,"stopped_s":600.5,"ascent_method":{"smoothing_s":45.0,"threshold_m":3.0},"stops":[{"longitude_deg":13.8125,"latitude_deg":46.46875,"arrival_time":"2024-05-18T10:12:40Z","departure_time":"2024-05-18T10:22:40.5Z"}],"trips":[{"start_time":"2024-05-18T09:12:40Z","end_time":"2024-05-18T10:12:40Z","start_longitude_deg":13.75,"start_latitude_deg":46.4375,"end_longitude_deg":13.875,"end_latitude_deg":46.5,"estimated_length_m":5000.0,"estimated_length_low_m":4800.0,"estimated_length_high_m":5250.0},{"start_time":"2024-05-18T10:22:40Z","end_time":"2024-05-20T16:46:47Z","start_longitude_deg":13.75,"start_latitude_deg":46.4375,"end_longitude_deg":13.875,"end_latitude_deg":46.5,"estimated_length_m":3012.4,"estimated_length_low_m":2891.904,"estimated_length_high_m":3163.0200000000004}],"unused_options":[{"option":"--reorder","missing":"time"}],"state":"finished","last_point":{"longitude_deg":13.8125,"latitude_deg":-0.5,"elevation_m":-3.5,"time":"2024-05-20T16:46:47.5Z","accuracy_m":4.0}}"#);
    let mut text = Vec::new();
    Report::recording(&mut text, "finished", &path, &summary, Names::Truncated).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("    trip  2024-05-18T09:12:40Z  1h"), "{text}");
    assert!(text.contains("    stop  2024-05-18T10:12:40Z  10m"), "{text}");
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("last point"));
    let values: Vec<_> = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(values, [vec!["-0.5000000,", "13.8125000"], vec!["at", "2024-05-20T16:46:47Z"]]);
}

fn last_fix() -> Fix {
    let fix = Fix::new(Point::geographic(-0.5, 13.8125).unwrap()).with_z(-3.5).unwrap();
    fix.at_unix_ns(1_716_223_607_500_000_000).unwrap().with_accuracy_m(4.0).unwrap()
}

#[test]
fn the_last_point_of_a_planar_recording_is_in_the_unit_of_the_caller() {
    let summary = PathAccumulator::new(Options::new(Metric::Planar)).summary();
    let point = Point::planar(1e6, -2.25).unwrap();
    let path = StoredPath {
        name: "paths/a".to_owned(),
        is_complete: false,
        committed_points: 1,
        summary: Some(summary),
        options: None,
        create_unix_ms: None,
        update_unix_ms: None,
        expire_unix_ms: None,
        last_fix: Some(point.into()),
    };
    let json = serde_json::to_string(&machine::json_recording(&path, None, "growing")).unwrap();
    assert!(json.ends_with(r#""last_point":{"x":1000000.0,"y":-2.25}}"#), "{json}");
    let lines = super::text::last_point(point.into());
    assert_eq!(lines, [("last point", "1000000, -2.25".to_owned())]);
}
