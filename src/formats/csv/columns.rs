//! Which column of a table is what, by its name, and the fix that a row holds.
//!
//! Columns that a fix can do without are used where a usual name was found and the first value in them
//! can be read; otherwise they are left out, with a remark. Once a column was named by the user or has
//! shown a good value, a bad one is an error.

use ::csv::ByteRecord;

use super::super::error::{FormatError, coordinate, excerpt};
use super::super::value::{TimeUnit, number, unix_ns};
use super::super::{Fix, ReadOptions, TrackSink};
use super::tracks::Tracks;
use super::{Problem, VALUE_BYTES_MAX};
use crate::measure::Space;

/// The names by which a latitude, or planar y, is found, best first. Case, surrounding blanks and
/// a unit in brackets do not matter, and a blank or hyphen is as good as an underscore.
pub const LATITUDE_COLUMNS: &[&str] = &[
    "latitude",
    "lat",
    "latitude_deg",
    "lat_deg",
    "latitude_dd",
    "lat_dd",
    "gps_latitude",
    "gps_lat",
    "location_latitude",
    "location_lat",
    "point_latitude",
    "point_lat",
    "y",
];
/// The names by which a longitude, or planar x, is found, best first; as [`LATITUDE_COLUMNS`].
pub const LONGITUDE_COLUMNS: &[&str] = &[
    "longitude",
    "lon",
    "lng",
    "long",
    "longitude_deg",
    "lon_deg",
    "lng_deg",
    "long_deg",
    "longitude_dd",
    "lon_dd",
    "long_dd",
    "gps_longitude",
    "gps_lon",
    "gps_lng",
    "gps_long",
    "location_longitude",
    "location_lon",
    "location_lng",
    "location_long",
    "point_longitude",
    "point_lon",
    "x",
];

/// The names by which an elevation in metres, or planar z, is found, best first; as
/// [`LATITUDE_COLUMNS`], but a unit in brackets must be the metre.
pub const ELEVATION_COLUMNS: &[&str] = &[
    "elevation",
    "ele",
    "elevation_m",
    "ele_m",
    "altitude",
    "alt",
    "altitude_m",
    "alt_m",
    "gps_altitude",
    "gps_alt",
    "z",
];
/// The names by which a time is found, best first; as [`LATITUDE_COLUMNS`]. Numbers are seconds since
/// 1970, or milliseconds and less where they are too large for that, unless the name ends with a unit
/// (`time_ms`) or has one in brackets.
pub const TIME_COLUMNS: &[&str] = &[
    "time",
    "timestamp",
    "datetime",
    "date_time",
    "time_utc",
    "timestamp_utc",
    "utc_time",
    "utc",
    "gps_time",
    "unix_time",
    "unix_timestamp",
    "unixtime",
    "unix",
    "epoch",
    "time_s",
    "timestamp_s",
    "unix_s",
    "epoch_s",
    "time_ms",
    "timestamp_ms",
    "unix_ms",
    "epoch_ms",
];
/// The names by which an accuracy radius in metres is found, best first; as [`ELEVATION_COLUMNS`].
pub const ACCURACY_COLUMNS: &[&str] = &[
    "accuracy",
    "accuracy_m",
    "horizontal_accuracy",
    "horizontal_accuracy_m",
    "hacc",
    "h_acc",
    "hacc_m",
    "gps_accuracy",
];

/// Column names that often tell tracks apart. They are remarked on, not used: a wrong guess would cut
/// a path in pieces without a word.
const TRACK_COLUMNS: [&str; 8] =
    ["track", "trackid", "trip", "tripid", "device", "deviceid", "vehicle", "vehicleid"];

/// Which field is what.
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

/// A column that a fix can do without.
struct Column {
    at: usize,
    /// It was found by its name, and has not shown a good value yet.
    is_guess: bool,
    unit: Option<TimeUnit>,
}

impl Column {
    /// The value in a row. Leaves the column out, with a remark, if it was guessed wrong.
    fn value<T>(
        slot: &mut Option<Self>,
        row: &ByteRecord,
        names: &[String],
        sink: &mut dyn TrackSink,
        read: impl Fn(&[u8], Option<TimeUnit>) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, Problem> {
        let Some(Column { at, is_guess, unit }) = slot else { return Ok(None) };
        match read(row.get(*at).unwrap_or_default(), *unit) {
            Ok(None) => Ok(None),
            Ok(value) => {
                *is_guess = false;
                Ok(value)
            }
            Err(message) if *is_guess => {
                let name = excerpt(names[*at].as_bytes());
                sink.remark(&format!("the column {name} is left out: {message}"));
                *slot = None;
                Ok(None)
            }
            Err(message) => Err(Problem::Number { column: *at, message }),
        }
    }
}

impl Columns {
    /// A remark about a column that looks as if it identifies tracks, if no column was named.
    pub(super) fn overlooked(&self, names: &[String]) -> Option<String> {
        let at = names.iter().position(|name| TRACK_COLUMNS.contains(&&*plain(name)))?;
        (self.track.is_none() && self.segment.is_none()).then(|| {
            let name = excerpt(names[at].as_bytes());
            format!("all rows are taken for one track; if the column {name} identifies tracks, name it with --track-column")
        })
    }

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
                "no column {what} in the first line, which has {}{more} (split at {delimiter}); \
                 {advice}",
                found.join(", ")
            ))
        };
        let set = |name: &Option<String>, flag: &str| match name {
            None => Ok(None),
            Some(name) => match names.iter().position(|other| same(other, name)) {
                Some(at) => Ok(Some(at)),
                None => Err(missing(
                    &format!("named {}", excerpt(name.as_bytes())),
                    &format!("give {flag} one of these"),
                )),
            },
        };
        let usual = |known: &[&str]| {
            let position = |name: &&str| names.iter().position(|other| plain(other) == **name);
            match options.space {
                Space::Geographic => known.iter().find_map(position),
                Space::Planar => known.iter().rev().find_map(position),
            }
        };
        let find = |name: &Option<String>, flag: &str, known, what: &str| match set(name, flag)? {
            Some(at) => Ok(at),
            None => usual(known).ok_or_else(|| {
                let advice = format!("name it {} or the like, or say which with {flag}", known[0]);
                missing(&format!("for the {what}"), &advice)
            }),
        };
        let y = find(&options.y_column, "--y-column", LATITUDE_COLUMNS, y_what)?;
        let x = find(&options.x_column, "--x-column", LONGITUDE_COLUMNS, x_what)?;
        let track = set(&options.track_column, "--track-column")?;
        let segment = set(&options.segment_column, "--segment-column")?;
        let used = [Some(x), Some(y), track, segment];
        let optional = |name: &Option<String>, flag: &str, known: &[&str], units: &[&str]| {
            let named = set(name, flag)?;
            let is_free = |at: usize| !used.contains(&Some(at));
            let usual = || {
                known.iter().find_map(|known| {
                    let has_unit =
                        |name: &str| unit(name).is_none_or(|unit| units.contains(&&*unit));
                    let is_it = |name: &String| plain(name) == **known && has_unit(name);
                    (0..names.len()).find(|&at| is_free(at) && is_it(&names[at]))
                })
            };
            let at = named.or_else(usual);
            Ok(at.map(|at| Column { at, is_guess: named.is_none(), unit: time_unit(&names[at]) }))
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

    /// Tells the sink of the fix in a row.
    pub(super) fn row(
        &mut self,
        row: &ByteRecord,
        names: &[String],
        tracks: &mut Tracks,
        sink: &mut dyn TrackSink,
    ) -> Result<(), Problem> {
        if let Some(stray) = row.iter().skip(self.count).position(|field| !field.is_empty()) {
            return Err(Problem::Wide { column: self.count + stray, count: row.len() });
        }
        let (x_what, y_what) = coordinate_names(self.space);
        let required = |column: usize, what| match row.get(column) {
            Some(field) => {
                coordinate(what, field).map_err(|message| Problem::Number { column, message })
            }
            None => Err(Problem::Narrow { column, count: row.len() }),
        };
        let y = required(self.y, y_what)?;
        let x = required(self.x, x_what)?;
        let value = |column: Option<usize>| match column {
            None => Ok(&b""[..]),
            Some(column) => match row.get(column) {
                None => Err(Problem::Narrow { column, count: row.len() }),
                Some(value) if value.len() > VALUE_BYTES_MAX => Err(Problem::Long { column }),
                Some(value) => Ok(value.trim_ascii()),
            },
        };
        let z_what = if self.space == Space::Planar { "z" } else { "elevation" };
        let z = Column::value(&mut self.z, row, names, sink, |text, _| number(z_what, text))?;
        let unix_ns = Column::value(&mut self.time, row, names, sink, unix_ns)?;
        let accuracy = |text: &[u8], _| number("accuracy", text);
        let accuracy_m = Column::value(&mut self.accuracy, row, names, sink, accuracy)?;
        tracks.enter(value(self.track)?, value(self.segment)?, sink)?;
        let at = |column: &Option<Column>| column.as_ref().map(|column| column.at);
        sink.fix(Fix { z, unix_ns, accuracy_m, ..Fix::new(x, y) }).map_err(|error| {
            let [z, time, accuracy] = [&self.z, &self.time, &self.accuracy].map(at);
            Problem::Refused { error, x: self.x, y: self.y, z, time, accuracy }
        })
    }
}

/// How x and y are called in messages.
fn coordinate_names(space: Space) -> (&'static str, &'static str) {
    match space {
        Space::Planar => ("x", "y"),
        Space::Geographic => ("longitude", "latitude"),
    }
}

fn same(name: &str, wanted: &str) -> bool {
    let words = |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    words(name) == words(wanted)
}

/// A column name without case, unit and kinds of separators; line breaks are separators too.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    let name = name.trim().to_lowercase().replace(['-', '.'], "_");
    name.split_whitespace().collect::<Vec<_>>().join("_")
}

/// The unit in brackets at the end of a column name, in small letters.
fn unit(name: &str) -> Option<String> {
    let start = name.find(['(', '['])? + 1;
    Some(name[start..].trim().trim_end_matches([')', ']']).trim().to_lowercase())
}

/// How the metre is written in brackets.
const METRES: [&str; 5] = ["m", "meter", "meters", "metre", "metres"];

/// What may stand in brackets behind the name of a time.
const TIME_UNITS: [&str; 12] =
    ["utc", "gmt", "z", "s", "sec", "seconds", "ms", "milliseconds", "us", "µs", "ns", "iso 8601"];

/// The unit of a number in a column of times, if its name tells.
fn time_unit(name: &str) -> Option<TimeUnit> {
    let plain = plain(name);
    let suffix = plain.rsplit_once('_').map(|(_, suffix)| suffix.to_owned());
    match unit(name).or(suffix)?.as_str() {
        "s" | "sec" | "seconds" => Some(TimeUnit::S),
        "ms" | "millis" | "milliseconds" => Some(TimeUnit::Ms),
        "us" | "µs" | "micros" | "microseconds" => Some(TimeUnit::Us),
        "ns" | "nanos" | "nanoseconds" => Some(TimeUnit::Ns),
        _ => None,
    }
}
