//! Tests of the values of a row: coordinates in all notations, elevations and accuracies.

use super::super::super::tests::{error_with, texts, texts_with};
use super::*;

#[test]
fn hemispheres_are_applied() {
    insta::assert_snapshot!(texts("LATITUDE,N/S,LONGITUDE,E/W\n51.5,N,0.25,W\n51.5,s,0.25,E\n51.5,,0.25,E\n"), @r#"
    track / (-0.25 51.5) (0.25 -51.5) (invalid) = none
    invalid_position, line 4, column 1: 1 point without a valid position is skipped: the hemisphere "" of the latitude is not valid, in the column "LATITUDE"
    "#);
    for (ns, ew) in [
        ("NS", "EW"),
        ("lat_ref", "lon_ref"),
        ("latitude hemisphere", "longitude hemisphere"),
        ("N/S Indicator", "E/W Indicator"),
    ] {
        let file = format!("lat,{ns},lon,{ew}\n51.5,South,0.25,West\n");
        assert_eq!(texts(&file), "track / (-0.25 -51.5) = none\n", "{ns}");
    }
    // A negative value in the southern hemisphere is in the south. In the northern one, it is a contradiction.
    insta::assert_snapshot!(texts("lat,lat_dir,lon\n-51.5,S,1\n-51.5,N,1\n"), @r#"
    track / (1 -51.5) (invalid) = none
    invalid_position, line 3, column 1: 1 point without a valid position is skipped: the latitude -51.5 is negative but its hemisphere is "N", in the column "lat"
    "#);
    insta::assert_snapshot!(texts("lat,lon,ns\n1,2,17\n"), @r#"
    track / (2 1) = none
    ignored_column, -: the column "ns" is ignored: it has no hemisphere of the latitude
    "#);
    insta::assert_snapshot!(texts("lat,lon\n51.5N,0.25W\nS 51.5,E0.25\n48°30'00\"N,11°15.0'W\n51.5E,1\n"), @r#"
    track / (-0.25 51.5) (0.25 -51.5) (-11.25 48.5) (invalid) = none
    invalid_position, line 5, column 1: 1 point without a valid position is skipped: the latitude "51.5E" is not a number, in the column "lat"
    "#);
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(texts_with("x,y,ew\n1,2,W\n3,4N,W\n", &planar), @r#"
    track / (1 2) (invalid) = none
    invalid_position, line 3, column 2: 1 point without a valid position is skipped: the y "4N" is not a number, in the column "y"
    "#);
}

#[test]
fn decimal_commas_are_read() {
    let expected = "track / (13.25 46.5 z1.5 a2.5) (13.5 46.5) = none\nassumed_notation, line 2, column 1: a comma in a number is read as the decimal point\n";
    for file in [
        "lat;lon;ele;accuracy\n46,5;13,25;1,5;2,5\n46,5;13,5;;\n",
        "lat\tlon\tele\taccuracy\n46,5\t13,25\t1,5\t2,5\n46,5\t13,5\t\t\n",
        "lat|lon|ele|accuracy\n46,5|13,25|1,5|2,5\n46,5|13,5||\n",
        "lat,lon,ele,accuracy\n\"46,5\",\"13,25\",\"1,5\",\"2,5\"\n\"46,5\",\"13,5\",,\n",
    ] {
        assert_eq!(texts(file), expected, "{file}");
    }
    // Without other decimal commas, the comma may separate thousands.
    insta::assert_snapshot!(texts("lat;lon;ele\n46.5;13.5;1,234\n46.5;13.5;1,23\n46,5;13,5;1,234\n46.5;13.5;1,234.5\n"), @r#"
    track / (13.5 46.5) (13.5 46.5 z1.23) (13.5 46.5 z1.234) (13.5 46.5) = none
    invalid_elevation, line 2, column 3: 2 invalid elevations are ignored; the first one: the elevation "1,234" is not a number, in the column "ele"
    assumed_notation, line 3, column 3: a comma in a number is read as the decimal point
    "#);
}

#[test]
fn scaled_integers_are_read_exactly() {
    for (lat, lon, scale) in [
        ("latitudeE7", "longitudeE7", 7),
        ("lat_e7", "lon_e7", 7),
        ("lat (1e-7 deg)", "lon (1e-7 deg)", 7),
        ("lat_1e6", "lon_1e6", 6),
        ("latE5", "lngE5", 5),
    ] {
        let zeros = "0".repeat(scale - 3);
        let file = format!("{lat},{lon}\n46501{zeros},-13502{zeros}\n");
        assert_eq!(texts(&file), "track / (-13.502 46.501) = none\n", "{lat}");
    }
    assert_eq!(
        texts("latE7,lonE7\n481234567,111234567\n"),
        "track / (11.1234567 48.1234567) = none\n"
    );
    insta::assert_snapshot!(texts("latE7,lonE7\n48.1,11.1\n481000000,111000000\n"), @r#"
    track (invalid) / (11.1 48.1) = none
    invalid_position, line 2, column 1: 1 point without a valid position is skipped: the latitude "48.1" is not a whole number, in the column "latE7"
    "#);
    insta::assert_snapshot!(texts("latitude,longitude,latitudeE7,longitudeE7\n1,2,481000000,111000000\n"), @r#"
    track / (2 1) = none
    ignored_column, -: the latitude is in the column "latitude"; ignored: "latitudeE7"
    ignored_column, -: the longitude is in the column "longitude"; ignored: "longitudeE7"
    "#);
}

#[test]
fn damaged_values_are_missing_and_counted() {
    let file = "lat,lon,ele,time,accuracy\n1,2,-,n/a,null\n1,2,nan,x,-1\n1,2,3,4,5\n1,2,,,\n";
    insta::assert_snapshot!(texts(file), @r#"
    track / (2 1) (2 1) (2 1 z3 t4 a5) (2 1) = none
    invalid_elevation, line 2, column 3: 2 invalid elevations are ignored; the first one: the elevation "-" is not a number, in the column "ele"
    invalid_accuracy, line 2, column 5: 2 invalid accuracies are ignored; the first one: the accuracy "null" is not a number, in the column "accuracy"
    invalid_time, line 2, column 4: 2 invalid times are ignored; the first one: the time "n/a" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970, in the column "time"
    assumed_notation, line 4, column 4: numbers such as "4" are read as times since 1970, here 4 s; if they count from another time, only their differences are right
    "#);
    insta::assert_snapshot!(texts("lat,lon,ele,accuracy\n1,2,inf,1e300\n1,2\n"), @r"
    track / (2 1) (2 1) = none
    invalid_elevation, line 2, column 1: 1 invalid elevation is ignored: z inf is not a number between -2^40 and 2^40
    invalid_accuracy, line 2, column 1: 1 invalid accuracy is ignored: accuracy_m 1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 is not a number from 0 to 2^40
    ");
}

#[test]
fn lengths_are_read_in_the_unit_of_the_name() {
    insta::assert_snapshot!(texts("lat,lon,Altitude (ft),accuracy_ft\n1,2,1000,10\n"), @"track / (2 1 z304.8 a3.048) = none");
    insta::assert_snapshot!(texts("lat,lon,elevation_km,hAcc [cm]\n1,2,1.5,250\n"), @"track / (2 1 z1500 a2.5) = none");
    insta::assert_snapshot!(texts("lat,lon,Altitude (furlongs),ele\n1,2,1000,3\n"), @r#"
    track / (2 1 z3) = none
    ignored_column, -: the column "Altitude (furlongs)" is ignored, because its unit is unknown; use --z-column to read metres
    "#);
}

#[test]
fn synonyms_are_found_without_regard_to_separators() {
    for (lat, lon) in [
        ("GPSLatitude", "GPSLongitude"),
        ("location-lat", "location-long"),
        ("Location Lat", "LOCATION.LONG"),
        ("LAT", "LON"),
    ] {
        let file = format!(
            "{lat},{lon},horizontalAccuracy,BaseDateTime\n46.5,13.5,4,1970-01-01T00:00:07Z\n"
        );
        assert_eq!(texts(&file), "track / (13.5 46.5 t7 a4) = none\n", "{lat}");
    }
    assert_eq!(texts("lat,lon,tst\n1,2,1500000000\n"), "track / (2 1 t1500000000) = none\n");
    let mut latin1 = b"Breite;L\xe4nge;H\xf6he\n46.5;13.5;7\n".to_vec();
    latin1.extend_from_slice(b"46.5;13\xb030'E;7\n");
    let mut recorded = super::super::super::tests::Recorded::default();
    super::super::super::read(&latin1[..], &ReadOptions::default(), &mut recorded).unwrap();
    assert_eq!(recorded.ended.concat(), "track / (13.5 46.5 z7) (13.5 46.5 z7) = none\n");
}

#[test]
fn the_first_of_several_columns_is_used() {
    insta::assert_snapshot!(texts("lat,lon,lat,latitude,ele,alt\n1,2,3,4,5,6\n"), @r#"
    track / (2 4 z5) = none
    ignored_column, -: the latitude is in the column "latitude"; ignored: "lat", "lat"
    ignored_column, -: the elevation is in the column "ele"; ignored: "alt"
    "#);
    insta::assert_snapshot!(texts("x,y,lon,lat\n9,9,2,1\n"), @"track / (2 1) = none");
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    insta::assert_snapshot!(error_with(b"lat,lon,lat\n1,2,3\n", &strict), @r#"the name "lat" occurs twice; the first column is used; --strict makes this an error"#);
}

#[test]
fn common_names_of_coordinates_are_found() {
    for (lat, lon) in [
        ("shape_pt_lat", "shape_pt_lon"),
        ("stop_lat", "stop_lon"),
        ("user_lat", "user_lng"),
        ("pos_lat", "pos_long"),
        ("coords.latitude", "coords.longitude"),
        ("LATITUDE N/S", "LONGITUDE E/W"),
        ("geo. Breite", "geo. Länge"),
        ("Breite", "Länge"),
        ("Breedtegraad", "Lengtegraad"),
        ("Latitud", "Longitud"),
        ("Latitudine", "Longitudine"),
        ("Szerokość", "Długość"),
        ("широта", "ДОЛГОТА"),
        ("纬度", "经度"),
        ("緯度", "経度"),
    ] {
        let file = format!("{lat},{lon}\n46.5N,13.5E\n");
        assert_eq!(texts(&file), "track / (13.5 46.5) = none\n", "{lat}");
    }
    // The hemispheres are in columns of their own.
    insta::assert_snapshot!(texts("latitude,latitude N/S,longitude,longitude E/W\n46.5,S,13.5,W\n"), @"track / (-13.5 -46.5) = none");
}

#[test]
fn names_that_do_not_say_latitude_are_noted() {
    insta::assert_snapshot!(texts("x,y\n1,2\n"), @r#"
    track / (1 2) = none
    assumed_notation, -: the columns "x" and "y" are read as longitude and latitude
    "#);
    insta::assert_snapshot!(texts("POINT_X,POINT_Y\n1,2\n"), @r#"
    track / (1 2) = none
    assumed_notation, -: the columns "POINT_X" and "POINT_Y" are read as longitude and latitude
    "#);
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    assert_eq!(texts_with("x,y\n1,2\n", &planar), "track / (1 2) = none\n");
    let chosen = ReadOptions {
        x_column: Some("x".to_owned()),
        y_column: Some("y".to_owned()),
        ..Default::default()
    };
    assert_eq!(texts_with("x,y\n1,2\n", &chosen), "track / (1 2) = none\n");
}

#[test]
fn one_column_may_have_both_coordinates() {
    insta::assert_snapshot!(texts("time,position\n2024-02-01T10:00:00Z,\"48.5,11.25\"\n2024-02-01T10:00:01Z,\"(48.5, 11.5)\"\n2024-02-01T10:00:02Z,n/a\n"), @r#"
    track / (11.25 48.5 t1706781600) (11.5 48.5 t1706781601) (invalid) = none
    invalid_position, line 4, column 2: 1 point without a valid position is skipped: "n/a" is not a pair of coordinates, in the column "position"
    assumed_notation, line 2, column 2: the column "position" is read as latitude, longitude
    "#);
    insta::assert_snapshot!(texts("Report;7\nid;lonlat\n1;11.25 48.5\n2;11.5 48.5\n"), @r#"
    track / (11.25 48.5) (11.5 48.5) = none
    skipped_lines, line 1: 1 line is skipped: it comes before the column names
    assumed_notation, line 3, column 2: the column "lonlat" is read as longitude, latitude
    "#);
    // Columns of coordinates are used first, and a title is no column.
    insta::assert_snapshot!(texts("location;Paris\nlat;lon;position\n1;2;3,4\n"), @r"
    track / (2 1) = none
    skipped_lines, line 1: 1 line is skipped: it comes before the column names
    ");
    insta::assert_snapshot!(super::super::super::tests::error(b"id,location\n1,Paris\n"), @r#"no column for the latitude in the first row, which has "id", "location" (split at ','); name it latitude, or choose a column with --y-column"#);
}

#[test]
fn typographic_characters_do_not_damage_a_number() {
    for (lat, lon) in [
        ("\u{a0}46.5", "13.5\u{202f}"),
        ("'46.5", "'13.5"),
        ("46.5\0\0", "13.5\0"),
        ("46.5\u{2009}N", "13.5\u{a0}E"),
        ("\u{feff}46.5", "+13.5\u{200e}"),
        ("46°\u{202f}30′\u{202f}N", "13°\u{a0}30′\u{a0}E"),
    ] {
        let file =
            format!("lat,lon,ele,time\n{lat},{lon},\u{2212}7,\u{a0}2024-02-01\u{a0}10:00:00Z\n");
        assert_eq!(texts(&file), "track / (13.5 46.5 z-7 t1706781600) = none\n", "{lat:?}");
    }
    assert_eq!(texts("lat,lon\n\u{2212}46.5,\u{2212}13.5\n"), "track / (-13.5 -46.5) = none\n");
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(texts_with("x;y\n4\u{a0}468\u{202f}503,5;1\u{a0}234\n", &planar), @r"
    track / (4468503.5 1234) = none
    assumed_notation, line 2, column 2: a comma in a number is read as the decimal point
    ");
}

#[test]
fn a_row_with_too_many_fields_may_have_a_position() {
    insta::assert_snapshot!(texts("time,lat,lon,ele,note\n2024-02-01T10:00:00Z,46.5,13.5,7,a\n2024-02-01T10:00:01Z,46.5,13.6,7,a, b\n"), @r"
    track / (13.5 46.5 z7 t1706781600) (13.6 46.5 t1706781601) = none
    assumed_notation, line 3, column 6: the row has more fields than there are columns; its position is read, and the values after it are not
    ");
    // The comma may come before the position.
    for row in ["46,5,13,5", "46.5,13,5,a", "46,5.5,13.5,a", "46.5,1e1,2,a"] {
        let text = texts(&format!("lat,lon,note\n1.5,2.5,a\n3.5,4.5,b\n{row}\n"));
        assert!(text.starts_with("track / (2.5 1.5) (4.5 3.5) (invalid) = none\n"), "{text}");
    }
    for file in [
        "name,lat,lon\na,1.5,2.5\na,3.5,4.5\nMain St,5.5,48.5,11.5\n",
        "speed,lon,lat\n1,2.5,1.5\n1,4.5,3.5\n1,023.5,11.5,48.5\n",
        "lat,lon,device,note\n1.5,2.5,a,\n3.5,4.5,a,\n3.5,4.5,a,b,c\n",
    ] {
        let text = texts(file);
        assert!(text.starts_with("track / (2.5 1.5) (4.5 3.5) (invalid) = "), "{text}");
    }
}
