//! Readers of track files: bytes in, tracks of checked fixes out.
//!
//! The module is sans-IO: it opens no file and prints nothing. [`read`] takes a stream of bytes and calls a
//! [`TrackSink`] for each track, segment and fix. Memory use is bounded.
//!
//! The steps of [`read`]:
//! 1. `head` reads the first bytes of the input, at most 16 KiB.
//! 2. `detect` recognises binary files from these raw bytes. A reader of a binary format can start here.
//! 3. `text` decodes the rest to UTF-8, from the encoding of a byte order mark or XML declaration.
//! 4. `detect` chooses the [`Format`] from the first rows of the text.
//! 5. The reader of the format parses the text and passes points to `track_writer`, which calls the sink.
//!
//! `gzip` and `archive` (zip) decompress files and pass each to these steps. Parquet is read from a file and not
//! from a stream ([`read_seekable`]).
//!
//! Parts that several readers share: `xml` (elements, positions and limits of XML), `json` (values and limits of
//! JSON), `line_reader` (lines), `rows` (ends of rows), `value` (numbers), `time` and `calendar` (dates, times and
//! zones), `error`. `other` has the names of formats that are recognised and not read.
//!
//! Three rules apply to every format:
//! - Whatever is ignored, guessed, skipped or assumed is reported as a [`Note`].
//! - A bad value does not end the reading of the file. With [`ReadOptions::is_strict`] each note is an error.
//! - The length needs positions alone. An invalid time, elevation or accuracy is a missing value, with a note.
//!
//! `track_writer` applies these rules: readers pass unchecked points to it, and it calls the sink.
//!
//! Input is not trusted: each reader limits the size of an XML event, JSON token or row, the depth of nesting
//! and the number of interleaved tracks. The limits are constants in the readers.

mod archive;
mod calendar;
mod compressed;
mod csv;
mod decimal;
mod detect;
mod error;
mod fit;
mod format;
mod gzip;
mod head;
mod igc;
mod json;
mod line_reader;
mod nmea;
mod note;
mod options;
mod other;
mod parquet;
mod plt;
mod polyline;
mod projection;
mod rfc3339;
mod rows;
mod sink;
mod text;
mod time;
mod track_writer;
mod value;
mod wkt;
mod xml;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

pub use archive::{ArchiveSink, Member, is_archive, read_archive};
use compressed::{ByteCount, Failure};
pub use csv::{
    ACCURACY_COLUMNS, DATE_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS,
    TIME_COLUMNS,
};
use error::Limit;
pub use error::{FormatError, Position, SinkError, SkipReason};
pub use format::Format;
pub use note::{Note, NoteKind};
pub use options::{OnInvalid, PointsMode, ReadOptions, TrackColumn};
pub use sink::{TrackInfo, TrackKind, TrackSink};
use track_writer::TrackWriter;

/// The bytes from which a format is detected if the first rows are not enough.
const LONG_HEAD_BYTES: u64 = 16 << 10;
/// The size of the buffer of [`read_seekable`].
const BUFFER_BYTES: usize = 64 << 10;

impl ReadOptions {
    /// Checks the time zone and the time format. [`read`] checks them too, when it needs them.
    ///
    /// # Errors
    /// If one of them is not valid.
    pub fn check(&self) -> Result<(), FormatError> {
        time::TimeReader::new(self).map(drop)
    }
}

/// Reads a file to its end and passes its tracks to `sink`.
///
/// ```
/// use waywiser::Fix;
/// use waywiser::formats::{self, ReadOptions, SinkError, TrackSink};
///
/// struct Count(usize);
/// impl TrackSink for Count {
///     fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
///         self.0 += 1;
///         Ok(())
///     }
/// }
///
/// let mut count = Count(0);
/// formats::read(&b"lat;lon\n46.1;13.7\n46.2;13.7\n"[..], &ReadOptions::default(), &mut count)?;
/// assert_eq!(count.0, 2);
/// # Ok::<(), formats::FormatError>(())
/// ```
///
/// # Errors
/// If the input cannot be read, has no supported format, is malformed or has no track, and if the sink
/// returns an error. Tracks that ended before the error are complete, and the others are ended as incomplete.
pub fn read(
    input: impl BufRead,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let mut out = TrackWriter::new(options, sink);
    let outcome = read_tracks(input, None, options, &mut out);
    out.finish(outcome)
}

/// Reads a member of an archive, of which `count` bytes were consumed. `failure` has the error of its decoder.
fn read_compressed(
    input: &mut impl BufRead,
    count: ByteCount,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
    failure: &Failure,
) -> Result<(), FormatError> {
    let mut out = TrackWriter::new(options, sink);
    let outcome = read_tracks(&mut *input, Some(count), options, &mut out).and_then(|()| {
        // The checksum is compared at the end.
        io::copy(input, &mut io::sink()).map_err(FormatError::Io).map(drop)
    });
    out.finish(failure.or(outcome))
}

/// Returns whether a file that starts with `head` is in Parquet. Then [`read_seekable`] can read it.
pub fn is_parquet(head: &[u8]) -> bool {
    head.starts_with(parquet::MAGIC)
}

/// Reads a file as [`read`] does. Parquet files need this function, because their metadata are at the end.
///
/// # Errors
/// As [`read`].
pub fn read_seekable(
    mut input: impl Read + Seek + Send + 'static,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let mut magic = Vec::new();
    let start = input.stream_position().map_err(FormatError::Io)?;
    input
        .by_ref()
        .take(parquet::MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(FormatError::Io)?;
    input.seek(SeekFrom::Start(start)).map_err(FormatError::Io)?;
    let is_parquet =
        options.format.map_or(magic == parquet::MAGIC, |format| format == Format::Parquet);
    if !is_parquet {
        return read(BufReader::with_capacity(BUFFER_BYTES, input), options, sink);
    }
    let mut out = TrackWriter::new(options, sink);
    let outcome = parquet::read(input, options, &mut out);
    out.finish(outcome)
}

fn read_tracks(
    mut input: impl BufRead,
    outer: Option<ByteCount>,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let head = head::read(&mut input, options)?;
    match gzip::matches(&head) {
        true => gzip::read(Cursor::new(head).chain(input), outer, options, out),
        false => read_content(head, input, options, out),
    }
}

/// Reads a file that is not compressed. It starts with the bytes `head` and continues with `input`.
fn read_content(
    head: Vec<u8>,
    input: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let Some(wanted) = options.format else {
        return read_as_detected(head, input, options, out);
    };
    let found = detect::guess(&head, options);
    let outcome = read_as_detected(head, input, options, out);
    match found {
        // The reader may have failed because the file is in another format.
        Some(found) if outcome.is_err() && out.track_count() == 0 && !found.is_like(wanted) => {
            Err(FormatError::OtherFormat { wanted, found })
        }
        _ => outcome,
    }
}

/// Reads a file in the format of the options or, without one, in the detected format.
fn read_as_detected(
    head: Vec<u8>,
    input: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    if is_archive(&head) {
        let message = "a zip archive can only be read from a file, because its directory is at the end; \
                       save it to a file, or unpack it";
        return Err(FormatError::Archive(message.to_owned()));
    }
    let binary = match options.format {
        Some(format) => Some(format),
        None => detect::binary(&head)?,
    };
    if let Some(format) = binary.filter(|format| *format != Format::Csv) {
        csv::note_unused_options(options, format, out)?;
        time::note_unused_options(options, format, out)?;
    }
    match binary {
        Some(Format::Fit) => return fit::read(Cursor::new(head).chain(input), options, out),
        Some(Format::Parquet) => return Err(parquet::unseekable()),
        _ => {}
    }
    let (mut head, mut text) = text::decode(head, input, options)?;
    if head.trim_ascii().is_empty() {
        return Err(FormatError::Empty);
    }
    let format = match options.format {
        Some(format) => format,
        None => match detect::text(&head, options) {
            Ok(format) if detect::is_certain(&head, format, options) => format,
            Ok(_) | Err(FormatError::Unrecognised { .. }) => {
                head.clear();
                let longer = text.by_ref().take(LONG_HEAD_BYTES).read_to_end(&mut head);
                longer.map_err(|error| Limit::or_io(error, Position::line(1)))?;
                text = Box::new(Cursor::new(head.clone()).chain(text));
                detect::text(&head, options)?
            }
            Err(error) => return Err(error),
        },
    };
    if binary.is_none() && format != Format::Csv {
        csv::note_unused_options(options, format, out)?;
        time::note_unused_options(options, format, out)?;
    }
    match format {
        Format::Gpx | Format::Tcx | Format::Kml => xml::read(text, options, out),
        Format::GeoJson | Format::GoogleTimeline | Format::Overland | Format::OwnTracks => {
            json::read(text, options, out)
        }
        Format::Nmea => nmea::read(text, options, out),
        Format::Igc => igc::read(text, options, out),
        Format::Plt => plt::read(text, options, out),
        Format::Polyline => polyline::read(text, options, out),
        Format::Wkt => wkt::read(text, options, out),
        Format::Csv | Format::Fit | Format::Parquet => csv::read(text, options, out),
    }
}
