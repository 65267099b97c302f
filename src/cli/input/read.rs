//! Reads one input with all files in it, and passes them to a [`FileSink`].

use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::{Content, Input, Opened, Stdin, buffered, open};
use crate::cli::progress::Progress;
use crate::formats::{
    self, ArchiveSink, FormatError, Member, ReadOptions, SinkError, SkipReason, TrackSink,
};

/// The bytes that are enough to recognise an archive.
const HEAD_BYTES: u64 = 8;

/// The largest archive that is copied from a pipe.
const SPOOLED_BYTES_MAX: u64 = 4 << 30;

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

/// Reads an input. Each file of an archive is a file of its own, with the name of the archive before its name.
///
/// # Errors
/// If the sink stops the reading between two files.
pub(in crate::cli) fn read(
    input: &Input,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> Result<(), Stopped> {
    let name = &input.name;
    let end = match &input.content {
        Content::File => {
            match open(&input.path, reading.stdin).and_then(|opened| find_content(opened, reading))
            {
                Ok(Found::Archive(archive)) => return read_archive(input, archive, reading, sink),
                Ok(Found::Parquet(file)) => {
                    sink.start_file(name)?;
                    let end = read_parquet(input, file, reading, sink);
                    return Ok(sink.end_file(end)?);
                }
                Ok(Found::Other(head, opened)) => {
                    sink.start_file(name)?;
                    let end = read_file(input, head, opened, reading, sink);
                    return Ok(sink.end_file(end)?);
                }
                Err(error) => FileEnd::Failed(error.in_file(name)),
            }
        }
        Content::Skipped(reason) => FileEnd::Skipped(reason.clone()),
        Content::Problem(reason) => FileEnd::Failed(format!("{name}: {reason}")),
    };
    sink.start_file(name)?;
    Ok(sink.end_file(end)?)
}

/// The content of an open input.
enum Found {
    Archive(File),
    Parquet(File),
    /// Any other file, of which these bytes were read already.
    Other(Vec<u8>, Opened),
}

/// Finds out whether the input is an archive or a Parquet file. Such an input from a pipe is copied to a temporary file,
/// because its directory is at the end.
fn find_content(mut opened: Opened, reading: &Reading<'_>) -> Result<Found, FormatError> {
    let mut head = Vec::new();
    opened.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(FormatError::Io)?;
    let found = match () {
        () if formats::is_archive(&head) => Found::Archive,
        () if formats::is_parquet(&head) => Found::Parquet,
        () => return Ok(Found::Other(head, opened)),
    };
    match opened {
        Opened::File(file) => Ok(found(file)),
        Opened::Stream(stream) => {
            let copied = tempfile::tempfile().and_then(|mut file| {
                let stream = Counted { input: stream, reading };
                let mut stream = Cursor::new(head).chain(stream).take(SPOOLED_BYTES_MAX + 1);
                if io::copy(&mut stream, &mut file)? > SPOOLED_BYTES_MAX {
                    let message = "it is larger than 4 GiB; save it to a file first";
                    return Err(io::Error::other(message));
                }
                Ok(file)
            });
            match copied {
                Ok(file) => Ok(found(file)),
                Err(error) => Err(FormatError::Archive(format!(
                    "standard input cannot be copied to a temporary file: {error}"
                ))),
            }
        }
    }
}

fn read_parquet(
    input: &Input,
    mut file: File,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> FileEnd {
    let before = file.metadata();
    let outcome = file.rewind().and_then(|()| file.try_clone()).map_err(FormatError::Io);
    let outcome = outcome.and_then(|file| formats::read_seekable(file, reading.options, sink));
    reading.progress.add(before.as_ref().map_or(0, Metadata::len));
    match end_of(&input.name, outcome, input.is_in_folder) {
        FileEnd::Complete if before.is_ok_and(|before| has_changed(&file, &before)) => {
            changed(&input.name)
        }
        end => end,
    }
}

fn read_file(
    input: &Input,
    head: Vec<u8>,
    opened: Opened,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> FileEnd {
    let before = match &opened {
        Opened::File(file) => file.metadata().ok(),
        Opened::Stream(_) => None,
    };
    let mut counted = Counted { input: opened, reading };
    let content = buffered(Cursor::new(head).chain(&mut counted));
    let outcome = formats::read(content, reading.options, sink);
    match end_of(&input.name, outcome, input.is_in_folder) {
        FileEnd::Complete => match (&counted.input, before) {
            (Opened::File(file), Some(before)) if has_changed(file, &before) => {
                changed(&input.name)
            }
            _ => FileEnd::Complete,
        },
        end => end,
    }
}

fn changed(name: &str) -> FileEnd {
    FileEnd::Failed(format!("{name}: the file was changed while it was read; measure it again"))
}

fn read_archive(
    input: &Input,
    mut archive: File,
    reading: &Reading<'_>,
    sink: &mut impl FileSink,
) -> Result<(), Stopped> {
    let name = &input.name;
    let before = archive.metadata();
    let mut members = Members { archive: name, sink, is_stopped: false };
    let outcome = archive.rewind().map_err(FormatError::Io).and_then(|()| {
        let content = Counted { input: &archive, reading };
        formats::read_archive(content, reading.options, &mut members)
    });
    if members.is_stopped {
        return Err(Stopped);
    }
    let end = match end_of(name, outcome, false) {
        FileEnd::Complete if before.is_ok_and(|before| has_changed(&archive, &before)) => {
            changed(name)
        }
        end => end,
    };
    if end == FileEnd::Complete {
        return Ok(());
    }
    sink.start_file(name)?;
    Ok(sink.end_file(end)?)
}

/// Turns the members of an archive into files.
struct Members<'a, S> {
    archive: &'a str,
    sink: &'a mut S,
    is_stopped: bool,
}

impl<S: FileSink> Members<'_, S> {
    fn name(&self, member: &Member) -> String {
        format!("{}/{}", self.archive, member.name)
    }
}

impl<S: FileSink> ArchiveSink for Members<'_, S> {
    fn start_member(&mut self, member: &Member) -> Option<&mut dyn TrackSink> {
        let name = self.name(member);
        self.is_stopped |= self.sink.start_file(&name).is_err();
        match self.is_stopped {
            // The remaining members are skipped.
            true => None,
            false => Some(self.sink),
        }
    }

    fn end_member(
        &mut self,
        member: &Member,
        result: Result<(), FormatError>,
    ) -> Result<(), SinkError> {
        let end = end_of(&self.name(member), result, true);
        let ended = self.sink.end_file(end);
        self.is_stopped |= ended.is_err();
        ended
    }
}

/// Returns the end of a file. One that the user has not named may be in any format.
fn end_of(name: &str, outcome: Result<(), FormatError>, is_found: bool) -> FileEnd {
    let Err(error) = outcome else { return FileEnd::Complete };
    match error.skip_reason(name).filter(|_| is_found) {
        Some(SkipReason::Unsupported) => FileEnd::Unsupported,
        Some(SkipReason::NoTracks) => FileEnd::Skipped(error.to_string()),
        None => FileEnd::Failed(error.in_file(name)),
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

impl<R: Seek> Seek for Counted<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}
