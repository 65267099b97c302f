//! Tests of NMEA logs.

use proptest::prelude::*;

use super::super::options::OnInvalid;
use super::super::tests::{Recorded, error, texts, texts_with};
use super::*;

/// Returns sentences with their checksums, one per line.
fn log(sentences: &[&str]) -> String {
    let line = |text: &&str| {
        let checksum = text.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${text}*{checksum:02X}\r\n")
    };
    sentences.iter().map(line).collect()
}

#[test]
fn sentences_of_one_time_are_one_fix() {
    // 2008-06-05T20:06:41Z is 1212696401 s, by date -u -d.
    insta::assert_snapshot!(texts(&log(&[
        "GPGGA,200641.000,3549.4991,N,08650.8239,W,1,07,1.1,269.9,M,-31.4,M,,0000",
        "GPGSA,A,3,32,31,20,14,30,16,22,,,,,,2.1,1.1,1.8",
        "GPRMC,200641.000,A,3549.4991,N,08650.8239,W,0.00,224.45,050608,,,A",
        "GPGLL,3549.4991,N,08650.8239,W,200641.000,A,A",
        "GPGST,200641.000,,,,,3.0,4.0,9.0",
        "GPRMC,200642.500,A,3550.0000,N,08651.0000,W,0.00,224.45,050608,,,A",
        "GPGGA,200642.500,3550.00000,N,08651.00000,W,1,07,1.1,270.9,M,-31.4,M,,0000",
    ])), @"track / (-86.847065 35.824985 z269.9 t1212696401 a5) (-86.85 35.833333333333336 z270.9 t1212696402.5) = none");
}

#[test]
fn a_second_sentence_of_a_kind_is_the_next_fix_also_at_the_same_time() {
    let at = |kind: &str, time: u32, minutes: &str| match kind {
        "RMC" => format!("GPRMC,{time},A,48{minutes},N,01100.0,E,,,010124,,,A"),
        "GLL" => format!("GPGLL,48{minutes},N,01100.0,E,{time},A,A"),
        _ => format!("GP{kind},{time},48{minutes},N,01100.0,E,1,07,1.1,500,M,,M,,"),
    };
    let read = |sentences: &[String]| {
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        texts(&log(&sentences))
    };
    for kind in ["RMC", "GLL", "GGA"] {
        let text = read(&[
            at("RMC", 95_959, "00.0"),
            at(kind, 100_000, "00.0"),
            at(kind, 100_000, "00.6"),
            at(kind, 100_000, "01.2"),
        ]);
        assert!(text.contains("48.01") && text.contains("48.02"), "{kind}: {text}");
    }
    insta::assert_snapshot!(read(&[
        at("GGA", 100_000, "00.0"), at("RMC", 100_000, "00.0"),
        at("GGA", 100_000, "00.6"), at("RMC", 100_000, "00.6"),
        at("GGA", 100_001, "01.2"), at("RMC", 100_001, "01.2"),
    ]), @"track / (11 48 z500 t1704103200) (11 48.01 z500 t1704103200) (11 48.02 z500 t1704103201) = none");
}

#[test]
fn positions_of_another_receiver_at_one_time_are_noted() {
    // In the second and third time the order differs. The GN sentence has the position of GP with fewer digits.
    insta::assert_snapshot!(texts(&log(&[
        "GPRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A",
        "GLRMC,100000,A,4900.0,N,01100.0,E,,,010124,,,A",
        "GPGGA,100000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GLGGA,100000,4900.0,N,01100.0,E,1,07,1.1,700,M,,M,,",
        "GLGGA,100001,4900.0,N,01100.0,E,1,07,1.1,700,M,,M,,",
        "GPGGA,100001,4800.6,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100002,4801.203,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GNRMC,100002,A,4801.2,N,01100.0,E,,,010124,,,A",
        "GPGGA,100003,4801.8,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPRMC,100003,A,4804.8,N,01100.0,E,,,010124,,,A",
    ])), @"
        track / (11 48 z500 t1704103200) (11 48.01 z500 t1704103201) (11 48.02005 z500 t1704103202) (11 48.03 z500 t1704103203) = none
        ignored_content, line 2: the talkers GP and GL have different positions at one time; those of GP are read (2 times)
        ignored_content, line 10: sentences of one time have different positions; that of GGA, GNS, RMC or GLL is read, in this order
    ");
    // The layout of receivers of several systems: only the sentence of GN has the position.
    insta::assert_snapshot!(texts(&log(&[
        "GNRMC,100003,A,4800.6,N,01100.6,E,,,010124,,,A",
        "GNGNS,100003,4800.6,N,01100.6,E,AN,10,0.9,520.5,45.0,,",
        "GPGNS,100003,,,,,,8,,,,1.0,23.0",
        "GLGNS,100003,,,,,,5,,,,1.0,23.0",
    ])), @"track / (11.01 48.01 z520.5 t1704103203) = none");
}

#[test]
fn each_kind_of_position_and_each_system_is_read() {
    insta::assert_snapshot!(texts(&log(&[
        "GNRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A",
        "GLGGA,100001,4800.0,S,01100.0,W,2,07,1.1,,M,,M,,",
        "GAGLL,4830.0,N,01130.0,E,100002,A,A",
        "BDGNS,100003,4800.6,N,01100.6,E,AN,10,0.9,520.5,45.0,,",
        "GPGLL,4800.0,N,01100.0,E",
        "PGRME,15.0,M,45.0,M,25.0,M",
    ])), @"
        track / (11 48 t1704103200) (-11 -48 t1704103201) (11.5 48.5 t1704103202) (11.01 48.01 z520.5 t1704103203 a15) = none
        ignored_content, line 5: the talkers BD and GP have different positions at one time; those of BD are read
    ");
}

#[test]
fn a_void_fix_is_counted_once() {
    let void = log(&[
        "GPRMC,,V,,,,,,,,,,N",
        "GPGGA,,,,,,0,00,99.99,,,,,,",
        "GPGLL,,,,,,V,N",
        "GPRMC,,V,,,,,,,,,,N",
        "GPGGA,,,,,,0,00,99.99,,,,,,",
        "GPRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A",
        "GPGGA,100000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        // The last position is repeated without a fix.
        "GPRMC,100001,V,4800.0,N,01100.0,E,,,010124,,,N",
        "GPGGA,100001,4800.0,N,01100.0,E,6,00,,500,M,,M,,",
        "GNGNS,100002,4800.0,N,01100.0,E,NNN,10,0.9,520.5,45.0,,",
        "GPRMC,100003,A,4801.0,N,01100.0,E,,,010124,,,A",
    ]);
    insta::assert_snapshot!(texts(&void), @"
        track (invalid) (invalid) / (11 48 z500 t1704103200) (invalid) (invalid) (11 48.016666666666666 t1704103203) = none
        invalid_position, line 1: 4 points without a valid position are skipped; the first one: the receiver has no fix (status V in RMC)
    ");
    let split = ReadOptions { on_invalid: OnInvalid::Split, ..Default::default() };
    assert!(texts_with(&void, &split).contains("(invalid) (invalid) / (11 48.016666666666666"));
}

#[test]
fn a_bad_value_is_missing_and_the_rest_is_read() {
    insta::assert_snapshot!(texts(&log(&[
        "GPRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A",
        "GPGGA,250000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100002,4800.0,N,01100.0,E,1,07,1.1,high,M,,M,,",
        "GPGGA,100003,4800.0,N,01100.0,E,1,07,1.1,1640,F,,M,,",
        "GPGGA,100004,4860.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100005,4800.0,,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100006,9100.0,N,18100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100007,,,,,1,07,1.1,500,M,,M,,",
        "GPGGA,100008,4x.0,N,0.1.0,E,1",
    ])), @r#"
        track / (11 48 z500 t1704103200) (11 48 t1704103202) (11 48 t1704103203) (invalid) (invalid) (invalid) (invalid) (invalid) = none
        invalid_time, line 1: 1 invalid time is ignored: the time "250000" is not like 235959.00
        invalid_elevation, line 3: 2 invalid elevations are ignored; the first one: the altitude "high" is not a number
        invalid_position, line 5: 5 points without a valid position are skipped; the first one: the latitude "4860.0" is not like 4807.038
    "#);
}

#[test]
fn the_date_is_continued_over_midnight() {
    // 1703980799 s is 2023-12-30T23:59:59Z, and 1704067200 s is 2024-01-01T00:00:00Z, by date -u -d.
    insta::assert_snapshot!(texts(&log(&[
        "GPZDA,235959,30,12,2023,00,00",
        "GPGGA,235959,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,000000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,235959,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPRMC,000000,A,4800.0,N,01100.0,E,,,010124,,,A",
    ])), @"track / (11 48 z500 t1703980799) (11 48 z500 t1703980800) (11 48 z500 t1704067199) (11 48 t1704067200) = none");
}

#[test]
fn fixes_before_the_first_date_get_their_dates_from_it() {
    insta::assert_snapshot!(texts(&log(&[
        "GPGGA,235958,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,235959,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,000000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPRMC,000001,A,4800.0,N,01100.0,E,,,010124,,,A",
    ])), @"track / (11 48 z500 t1704067198) (11 48 z500 t1704067199) (11 48 z500 t1704067200) (11 48 t1704067201) = none");
}

#[test]
fn without_a_date_the_times_are_missing() {
    insta::assert_snapshot!(texts(&log(&[
        "GPGGA,100000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
        "GPGGA,100001,4801.0,N,01100.0,E,1,07,1.1,500,M,,M,,",
    ])), @"
        track / (11 48 z500) (11 48.016666666666666 z500) = none
        invalid_time, line 1: 2 invalid times are ignored; the first one: the time of day has no date, because no RMC or ZDA sentence near it has one
    ");
    // More fixes than can wait for a date.
    let many: String = (0..5000)
        .map(|at| {
            let (hour, minute, second) = (at / 3600, at / 60 % 60, at % 60);
            log(&[&format!(
                "GPGGA,{hour:02}{minute:02}{second:02},4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,"
            )])
        })
        .collect();
    let text = texts(&(many + &log(&["GPRMC,020000,A,4800.0,N,01100.0,E,,,010124,,,A"])));
    assert_eq!(text.matches(" t17").count(), 905, "{}", &text[text.len() - 500..]);
    assert!(text.contains("4096 invalid times are ignored"));
}

#[test]
fn a_sentence_with_a_wrong_checksum_is_skipped() {
    let file = log(&["GPRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A"])
        + "$GPRMC,100001,A,4900.0,N,01100.0,E,,,010124,,,A*00\n$GPRMC,100001,A,49*\n"
        + "$GPRMC,100002,A,4800.0,N,01100.0,E,,,010124,,,A\n";
    insta::assert_snapshot!(texts(&file), @"
        track / (11 48 t1704103200) (11 48 t1704103202) = none
        checksum, line 2: a sentence with a wrong checksum is skipped (2 times)
    ");
}

#[test]
fn other_lines_are_skipped_with_a_note() {
    let sentence = |time: u32| log(&[&format!("GPRMC,{time},A,4800.0,N,01100.0,E,,,010124,,,A")]);
    let file = format!(
        "A log, made by hand,\nwith two lines of text.\n\n2024-01-01T10:00:00.5 {}\\s:r3*1a\\{}$GPRMC,1000{}!AIVDM,1,1,,A,15M,0*6F\n\0\0\n",
        sentence(100_000),
        sentence(100_001),
        sentence(100_002),
    );
    insta::assert_snapshot!(texts(&file), @r#"
        track / (11 48 t1704103200) (11 48 t1704103201) (11 48 t1704103202) = none
        skipped_lines, line 1: 2 lines are skipped; the first one: "A log, made by hand," has no NMEA sentence
        checksum, line 6: a sentence with a wrong checksum is skipped
        ignored_content, line 7: an AIS message (positions of other ships) is ignored
    "#);
    let long = format!("{}\n{}", "x".repeat(10_000), sentence(100_000));
    let options = ReadOptions { format: Some(Format::Nmea), ..Default::default() };
    insta::assert_snapshot!(texts_with(&long, &options), @"
        track / (11 48 t1704103200) = none
        skipped_lines, line 1: 1 line is skipped: the line is longer than 4096 bytes
    ");
}

#[test]
fn a_log_without_a_position_is_explained() {
    let none = log(&["GPGSA,A,3,32,31,20,14,30,16,22,,,,,,2.1,1.1,1.8"]);
    insta::assert_snapshot!(error(none.as_bytes()), @"this NMEA has nothing to measure: no sentence with a position (RMC, GGA, GNS or GLL)");
    insta::assert_snapshot!(error(b"!AIVDM,1,1,,A,15M,0*6F\n"), @"this NMEA has nothing to measure: AIS messages, and no position of the receiver; decode the messages to a table first, for example with pyais");
    insta::assert_snapshot!(error(b"$GPGSV,1,1,00*79\n$GPGGA,100000,4800.0,N,01100.0,E,1,07,1.1,500,M,,M,,*00\n"), @"this NMEA has nothing to measure: sentences with wrong checksums, and no right one with a position");
}

#[test]
fn a_log_that_ends_early_gives_what_was_read() {
    let mut sink = Recorded::default();
    let file = log(&["GPRMC,100000,A,4800.0,N,01100.0,E,,,010124,,,A"])
        + "$GPRMC,100001,A,4801.0,N,01100.0,E,,,010124";
    let error =
        super::super::read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a.nmea"), @"a.nmea:2: the file ends within a sentence");
    insta::assert_snapshot!(sink.ended.concat(), @"track / (11 48 t1704103200) = none (incomplete)");
}

#[test]
fn only_sentences_are_detected() {
    for text in [
        "$GPGGA,1,2,3,4,5",
        "12:00 $GPTXT,01*62",
        "!AIVDM,1,1,,A,15M,0*6F",
        "x\n\n$GNRMC,,V,,,,,,,,,,N*4D",
    ] {
        assert!(matches(text.as_bytes()), "{text}");
    }
    for text in [
        "lat,lon\n1,2",
        "$GPGGA",
        "price,$USD,1\n",
        "a,$GPGGA,1,2,3,4,5",
        "\"$GPGGA,1,2,3,4,5\"",
        "$GPGGA,1",
        "$GPTXT,01*00",
        "",
    ] {
        assert!(!matches(text.as_bytes()), "{text}");
    }
}

proptest! {
    #[test]
    fn no_log_makes_it_panic(
        lines in prop::collection::vec(
            "(\\$|!)?(GP|GN)?(RMC|GGA|GLL|GNS|ZDA|GST),((10000[0-9]|235959|A|V|N|E|4800\\.0|01100\\.0|010124|1|é|),){0,12}(\\*[0-9A-F]{0,2})?",
            0..20,
        ),
    ) {
        let options = ReadOptions { format: Some(Format::Nmea), ..Default::default() };
        let _ = super::super::read(lines.join("\n").as_bytes(), &options, &mut Recorded::default());
    }
}
