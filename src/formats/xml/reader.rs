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
use std::io::{self, BufRead};

use memchr::{memchr, memchr2};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use quick_xml::parser::{ElementParser, Parser as _};

use super::super::error::{FormatError, Limit, Position};
pub(super) use super::element::Element;
use super::messages::explain;
use super::repair::{Repair, Repairs};
use super::structure::Structure;
pub(super) use super::structure::XmlEvent;
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
    /// The error of the input.
    error: Option<io::Error>,
    /// The event that quick-xml has read.
    buffer: Vec<u8>,
    /// The event with replacements for bytes that are not UTF-8.
    repaired: String,
}

/// The kind of the next event.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Start,
    /// A start tag that is also the end of its element.
    Empty,
    /// An end tag with the name of the current element, or the end of an empty element.
    End,
    /// Text in valid UTF-8.
    Text,
    /// Bytes that are not UTF-8.
    Invalid,
    /// An event for quick-xml.
    Other,
    Eof,
    /// The window is empty or has only a part of a tag.
    Incomplete,
    /// The input returned an error.
    Failed,
}

/// The next event and its length. It fits in two registers, which matters in the inner loop.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub kind: Kind,
    bytes: usize,
}

impl Found {
    fn new(kind: Kind, bytes: usize) -> Self {
        Self { kind, bytes }
    }
}

impl<R: BufRead> XmlReader<R> {
    /// Creates a reader of UTF-8 text.
    pub(super) fn new(text: R) -> Self {
        Self {
            window: Window::new(text),
            structure: Structure::default(),
            pending: 0,
            ends_empty: false,
            error: None,
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
    pub(super) fn next(&mut self) -> Result<(XmlEvent<'_>, Position), FormatError> {
        let found = self.find();
        let position = self.position();
        let event = match found.kind {
            Kind::Start | Kind::Empty => XmlEvent::Start(self.start(found, position)?),
            Kind::End => {
                self.end(found);
                XmlEvent::End
            }
            Kind::Text => XmlEvent::Text(Cow::Borrowed(self.text(found))),
            _ => self.other(found, position)?,
        };
        Ok((event, position))
    }

    /// Consumes the last event and finds the next one. One of `start`, `end`, `text` and `other` reads it.
    #[inline]
    pub(super) fn find(&mut self) -> Found {
        self.window.consume_text(std::mem::take(&mut self.pending));
        if self.ends_empty {
            return Found::new(Kind::End, 0);
        }
        let found = find(self.window.text(), self.structure.current());
        match found.kind {
            Kind::Incomplete => self.read_and_find(),
            Kind::Text if self.structure.is_outside() => Found::new(Kind::Other, found.bytes),
            _ => found,
        }
    }

    /// Returns the position of the event that was found.
    #[inline]
    pub(super) fn position(&mut self) -> Position {
        self.window.position()
    }

    /// Reads a start tag that was found.
    #[inline]
    pub(super) fn start(
        &mut self,
        found: Found,
        position: Position,
    ) -> Result<Element<'_>, FormatError> {
        self.pending = found.bytes;
        self.ends_empty = found.kind == Kind::Empty;
        let content_end = found.bytes - 1 - usize::from(self.ends_empty);
        let element = Element::from_content(&self.window.text()[1..content_end]);
        self.structure.start(&element, position)?;
        Ok(element)
    }

    /// Reads an end tag that was found.
    #[inline]
    pub(super) fn end(&mut self, found: Found) {
        self.pending = found.bytes;
        self.ends_empty = false;
        self.structure.end();
    }

    /// Reads text in the root element that was found.
    #[inline]
    pub(super) fn text(&mut self, found: Found) -> &str {
        self.pending = found.bytes;
        let text = &self.window.text()[..found.bytes];
        self.structure.is_after_nul = text.ends_with('\0');
        text
    }

    /// Reads an event of another kind that was found.
    #[cold]
    pub(super) fn other(
        &mut self,
        found: Found,
        position: Position,
    ) -> Result<XmlEvent<'_>, FormatError> {
        Ok(match found.kind {
            Kind::Invalid => {
                self.window.consume_raw(found.bytes);
                self.structure.repairs.add(Repair::NotUtf8, position);
                self.structure.text(Cow::Borrowed(REPLACEMENT), position)
            }
            Kind::Eof => {
                self.structure.finish(position)?;
                XmlEvent::Eof
            }
            Kind::Failed => match self.error.take() {
                Some(error) => return Err(Limit::or_io(error, position)),
                None => XmlEvent::Other,
            },
            _ if !self.window.text().starts_with(['<', '&']) => {
                self.pending = found.bytes;
                let text = Cow::Borrowed(&self.window.text()[..found.bytes]);
                self.structure.text(text, position)
            }
            _ if starts_with_text(self.window.text().as_bytes()) => {
                self.pending = 1;
                self.structure.repairs.add(Repair::LessThan, position);
                self.structure.text(Cow::Borrowed("<"), position)
            }
            _ => self.read_with_quick_xml(position)?,
        })
    }

    /// Reads more input, because the window has no complete event, and finds the next event.
    #[cold]
    fn read_and_find(&mut self) -> Found {
        loop {
            let is_tag = !self.window.text().is_empty();
            let invalid_bytes = self.window.invalid_bytes();
            if invalid_bytes > 0 {
                // quick-xml reads the invalid bytes of a tag.
                return match is_tag {
                    true => Found::new(Kind::Other, 0),
                    false => Found::new(Kind::Invalid, invalid_bytes),
                };
            }
            let has_read = match self.window.read_more() {
                Ok(has_read) => has_read,
                Err(error) => {
                    self.error = Some(error);
                    return Found::new(Kind::Failed, 0);
                }
            };
            let found = find(self.window.text(), self.structure.current());
            match found.kind {
                // quick-xml reads long tags part by part.
                Kind::Incomplete if is_tag => return Found::new(Kind::Other, 0),
                Kind::Incomplete if !has_read => {
                    return match self.window.raw_bytes() {
                        0 => Found::new(Kind::Eof, 0),
                        // An incomplete character at the end of the file.
                        bytes => Found::new(Kind::Invalid, bytes),
                    };
                }
                Kind::Incomplete => {}
                Kind::Text if self.structure.is_outside() => {
                    return Found::new(Kind::Other, found.bytes);
                }
                _ => return found,
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
                structure.text(text, position)
            }
            Event::Text(text) => {
                if is_reference {
                    structure.repairs.add(Repair::Ampersand, position);
                }
                structure.text(text.into_inner(), position)
            }
            Event::CData(text) => structure.text(text.into_inner(), position),
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
            // An end tag with another spelling is not always an error: white space may follow the name.
            let name = current.unwrap_or_default().as_bytes();
            match rest.split_at_checked(name.len()) {
                // A loop is faster than `memcmp` for names of this length.
                Some((start, [b'>', ..])) if current.is_some() && start.iter().eq(name) => {
                    Found::new(Kind::End, "</>".len() + name.len())
                }
                Some((_, [_, ..])) => Found::new(Kind::Other, 0),
                _ => Found::new(Kind::Incomplete, 0),
            }
        }
        [b'<', b'!' | b'?', ..] | [b'&', ..] => Found::new(Kind::Other, 0),
        _ if starts_with_text(bytes) => Found::new(Kind::Other, 0),
        [b'<', rest @ ..] => match tag_end(rest) {
            Some(end) if end > 0 && rest[end - 1] == b'/' => Found::new(Kind::Empty, end + 2),
            Some(end) => Found::new(Kind::Start, end + 2),
            None => Found::new(Kind::Incomplete, 0),
        },
        [] => Found::new(Kind::Incomplete, 0),
        _ => Found::new(Kind::Text, text_end(bytes)),
    }
}

/// Returns whether a text starts with a `<` that cannot start a tag, comment or declaration.
#[inline]
fn starts_with_text(bytes: &[u8]) -> bool {
    // Elements whose names start with a digit are not well-formed, but are read.
    let is_start = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || !byte.is_ascii()
            || matches!(byte, b'_' | b':' | b'-' | b'.' | b'/' | b'!' | b'?')
    };
    matches!(bytes, [b'<', next, ..] if !is_start(next))
}

/// Returns the length of the text before the next tag or reference.
#[inline]
fn text_end(bytes: &[u8]) -> usize {
    // Most texts are short white space between two tags, for which a call of `memchr2` takes longer.
    const SHORT_BYTES: usize = 16;
    let is_other = |byte: &u8| !matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    match bytes.iter().take(SHORT_BYTES).position(is_other) {
        Some(end) if bytes[end] == b'<' => end,
        _ => memchr2(b'<', b'&', bytes).unwrap_or(bytes.len()),
    }
}

/// Returns the index of the first `>` that is not in quotes.
#[inline]
fn tag_end(bytes: &[u8]) -> Option<usize> {
    let end = memchr(b'>', bytes)?;
    let (mut double_count, mut has_single) = (0_u8, false);
    for &byte in &bytes[..end] {
        double_count = double_count.wrapping_add(u8::from(byte == b'"'));
        has_single |= byte == b'\'';
    }
    if !has_single && double_count % 2 == 0 {
        return Some(end);
    }
    ElementParser::Outside.feed(bytes)
}
