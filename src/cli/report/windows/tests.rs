//! Tests of the rows of windows, with constructed summaries.

use super::super::{Names, Report, Style};
use super::*;
use crate::formats::TrackInfo;
use crate::measure::{ExactSum, Metric, Options, PathAccumulator, Totals, WindowsSummary, Zone};

const HOUR_S: i64 = 3600;

fn sum(length: f64) -> ExactSum {
    let mut sum = ExactSum::ZERO;
    sum.add(length).unwrap();
    sum
}

fn options(metric: Metric, unit: WindowUnit, zone: &str) -> Options {
    let windows = WindowOptions::new(unit, Zone::parse(zone).unwrap());
    Options::builder(metric).windows(windows).build().unwrap()
}

/// Returns a summary with windows from `(start, end, length, points)`, and 2 points and 0.5 m without a time.
fn summary(options: Options, windows: &[(i64, i64, f64, u64)]) -> PathSummary {
    let mut summary = PathAccumulator::new(options).summary();
    let window = |&(start_unix_s, end_unix_s, length, point_count): &(i64, i64, f64, u64)| {
        WindowSummary { start_unix_s, end_unix_s, length: sum(length), point_count }
    };
    let mut parts = WindowsSummary::empty(options.windows().unwrap());
    parts.windows = windows.iter().map(window).collect();
    (parts.undated_length, parts.undated_point_count) = (sum(0.5), 2);
    let points: u64 = windows.iter().map(|&(.., points)| points).sum();
    (summary.point_count, summary.accepted_count, summary.segment_count) =
        (points + 2, points + 2, 1);
    summary.length = 0.5 + windows.iter().map(|&(_, _, length, _)| length).sum::<f64>();
    summary.raw_length = summary.length;
    summary.windows = Some(parts);
    summary
}

/// Returns the report on one or two tracks and their total.
fn report(options: Options, style: Style, units: Units, tracks: &[PathSummary]) -> String {
    let mut out = Vec::new();
    let report_options = ReportOptions { style, measure: options, units, names: Names::Truncated };
    let mut report = Report::new(&mut out, report_options, ["a.gpx"].into_iter());
    let mut totals = Totals::new(options.metric());
    for (number, summary) in (1..).zip(tracks) {
        totals.add(summary).unwrap();
        let info = &TrackInfo::default();
        let track = Track { file: "a.gpx", number, info, summary: summary.clone(), notes: &[] };
        report.track(&track).unwrap();
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
    String::from_utf8(out).unwrap()
}

/// Two days around a change of the clocks: 23 hours, and then 24.
const DAYS: [(i64, i64, f64, u64); 2] =
    [(1_711_839_600, 1_711_922_400, 1500.25, 40), (1_711_922_400, 1_712_008_800, 2.25, 3)];

#[test]
fn text_has_the_windows_under_each_track_and_the_total() {
    let options = options(Metric::Geodesic, WindowUnit::Day, "Europe/Ljubljana");
    let tracks = [summary(options, &DAYS), summary(options, &DAYS[1..])];
    let text = report(options, Style::Text, Units::M, &tracks);
    insta::assert_snapshot!(text, @"
    file   track                                    points segments           length
    a.gpx  1                                            45        1      1 503.000 m
        by day, Europe/Ljubljana
          2024-03-31                                    40               1 500.250 m
          2024-04-01                                     3                   2.250 m
          without a time                                 2                   0.500 m
    a.gpx  2                                             5        1          2.750 m
        by day, Europe/Ljubljana
          2024-04-01                                     3                   2.250 m
          without a time                                 2                   0.500 m
    total  2 tracks                                     50        2      1 505.750 m
        by day, Europe/Ljubljana
          2024-03-31                                    40               1 500.250 m
          2024-04-01                                     6                   4.500 m
          without a time                                 4                   1.000 m
    ");
    assert!(text.lines().all(|line| line.len() <= 80));
    // The details come first.
    let text = report(options, Style::Details, Units::Km, &tracks[1..]);
    insta::assert_snapshot!(text, @"
    file   track                                    points segments           length
    a.gpx  1                                             5        1         0.003 km
        all points, unfiltered                           5                  0.003 km
        from first to last                                                  0.000 km
        by day, Europe/Ljubljana
          2024-04-01                                     3                  0.002 km
          without a time                                 2                  0.001 km
    total  1 track                                       5        1         0.003 km
        all points, unfiltered                           5                  0.003 km
        by day, Europe/Ljubljana
          2024-04-01                                     3                  0.002 km
          without a time                                 2                  0.001 km
    ");
}

#[test]
fn every_unit_has_a_label() {
    let label = |unit, zone: &str, start: i64| {
        Labels::new(WindowOptions::new(unit, Zone::parse(zone).unwrap())).label(start)
    };
    // The hour that the clocks of Ljubljana repeat.
    let repeated = 1_729_987_200;
    assert_eq!(label(WindowUnit::Hour, "Europe/Ljubljana", repeated), "2024-10-27 02:00 +02");
    assert_eq!(
        label(WindowUnit::Hour, "Europe/Ljubljana", repeated + HOUR_S),
        "2024-10-27 02:00 +01"
    );
    assert_eq!(label(WindowUnit::Hour, "Asia/Kathmandu", 504_904_500), "1986-01-01 01:00 +05:45");
    assert_eq!(label(WindowUnit::Day, "Pacific/Apia", 1_325_239_200), "2011-12-31");
    // A day that starts at 01:00.
    assert_eq!(label(WindowUnit::Day, "America/Sao_Paulo", 1_541_300_400), "2018-11-04");
    // An ISO week of another year than its first day.
    let week = label(WindowUnit::Week, "Europe/Ljubljana", 1_735_513_200);
    assert_eq!(week, "2025-W01, from 2024-12-30");
    assert_eq!(label(WindowUnit::Month, "Europe/Ljubljana", 1_709_247_600), "2024-03");
    assert_eq!(label(WindowUnit::Year, "UTC", -9_214_560_000), "1678");
}

#[test]
fn times_have_the_offset_of_the_zone() {
    let text = |zone: &str, unix_s: i64| {
        Labels::new(WindowOptions::new(WindowUnit::Day, Zone::parse(zone).unwrap())).rfc3339(unix_s)
    };
    assert_eq!(text("Europe/Ljubljana", 1_711_839_600), "2024-03-31T00:00:00+01:00");
    assert_eq!(text("Europe/Ljubljana", 1_711_922_400), "2024-04-01T00:00:00+02:00");
    assert_eq!(text("UTC", 0), "1970-01-01T00:00:00Z");
    // An offset of -4:56:02, which RFC 3339 does not have.
    assert_eq!(text("America/New_York", -2_717_694_238), "1883-11-18T04:56:02Z");
}

#[test]
fn json_has_the_windows_as_members_at_the_end() {
    let options = options(Metric::Geodesic, WindowUnit::Day, "Europe/Ljubljana");
    let tracks = [summary(options, &DAYS), summary(options, &DAYS[1..])];
    let json = report(options, Style::Json, Units::Km, &tracks);
    let ends: Vec<_> =
        json.lines().map(|line| &line[line.find("\"window_unit\"").unwrap()..]).collect();
    insta::assert_snapshot!(ends.join("\n"), @r#"
    "window_unit":"day","window_time_zone":"Europe/Ljubljana","windows":[{"start":"2024-03-31T00:00:00+01:00","end":"2024-04-01T00:00:00+02:00","length_m":1500.25,"points":40,"length_km":1.50025},{"start":"2024-04-01T00:00:00+02:00","end":"2024-04-02T00:00:00+02:00","length_m":2.25,"points":3,"length_km":0.00225}],"undated_length_m":0.5}
    "window_unit":"day","window_time_zone":"Europe/Ljubljana","windows":[{"start":"2024-04-01T00:00:00+02:00","end":"2024-04-02T00:00:00+02:00","length_m":2.25,"points":3,"length_km":0.00225}],"undated_length_m":0.5}
    "window_unit":"day","window_time_zone":"Europe/Ljubljana","windows":[{"start":"2024-03-31T00:00:00+01:00","end":"2024-04-01T00:00:00+02:00","length_m":1500.25,"points":40,"length_km":1.50025},{"start":"2024-04-01T00:00:00+02:00","end":"2024-04-02T00:00:00+02:00","length_m":4.5,"points":6,"length_km":0.0045}],"undated_length_m":1.0}}
    "#);
    let mut dropped = tracks[0].clone();
    dropped.windows.as_mut().unwrap().is_dropped = true;
    let json = report(options, Style::Json, Units::M, &[dropped]);
    let member = r#""windows":null,"undated_length_m":null}"#;
    assert_eq!(json.matches(member).count(), 2, "{json}");
    // The names of planar lengths have no unit.
    let planar = self::options(Metric::Planar, WindowUnit::Year, "UTC");
    let json =
        report(planar, Style::Json, Units::M, &[summary(planar, &[(0, 31_536_000, 7.0, 2)])]);
    let member = r#""windows":[{"start":"1970-01-01T00:00:00Z","end":"1971-01-01T00:00:00Z","length":7.0,"points":2}],"undated_length":0.5"#;
    assert_eq!(json.matches(member).count(), 2, "{json}");
}

#[test]
fn csv_has_a_row_for_each_window_after_the_row_of_its_track() {
    let options = options(Metric::Geodesic, WindowUnit::Day, "Europe/Ljubljana");
    let tracks = [summary(options, &DAYS), summary(options, &DAYS[1..])];
    let text = report(options, Style::Csv, Units::Km, &tracks);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let shown = [
        "kind",
        "file",
        "track",
        "points",
        "length_m",
        "length_km",
        "raw_length_m",
        "window",
        "window_start",
        "window_end",
    ];
    let mut rows = vec![shown.join(",")];
    for record in reader.records() {
        let record = record.unwrap();
        let field =
            |name: &&str| record[names.iter().position(|found| found == name).unwrap()].to_owned();
        rows.push(shown.iter().map(field).collect::<Vec<_>>().join(","));
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    kind,file,track,points,length_m,length_km,raw_length_m,window,window_start,window_end
    track,a.gpx,1,45,1503,1.503,1503,,,
    day,a.gpx,1,40,1500.25,1.50025,,2024-03-31,2024-03-31T00:00:00+01:00,2024-04-01T00:00:00+02:00
    day,a.gpx,1,3,2.25,0.00225,,2024-04-01,2024-04-01T00:00:00+02:00,2024-04-02T00:00:00+02:00
    undated,a.gpx,1,2,0.5,0.0005,,,,
    track,a.gpx,2,5,2.75,0.00275,2.75,,,
    day,a.gpx,2,3,2.25,0.00225,,2024-04-01,2024-04-01T00:00:00+02:00,2024-04-02T00:00:00+02:00
    undated,a.gpx,2,2,0.5,0.0005,,,,
    total,,,50,1505.75,1.50575,1505.75,,,
    total_day,,,40,1500.25,1.50025,,2024-03-31,2024-03-31T00:00:00+01:00,2024-04-01T00:00:00+02:00
    total_day,,,6,4.5,0.0045,,2024-04-01,2024-04-01T00:00:00+02:00,2024-04-02T00:00:00+02:00
    total_undated,,,4,1,0.001,,,,
    ");
    // Without --by, the table has no columns for windows.
    let plain = Options::new(Metric::Geodesic);
    let text = report(plain, Style::Csv, Units::M, &[PathAccumulator::new(plain).summary()]);
    assert!(!text.contains("window"), "{text}");
}

#[test]
fn earlier_windows_are_one_part() {
    let mut windows = WindowOptions::new(WindowUnit::Day, Zone::parse("Europe/Ljubljana").unwrap());
    windows.keep_latest = true;
    let options = Options::builder(Metric::Geodesic).windows(windows).build().unwrap();
    let mut track = summary(options, &DAYS[1..]);
    let json =
        |track: &PathSummary| report(options, Style::Json, Units::M, std::slice::from_ref(track));
    assert_eq!(json(&track).matches(r#","earlier_windows":null}"#).count(), 2);
    let (start_unix_s, end_unix_s, length, point_count) = DAYS[0];
    let earlier = WindowSummary { start_unix_s, end_unix_s, length: sum(length), point_count };
    track.windows.as_mut().unwrap().earlier = Some(earlier);
    let member = r#","earlier_windows":{"start":"2024-03-31T00:00:00+01:00","end":"2024-04-01T00:00:00+02:00","length_m":1500.25,"points":40}}"#;
    assert_eq!(json(&track).matches(member).count(), 2, "{}", json(&track));
    let text = report(options, Style::Text, Units::M, &[track.clone()]);
    let row = "      earlier                                       40               1 500.250 m\n";
    assert_eq!(text.matches(row).count(), 2, "{text}");
    let csv = report(options, Style::Csv, Units::M, &[track]);
    let starts: Vec<_> = csv.lines().map(|line| line.split(',').next().unwrap()).collect();
    let expected = ["kind", "track", "earlier", "day", "undated"];
    assert_eq!(starts[..5], expected);
    assert_eq!(starts[5..], ["total", "total_earlier", "total_day", "total_undated"]);
    let times = ",,2024-03-31T00:00:00+01:00,2024-04-01T00:00:00+02:00";
    assert_eq!(csv.lines().filter(|line| line.ends_with(times)).count(), 2, "{csv}");
}

#[test]
fn dropped_windows_are_reported() {
    let options = options(Metric::Geodesic, WindowUnit::Hour, "UTC");
    let mut track = summary(options, &DAYS);
    track.windows.as_mut().unwrap().is_dropped = true;
    let text = report(options, Style::Text, Units::M, &[track.clone()]);
    assert_eq!(
        text.matches("by hour, UTC: not available, there are too many").count(),
        2,
        "{text}"
    );
    let text = report(options, Style::Csv, Units::M, &[track]);
    assert_eq!(text.lines().count(), 3, "{text}");
}
