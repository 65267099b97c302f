//! The reader of track files of OziExplorer (PLT). The data set GeoLife has the same layout.
//!
//! After six header lines each line is a point: latitude, longitude, 1 at the start of a segment, altitude, and
//! the days since 1899-12-30 in UTC. Altitudes are feet, or metres if the third line names them; -777 is a missing one.
//! A file is one track. Its name is a field of the fifth line. Another datum than WGS 84 causes a note. A second
//! header in a file starts another track.

use std::io::BufRead;

use super::calendar::{DAY_NS, unix_ns};
use super::error::FormatError;
use super::format::Format;
use super::line_reader::{Line, LineReader, filled_lines};
use super::note::NoteKind;
use super::options::ReadOptions;
use super::sink::TrackKind;
use super::track_writer::{Attribute, RawFix, TrackWriter};
use super::value::excerpt;

const LINE_BYTES_MAX: usize = 4 << 10;
const HEADER_LINES: u64 = 6;
const FOOT_M: f64 = 0.3048;
/// The altitude of a point without one, in feet or metres.
const NO_ALTITUDE: f64 = -777.0;
/// 1899-12-30, counted from 1970-01-01.
const FIRST_DAY: i64 = -25_569;
/// Times are rounded to this, because ten decimal places of a day are not whole nanoseconds.
const ROUNDED_NS: i64 = 1_000_000;

/// The starts of the first line of a file.
const TITLES: [&[u8]; 2] = [b"OziExplorer Track", b"Geolife trajectory"];

/// Returns whether a text that starts with `head` is in this format.
pub(super) fn matches(head: &[u8]) -> bool {
    filled_lines(head).next().and_then(title) == Some(0)
}

/// Returns the index of the title of a file in a line.
fn title(line: &[u8]) -> Option<usize> {
    let starts = |at: &usize| {
        let is_start = |title: &&[u8]| {
            line[*at..].get(..title.len()).is_some_and(|start| start.eq_ignore_ascii_case(title))
        };
        TITLES.iter().any(is_start)
    };
    (0..line.len()).find(starts)
}

/// Reads the tracks of a file from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    _options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut lines = LineReader::new(text, LINE_BYTES_MAX);
    let mut file =
        File { header: Header::new(), header_lines: 0, last_field_count: 0, has_track: false };
    while let Some(line) = lines.next()? {
        let Some(at) = title(line.bytes) else {
            file.add(&line, out)?;
            continue;
        };
        // The last line of a file that precedes this one may have no end.
        let before = Line { bytes: &line.bytes[..at], is_terminated: true, ..line };
        if file.has_track {
            file.add(&before, out)?;
        }
        file.start(&line, out)?;
    }
    if out.track_count() > 0 {
        return Ok(());
    }
    let found = "no points after the header".to_owned();
    Err(FormatError::NoTracks { format: Format::Plt, found })
}

/// The state of a file, which may be several files in a row.
struct File {
    header: Header,
    /// The number of lines of the header until now.
    header_lines: u64,
    /// The number of fields of the last point.
    last_field_count: usize,
    has_track: bool,
}

impl File {
    /// Handles the first line of a header.
    fn start(&mut self, line: &Line<'_>, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        self.header = Header::new();
        self.header_lines = 1;
        match std::mem::take(&mut self.has_track) {
            true => out.end_track(line.position()),
            false => Ok(()),
        }
    }

    /// Handles another line.
    fn add(&mut self, line: &Line<'_>, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.header_lines < HEADER_LINES {
            self.header_lines += 1;
            return self.header.add(self.header_lines, line, out);
        }
        if line.bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
            return Ok(());
        }
        if !self.has_track {
            self.has_track = true;
            // Latitude, longitude and the start of a segment.
            self.last_field_count = 3;
            out.start_track(TrackKind::Track, line.position())?;
            out.set_name(&self.header.name);
        }
        let field_count = line.bytes.split(|byte| *byte == b',').count();
        if !line.is_terminated && field_count < self.last_field_count {
            return Err(FormatError::malformed(line.position(), "the file ends within a point"));
        }
        self.last_field_count = field_count;
        add_point(line, &self.header, out)
    }
}

struct Header {
    altitude_unit_m: f64,
    name: String,
}

impl Header {
    fn new() -> Self {
        Self { altitude_unit_m: FOOT_M, name: String::new() }
    }

    /// Handles the line with this number, counted from 1.
    fn add(
        &mut self,
        number: u64,
        line: &Line<'_>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let text = String::from_utf8_lossy(line.bytes);
        match number {
            2 => {
                let datum: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                if !datum.eq_ignore_ascii_case("WGS84") {
                    let message = format!(
                        "the datum {} is read as WGS 84, so that positions may be wrong by some hundred \
                         metres, and lengths by less than 0.1 %",
                        excerpt(line.bytes)
                    );
                    return out.file_note(
                        NoteKind::AssumedReferenceSystem,
                        Some(line.position()),
                        message,
                    );
                }
            }
            3 => {
                let text = text.to_ascii_lowercase();
                if text.contains("metre") || text.contains("meter") {
                    self.altitude_unit_m = 1.0;
                }
            }
            5 => text.split(',').nth(3).unwrap_or_default().trim().clone_into(&mut self.name),
            _ => {}
        }
        Ok(())
    }
}

fn add_point(
    line: &Line<'_>,
    header: &Header,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let position = line.position();
    let mut fields = line.bytes.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut next = || fields.next();
    let (latitude, longitude, starts_segment) = (next(), next(), next());
    let (altitude, days) = (next(), next());
    if starts_segment == Some(b"1") {
        out.start_segment();
    }
    let coordinate = |name: &str, field: Option<&[u8]>| {
        let field = field.unwrap_or_default();
        number(field).ok_or_else(|| format!("the {name} {} is not a number", excerpt(field)))
    };
    let (x, y) = match (coordinate("longitude", longitude), coordinate("latitude", latitude)) {
        (Ok(x), Ok(y)) => (x, y),
        (_, Err(message)) | (Err(message), _) => return out.invalid_point(position, message),
    };
    let mut raw = RawFix::new(position, x, y);
    match altitude.filter(|field| !field.is_empty()).map(|field| number(field).ok_or(field)) {
        Some(Ok(altitude)) if altitude != NO_ALTITUDE => {
            raw.z = Some(altitude * header.altitude_unit_m);
        }
        Some(Err(field)) => {
            let message = format!("the altitude {} is not a number", excerpt(field));
            out.invalid_value(Attribute::Elevation, position, message)?;
        }
        _ => {}
    }
    match time(days.unwrap_or_default()) {
        Ok(unix_ns) => raw.unix_ns = unix_ns,
        Err(message) => out.invalid_value(Attribute::Time, position, message)?,
    }
    out.point(&raw)
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Parses days since 1899-12-30, in UTC. A blank or 0 is a missing time.
fn time(days: &[u8]) -> Result<Option<i64>, String> {
    let Some(value) = number(if days.is_empty() { b"0" } else { days })
        .filter(|value| value.is_finite() && *value >= 0.0)
    else {
        return Err(format!("the time {} is not a number of days since 1899-12-30", excerpt(days)));
    };
    if value == 0.0 {
        return Ok(None);
    }
    // The part of the day is converted on its own, so that no digit is lost.
    let day = value.floor();
    let point = days.iter().position(|byte| *byte == b'.');
    let of_day = point.and_then(|at| number(&days[at..])).unwrap_or(value - day);
    let ns = (of_day * DAY_NS as f64 / ROUNDED_NS as f64).round() as i64 * ROUNDED_NS;
    unix_ns((day as i64).saturating_add(FIRST_DAY), ns).map(Some)
}

#[cfg(test)]
mod tests;
