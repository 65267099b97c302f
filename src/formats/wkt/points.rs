//! The separate points of a text. They are one track if the text has no lines.
//!
//! Whether there are lines is known only at the end. A limited number of points is stored until then. If there
//! are more and no line was found, they are a track, and later lines are tracks of their own.

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::options::{PointsMode, ReadOptions};
use super::super::sink::TrackKind;
use super::super::track_writer::{RawFix, TrackWriter};

/// The largest number of points that are stored: about 8 MB.
pub(super) const STORED_MAX: usize = 1 << 16;

const JOINED: &str = "the file has no lines, and its points are read as a path; use --points ignore to ignore \
                      them";
const NEXT_TO_LINES: &str = "a separate point is ignored, because the file has lines";

enum Entry {
    Fix(RawFix),
    Invalid(Position, String),
}

impl Entry {
    fn position(&self) -> Position {
        match self {
            Entry::Fix(raw) => raw.position,
            Entry::Invalid(position, _) => *position,
        }
    }
}

pub(super) struct SeparatePoints {
    mode: PointsMode,
    stored: Vec<Entry>,
    /// The track of the points, if it was started.
    track: Option<usize>,
    has_lines: bool,
    has_ignored: bool,
}

impl SeparatePoints {
    pub(super) fn new(options: &ReadOptions) -> Self {
        let (stored, track) = (Vec::new(), None);
        Self { mode: options.points, stored, track, has_lines: false, has_ignored: false }
    }

    /// Returns whether the text has points that the options exclude.
    pub(super) fn are_ignored(&self) -> bool {
        self.has_ignored
    }

    pub(super) fn add(
        &mut self,
        raw: RawFix,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.add_entry(Entry::Fix(raw), out)
    }

    pub(super) fn add_invalid(
        &mut self,
        position: Position,
        message: String,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.add_entry(Entry::Invalid(position, message), out)
    }

    fn add_entry(&mut self, entry: Entry, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.mode == PointsMode::Ignore {
            self.has_ignored = true;
            return Ok(());
        }
        if let Some(track) = self.track {
            out.switch_track(track);
            return write(&entry, out);
        }
        if self.has_lines {
            return out.file_note(NoteKind::IgnoredContent, Some(entry.position()), NEXT_TO_LINES);
        }
        self.stored.push(entry);
        if self.stored.len() > STORED_MAX { self.start_track(out) } else { Ok(()) }
    }

    /// Reports that the text has a line. The stored points are ignored.
    pub(super) fn found_line(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        self.has_lines = true;
        for entry in std::mem::take(&mut self.stored) {
            out.file_note(NoteKind::IgnoredContent, Some(entry.position()), NEXT_TO_LINES)?;
        }
        Ok(())
    }

    fn start_track(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        let stored = std::mem::take(&mut self.stored);
        let Some(position) = stored.first().map(Entry::position) else { return Ok(()) };
        self.track = Some(out.track_count());
        out.start_track(TrackKind::Track, position)?;
        out.track_note(NoteKind::JoinedPoints, position, JOINED)?;
        stored.iter().try_for_each(|entry| write(entry, out))
    }

    /// Ends the track of the points. If the text is cut, the writer ends it.
    pub(super) fn finish(
        &mut self,
        is_cut: bool,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.start_track_if_stored(out)?;
        match self.track.filter(|_| !is_cut) {
            Some(track) => {
                out.switch_track(track);
                out.end_track(Position::line(1))
            }
            None => Ok(()),
        }
    }

    fn start_track_if_stored(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.stored.is_empty() { Ok(()) } else { self.start_track(out) }
    }
}

fn write(entry: &Entry, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
    match entry {
        Entry::Fix(raw) => out.point(raw),
        Entry::Invalid(position, message) => out.invalid_point(*position, message.clone()),
    }
}
