//! Reads track files: from a path, from bytes, or from a file object of Python.
//!
//! The readers run without the global interpreter lock. Signals are handled whenever the next bytes are read.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use waywiser::formats::{
    self, ArchiveSink, Format, FormatError, Member, OnInvalid, PointsMode, ReadOptions, SinkError,
    SkipReason, TrackColumn, TrackKind, TrackSink,
};

use crate::error::os_error;
use crate::messages;
use crate::names::{metric, unknown};
use crate::tracks::{RawTrack, TracksOfFile};

/// The bytes of one read.
const BUFFER_BYTES: usize = 256 << 10;
/// The bytes that are enough to recognise an archive.
const HEAD_BYTES: u64 = 8;

/// The content of a file, and how its reading ended.
#[derive(IntoPyObject)]
pub(crate) struct RawFile {
    name: String,
    /// `None` if the file was read to its end, and otherwise `failed`, `unsupported` or `no_tracks`.
    end: Option<&'static str>,
    message: String,
    /// The notes on the file.
    notes: Vec<String>,
    tracks: Vec<RawTrack>,
}

/// Reads a file with all files in it. `source` is a path, bytes, or an object with the method `read`. `name` is its name in
/// messages, and `file` in exceptions of the operating system.
#[pyfunction]
#[pyo3(signature = (source, name, file, is_found, options))]
pub(crate) fn read_files(
    py: Python<'_>,
    source: Source,
    name: String,
    file: &Bound<'_, PyAny>,
    is_found: bool,
    options: Arguments,
) -> PyResult<Vec<RawFile>> {
    let options = options.read_options()?;
    let failure = Failure::default();
    let reading = Reading { name: &name, is_found, options: &options, failure: &failure };
    let outcome = py.detach(|| reading.read(source));
    match failure.take() {
        Some(error) => Err(error),
        None => outcome.map_err(|error| os_error(py, &error, &name, file)),
    }
}

/// Checks the options of `read`.
#[pyfunction]
pub(crate) fn check_read_options(options: Arguments) -> PyResult<()> {
    options.read_options().map(drop)
}

/// The origin of the bytes.
pub(crate) enum Source {
    Path(PathBuf),
    Bytes(PyBackedBytes),
    Object(Py<PyAny>),
}

impl FromPyObject<'_, '_> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.extract() {
            return Ok(Self::Bytes(bytes));
        }
        if object.hasattr("read")? {
            return Ok(Self::Object(object.to_owned().unbind()));
        }
        object.extract().map(Self::Path).map_err(|_| {
            let kind =
                object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "cannot read {kind}; use a path, bytes or a binary file object"
            ))
        })
    }
}

/// The arguments with the names of the command line.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Arguments {
    format: Option<String>,
    metric: String,
    on_invalid: String,
    strict: bool,
    only: Option<String>,
    join_segments: bool,
    sort_by_time: bool,
    points: String,
    timezone: Option<String>,
    time_format: Option<String>,
    x_column: Option<String>,
    y_column: Option<String>,
    z_column: Option<String>,
    time_column: Option<String>,
    accuracy_column: Option<String>,
    track_column: Option<String>,
    segment_column: Option<String>,
    delimiter: Option<String>,
}

impl Arguments {
    fn read_options(self) -> PyResult<ReadOptions> {
        let options = ReadOptions {
            format: self.format.as_deref().map(format).transpose()?,
            space: metric(&self.metric)?.space(),
            on_invalid: match self.on_invalid.as_str() {
                "skip" => OnInvalid::Skip,
                "split" => OnInvalid::Split,
                "raise" => OnInvalid::Error,
                other => return Err(unknown("on_invalid", other, "raise, split or skip")),
            },
            is_strict: self.strict,
            only: match self.only.as_deref() {
                None => None,
                Some("tracks") => Some(TrackKind::Track),
                Some("routes") => Some(TrackKind::Route),
                Some(other) => return Err(unknown("only", other, "tracks, routes or None")),
            },
            joins_segments: self.join_segments,
            sorts_by_time: self.sort_by_time,
            points: match self.points.as_str() {
                "path" => PointsMode::Path,
                "ignore" => PointsMode::Ignore,
                other => return Err(unknown("points", other, "path or ignore")),
            },
            timezone: self.timezone,
            shares_timezone: false,
            time_format: self.time_format,
            x_column: self.x_column,
            y_column: self.y_column,
            z_column: self.z_column,
            time_column: self.time_column,
            accuracy_column: self.accuracy_column,
            track_column: match self.track_column {
                None => TrackColumn::Auto,
                Some(name) if name == "none" => TrackColumn::None,
                Some(name) => TrackColumn::Named(name),
            },
            segment_column: self.segment_column,
            delimiter: self.delimiter.as_deref().map(delimiter).transpose()?,
        };
        // The time zone is that of `time_zone`, and valid.
        options.check().map_err(|error| value_error(&format!("time_format: {error}")))?;
        Ok(options)
    }
}

fn format(name: &str) -> PyResult<Format> {
    let found = Format::ALL.into_iter().find(|format| format.id() == name);
    found.ok_or_else(|| unknown("format", name, &Format::ALL.map(Format::id).join(", ")))
}

fn delimiter(text: &str) -> PyResult<u8> {
    match text.as_bytes() {
        _ if text == "tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !b"\"\n\r".contains(byte) => Ok(*byte),
        _ => Err(PyValueError::new_err(format!(
            "delimiter is {text:?}; use one ASCII character that is no quote and no line break, or tab"
        ))),
    }
}

fn value_error(message: &str) -> PyErr {
    PyValueError::new_err(messages::with_python_names(message))
}

/// The exception that stopped the reading. It passes through the readers as an I/O error.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<PyErr>>>);

impl Failure {
    pub(crate) fn set(&self, error: PyErr) -> io::Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        io::Error::other("an exception was raised")
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Handles signals before each read.
struct Interruptible<R> {
    input: R,
    failure: Failure,
}

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            Python::attach(|py| py.check_signals()).map_err(|error| self.failure.set(error))?;
            match self.input.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl<R: io::Seek> io::Seek for Interruptible<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

/// A file object of Python.
struct ObjectReader {
    object: Py<PyAny>,
    failure: Failure,
}

impl Read for ObjectReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = |py: Python<'_>| -> PyResult<usize> {
            let bytes = self.object.bind(py).call_method1("read", (out.len(),))?;
            let Ok(bytes) = bytes.extract::<PyBackedBytes>() else {
                let kind = bytes.get_type().name()?.to_string();
                return Err(PyTypeError::new_err(format!(
                    "the file returned {kind} instead of bytes; open it in binary mode (\"rb\")"
                )));
            };
            match out.get_mut(..bytes.len()) {
                Some(out) => out.copy_from_slice(&bytes),
                None => {
                    let (found, wanted) = (bytes.len(), out.len());
                    return Err(PyValueError::new_err(format!(
                        "the file returned {found} bytes for read({wanted})"
                    )));
                }
            }
            Ok(bytes.len())
        };
        Python::attach(read).map_err(|error| self.failure.set(error))
    }
}

/// Opens a file as a file object of Python.
fn open_unbuffered(py: Python<'_>, path: &Path) -> PyResult<Py<PyAny>> {
    Ok(py.import("io")?.call_method1("FileIO", (path.as_os_str(),))?.unbind())
}

/// How to read an input.
struct Reading<'a> {
    name: &'a str,
    is_found: bool,
    options: &'a ReadOptions,
    failure: &'a Failure,
}

impl Reading<'_> {
    fn read(&self, source: Source) -> io::Result<Vec<RawFile>> {
        let failure = self.failure.clone();
        match source {
            Source::Path(path) => {
                let metadata = fs::metadata(&path)?;
                if metadata.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::IsADirectory));
                }
                match metadata.is_file() {
                    true => self.read_seekable(File::open(&path)?),
                    false => {
                        // Python opens and reads a pipe, because a signal can interrupt its calls.
                        let object = Python::attach(|py| open_unbuffered(py, &path));
                        let object = object.map_err(|error| failure.set(error))?;
                        let close = Python::attach(|py| object.clone_ref(py));
                        let files = self.read_stream(ObjectReader { object, failure });
                        let closed = Python::attach(|py| close.call_method0(py, "close"));
                        closed.map_err(|error| self.failure.set(error))?;
                        files
                    }
                }
            }
            Source::Bytes(bytes) => self.read_seekable(Cursor::new(bytes)),
            Source::Object(object) => self.read_stream(ObjectReader { object, failure }),
        }
    }

    fn interruptible<R>(&self, input: R) -> Interruptible<R> {
        Interruptible { input, failure: self.failure.clone() }
    }

    fn read_seekable(
        &self,
        input: impl Read + io::Seek + Send + 'static,
    ) -> io::Result<Vec<RawFile>> {
        let mut input = self.interruptible(input);
        let mut head = Vec::new();
        input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        io::Seek::rewind(&mut input)?;
        if formats::is_archive(&head) {
            return Ok(self.read_archive(input));
        }
        if formats::is_parquet(&head) && !cfg!(feature = "parquet") {
            return Ok(vec![self.unread_parquet()]);
        }
        let mut sink = TracksOfFile::new(self.name, self.failure);
        let outcome = match formats::is_parquet(&head) {
            true => formats::read_seekable(input, self.options, &mut sink),
            false => formats::read(buffered(input), self.options, &mut sink),
        };
        Ok(vec![raw_file(self.name, sink, outcome, self.is_found)])
    }

    /// Reads a pipe or a file object, from its current position on.
    fn read_stream(&self, input: impl Read) -> io::Result<Vec<RawFile>> {
        let mut input = self.interruptible(input);
        let mut head = Vec::new();
        input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        if formats::is_archive(&head) || formats::is_parquet(&head) {
            // The directory of an archive and the metadata of Parquet are at the end.
            buffered(input).read_to_end(&mut head)?;
            return self.read_seekable(Cursor::new(head));
        }
        let mut sink = TracksOfFile::new(self.name, self.failure);
        let input = buffered(Cursor::new(head).chain(input));
        let outcome = formats::read(input, self.options, &mut sink);
        Ok(vec![raw_file(self.name, sink, outcome, self.is_found)])
    }

    /// Returns the result for a Parquet file, which this build does not read.
    fn unread_parquet(&self) -> RawFile {
        let advice = "this build does not read Parquet; read the columns with pyarrow.parquet.read_table and \
                      pass them to measure or by";
        RawFile {
            name: self.name.to_owned(),
            end: Some(if self.is_found { "no_tracks" } else { "failed" }),
            message: format!("{}: {advice}", self.name),
            notes: Vec::new(),
            tracks: Vec::new(),
        }
    }

    fn read_archive(&self, input: impl Read + io::Seek) -> Vec<RawFile> {
        let sink = TracksOfFile::new(self.name, self.failure);
        let mut members =
            Members { archive: self.name, files: Vec::new(), sink, failure: self.failure };
        let outcome = formats::read_archive(input, self.options, &mut members);
        let mut files = members.files;
        if outcome.is_err() {
            files.push(raw_file(
                self.name,
                TracksOfFile::new(self.name, self.failure),
                outcome,
                false,
            ));
        }
        files
    }
}

fn buffered<R: Read>(input: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

/// Collects the tracks of the members of an archive.
struct Members<'a> {
    archive: &'a str,
    files: Vec<RawFile>,
    sink: TracksOfFile,
    failure: &'a Failure,
}

impl Members<'_> {
    fn name(&self, member: &Member) -> String {
        format!("{}/{}", self.archive, member.name)
    }
}

impl ArchiveSink for Members<'_> {
    fn start_member(&mut self, member: &Member) -> Option<&mut dyn TrackSink> {
        self.sink = TracksOfFile::new(&self.name(member), self.failure);
        Some(&mut self.sink)
    }

    fn end_member(
        &mut self,
        member: &Member,
        result: Result<(), FormatError>,
    ) -> Result<(), SinkError> {
        if self.failure.is_set() {
            // The error of this member is the exception. The other members are not read.
            return Err(SinkError::Stop);
        }
        let name = self.name(member);
        let sink = std::mem::replace(&mut self.sink, TracksOfFile::new("", self.failure));
        self.files.push(raw_file(&name, sink, result, true));
        Ok(())
    }
}

/// Returns the content of a file. One that the caller has not named may be in any format.
fn raw_file(
    name: &str,
    sink: TracksOfFile,
    outcome: Result<(), FormatError>,
    is_found: bool,
) -> RawFile {
    let (end, message) = match outcome {
        Ok(()) => (None, String::new()),
        Err(error) => {
            let end = match error.skip_reason(name).filter(|_| is_found) {
                Some(SkipReason::Unsupported) => "unsupported",
                Some(SkipReason::NoTracks) => "no_tracks",
                None => "failed",
            };
            (Some(end), messages::with_python_names(&error.in_file(name)))
        }
    };
    let (tracks, notes) = sink.finish();
    RawFile { name: name.to_owned(), end, message, notes, tracks }
}
