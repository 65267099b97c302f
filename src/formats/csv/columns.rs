//! The columns of a table, and the fix in a row.
//!
//! An optional column that was found by its name is used if its first value is valid. Otherwise it is ignored,
//! with a remark. An invalid value is an error if the user named the column, or after a first valid value.

use ::csv::ByteRecord;

use super::super::error::{FormatError, Position};
use super::super::options::{ReadOptions, TrackColumn};
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::{TimeUnit, coordinate, excerpt, number, unix_ns};
use super::names::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, METRES, TIME_COLUMNS,
    TIME_UNITS, TRACK_COLUMNS, plain, same, time_unit, unit,
};
use super::problem::{Problem, VALUE_BYTES_MAX};
use super::tracks::Tracks;
use crate::measure::Space;

/// The positions of the columns in a row.
pub(super) struct Columns {
    count: usize,
    x: usize,
    y: usize,
    z: Option<Column>,
    time: Option<Column>,
    accuracy: Option<Column>,
    track: Option<usize>,
    segment: Option<usize>,
    space: Space,
}

/// A column of an optional value.
struct Column {
    at: usize,
    unit: Option<TimeUnit>,
}

impl Column {
    /// Returns the value in a row. An invalid value is a missing value, with a note.
    fn value<T>(
        slot: Option<&Self>,
        row: &ByteRecord,
        names: &[String],
        line: u64,
        attribute: Attribute,
        out: &mut TrackWriter<'_>,
        read: impl Fn(&[u8], Option<TimeUnit>) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, Problem> {
        let Some(&Column { at, unit }) = slot else { return Ok(None) };
        match read(row.get(at).unwrap_or_default(), unit) {
            Ok(value) => Ok(value),
            Err(message) => {
                let message = format!("{message}, in the column {}", excerpt(names[at].as_bytes()));
                out.invalid_value(attribute, Position::column(line, at as u64 + 1), message)?;
                Ok(None)
            }
        }
    }
}

impl Columns {
    /// Returns a remark about a column that may identify tracks, if the user named no such column.
    pub(super) fn track_remark(&self, names: &[String]) -> Option<String> {
        let at = names.iter().position(|name| TRACK_COLUMNS.contains(&&*plain(name)))?;
        (self.track.is_none() && self.segment.is_none()).then(|| {
            let name = excerpt(names[at].as_bytes());
            format!("all rows are read as one track; if the column {name} identifies tracks, add --track-column {name}")
        })
    }

    /// Finds the columns of the options, or those with a common name.
    pub(super) fn find(
        names: &[String],
        delimiter: u8,
        options: &ReadOptions,
    ) -> Result<Self, FormatError> {
        let (x_what, y_what) = coordinate_names(options.space);
        let missing = |what: &str, advice: &str| {
            let delimiter = match delimiter {
                b'\t' => "tabs".to_owned(),
                other => format!("'{}'", char::from(other).escape_debug()),
            };
            let found: Vec<_> = names.iter().take(8).map(|name| excerpt(name.as_bytes())).collect();
            let more = if names.len() > found.len() { ", …" } else { "" };
            FormatError::Column(format!(
                "no column {what} in the first row, which has {}{more} (split at {delimiter}); {advice}",
                found.join(", ")
            ))
        };
        let named = |name: &Option<String>, flag: &str| match name {
            None => Ok(None),
            Some(name) => match names.iter().position(|other| same(other, name)) {
                Some(at) => Ok(Some(at)),
                None => Err(missing(
                    &format!("named {}", excerpt(name.as_bytes())),
                    &format!("use one of these with {flag}"),
                )),
            },
        };
        let common = |known: &[&str]| {
            let position = |name: &&str| names.iter().position(|other| plain(other) == **name);
            match options.space {
                Space::Geographic => known.iter().find_map(position),
                Space::Planar => known.iter().rev().find_map(position),
            }
        };
        let find = |name: &Option<String>, flag: &str, known, what: &str| match named(name, flag)? {
            Some(at) => Ok(at),
            None => common(known).ok_or_else(|| {
                let advice = format!("name it {}, or choose a column with {flag}", known[0]);
                missing(&format!("for the {what}"), &advice)
            }),
        };
        let y = find(&options.y_column, "--y-column", LATITUDE_COLUMNS, y_what)?;
        let x = find(&options.x_column, "--x-column", LONGITUDE_COLUMNS, x_what)?;
        let track_column = match &options.track_column {
            TrackColumn::Named(name) => Some(name.clone()),
            _ => None,
        };
        let track = named(&track_column, "--track-column")?;
        let segment = named(&options.segment_column, "--segment-column")?;
        let used = [Some(x), Some(y), track, segment];
        let optional = |name: &Option<String>, flag: &str, known: &[&str], units: &[&str]| {
            let chosen = named(name, flag)?;
            let is_free = |at: usize| !used.contains(&Some(at));
            let common = || {
                known.iter().find_map(|known| {
                    let has_unit =
                        |name: &str| unit(name).is_none_or(|unit| units.contains(&&*unit));
                    let is_match = |name: &String| plain(name) == **known && has_unit(name);
                    (0..names.len()).find(|&at| is_free(at) && is_match(&names[at]))
                })
            };
            let at = chosen.or_else(common);
            Ok(at.map(|at| Column { at, unit: time_unit(&names[at]) }))
        };
        Ok(Self {
            count: names.len(),
            y,
            x,
            z: optional(&options.z_column, "--z-column", ELEVATION_COLUMNS, &METRES)?,
            time: optional(&options.time_column, "--time-column", TIME_COLUMNS, &TIME_UNITS)?,
            accuracy: optional(
                &options.accuracy_column,
                "--accuracy-column",
                ACCURACY_COLUMNS,
                &METRES,
            )?,
            track,
            segment,
            space: options.space,
        })
    }

    /// Passes the point of a row on.
    pub(super) fn row(
        &self,
        row: &ByteRecord,
        line: u64,
        names: &[String],
        tracks: &mut Tracks,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), Problem> {
        if let Some(stray) = row.iter().skip(self.count).position(|field| !field.is_empty()) {
            return Err(Problem::Wide { column: self.count + stray, count: row.len() });
        }
        let (track, segment) = (identifier(row, self.track)?, identifier(row, self.segment)?);
        tracks.enter(track, segment, Position::line(line), out)?;
        let (x_what, y_what) = coordinate_names(self.space);
        let required = |column: usize, what| match row.get(column) {
            Some(field) => coordinate(what, field).map_err(|message| {
                format!("{message}, in the column {}", excerpt(names[column].as_bytes()))
            }),
            None => Err(format!("the row has no {what}")),
        };
        let (x, y) = match (required(self.x, x_what), required(self.y, y_what)) {
            (Ok(x), Ok(y)) => (x, y),
            (_, Err(message)) => {
                let position = Position::column(line, self.y as u64 + 1);
                return Ok(out.invalid_point(position, message)?);
            }
            (Err(message), _) => {
                let position = Position::column(line, self.x as u64 + 1);
                return Ok(out.invalid_point(position, message)?);
            }
        };
        let mut raw = RawFix::new(Position::column(line, self.y as u64 + 1), x, y);
        let z_what = if self.space == Space::Planar { "z" } else { "elevation" };
        let read = |text: &[u8], _| number(z_what, text);
        let z = self.z.as_ref();
        raw.z = Column::value(z, row, names, line, Attribute::Elevation, out, read)?;
        let time = self.time.as_ref();
        raw.unix_ns = Column::value(time, row, names, line, Attribute::Time, out, unix_ns)?;
        let read = |text: &[u8], _| number("accuracy", text);
        let accuracy = self.accuracy.as_ref();
        raw.accuracy_m = Column::value(accuracy, row, names, line, Attribute::Accuracy, out, read)?;
        Ok(out.point(&raw)?)
    }
}

/// Returns the identifier of the track or segment of a row; it is empty without such a column.
fn identifier(row: &ByteRecord, column: Option<usize>) -> Result<&[u8], Problem> {
    let Some(column) = column else { return Ok(b"") };
    match row.get(column) {
        None => Err(Problem::Narrow { column, count: row.len() }),
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(Problem::Long { column }),
        Some(value) => Ok(value.trim_ascii()),
    }
}

/// Returns the names of x and y in messages.
fn coordinate_names(space: Space) -> (&'static str, &'static str) {
    match space {
        Space::Planar => ("x", "y"),
        Space::Geographic => ("longitude", "latitude"),
    }
}
