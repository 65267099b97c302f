//! Tests of encoded polylines.

use proptest::prelude::*;

use super::super::tests::{Recorded, error, texts, texts_with};
use super::*;

/// The example of Google's description of the format: 38.5,-120.2, 40.7,-120.95 and 43.252,-126.453.
const GOOGLE: &str = "_p~iF~ps|U_ulLnnqC_mqNvxq`@";

/// Encodes positions, as latitude and longitude in units of the last decimal place.
fn encode(points: &[(i64, i64)]) -> String {
    let mut text = String::new();
    let mut last = (0, 0);
    for &(latitude, longitude) in points {
        for difference in [latitude - last.0, longitude - last.1] {
            let mut bits = ((difference << 1) ^ (difference >> 63)) as u64;
            while bits >= 0x20 {
                text.push(char::from((bits & 0x1f) as u8 + 0x20 + 63));
                bits >>= 5;
            }
            text.push(char::from(bits as u8 + 63));
        }
        last = (latitude, longitude);
    }
    text
}

#[test]
fn each_line_is_a_track() {
    assert_eq!(
        encode(&[(3_850_000, -12_020_000), (4_070_000, -12_095_000), (4_325_200, -12_645_300)]),
        GOOGLE
    );
    insta::assert_snapshot!(texts(&format!("{GOOGLE}\r\n\n {GOOGLE} \n")), @"
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    ");
}

#[test]
fn six_decimal_places_are_used_if_five_are_out_of_range() {
    let file = encode(&[(48_137_154, 11_576_124), (48_137_200, 11_576_200)]);
    insta::assert_snapshot!(texts(&file), @"
        track / (11.576124 48.137154) (11.5762 48.1372) = none
        assumed_notation, line 1: encoded polylines do not state their precision; 6 decimal places are assumed, because 5 give positions that are out of range
    ");
    // With both precisions out of range, 5 places are assumed and the points are not valid.
    let file = encode(&[(148_137_154, 11_576_124), (9_100_000, 100)]);
    let options = ReadOptions { format: Some(Format::Polyline), ..Default::default() };
    insta::assert_snapshot!(texts_with(&file, &options), @r"
    track (invalid) (invalid) = none
    invalid_position, line 1, column 11: 2 points without a valid position are skipped; the first one: latitude 1481.37154 is not between -90 and 90 degrees
    assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    error: no point of the file (2) has a valid position; the first one: latitude 1481.37154 is not between -90 and 90 degrees
    ");
}

#[test]
fn a_damaged_line_ends_at_the_damage() {
    let options = ReadOptions { format: Some(Format::Polyline), ..Default::default() };
    let file = format!("{GOOGLE}+{GOOGLE}\n{GOOGLE} x\n{}\n# comment\n{GOOGLE}\n", &GOOGLE[..26]);
    insta::assert_snapshot!(texts_with(&file, &options), @"
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) (invalid) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) (invalid) = none
        track / (-120.2 38.5) (-120.95 40.7) (invalid) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        invalid_position, line 1, column 28: 1 point without a valid position is skipped: the character '+' is not allowed in an encoded polyline, and the positions after it are unknown
        invalid_position, line 2, column 29: 1 point without a valid position is skipped: the character ' ' is not allowed in an encoded polyline, and the positions after it are unknown
        invalid_position, line 3, column 26: 1 point without a valid position is skipped: the encoded polyline ends within a point
        skipped_lines, line 4, column 1: 1 line is skipped: not an encoded polyline: the character '#' is not allowed in an encoded polyline, and the positions after it are unknown
        assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    ");
    let large = "~".repeat(20) + "\n";
    insta::assert_snapshot!(texts_with(&large, &options), @r"
    track (invalid) = none
    invalid_position, line 1, column 13: 1 point without a valid position is skipped: a number of the encoded polyline is too large, and the positions after it are unknown
    assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    error: no point of the file (1) has a valid position; the first one: a number of the encoded polyline is too large, and the positions after it are unknown
    ");
}

#[test]
fn a_polyline_that_ends_early_gives_what_was_read() {
    let mut sink = Recorded::default();
    let options = ReadOptions { format: Some(Format::Polyline), ..Default::default() };
    let error = super::super::read(&GOOGLE.as_bytes()[..25], &options, &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a"), @"a:1:25: the encoded polyline ends within a point");
    insta::assert_snapshot!(sink.ended.concat(), @"track / (-120.2 38.5) (-120.95 40.7) = none (incomplete)");
}

#[test]
fn a_cut_polyline_is_detected_and_is_an_error_after_its_points() {
    for (cut, points) in [(&GOOGLE[..25], 2), (&GOOGLE[..22], 2), (&GOOGLE[..26], 2)] {
        for text in [cut.to_owned(), format!("{GOOGLE}\n{cut}"), format!("\"{cut}")] {
            assert!(matches(text.as_bytes()), "{text}");
            let mut sink = Recorded::default();
            let options = ReadOptions::default();
            let error = super::super::read(text.as_bytes(), &options, &mut sink).unwrap_err();
            let message = error.in_file("a");
            assert!(message.ends_with("the encoded polyline ends within a point"), "{message}");
            let last = sink.ended.last().unwrap();
            assert_eq!(last.matches('(').count(), points + 1, "{last}");
            assert!(last.contains("(-120.2 38.5) (-120.95 40.7)") && last.contains("(incomplete)"));
        }
    }
}

#[test]
fn a_polyline_in_quotes_is_read() {
    insta::assert_snapshot!(texts(&format!("\"{GOOGLE}\"\n \"{GOOGLE}\" \n")), @"
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    ");
    // A number of 928 = 29 * 32 has the character 92, a backslash, which JSON escapes.
    let polyline =
        encode(&[(4_800_000, 1_100_000), (4_800_000 - 15, 1_100_000 - 15), (4_800_100, 1_100_100)]);
    assert!(polyline.contains('\\'), "{polyline}");
    let plain = texts(&polyline);
    assert_eq!(texts(&format!("\"{}\"", polyline.replace('\\', "\\\\"))), plain);
    let options = ReadOptions { format: Some(Format::Polyline), ..Default::default() };
    insta::assert_snapshot!(texts_with(&format!("\"{GOOGLE}\"x\n\"{GOOGLE}\n\"{GOOGLE}\"\n"), &options), @"
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) (invalid) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) (invalid) = none
        track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = none
        invalid_position, line 1, column 30: 1 point without a valid position is skipped: the character 'x' is not allowed in an encoded polyline, and the positions after it are unknown
        invalid_position, line 2, column 28: 1 point without a valid position is skipped: the encoded polyline ends within a point
        assumed_notation, line 1: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    ");
}

#[test]
fn words_are_not_detected() {
    assert!(matches(GOOGLE.as_bytes()));
    for text in [
        "hello",
        "helloworld",
        "Hamburger",
        "LATITUDE",
        "latitude",
        "HELLOWORLD",
        "camelCaseWords",
        "\"Hamburger\"",
        "\"latitude\"|\"longitude\"",
        "name|city\nAnna|Bern\nBert|Bonn",
        "latitude|longitude|elevation",
        "worldRecords",
        "x_coordinate\ny_coordinate",
        "_p~iF~ps|U",
        "{GOOGLE}",
        "lat,lon\n1,2",
        "",
        "\n",
        "AAAAAAAAAAAA",
    ] {
        assert!(!matches(text.as_bytes()), "{text}");
    }
    assert!(!matches(format!("{GOOGLE}\nlat lon").as_bytes()));
    insta::assert_snapshot!(error(b"Hamburger\nSchnitzel\n"), @"not a supported track file but text without columns; a table needs column names in its first row; if the file is in a supported format, choose it with --format");
}

#[test]
fn a_field_of_a_table_is_parsed() {
    let mut points = Vec::new();
    parse(GOOGLE.as_bytes(), Precision::Five, &mut |x, y| {
        points.push((x, y));
        Ok(())
    })
    .unwrap();
    assert_eq!(points, [(-120.2, 38.5), (-120.95, 40.7), (-126.453, 43.252)]);
    let error =
        |field: &[u8]| parse(field, Precision::Five, &mut |_, _| Ok(())).unwrap_err().in_file("a");
    insta::assert_snapshot!(error(b"_p~iF ~ps|U"), @"a:1:6: the character ' ' is not allowed in an encoded polyline, and the positions after it are unknown");
    insta::assert_snapshot!(error(b"_p~iF"), @"a:1:5: the encoded polyline ends within a point");
    assert!(parse(b" ", Precision::Five, &mut |_, _| Ok(())).is_ok());
}

proptest! {
    #[test]
    fn encoded_positions_are_read_back(
        points in prop::collection::vec((-9_000_000..=9_000_000_i64, -18_000_000..=18_000_000_i64), 1..20),
    ) {
        let mut read = Vec::new();
        parse(encode(&points).as_bytes(), Precision::Five, &mut |x, y| {
            read.push((x, y));
            Ok(())
        })
        .unwrap();
        let expected: Vec<(f64, f64)> =
            points.iter().map(|&(latitude, longitude)| (longitude as f64 / 1e5, latitude as f64 / 1e5)).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![4 => 63..=126_u8, 1 => any::<u8>()], 0..100)) {
        let options = ReadOptions { format: Some(Format::Polyline), ..Default::default() };
        let _ = super::super::read(&bytes[..], &options, &mut Recorded::default());
        let _ = (matches(&bytes), Precision::of(&bytes));
    }
}
