//! Tests of the columns of times.

use super::super::super::tests::{error_with, texts, texts_with};
use super::*;

/// Returns the times of the points, without the notes on zones.
fn times(file: &str) -> String {
    let text = texts(file);
    text.lines()
        .filter(|line| !line.starts_with("assumed_zone"))
        .map(|line| line.replace("(2 1", "(") + "\n")
        .collect()
}

#[test]
fn times_are_read_in_every_form() {
    // 1 706 781 600 s after 1970 is 2024-02-01T10:00:00Z.
    for text in [
        "2024-02-01 10:00",
        "20240201T100000Z",
        "2024-02-01 10:00:00 UTC",
        "01.02.2024 10:00:00",
        "2024/02/01 10:00:00",
        "\"2024-02-01 10:00:00,0\"",
        "1706781600",
        "1706781600000",
    ] {
        let file = format!("lat,lon,timestamp\n1,2,{text}\n");
        assert_eq!(times(&file), "track / ( t1706781600) = none\n", "{text}");
    }
    // 24:00:00 on 2024-01-31.
    assert_eq!(
        times("lat,lon,time\n1,2,2024-01-31T24:00:00Z\n"),
        "track / ( t1706745600) = none\n"
    );
}

#[test]
fn a_time_without_a_zone_is_noted_once() {
    let file = "lat,lon,time\n1,2,2024-02-01 10:00\n1,2,2024-02-01 10:01\n";
    insta::assert_snapshot!(texts(file), @r"
    track / (2 1 t1706781600) (2 1 t1706781660) = none
    assumed_zone, line 2, column 3: the times have no time zone and are read as UTC; use --timezone to choose another zone
    ");
    let berlin = ReadOptions { timezone: Some("Europe/Berlin".to_owned()), ..Default::default() };
    insta::assert_snapshot!(texts_with(file, &berlin), @"track / (2 1 t1706778000) (2 1 t1706778060) = none");
    let mars = ReadOptions { timezone: Some("Mars".to_owned()), ..Default::default() };
    insta::assert_snapshot!(error_with(file.as_bytes(), &mars), @r#"the time zone "Mars" is unknown; use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00"#);
}

#[test]
fn a_date_and_a_time_of_day_are_combined() {
    let expected = "track / ( t1706781600) ( t1706781601) = none\n";
    for file in [
        "No,lat,lon,Date,Time\n1,1,2,2024/02/01,10:00:00\n2,1,2,2024/02/01,10:00:01\n",
        "time;date;lat;lon\n10:00:00;01.02.2024;1;2\n10:00:01;01.02.2024;1;2\n",
        "lat,lon,UTC Date,UTC Time\n1,2,20240201,100000\n1,2,20240201,100001\n",
        "lat,lon,date,time\n1,2,2024-02-01 00:00:00,10:00:00\n1,2,2024-02-01 00:00:00,10:00:01\n",
        "lat,lon,date,time\n1,2,2024-02-01,2024-02-01T10:00:00Z\n1,2,2024-02-01,2024-02-01T10:00:01Z\n",
        "lat,lon,date\n1,2,2024-02-01T10:00:00Z\n1,2,2024-02-01T10:00:01Z\n",
    ] {
        assert_eq!(times(file), expected, "{file}");
    }
    insta::assert_snapshot!(times("lat,lon,date,time\n1,2,2024-02-01,\n1,2,,10:00:00\n1,2,2024-02-01,10:00:00\n"), @r#"
    track / () () ( t1706781600) = none
    invalid_time, line 3, column 4: 1 invalid time is ignored: the time "10:00:00" has no date, in the column "time"
    "#);
}

#[test]
fn the_first_column_with_a_time_is_used() {
    insta::assert_snapshot!(times("time,timestamp,lat,lon\n10:00:00,2024-02-01T10:00:00Z,1,2\n10:00:01,2024-02-01T10:00:01Z,1,2\n"), @r#"
    track / ( t1706781600) ( t1706781601) = none
    ignored_column, -: the column "time" is ignored: it has no date with a time of day
    "#);
    // The first row decides nothing.
    insta::assert_snapshot!(times("time,timestamp,lat,lon\n,,1,2\n-,-,1,2\nx,2024-02-01T10:00:00Z,1,2\n"), @r#"
    track / () () ( t1706781600) = none
    invalid_time, line 3, column 2: 1 invalid time is ignored: the time "-" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970, in the column "timestamp"
    ignored_column, -: the column "time" is ignored: it has no date with a time of day
    "#);
    insta::assert_snapshot!(times("time,lat,lon\n-,1,2\n2024-02-01T10:00:00Z,1,2\n"), @r#"
    track / () ( t1706781600) = none
    invalid_time, line 2, column 1: 1 invalid time is ignored: the time "-" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970, in the column "time"
    "#);
    insta::assert_snapshot!(times("time,lat,lon\n10:00:00,1,2\n10:00:01,1,2\n"), @r#"
    track / () () = none
    invalid_time, line 2, column 1: 2 invalid times are ignored; the first one: the time "10:00:00" has no date, in the column "time"
    "#);
    insta::assert_snapshot!(times("time,timestamp,lat,lon\n5,6,1,2\n"), @r#"
    track / ( t5) = none
    ignored_column, -: the column "timestamp" is ignored: another column has the time
    assumed_notation, line 2, column 1: numbers such as "5" are read as times since 1970, here 5 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn the_values_decide_the_order_of_day_and_month() {
    insta::assert_snapshot!(times("lat,lon,time\n1,2,01/02/2024 10:00:00\n1,2,13/02/2024 10:00:00\n"), @"track / ( t1706781600) ( t1707818400) = none");
    insta::assert_snapshot!(times("lat,lon,time\n1,2,2/1/2024 10:00 AM\n1,2,2/13/2024 10:00 AM\n"), @"track / ( t1706781600) ( t1707818400) = none");
    // Nothing decides it.
    let file = "lat,lon,time\n1,2,01/02/2024 10:00:00\n1,2,01/02/2024 10:01:00\n";
    insta::assert_snapshot!(texts(file), @r#"
    track / (2 1) (2 1) = none
    invalid_time, line 2, column 3: 2 invalid times are ignored; the first one: the time "01/02/2024 10:00:00" may start with the day or with the month, and no value decides it; use --time-format, for example '%d/%m/%Y %H:%M:%S', in the column "time"
    "#);
    let format =
        ReadOptions { time_format: Some("%d/%m/%Y %H:%M:%S".to_owned()), ..Default::default() };
    insta::assert_snapshot!(texts_with(file, &format), @r"
    track / (2 1 t1706781600) (2 1 t1706781660) = none
    assumed_zone, line 2, column 3: the times have no time zone and are read as UTC; use --timezone to choose another zone
    ");
    let invalid = ReadOptions { time_format: Some("%Q".to_owned()), ..Default::default() };
    insta::assert_snapshot!(error_with(file.as_bytes(), &invalid), @r#"the time format "%Q" is not valid: it has no complete date; use the conversions of strptime, for example '%d/%m/%Y %H:%M:%S'"#);
    // A value after the first thousand rows decides it for the rows after it.
    let many = "1,2,01/02/2024 10:00:00\n".repeat(1000);
    let late =
        texts(&format!("lat,lon,time\n{many}1,2,13/02/2024 10:00:00\n1,2,01/02/2024 10:00:00\n"));
    assert!(
        late.contains("(2 1) (2 1 t1707818400) (2 1 t1706781600) = none"),
        "{}",
        &late[late.len() - 600..]
    );
    assert!(late.contains("1000 invalid times are ignored"));
}

#[test]
fn numbers_that_may_be_days_are_seconds_with_a_note() {
    insta::assert_snapshot!(times("lat,lon,time\n1,2,45323.5\n1,2,45323.6\n"), @r#"
    track / ( t45323.5) ( t45323.6) = none
    assumed_notation, line 2, column 3: times such as "45323.5" are read as seconds since 1970; if they are days, as in a spreadsheet, write dates
    "#);
    insta::assert_snapshot!(times("lat,lon,time\n1,2,12.5\n1,2,45323\n1,2,1706781600.5\n"), @r#"
    track / ( t12.5) ( t45323) ( t1706781600.5) = none
    assumed_notation, line 2, column 3: numbers such as "12.5" are read as times since 1970, here 12.5 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn common_names_of_times_are_found() {
    for name in [
        "Datum/Zeit",
        "Datum Zeit",
        "Zeitpunkt",
        "Zeit",
        "Date et heure",
        "Date/heure",
        "Date heure",
        "Horodatage",
        "Data e ora",
        "Data/ora",
        "Fecha y hora",
        "Fecha",
        "Datum tijd",
        "when",
        "t",
        "loggingTime(txt)",
        "locationTimestamp_since1970(s)",
        "recorded_at",
        "created_at",
        "captured_at",
        "gps_datetime",
        "utc_datetime",
    ] {
        let file = format!("lat,lon,{name}\n1,2,2024-02-01T10:00:00Z\n");
        assert_eq!(times(&file), "track / ( t1706781600) = none\n", "{name}");
    }
    for (date, time) in [
        ("Datum", "Uhrzeit"),
        ("Fecha", "Hora"),
        ("Data", "Ora"),
        ("Date", "Heure"),
        ("Datum", "Tijd"),
    ] {
        let file = format!("lat,lon,{date},{time}\n1,2,2024-02-01,10:00:00\n");
        assert_eq!(times(&file), "track / ( t1706781600) = none\n", "{date}");
    }
}

#[test]
fn a_column_with_times_and_another_name_is_noted() {
    insta::assert_snapshot!(texts("lat,lon,moment\n1,2,\n1,2,2024-02-01 10:00:00\n"), @r#"
    track / (2 1) (2 1) = none
    ignored_column, line 3, column 3: the column "moment" is ignored, although it has times; use --time-column "moment" to read them
    "#);
    assert_eq!(texts("lat,lon,a,b\n1,2,10:00:00,2024-02-01\n"), "track / (2 1) = none\n");
}

#[test]
fn small_numbers_are_times_with_a_note() {
    insta::assert_snapshot!(texts("Time (s),lat,lon\n0.0,1,2\n1.0,1,2\n"), @r#"
    track / (2 1 t0) (2 1 t1) = none
    assumed_notation, line 2, column 1: numbers such as "0.0" are read as times since 1970, here 0 s; if they count from another time, only their differences are right
    "#);
    insta::assert_snapshot!(texts("time_ms,lat,lon\n500,1,2\n1500,1,2\n"), @r#"
    track / (2 1 t0.5) (2 1 t1.5) = none
    assumed_notation, line 2, column 1: numbers such as "500" are read as times since 1970, here 0.5 s; if they count from another time, only their differences are right
    "#);
    assert_eq!(times("time,lat,lon\n1970-01-01T00:00:07Z,1,2\n"), "track / ( t7) = none\n");
}

#[test]
fn a_local_time_at_a_change_of_the_clocks_is_noted() {
    let berlin = ReadOptions { timezone: Some("Europe/Berlin".to_owned()), ..Default::default() };
    // The clocks are set back from 03:00 to 02:00 on 2024-10-27, and forward on 2024-03-31.
    insta::assert_snapshot!(texts_with("lat,lon,time\n1,2,2024-10-27 01:59:00\n1,2,2024-10-27 02:30:00\n", &berlin), @r#"
    track / (2 1 t1729987140) (2 1 t1729989000) = none
    assumed_zone, line 3, column 3: the local time "2024-10-27 02:30:00" occurs twice or never, because the clocks change; it is read with the offset before the change
    "#);
    insta::assert_snapshot!(texts_with("lat,lon,time\n1,2,2024-03-31 02:30:00\n", &berlin), @r#"
    track / (2 1 t1711848600) = none
    assumed_zone, line 2, column 3: the local time "2024-03-31 02:30:00" occurs twice or never, because the clocks change; it is read with the offset before the change
    "#);
    insta::assert_snapshot!(texts_with("lat,lon,time\n1,2,2024-10-27 02:30:00+01:00\n", &berlin), @r"track / (2 1 t1729992600) = none");
}

#[test]
fn small_numbers_of_a_chosen_column_have_no_note() {
    let chosen = ReadOptions { time_column: Some("s".to_owned()), ..Default::default() };
    insta::assert_snapshot!(texts_with("lat,lon,s\n1,2,0\n1,2,1\n", &chosen), @"track / (2 1 t0) (2 1 t1) = none");
}

#[test]
fn numbers_in_a_column_of_dates_are_not_seconds() {
    for (name, value) in
        [("date", "20240201"), ("day", "3"), ("day", "20240201"), ("gps_date", "010224")]
    {
        let text = times(&format!("lat,lon,{name}\n1,2,{value}\n1,2,{value}\n"));
        assert!(
            text.starts_with("track / () () = none\ninvalid_time, line 2, column 3: 2 "),
            "{text}"
        );
    }
    insta::assert_snapshot!(times("lat,lon,date\n1,2,1706781600\n"), @r#"
    track / ( t1706781600) = none
    assumed_notation, line 2, column 3: dates such as "1706781600" are read as seconds or milliseconds since 1970
    "#);
    insta::assert_snapshot!(times("lat,lon,date\n1,2,20240201100000\n"), @"track / ( t1706781600) = none");
}

#[test]
fn the_parts_of_a_time_are_combined() {
    // 2024-02-01T10:00:00Z and half a second later.
    for file in [
        "year,month,day,hour,minute,second,lat,lon\n2024,2,1,10,0,0,1,2\n2024,2,1,10,0,0.5,1,2\n",
        "lat,lon,Year,Month,Day,HH,Min,Sec\n1,2,2024,02,01,10,00,00\n1,2,2024,Feb,1,10,00,00.5\n",
        "lat,lon,year,month,day,time\n1,2,2024,2,1,10:00:00\n1,2,2024,2,1,10:00:00.5\n",
    ] {
        assert_eq!(times(file), "track / ( t1706781600) ( t1706781600.5) = none\n", "{file}");
    }
    let text = times("lat,lon,year,month,day,hour,minute\n1,2,24,2,1,10,0\n");
    assert!(text.starts_with("track / () = none\ninvalid_time, line 2"), "{text}");
}

#[test]
fn times_of_six_digits_are_times_of_day() {
    // 2024-02-01T09:59:59Z is 1 second before 1 706 781 600 s.
    for file in [
        "lat,lon,gps_date,time\n1,2,010224,095959\n1,2,010224,100000.00\n",
        "lat,lon,UTC date,time\n1,2,010224,095959.00\n1,2,010224,100000\n",
        "lat,lon,gps_date,time\n1,2,010224,09:59:59Z\n1,2,'010224,10:00:00Z\n",
    ] {
        let text = times(file);
        assert!(text.starts_with("track / ( t1706781599) ( t1706781600) = none\nassumed_notation, line 2, column 4: dates of six digits"), "{text}");
    }
    for file in [
        "lat,lon,date,time\n1,2,2024-02-01,95959\n1,2,2024-02-01,100000\n",
        "lat,lon,date,time\n1,2,'2024-02-01,'95959\n1,2,2024-02-01\u{a0},100000\n",
    ] {
        assert_eq!(times(file), "track / ( t1706781599) ( t1706781600) = none\n");
    }
    insta::assert_snapshot!(times("lat,lon,time\n1,2,095959\n1,2,100000.00\n"), @r#"
    track / () () = none
    ignored_column, -: the column "time" is ignored: its values are like times of day without a date, such as 095959
    "#);
    // One value that is not a time of day makes them numbers of seconds.
    insta::assert_snapshot!(times("lat,lon,time\n1,2,100000\n1,2,100060\n1,2,100090\n"), @r#"
    track / ( t100000) ( t100060) ( t100090) = none
    assumed_notation, line 2, column 3: numbers such as "100000" are read as times since 1970, here 100000 s; if they count from another time, only their differences are right
    "#);
    // A date without digits of its own does not make small numbers seconds since 1970.
    let text = times("lat,lon,date,time\n1,2,010224,095959\n");
    assert!(text.starts_with("track / () = none\n"), "{text}");
}
