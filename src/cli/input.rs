//! The input files of commands: their options on the command line, and opening them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::formats::{Format, FormatError, ReadOptions};
use crate::measure::Space;

/// The bytes of one read of a file.
const BUFFER_BYTES: usize = 256 << 10;

/// A format on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileFormat(Format);

impl FileFormat {
    pub(super) fn format(self) -> Format {
        self.0
    }
}

impl ValueEnum for FileFormat {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [FileFormat; Format::ALL.len()] = {
            let mut variants = [FileFormat(Format::Gpx); Format::ALL.len()];
            let mut at = 0;
            while at < variants.len() {
                variants[at] = FileFormat(Format::ALL[at]);
                at += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.id()))
    }
}

/// Options for reading files, instead of what is detected from their content.
#[derive(Clone, Debug, Args)]
pub(super) struct ReadingArgs {
    /// File format [default: detected from the content]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,

    /// CSV: column with the longitude, or x
    #[arg(long, value_name = "NAME")]
    x_column: Option<String>,

    /// CSV: column with the latitude, or y
    #[arg(long, value_name = "NAME")]
    y_column: Option<String>,

    /// CSV: column with the elevation in metres, or z
    #[arg(long, value_name = "NAME")]
    z_column: Option<String>,

    /// CSV: column with the time: ISO 8601, or seconds since 1970
    ///
    /// Numbers are milliseconds, microseconds or nanoseconds if the name of the column contains that unit, or
    /// if they are too large for seconds.
    #[arg(long, value_name = "NAME")]
    time_column: Option<String>,

    /// CSV: column with the accuracy radius in metres
    #[arg(long, value_name = "NAME")]
    accuracy_column: Option<String>,

    /// CSV: column in which a new value starts a segment
    #[arg(long, value_name = "NAME")]
    segment_column: Option<String>,

    /// CSV: character between two fields, or "tab" [default: detected]
    ///
    /// Comma, semicolon, tab and | are detected.
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
}

impl ReadingArgs {
    /// Returns the options for files with coordinates in `space`.
    pub(super) fn options(&self, space: Space) -> ReadOptions {
        ReadOptions {
            format: self.format.map(FileFormat::format),
            space,
            x_column: self.x_column.clone(),
            y_column: self.y_column.clone(),
            z_column: self.z_column.clone(),
            time_column: self.time_column.clone(),
            accuracy_column: self.accuracy_column.clone(),
            segment_column: self.segment_column.clone(),
            delimiter: self.delimiter,
            ..ReadOptions::default()
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        b"\"" | b"\n" | b"\r" => Err("a quote or a line break cannot be the delimiter".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("the delimiter must be one ASCII character, or tab".to_owned()),
    }
}

/// Returns the total size of the files, or `None` if the size of one is unknown.
pub(super) fn bytes_of(files: &[PathBuf]) -> Option<u64> {
    let size = |file: &PathBuf| {
        let metadata = file.metadata().ok().filter(|_| !is_stdin(file))?;
        metadata.is_file().then_some(metadata.len())
    };
    files.iter().map(size).sum()
}

/// Returns whether the name stands for standard input.
pub(super) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Adds a buffer of the size for files.
pub(crate) fn buffered(input: impl Read) -> impl BufRead {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

/// Opens a file. For `-` it takes standard input out of the option.
///
/// # Errors
/// If the file cannot be opened or standard input was taken before.
pub(crate) fn open<'a>(
    file: &Path,
    stdin: &mut Option<impl Read + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>, FormatError> {
    let failed = |message: String| FormatError::Io(io::Error::other(message));
    if is_stdin(file) {
        return match stdin.take() {
            Some(stdin) => Ok(Box::new(stdin)),
            None => Err(failed("standard input can be read only once; name - once".to_owned())),
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
