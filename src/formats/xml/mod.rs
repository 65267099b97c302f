//! The readers of XML formats: the root element of the document chooses one.
//!
//! `reader` returns elements and text with their positions, and limits their size. Each format is a
//! [`Document`] in a file of its own.

mod gpx;
mod kml;
mod reader;
mod tcx;

use std::io::BufRead;

use super::error::{FormatError, Position};
use super::track_writer::TrackWriter;
use super::value::excerpt;
use gpx::Gpx;
use kml::Kml;
use reader::{Element, XmlEvent, XmlReader};
use tcx::Tcx;

/// A format: handles the elements of a document in their order.
trait Document {
    /// Handles a start tag. The first one is the root element.
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError>;

    /// Handles a part of the text of the current element, which starts at `position`.
    fn text(&mut self, text: &str, position: Position) -> Result<(), FormatError>;

    /// Handles the end of the current element.
    fn end(&mut self, position: Position) -> Result<(), FormatError>;

    /// Passes on what is stored when the document cannot be read to its end.
    fn interrupt(&mut self) -> Result<(), FormatError> {
        Ok(())
    }

    /// Handles the end of a complete document.
    fn finish(self) -> Result<(), FormatError>;
}

/// Reads a document from UTF-8 text.
pub(super) fn read(text: impl BufRead, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
    let mut xml = XmlReader::new(text);
    let (name, position) = loop {
        if let (XmlEvent::Start(element), position) = xml.next()? {
            break (element.local_name().to_owned(), position);
        }
    };
    match &*name {
        "gpx" => read_document(xml, Gpx::new(out)),
        "TrainingCenterDatabase" => read_document(xml, Tcx::new(out)),
        "kml" => read_document(xml, Kml::new(out)),
        _ => Err(unrecognised(&name, position)),
    }
}

fn read_document(
    mut xml: XmlReader<impl BufRead>,
    mut document: impl Document,
) -> Result<(), FormatError> {
    loop {
        let (event, position) = match xml.next() {
            Ok(next) => next,
            Err(error) => return document.interrupt().and(Err(error)),
        };
        match event {
            XmlEvent::Start(element) => document.start(&element, position)?,
            XmlEvent::Text(text) => document.text(&text, position)?,
            XmlEvent::End => document.end(position)?,
            XmlEvent::Other => {}
            XmlEvent::Eof => return document.finish(),
        }
    }
}

fn unrecognised(root: &str, _position: Position) -> FormatError {
    let is_html = root.eq_ignore_ascii_case("html");
    let found = match is_html {
        true => "a web page".to_owned(),
        false => format!("XML with the root element {}", excerpt(root.as_bytes())),
    };
    let advice = match is_html {
        true => "download the track itself",
        false => "convert it to GPX first, for example with GPSBabel",
    };
    FormatError::Unrecognised { found, advice }
}
