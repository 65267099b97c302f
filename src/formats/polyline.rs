//! The reader of encoded polylines.

use std::io::BufRead;

use super::error::FormatError;
use super::format::Format;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;

/// Returns whether a text that starts with `head` is in this format.
pub(super) fn matches(_head: &[u8]) -> bool {
    false
}

/// Reads the tracks of a file from UTF-8 text.
pub(super) fn read(
    _text: impl BufRead,
    _options: &ReadOptions,
    _out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let found = "it is not read yet".to_owned();
    Err(FormatError::NoTracks { format: Format::Polyline, found })
}
