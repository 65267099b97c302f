//! The options of the readers.

use super::format::Format;
use super::sink::TrackKind;
use crate::measure::Space;

/// Options of [`read`](super::read). By default the reader detects everything from the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` detects it from the content.
    pub format: Option<Format>,
    /// The space of the fixes. In a table it also decides which column names are tried first.
    pub space: Space,
    /// The treatment of points without a valid position.
    pub on_invalid: OnInvalid,
    /// Whether each [`Note`](super::Note) is an error.
    pub is_strict: bool,
    /// The kind of tracks to read; `None` reads all.
    pub only: Option<TrackKind>,
    /// Whether the segments of a track are joined to one.
    pub joins_segments: bool,
    /// Whether the fixes of each segment, and then the segments, are sorted by time. They are stored in memory, up
    /// to a limit.
    pub sorts_by_time: bool,
    /// The treatment of points that are separate in a file, such as GeoJSON Point features.
    pub points: PointsMode,
    /// CSV: the time zone of times without one: an IANA name such as `Europe/Berlin`; `None` is UTC.
    pub timezone: Option<String>,
    /// Whether the caller also uses the time zone for something else. A file in which it has no effect then needs no
    /// note.
    pub shares_timezone: bool,
    /// CSV: the format of times, with the conversions of strptime, such as `%d/%m/%Y %H:%M:%S`.
    pub time_format: Option<String>,
    /// Tables (CSV and Parquet): the name or number of the column with the longitude or x; `None` finds it by a
    /// common name.
    pub x_column: Option<String>,
    /// Tables: the name or number of the column with the latitude or y; `None` finds it by a common name.
    pub y_column: Option<String>,
    /// Tables: the name or number of the column with the elevation in metres, or z; `None` finds it by a common
    /// name.
    pub z_column: Option<String>,
    /// Tables: the name or number of the column with the time; `None` finds it by a common name.
    pub time_column: Option<String>,
    /// Tables: the name or number of the column with the accuracy radius in metres; `None` finds it by a common
    /// name.
    pub accuracy_column: Option<String>,
    /// Tables: the column that identifies the tracks. GeoJSON: the property of points.
    pub track_column: TrackColumn,
    /// Tables: the name or number of a column in which a new value, within a track, starts a segment.
    pub segment_column: Option<String>,
    /// CSV: the delimiter; `None` chooses between comma, semicolon, tab and `|`.
    pub delimiter: Option<u8>,
}

/// The treatment of points without a valid position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnInvalid {
    /// The point is skipped and counted.
    #[default]
    Skip,
    /// The point is skipped and counted, and a segment starts after it.
    Split,
    /// The file is not read further.
    Error,
}

/// The treatment of points that are separate in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PointsMode {
    /// If the file has no lines, its points are one path.
    #[default]
    Path,
    /// The points are ignored.
    Ignore,
}

/// The column of a table that identifies the tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrackColumn {
    /// A column with a common name and more than one value.
    #[default]
    Auto,
    /// No column: the table is one track.
    None,
    /// The column with this name or number.
    Named(String),
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            space: Space::Geographic,
            on_invalid: OnInvalid::Skip,
            is_strict: false,
            only: None,
            joins_segments: false,
            sorts_by_time: false,
            points: PointsMode::Path,
            timezone: None,
            shares_timezone: false,
            time_format: None,
            x_column: None,
            y_column: None,
            z_column: None,
            time_column: None,
            accuracy_column: None,
            track_column: TrackColumn::Auto,
            segment_column: None,
            delimiter: None,
        }
    }
}
