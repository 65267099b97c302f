//! GPX 1.0 and 1.1, event by event with quick-xml.
//!
//! The gpx crate builds the whole file in memory and has lost the place of a bad coordinate by the
//! time it could be told; quick-xml holds one event. Elements are known by local name and parent,
//! whatever prefix they carry, so tracks of both versions are found and look-alikes in extensions
//! are not. External and declared entities are never expanded.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use super::error::{FormatError, Limit, Place, coordinate, cut, excerpt};
use super::value::{number, unix_ns};
use super::{Fix, Format, SinkError, TrackSink};

/// The longest tag, comment or run of text: 4 MiB, which is what a photo in an extension may take
/// and bounds the memory of the reader.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// How deep elements may nest: GPX itself needs 5, extensions a few more.
const DEPTH_MAX: usize = 128;
/// The longest element name; quick-xml holds those of all open elements.
const ELEMENT_NAME_BYTES_MAX: usize = 1 << 10;
/// An elevation or time is cut here; no good one is as long.
const VALUE_BYTES_MAX: usize = 128;
/// A track name is cut here.
const TRACK_NAME_BYTES_MAX: usize = 1 << 10;

/// What an open element is, as far as it matters.
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

/// Reads GPX from UTF-8 text.
pub(super) fn read(text: impl BufRead, sink: &mut dyn TrackSink) -> Result<(), FormatError> {
    let mut xml = Reader::from_reader(Placed::new(text));
    xml.config_mut().expand_empty_elements = true;
    let mut document = Document::new(sink);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        xml.get_mut().allowance = EVENT_BYTES_MAX;
        let place = xml.get_ref().place();
        match xml.read_event_into(&mut buffer).map_err(|error| explain(error, place))? {
            Event::Start(element) => document.start(&element, place)?,
            Event::End(_) => document.end(place)?,
            Event::Text(text) => document.text(&text),
            Event::CData(text) => document.text(&text),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(char)) => document.text(char.encode_utf8(&mut [0; 4])),
                _ => document.text(resolve_xml_entity(&entity).unwrap_or("\u{fffd}")),
            },
            Event::Eof => return document.finish(place),
            // An empty element comes as a start and an end.
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) => {}
            Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The walk through the elements.
struct Document<'a> {
    sink: &'a mut dyn TrackSink,
    open: Vec<Tag>,
    name: Option<String>,
    /// The point that is open, and where it began.
    point: Option<(Fix, Place)>,
    /// The text of the elevation or time that is open, and where it began.
    value: (String, Place),
    root_count: usize,
    track_count: u64,
    waypoint_count: u64,
}

impl<'a> Document<'a> {
    fn new(sink: &'a mut dyn TrackSink) -> Self {
        Self {
            sink,
            open: vec![],
            name: None,
            point: None,
            value: (String::new(), Place { line: 1, column: None }),
            root_count: 0,
            track_count: 0,
            waypoint_count: 0,
        }
    }

    fn start(&mut self, element: &BytesStart<'_>, place: Place) -> Result<(), FormatError> {
        let local = element.local_name();
        let local: &str = local.as_ref();
        if element.name().as_ref().len() > ELEMENT_NAME_BYTES_MAX || self.open.len() >= DEPTH_MAX {
            let message = format!(
                "elements are nested more than {DEPTH_MAX} deep or have names of more than \
                 {ELEMENT_NAME_BYTES_MAX} bytes; this is not a GPX file anybody needs"
            );
            return Err(FormatError::TooLarge { place, message });
        }
        let refused = |error| FormatError::refused(error, place);
        let tag = match (self.open.last(), local) {
            (None, _) => self.root(local, place)?,
            (Some(Tag::Gpx), "trk" | "rte") => {
                self.start_track(local == "rte").map_err(refused)?;
                if local == "rte" { Tag::Route } else { Tag::Track }
            }
            (Some(Tag::Gpx), "wpt") => {
                self.waypoint_count += 1;
                Tag::Other
            }
            (Some(Tag::Track), "trkseg") => {
                self.sink.start_segment().map_err(refused)?;
                Tag::Segment
            }
            (Some(Tag::Track | Tag::Route), "name") => {
                self.name = Some(String::new());
                Tag::Name
            }
            (Some(Tag::Segment), "trkpt") | (Some(Tag::Route), "rtept") => {
                let fix = fix(element, local)
                    .map_err(|message| FormatError::malformed(place, message))?;
                self.point = Some((fix, place));
                Tag::Point
            }
            (Some(Tag::Point), "ele" | "time") => {
                self.value.0.clear();
                self.value.1 = place;
                if local == "ele" { Tag::Elevation } else { Tag::Time }
            }
            _ => Tag::Other,
        };
        self.open.push(tag);
        Ok(())
    }

    fn root(&mut self, local: &str, place: Place) -> Result<Tag, FormatError> {
        self.root_count += 1;
        if self.root_count > 1 {
            let message = format!(
                "the file goes on with {} after its end; keep one GPX document a file",
                excerpt(local.as_bytes())
            );
            return Err(FormatError::malformed(place, message));
        }
        if local == "gpx" {
            return Ok(Tag::Gpx);
        }
        let found = match local {
            "TrainingCenterDatabase" => "a TCX file".to_owned(),
            "kml" => "a KML file".to_owned(),
            _ if local.eq_ignore_ascii_case("html") => "a web page".to_owned(),
            _ => format!("XML with the root element {}", excerpt(local.as_bytes())),
        };
        let advice = match local {
            _ if local.eq_ignore_ascii_case("html") => "download the track itself",
            _ => "convert it to GPX first, for example with GPSBabel",
        };
        Err(FormatError::Unrecognised { found, advice })
    }

    fn start_track(&mut self, is_route: bool) -> Result<(), SinkError> {
        self.track_count += 1;
        self.name = None;
        self.sink.start_track()?;
        if is_route { self.sink.start_segment() } else { Ok(()) }
    }

    fn text(&mut self, text: &str) {
        let (kept, bytes_max) = match (self.open.last(), &mut self.name) {
            (Some(Tag::Name), Some(name)) => (name, TRACK_NAME_BYTES_MAX),
            (Some(Tag::Elevation | Tag::Time), _) => (&mut self.value.0, VALUE_BYTES_MAX),
            _ => return,
        };
        kept.push_str(cut(text, bytes_max - kept.len()));
    }

    fn end(&mut self, place: Place) -> Result<(), FormatError> {
        let refused = FormatError::refused;
        match self.open.pop() {
            Some(Tag::Track | Tag::Route) => {
                let name = self.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
                self.sink.end_track(name).map_err(|error| refused(error, place))
            }
            Some(Tag::Point) => match self.point.take() {
                Some((fix, place)) => self.sink.fix(fix).map_err(|error| refused(error, place)),
                None => Ok(()),
            },
            Some(tag @ (Tag::Elevation | Tag::Time)) => {
                let (text, place) = &self.value;
                let Some((fix, _)) = &mut self.point else { return Ok(()) };
                let malformed = |message| FormatError::malformed(*place, message);
                if tag == Tag::Elevation {
                    fix.z = number("elevation", text.as_bytes()).map_err(malformed)?;
                } else {
                    fix.unix_ns = unix_ns(text.as_bytes(), None).map_err(malformed)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(self, place: Place) -> Result<(), FormatError> {
        if self.root_count == 0 {
            return Err(FormatError::malformed(place, "this XML has no element in it"));
        }
        if let Some(tag) = self.open.last() {
            let inside = if *tag == Tag::Gpx { "" } else { ", inside a track or another element" };
            let message = format!("the file ends before </gpx>{inside}: it was cut short");
            return Err(FormatError::malformed(place, message));
        }
        if self.track_count == 0 {
            let found = match self.waypoint_count {
                0 => "it holds no track and no route".to_owned(),
                count => format!("it holds waypoints ({count}) but no track and no route"),
            };
            return Err(FormatError::NoTracks { format: Format::Gpx, found });
        }
        Ok(())
    }
}

/// The position of a track or route point.
fn fix(element: &BytesStart<'_>, local: &str) -> Result<Fix, String> {
    let (mut x, mut y) = (None, None);
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| format!("this <{local}> is broken: {error}"))?;
        match attribute.key.as_ref() {
            "lon" => x = Some(coordinate("longitude", attribute.value.as_bytes())?),
            "lat" => y = Some(coordinate("latitude", attribute.value.as_bytes())?),
            _ => {}
        }
    }
    match (x, y) {
        (Some(x), Some(y)) => Ok(Fix::new(x, y)),
        (None, _) => Err(format!("this <{local}> has no \"lon\" attribute")),
        (_, None) => Err(format!("this <{local}> has no \"lat\" attribute")),
    }
}

fn explain(error: quick_xml::Error, place: Place) -> FormatError {
    match error {
        quick_xml::Error::Io(shared) => {
            match shared.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
                Some(limit) => Limit::or_io(limit.into_io(), place),
                None => FormatError::Io(io::Error::new(shared.kind(), shared.to_string())),
            }
        }
        quick_xml::Error::Encoding(_) => FormatError::malformed(
            place,
            "the text from here on is not UTF-8; name its encoding in the XML declaration, or save \
             it as UTF-8",
        ),
        quick_xml::Error::Syntax(error) => FormatError::malformed(
            place,
            format!("not well-formed XML: {error}; was it cut short?"),
        ),
        // The names in these come from the file and may be long.
        quick_xml::Error::IllFormed(error) => {
            let message: String = error.to_string().escape_debug().take(200).collect();
            FormatError::malformed(place, format!("not well-formed XML: {message}"))
        }
        error => FormatError::malformed(place, format!("not well-formed XML: {error}")),
    }
}

/// Counts lines and columns of what is consumed, and stops at the end of an allowance.
struct Placed<R> {
    input: R,
    /// How many bytes may still be consumed before the allowance is renewed.
    allowance: usize,
    line: u64,
    column: u64,
}

impl<R> Placed<R> {
    fn new(input: R) -> Self {
        Self { input, allowance: 0, line: 1, column: 1 }
    }

    /// The place of the next byte.
    fn place(&self) -> Place {
        Place { line: self.line, column: Some(self.column) }
    }
}

impl<R: BufRead> BufRead for Placed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.allowance == 0 {
            return Err(Limit(
                "a tag, comment or text that starts here is longer than 4 MiB; take it out",
            )
            .into_io());
        }
        let bytes = self.input.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.allowance)])
    }

    fn consume(&mut self, amount: usize) {
        // The buffer is still the one that was handed out, so this neither reads nor fails.
        let bytes = self.input.fill_buf().unwrap_or_default();
        let consumed = &bytes[..amount.min(bytes.len())];
        self.line += consumed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        match consumed.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => self.column = (consumed.len() - at) as u64,
            None => self.column += consumed.len() as u64,
        }
        self.allowance = self.allowance.saturating_sub(amount);
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Placed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{error, texts};

    #[test]
    fn tracks_and_routes_are_told_and_waypoints_are_not() {
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
    fn elevations_and_times_are_told_where_they_are() {
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
        insta::assert_snapshot!(point("<ele>1e13</ele>"), @"2:1: z 10000000000000 is not a number between -2^40 and 2^40");
        insta::assert_snapshot!(point("\n<time>yesterday</time>"), @r#"3:1: the time "yesterday" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"#);
        insta::assert_snapshot!(point(&format!("<time>{}</time>", "1x".repeat(3000))), @r#"2:24: the time "1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x…" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"#);
    }

    #[test]
    fn a_prefix_does_not_matter_and_extensions_are_not_looked_into() {
        let file = r#"<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:trk><g:trkseg>
            <g:trkpt lat="1" lon="2"><g:extensions><trkpt lat="99" lon="0"/></g:extensions></g:trkpt>
            </g:trkseg><g:extensions><x:name xmlns:x="x">no</x:name></g:extensions></g:trk></g:gpx>"#;
        insta::assert_snapshot!(texts(file), @"track / (2 1) = none");
    }

    #[test]
    fn errors_tell_the_place() {
        let point = |point: &str| error(format!("<gpx>\n<trk>\r\n <trkseg>{point}").as_bytes());
        insta::assert_snapshot!(point(r#"<trkpt lat="91" lon="0"/>"#), @"3:10: latitude 91 is not between -90 and 90 degrees");
        insta::assert_snapshot!(point(r#"<trkpt lat="1" lon="NaN"/>"#), @"3:10: longitude NaN is not a finite number");
        insta::assert_snapshot!(point(r#"<trkpt lat="46,5" lon="0"/>"#), @r#"3:10: the latitude "46,5" has a decimal comma; write a decimal point"#);
        insta::assert_snapshot!(point(r#"<trkpt lat="46"/>"#), @r#"3:10: this <trkpt> has no "lon" attribute"#);
        insta::assert_snapshot!(point(r#"<trkpt lat="46" lon="1"/>"#), @"3:35: the file ends before </gpx>, inside a track or another element: it was cut short");
        insta::assert_snapshot!(point(r#"<trkpt lat="46" lon="#), @"3:10: not well-formed XML: tag not closed: `>` not found before end of input; was it cut short?");
        insta::assert_snapshot!(point("</trk>"), @"3:10: not well-formed XML: expected `</trkseg>`, but `</trk>` was found");
        insta::assert_snapshot!(error(b"<gpx>\n<trk>\xe8</trk></gpx>"), @"2:6: the text from here on is not UTF-8; name its encoding in the XML declaration, or save it as UTF-8");
        insta::assert_snapshot!(error(b"<gpx></gpx><gpx>"), @r#"1:12: the file goes on with "gpx" after its end; keep one GPX document a file"#);
    }

    #[test]
    fn what_has_no_track_says_so() {
        insta::assert_snapshot!(error(b"<gpx/>"), @"this GPX has nothing to measure: it holds no track and no route");
        insta::assert_snapshot!(error(b"<gpx><wpt/><wpt/></gpx>"), @"this GPX has nothing to measure: it holds waypoints (2) but no track and no route");
        insta::assert_snapshot!(error(b"<kml/>"), @"not GPX, GeoJSON or CSV but a KML file; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(error(b"<!DOCTYPE html><html>"), @"not GPX, GeoJSON or CSV but a web page; download the track itself");
        insta::assert_snapshot!(error(b"<?xml version='1.0'?>"), @"1:22: this XML has no element in it");
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = "x".repeat(5 << 20);
        insta::assert_snapshot!(error(format!("<gpx>\n<!--{long}").as_bytes()), @"2:1: a tag, comment or text that starts here is longer than 4 MiB; take it out");
        insta::assert_snapshot!(error(format!("<gpx>{}", "<a>".repeat(200)).as_bytes()), @"1:387: elements are nested more than 128 deep or have names of more than 1024 bytes; this is not a GPX file anybody needs");
        assert!(error(format!("<gpx><{}>", &long[..2000]).as_bytes()).contains("1024 bytes"));
        let name = format!("<gpx><trk><name>{long:.3000}</name></trk></gpx>");
        assert!(texts(&name).len() < 1100);
    }
}
