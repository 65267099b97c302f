//! Tests of hemispheres in columns of their own, and of degrees and minutes without a separator.

use super::super::super::tests::texts;

#[test]
fn hemisphere_columns_are_found_by_their_values() {
    for (ns, ew) in [
        ("latH", "lonH"),
        ("hemi_ns", "hemi_ew"),
        ("lat_hem", "lon_hem"),
        ("lat_NS", "lng_EW"),
        ("hemisphere", "hemisphere"),
    ] {
        let file = format!("lat,{ns},lon,{ew}\n51.5,S,0.25,W\n51.5,n,0.25,e\n");
        assert_eq!(texts(&file), "track / (-0.25 -51.5) (0.25 51.5) = none\n", "{ns}");
        let file = format!("lat,lon,{ns},{ew}\n51.5,0.25,S,W\n51.5,0.25,n,e\n");
        assert_eq!(texts(&file), "track / (-0.25 -51.5) (0.25 51.5) = none\n", "{ns}");
    }
    insta::assert_snapshot!(texts("lat,lat_sign,lon,lon_sign\n1,-,2,+\n1,+,2,-1\n"), @"track / (2 -1) (-2 1) = none");
    insta::assert_snapshot!(texts("lat,sign,lon,sign\n1,-,2,+\n"), @r#"
    track / (2 -1) = none
    assumed_notation, -: the column "sign" is read as the hemisphere of the longitude, because it has no other values
    assumed_notation, -: the column "sign" is read as the hemisphere of the latitude, because it has no other values
    "#);
    for (ns, ew) in [("n/e", "e/n"), ("d1", "d2"), ("direction", "direction")] {
        let text = texts(&format!("lat,{ns},lon,{ew}\n51.5,S,0.25,W\n"));
        assert!(text.starts_with("track / (-0.25 -51.5) = none\nassumed_notation, -: "), "{text}");
    }
    insta::assert_snapshot!(texts("d1,lat,d2,lon\nS,51.5,W,0.25\n"), @r#"
    track / (-0.25 -51.5) = none
    assumed_notation, -: the column "d2" is read as the hemisphere of the longitude, because it has no other values
    assumed_notation, -: the column "d1" is read as the hemisphere of the latitude, because it has no other values
    "#);
}

#[test]
fn other_columns_next_to_a_coordinate_are_not_hemispheres() {
    for file in [
        "lat,lon,heading\n1,2,W\n1,2,W\n",
        "lat,lon,grade\n1,2,W\n1,2,F\n",
        "lat,lon,ele\n1,2,-\n1,2,3\n",
        "lat,lon,bus\n1,2,W\n1,2,W\n",
        "lat,lon,signal\n1,2,-1\n1,2,-1\n",
        "lat,lon,sign\n1,2,-\n1,2,-\n",
    ] {
        assert!(texts(file).starts_with("track / (2 1) (2 1"), "{}", texts(file));
    }
}

#[test]
fn a_hemisphere_column_may_be_blank_at_first() {
    let blank = "1,N,2,\n".repeat(1100);
    let text = texts(&format!("lat,ns,lon,ew\n{blank}1,N,2,W\n"));
    assert!(text.contains("(2 1) (-2 1) = none"), "{}", &text[text.len() - 400..]);
    insta::assert_snapshot!(text.lines().skip(1).collect::<Vec<_>>().join("\n"), @"assumed_notation, line 2, column 1: the coordinate has no hemisphere, and is read with the sign of its number (1100 times)");
}

#[test]
fn degrees_and_minutes_without_a_separator_need_a_hemisphere() {
    let note = "assumed_notation, line 2, column 1: coordinates such as 4807.038 with a hemisphere are read as degrees and minutes: 48° 07.038'\n";
    // 0 + 6 / 60, 1 + 6 / 60, 48 + 7.5 / 60 and 11 + 30 / 60.
    for (file, expected) in [
        ("lat,lon\n0006.000N,00106.000E\n", "(1.1 0.1)"),
        ("lat,lon\nS4807.50,W01130\n", "(-11.5 -48.125)"),
        ("lat,ns,lon,ew\n4807.5,N,01130.0,W\n", "(-11.5 48.125)"),
        ("lat;ns;lon;ew\n4807.5;S;01130.0;E\n", "(11.5 -48.125)"),
    ] {
        assert_eq!(texts(file), format!("track / {expected} = none\n{note}"), "{file}");
    }
    // Minutes from 60 on, and numbers of digits of neither layout.
    for file in [
        "lat,lon\n1,2\n0067N,2\n",
        "lat,lon\n1,2\n1,0106.5E\n",
        "lat,lon\n1,2\n4867.5N,2\n",
        "lat,lon\n1,2\n000612N,2\n",
        "lat,lon\n1,2\n4807.5,2\n",
        "lat,ns,lon\n1,N,2\n0067,N,2\n",
        "lat,ns,lon\n1,N,2\n1.0N,S,2\n",
        "lat,ns,lon\n1,N,2\n-1.0,N,2\n",
    ] {
        assert!(
            texts(file).starts_with("track / (2 1) (invalid) = none\n"),
            "{file} {}",
            texts(file)
        );
    }
    // Degrees with up to three digits remain degrees.
    insta::assert_snapshot!(texts("lat,lon\n48.5N,011.5E\n007N,107W\n"), @"track / (11.5 48.5) (-107 7) = none");
    insta::assert_snapshot!(texts("lat,ns,lon\n1,N,2\n1.0N,S,2\n"), @r#"
    track / (2 1) (invalid) = none
    invalid_position, line 3, column 1: 1 point without a valid position is skipped: the latitude "1.0N" contradicts its hemisphere "S", in the column "lat"
    "#);
}
