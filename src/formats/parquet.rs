//! The reader of Parquet files.

use std::io::BufRead;

use super::error::FormatError;
use super::format::Format;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;

/// Reads the tracks of a file.
pub(super) fn read(
    _input: impl BufRead,
    _options: &ReadOptions,
    _out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let found = "it is not read yet".to_owned();
    Err(FormatError::NoTracks { format: Format::Parquet, found })
}
