//! The options of the command line for reading files, in place of what the readers detect.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::formats::{Format, OnInvalid, PointsMode, ReadOptions, TrackColumn, TrackKind};
use crate::measure::{InvalidPoints, Space, Zone};

/// A format on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileFormat(Format);

impl FileFormat {
    pub(super) fn format(self) -> Format {
        self.0
    }
}

impl ValueEnum for FileFormat {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [FileFormat; Format::ALL.len()] = {
            let mut variants = [FileFormat(Format::Gpx); Format::ALL.len()];
            let mut at = 0;
            while at < variants.len() {
                variants[at] = FileFormat(Format::ALL[at]);
                at += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.id()))
    }
}

/// The kinds of paths to read.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Only {
    /// Recorded tracks
    Tracks,
    /// Planned routes
    Routes,
}

/// The treatment of a point without a valid position.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum InvalidPoint {
    /// Skip the point and count it
    Skip,
    /// Skip the point and count it, and start a segment after it
    Split,
    /// Stop reading the file with an error
    Error,
}

/// The treatment of separate points.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum SeparatePoints {
    /// If the file has no lines, join its points to one path
    Path,
    /// Ignore the points
    Ignore,
}

/// Options for reading files. A command that reads files flattens them into its arguments.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct ReadingArgs {
    /// File format, such as gpx, csv or google-timeline [default: detected from the content]
    #[arg(long, value_enum, hide_possible_values = true)]
    format: Option<FileFormat>,

    /// Read only the recorded tracks, or only the planned routes
    #[arg(long, value_enum, value_name = "KIND")]
    only: Option<Only>,

    /// Join the segments of each track
    ///
    /// A leg then joins the last point of a segment to the first point of the next one. Gaps that the filters
    /// find still start a segment.
    #[arg(long)]
    join_segments: bool,

    /// Sort the points of each segment by time, and then the segments
    ///
    /// The points are kept in memory until their track ends, at most 2097152 at a time. A point without a time
    /// stays after the point that precedes it.
    #[arg(long)]
    sort_by_time: bool,

    /// What to do with a point without a valid position
    ///
    /// Examples are a blank or missing coordinate, NaN, and a latitude of 91. Skipped points are counted and
    /// reported in a note.
    #[arg(long, value_enum, value_name = "ACTION", default_value_t = InvalidPoint::Skip)]
    on_invalid: InvalidPoint,

    /// What to do with points that are separate in a file, such as GeoJSON Point features
    #[arg(long, value_enum, value_name = "MODE", default_value_t = SeparatePoints::Path)]
    points: SeparatePoints,

    /// Fail on everything that otherwise causes a note
    ///
    /// A note reports what was ignored, guessed, skipped or assumed in a file.
    #[arg(long)]
    strict: bool,

    /// Time zone of times without one, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "NAME", value_parser = Zone::parse)]
    timezone: Option<Zone>,

    /// Format of times, such as "%d/%m/%Y %H:%M:%S" [default: detected]
    ///
    /// The conversions are those of strptime.
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    time_format: Option<String>,

    /// Tables: column with the longitude, or x
    ///
    /// Tables are CSV and Parquet files. A column has a name or a number, for all options with a column. The first
    /// column has the number 1. A name takes precedence over a number.
    #[arg(long, value_name = "COLUMN")]
    x_column: Option<String>,

    /// Tables: column with the latitude, or y
    #[arg(long, value_name = "COLUMN")]
    y_column: Option<String>,

    /// Tables: column with the elevation in metres, or z
    #[arg(long, value_name = "COLUMN")]
    z_column: Option<String>,

    /// Tables: column with the time: ISO 8601, or seconds since 1970
    ///
    /// Numbers are milliseconds, microseconds or nanoseconds if the name of the column contains that unit, or
    /// if they are too large for seconds.
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,

    /// Tables: column with the accuracy radius in metres
    #[arg(long, value_name = "COLUMN")]
    accuracy_column: Option<String>,

    /// Tables: column that identifies the track, or none [default: detected]
    ///
    /// The rows of different tracks may be mixed. By default, a column with a common name such as trip, vehicle or
    /// mmsi divides the rows into tracks, with a note. With "none" all rows are one track. The option also names
    /// the property that identifies the track of a GeoJSON point.
    #[arg(long, value_name = "COLUMN|none")]
    track_column: Option<String>,

    /// Tables: column in which a new value starts a segment
    #[arg(long, value_name = "COLUMN")]
    segment_column: Option<String>,

    /// CSV: character between two fields, or "tab" [default: detected]
    ///
    /// Comma, semicolon, tab and | are detected.
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
}

impl ReadingArgs {
    /// Returns the time zone, which is UTC by default.
    pub(super) fn zone(&self) -> Zone {
        self.timezone.unwrap_or(Zone::UTC)
    }

    /// Returns the treatment of points without a valid position that the options of the path specify.
    pub(super) fn invalid_points(&self) -> InvalidPoints {
        match self.on_invalid {
            InvalidPoint::Skip => InvalidPoints::Skip,
            InvalidPoint::Split => InvalidPoints::Split,
            InvalidPoint::Error => InvalidPoints::RejectCall,
        }
    }

    /// Returns the options for files with coordinates in `space`.
    pub(super) fn options(&self, space: Space) -> ReadOptions {
        ReadOptions {
            format: self.format.map(FileFormat::format),
            space,
            on_invalid: match self.on_invalid {
                InvalidPoint::Skip => OnInvalid::Skip,
                InvalidPoint::Split => OnInvalid::Split,
                InvalidPoint::Error => OnInvalid::Error,
            },
            is_strict: self.strict,
            only: self.only.map(|only| match only {
                Only::Tracks => TrackKind::Track,
                Only::Routes => TrackKind::Route,
            }),
            joins_segments: self.join_segments,
            sorts_by_time: self.sort_by_time,
            points: match self.points {
                SeparatePoints::Path => PointsMode::Path,
                SeparatePoints::Ignore => PointsMode::Ignore,
            },
            timezone: self.timezone.as_ref().map(Zone::to_string),
            shares_timezone: false,
            time_format: self.time_format.clone(),
            x_column: self.x_column.clone(),
            y_column: self.y_column.clone(),
            z_column: self.z_column.clone(),
            time_column: self.time_column.clone(),
            accuracy_column: self.accuracy_column.clone(),
            track_column: match &self.track_column {
                None => TrackColumn::Auto,
                Some(name) if name == "none" => TrackColumn::None,
                Some(name) => TrackColumn::Named(name.clone()),
            },
            segment_column: self.segment_column.clone(),
            delimiter: self.delimiter,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        b"\"" | b"\n" | b"\r" => Err("a quote or a line break cannot be the delimiter".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("the delimiter must be one ASCII character, or tab".to_owned()),
    }
}

fn time_format(text: &str) -> Result<String, String> {
    let options = ReadOptions { time_format: Some(text.to_owned()), ..ReadOptions::default() };
    options.check().map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        args: ReadingArgs,
    }

    fn options(words: &[&str]) -> ReadOptions {
        Wrapper::parse_from([&["x"], words].concat()).args.options(Space::Geographic)
    }

    #[test]
    fn every_option_has_an_argument() {
        assert_eq!(options(&[]), ReadOptions::default());
        let name = |name: &str| Some(name.to_owned());
        let expected = ReadOptions {
            format: Some(Format::Csv),
            space: Space::Geographic,
            on_invalid: OnInvalid::Split,
            is_strict: true,
            only: Some(TrackKind::Route),
            joins_segments: true,
            sorts_by_time: true,
            points: PointsMode::Ignore,
            timezone: name("Europe/Berlin"),
            shares_timezone: false,
            time_format: name("%d/%m/%Y %H:%M"),
            x_column: name("3"),
            y_column: name("4"),
            z_column: name("h"),
            time_column: name("t"),
            accuracy_column: name("r"),
            track_column: TrackColumn::Named("bus".to_owned()),
            segment_column: name("run"),
            delimiter: Some(b'\t'),
        };
        let words = "--format csv --on-invalid split --strict --only routes --join-segments --sort-by-time \
                     --points ignore --timezone Europe/Berlin --x-column 3 --y-column 4 --z-column h \
                     --time-column t --accuracy-column r --track-column bus --segment-column run \
                     --delimiter tab";
        let words: Vec<_> = words.split_whitespace().collect();
        let found = options(&[&words[..], &["--time-format", "%d/%m/%Y %H:%M"]].concat());
        assert_eq!(found, expected);
        assert_eq!(options(&["--track-column", "none"]).track_column, TrackColumn::None);
        assert_eq!(options(&["--on-invalid", "error"]).on_invalid, OnInvalid::Error);
        assert_eq!(options(&["--only", "tracks"]).only, Some(TrackKind::Track));
    }

    #[test]
    fn a_delimiter_is_one_ascii_character() {
        assert_eq!(delimiter("tab"), Ok(b'\t'));
        assert_eq!(delimiter(";"), Ok(b';'));
        for bad in ["", "ab", "é", "\"", "\n"] {
            assert!(delimiter(bad).is_err(), "{bad}");
        }
    }
}
