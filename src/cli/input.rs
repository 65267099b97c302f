//! The files that commands read: named on the command line, opened with a word on what is wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::formats::{Format, FormatError, ReadOptions};
use crate::measure::Space;

/// How much is read from a file at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A format as the command line names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FileFormat {
    Gpx,
    Geojson,
    Csv,
}

impl FileFormat {
    pub(super) fn format(self) -> Format {
        match self {
            FileFormat::Gpx => Format::Gpx,
            FileFormat::Geojson => Format::GeoJson,
            FileFormat::Csv => Format::Csv,
        }
    }
}

/// How a file is to be read, where it does not tell by itself.
#[derive(Clone, Debug, Args)]
pub(super) struct ReadingArgs {
    /// The format, whatever the content looks like
    #[arg(long, value_enum)]
    format: Option<FileFormat>,

    /// CSV: the column with the longitude, or x
    #[arg(long, value_name = "NAME")]
    x_column: Option<String>,

    /// CSV: the column with the latitude, or y
    #[arg(long, value_name = "NAME")]
    y_column: Option<String>,

    /// CSV: the column with the elevation in metres, or z
    #[arg(long, value_name = "NAME")]
    z_column: Option<String>,

    /// CSV: the column with the time: ISO 8601, or seconds since 1970 (milliseconds, if so named or
    /// too large for seconds)
    #[arg(long, value_name = "NAME")]
    time_column: Option<String>,

    /// CSV: the column with the accuracy radius in metres
    #[arg(long, value_name = "NAME")]
    accuracy_column: Option<String>,

    /// CSV: the column in which a new value starts a segment
    #[arg(long, value_name = "NAME")]
    segment_column: Option<String>,

    /// CSV: the character between two fields, or "tab"; found by itself among , ; | and tab
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
}

impl ReadingArgs {
    /// The options for a file whose coordinates lie in `space`.
    pub(super) fn options(&self, space: Space) -> ReadOptions {
        ReadOptions {
            format: self.format.map(FileFormat::format),
            space,
            x_column: self.x_column.clone(),
            y_column: self.y_column.clone(),
            z_column: self.z_column.clone(),
            time_column: self.time_column.clone(),
            accuracy_column: self.accuracy_column.clone(),
            track_column: None,
            segment_column: self.segment_column.clone(),
            delimiter: self.delimiter,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        b"\"" | b"\n" | b"\r" => Err("a quote or a line break cannot be a delimiter".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("a delimiter is one ASCII character, or tab".to_owned()),
    }
}

/// The size of all files; `None` if one is a pipe or cannot be asked.
pub(super) fn bytes_of(files: &[PathBuf]) -> Option<u64> {
    let size = |file: &PathBuf| {
        let metadata = file.metadata().ok().filter(|_| !is_stdin(file))?;
        metadata.is_file().then_some(metadata.len())
    };
    files.iter().map(size).sum()
}

pub(super) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Buffers what is read.
pub(crate) fn buffered(input: impl Read) -> impl BufRead {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

/// Opens a file, or takes standard input for `-`, once.
///
/// # Errors
/// When it cannot be opened, in words for the user.
pub(crate) fn open<'a>(
    file: &Path,
    stdin: &mut Option<impl Read + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>, FormatError> {
    let failed = |message: String| FormatError::Io(io::Error::other(message));
    if is_stdin(file) {
        return match stdin.take() {
            Some(stdin) => Ok(Box::new(stdin)),
            None => Err(failed("standard input was read already; name - once".to_owned())),
        };
    }
    let input = File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("there is no such file".to_owned()),
        io::ErrorKind::PermissionDenied => failed("permission denied".to_owned()),
        _ => FormatError::Io(error),
    })?;
    if input.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(failed("it is a directory; name the files in it".to_owned()));
    }
    Ok(Box::new(input))
}
