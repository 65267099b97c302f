//! The XML reader of all XML formats: events with positions and limits.
//!
//! Tags and text without anything unusual are found in the text in memory ([`Window`]). quick-xml reads
//! everything else, one event at a time: comments, CDATA, references, declarations and long tags. Both ways
//! give the same events, and a test compares them. Events in memory are neither copied nor validated again.
//!
//! The size of an event, the depth of elements and the length of their names are limited, so that memory is
//! bounded. Character references and the five predefined entities are resolved. External and declared entities
//! are never expanded. Text that is not well-formed but has a clear meaning is read, with a [`Repair`].

use std::borrow::Cow;
use std::io::BufRead;

use memchr::memchr2;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use quick_xml::parser::{ElementParser, Parser as _};

use super::super::error::{FormatError, Limit, Position};
pub(super) use super::element::Element;
use super::messages::explain;
use super::repair::{Repair, Repairs};
use super::structure::Structure;
use super::window::Window;

/// The largest tag or comment: enough for a photo in an extension.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// The character that stands for invalid ones.
const REPLACEMENT: &str = "\u{fffd}";

/// Reads a document with one root element.
pub(super) struct XmlReader<R> {
    window: Window<R>,
    structure: Structure,
    /// The bytes of the last event, which are still in the window.
    pending: usize,
    /// Whether the next event is the end of an empty element.
    ends_empty: bool,
    /// The event that quick-xml has read.
    buffer: Vec<u8>,
    /// The event with replacements for bytes that are not UTF-8.
    repaired: String,
}

/// A part of a document.
pub(super) enum XmlEvent<'a> {
    Start(Element<'a>),
    /// A part of the text of the current element. One text may come in several parts.
    Text(Cow<'a, str>),
    End,
    /// A comment, declaration, processing instruction, or text outside the root element.
    Other,
    /// The end of a complete document.
    Eof,
}

/// The next event in the window.
#[derive(Clone, Copy)]
enum Found {
    Start {
        content_bytes: usize,
        is_empty: bool,
    },
    /// An end tag with the name of the current element, or the end of an empty element.
    End {
        bytes: usize,
    },
    Text {
        bytes: usize,
    },
    /// Bytes that are not UTF-8.
    Invalid {
        bytes: usize,
    },
    /// An event for quick-xml.
    Other,
    Eof,
    /// The window is empty or has only a part of a tag.
    Incomplete,
}

impl<R: BufRead> XmlReader<R> {
    /// Creates a reader of UTF-8 text.
    pub(super) fn new(text: R) -> Self {
        Self {
            window: Window::new(text),
            structure: Structure::default(),
            pending: 0,
            ends_empty: false,
            buffer: Vec::new(),
            repaired: String::new(),
        }
    }

    /// Reads the documents that follow the first one too, if their root elements have the same name.
    pub(super) fn read_several_roots(&mut self) {
        self.structure.reads_several_roots = true;
    }

    /// Returns the repairs until now.
    pub(super) fn repairs(&self) -> &Repairs {
        &self.structure.repairs
    }

    /// Returns the next event and the position where it starts.
    #[inline]
    pub(super) fn next(&mut self) -> Result<(XmlEvent<'_>, Position), FormatError> {
        let found = self.find()?;
        let position = self.window.position();
        let event = match found {
            Found::Start { content_bytes, is_empty } => {
                self.pending = 1 + content_bytes + usize::from(is_empty) + 1;
                self.ends_empty = is_empty;
                let element = Element::from_content(&self.window.text()[1..=content_bytes]);
                self.structure.start(&element, position)?;
                XmlEvent::Start(element)
            }
            Found::End { bytes } => {
                self.pending = bytes;
                self.ends_empty = false;
                self.structure.end();
                XmlEvent::End
            }
            Found::Text { bytes } => {
                self.pending = bytes;
                let text = &self.window.text()[..bytes];
                match self.structure.text(text, position) {
                    true => XmlEvent::Text(Cow::Borrowed(text)),
                    false => XmlEvent::Other,
                }
            }
            Found::Invalid { bytes } => {
                self.window.consume_raw(bytes);
                self.structure.repairs.add(Repair::NotUtf8, position);
                match self.structure.text(REPLACEMENT, position) {
                    true => XmlEvent::Text(Cow::Borrowed(REPLACEMENT)),
                    false => XmlEvent::Other,
                }
            }
            Found::Eof => {
                self.structure.finish(position)?;
                XmlEvent::Eof
            }
            Found::Other | Found::Incomplete => self.read_with_quick_xml(position)?,
        };
        Ok((event, position))
    }

    /// Consumes the last event and finds the next one.
    #[inline]
    fn find(&mut self) -> Result<Found, FormatError> {
        self.window.consume_text(std::mem::take(&mut self.pending));
        if self.ends_empty {
            return Ok(Found::End { bytes: 0 });
        }
        match find(self.window.text(), self.structure.current()) {
            Found::Incomplete => self.read_and_find(),
            found => Ok(found),
        }
    }

    /// Reads more input, because the window has no complete event, and finds the next event.
    #[cold]
    fn read_and_find(&mut self) -> Result<Found, FormatError> {
        loop {
            let is_tag = !self.window.text().is_empty();
            let invalid_bytes = self.window.invalid_bytes();
            if !is_tag && invalid_bytes > 0 {
                return Ok(Found::Invalid { bytes: invalid_bytes });
            }
            let position = self.window.position();
            let has_read =
                self.window.read_more().map_err(|error| Limit::or_io(error, position))?;
            match find(self.window.text(), self.structure.current()) {
                // quick-xml reads long tags part by part.
                Found::Incomplete if is_tag => return Ok(Found::Other),
                Found::Incomplete if !has_read => {
                    return Ok(match self.window.raw_bytes() {
                        0 => Found::Eof,
                        // An incomplete character at the end of the file.
                        bytes => Found::Invalid { bytes },
                    });
                }
                Found::Incomplete => {}
                found => return Ok(found),
            }
        }
    }

    /// Reads an event that starts with `<` or `&`.
    ///
    /// Each event has a reader of its own, so end tags are compared with the open elements here.
    #[cold]
    fn read_with_quick_xml(&mut self, position: Position) -> Result<XmlEvent<'_>, FormatError> {
        let Self { window, structure, ends_empty, buffer, repaired, .. } = self;
        buffer.clear();
        window.budget = EVENT_BYTES_MAX;
        let is_reference = window.text().starts_with('&');
        match configured(Reader::from_reader(window)).read_event_into(buffer) {
            Err(quick_xml::Error::Encoding(_)) => {
                structure.repairs.add(Repair::NotUtf8, position);
                *repaired = String::from_utf8_lossy(buffer).into_owned();
            }
            Err(error) => return Err(explain(error, position)),
            // The borrow of the event ends here. Reading it again costs little.
            Ok(_) => {
                let text = std::str::from_utf8(buffer).unwrap_or_default();
                repaired.clear();
                repaired.push_str(text);
            }
        }
        let event = configured(Reader::from_str(repaired)).read_event();
        Ok(match event.map_err(|error| explain(error, position))? {
            Event::Start(start) => {
                let element = Element::new(start);
                structure.start(&element, position)?;
                XmlEvent::Start(element)
            }
            Event::Empty(start) => {
                let element = Element::new(start);
                structure.start(&element, position)?;
                *ends_empty = true;
                XmlEvent::Start(element)
            }
            Event::End(end) => {
                structure.end_named(end.name().into_inner(), position)?;
                XmlEvent::End
            }
            Event::GeneralRef(entity) => {
                let text = match entity.resolve_char_ref() {
                    Ok(Some(char)) => Cow::Owned(char.to_string()),
                    _ => Cow::Borrowed(resolve_xml_entity(&entity).unwrap_or(REPLACEMENT)),
                };
                if text == REPLACEMENT {
                    structure.repairs.add(Repair::Entity, position);
                }
                match structure.text(&text, position) {
                    true => XmlEvent::Text(text),
                    false => XmlEvent::Other,
                }
            }
            Event::Text(text) => {
                if is_reference {
                    structure.repairs.add(Repair::Ampersand, position);
                }
                match structure.text(&text, position) {
                    true => XmlEvent::Text(text.into_inner()),
                    false => XmlEvent::Other,
                }
            }
            Event::CData(text) => match structure.text(&text, position) {
                true => XmlEvent::Text(text.into_inner()),
                false => XmlEvent::Other,
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {
                XmlEvent::Other
            }
        })
    }
}

/// Configures quick-xml to read single events.
fn configured<R>(mut reader: Reader<R>) -> Reader<R> {
    let config = reader.config_mut();
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

/// Finds an event at the start of a text. `current` is the name of the current element.
#[inline]
fn find(text: &str, current: Option<&str>) -> Found {
    let bytes = text.as_bytes();
    match bytes {
        [b'<', b'/', rest @ ..] => {
            // An end tag with another spelling is not an error: it may have white space after the name.
            let after = current.and_then(|name| rest.strip_prefix(name.as_bytes()));
            match after {
                Some([b'>', after @ ..]) => Found::End { bytes: bytes.len() - after.len() },
                Some([]) => Found::Incomplete,
                _ => Found::Other,
            }
        }
        [b'<', b'!' | b'?', ..] | [b'&', ..] => Found::Other,
        [b'<', rest @ ..] => match ElementParser::Outside.feed(rest) {
            Some(end) => {
                let is_empty = end > 0 && rest[end - 1] == b'/';
                Found::Start { content_bytes: end - usize::from(is_empty), is_empty }
            }
            None => Found::Incomplete,
        },
        [] => Found::Incomplete,
        _ => Found::Text { bytes: memchr2(b'<', b'&', bytes).unwrap_or(bytes.len()) },
    }
}
