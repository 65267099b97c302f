//! The structure of a document: its open elements and its root, and what is outside of them.

use std::borrow::Cow;

use quick_xml::Error;
use quick_xml::errors::IllFormedError;

use super::super::error::{FormatError, Position};
use super::super::value::excerpt;
use super::element::Element;
use super::messages::explain;
use super::repair::{Repair, Repairs};

/// The depth of nested elements. GPX itself needs 5, and extensions need a few more.
const DEPTH_MAX: usize = 128;
/// The length of an element name.
const NAME_BYTES_MAX: usize = 1 << 10;
/// The mark of UTF-8 at the start of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

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

/// The open elements and the root of a document.
#[derive(Default)]
pub(super) struct Structure {
    /// The names of the open elements, outermost first.
    names: String,
    /// The index in `names` of each open element.
    starts: Vec<usize>,
    /// The name of the first root element.
    root: Option<String>,
    pub(super) reads_several_roots: bool,
    /// Whether the text outside the root element since the last tag was reported.
    outside_is_reported: bool,
    /// Whether the last text ends with a NUL byte.
    pub(super) is_after_nul: bool,
    pub(super) repairs: Repairs,
}

impl Structure {
    /// Returns whether no element is open.
    #[inline]
    pub(super) fn is_outside(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the name of the current element.
    #[inline]
    pub(super) fn current(&self) -> Option<&str> {
        self.starts.last().map(|&start| &self.names[start..])
    }

    /// Handles a start tag.
    #[inline]
    pub(super) fn start(
        &mut self,
        element: &Element<'_>,
        position: Position,
    ) -> Result<(), FormatError> {
        let name = element.name();
        if self.starts.is_empty() || self.starts.len() >= DEPTH_MAX || name.len() > NAME_BYTES_MAX {
            self.check_start(element, position)?;
        }
        self.is_after_nul = false;
        self.starts.push(self.names.len());
        self.names.push_str(name);
        Ok(())
    }

    #[cold]
    fn check_start(
        &mut self,
        element: &Element<'_>,
        position: Position,
    ) -> Result<(), FormatError> {
        let too_large = |message| Err(FormatError::TooLarge { position, message });
        if self.starts.len() >= DEPTH_MAX {
            return too_large(format!("elements are nested more than {DEPTH_MAX} levels deep"));
        }
        if element.name().len() > NAME_BYTES_MAX {
            return too_large(format!(
                "the name of an element is longer than {NAME_BYTES_MAX} bytes"
            ));
        }
        if !self.starts.is_empty() {
            return Ok(());
        }
        self.outside_is_reported = false;
        let name = element.local_name();
        match &self.root {
            None => self.root = Some(name.to_owned()),
            Some(root) if self.reads_several_roots && root == name => {
                self.repairs.add(Repair::SecondDocument, position);
            }
            Some(_) => {
                let name = excerpt(name.as_bytes());
                let message = format!(
                    "a second root element {name} follows the end of the document; keep one \
                     document per file"
                );
                return Err(FormatError::malformed(position, message));
            }
        }
        Ok(())
    }

    /// Handles the end of the current element, which has the name of the end tag.
    #[inline]
    pub(super) fn end(&mut self) {
        self.is_after_nul = false;
        if let Some(start) = self.starts.pop() {
            self.names.truncate(start);
        }
    }

    /// Handles an end tag with any name.
    pub(super) fn end_named(&mut self, name: &str, position: Position) -> Result<(), FormatError> {
        let error = match self.current() {
            Some(current) if current == name => {
                self.end();
                return Ok(());
            }
            Some(current) => IllFormedError::MismatchedEndTag {
                expected: current.to_owned(),
                found: name.to_owned(),
            },
            None => IllFormedError::UnmatchedEndTag(name.to_owned()),
        };
        Err(explain(Error::IllFormed(error), position))
    }

    /// Handles text, which is an event if it is inside the root element.
    pub(super) fn text<'t>(&mut self, text: Cow<'t, str>, position: Position) -> XmlEvent<'t> {
        self.is_after_nul = text.ends_with('\0');
        if !self.is_outside() {
            return XmlEvent::Text(text);
        }
        let is_blank = |char: char| char.is_whitespace() || char == BYTE_ORDER_MARK;
        if !self.outside_is_reported && !text.chars().all(is_blank) {
            self.outside_is_reported = true;
            let is_nul = text.chars().all(|char| is_blank(char) || char == '\0');
            let repair = if is_nul { Repair::NulOutside } else { Repair::TextOutside };
            self.repairs.add(repair, position);
        }
        XmlEvent::Other
    }

    /// Handles the end of the file.
    pub(super) fn finish(&self, position: Position) -> Result<(), FormatError> {
        let message = match &self.root {
            None => "this XML has no element".to_owned(),
            Some(_) if self.is_outside() => return Ok(()),
            Some(root) => {
                let root = excerpt(root.as_bytes());
                let root = root.trim_matches('"');
                let nul = if self.is_after_nul { " with NUL bytes" } else { "" };
                format!("the file ends{nul} before </{root}>; it is incomplete")
            }
        };
        Err(FormatError::malformed(position, message))
    }
}
