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
use super::other::{self, Other};
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

    /// Handles a part of the text of the current element.
    fn text(&mut self, text: &str);

    /// Handles the end of the current element.
    fn end(&mut self, position: Position) -> Result<(), FormatError>;

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
        let (event, position) = xml.next()?;
        match event {
            XmlEvent::Start(element) => document.start(&element, position)?,
            XmlEvent::Text(text) => document.text(&text),
            XmlEvent::End => document.end(position)?,
            XmlEvent::Other => {}
            XmlEvent::Eof => return document.finish(),
        }
    }
}

fn unrecognised(root: &str, _position: Position) -> FormatError {
    if let Some(Other { found, advice }) = other::xml(root) {
        return FormatError::Unrecognised { found: found.to_owned(), advice };
    }
    let found = format!("XML with the root element {}", excerpt(root.as_bytes()));
    FormatError::Unrecognised { found, advice: other::UNKNOWN }
}
