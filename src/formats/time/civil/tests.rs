//! Tests of the forms of dates and times.

use proptest::prelude::*;

use super::*;

/// 2024-02-01T10:00:00Z; `date -u -d 2024-02-01T10:00:00Z +%s`.
const TEN: i128 = 1_706_781_600_000_000_000;

fn unix_ns(text: &str, order: Option<DayOrder>) -> Option<i128> {
    let civil = parse(text.as_bytes()).ok()?;
    Some(civil.local_ns(order)? - i128::from(civil.offset_s.unwrap_or(0)) * 1_000_000_000)
}

#[test]
fn one_time_is_read_in_every_form() {
    for text in [
        "2024-02-01T10:00:00Z",
        " 2024-02-01 10:00 ",
        "2024-02-01t10:00:00.000z",
        "2024-02-01T11:00:00+01:00",
        "2024-02-01 11:00:00 +01",
        "2024-02-01T04:30:00-0530",
        "2024-02-01 10:00:00 UTC",
        "2024-02-01 10:00:00 GMT",
        "2024-02-01 12:00:00 UTC+2",
        "2024/02/01 10:00:00",
        "2024/2/1 10:00",
        "2024.02.01 10:00:00,0",
        "2024:02:01 10:00:00",
        "20240201T100000Z",
        "20240201T1000Z",
        "20240201 100000",
        "20240201_100000",
        "20240201100000",
        "2024-02-01, 10:00:00",
        "2024-02-01 10:00:00 AM",
        "01.02.2024 10:00:00",
        "1.2.2024, 10:00",
        "1-Feb-2024 10:00:00",
        "01 Feb 2024 10:00:00",
        "Thu, 01 Feb 2024 10:00:00 GMT",
        "Feb 1, 2024 10:00 am",
        "February 1, 2024, 10:00:00 AM",
        "2024-Feb-01 10:00",
    ] {
        assert_eq!(unix_ns(text, None), Some(TEN), "{text}");
    }
    let ms_123 = TEN + 123_456_789;
    assert_eq!(unix_ns("2024-02-01T10:00:00.1234567899Z", None), Some(ms_123));
    assert_eq!(unix_ns("2024-02-01T10:00:00,123456789Z", None), Some(ms_123));
}

#[test]
fn the_day_or_the_month_is_first() {
    let both = "01/02/2024 10:00:00";
    assert_eq!(unix_ns(both, None), None);
    assert!(parse(both.as_bytes()).unwrap().is_ambiguous());
    assert_eq!(unix_ns(both, Some(DayOrder::DayFirst)), Some(TEN));
    assert_eq!(unix_ns("2/1/2024 10:00", Some(DayOrder::MonthFirst)), Some(TEN));
    assert_eq!(unix_ns("02-01-2024 10:00", Some(DayOrder::MonthFirst)), Some(TEN));
    // 12 hours after 10 o'clock.
    let evening = unix_ns("2/1/2024 10:00 PM", Some(DayOrder::MonthFirst));
    assert_eq!(evening, Some(TEN + 12 * 3_600_000_000_000));
    for (text, order) in
        [("13/02/2024 1:00", DayOrder::DayFirst), ("2-13-2024 1:00", DayOrder::MonthFirst)]
    {
        let civil = parse(text.as_bytes()).unwrap();
        assert_eq!((civil.order(), civil.is_ambiguous()), (Some(order), false));
        assert_eq!(unix_ns(text, None), unix_ns("2024-02-13 1:00", None));
    }
    // Both orders give the same date.
    assert_eq!(unix_ns("02/02/2024 0:00", None), unix_ns("2024-02-02 0:00", None));
    assert_eq!(unix_ns("13/13/2024 0:00", None), None);
    assert_eq!(unix_ns("13/02/2024 0:00", Some(DayOrder::MonthFirst)), None);
}

#[test]
fn hour_24_is_midnight_and_a_leap_second_is_before_it() {
    let midnight = unix_ns("2024-03-01T00:00:00Z", None).unwrap();
    assert_eq!(unix_ns("2024-02-29T24:00:00Z", None), Some(midnight));
    assert_eq!(unix_ns("20240229T240000Z", None), Some(midnight));
    assert_eq!(unix_ns("2024-02-29 24:00", None), Some(midnight));
    assert_eq!(unix_ns("2024-02-29T23:59:60Z", None), Some(midnight - 1));
    assert_eq!(unix_ns("12/31/2024 12:00 AM", None), unix_ns("2024-12-31 00:00", None));
}

#[test]
fn other_text_is_not_a_time() {
    for text in [
        "",
        "x",
        "2024-02-30 10:00",
        "2024-13-01 10:00",
        "2024-02-01T24:00:01",
        "2024-02-01T10:60",
        "2024-02-01T10",
        "2024-02-01T10:00:61",
        "2024-02-01T10:00:00.Z",
        "2024-02-01T10:00+1",
        "2024-02-01T10:00+24:00",
        "2024-02-01T10:00:00ZZ",
        "2024-02/01 10:00",
        "01.02.24 10:00",
        "1/2/24 10:00",
        "2024-02-01 13:00 PM",
        "2024-02-01 0:00 AM",
        "45323.41",
        "010224 10:00",
        "2024-02-0110:00",
        "Foo 1, 2024 10:00",
        "é",
    ] {
        assert_eq!(unix_ns(text, None), None, "{text}");
    }
    assert_eq!(parse(b"10:00:00"), Err(Fault::NoDate));
    assert_eq!(parse(b"2024-02-01"), Err(Fault::NoTime));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,30}", date in "(2024-05-18|1/2/2024|Feb )[T é+-:0-9]{0,12}") {
        let _ = (parse(text.as_bytes()), parse(date.as_bytes()));
    }

    #[test]
    fn the_common_form_is_read_as_any_other(
        text in "20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,11})?(Z|\\+01|)",
        at in 0..19_usize,
        byte in "[0-9:TZ -]",
    ) {
        let mut changed = text.clone();
        changed.replace_range(at..at + 1, &byte);
        for text in [text, changed] {
            if let Some(civil) = common(text.as_bytes()) {
                prop_assert_eq!(parse_any(text.as_bytes()), Ok(civil), "{}", text);
            }
        }
        prop_assert!(common(b"2024-02-01T10:00:00.25Z").is_some());
    }

    /// jiff parses RFC 3339, too.
    #[test]
    fn times_of_rfc_3339_are_those_of_jiff(unix_ns in -62_000_000_000_000_000_000_i128..253_000_000_000_000_000_000) {
        let timestamp = jiff::Timestamp::from_nanosecond(unix_ns).unwrap();
        prop_assert_eq!(super::tests::unix_ns(&timestamp.to_string(), None), Some(unix_ns));
    }
}
