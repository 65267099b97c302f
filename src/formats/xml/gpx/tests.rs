//! Tests of the GPX reader: what is read, what is noted, and what is kept of a damaged file.

use super::super::super::tests::{Recorded, error, error_with, texts, texts_with};
use super::super::super::{ReadOptions, SinkError, TrackInfo, TrackSink, read};
use crate::measure::Fix;

mod structure;

/// Returns the tracks and notes of a file that cannot be read to its end, and the error.
fn part(file: &str) -> String {
    let mut sink = Recorded::default();
    let error = read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    sink.ended.concat() + &sink.notes.concat() + &error.in_file("a.gpx")
}

/// Returns the properties of the tracks of a file.
fn infos(file: &str) -> Vec<TrackInfo> {
    #[derive(Default)]
    struct Infos(Vec<TrackInfo>);
    impl TrackSink for Infos {
        fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
            Ok(())
        }
        fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
            self.0.push(track.clone());
            Ok(())
        }
    }
    let mut sink = Infos::default();
    read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap();
    sink.0
}

/// Returns a file with the points in a segment.
fn segment(points: &str) -> String {
    format!("<gpx><trk><trkseg>\n{points}</trkseg></trk></gpx>")
}

#[test]
fn tracks_and_routes_are_read_and_waypoints_are_ignored() {
    let file = r#"<?xml version="1.0"?>
        <!-- a walk --><gpx><metadata><name>no</name></metadata><wpt lat="1" lon="1"><name>no</name></wpt>
        <trk><name> Mountain &amp; <![CDATA[<Valley>]]>&#x10D; </name><trkseg>
            <trkpt lat="46.5" lon="13.5"><name>no</name><ele>1</ele></trkpt>
            <trkpt lon='13.6' lat='46.5'/>
        </trkseg><trkseg/></trk>
        <rte><rtept lat="1" lon="2"/><name>late</name></rte></gpx>"#;
    insta::assert_snapshot!(texts(file), @r#"
    track / (13.5 46.5 z1) (13.6 46.5) = "Mountain & <Valley>č"
    track / (2 1) = "late"
    "#);
    let kinds: Vec<_> = infos(file).iter().map(|track| track.kind.id()).collect();
    assert_eq!(kinds, ["track", "route"]);
}

#[test]
fn elevations_and_times_are_read() {
    let file = r#"<gpx><time>2000-01-01T00:00:00Z</time><trk><trkseg>
        <trkpt lat="1" lon="2"><ele> 37.4 </ele><time>1970-01-01T00:00:01.5Z</time></trkpt>
        <trkpt lat="1" lon="2"><time>1970-01-01T02:00:02&#x2B;02:00</time><ele>0</ele></trkpt>
        <trkpt lat="1" lon="2"><ele/><time>0001-01-01T00:00:00Z</time><hdop>3</hdop></trkpt>
        <trkpt lat="1" lon="2"><ele><!-- feet? -->1<![CDATA[2]]></ele><time>1970-01-01T00:00:03Z</time></trkpt>
        </trkseg></trk></gpx>"#;
    insta::assert_snapshot!(texts(file), @"track / (2 1 z37.4 t1.5) (2 1 z0 t2) (2 1) (2 1 z12 t3) = none");
}

#[test]
fn points_without_a_valid_position_are_counted_and_the_rest_is_read() {
    let file = segment(
        "<trkpt lat='1' lon='1'/>\n <trkpt lat='' lon=''/>\n<trkpt><ele>31</ele></trkpt>\n\
         <trkpt lat='2'/><trkpt lat='NaN' lon='1'/><trkpt lat='91' lon='181'/><trkpt lat='1' lon='inf'/>\n\
         <trkpt lat='north' lon='1'/><trkpt lat='1' lat='2' lon='1'/><trkpt lat=1 lon=1/><trkpt lat='1' lon='2'/>",
    );
    insta::assert_snapshot!(texts(&file), @r"
    track / (1 1) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (2 1) = none
    invalid_position, line 3, column 2: 9 points without a valid position are skipped; the first one: the latitude is blank
    ");
    let invalid = |attributes: &str| texts(&segment(&format!("<trkpt {attributes}/>")));
    insta::assert_snapshot!(invalid("lon='1'"), @r#"
    track (invalid) = none
    invalid_position, line 2, column 1: 1 point without a valid position is skipped: this <trkpt> has no "lat" attribute
    error: no point of the file (1) has a valid position; the first one: this <trkpt> has no "lat" attribute
    "#);
    insta::assert_snapshot!(invalid("lat='46.5°' lon='1'"), @r#"
    track (invalid) = none
    invalid_position, line 2, column 1: 1 point without a valid position is skipped: the latitude "46.5°" is not a number
    error: no point of the file (1) has a valid position; the first one: the latitude "46.5°" is not a number
    "#);
    insta::assert_snapshot!(invalid("lat='1' lon='361'"), @r"
    track (invalid) = none
    invalid_position, line 2, column 1: 1 point without a valid position is skipped: longitude 361 is not between -360 and 360 degrees
    error: no point of the file (1) has a valid position; the first one: longitude 361 is not between -360 and 360 degrees
    ");
}

#[test]
fn damaged_elevations_and_times_are_missing_values() {
    let point = |inside: &str| texts(&segment(&format!("<trkpt lat='1' lon='2'>{inside}</trkpt>")));
    insta::assert_snapshot!(point("<ele>high</ele><time>1970-01-01T00:00:01Z</time>"), @r#"
    track / (2 1 t1) = none
    invalid_elevation, line 2, column 24: 1 invalid elevation is ignored: the elevation "high" is not a number
    "#);
    insta::assert_snapshot!(point("<ele>1e13</ele>"), @r"
    track / (2 1) = none
    invalid_elevation, line 2, column 1: 1 invalid elevation is ignored: z 10000000000000 is not a number between -2^40 and 2^40
    ");
    insta::assert_snapshot!(point("\n<time>yesterday</time><ele>5</ele>"), @r#"
    track / (2 1 z5) = none
    invalid_time, line 3, column 1: 1 invalid time is ignored: the time "yesterday" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    insta::assert_snapshot!(point("<time>2024-02-30T09:12:40Z</time>"), @r#"
    track / (2 1) = none
    invalid_time, line 2, column 24: 1 invalid time is ignored: the time "2024-02-30T09:12:40Z" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    insta::assert_snapshot!(point("<time>1700-01-01T00:00:00Z</time><ele>1 m</ele>"), @r#"
    track / (2 1 t-8520336000) = none
    invalid_elevation, line 2, column 57: 1 invalid elevation is ignored: the elevation "1 m" is not a number
    "#);
    insta::assert_snapshot!(point(&format!("<time>{}</time>", "1x".repeat(3000))), @r#"
    track / (2 1) = none
    invalid_time, line 2, column 24: 1 invalid time is ignored: the time "1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x…" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    let two = segment(
        "<trkpt lat='1' lon='2'><ele>x</ele></trkpt>\n<trkpt lat='1' lon='3'><ele>y</ele></trkpt>",
    );
    insta::assert_snapshot!(texts(&two), @r#"
    track / (2 1) (3 1) = none
    invalid_elevation, line 2, column 24: 2 invalid elevations are ignored; the first one: the elevation "x" is not a number
    "#);
}

#[test]
fn a_comma_in_a_number_is_a_decimal_comma() {
    let file = segment(
        "<trkpt lat='46,5' lon='13,5'><ele>37,4</ele></trkpt>\n<trkpt lat='46,6' lon='-13'/><trkpt lat='1,2,3' lon='1'/>",
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (13.5 46.5 z37.4) (-13 46.6) (invalid) = none
    assumed_notation, line 2, column 1: a comma in a number is read as a decimal point (3 times)
    invalid_position, line 3, column 30: 1 point without a valid position is skipped: the latitude "1,2,3" is not a number
    "#);
}

#[test]
fn accuracies_in_metres_are_read_from_extensions() {
    let file = segment(
        "<trkpt lat='1' lon='1'><extensions><speed>0</speed><hAcc>7.9</hAcc><vAcc>3</vAcc></extensions></trkpt>
         <trkpt lat='1' lon='2'><extensions><o:accuracy_horizontal>12</o:accuracy_horizontal></extensions></trkpt>
         <trkpt lat='1' lon='3'><extensions><t:extras><t:hacc>2</t:hacc></t:extras></extensions></trkpt>
         <trkpt lat='1' lon='4'><accuracy>20.5</accuracy></trkpt>
         <trkpt lat='1' lon='5'><hdop>1.5</hdop><extensions><hr><accuracy>9</accuracy></hr></extensions></trkpt>
         <trkpt lat='1' lon='6'><extensions><accuracy>good</accuracy></extensions></trkpt>",
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (1 1 a7.9) (2 1 a12) (3 1 a2) (4 1 a20.5) (5 1) (6 1) = none
    invalid_accuracy, line 7, column 45: 1 invalid accuracy is ignored: the accuracy "good" is not a number
    "#);
}

#[test]
fn shaping_points_follow_the_point_of_their_route() {
    // The layout of Garmin BaseCamp.
    let file = "<gpx xmlns:gpxx='g'><rte><name>r</name>
        <rtept lat='48' lon='11'><ele>5</ele><name>start</name><extensions><gpxx:RoutePointExtension>
            <gpxx:Subclass>0300</gpxx:Subclass>
            <gpxx:rpt lat='48.1' lon='11.1'><gpxx:Subclass>02</gpxx:Subclass></gpxx:rpt><gpxx:rpt lat='48.2' lon='11.1'/>
            <gpxx:rpt lat='' lon='11.1'/>
        </gpxx:RoutePointExtension></extensions></rtept>
        <rtept lat='48.3' lon='11'><extensions><RoutePointExtension/></extensions></rtept></rte></gpx>";
    insta::assert_snapshot!(texts(file), @r#"
    track / (11 48 z5) (11.1 48.1) (11.1 48.2) (invalid) (11 48.3) = "r"
    invalid_position, line 5, column 13: 1 point without a valid position is skipped: the latitude is blank
    "#);
    let late = "<gpx><rte><rtept lat='1' lon='1'><extensions><RoutePointExtension><rpt lat='1' lon='2'/>\
                </RoutePointExtension></extensions>\n<ele>5</ele></rtept></rte></gpx>";
    insta::assert_snapshot!(texts(late), @r"
    track / (1 1) (2 1) = none
    ignored_content, line 2, column 1: values of a point after the points inside it are ignored
    ");
    let track = segment(
        "<trkpt lat='1' lon='1'><extensions><RoutePointExtension><rpt lat='9' lon='9'/></RoutePointExtension>\
         </extensions></trkpt>",
    );
    insta::assert_snapshot!(texts(&track), @r#"
        track / (1 1) = none
        ignored_content, line 2, column 57: the element "rpt" with a position is ignored, because it is not in a path
    "#);
}

#[test]
fn points_outside_a_segment_are_a_segment() {
    let file = "<gpx><trk><name>t</name>\n<trkpt lat='1' lon='1'/><trkpt lat='1' lon='2'/><trkseg><trkpt lat='1' lon='3'/>\
                </trkseg><trkpt lat='1' lon='4'/><trkpt lat='1' lon='5'/></trk></gpx>";
    insta::assert_snapshot!(texts(file), @r#"
    track / (1 1) (2 1) / (3 1) / (4 1) (5 1) = "t"
    point_outside_segment, line 2, column 1: a point outside <trkseg> is read as a part of a segment (4 times)
    "#);
    let file = "<gpx>\n<trkpt lat='1' lon='1'/><trkpt lat='1' lon='2'/><wpt/><trkseg><trkpt lat='1' lon='3'/></trkseg>\
                <trk><trkseg><trkpt lat='1' lon='4'/></trkseg></trk><rtept lat='1' lon='5'/></gpx>";
    insta::assert_snapshot!(texts(file), @r"
    track / (1 1) (2 1) / (3 1) = none
    track / (4 1) = none
    track / (5 1) = none
    point_outside_segment, line 2, column 1: a point or segment outside <trk> is read as a part of a track (3 times)
    point_outside_segment, line 2, column 148: a point outside <rte> is read as a part of a route
    ");
    let file = "<gpx><rte>\n<trkpt lat='1' lon='1'/></rte><trk><trkseg>\n<rtept lat='1' lon='2'/></trkseg></trk></gpx>";
    insta::assert_snapshot!(texts(file), @r"
    track / (1 1) = none
    track / (2 1) = none
    point_outside_segment, line 2, column 1: a point of the other kind, <trkpt> in a route or <rtept> in a track, is read
    point_outside_segment, line 3, column 1: a point of the other kind, <trkpt> in a route or <rtept> in a track, is read
    ");
}

#[test]
fn the_length_of_the_device_is_read_from_the_extensions_of_a_track() {
    // The layout of Garmin BaseCamp: the length is in metres and precedes the segments.
    let file = "<gpx><trk><name>t</name><extensions><gpxtrkx:TrackStatsExtension xmlns:gpxtrkx='g'>
        <gpxtrkx:Distance> 1234.5 </gpxtrkx:Distance><gpxtrkx:TotalElapsedTime>60</gpxtrkx:TotalElapsedTime>
        </gpxtrkx:TrackStatsExtension></extensions><trkseg><trkpt lat='1' lon='1'><extensions><x:Distance>7</x:Distance>
        </extensions></trkpt></trkseg></trk>
        <trk><extensions><Distance>5</Distance></extensions><trkseg/></trk>
        <trk><extensions><TrackStatsExtension><Distance>far</Distance></TrackStatsExtension></extensions></trk></gpx>";
    let lengths: Vec<_> = infos(file).iter().map(|track| track.device_length_m).collect();
    assert_eq!(lengths, [Some(1234.5), None, None]);
}

#[test]
fn prefixes_are_ignored_and_extensions_are_not_content() {
    let file = r#"<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:trk><g:trkseg>
        <g:trkpt lat="1" lon="2"><g:time>1970-01-01T00:00:01Z</g:time><g:extensions><trkpt lat="99" lon="0"/><time>x</time></g:extensions></g:trkpt>
        </g:trkseg><g:extensions><x:name xmlns:x="x">no</x:name><trkseg><trkpt lat="9" lon="9"/></trkseg></g:extensions></g:trk></g:gpx>"#;
    insta::assert_snapshot!(texts(file), @r#"
        track / (2 1 t1) = none
        ignored_content, line 2, column 85: the element "trkpt" with a position is ignored, because it is not in a path (2 times)
    "#);
    // GPX 1.0 allows elements of other namespaces in a point and a track.
    let file = r#"<gpx xmlns="urn:wrong"><trk><x:name>no</x:name><trkseg>
        <trkpt lat="1" lon="2"><x:ele>7</x:ele><ele>5</ele><x:time>no</x:time></trkpt></trkseg></trk></gpx>"#;
    insta::assert_snapshot!(texts(file), @"track / (2 1 z5) = none");
    // No namespace is declared for the prefix, and only some elements have one.
    let file = r#"<gpx><gpx:trk><gpx:name>n</gpx:name><gpx:trkseg><gpx:trkpt lat="1" lon="2"><gpx:ele>3</gpx:ele></gpx:trkpt></gpx:trkseg></gpx:trk></gpx>"#;
    insta::assert_snapshot!(texts(file), @r#"track / (2 1 z3) = "n""#);
}

#[test]
fn what_precedes_an_error_is_read() {
    let start = "<gpx><trk><name>t</name><trkseg><trkpt lat='1' lon='1'/>\n<trkpt lat='1' lon='2'/></trkseg><trkseg>\n";
    let cut = |end: &str| part(&format!("{start}{end}"));
    // The position of the open point is complete, but its time is not.
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'><ele>5</ele><time>1970-01-01T00:0"), @r#"
    track / (1 1) (2 1) / (3 1 z5) = "t" (incomplete)
    a.gpx:3:57: the file ends before </gpx>; it is incomplete
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3"), @r#"
    track / (1 1) (2 1) = "t" (incomplete)
    a.gpx:3:1: not well-formed XML: attribute value not closed: `'` not found before end of input; is the file incomplete?
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'/></trk>"), @r#"
    track / (1 1) (2 1) / (3 1) = "t" (incomplete)
    a.gpx:3:25: not well-formed XML: expected `</trkseg>`, but `</trk>` was found
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'/>< /trkpt></gpx>"), @r#"
    track / (1 1) (2 1) / (3 1) = "t" (incomplete)
    assumed_notation, line 3, column 25: a < that starts no tag is read as the character <
    a.gpx:3:34: not well-formed XML: expected `</trkseg>`, but `</gpx>` was found
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'/><!-- "), @r#"
    track / (1 1) (2 1) / (3 1) = "t" (incomplete)
    a.gpx:3:25: not well-formed XML: comment not closed: `-->` not found before end of input; is the file incomplete?
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'/></trkseg></trk><trk><name>u</na"), @r#"
    track / (1 1) (2 1) / (3 1) = "t"
    track = none (incomplete)
    a.gpx:3:52: not well-formed XML: tag not closed: `>` not found before end of input; is the file incomplete?
    "#);
    insta::assert_snapshot!(cut("<trkpt lat='1' lon='3'/></trkseg></trk></gpx></gpx>"), @r#"
    track / (1 1) (2 1) / (3 1) = "t"
    a.gpx:3:46: not well-formed XML: close tag `</gpx>` does not match any open tag
    "#);
}

#[test]
fn nul_bytes_at_the_end_of_a_file_are_ignored() {
    let file = segment("<trkpt lat='1' lon='1'/>");
    let nul = "\0".repeat(100_000);
    insta::assert_snapshot!(texts(&format!("{file}\n{nul}\n")), @r"
    track / (1 1) = none
    ignored_content, line 3, column 1: NUL bytes outside the root element are ignored; was the device switched off while it wrote the file?
    ");
    let cut = file.strip_suffix("</trkseg></trk></gpx>").unwrap();
    insta::assert_snapshot!(part(&format!("{cut}{nul}")), @r"
    track / (1 1) = none (incomplete)
    a.gpx:2:100025: the file ends with NUL bytes before </gpx>; it is incomplete
    ");
    insta::assert_snapshot!(part(&format!("{cut}<trkpt lat='1' {nul}")), @r"
    track / (1 1) = none (incomplete)
    a.gpx:2:25: not well-formed XML: tag not closed: `>` not found before end of input; is the file incomplete?
    ");
    insta::assert_snapshot!(part(&format!("{cut}<trkpt lat='1' lon='2'><time>2024-{nul}")), @r"
    track / (1 1) (2 1) = none (incomplete)
    a.gpx:2:100059: the file ends with NUL bytes before </gpx>; it is incomplete
    ");
}

#[test]
fn documents_that_follow_each_other_are_read() {
    let one = segment("<trkpt lat='1' lon='1'/>");
    let two = one.replace("lon='1'", "lon='2'");
    let file = format!("<?xml version='1.0'?>{one}\n\u{feff}<?xml version='1.0'?>\n{two}{one}");
    insta::assert_snapshot!(texts(&file), @r"
    track / (1 1) = none
    track / (2 1) = none
    track / (1 1) = none
    ignored_content, line 4, column 1: another document follows the first one; the tracks of both are read (2 times)
    ");
    insta::assert_snapshot!(texts(&format!("{one}\nsaved by X")), @r"
    track / (1 1) = none
    ignored_content, line 3, column 1: text outside the root element is ignored
    ");
    insta::assert_snapshot!(part(&format!("{one}<kml></kml>")), @r#"
    track / (1 1) = none
    a.gpx:2:46: a second root element "kml" follows the end of the document; keep one document per file
    "#);
}

#[test]
fn undeclared_entities_and_other_encodings_in_a_name_are_noted() {
    let name = |name: &[u8]| {
        let mut file = b"<gpx><trk><name>".to_vec();
        file.extend_from_slice(name);
        file.extend_from_slice(b"</name><trkseg><trkpt lat='1' lon='1'/></trkseg></trk></gpx>");
        let mut sink = Recorded::default();
        read(&*file, &ReadOptions::default(), &mut sink).unwrap();
        sink.ended.concat() + &sink.notes.concat()
    };
    insta::assert_snapshot!(name(b"Tom & Jerry &nbsp; &#0; &lt;"), @r#"
    track / (1 1) = "Tom & Jerry � � <"
    assumed_notation, line 1, column 21: a & that starts no reference is read as the character &
    ignored_content, line 1, column 29: a reference to an entity that is not predefined is replaced by U+FFFD (2 times)
    "#);
    insta::assert_snapshot!(name(b"\xc4\x8drna \xe8rna"), @r#"
    track / (1 1) = "črna �rna"
    ignored_content, line 1, column 23: bytes that are not UTF-8 are replaced by U+FFFD; declare the encoding in the XML declaration, or save the file as UTF-8
    "#);
    insta::assert_snapshot!(name(b"x</name><!-- Gr\xf6\xdfe --><a b='\xe8'/><name>y"), @r#"
    track / (1 1) = "y"
    ignored_content, line 1, column 25: bytes that are not UTF-8 are replaced by U+FFFD; declare the encoding in the XML declaration, or save the file as UTF-8 (2 times)
    "#);
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    insta::assert_snapshot!(error_with(b"<gpx><trk>\n<name>a & b</name></trk></gpx>", &strict), @"2:9: a & that starts no reference is read as the character &; --strict makes this an error");
    let entity =
        "<!DOCTYPE gpx [<!ENTITY a 'expanded'>]><gpx><trk><name>&a;</name><trkseg/></trk></gpx>";
    insta::assert_snapshot!(texts(entity), @r#"
    track = "�"
    ignored_content, line 1, column 56: a reference to an entity that is not predefined is replaced by U+FFFD
    "#);
}

#[test]
fn a_file_without_a_track_is_an_error() {
    insta::assert_snapshot!(error(b"<gpx/>"), @"this GPX has nothing to measure: it holds no track and no route");
    insta::assert_snapshot!(error(b"<gpx><wpt/><wpt/></gpx>"), @"this GPX has nothing to measure: it holds waypoints (2) but no track and no route");
    insta::assert_snapshot!(error(b"<!DOCTYPE html><html>"), @"not a supported track file but a web page; download the track itself; if the page asks for a password, sign in first");
    insta::assert_snapshot!(error(b"<?xml version='1.0'?>"), @"1:22: this XML has no element");
    insta::assert_snapshot!(error(b"<gpx></gpx><gpx>"), @"1:17: the file ends before </gpx>; it is incomplete");
}

#[test]
fn sizes_and_depths_are_limited() {
    let long = "x".repeat(5 << 20);
    insta::assert_snapshot!(error(format!("<gpx>\n<!--{long}").as_bytes()), @"2:1: a tag, comment or text that starts here is longer than 4 MiB; remove it");
    insta::assert_snapshot!(error(format!("<gpx>\n<wpt a='{long}'/>").as_bytes()), @"2:1: a tag, comment or text that starts here is longer than 4 MiB; remove it");
    insta::assert_snapshot!(error(format!("<gpx>{}", "<a>".repeat(200)).as_bytes()), @"1:387: elements are nested more than 128 levels deep");
    insta::assert_snapshot!(error(format!("<gpx><{}>", &long[..2000]).as_bytes()), @"1:6: the name of an element is longer than 1024 bytes");
    let digits =
        segment(&format!("<trkpt lat='1' lon='1'><ele>{}1</ele></trkpt>", "0".repeat(200)));
    insta::assert_snapshot!(texts(&digits), @r#"
    track / (1 1) = none
    invalid_elevation, line 2, column 24: 1 invalid elevation is ignored: the elevation "0000000000000000000000000000000000000000…" is not a number
    "#);
    let blanks =
        segment(&format!("<trkpt lat='1' lon='1'><ele>5{}</ele></trkpt>", " ".repeat(200)));
    insta::assert_snapshot!(texts(&blanks), @"track / (1 1 z5) = none");
    let name = format!("<gpx><trk><name>{long}</name></trk></gpx>");
    assert!(texts(&name).len() < 1100);
    let values =
        segment(&format!("<trkpt lat='1' lon='1'><ele>1{long}</ele><x>{long}</x></trkpt>"));
    insta::assert_snapshot!(texts(&values), @r#"
    track / (1 1) = none
    invalid_elevation, line 2, column 24: 1 invalid elevation is ignored: the elevation "1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a number
    "#);
}

#[test]
fn only_one_kind_and_one_segment_are_read_on_request() {
    let file = "<gpx><trk><trkseg><trkpt lat='1' lon='1'/></trkseg><trkseg><trkpt lat='1' lon='2'/></trkseg></trk>\
                <rte><rtept lat='1' lon='3'/></rte></gpx>";
    let options = ReadOptions {
        only: Some(super::super::super::TrackKind::Track),
        joins_segments: true,
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with(file, &options), @"track / (1 1) (2 1) = none");
}

#[test]
fn an_unescaped_less_than_sign_in_a_name_costs_nothing() {
    let file =
        "<gpx><trk><name>5 < 6 km</name><trkseg><trkpt lat='1' lon='2'/></trkseg></trk></gpx>";
    insta::assert_snapshot!(texts(file), @r#"
    track / (2 1) = "5 < 6 km"
    assumed_notation, line 1, column 19: a < that starts no tag is read as the character <
    "#);
}
