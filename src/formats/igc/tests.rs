//! Tests of flight recorder files.

use proptest::prelude::*;

use super::super::tests::{Recorded, error as error_of, texts};
use super::*;

const FLIGHT: &str = "AXXX001\r\nHFDTE010124\r\nHFCIDCOMPETITIONID:XY\r\nHFGIDGLIDERID: D-1234\r\nHFDTM100GPSDATUM:WGS-1984\r\n";

#[test]
fn fixes_have_the_gnss_altitude_if_they_have_three_dimensions() {
    // 48 degrees 6.060 minutes are 48.101 degrees. 1704103200 s is 2024-01-01T10:00:00Z, by date -u -d.
    insta::assert_snapshot!(texts(&format!(
        "{FLIGHT}B1000004806000N01106000EA0050000512\r\nB1001004806060S01106000WA-0050-0012\r\nB1002004806060N01106000EV0050000000\r\nLXXXcomment\r\nG123\r\n"
    )), @r#"track / (11.1 48.1 z512 t1704103200) (-11.1 -48.101 z-12 t1704103260) (11.1 48.101 t1704103320) = "D-1234""#);
}

#[test]
fn both_forms_of_the_date_are_read() {
    for date in ["HFDTE010124", "HFDTEDATE:010124,01", "HFDTEDATE: 010124", "HPDTE:010124"] {
        let text = texts(&format!("AXXX001\n{date}\nB1000004806000N01106000EA0050000500\n"));
        assert!(text.contains("t1704103200"), "{date}: {text}");
    }
    insta::assert_snapshot!(texts("AXXX001\nHFDTE320124\nB1000004806000N01106000EA0050000500\nB1000014806000N01106000EA0050000500\n"), @r#"
        track / (11.1 48.1 z500) (11.1 48.1 z500) = none
        invalid_time, line 3: 2 invalid times are ignored; the first one: the time of day has no date, because no HFDTE record precedes it
        invalid_time, line 2: 1 invalid time is ignored: the date "HFDTE320124" is not like HFDTE311224
    "#);
}

#[test]
fn the_date_is_continued_over_midnight() {
    // 1704153599 s is 2024-01-01T23:59:59Z, by date -u -d.
    insta::assert_snapshot!(texts("HFDTE010124\nB2359594806000N01106000EA0050000500\nB0000004806000N01106000EA0050000500\n"), @"track / (11.1 48.1 z500 t1704153599) (11.1 48.1 z500 t1704153600) = none");
}

#[test]
fn the_header_of_another_flight_starts_a_track() {
    let fixes = "B1000004806000N01106000EA0050000500\nB1000014806060N01106000EA0050000500\n";
    insta::assert_snapshot!(texts(&format!("{FLIGHT}{fixes}AXXX002\nHFDTE020124\n{fixes}")), @r#"
        track / (11.1 48.1 z500 t1704103200) (11.1 48.101 z500 t1704103201) = "D-1234"
        track / (11.1 48.1 z500 t1704189600) (11.1 48.101 z500 t1704189601) = none
    "#);
    // The last line of the first file has no end. Fields of the first flight are not those of the second one.
    insta::assert_snapshot!(texts(&format!(
        "{FLIGHT}{fixes}G1234AXXX002\nHFDTE020124\nHFPLTPILOT:x\n{fixes}AXXX003\n{fixes}"
    )), @r#"
        track / (11.1 48.1 z500 t1704103200) (11.1 48.101 z500 t1704103201) = "D-1234"
        track / (11.1 48.1 z500 t1704189600) (11.1 48.101 z500 t1704189601) = none
        track / (11.1 48.1 z500) (11.1 48.101 z500) = none
        invalid_time, line 14: 2 invalid times are ignored; the first one: the time of day has no date, because no HFDTE record precedes it
    "#);
    // Only the date: the flight lasts longer than midnight. 1704153599 s is 2024-01-01T23:59:59Z, and 1704189600 s is
    // 2024-01-02T10:00:00Z, by date -u -d. An A record before the first fix starts no track.
    insta::assert_snapshot!(texts(&format!(
        "AXXX001\nHFDTE010124\nAXXX001\nB2359594806000N01106000EA0050000500\nHFDTE020124\n{fixes}"
    )), @"track / (11.1 48.1 z500 t1704153599) (11.1 48.1 z500 t1704189600) (11.1 48.101 z500 t1704189601) = none");
}

#[test]
fn extensions_of_the_fixes_are_read() {
    // The minutes of the first fix are 6.00012 and 6.00034.
    insta::assert_snapshot!(texts("AXXX001\nHFDTE010124\nI043638FXA3940LAD4142LOD4343TDS\nB1000004806000N01106000EA005000050000512345\nB1000014806000N01106000EA0050000500---\n"), @"track / (11.100005666666666 48.100002 z500 t1704103200.5 a5) (11.1 48.1 z500 t1704103201) = none");
    // Extensions that overlap the fix, or are no numbers, are ignored.
    insta::assert_snapshot!(texts("AXXX001\nHFDTE010124\nI020107FXAxx40LAD\nB1000004806000N01106000EA0050000500\nI\nI99\nB1000004806000N01106000EA0050000500\n"), @"track / (11.1 48.1 z500 t1704103200) (11.1 48.1 z500 t1704103200) = none");
}

#[test]
fn the_competition_number_is_the_name_without_a_glider() {
    let name =
        |header: &str| texts(&format!("AXXX001\n{header}\nB1000004806000N01106000EA0050000500\n"));
    assert!(name("HFCIDCOMPETITIONID:XY\nHFGIDGLIDERID:").contains("= \"XY\""));
    assert!(name("HFCIDXY").contains("= \"XY\""));
    assert!(name("HFPLTPILOT:A Person").contains("= none"));
}

#[test]
fn an_invalid_record_does_not_cost_the_others() {
    insta::assert_snapshot!(texts("AXXX001\nHFDTE010124\nB1000004806000N01106000EA0050000500\nB1001004806\nB1001004860000N01106000EA0050000500\nB1002009106000N18106000EA0050000500\nB1003000000000N00000000EV0000000000\nB10040048O6000N01106000EA0050000500\nB2505004806000N01106000EA0050000500\nB1006004806000N01106000EA00500\n*** damaged ***\nB1007004806000N01106000EAxxxxxxxxxx\n"), @r#"
        track / (11.1 48.1 z500 t1704103200) (invalid) (invalid) (invalid) (invalid) (invalid) (11.1 48.1 z500) (11.1 48.1 t1704103560) (11.1 48.1 t1704103620) = none
        invalid_position, line 4: 5 points without a valid position are skipped; the first one: the B record "B1001004806" is not valid
        invalid_time, line 9: 1 invalid time is ignored: the time "250500" is not like 235959
        invalid_elevation, line 10: 2 invalid elevations are ignored; the first one: the B record ends before the GNSS altitude
        skipped_lines, line 11: 1 line is skipped: "*** damaged ***" is not an IGC record
    "#);
}

#[test]
fn another_datum_is_noted() {
    insta::assert_snapshot!(texts("AXXX001\nHFDTM027GPSDATUM:TOKYO\nHFDTE010124\nB1000004806000N01106000EA0050000500\n"), @r#"
        track / (11.1 48.1 z500 t1704103200) = none
        assumed_reference_system, line 2: the datum "TOKYO" is read as WGS 84
    "#);
}

#[test]
fn a_file_that_ends_early_gives_what_was_read() {
    let mut sink = Recorded::default();
    let file = "AXXX001\nHFDTE010124\nB1000004806000N01106000EA0050000500\nB1001004806060N0110600";
    let error =
        super::super::read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a.igc"), @"a.igc:4: the file ends within a B record");
    insta::assert_snapshot!(sink.ended.concat(), @"track / (11.1 48.1 z500 t1704103200) = none (incomplete)");
    insta::assert_snapshot!(error_of(b"AXXX001\nHFDTE010124\n"), @"this IGC has nothing to measure: no B record, so it has no fixes");
}

#[test]
fn only_flight_records_are_detected() {
    for text in [
        "AXXX001\nHFDTE010124",
        "\u{11}AXXX001\nHOPLTPILOT:x",
        "HFDTE010124\n",
        "B1000004806000N01106000EA0050000500",
        "ALXNABC\r\n\r\nHFDTEDATE:010124,01\r\n",
    ] {
        assert!(matches(text.as_bytes()), "{text}");
    }
    for text in
        ["A,B\nH,C", "Altitude\nHFlat", "AXXX001\n", "HF", "B1000", "Berlin,1\n", "HFDTE", ""]
    {
        assert!(!matches(text.as_bytes()), "{text}");
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        lines in prop::collection::vec(
            "(A|I|H[FOP](DTE|GID|DTM)|B)?([0-9]{0,7}|480600|N|E|A|V|0050000500|3638FXA|:|é){0,12}",
            0..20,
        ),
    ) {
        let options = ReadOptions { format: Some(Format::Igc), ..Default::default() };
        let file = lines.join("\n");
        let _ = super::super::read(file.as_bytes(), &options, &mut Recorded::default());
        let _ = matches(file.as_bytes());
    }
}
