//! Notes: what a reader ignored, guessed, skipped or assumed.

use std::fmt;

use super::error::Position;

/// Something that a reader ignored, guessed, skipped or assumed, and its first position.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// The kind.
    pub kind: NoteKind,
    /// The description, for people.
    pub message: String,
    /// The first position in the file, if there is one.
    pub position: Option<Position>,
    /// The number of values, points or lines that the note is about.
    pub count: u64,
    /// The number of the track, counted from 0; `None` for a note about the file.
    pub track: Option<usize>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kind of a [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoteKind {
    /// Points without a valid position were skipped, or ended a segment.
    InvalidPosition,
    /// Points that mark a pause ended a segment.
    PauseMarker,
    /// Times that are not valid are missing values.
    InvalidTime,
    /// Elevations that are not valid are missing values.
    InvalidElevation,
    /// Accuracies that are not valid are missing values.
    InvalidAccuracy,
    /// Times decrease.
    BackwardTime,
    /// Times without a zone were read as those of an assumed zone.
    AssumedZone,
    /// Most segments have one point.
    SinglePointSegments,
    /// Points outside a segment are a segment.
    PointOutsideSegment,
    /// Points that are separate in the file are one path.
    JoinedPoints,
    /// Rows were divided into tracks by a column.
    GroupedRows,
    /// Rows may belong to different tracks, but were read as one track.
    UngroupedRows,
    /// A column was ignored.
    IgnoredColumn,
    /// Numbers were read in an assumed notation or unit.
    AssumedNotation,
    /// Lines were skipped.
    SkippedLines,
    /// Other content that may belong to a path was ignored.
    IgnoredContent,
    /// The coordinates were read in an assumed reference system.
    AssumedReferenceSystem,
    /// A checksum is wrong.
    Checksum,
    /// An option had no effect.
    UnusedOption,
    /// A rule rejected most points.
    RejectedPoints,
}

impl NoteKind {
    /// Returns the identifier of the kind in JSON.
    pub fn id(self) -> &'static str {
        match self {
            NoteKind::InvalidPosition => "invalid_position",
            NoteKind::PauseMarker => "pause_marker",
            NoteKind::InvalidTime => "invalid_time",
            NoteKind::InvalidElevation => "invalid_elevation",
            NoteKind::InvalidAccuracy => "invalid_accuracy",
            NoteKind::BackwardTime => "backward_time",
            NoteKind::AssumedZone => "assumed_zone",
            NoteKind::SinglePointSegments => "single_point_segments",
            NoteKind::PointOutsideSegment => "point_outside_segment",
            NoteKind::JoinedPoints => "joined_points",
            NoteKind::GroupedRows => "grouped_rows",
            NoteKind::UngroupedRows => "ungrouped_rows",
            NoteKind::IgnoredColumn => "ignored_column",
            NoteKind::AssumedNotation => "assumed_notation",
            NoteKind::SkippedLines => "skipped_lines",
            NoteKind::IgnoredContent => "ignored_content",
            NoteKind::AssumedReferenceSystem => "assumed_reference_system",
            NoteKind::Checksum => "checksum",
            NoteKind::UnusedOption => "unused_option",
            NoteKind::RejectedPoints => "rejected_points",
        }
    }
}
