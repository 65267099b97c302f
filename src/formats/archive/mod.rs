//! Reads zip archives, also KMZ and gpz: each member is a file.
//!
//! The zip crate is not used. It stores the whole directory in memory, and of several members with the same
//! name it returns only the last. Here `directory` reads one entry at a time, `name` decodes its name, and
//! `member` decompresses its data. The members are never written to files.

mod directory;
mod member;
mod name;

#[cfg(test)]
mod tests;

use std::io::{BufReader, Read, Seek};

use super::error::{FormatError, SinkError};
use super::options::ReadOptions;
use super::sink::TrackSink;
use directory::Directory;

/// The first member of a document of Microsoft Office.
const OFFICE_MEMBER: &str = "[Content_Types].xml";
/// Maximum number of entries of a directory.
const ENTRIES_MAX: u64 = 1 << 18;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The name in the archive: the path with `/` between its parts. It is text of the archive, may contain
    /// control characters or `..`, and is not unique.
    pub name: String,
    /// The size of the file, as declared in the directory of the archive.
    pub size: u64,
    /// The compressed size, as declared in the directory of the archive.
    pub compressed_size: u64,
}

/// Receives the members of an archive.
pub trait ArchiveSink {
    /// Starts a member. Returns the receiver of its tracks, or `None` to skip the member.
    fn start_member(&mut self, member: &Member) -> Option<&mut dyn TrackSink>;

    /// Ends the member that was started last and was not skipped, with the result of
    /// [`read`](super::read) for it.
    ///
    /// # Errors
    /// An error stops the reading of the archive.
    fn end_member(
        &mut self,
        member: &Member,
        result: Result<(), FormatError>,
    ) -> Result<(), SinkError>;
}

/// Returns whether a file that starts with `head` is a zip archive, which [`read_archive`] reads.
pub fn is_archive(head: &[u8]) -> bool {
    // A member, the end of an empty archive, and the marker of an archive that may be split.
    [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08PK"].iter().any(|magic| head.starts_with(magic))
}

/// Reads the members of a zip archive in the order of its directory, each as [`read`](super::read) does.
///
/// Directories and the files that macOS adds (`__MACOSX/`, `.DS_Store`) are skipped. A member that cannot be
/// read does not affect the others: its error goes to [`ArchiveSink::end_member`]. Memory use is bounded.
///
/// # Errors
/// If the input cannot be read, is no zip archive, has a damaged directory or no files, and if the sink
/// returns an error.
pub fn read_archive(
    input: impl Read + Seek,
    options: &ReadOptions,
    sink: &mut dyn ArchiveSink,
) -> Result<(), FormatError> {
    let mut input = BufReader::new(input);
    let mut directory = Directory::find(&mut input)?;
    let mut budget = member::Budget::new(directory.archive_bytes());
    let mut member_count = 0_u64;
    while let Some(entry) = directory.next(&mut input, ENTRIES_MAX)? {
        if is_skipped(&entry) {
            continue;
        }
        if entry.member.name == OFFICE_MEMBER {
            let found = "an Office document, perhaps an Excel workbook".to_owned();
            return Err(FormatError::Unrecognised { found, advice: "save the table as CSV first" });
        }
        member_count += 1;
        let Some(tracks) = sink.start_member(&entry.member) else { continue };
        let result = member::read(&mut input, &entry, &mut budget, options, tracks);
        sink.end_member(&entry.member, result).map_err(|error| match error {
            SinkError::Stop => FormatError::Stopped,
            error => FormatError::Archive(error.to_string()),
        })?;
    }
    match member_count {
        0 => Err(FormatError::Archive("the zip archive contains no files".to_owned())),
        _ => Ok(()),
    }
}

/// Returns whether an entry is a directory or a file that macOS adds.
fn is_skipped(entry: &directory::Entry) -> bool {
    let name = entry.member.name.as_str();
    let last = name.rsplit('/').next().unwrap_or(name);
    last.is_empty() || last == ".DS_Store" || name.starts_with("__MACOSX/")
}
