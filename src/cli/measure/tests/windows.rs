//! Tests of the arguments for windows, and of their notes.

use super::*;
use crate::measure::Zone;

fn windows(arguments: &str) -> Option<WindowOptions> {
    let words = ["measure", "-"].into_iter().chain(arguments.split_whitespace());
    Wrapper::parse_from(words).args.options().unwrap().all.windows()
}

#[test]
fn by_requests_windows_of_the_time_zone() {
    assert_eq!(windows(""), None);
    assert_eq!(windows("--timezone Europe/Ljubljana"), None);
    let zone = Zone::parse("Europe/Ljubljana").unwrap();
    for (by, unit) in [
        ("hour", WindowUnit::Hour),
        ("day", WindowUnit::Day),
        ("week", WindowUnit::Week),
        ("month", WindowUnit::Month),
        ("year", WindowUnit::Year),
    ] {
        let found = windows(&format!("--by {by} --timezone europe/ljubljana"));
        assert_eq!(found, Some(WindowOptions::new(unit, zone)));
    }
    let utc = WindowOptions::new(WindowUnit::Day, Zone::UTC);
    assert_eq!(windows("--by day --model planar"), Some(utc));
    // A server has a smaller limit.
    let remote = windows("--by day --server http://h").unwrap();
    assert_eq!(remote, WindowOptions { max_windows: 1000, ..utc });
    // The trips do not remove the windows.
    assert_eq!(windows("--by day --trips"), Some(utc));
}

#[test]
fn the_latest_windows_are_kept_with_and_without_a_number() {
    let day = WindowOptions { keep_latest: true, ..WindowOptions::new(WindowUnit::Day, Zone::UTC) };
    assert_eq!(windows("--by day --keep-latest-windows"), Some(day));
    let seven = WindowOptions { max_windows: 7, ..day };
    assert_eq!(windows("--by day --keep-latest-windows=7"), Some(seven));
    let remote = WindowOptions { max_windows: 1000, ..day };
    assert_eq!(windows("--by day --keep-latest-windows --server http://h"), Some(remote));
    for arguments in [
        "--keep-latest-windows",
        "--by day --keep-latest-windows=0",
        "--by day --keep-latest-windows=100001",
    ] {
        let words = ["measure", "-"].into_iter().chain(arguments.split_whitespace());
        assert!(Wrapper::try_parse_from(words).is_err(), "{arguments}");
    }
}

/// The total keeps the latest windows of both tracks. The rows of each table sum to its length.
#[test]
fn earlier_windows_are_one_row() {
    let file = "lat,lon,time\n0,0,2024-05-01T10:00:00Z\n0,0.001,2024-05-01T11:00:00Z\n\
        0,0.002,2024-05-02T11:00:00Z\n0,0.004,2024-05-03T11:00:00Z\n0,0.005,2024-05-04T11:00:00Z\n";
    let other = file.replace("2024-05", "2024-06");
    let files = [("a.csv", file), ("b.csv", &other)];
    let run = run_with(&files, "a.csv b.csv --by day --keep-latest-windows=2", "");
    insta::assert_snapshot!(run.out, @"
    file                   track                    points segments           length
    a.csv  1                             5        1        556.597 m
        by day, UTC
          earlier                                        3                 343.235 m
          2024-05-03                                     1                 162.341 m
          2024-05-04                                     1                  51.021 m
    b.csv  1                             5        1        556.597 m
        by day, UTC
          earlier                                        3                 343.235 m
          2024-06-03                                     1                 162.341 m
          2024-06-04                                     1                  51.021 m
    total                  2 tracks                     10        2      1 113.195 m
        by day, UTC
          earlier                                        8                 899.833 m
          2024-06-03                                     1                 162.341 m
          2024-06-04                                     1                  51.021 m
    ");
}

#[test]
fn an_unknown_time_zone_is_an_error_with_a_similar_name() {
    let words = ["measure", "-", "--by", "day", "--timezone", "Europe/Ljublana"];
    let error = Wrapper::try_parse_from(words).err().unwrap().to_string();
    assert!(error.contains("did you mean Europe/Ljubljana?"), "{error}");
}

#[test]
fn windows_without_times_cause_a_note() {
    let file = "lat,lon\n0,0\n0,1\n";
    let run = run_with(&[("a.csv", file)], "a.csv --by day", "");
    insta::assert_snapshot!(run.messages, @"note: a.csv: track 1: --by had no effect: no point has a time");
}

#[test]
fn the_time_zone_of_windows_causes_no_note() {
    let file = "<gpx><trk><trkseg><trkpt lat='0' lon='0'><time>2024-05-18T09:12:40Z</time></trkpt>
        <trkpt lat='0' lon='1'><time>2024-05-18T10:12:40Z</time></trkpt></trkseg></trk></gpx>";
    let arguments = "a.gpx --timezone Europe/Ljubljana";
    let run = run_with(&[("a.gpx", file)], arguments, "");
    assert!(run.messages.contains("--timezone had no effect"), "{}", run.messages);
    let run = run_with(&[("a.gpx", file)], &format!("{arguments} --by day"), "");
    assert_eq!(run.messages, "");
}
