//! Parts of a document that are not well-formed but have a clear meaning. They are read, with a note.

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::track_writer::TrackWriter;

/// The kind of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// A `&` that starts no reference.
    Ampersand,
    /// A `<` that starts no tag.
    LessThan,
    /// A reference to an entity that is not predefined, or to a character that does not exist.
    Entity,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Another document follows the first one.
    SecondDocument,
    /// NUL bytes outside the root element.
    NulOutside,
    /// Text outside the root element.
    TextOutside,
}

impl Repair {
    fn kind(self) -> NoteKind {
        match self {
            Repair::Ampersand | Repair::LessThan => NoteKind::AssumedNotation,
            _ => NoteKind::IgnoredContent,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Repair::Ampersand => "a & that starts no reference is read as the character &",
            Repair::LessThan => "a < that starts no tag is read as the character <",
            Repair::Entity => {
                "a reference to an entity that is not predefined is replaced by U+FFFD"
            }
            Repair::NotUtf8 => {
                "bytes that are not UTF-8 are replaced by U+FFFD; declare the encoding in the XML \
                 declaration, or save the file as UTF-8"
            }
            Repair::SecondDocument => {
                "another document follows the first one; the tracks of both are read"
            }
            Repair::NulOutside => {
                "NUL bytes outside the root element are ignored; was the device switched off while \
                 it wrote the file?"
            }
            Repair::TextOutside => "text outside the root element is ignored",
        }
    }
}

/// The repairs in a document: for each kind the first position and the number.
#[derive(Debug, Default)]
pub(super) struct Repairs(Vec<(Repair, Position, u64)>);

impl Repairs {
    pub(super) fn add(&mut self, repair: Repair, position: Position) {
        match self.0.iter_mut().find(|(kind, ..)| *kind == repair) {
            Some((_, _, count)) => *count += 1,
            None => self.0.push((repair, position, 1)),
        }
    }

    /// Reports each kind in a note.
    ///
    /// # Errors
    /// If notes are errors.
    pub(super) fn report(&self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        for (repair, position, count) in &self.0 {
            for _ in 0..*count {
                out.file_note(repair.kind(), Some(*position), repair.message())?;
            }
        }
        Ok(())
    }
}
