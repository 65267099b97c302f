//! The reader of FIT files, the binary format of sports watches and bicycle computers.
//!
//! Each session is a track, or a route in a course. A record is a point with its time, altitude and accuracy, and the
//! events of the timer divide the track into segments. A wrong checksum is a note.
//!
//! The reader decodes the protocol itself and uses only the messages that the length needs. It streams: it
//! stores at most `activity::RECORDS_MAX` records, because sessions follow the records that they describe.
//!
//! - `source` buffers the bytes and computes the checksum.
//! - `definition` parses definition messages and the values of data messages, and `profile` has the numbers.
//! - `sync` decides where messages start after damaged bytes.
//! - `activity` turns records, events and sessions into tracks.
//!
//! A file may consist of several FIT files in sequence. A device that loses power leaves a file without a valid
//! data size; then the messages are read up to the end.

mod activity;
mod definition;
mod profile;
mod source;
mod sync;
mod tracks;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};

use super::error::{FormatError, Position};
use super::format::Format;
use super::note::NoteKind;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;
use activity::Activity;
use definition::Definition;
use source::Source;
use sync::{Definitions, HEADER_BYTES, WINDOW_BYTES, is_header};

/// The bytes of the checksum after the messages.
const CRC_BYTES: usize = 2;
/// The number of bytes before lost messages in which records may be damaged.
const UNVERIFIED_BYTES: u64 = 256;
/// The number of times far from the time before for which the reader searches for messages that continue it.
const TIME_JUMPS_MAX: u32 = 1 << 12;
/// The data sizes of a header that was not completed.
const UNKNOWN_SIZES: [u32; 2] = [0, u32::MAX];

/// Reads the tracks of a file.
pub(super) fn read(
    input: impl BufRead,
    _options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut reader = Reader {
        source: Source::new(input),
        definitions: Definitions::default(),
        last_time: None,
        damage: None,
        skipped_bytes: 0,
        timed_offset: 0,
        time_jumps: 0,
    };
    let mut first_type = None;
    loop {
        let mut activity = Activity::default();
        let outcome = reader.file(&mut activity, out);
        first_type = first_type.or(activity.file_type());
        let failure = match outcome {
            Ok(()) => None,
            Err(Stop::Output(error)) => return Err(error),
            Err(Stop::Input(error)) => Some(error),
        };
        let is_complete = failure.is_none() && reader.damage.is_none();
        activity.finish(out, is_complete, Position::Byte(reader.source.offset()))?;
        if let Some(error) = failure {
            return Err(error);
        }
        if !reader.has_next_file(out)? {
            break;
        }
    }
    match reader.damage {
        Some((position, what)) => {
            let skipped = reader.skipped_bytes;
            Err(FormatError::malformed(position, format!("{what}; {skipped} bytes are skipped")))
        }
        None if out.track_count() == 0 => {
            let found = match first_type.and_then(profile::file_type) {
                Some(name) => format!("its type is \"{name}\", and it has no records"),
                None => "it has no records".to_owned(),
            };
            Err(FormatError::NoTracks { format: Format::Fit, found })
        }
        None => Ok(()),
    }
}

/// Why the reading of a FIT file stopped.
enum Stop {
    /// The input could not be read, or it ends early.
    Input(FormatError),
    /// The tracks could not be passed on.
    Output(FormatError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Input(FormatError::Io(error))
    }
}

/// The result of the attempt to read a message.
enum Step {
    Read,
    /// The bytes are not a message, for the reason in the text.
    Lost(&'static str),
    /// The input ends before the end of the message.
    Truncated,
    /// The message does not end before the end of the data.
    CrossesEnd,
}

struct Reader<R> {
    source: Source<R>,
    definitions: Definitions,
    /// The last time in a message, in the unit of the file.
    last_time: Option<u32>,
    /// The first position at which messages were lost.
    damage: Option<(Position, &'static str)>,
    skipped_bytes: u64,
    /// The offset of the last message with a time. The messages from there on may be damaged.
    timed_offset: u64,
    /// The number of times that are far from the time before.
    time_jumps: u32,
}

impl<R: Read> Reader<R> {
    /// Reads a FIT file from its header to its checksum.
    fn file(&mut self, activity: &mut Activity, out: &mut TrackWriter<'_>) -> Result<(), Stop> {
        self.definitions = Definitions::default();
        self.last_time = None;
        let mut data_end = self.header(out)?;
        loop {
            let offset = self.source.offset();
            match data_end {
                Some(end) if offset == end => {
                    if self.checksum(out)? {
                        return Ok(());
                    }
                    data_end = None;
                }
                None if self.is_at_unknown_end()? => return Ok(()),
                _ => {}
            }
            let step = match self.message(data_end, activity, out)? {
                Step::Read => continue,
                Step::CrossesEnd if self.continues()? => {
                    self.note_continues(out)?;
                    data_end = None;
                    continue;
                }
                step => step,
            };
            let position = Position::Byte(self.source.offset());
            // After damage the end of the data is not known either.
            let data_end_before = data_end.take();
            let (is_truncated, what) = match step {
                // At most a checksum remains.
                Step::Lost(_) if self.source.peek(CRC_BYTES + 1)?.len() <= CRC_BYTES => {
                    (true, "the file ends in the middle of a message")
                }
                Step::Lost(what) => (false, what),
                Step::CrossesEnd => (false, "a message is longer than the data of the file"),
                _ => (true, "the file ends in the middle of a message"),
            };
            let verified =
                self.timed_offset.max(self.source.last_offset().saturating_sub(UNVERIFIED_BYTES));
            let skipped = self.resync()?;
            if skipped.is_none() && is_truncated {
                let message = match data_end_before {
                    Some(end) if end > self.source.offset() => {
                        let missing = end - self.source.offset();
                        format!("the file ends early: {missing} bytes of messages are missing")
                    }
                    _ => what.to_owned(),
                };
                return Err(Stop::Input(FormatError::malformed(position, message)));
            }
            activity.drop_from(verified);
            self.skipped_bytes += skipped.unwrap_or(0);
            self.damage.get_or_insert((position, what));
            if skipped.is_none() {
                let message = format!("{what}; nothing after it can be read");
                return Err(Stop::Input(FormatError::malformed(position, message)));
            }
        }
    }

    /// Reads the header. Returns the offset at which the messages end, if the header states it.
    fn header(&mut self, out: &mut TrackWriter<'_>) -> Result<Option<u64>, Stop> {
        let at = Position::Byte(self.source.offset());
        let malformed = |message: &str| Stop::Input(FormatError::malformed(at, message));
        self.source.reset_crc();
        let bytes = self.source.peek(HEADER_BYTES + CRC_BYTES)?;
        if bytes.len() < HEADER_BYTES {
            return Err(malformed("the file ends in the middle of the header"));
        }
        if !is_header(bytes) {
            return Err(malformed("this is not the header of a FIT file"));
        }
        let size = usize::from(bytes[0]);
        let data_size = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let crc = bytes.get(HEADER_BYTES..HEADER_BYTES + CRC_BYTES).filter(|_| size > HEADER_BYTES);
        let crc = crc.map_or(0, |crc| u16::from_le_bytes([crc[0], crc[1]]));
        self.source.consume(HEADER_BYTES);
        if crc != 0 && crc != self.source.crc() {
            let message = "the checksum of the header is wrong";
            out.file_note(NoteKind::Checksum, Some(at), message).map_err(Stop::Output)?;
        }
        let rest = self.source.peek(size - HEADER_BYTES)?.len();
        self.source.consume(rest);
        if UNKNOWN_SIZES.contains(&data_size) {
            let message = "the header has no data size, because the device did not finish the file; \
                           the checksum is not verified";
            out.file_note(NoteKind::Checksum, Some(at), message).map_err(Stop::Output)?;
            return Ok(None);
        }
        Ok(Some(self.source.offset() + u64::from(data_size)))
    }

    /// Verifies the checksum. Returns false if messages follow instead of it.
    fn checksum(&mut self, out: &mut TrackWriter<'_>) -> Result<bool, Stop> {
        let position = Some(Position::Byte(self.source.offset()));
        let expected = self.source.crc();
        let bytes = self.source.peek(WINDOW_BYTES)?;
        let Some(&found) = bytes.first_chunk() else {
            let rest = bytes.len();
            self.source.consume(rest);
            let message = "the checksum is missing";
            out.file_note(NoteKind::Checksum, position, message).map_err(Stop::Output)?;
            return Ok(true);
        };
        if u16::from_le_bytes(found) != expected {
            let after = &bytes[CRC_BYTES..];
            if !after.is_empty() && !is_header(after) && self.continues()? {
                self.note_continues(out)?;
                return Ok(false);
            }
            let message =
                "the checksum is wrong: the file is damaged, and any of its values may be wrong";
            out.file_note(NoteKind::Checksum, position, message).map_err(Stop::Output)?;
        }
        self.source.consume(CRC_BYTES);
        Ok(true)
    }

    /// Returns whether messages follow.
    fn continues(&mut self) -> io::Result<bool> {
        let bytes = self.source.peek(WINDOW_BYTES)?;
        Ok(self.definitions.is_sequence(bytes, &[self.last_time]))
    }

    fn note_continues(&mut self, out: &mut TrackWriter<'_>) -> Result<(), Stop> {
        let position = Some(Position::Byte(self.source.offset()));
        let message =
            "the file has messages after the data size in its header; the checksum is not verified";
        out.file_note(NoteKind::Checksum, position, message).map_err(Stop::Output)
    }

    /// Returns whether the messages end here, if the end of the data is not known. Skips the checksum.
    fn is_at_unknown_end(&mut self) -> io::Result<bool> {
        let bytes = self.source.peek(CRC_BYTES + HEADER_BYTES)?;
        if bytes.is_empty() || is_header(bytes) {
            return Ok(true);
        }
        let is_crc = bytes.len() == CRC_BYTES || bytes.get(CRC_BYTES..).is_some_and(is_header);
        if is_crc {
            self.source.consume(CRC_BYTES);
        }
        Ok(is_crc)
    }

    /// Reads a message.
    fn message(
        &mut self,
        data_end: Option<u64>,
        activity: &mut Activity,
        out: &mut TrackWriter<'_>,
    ) -> Result<Step, Stop> {
        let Some(&header) = self.source.peek(1)?.first() else { return Ok(Step::Truncated) };
        let offset = self.source.offset();
        let crosses_end = |length: usize| data_end.is_some_and(|end| offset + length as u64 > end);
        if sync::has_reserved_bits(header) {
            return Ok(Step::Lost("the bytes are not a message"));
        }
        if sync::is_definition(header) {
            let bytes = self.source.peek(1 + Definition::BYTES_MAX)?;
            let length = definition::length(&bytes[1..], sync::has_developer_fields(header));
            let Some(length) = length.filter(|&length| length < bytes.len()) else {
                return Ok(Step::Truncated);
            };
            if crosses_end(1 + length) {
                return Ok(Step::CrossesEnd);
            }
            let content = &bytes[1..=length];
            // A definition with unknown types is one if a message that it defines follows.
            let is_used = bytes.get(1 + length).is_some_and(|&next| sync::is_data_of(next, header));
            let definition =
                Definition::parse(content).filter(|_| is_used || Definition::is_strict(content));
            let Some(definition) = definition else {
                return Ok(Step::Lost("a definition is not valid"));
            };
            self.definitions.set(header, definition);
            self.source.consume(1 + length);
            return Ok(Step::Read);
        }
        let Some(definition) = self.definitions.get(header) else {
            return Ok(Step::Lost("a message has no definition"));
        };
        let length = 1 + definition.size;
        if crosses_end(length) {
            return Ok(Step::CrossesEnd);
        }
        let bytes = self.source.peek(length)?;
        if bytes.len() < length {
            return Ok(Step::Truncated);
        }
        let payload = &bytes[1..];
        let field_time = definition.time(payload);
        let time = match sync::compressed_time(header, self.last_time) {
            Some(time) => Some(time),
            None => field_time,
        };
        if let (Some(time), Some(last)) = (field_time, self.last_time)
            && !sync::is_near(time, last)
        {
            // The clock was set, or these bytes are not a message.
            let bytes = self.source.peek(length + WINDOW_BYTES)?;
            let after = bytes.get(length..).unwrap_or_default();
            self.time_jumps = self.time_jumps.saturating_add(1);
            let is_clock = self.definitions.is_sequence(after, &[Some(last), Some(time)])
                && (self.time_jumps > TIME_JUMPS_MAX || !self.definitions.has_restart(bytes, last));
            if !is_clock {
                return Ok(Step::Lost("the bytes are not a message"));
            }
        }
        let bytes = self.source.peek(length)?;
        let payload = &bytes[1..];
        activity.message(definition, payload, time, offset, out).map_err(Stop::Output)?;
        self.last_time = time.or(self.last_time);
        if field_time.is_some() {
            self.timed_offset = offset;
        }
        self.source.consume(length);
        Ok(Step::Read)
    }

    /// Skips damaged bytes, from the message before this position. Returns their number, or `None` if no
    /// message follows.
    fn resync(&mut self) -> io::Result<Option<u64>> {
        self.source.unread();
        let start = self.source.offset();
        loop {
            self.source.consume(1);
            let bytes = self.source.peek(WINDOW_BYTES)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if is_header(bytes) || self.definitions.is_restart(bytes, self.last_time) {
                return Ok(Some(self.source.offset() - start));
            }
        }
    }

    /// Returns whether another FIT file follows. Other bytes are ignored, with a note.
    fn has_next_file(&mut self, out: &mut TrackWriter<'_>) -> Result<bool, FormatError> {
        let position = Some(Position::Byte(self.source.offset()));
        let bytes = self.source.peek(HEADER_BYTES).map_err(FormatError::Io)?;
        if bytes.is_empty() || is_header(bytes) {
            return Ok(!bytes.is_empty());
        }
        let message = "the bytes after the end of the FIT file are ignored";
        out.file_note(NoteKind::IgnoredContent, position, message)?;
        Ok(false)
    }
}
