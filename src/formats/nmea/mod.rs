//! The reader of logs of NMEA 0183 sentences. A log is one track.
//!
//! `sentence` reads one sentence. `epoch` joins the sentences of one time to a fix: positions of GGA, GNS, RMC
//! and GLL, the altitude above mean sea level of GGA or GNS, the date of RMC or ZDA, and the accuracy of GST or of
//! Garmin's PGRME. A second sentence of the same kind is the next fix, also if its time is the same. If two talkers
//! have different positions at one time, those of one talker are read, with a note. A fix that one of its sentences marks as void has no position. HDOP is not an accuracy in
//! metres and is ignored.

mod epoch;
mod sentence;

use std::io::BufRead;

use super::error::{FormatError, Position};
use super::format::Format;
use super::line_reader::{LineReader, filled_lines};
use super::note::NoteKind;
use super::options::ReadOptions;
use super::track_writer::TrackWriter;
use super::value::excerpt;
use epoch::Epochs;
use sentence::{Checksum, Kind, Sentence, report, sentences};

/// The bytes of a line that are read. A sentence has at most 82, but logs may add a prefix.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Returns whether a text that starts with `head` is in this format.
///
/// One sentence with a checksum decides. A sentence without one must fill the line, so that a table with a
/// sentence in a field is a table.
pub(super) fn matches(head: &[u8]) -> bool {
    filled_lines(head).any(|line| {
        sentences(line).any(|sentence| match sentence.checksum {
            Checksum::Right => true,
            Checksum::Wrong => false,
            Checksum::Missing => fills_line(line, sentence),
        })
    })
}

fn fills_line(line: &[u8], Sentence { text, .. }: Sentence<'_>) -> bool {
    const SHORTEST_FIELD_COUNT: usize = 4;
    let address = text.split(|byte| *byte == b',').next().unwrap_or_default();
    line.get(1..) == Some(text)
        && Kind::of(address).is_some()
        && !text.contains(&b'"')
        && text.iter().filter(|byte| **byte == b',').count() >= SHORTEST_FIELD_COUNT
}

/// Counts of what was not read.
#[derive(Default)]
struct Unread {
    ais_count: u64,
    wrong_checksum_count: u64,
}

/// Reads the track of a log from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    _options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut lines = LineReader::new(text, LINE_BYTES_MAX);
    let mut epochs = Epochs::default();
    let mut unread = Unread::default();
    let mut has_checksums = false;
    let mut cut = None;
    let outcome = loop {
        let line = match lines.next_filled() {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let position = line.position();
        let mut is_empty = true;
        for sentence in sentences(line.bytes) {
            is_empty = false;
            has_checksums |= sentence.checksum == Checksum::Right;
            let is_right = sentence.checksum == Checksum::Right;
            if !is_right && !line.is_terminated && has_checksums {
                cut = Some(position);
            } else {
                read_sentence(sentence, position, &mut epochs, &mut unread, out)?;
            }
        }
        if is_empty || line.is_cut {
            let message = match line.is_cut {
                true => format!("the line is longer than {LINE_BYTES_MAX} bytes"),
                false => format!("{} has no NMEA sentence", excerpt(line.bytes)),
            };
            out.file_note(NoteKind::SkippedLines, Some(position), message)?;
        }
    };
    let has_track = epochs.finish(out)?;
    outcome?;
    if let Some(position) = cut {
        return Err(FormatError::malformed(position, "the file ends within a sentence"));
    }
    if has_track { Ok(()) } else { Err(no_tracks(&unread)) }
}

fn read_sentence(
    sentence: Sentence<'_>,
    position: Position,
    epochs: &mut Epochs,
    unread: &mut Unread,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let Sentence { text, checksum } = sentence;
    if checksum == Checksum::Wrong {
        unread.wrong_checksum_count += 1;
        let message = "a sentence with a wrong checksum is skipped";
        return out.file_note(NoteKind::Checksum, Some(position), message);
    }
    let is_ais = matches!(text.get(2..6), Some(b"VDM," | b"VDO,"));
    if is_ais {
        unread.ais_count += 1;
        let message = "an AIS message (positions of other ships) is ignored";
        return out.file_note(NoteKind::IgnoredContent, Some(position), message);
    }
    match report(text) {
        Some(report) => epochs.add(position, report, out),
        None => Ok(()),
    }
}

fn no_tracks(unread: &Unread) -> FormatError {
    let found = match unread {
        Unread { ais_count: 1.., .. } => {
            "AIS messages, and no position of the receiver; decode the messages to a table first, for example \
             with pyais"
        }
        Unread { wrong_checksum_count: 1.., .. } => {
            "sentences with wrong checksums, and no right one with a position"
        }
        _ => "no sentence with a position (RMC, GGA, GNS or GLL)",
    };
    FormatError::NoTracks { format: Format::Nmea, found: found.to_owned() }
}

#[cfg(test)]
mod tests;
