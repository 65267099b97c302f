//! The parts of the result of an input: what a worker passes to the report.

use crate::cli::input::FileEnd;
use crate::formats::{Note, TrackInfo};
use crate::measure::PathSummary;

/// A part of the result of an input. The parts of a file are between its start and its end.
pub(super) enum FileResult {
    Start(String),
    Track(Box<MeasuredTrack>),
    /// The line of the track before as JSON, for a picture or a report.
    Line(String),
    /// A note on the file.
    Note(Box<Note>),
    End(FileEnd),
}

/// A measured track of the current file.
#[derive(Debug)]
pub(super) struct MeasuredTrack {
    /// The number of the track in its file, from 1.
    pub number: u64,
    pub info: Box<TrackInfo>,
    pub summary: PathSummary,
    /// The notes of the reader.
    pub notes: Vec<Note>,
}
