//! Reads one input with all files in it, and passes them to a [`FileSink`].

use std::fs::{File, Metadata};
use std::io::{self, Read};

use super::{Content, Input, Opened, Stdin, buffered, open};
use crate::cli::progress::Progress;
use crate::formats::{self, FormatError, ReadOptions, SinkError, TrackSink};

/// Receives the files of an input, one after another. The calls for the content of a file are between
/// `start_file` and `end_file`.
pub(in crate::cli) trait FileSink: TrackSink {
    /// Starts a file with this name.
    fn start_file(&mut self, name: &str) -> Result<(), SinkError>;

    /// Ends the current file.
    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError>;
}

/// How the reading of a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum FileEnd {
    /// The file was read to its end.
    Complete,
    /// The file could not be read to its end: an error message with the name of the file and the position.
    Failed(String),
    /// The file was found in a folder or archive, and is in no supported format.
    Unsupported,
    /// The file was found in a folder or archive, and has nothing to measure for this reason.
    Skipped(String),
}

/// How to read inputs.
pub(in crate::cli) struct Reading<'a> {
    pub options: &'a ReadOptions,
    pub stdin: &'a Stdin,
    /// Counts the bytes that are read.
    pub progress: &'a Progress,
    /// Called before each read, which may wait.
    pub before_read: &'a dyn Fn() -> io::Result<()>,
}

/// The sink needs no more files.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Stopped;

impl From<SinkError> for Stopped {
    fn from(_: SinkError) -> Self {
        Stopped
    }
}

/// Reads an input.
///
/// # Errors
/// If the sink stops the reading between two files.
pub(in crate::cli) fn read(
    input: &Input,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> Result<(), Stopped> {
    sink.start_file(&input.name)?;
    let end = match &input.content {
        Content::File => match open(&input.path, reading.stdin) {
            Ok(opened) => read_opened(input, opened, reading, sink),
            Err(error) => FileEnd::Failed(error.in_file(&input.name)),
        },
        Content::Skipped(reason) => FileEnd::Skipped(reason.clone()),
        Content::Problem(reason) => FileEnd::Failed(format!("{}: {reason}", input.name)),
    };
    Ok(sink.end_file(end)?)
}

fn read_opened(
    input: &Input,
    opened: Opened,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> FileEnd {
    let before = match &opened {
        Opened::File(file) => file.metadata().ok(),
        Opened::Stream(_) => None,
    };
    let mut counted = Counted { input: opened, reading };
    let outcome = formats::read(buffered(&mut counted), reading.options, sink);
    match end_of(&input.name, outcome, input.is_in_folder) {
        FileEnd::Complete => match (&counted.input, before) {
            (Opened::File(file), Some(before)) if has_changed(file, &before) => {
                let name = &input.name;
                FileEnd::Failed(format!(
                    "{name}: the file was changed while it was read; measure it again"
                ))
            }
            _ => FileEnd::Complete,
        },
        end => end,
    }
}

/// Returns the end of a file. One that the user has not named may be in any format.
fn end_of(name: &str, outcome: Result<(), FormatError>, is_found: bool) -> FileEnd {
    match outcome {
        Ok(()) => FileEnd::Complete,
        Err(FormatError::Unrecognised { .. }) if is_found => FileEnd::Unsupported,
        Err(error @ FormatError::NoTracks { .. }) if is_found => {
            FileEnd::Skipped(error.to_string())
        }
        Err(error) => FileEnd::Failed(error.in_file(name)),
    }
}

/// Returns whether the size or the time of the last change differs.
fn has_changed(file: &File, before: &Metadata) -> bool {
    file.metadata().is_ok_and(|after| {
        after.len() != before.len() || after.modified().ok() != before.modified().ok()
    })
}

/// Counts the bytes of an input.
struct Counted<'a, R> {
    input: R,
    reading: &'a Reading<'a>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (self.reading.before_read)()?;
        let read = self.input.read(bytes)?;
        self.reading.progress.add(read as u64);
        Ok(read)
    }
}
