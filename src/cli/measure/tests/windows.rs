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
