//! The receiver of the content of a file.

use super::error::SinkError;
use super::note::Note;
use crate::measure::Fix;

/// Receives the content of a file.
///
/// For each track the reader calls `start_track`, then `start_segment` before the first fix and at each break,
/// `fix` for each fix, and `end_track`. Most formats end a track before they start the next. The rows of a
/// table may alternate between tracks: then `switch_track` selects the track of the next calls.
///
/// If a file cannot be read to its end, the tracks that have not ended are ended with
/// [`TrackInfo::is_incomplete`].
///
/// Every method can return an error. [`read`](super::read) then stops and returns the error with its position.
pub trait TrackSink {
    /// Starts a track and makes it the current one. Tracks are counted from 0 in the order of these calls.
    fn start_track(&mut self, _kind: TrackKind) -> Result<(), SinkError> {
        Ok(())
    }

    /// Makes the track with this number the current one. It has not ended.
    fn switch_track(&mut self, _index: usize) -> Result<(), SinkError> {
        Ok(())
    }

    /// Starts a segment of the current track. No leg joins the fix before it to the fix after it.
    fn start_segment(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Adds a fix to the current track. Its `starts_segment` is always false.
    fn fix(&mut self, fix: Fix) -> Result<(), SinkError>;

    /// Counts a point of the current track that has no valid position. A leg may join the fixes before and
    /// after it.
    fn invalid_point(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Reports something that was ignored, guessed, skipped or assumed. The notes of a track come before its
    /// end, and those of a file at any time.
    fn note(&mut self, _note: &Note) -> Result<(), SinkError> {
        Ok(())
    }

    /// Ends the current track.
    fn end_track(&mut self, _track: &TrackInfo) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The kind of a path in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackKind {
    /// A recorded path.
    #[default]
    Track,
    /// A planned path.
    Route,
}

impl TrackKind {
    /// Returns the name of the kind in reports.
    pub fn id(self) -> &'static str {
        match self {
            TrackKind::Track => "track",
            TrackKind::Route => "route",
        }
    }
}

/// The properties of a track that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrackInfo {
    /// The name of the track in the file.
    pub name: Option<String>,
    /// Whether the track was recorded or planned.
    pub kind: TrackKind,
    /// The length that the device computed and stored in the file, in metres.
    pub device_length_m: Option<f64>,
    /// Whether the file ends or is damaged before the end of the track.
    pub is_incomplete: bool,
    /// The number of points, including points without a valid position.
    pub point_count: u64,
    /// The number of points without a valid position.
    pub invalid_count: u64,
    /// The number of fixes with an elevation.
    pub z_count: u64,
    /// The number of fixes with a time.
    pub time_count: u64,
    /// The number of fixes with an accuracy.
    pub accuracy_count: u64,
    /// The earliest time, in nanoseconds since 1970-01-01T00:00:00Z.
    pub start_unix_ns: Option<i64>,
    /// The latest time, in nanoseconds since 1970-01-01T00:00:00Z.
    pub end_unix_ns: Option<i64>,
}
