//! Tests of OziExplorer track files.

use proptest::prelude::*;

use super::super::tests::{Recorded, error as error_of, texts};
use super::*;

const HEADER: &str = "OziExplorer Track Point File Version 2.1\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,Ridge walk,0,0,2,8421376\r\n3\r\n";

#[test]
fn points_have_elevations_in_metres_and_times() {
    // 39744.1201851852 days after 1899-12-30 are 2008-10-23T02:53:04Z or 1224730384 s, by date -u -d, as the file
    // itself says. 492 feet are 149.9616 m.
    insta::assert_snapshot!(texts(&format!(
        "{HEADER}  39.984702, 116.318417,1,    492.0,39744.1201851852,23-Oct-08,2:53:04\r\n39.9,116.4,0,-777,39744.5, 23-Oct-08, 12:00:00\r\n39.8,116.5,1,-777,0,,\r\n39.7,116.6\r\n\0\0"
    )), @r#"track / (116.318417 39.984702 z149.9616 t1224730384) (116.4 39.9 t1224763200) / (116.5 39.8) (116.6 39.7) = "Ridge walk""#);
}

#[test]
fn geolife_files_are_read() {
    let file = "Geolife trajectory\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2,255,My Track,0,0,2,8421376\n0\n39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04\n39.984683,116.31845,0,492,39744.1202546296,2008-10-23,02:53:10\n";
    insta::assert_snapshot!(texts(file), @r#"track / (116.318417 39.984702 z149.9616 t1224730384) (116.31845 39.984683 z149.9616 t1224730390) = "My Track""#);
}

#[test]
fn another_header_starts_a_track() {
    let second = HEADER.replace("Ridge walk", "Way home").replace("Feet", "Metres");
    // The last line of the second file has no end.
    insta::assert_snapshot!(texts(&format!(
        "\n{HEADER}1,2,1,100,0\n1,3,0,100,0\n\n{second}5,6,1,100,0\n5,7,0,100,0{HEADER}{HEADER}8,9,0,-777,0\n"
    )), @r#"
        track / (2 1 z30.48) (3 1 z30.48) = "Ridge walk"
        track / (6 5 z100) (7 5 z100) = "Way home"
        track / (9 8) = "Ridge walk"
    "#);
}

#[test]
fn another_datum_is_noted_and_metres_are_read() {
    let file = HEADER.replace("WGS 84", "European 1950").replace("Feet", "Metres");
    insta::assert_snapshot!(texts(&format!("{file}1,2,1,100,0\n")), @r#"
        track / (2 1 z100) = "Ridge walk"
        assumed_reference_system, line 2: the datum "European 1950" is read as WGS 84, so that positions may be wrong by some hundred metres, and lengths by less than 0.1 %
    "#);
}

#[test]
fn a_bad_value_does_not_cost_the_others() {
    insta::assert_snapshot!(texts(&format!(
        "{HEADER}1,2,1,x,yesterday\n91,2,0,0,0\n1;2\n,,\n1,3,0,10,1e30\n1,4,0,10,-1.25\n"
    )), @r#"
        track / (2 1) (invalid) (invalid) (invalid) (3 1 z3.048) (4 1 z3.048) = "Ridge walk"
        invalid_elevation, line 7: 1 invalid elevation is ignored: the altitude "x" is not a number
        invalid_time, line 7: 3 invalid times are ignored; the first one: the time "yesterday" is not a number of days since 1899-12-30
        invalid_position, line 8: 3 points without a valid position are skipped; the first one: latitude 91 is not between -90 and 90 degrees
    "#);
}

#[test]
fn a_file_that_ends_early_gives_what_was_read() {
    let mut sink = Recorded::default();
    let file = format!("{HEADER}1,2,1,0,0,,\n1,3,0,49");
    let error =
        super::super::read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a.plt"), @"a.plt:8: the file ends within a point");
    insta::assert_snapshot!(sink.ended.concat(), @r#"track / (2 1 z0) = "Ridge walk" (incomplete)"#);
    insta::assert_snapshot!(error_of(HEADER.as_bytes()), @"this OziExplorer PLT has nothing to measure: no points after the header");
}

#[test]
fn only_track_files_are_detected() {
    assert!(matches(HEADER.as_bytes()));
    assert!(matches(b"\n GEOLIFE TRAJECTORY\n"));
    assert!(!matches(b"OziExplorer Waypoint File Version 1.1"));
    assert!(!matches(b"lat,lon\n1,2"));
    assert!(!matches(b""));
}

proptest! {
    #[test]
    fn every_time_is_read_to_the_millisecond(ms in 0..4_000_000_000_000_i64) {
        // Ten decimal places of a day are 8.64 microseconds.
        let days = ms as i128 * 10_000_000_000 / 86_400_000 + i128::from(-FIRST_DAY) * 10_000_000_000;
        let text = format!("{}.{:010}", days / 10_000_000_000, days % 10_000_000_000);
        prop_assert_eq!(time(text.as_bytes()), Ok(Some(ms * 1_000_000)));
    }

    #[test]
    fn no_file_makes_it_panic(lines in prop::collection::vec("(-?[0-9.e]{0,6}|-777|,|é){0,12}", 0..20)) {
        let file = HEADER.to_owned() + &lines.join("\n");
        let _ = super::super::read(file.as_bytes(), &ReadOptions::default(), &mut Recorded::default());
    }
}
