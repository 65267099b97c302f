//! The reader of GPX 1.0 and 1.1.
//!
//! Elements are identified by their local name and parent, and the namespace prefix is ignored. So tracks of
//! both versions are found, and elements of the same name in extensions are not. The gpx crate is not used,
//! because it builds the whole file in memory and its errors have no positions.

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::sink::TrackKind;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::{coordinate, number, truncate, unix_ns};
use super::Document;
use super::reader::Element;

/// The bytes of an elevation or time that are kept. Valid ones are shorter.
const VALUE_BYTES_MAX: usize = 128;
/// The bytes of a track name that are kept.
const TRACK_NAME_BYTES_MAX: usize = 1 << 10;

/// The role of an open element.
#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Gpx,
    Track,
    Route,
    Segment,
    Name,
    Point,
    Elevation,
    Time,
    Other,
}

/// The state of the reader.
pub(super) struct Gpx<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    /// The open elements, outermost first.
    open: Vec<Tag>,
    /// The name of the current track.
    name: Option<String>,
    /// The open point and its position.
    point: Option<Result<RawFix, (Position, String)>>,
    /// The text of the open elevation or time, and its position.
    value: (String, Position),
    track_count: u64,
    waypoint_count: u64,
}

impl<'a, 'b> Gpx<'a, 'b> {
    pub(super) fn new(out: &'a mut TrackWriter<'b>) -> Self {
        Self {
            out,
            open: vec![],
            name: None,
            point: None,
            value: (String::new(), Position::line(1)),
            track_count: 0,
            waypoint_count: 0,
        }
    }

    fn start_track(&mut self, is_route: bool, position: Position) -> Result<(), FormatError> {
        self.track_count += 1;
        self.name = None;
        let kind = if is_route { TrackKind::Route } else { TrackKind::Track };
        self.out.start_track(kind, position)
    }

    /// Adds the elevation or time to the open point.
    fn end_value(&mut self, tag: Tag) -> Result<(), FormatError> {
        let (text, position) = (self.value.0.as_bytes(), self.value.1);
        let Some(Ok(raw)) = &mut self.point else { return Ok(()) };
        let (attribute, result) = match tag {
            Tag::Elevation => (Attribute::Elevation, number("elevation", text).map(|z| raw.z = z)),
            _ => (Attribute::Time, unix_ns(text, None).map(|unix_ns| raw.unix_ns = unix_ns)),
        };
        match result {
            Ok(()) => Ok(()),
            Err(message) => self.out.invalid_value(attribute, position, message),
        }
    }
}

impl Document for Gpx<'_, '_> {
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError> {
        let local = element.local_name();
        let tag = match (self.open.last(), local) {
            (None, _) => Tag::Gpx,
            (Some(Tag::Gpx), "trk" | "rte") => {
                self.start_track(local == "rte", position)?;
                if local == "rte" { Tag::Route } else { Tag::Track }
            }
            (Some(Tag::Gpx), "wpt") => {
                self.waypoint_count += 1;
                Tag::Other
            }
            (Some(Tag::Track), "trkseg") => {
                self.out.start_segment();
                Tag::Segment
            }
            (Some(Tag::Track | Tag::Route), "name") => {
                self.name = Some(String::new());
                Tag::Name
            }
            (Some(Tag::Segment), "trkpt") | (Some(Tag::Route), "rtept") => {
                self.point = Some(
                    point(element)
                        .map(|(x, y)| RawFix::new(position, x, y))
                        .map_err(|message| (position, message)),
                );
                Tag::Point
            }
            (Some(Tag::Point), "ele" | "time") => {
                self.value.0.clear();
                self.value.1 = position;
                if local == "ele" { Tag::Elevation } else { Tag::Time }
            }
            _ => Tag::Other,
        };
        self.open.push(tag);
        Ok(())
    }

    fn text(&mut self, text: &str, _: Position) -> Result<(), FormatError> {
        let (kept, bytes_max) = match (self.open.last(), &mut self.name) {
            (Some(Tag::Name), Some(name)) => (name, TRACK_NAME_BYTES_MAX),
            (Some(Tag::Elevation | Tag::Time), _) => (&mut self.value.0, VALUE_BYTES_MAX),
            _ => return Ok(()),
        };
        kept.push_str(truncate(text, bytes_max - kept.len()));
        Ok(())
    }

    fn end(&mut self, position: Position) -> Result<(), FormatError> {
        match self.open.pop() {
            Some(Tag::Track | Tag::Route) => self.out.end_track(position),
            Some(Tag::Name) => {
                self.out.set_name(self.name.as_deref().unwrap_or_default());
                Ok(())
            }
            Some(Tag::Point) => match self.point.take() {
                Some(Ok(raw)) => self.out.point(&raw),
                Some(Err((position, message))) => self.out.invalid_point(position, message),
                None => Ok(()),
            },
            Some(tag @ (Tag::Elevation | Tag::Time)) => self.end_value(tag),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<(), FormatError> {
        if self.track_count > 0 {
            return Ok(());
        }
        let found = match self.waypoint_count {
            0 => "it holds no track and no route".to_owned(),
            count => format!("it holds waypoints ({count}) but no track and no route"),
        };
        Err(FormatError::NoTracks { format: Format::Gpx, found })
    }
}

/// Returns the coordinates of a `trkpt` or `rtept`.
fn point(element: &Element<'_>) -> Result<(f64, f64), String> {
    let (mut x, mut y) = (None, None);
    for attribute in element.attributes() {
        match attribute? {
            ("lon", value) => x = Some(coordinate("longitude", value.as_bytes())?),
            ("lat", value) => y = Some(coordinate("latitude", value.as_bytes())?),
            _ => {}
        }
    }
    let missing = |name| format!("this <{}> has no \"{name}\" attribute", element.local_name());
    Ok((x.ok_or_else(|| missing("lon"))?, y.ok_or_else(|| missing("lat"))?))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{error, texts};

    #[test]
    fn tracks_and_routes_are_read_and_waypoints_are_ignored() {
        let file = r#"<?xml version="1.0"?>
            <!-- a walk --><gpx><wpt lat="1" lon="1"><name>no</name></wpt>
            <trk><name> Mountain &amp; <![CDATA[<Valley>]]>&#x10D; </name><trkseg>
                <trkpt lat="46.5" lon="13.5"><name>no</name><ele>1</ele></trkpt>
                <trkpt lon='13.6' lat='46.5'/>
            </trkseg><trkseg/></trk>
            <rte><rtept lat="1" lon="2"/><name>late</name></rte></gpx>"#;
        insta::assert_snapshot!(texts(file), @r#"
        track / (13.5 46.5 z1) (13.6 46.5) / = "Mountain & <Valley>č"
        track / (2 1) = "late"
        "#);
    }

    #[test]
    fn elevations_and_times_are_read() {
        let file = r#"<gpx><time>2000-01-01T00:00:00Z</time><trk><trkseg>
            <trkpt lat="1" lon="2"><ele> 37.4 </ele><time>1970-01-01T00:00:01.5Z</time></trkpt>
            <trkpt lat="1" lon="2"><time>1970-01-01T02:00:02&#x2B;02:00</time><ele>0</ele></trkpt>
            <trkpt lat="1" lon="2"><ele/><time>0001-01-01T00:00:00Z</time><hdop>3</hdop></trkpt>
            <trkpt lat="1" lon="2"><extensions><ele>9</ele></extensions></trkpt>
            </trkseg></trk></gpx>"#;
        insta::assert_snapshot!(texts(file), @"track / (2 1 z37.4 t1.5) (2 1 z0 t2) (2 1) (2 1) = none");
        let point = |inside: &str| {
            error(format!("<gpx><trk><trkseg>\n<trkpt lat='1' lon='2'>{inside}</trkpt>").as_bytes())
        };
        insta::assert_snapshot!(point("<ele>high</ele>"), @r#"2:24: the elevation "high" is not a number"#);
        insta::assert_snapshot!(point("<ele>1e13</ele>"), @"2:24: z 10000000000000 is not a number between -2^40 and 2^40");
        insta::assert_snapshot!(point("\n<time>yesterday</time>"), @r#"3:1: the time "yesterday" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"#);
        insta::assert_snapshot!(point(&format!("<time>{}</time>", "1x".repeat(3000))), @r#"2:24: the time "1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x…" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"#);
    }

    #[test]
    fn prefixes_and_extensions_are_ignored() {
        let file = r#"<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:trk><g:trkseg>
            <g:trkpt lat="1" lon="2"><g:extensions><trkpt lat="99" lon="0"/></g:extensions></g:trkpt>
            </g:trkseg><g:extensions><x:name xmlns:x="x">no</x:name></g:extensions></g:trk></g:gpx>"#;
        insta::assert_snapshot!(texts(file), @"track / (2 1) = none");
    }

    #[test]
    fn errors_have_positions() {
        let point = |point: &str| error(format!("<gpx>\n<trk>\r\n <trkseg>{point}").as_bytes());
        insta::assert_snapshot!(point(r#"<trkpt lat="91" lon="0"/>"#), @"3:10: latitude 91 is not between -90 and 90 degrees");
        insta::assert_snapshot!(point(r#"<trkpt lat="1" lon="NaN"/>"#), @"3:10: longitude NaN is not a finite number");
        insta::assert_snapshot!(point(r#"<trkpt lat="46,5" lon="0"/>"#), @r#"3:10: the latitude "46,5" has a decimal comma; write a decimal point"#);
        insta::assert_snapshot!(point(r#"<trkpt lat="46"/>"#), @r#"3:10: this <trkpt> has no "lon" attribute"#);
        insta::assert_snapshot!(point(r#"<trkpt lat="46" lon="1"/>"#), @"3:35: the file ends before </gpx>; it is incomplete");
        insta::assert_snapshot!(point(r#"<trkpt lat="46" lon="#), @"3:10: not well-formed XML: tag not closed: `>` not found before end of input; is the file incomplete?");
        insta::assert_snapshot!(point("</trk>"), @"3:10: not well-formed XML: expected `</trkseg>`, but `</trk>` was found");
        insta::assert_snapshot!(error(b"<gpx>\n<trk>\xe8</trk></gpx>"), @"2:6: the text that starts here is not UTF-8; declare its encoding in the XML declaration, or save it as UTF-8");
        insta::assert_snapshot!(error(b"<gpx></gpx><gpx>"), @r#"1:12: a second root element "gpx" follows the end of the document; keep one GPX document per file"#);
    }

    #[test]
    fn a_file_without_a_track_is_an_error() {
        insta::assert_snapshot!(error(b"<gpx/>"), @"this GPX has nothing to measure: it holds no track and no route");
        insta::assert_snapshot!(error(b"<gpx><wpt/><wpt/></gpx>"), @"this GPX has nothing to measure: it holds waypoints (2) but no track and no route");
        insta::assert_snapshot!(error(b"<kml/>"), @"not GPX, GeoJSON or CSV but a KML file; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(error(b"<!DOCTYPE html><html>"), @"not GPX, GeoJSON or CSV but a web page; download the track itself");
        insta::assert_snapshot!(error(b"<?xml version='1.0'?>"), @"1:22: this XML has no element");
    }

    #[test]
    fn sizes_and_depths_are_limited() {
        let long = "x".repeat(5 << 20);
        insta::assert_snapshot!(error(format!("<gpx>\n<!--{long}").as_bytes()), @"2:1: a tag, comment or text that starts here is longer than 4 MiB; remove it");
        insta::assert_snapshot!(error(format!("<gpx>{}", "<a>".repeat(200)).as_bytes()), @"1:387: elements are nested more than 128 levels deep");
        insta::assert_snapshot!(error(format!("<gpx><{}>", &long[..2000]).as_bytes()), @"1:6: the name of an element is longer than 1024 bytes");
        let name = format!("<gpx><trk><name>{long:.3000}</name></trk></gpx>");
        assert!(texts(&name).len() < 1100);
    }
}
