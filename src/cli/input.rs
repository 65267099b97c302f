//! The files that commands read: named on the command line, opened with a word on what is wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::formats::{Format, FormatError};

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
pub(super) fn buffered(input: impl Read) -> impl BufRead {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

/// Opens a file, or takes standard input for `-`, once.
///
/// # Errors
/// When it cannot be opened, in words for the user.
pub(super) fn open<'a>(
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
