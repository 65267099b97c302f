//! The XML reader of all XML formats: events of quick-xml with positions and limits.
//!
//! quick-xml holds one event and the names of the open elements. [`XmlReader`] limits the size of an event,
//! the depth of elements and the length of their names, so that memory is bounded. Character references and
//! the five predefined entities are resolved. External and declared entities are never expanded.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use super::super::error::{FormatError, Limit, Position};
use super::super::value::excerpt;

/// The largest tag, comment or text: enough for a photo in an extension.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// The depth of nested elements. GPX itself needs 5, and extensions need a few more.
const DEPTH_MAX: usize = 128;
/// The length of an element name.
const NAME_BYTES_MAX: usize = 1 << 10;

/// Reads a document with one root element.
pub(super) struct XmlReader<R> {
    reader: Reader<Positioned<R>>,
    buffer: Vec<u8>,
    root: Option<String>,
    depth: usize,
}

/// A part of a document.
pub(super) enum XmlEvent<'a> {
    Start(Element<'a>),
    /// A part of the text of the current element. One text may come in several parts.
    Text(Cow<'a, str>),
    End,
    /// A comment, declaration or processing instruction.
    Other,
    /// The end of a complete document.
    Eof,
}

impl<R: BufRead> XmlReader<R> {
    /// Creates a reader of UTF-8 text.
    pub(super) fn new(text: R) -> Self {
        let mut reader = Reader::from_reader(Positioned::new(text));
        // An empty element comes as a start and an end.
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), root: None, depth: 0 }
    }

    /// Returns the next event and the position where it starts.
    pub(super) fn next(&mut self) -> Result<(XmlEvent<'_>, Position), FormatError> {
        self.buffer.clear();
        self.reader.get_mut().budget = EVENT_BYTES_MAX;
        let position = self.reader.get_ref().position();
        let event = self.reader.read_event_into(&mut self.buffer);
        let event = match event.map_err(|error| explain(error, position))? {
            Event::Start(start) => {
                let element = Element(start);
                if self.depth == 0 {
                    if self.root.is_some() {
                        return Err(second_root(&element, position));
                    }
                    self.root = Some(excerpt_name(element.local_name()));
                }
                self.depth += 1;
                check_limits(&element, self.depth, position)?;
                XmlEvent::Start(element)
            }
            Event::End(_) => {
                self.depth -= 1;
                XmlEvent::End
            }
            Event::Text(text) => XmlEvent::Text(text.into_inner()),
            Event::CData(text) => XmlEvent::Text(text.into_inner()),
            Event::GeneralRef(entity) => XmlEvent::Text(match entity.resolve_char_ref() {
                Ok(Some(char)) => Cow::Owned(char.to_string()),
                _ => Cow::Borrowed(resolve_xml_entity(&entity).unwrap_or("\u{fffd}")),
            }),
            Event::Eof => match &self.root {
                None => return Err(FormatError::malformed(position, "this XML has no element")),
                Some(root) if self.depth > 0 => {
                    let message = format!("the file ends before </{root}>; it is incomplete");
                    return Err(FormatError::malformed(position, message));
                }
                Some(_) => XmlEvent::Eof,
            },
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => XmlEvent::Other,
        };
        Ok((event, position))
    }
}

/// The start tag of an element.
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Returns the name without its namespace prefix.
    pub(super) fn local_name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// Returns the names and values of the attributes. Entities in the values are not resolved.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Result<(&str, Cow<'_, str>), String>> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes.map(|attribute| match attribute {
            Ok(attribute) => Ok((attribute.key.into_inner(), attribute.value)),
            Err(error) => Err(format!("an attribute of <{}>: {error}", self.local_name())),
        })
    }
}

fn check_limits(
    element: &Element<'_>,
    depth: usize,
    position: Position,
) -> Result<(), FormatError> {
    let message = if depth > DEPTH_MAX {
        format!("elements are nested more than {DEPTH_MAX} levels deep")
    } else if element.0.name().into_inner().len() > NAME_BYTES_MAX {
        format!("the name of an element is longer than {NAME_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(FormatError::TooLarge { position, message })
}

fn second_root(element: &Element<'_>, position: Position) -> FormatError {
    let name = excerpt(element.local_name().as_bytes());
    let message = format!(
        "a second root element {name} follows the end of the document; keep one document per file"
    );
    FormatError::malformed(position, message)
}

/// Returns the name for an end tag in a message.
fn excerpt_name(name: &str) -> String {
    excerpt(name.as_bytes()).trim_matches('"').to_owned()
}

fn explain(error: quick_xml::Error, position: Position) -> FormatError {
    let message = match error {
        quick_xml::Error::Io(shared) => {
            return match shared.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
                Some(limit) => Limit::or_io(limit.into_io(), position),
                None => FormatError::Io(io::Error::new(shared.kind(), shared.to_string())),
            };
        }
        quick_xml::Error::Encoding(_) => {
            "the text that starts here is not UTF-8; declare its encoding in the XML declaration, or \
             save it as UTF-8"
                .to_owned()
        }
        quick_xml::Error::Syntax(error) => {
            format!("not well-formed XML: {error}; is the file incomplete?")
        }
        // The messages contain names from the file, which may be long.
        quick_xml::Error::IllFormed(error) => {
            let message: String = error.to_string().escape_debug().take(200).collect();
            format!("not well-formed XML: {message}")
        }
        error => format!("not well-formed XML: {error}"),
    };
    FormatError::malformed(position, message)
}

/// Counts the lines and columns of the bytes that are consumed, and fails when a budget of bytes is spent.
struct Positioned<R> {
    input: R,
    /// The number of bytes that may be consumed before the budget is renewed.
    budget: usize,
    line: u64,
    column: u64,
}

impl<R> Positioned<R> {
    fn new(input: R) -> Self {
        Self { input, budget: 0, line: 1, column: 1 }
    }

    /// Returns the position of the next byte.
    fn position(&self) -> Position {
        Position::column(self.line, self.column)
    }
}

impl<R: BufRead> BufRead for Positioned<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            let message = "a tag, comment or text that starts here is longer than 4 MiB; remove it";
            return Err(Limit(message).into_io());
        }
        let bytes = self.input.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.budget)])
    }

    fn consume(&mut self, amount: usize) {
        // Returns the buffer of the last `fill_buf` again: it neither reads nor fails.
        let bytes = self.input.fill_buf().unwrap_or_default();
        let consumed = &bytes[..amount.min(bytes.len())];
        self.line += consumed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        match consumed.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => self.column = (consumed.len() - at) as u64,
            None => self.column += consumed.len() as u64,
        }
        self.budget = self.budget.saturating_sub(amount);
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Positioned<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
