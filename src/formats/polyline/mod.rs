//! The reader of encoded polylines, the text form of lines of Google Maps. Each line of the text is a track,
//! also in double quotes as in JSON.
//!
//! A polyline does not state its precision. 5 decimal places are assumed, and 6 (OSRM, Valhalla) if only these
//! give valid positions. The `polyline` crate is not used: it returns a whole line, or an
//! error without the points before it.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read};

use super::error::{FormatError, Limit, Position};
use super::format::Format;
use super::line_reader::filled_lines;
use super::note::NoteKind;
use super::options::ReadOptions;
use super::sink::TrackKind;
use super::track_writer::{RawFix, TrackWriter};
use crate::measure::Space;

/// The bytes of a file from which the precision is chosen.
const SAMPLE_BYTES: u64 = 64 << 10;
/// The length of a line above which its end may be outside the detected part of a file.
const LONG_LINE_BYTES: usize = 4 << 10;
/// The shortest text that is detected as a polyline.
const DETECTED_BYTES_MIN: usize = 8;
/// The fewest characters of a cut polyline that are no letters and no underscores.
const CUT_SIGNS_MIN: usize = 2;
/// A polyline in quotes is a JSON string, with a backslash before each backslash.
const QUOTE: u8 = b'"';
const BACKSLASH: u8 = b'\\';

/// The number of decimal places of the coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Precision {
    #[default]
    Five,
    Six,
}

impl Precision {
    /// Returns the precision with which the positions of a text are valid, and 5 places if both or none are.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut fits = [true; 2];
        for line in filled_lines(text) {
            let mut decoder = Decoder::default();
            for point in content(line).iter().map_while(|&byte| decoder.push(byte).ok()).flatten() {
                for (fits, precision) in fits.iter_mut().zip([Precision::Five, Precision::Six]) {
                    *fits &= is_position(precision.degrees(point));
                }
            }
        }
        if fits == [false, true] { Precision::Six } else { Precision::Five }
    }

    /// Returns the note on the assumption.
    pub(super) fn note(self) -> &'static str {
        match self {
            Precision::Five => {
                "encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the \
                 path is 10 times shorter"
            }
            Precision::Six => {
                "encoded polylines do not state their precision; 6 decimal places are assumed, because 5 give \
                 positions that are out of range"
            }
        }
    }

    fn degrees(self, (latitude, longitude): (i64, i64)) -> (f64, f64) {
        let scale = match self {
            Precision::Five => 1e5,
            Precision::Six => 1e6,
        };
        (longitude as f64 / scale, latitude as f64 / scale)
    }
}

/// Returns the polyline in a line, without quotes.
fn content(line: &[u8]) -> Cow<'_, [u8]> {
    let Some(text) = line.strip_prefix(&[QUOTE]) else { return Cow::Borrowed(line) };
    let text = text.strip_suffix(&[QUOTE]).unwrap_or(text);
    let mut escapes = Escapes::default();
    Cow::Owned(text.iter().copied().filter(|&byte| escapes.is_content(byte)).collect())
}

/// The escapes in a JSON string.
#[derive(Default)]
struct Escapes {
    is_after_backslash: bool,
}

impl Escapes {
    /// Returns false for the second one of two backslashes.
    fn is_content(&mut self, byte: u8) -> bool {
        self.is_after_backslash = byte == BACKSLASH && !self.is_after_backslash;
        byte != BACKSLASH || self.is_after_backslash
    }
}

fn is_position((x, y): (f64, f64)) -> bool {
    x.abs() <= 180.0 && y.abs() <= 90.0
}

/// Decodes a polyline in the field of a table. Passes on each point as longitude and latitude, or x and y.
///
/// # Errors
/// Returns the damage of the polyline as [`FormatError::Malformed`], after the points before it, and the errors
/// of `each`. The position is that in the field.
pub(super) fn parse(
    field: &[u8],
    precision: Precision,
    each: &mut dyn FnMut(f64, f64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut decoder = Decoder::default();
    let field = field.trim_ascii();
    for (&byte, column) in field.iter().zip(1..) {
        let damaged =
            |damage: Damage| FormatError::malformed(Position::column(1, column), damage.message());
        if let Some(point) = decoder.push(byte).map_err(damaged)? {
            let (x, y) = precision.degrees(point);
            each(x, y)?;
        }
    }
    match decoder.is_between_points() {
        true => Ok(()),
        false => {
            let position = Position::column(1, field.len() as u64);
            Err(FormatError::malformed(position, Damage::Cut.message()))
        }
    }
}

/// Why a polyline cannot be decoded further. Each position depends on all before it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Byte(u8),
    TooLarge,
    Cut,
}

impl Damage {
    fn message(self) -> String {
        match self {
            Damage::Byte(byte) => format!(
                "the character '{}' is not allowed in an encoded polyline, and the positions after it are \
                 unknown",
                char::from(byte).escape_default()
            ),
            Damage::TooLarge => {
                "a number of the encoded polyline is too large, and the positions after it are unknown"
                    .to_owned()
            }
            Damage::Cut => "the encoded polyline ends within a point".to_owned(),
        }
    }
}

/// Decodes a polyline byte by byte.
#[derive(Default)]
struct Decoder {
    latitude: i64,
    longitude: i64,
    bits: u64,
    shift: u32,
    has_latitude: bool,
}

impl Decoder {
    /// The largest shift of five bits that fit 64 bits.
    const SHIFT_MAX: u32 = 55;

    /// Adds a byte. Returns a point as latitude and longitude if it is complete.
    fn push(&mut self, byte: u8) -> Result<Option<(i64, i64)>, Damage> {
        if !(63..=126).contains(&byte) {
            return Err(Damage::Byte(byte));
        }
        if self.shift > Self::SHIFT_MAX {
            return Err(Damage::TooLarge);
        }
        let chunk = u64::from(byte - 63);
        self.bits |= (chunk & 0x1f) << self.shift;
        self.shift += 5;
        if chunk & 0x20 != 0 {
            return Ok(None);
        }
        let magnitude = (self.bits >> 1) as i64;
        let difference = if self.bits & 1 == 1 { !magnitude } else { magnitude };
        (self.bits, self.shift) = (0, 0);
        let value = if self.has_latitude { &mut self.longitude } else { &mut self.latitude };
        *value = value.checked_add(difference).ok_or(Damage::TooLarge)?;
        self.has_latitude = !self.has_latitude;
        Ok((!self.has_latitude).then_some((self.latitude, self.longitude)))
    }

    fn is_between_points(&self) -> bool {
        !self.has_latitude && self.shift == 0
    }
}

/// Returns whether a text that starts with `head` is in this format.
///
/// A word of a text can be a polyline by chance. So every line must have two valid positions, and the first
/// position must not be next to latitude 0 and longitude 0, where it takes one character a number. A line that ends
/// within a point must have characters that are not in words.
pub(super) fn matches(head: &[u8]) -> bool {
    let precision = Precision::of(head);
    let mut lines = filled_lines(head).peekable();
    lines.peek().is_some() && lines.all(|line| is_polyline(line, precision))
}

fn is_polyline(line: &[u8], precision: Precision) -> bool {
    let line = content(line);
    let mut decoder = Decoder::default();
    let mut count = 0;
    for &byte in line.iter() {
        match decoder.push(byte) {
            Ok(None) => {}
            Ok(Some(point)) => {
                let is_first_far = point.0.abs() > 15 && point.1.abs() > 15;
                if !is_position(precision.degrees(point)) || (count == 0 && !is_first_far) {
                    return false;
                }
                count += 1;
            }
            Err(_) => return false,
        }
    }
    let is_sign = |byte: &&u8| !byte.is_ascii_alphabetic() && **byte != b'_';
    let may_be_cut =
        line.len() >= LONG_LINE_BYTES || line.iter().filter(is_sign).count() >= CUT_SIGNS_MIN;
    line.len() >= DETECTED_BYTES_MIN && count >= 2 && (decoder.is_between_points() || may_be_cut)
}

/// Reads the tracks of a file from UTF-8 text.
pub(super) fn read(
    mut text: impl BufRead,
    _options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let start = Position::line(1);
    let mut sample = Vec::new();
    let sampled = text.by_ref().take(SAMPLE_BYTES).read_to_end(&mut sample);
    sampled.map_err(|error| Limit::or_io(error, start))?;
    let precision = match out.space() {
        Space::Geographic => Precision::of(&sample),
        Space::Planar => Precision::Five,
    };
    let mut text = Cursor::new(sample).chain(text);
    let mut line = Line::new(1, precision);
    loop {
        let bytes = match text.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Limit::or_io(error, Position::line(line.number))),
        };
        for &byte in bytes {
            if byte == b'\n' {
                line.end(out)?;
                line = Line::new(line.number + 1, precision);
            } else {
                line.push(byte, out)?;
            }
        }
        let length = bytes.len();
        text.consume(length);
    }
    if line.has_track && !line.is_damaged && line.is_cut() {
        return Err(FormatError::malformed(line.position(), Damage::Cut.message()));
    }
    line.end(out)?;
    match out.track_count() {
        0 => {
            let found = "no line is an encoded polyline".to_owned();
            Err(FormatError::NoTracks { format: Format::Polyline, found })
        }
        _ => out.file_note(NoteKind::AssumedNotation, Some(start), precision.note()),
    }
}

/// A line of the text, which is a track.
struct Line {
    number: u64,
    column: u64,
    precision: Precision,
    decoder: Decoder,
    has_track: bool,
    is_damaged: bool,
    /// Whether there was a blank or quote after the polyline.
    is_ended: bool,
    /// The escapes, if the polyline is in quotes.
    escapes: Option<Escapes>,
}

impl Line {
    fn new(number: u64, precision: Precision) -> Self {
        let decoder = Decoder::default();
        let (has_track, is_damaged, is_ended) = (false, false, false);
        let escapes = None;
        Self { number, column: 0, precision, decoder, has_track, is_damaged, is_ended, escapes }
    }

    /// Returns whether the polyline ends within a point, or within its quotes.
    fn is_cut(&self) -> bool {
        !self.decoder.is_between_points() || (self.escapes.is_some() && !self.is_ended)
    }

    fn position(&self) -> Position {
        Position::column(self.number, self.column.max(1))
    }

    fn push(&mut self, byte: u8, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        self.column += 1;
        if self.is_damaged {
            return Ok(());
        }
        if byte.is_ascii_whitespace() || byte == 0 {
            self.is_ended = self.has_track;
            return Ok(());
        }
        match &mut self.escapes {
            None if byte == QUOTE && !self.has_track => {
                self.escapes = Some(Escapes::default());
                return Ok(());
            }
            Some(_) if byte == QUOTE && !self.is_ended => {
                self.is_ended = true;
                return Ok(());
            }
            _ => {}
        }
        if !self.escapes.as_mut().is_none_or(|escapes| escapes.is_content(byte)) {
            return Ok(());
        }
        let decoded = match self.is_ended {
            true => Err(Damage::Byte(if self.escapes.is_some() { byte } else { b' ' })),
            false => self.decoder.push(byte),
        };
        if !self.has_track {
            if let Err(damage) = decoded {
                self.is_damaged = true;
                let message = format!("not an encoded polyline: {}", damage.message());
                return out.file_note(NoteKind::SkippedLines, Some(self.position()), message);
            }
            self.has_track = true;
            out.start_track(TrackKind::Track, self.position())?;
        }
        match decoded {
            Ok(None) => Ok(()),
            Ok(Some(point)) => {
                let (x, y) = self.precision.degrees(point);
                out.point(&RawFix::new(self.position(), x, y))
            }
            Err(damage) => {
                self.is_damaged = true;
                out.invalid_point(self.position(), damage.message())
            }
        }
    }

    fn end(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if !self.has_track {
            return Ok(());
        }
        if !self.is_damaged && self.is_cut() {
            out.invalid_point(self.position(), Damage::Cut.message())?;
        }
        out.end_track(self.position())
    }
}

#[cfg(test)]
mod tests;
