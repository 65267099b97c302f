//! The reader of flight recorder files of the International Gliding Commission (IGC). A file is one track, and
//! the header of another flight starts another one.
//!
//! Each B record is a point. Its elevation is the GNSS altitude above the WGS 84 ellipsoid if the fix has three
//! dimensions (validity A). The pressure altitude is not read. The extensions FXA (accuracy), LAD and LOD (digits of
//! the position) and TDS (fractions of a second) are read. The name is the glider ID, else the competition ID.
//!
//! `record` parses single records. The `igc` crate is not used: it parses single records, and the dates, the
//! extensions and the reasons of damage are needed here.

mod record;

use std::io::BufRead;

use super::calendar::Clock;
use super::error::{FormatError, Position};
use super::format::Format;
use super::line_reader::{Line, LineReader, filled_lines};
use super::note::NoteKind;
use super::options::ReadOptions;
use super::rows::DELIMITERS;
use super::sink::TrackKind;
use super::track_writer::{Attribute, RawFix, TrackWriter};
use super::value::excerpt;
use record::{Extensions, FIX_BYTES, Header, fix, header};

/// The bytes of a line that are read. The format allows 76, and some recorders write longer comments.
const LINE_BYTES_MAX: usize = 1 << 10;

/// Returns whether a text that starts with `head` is in this format: an A record and a record that follows it, or
/// a date or fix without one.
pub(super) fn matches(head: &[u8]) -> bool {
    let mut lines = filled_lines(head).map(trimmed);
    let Some(first) = lines.next() else { return false };
    if is_date(first) || is_fix(first) {
        return true;
    }
    let has_fields = first.iter().any(|byte| DELIMITERS.contains(byte));
    is_recorder(first)
        && lines.next().is_some_and(|second| {
            is_date(second) || is_fix(second) || (is_header(second) && !has_fields)
        })
}

/// Removes the control characters that some recorders write for flow control.
fn trimmed(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| *byte > b' ').unwrap_or(line.len());
    let end = line.iter().rposition(|byte| *byte > b' ').map_or(start, |at| at + 1);
    &line[start..end]
}

/// Returns whether a line is an A record, the first one of a file.
fn is_recorder(line: &[u8]) -> bool {
    line.first() == Some(&b'A')
        && line.get(1..4).is_some_and(|name| name.iter().all(u8::is_ascii_alphanumeric))
}

fn is_header(line: &[u8]) -> bool {
    matches!(line, [b'H', b'F' | b'O' | b'P', a, b, c, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_uppercase()))
}

fn is_date(line: &[u8]) -> bool {
    is_header(line) && matches!(header(line), Header::Date(Some(_)))
}

fn is_fix(line: &[u8]) -> bool {
    line.first() == Some(&b'B')
        && line.len() >= FIX_BYTES
        && line[1..7].iter().all(u8::is_ascii_digit)
        && fix(line, &Extensions::default()).is_ok()
}

/// Reads the track of a file from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    _options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut lines = LineReader::new(text, LINE_BYTES_MAX);
    let mut flight = Flight::default();
    while let Some(line) = lines.next_filled()? {
        flight.add(&line, out)?;
    }
    if out.track_count() > 0 {
        return Ok(());
    }
    let found = "no B record, so it has no fixes".to_owned();
    Err(FormatError::NoTracks { format: Format::Igc, found })
}

/// A file so far.
#[derive(Default)]
struct Flight {
    clock: Clock,
    extensions: Extensions,
    has_track: bool,
    /// Whether a date follows the last fix.
    has_later_date: bool,
    has_glider_id: bool,
    name: String,
}

impl Flight {
    fn add(&mut self, line: &Line<'_>, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        let record = trimmed(line.bytes);
        match record.first() {
            Some(b'B') => self.add_fix(record, line, out),
            Some(b'I') => {
                self.extensions = Extensions::parse(record);
                Ok(())
            }
            Some(b'H') => self.add_header(record, line.position(), out),
            Some(b'A') if self.has_track && is_recorder(record) => {
                self.end(line.position(), out)?;
                *self = Self::default();
                Ok(())
            }
            Some(b'A' | b'C'..=b'G' | b'J'..=b'O') => Ok(()),
            _ => {
                let message = format!("{} is not an IGC record", excerpt(record));
                out.file_note(NoteKind::SkippedLines, Some(line.position()), message)
            }
        }
    }

    fn add_header(
        &mut self,
        record: &[u8],
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let header = header(record);
        // A date alone follows midnight. With other headers it belongs to another flight, also if the line before it
        // has no end and hides the A record.
        if self.has_later_date && !matches!(header, Header::Date(_)) {
            self.end(position, out)?;
            let clock = std::mem::take(&mut self.clock);
            *self = Self { clock, ..Self::default() };
        }
        match header {
            Header::Date(Some(day)) => {
                self.clock.set_day(day);
                self.has_later_date = self.has_track;
            }
            Header::Date(None) => {
                let message = format!("the date {} is not like HFDTE311224", excerpt(record));
                out.file_note(NoteKind::InvalidTime, Some(position), message)?;
            }
            Header::GliderId(name) => {
                let name = String::from_utf8_lossy(name);
                self.has_glider_id = !name.is_empty();
                self.set_name(&name, out);
            }
            Header::CompetitionId(name) if !self.has_glider_id => {
                self.set_name(&String::from_utf8_lossy(name), out);
            }
            Header::Datum(datum) if !is_wgs84(datum) => {
                let message = format!("the datum {} is read as WGS 84", excerpt(datum));
                out.file_note(NoteKind::AssumedReferenceSystem, Some(position), message)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the track before another flight.
    fn end(&mut self, position: Position, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.has_track { out.end_track(position) } else { Ok(()) }
    }

    fn set_name(&mut self, name: &str, out: &mut TrackWriter<'_>) {
        if !name.is_empty() {
            name.clone_into(&mut self.name);
            if self.has_track {
                out.set_name(name);
            }
        }
    }

    fn add_fix(
        &mut self,
        record: &[u8],
        line: &Line<'_>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = line.position();
        if !self.has_track {
            self.has_track = true;
            out.start_track(TrackKind::Track, position)?;
            out.set_name(&self.name);
        }
        self.has_later_date = false;
        if !line.is_terminated && record.len() < FIX_BYTES {
            return Err(FormatError::malformed(position, "the file ends within a B record"));
        }
        let found = match fix(record, &self.extensions) {
            Ok(found) => found,
            Err(message) => return out.invalid_point(position, message),
        };
        let mut raw = RawFix::new(position, found.x, found.y);
        raw.accuracy_m = found.accuracy_m;
        match found.z {
            Ok(z) => raw.z = z,
            Err(message) => out.invalid_value(Attribute::Elevation, position, message)?,
        }
        match found.ns_of_day.and_then(|ns_of_day| self.clock.unix_ns(ns_of_day)) {
            Ok(Some(unix_ns)) => raw.unix_ns = Some(unix_ns),
            Ok(None) => {
                let message = "the time of day has no date, because no HFDTE record precedes it";
                out.invalid_value(Attribute::Time, position, message)?;
            }
            Err(message) => out.invalid_value(Attribute::Time, position, message)?,
        }
        out.point(&raw)
    }
}

/// Returns whether a datum is WGS 84, for example `WGS84`, `WGS-1984` or the number 100 of the format.
fn is_wgs84(datum: &[u8]) -> bool {
    let name: Vec<u8> = datum
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect();
    let is_number = name.starts_with(b"100") && !name.get(3).is_some_and(u8::is_ascii_digit);
    name.is_empty() || is_number || name.starts_with(b"WGS84") || name.starts_with(b"WGS1984")
}

#[cfg(test)]
mod tests;
