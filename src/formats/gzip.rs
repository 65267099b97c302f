//! Reads gzip-compressed files, also with several gzip members, as the files that they contain.
//!
//! The output goes to the reader of its format while it is decompressed. The ratio of output to input is
//! limited, and gzip data in gzip data is an error.

use std::io::{self, BufRead, Read};
use std::mem;

use flate2::bufread::GzDecoder;

use super::compressed::{ByteCount, Counted, Decode, DecodeError, Expanded, Failure, RATIO_MAX};
use super::error::{FormatError, Position};
use super::note::NoteKind;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;
use super::{archive, compressed, head, read_content};

/// The bytes that a gzip member starts with.
const MAGIC: &[u8] = b"\x1f\x8b";

/// Returns whether a file that starts with `head` is gzip-compressed.
pub(super) fn matches(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads the tracks of a gzip-compressed file. `outer` counts the bytes of the archive that contains it.
pub(super) fn read(
    input: impl BufRead,
    outer: Option<ByteCount>,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let failure = Failure::default();
    let input = Counted::new(input, failure.clone());
    let own_count = input.count().clone();
    let count = outer.unwrap_or_else(|| own_count.clone());
    let members =
        Members { state: State::Between(input), count, own_count, expanded_bytes: 0, rest: None };
    let mut content = Expanded::new(members, failure.clone());
    let outcome = read_expanded(&mut content, options, out);
    failure.or(outcome)?;
    match content.decoder.rest {
        None => Ok(()),
        Some(position) => {
            let message = "the bytes after the gzip data are ignored";
            out.file_note(NoteKind::IgnoredContent, Some(position), message)
        }
    }
}

fn read_expanded(
    content: &mut impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let head = head::read(content, options)?;
    let nested = match () {
        () if matches(&head) => "gzip data",
        () if archive::is_archive(&head) => "a zip archive",
        () => {
            read_content(head, &mut *content, options, out)?;
            // The checksum is at the end.
            io::copy(content, &mut io::sink()).map_err(FormatError::Io)?;
            return Ok(());
        }
    };
    let message = format!("this gzip file contains {nested}; unpack it first, with gunzip");
    Err(FormatError::Archive(message))
}

/// Decompresses the members of a gzip file in their order.
struct Members<R> {
    state: State<R>,
    /// The compressed bytes that the limit of the ratio is about.
    count: ByteCount,
    own_count: ByteCount,
    expanded_bytes: u64,
    /// The position of the bytes after the last member.
    rest: Option<Position>,
}

enum State<R> {
    /// The input is at the start of a member or at the end.
    Between(R),
    Member(GzDecoder<R>),
    Ended,
}

impl<R: BufRead> Decode for Members<R> {
    fn decode(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        loop {
            match mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut input) => {
                    let bytes = match input.fill_buf() {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            let error = self.explain(error);
                            self.state = State::Between(input);
                            return Err(error);
                        }
                    };
                    match bytes {
                        [] => {}
                        // A buffer may end after the first byte of the two.
                        [0x1f, 0x8b, ..] | [0x1f] => {
                            self.state = State::Member(GzDecoder::new(input));
                        }
                        _ => self.rest = Some(Position::Byte(self.own_count.get())),
                    }
                }
                State::Member(mut member) => match member.read(out) {
                    Ok(0) => self.state = State::Between(member.into_inner()),
                    Ok(length) => {
                        self.state = State::Member(member);
                        self.expanded_bytes = self.expanded_bytes.saturating_add(length as u64);
                        return match compressed::is_bomb(self.count.get(), self.expanded_bytes) {
                            true => Err(DecodeError::Format(self.bomb())),
                            false => Ok(length),
                        };
                    }
                    Err(error) => {
                        let error = self.explain(error);
                        self.state = State::Member(member);
                        return Err(error);
                    }
                },
            }
        }
    }
}

impl<R> Members<R> {
    fn position(&self) -> Position {
        Position::Byte(self.own_count.get())
    }

    fn bomb(&self) -> FormatError {
        let message = format!(
            "the data is more than {RATIO_MAX} times as large as its gzip file; if that is intended, unpack \
             it first, with gunzip"
        );
        FormatError::TooLarge { position: self.position(), message }
    }

    fn explain(&self, error: io::Error) -> DecodeError {
        let message = match error.kind() {
            io::ErrorKind::Interrupted => return DecodeError::Interrupted,
            io::ErrorKind::UnexpectedEof => "the gzip data ends early; the file is incomplete",
            _ => "the gzip data is damaged; download or copy the file again",
        };
        DecodeError::Format(FormatError::malformed(self.position(), message))
    }
}

#[cfg(test)]
mod tests;
