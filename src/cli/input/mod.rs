//! The inputs of commands: files, the files of folders, and standard input.
//!
//! `walk` turns the paths of the command line into inputs, and `read` reads an input with all files in it.

mod read;
mod walk;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::formats::FormatError;
pub(super) use read::{FileEnd, FileSink, Reading, read};
pub(super) use walk::expand;

/// The bytes of one read of a file.
const BUFFER_BYTES: usize = 256 << 10;

/// One path to read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    path: PathBuf,
    /// The name in reports and messages.
    name: String,
    content: Content,
    /// Whether the path was found in a folder, and not named by the user.
    is_in_folder: bool,
    /// The size of a regular file in bytes.
    size: Option<u64>,
}

/// What is known about a path before it is opened.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    /// A file, or a path that must be opened to find out.
    File,
    /// Not a file that can be measured. It is skipped with this note.
    Skipped(String),
    /// The path cannot be read, for this reason.
    Problem(String),
}

impl Input {
    /// Creates the input for a path that the user has named.
    pub(super) fn named(path: &Path) -> Self {
        let metadata = path.metadata().ok().filter(|_| !is_stdin(path));
        let size = metadata.filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
        Self { size, is_in_folder: false, ..Self::in_folder(path, Content::File) }
    }

    /// Creates the input for standard input with another name in reports.
    pub(super) fn of_stdin(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::named(Path::new("-")) }
    }

    fn in_folder(path: &Path, content: Content) -> Self {
        let name = display_name(path);
        Self { path: path.to_owned(), name, content, is_in_folder: true, size: None }
    }

    fn problem(path: &Path, message: &str) -> Self {
        Self::in_folder(path, Content::Problem(message.to_owned()))
    }

    /// Returns the name in reports and messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the path was found in a folder.
    pub(super) fn is_in_folder(&self) -> bool {
        self.is_in_folder
    }

    /// Returns whether the name of the input is that of an archive, whose members are files. It decides only the layout
    /// of the report.
    pub(super) fn may_have_members(&self) -> bool {
        let extension = self.path.extension().unwrap_or_default();
        ["zip", "kmz", "gpz"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    }

    /// Returns whether the input is a regular file, which can be read twice.
    pub(super) fn is_regular_file(&self) -> bool {
        self.size.is_some()
    }
}

/// Returns the total size of the inputs, or `None` if the size of one is unknown.
pub(super) fn bytes_of(inputs: &[Input]) -> Option<u64> {
    let readable = inputs.iter().filter(|input| input.content == Content::File);
    readable.map(|input| input.size).sum()
}

/// Returns the name of a path in messages. Bytes that are not UTF-8 are written as `\xff`.
pub(super) fn display_name(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        name += chunk.valid();
        for byte in chunk.invalid() {
            let _ = write!(name, "\\x{byte:02x}");
        }
    }
    name
}

/// Returns whether the name stands for standard input.
fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Standard input, which can be read once. Clones share it.
#[derive(Clone)]
pub(super) struct Stdin(Arc<Mutex<Option<Box<dyn Read + Send>>>>);

impl Stdin {
    pub(super) fn new(input: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(input)))))
    }

    /// Returns the standard input of the process.
    pub(super) fn of_process() -> Self {
        Self::new(io::stdin())
    }

    fn take(&self) -> Option<Box<dyn Read + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An open input.
pub(super) enum Opened {
    /// A regular file.
    File(File),
    /// A pipe, a device or standard input, which cannot seek.
    Stream(Box<dyn Read + Send>),
}

impl Read for Opened {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Opened::File(file) => file.read(bytes),
            Opened::Stream(stream) => stream.read(bytes),
        }
    }
}

/// Adds a buffer of the size for files.
pub(super) fn buffered(input: impl Read) -> impl BufRead {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

/// Opens a path. `-` is standard input.
///
/// # Errors
/// If the path cannot be opened or is a folder, and if standard input was read before.
pub(super) fn open(path: &Path, stdin: &Stdin) -> Result<Opened, FormatError> {
    let failed = |message: &str| FormatError::Io(io::Error::other(message.to_owned()));
    if is_stdin(path) {
        return match stdin.take() {
            Some(stdin) => Ok(Opened::Stream(stdin)),
            None => Err(failed("standard input can be read only once; name - once")),
        };
    }
    // The kind of the file is more helpful than the error of opening it.
    let kind = path.metadata().map(|metadata| metadata.file_type());
    if let Ok(kind) = kind {
        if kind.is_dir() {
            return Err(failed("it is a folder; name one file in it, or use waywiser measure"));
        }
        if walk::name_of(kind) == "a socket" {
            return Err(failed("it is a socket, not a file"));
        }
    }
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("there is no such file"),
        io::ErrorKind::PermissionDenied => failed("permission denied"),
        _ => FormatError::Io(error),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Opened::File(file)),
        Ok(_) => Ok(Opened::Stream(Box::new(file))),
        Err(error) => Err(FormatError::Io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn bytes_that_are_not_utf_8_are_escaped() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a/\xe4\xff\xc3\xa4.gpx"));
        assert_eq!(display_name(path), r"a/\xe4\xffä.gpx");
    }

    #[test]
    fn the_size_is_unknown_if_one_input_is_not_a_regular_file() {
        let file = Input::named(Path::new("Cargo.toml"));
        assert!(file.is_regular_file());
        assert!(bytes_of(&[file.clone(), file.clone()]).is_some_and(|bytes| bytes > 0));
        assert_eq!(bytes_of(&[file, Input::named(Path::new("-"))]), None);
    }
}
