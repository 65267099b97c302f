//! Tests of all readers: round trips, and no input makes them panic. Also the sink that their tests use.

use proptest::prelude::*;

use super::*;
use crate::measure::{Fix, PathError, Point, SumOverflow};

/// Records what it receives, one line per track.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) tracks: Vec<String>,
    pub(super) ended: Vec<String>,
    pub(super) notes: Vec<String>,
    current: usize,
}

impl TrackSink for Recorded {
    fn start_track(&mut self, _: TrackKind) -> Result<(), SinkError> {
        self.current = self.tracks.len();
        self.tracks.push("track".to_owned());
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.current = index;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.tracks[self.current] += " /";
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let mut text = format!(" ({} {}", fix.point().unwrap().x(), fix.point().unwrap().y());
        for (name, value) in [
            ("z", fix.z().map(|z| z.to_string())),
            ("t", fix.unix_ns().map(|unix_ns| (unix_ns as f64 / 1e9).to_string())),
            ("a", fix.accuracy_m().map(|accuracy_m| accuracy_m.to_string())),
        ] {
            text += &value.map_or(String::new(), |value| format!(" {name}{value}"));
        }
        self.tracks[self.current] += &text;
        self.tracks[self.current] += ")";
        Ok(())
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.tracks[self.current] += " (invalid)";
        Ok(())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        let position = note.position.map_or("-".to_owned(), |position| position.to_string());
        self.notes.push(format!("{}, {position}: {note}\n", note.kind.id()));
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        let name = track.name.as_ref().map_or("none".to_owned(), |name| format!("{name:?}"));
        let name = name + if track.is_incomplete { " (incomplete)" } else { "" };
        self.ended.push(format!("{} = {name}\n", self.tracks[self.current]));
        Ok(())
    }
}

pub(super) fn texts_with(file: &str, options: &ReadOptions) -> String {
    let mut notes = Recorded::default();
    let outcome = read(file.as_bytes(), options, &mut notes);
    let mut text = notes.ended.concat() + &notes.notes.concat();
    match outcome {
        Ok(()) => {}
        Err(error @ FormatError::NoPositions { .. }) => text += &format!("error: {error}\n"),
        Err(error) => panic!("{error}"),
    }
    text
}

/// Returns the tracks of a file, without notes.
fn tracks(file: &str, options: &ReadOptions) -> String {
    let mut recorded = Recorded::default();
    read(file.as_bytes(), options, &mut recorded).unwrap();
    recorded.ended.concat()
}

pub(super) fn texts(file: &str) -> String {
    texts_with(file, &ReadOptions::default())
}

pub(super) fn error_with(file: &[u8], options: &ReadOptions) -> String {
    let error = read(file, options, &mut Recorded::default()).unwrap_err();
    error.in_file("").trim_start_matches([':', ' ']).to_owned()
}

pub(super) fn error(file: &[u8]) -> String {
    error_with(file, &ReadOptions::default())
}

#[test]
fn a_file_without_content_is_empty() {
    for file in [&b""[..], b"\xef\xbb\xbf", b" \r\n\t", b"\xff\xfe"] {
        insta::allow_duplicates! { insta::assert_snapshot!(error(file), @"the file is empty"); }
    }
}

#[test]
fn an_encoding_other_than_utf8_gives_the_same_tracks() {
    let file = r#"<?xml version="1.0" encoding="windows-1250"?><gpx><trk><name>Črna</name><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>"#;
    let (bytes, _, _) = encoding_rs::WINDOWS_1250.encode(file);
    let mut notes = Recorded::default();
    read(&*bytes, &ReadOptions::default(), &mut notes).unwrap();
    insta::assert_snapshot!(notes.ended.concat(), @r#"track / (2 1) = "Črna""#);
}

#[test]
fn a_chosen_format_that_is_not_that_of_the_file_is_an_error() {
    let as_format = |file: &str, format| {
        error_with(file.as_bytes(), &ReadOptions { format: Some(format), ..Default::default() })
    };
    let gpx = "<gpx><trk><trkseg><trkpt lat=\"1\" lon=\"2\"/></trkseg></trk></gpx>";
    insta::assert_snapshot!(as_format(gpx, Format::Csv), @"the file is not in the format CSV, but looks like GPX; leave out --format to detect the format");
    insta::assert_snapshot!(as_format("{\"type\":\"Point\"}", Format::Gpx), @"the file is not in the format GPX, but looks like GeoJSON; leave out --format to detect the format");
    insta::assert_snapshot!(as_format("$GPGGA,1,2,3,4,5,6\n", Format::Fit), @"the file is not in the format FIT, but looks like NMEA; leave out --format to detect the format");
    // The reader of XML finds the format itself.
    let tcx = ReadOptions { format: Some(Format::Tcx), ..Default::default() };
    assert_eq!(texts_with(gpx, &tcx), "track / (2 1) = none\n");
}

#[test]
fn an_error_of_the_sink_is_returned_with_its_position() {
    /// Fails at the second fix.
    struct Full {
        count: u64,
    }
    impl TrackSink for Full {
        fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
            self.count += 1;
            if self.count == 1 { Ok(()) } else { Err(PathError::Overflow(SumOverflow).into()) }
        }
    }
    let failed_at = |file: &str| {
        let mut sink = Full { count: 0 };
        let error = read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
        assert!(matches!(error, FormatError::Path { .. }));
        error.position().unwrap().to_string()
    };
    assert_eq!(failed_at("lat,lon\n1,1\n2,2\n"), "line 3, column 1");
    assert_eq!(
        failed_at("<gpx><rte><rtept lat='1' lon='1'/>\n<rtept lat='1' lon='1'/>"),
        "line 2, column 1"
    );
    assert_eq!(
        failed_at(r#"{"type":"LineString","coordinates":[[1,1],[1,2]]}"#),
        "line 1, column 47"
    );
}

/// Generates files that are almost in a supported format.
fn almost_valid() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "<?xml version=\"1.0\" encoding=\"",
        "utf-8",
        "latin2",
        "\"?>",
        "<gpx>",
        "<trk>",
        "<name>",
        "</name>",
        "<trkseg>",
        "<trkpt lat=\"",
        "\" lon=\"",
        "\"/>",
        "\">",
        "</trkpt>",
        "<ele>",
        "</ele>",
        "<time>2024-05-18T09:12:40Z",
        "</time>",
        "lat,lon,ele,time,accuracy\n",
        "lat,lon,t\n",
        "</trkseg>",
        "</trk>",
        "<rte>",
        "</gpx>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<!DOCTYPE ",
        "&amp;",
        "&#x",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"type\":",
        "\"LineString\"",
        "\"coordinates\":",
        "\"MultiLineString\"",
        "\"Feature\"",
        "\"features\":",
        "\"geometry\":",
        "\"properties\":",
        "{\"type\":\"LineString\",\"coordinates\":[[",
        "null",
        "1",
        "-46.5",
        "1e999",
        "NaN",
        "lat",
        "lon",
        "lat,lon\n",
        "x;y\r\n",
        "\t",
        "|",
        "\r",
        "\n",
        "\"\"",
        "\u{feff}",
        "č",
        " ",
    ]);
    let piece = prop_oneof![
        6 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Returns a reader that returns one byte per call, as a slow pipe may.
fn slow_reader(bytes: &[u8]) -> impl BufRead {
    std::io::BufReader::with_capacity(1, bytes)
}

/// Generates the segments of a track, as longitudes and latitudes.
fn segments() -> impl Strategy<Value = Vec<Vec<(f64, f64)>>> {
    let position = (-180.0..=180.0_f64, -90.0..=90.0_f64);
    prop::collection::vec(prop::collection::vec(position, 1..20), 1..5)
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(file in prop_oneof![
        3 => almost_valid(),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]) {
        for format in [None, Some(Format::Gpx), Some(Format::GeoJson), Some(Format::Csv)] {
            let options = ReadOptions { format, ..Default::default() };
            let mut quick = Recorded::default();
            let mut slow = Recorded::default();
            let one = read(&file[..], &options, &mut quick).map_err(|error| error.to_string());
            let two = read(slow_reader(&file), &options, &mut slow).map_err(|error| error.to_string());
            prop_assert_eq!(one, two);
            prop_assert_eq!(quick.tracks, slow.tracks);
        }
    }

    #[test]
    fn all_formats_give_the_same_fixes(segments in segments()) {
        let mut expected = "track".to_owned();
        let mut gpx = "<gpx><trk>".to_owned();
        let mut csv = "part,lat,lon\n".to_owned();
        for (part, segment) in segments.iter().enumerate() {
            expected += " /";
            gpx += "<trkseg>";
            for (x, y) in segment {
                let point = Point::geographic(*y, *x).unwrap();
                expected += &format!(" ({} {})", point.x(), point.y());
                gpx += &format!("<trkpt lat='{y}' lon='{x}'/>");
                csv += &format!("{part},{y},{x}\n");
            }
            gpx += "</trkseg>";
        }
        expected += " = none\n";
        gpx += "</trk></gpx>";
        let lines: Vec<Vec<[f64; 2]>> =
            segments.iter().map(|segment| segment.iter().map(|&(x, y)| [x, y]).collect()).collect();
        let geojson = serde_json::json!({"type": "MultiLineString", "coordinates": lines});
        let by_part =
            ReadOptions { segment_column: Some("part".to_owned()), ..Default::default() };

        let detected = ReadOptions::default();
        prop_assert_eq!(&tracks(&gpx, &detected), &expected);
        prop_assert_eq!(&tracks(&geojson.to_string(), &detected), &expected);
        prop_assert_eq!(&tracks(&csv, &by_part), &expected);
    }
}
