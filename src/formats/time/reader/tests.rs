//! Tests of the options for times.

use super::*;

fn reader(timezone: Option<&str>, time_format: Option<&str>) -> TimeReader {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let options = ReadOptions {
        timezone: own(timezone),
        time_format: own(time_format),
        ..Default::default()
    };
    TimeReader::new(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the time as RFC 3339 in UTC.
fn utc(reader: &mut TimeReader, text: &str) -> String {
    match reader.unix_ns(text.as_bytes(), None) {
        Ok(Some(unix_ns)) => Timestamp::from_nanosecond(unix_ns.into()).unwrap().to_string(),
        Ok(None) => "missing".to_owned(),
        Err(message) => message,
    }
}

#[test]
fn a_time_without_a_zone_is_in_the_zone_of_the_options() {
    let berlin = &mut reader(Some("Europe/Berlin"), None);
    assert_eq!(utc(berlin, "2024-02-01 10:00"), "2024-02-01T09:00:00Z");
    assert_eq!(utc(berlin, "2024-07-01 10:00"), "2024-07-01T08:00:00Z");
    assert_eq!(utc(berlin, "2024-07-01 10:00Z"), "2024-07-01T10:00:00Z");
    assert_eq!(utc(berlin, "2024-07-01 10:00+05:00"), "2024-07-01T05:00:00Z");
    assert_eq!(utc(berlin, "1706781600"), "2024-02-01T10:00:00Z");
    assert!(!berlin.assumes_zone());
    for (zone, expected) in
        [("+05:30", "04:30"), ("-0330", "13:30"), ("+02", "08:00"), ("utc", "10:00")]
    {
        let reader = &mut reader(Some(zone), None);
        assert_eq!(utc(reader, "2024-02-01 10:00"), format!("2024-02-01T{expected}:00Z"));
    }
    let none = &mut reader(None, None);
    utc(none, "2024-02-01 10:00Z");
    assert!(!none.assumes_zone());
    assert_eq!(utc(none, "2024-02-01 10:00"), "2024-02-01T10:00:00Z");
    assert!(none.assumes_zone());
}

/// The clocks in Berlin were set forward on 2024-03-31 at 01:00Z and back on 2024-10-27 at 01:00Z.
#[test]
fn a_time_that_occurs_twice_is_the_first_and_a_skipped_one_has_the_offset_before() {
    let berlin = &mut reader(Some("Europe/Berlin"), None);
    assert_eq!(utc(berlin, "2024-03-31 02:30"), "2024-03-31T01:30:00Z");
    assert_eq!(utc(berlin, "2024-10-27 02:30"), "2024-10-27T00:30:00Z");
    assert_eq!(utc(berlin, "2024-10-26 24:00"), "2024-10-26T22:00:00Z");
}

#[test]
fn the_format_of_the_options_is_used() {
    let reader = &mut reader(Some("Europe/Berlin"), Some("%d/%m/%Y %H:%M:%S"));
    assert_eq!(utc(reader, "01/02/2024 10:00:00"), "2024-02-01T09:00:00Z");
    insta::assert_snapshot!(utc(reader, "2024-02-01T10:00:00Z"), @r#"the time "2024-02-01T10:00:00Z" is not in the format "%d/%m/%Y %H:%M:%S""#);
    let zoned = &mut self::reader(None, Some("%Y-%m-%d %H:%M:%S %z"));
    assert_eq!(utc(zoned, "2024-02-01 10:00:00 +0200"), "2024-02-01T08:00:00Z");
    assert!(!zoned.assumes_zone());
}

#[test]
fn invalid_options_are_errors() {
    let error = |options: ReadOptions| match TimeReader::new(&options) {
        Ok(_) => panic!("the options are valid"),
        Err(error) => error.to_string(),
    };
    let zone =
        |zone: &str| error(ReadOptions { timezone: Some(zone.into()), ..Default::default() });
    insta::assert_snapshot!(zone("Mars/Base"), @r#"the time zone "Mars/Base" is unknown; use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00"#);
    for invalid in ["", "+1", "+25:00", "+02:60", "+é"] {
        assert!(zone(invalid).contains("unknown"), "{invalid}");
    }
    let format = |format: &str| {
        error(ReadOptions { time_format: Some(format.into()), ..Default::default() })
    };
    insta::assert_snapshot!(format("%d.%m.%Y %Q9"), @r#"the time format "%d.%m.%Y %Q9" is not valid: strptime parsing failed: expected to match literal byte `9` from format string, but found end of input; use the conversions of strptime, for example '%d/%m/%Y %H:%M:%S'"#);
    insta::assert_snapshot!(format("%H:%M:%S"), @r#"the time format "%H:%M:%S" is not valid: it has no complete date; use the conversions of strptime, for example '%d/%m/%Y %H:%M:%S'"#);
    insta::assert_snapshot!(format("plain"), @r#"the time format "plain" is not valid: it has no complete date; use the conversions of strptime, for example '%d/%m/%Y %H:%M:%S'"#);
}

#[test]
fn the_order_of_day_and_month_is_needed() {
    let reader = &mut reader(None, None);
    insta::assert_snapshot!(utc(reader, "01/02/2024 10:00"), @r#"the time "01/02/2024 10:00" may start with the day or with the month, and no value decides it; use --time-format, for example '%d/%m/%Y %H:%M:%S'"#);
    assert_eq!(reader.clarity(b"01/02/2024 10:00", None), Clarity::Ambiguous);
    assert_eq!(reader.clarity(b"13/02/2024 10:00", None), Clarity::Decides(DayOrder::DayFirst));
    assert_eq!(utc(reader, "13/02/2024 10:00"), "2024-02-13T10:00:00Z");
    // The time before has decided the order.
    assert_eq!(utc(reader, "01/02/2024 10:00"), "2024-02-01T10:00:00Z");
    assert_eq!(reader.clarity(b"", None), Clarity::Missing);
    assert_eq!(reader.clarity(b"10:00", None), Clarity::Unreadable);
    assert_eq!(reader.clarity(b"12.5", None), Clarity::Clear);
}
