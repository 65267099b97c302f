//! The reader of KML.

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::track_writer::TrackWriter;
use super::Document;
use super::reader::Element;

/// The state of the reader.
pub(super) struct Kml<'a, 'b> {
    #[allow(dead_code)]
    out: &'a mut TrackWriter<'b>,
}

impl<'a, 'b> Kml<'a, 'b> {
    pub(super) fn new(out: &'a mut TrackWriter<'b>) -> Self {
        Self { out }
    }
}

impl Document for Kml<'_, '_> {
    fn start(&mut self, _: &Element<'_>, _: Position) -> Result<(), FormatError> {
        Ok(())
    }

    fn text(&mut self, _: &str, _: Position) -> Result<(), FormatError> {
        Ok(())
    }

    fn end(&mut self, _: Position) -> Result<(), FormatError> {
        Ok(())
    }

    fn finish(self) -> Result<(), FormatError> {
        let found = "it is not read yet".to_owned();
        Err(FormatError::NoTracks { format: Format::Kml, found })
    }
}
