//! The reader of Parquet files, also with GeoParquet geometries. It needs the feature `parquet`.
//!
//! One row is one point, or a line that is a track. The row groups are read in batches of rows.
//!
//! - `chunks` gives the library access to a file.
//! - `layout` finds the columns: by their names, or the geometry by the metadata that `geo` reads.
//! - `cells` converts the columns of a batch, and `geometry` and `wkb` the geometries.
//! - `rows` passes the rows to the tracks.
//!
//! The metadata of a Parquet file are at its end. So it is read from a file and not from a stream.

#[cfg(feature = "parquet")]
mod cells;
#[cfg(feature = "parquet")]
mod chunks;
#[cfg(feature = "parquet")]
mod geo;
#[cfg(feature = "parquet")]
mod geometry;
#[cfg(feature = "parquet")]
mod layout;
#[cfg(feature = "parquet")]
mod rows;
#[cfg(feature = "parquet")]
mod wkb;

#[cfg(test)]
#[cfg(feature = "parquet")]
mod tests;

#[cfg(all(test, not(feature = "parquet")))]
mod tests {
    use std::io::Cursor;

    use super::super::tests::{Recorded, error_with};
    use super::super::{ReadOptions, read_seekable};

    #[test]
    fn a_build_without_the_feature_says_so() {
        let options = ReadOptions::default();
        let error = error_with(b"PAR1\0\0\0\0\0\0\0\0\0\0\0\0PAR1", &options);
        insta::assert_snapshot!(error, @"this build does not read Parquet; build with --features parquet");
        let file = Cursor::new(b"PAR1 and more".to_vec());
        let found = read_seekable(file, &options, &mut Recorded::default()).unwrap_err();
        assert_eq!(found.to_string(), error);
    }
}

use std::io::{Read, Seek};

use super::error::FormatError;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;

/// The bytes at the start of a file.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// Returns the error for a file that is a stream.
pub(super) fn unseekable() -> FormatError {
    let message = match cfg!(feature = "parquet") {
        true => "a Parquet file cannot be read from a stream; store it in a file first",
        false => "this build does not read Parquet; build with --features parquet",
    };
    FormatError::Malformed { position: None, message: message.to_owned() }
}

/// Reads the tracks of a file.
#[cfg(feature = "parquet")]
pub(super) fn read(
    input: impl Read + Seek + Send + 'static,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    rows::read(chunks::Chunks::new(input)?, options, out)
}

/// Returns an error: the feature `parquet` is not enabled.
#[cfg(not(feature = "parquet"))]
pub(super) fn read(
    _input: impl Read + Seek + Send + 'static,
    _options: &ReadOptions,
    _out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    Err(unseekable())
}
