//! The readers of XML formats: the root element of the document chooses one.
//!
//! `reader` returns elements and text with their positions, and limits their size. Each format is a
//! [`Document`] in a file of its own.

mod coordinates;
mod element;
mod gpx;
mod kml;
mod messages;
mod reader;
mod repair;
mod structure;
mod tcx;
mod window;

#[cfg(test)]
mod tests;

use std::io::BufRead;

use super::error::{FormatError, Position};
use super::options::{PointsMode, ReadOptions};
use super::other::{self, Other};
use super::time::FileTimes;
use super::track_writer::TrackWriter;
use super::value::{excerpt, truncate};
use gpx::Gpx;
use kml::Kml;
use reader::{Element, Kind, XmlEvent, XmlReader};
use tcx::Tcx;

/// A format: handles the elements of a document in their order.
trait Document {
    /// Handles a start tag. The first one is the root element.
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError>;

    /// Returns whether [`Document::text`] needs the position for the current element.
    fn needs_text_position(&self) -> bool {
        false
    }

    /// Handles a part of the text of the current element, which starts at `position`.
    fn text(&mut self, text: &str, position: Position) -> Result<(), FormatError>;

    /// Returns whether [`Document::end`] needs the position for the current element.
    fn needs_end_position(&self) -> bool {
        true
    }

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
pub(super) fn read(
    text: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut times = FileTimes::new(options)?;
    let mut xml = XmlReader::new(text);
    let outcome = read_root(&mut xml, options.points, &mut times, out);
    let reported = xml.repairs().report(out);
    times.report(outcome.and(reported), out)
}

fn read_root(
    xml: &mut XmlReader<impl BufRead>,
    points: PointsMode,
    times: &mut FileTimes,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    loop {
        let (event, position) = xml.next()?;
        let XmlEvent::Start(root) = event else { continue };
        let name = root.local_name();
        return match name {
            _ if name.eq_ignore_ascii_case("gpx") => {
                let gpx = started(Gpx::new(out, times), &root, position)?;
                xml.read_several_roots();
                read_document(xml, gpx)
            }
            _ if name.eq_ignore_ascii_case("TrainingCenterDatabase") => {
                let tcx = started(Tcx::new(out, times), &root, position)?;
                read_document(xml, tcx)
            }
            _ if name.eq_ignore_ascii_case("kml") => {
                let kml = started(Kml::new(out, times, points), &root, position)?;
                read_document(xml, kml)
            }
            name => Err(unrecognised(name, position)),
        };
    }
}

/// Passes the root element to a document.
fn started<D: Document>(
    mut document: D,
    root: &Element<'_>,
    position: Position,
) -> Result<D, FormatError> {
    document.start(root, position)?;
    Ok(document)
}

fn read_document(
    xml: &mut XmlReader<impl BufRead>,
    mut document: impl Document,
) -> Result<(), FormatError> {
    loop {
        let found = xml.find();
        match found.kind {
            Kind::Start | Kind::Empty => {
                let position = xml.position();
                match xml.start(found, position) {
                    Ok(element) => document.start(&element, position)?,
                    Err(error) => return document.interrupt().and(Err(error)),
                }
            }
            Kind::Text => {
                let position = match document.needs_text_position() {
                    true => xml.position(),
                    false => Position::line(1),
                };
                document.text(xml.text(found), position)?;
            }
            Kind::End => {
                // Counting lines is a large part of the cost of an end tag.
                let position = match document.needs_end_position() {
                    true => xml.position(),
                    false => Position::line(1),
                };
                xml.end(found);
                document.end(position)?;
            }
            _ => {
                let position = xml.position();
                match xml.other(found, position) {
                    Ok(XmlEvent::Start(element)) => document.start(&element, position)?,
                    Ok(XmlEvent::Text(text)) => document.text(&text, position)?,
                    Ok(XmlEvent::End) => document.end(position)?,
                    Ok(XmlEvent::Other) => {}
                    Ok(XmlEvent::Eof) => return document.finish(),
                    Err(error) => return document.interrupt().and(Err(error)),
                }
            }
        }
    }
}

/// Appends a part of the text of a value, up to `bytes_max` bytes. A value that is cut ends with an ellipsis,
/// because a part of a number is another number.
fn append(value: &mut String, text: &str, bytes_max: usize) {
    if value.len() > bytes_max {
        return;
    }
    let start = truncate(text, bytes_max - value.len());
    value.push_str(start);
    if !text[start.len()..].trim_ascii().is_empty() {
        value.push('…');
    }
}

fn unrecognised(root: &str, _position: Position) -> FormatError {
    if let Some(Other { found, advice }) = other::xml(root) {
        return FormatError::Unrecognised { found: found.to_owned(), advice };
    }
    let found = format!("XML with the root element {}", excerpt(root.as_bytes()));
    FormatError::Unrecognised { found, advice: other::UNKNOWN }
}
