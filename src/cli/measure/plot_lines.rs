//! Passes the calls of a reader to the measurement, and collects the line of each track for a picture, up to limits.

use std::cell::RefCell;

use super::plot::TRACKS_MAX;
use super::profile::TrackLine;
use crate::cli::input::{FileEnd, FileSink};
use crate::formats::{Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, Metric, RejectedFix};

/// Maximum number of points that are kept for the lines of an input.
const POINTS_MAX: usize = 256 * 1024;

/// The lines of the tracks of an input that are open.
pub(super) struct OpenLines {
    metric: Metric,
    /// The tracks since the last time that no track was open; `None` if ended or without a line.
    open: Vec<Option<TrackLine>>,
    /// The number of tracks of the file before `open`.
    before: usize,
    open_count: usize,
    current: usize,
    /// The points that the open lines hold.
    kept: usize,
    line_count: usize,
}

/// A measurement with lines.
pub(super) struct WithLines<'a, S, F> {
    pub(super) files: S,
    /// Shared with the function that `files` calls for rejected fixes.
    pub(super) lines: &'a RefCell<OpenLines>,
    /// Receives the line of each track after its result.
    pub(super) line: F,
}

impl OpenLines {
    pub(super) fn new(metric: Metric) -> Self {
        let (open, before, open_count, current, kept, line_count) = Default::default();
        Self { metric, open, before, open_count, current, kept, line_count }
    }

    /// Marks rejected fixes in the line of a track of the file, if there is one.
    pub(super) fn mark_rejected(&mut self, track: usize, fixes: &[RejectedFix]) {
        let index = track.checked_sub(self.before);
        if let Some(Some(line)) = index.and_then(|index| self.open.get_mut(index)) {
            fixes.iter().for_each(|&fix| line.mark_rejected(fix));
        }
    }

    fn start(&mut self) {
        self.current = self.open.len();
        let has_space = self.line_count < TRACKS_MAX && self.kept < POINTS_MAX;
        self.line_count += usize::from(has_space);
        self.open.push(has_space.then(|| TrackLine::new(self.metric)));
        self.open_count += 1;
    }

    fn add(&mut self, fix: Fix) {
        let Some(line) = self.current() else { return };
        let before = line.len();
        line.add(fix);
        let after = line.len();
        self.kept = (self.kept + after).saturating_sub(before);
        if self.kept > POINTS_MAX {
            self.take_current();
        }
    }

    fn end(&mut self) -> Option<TrackLine> {
        let line = self.take_current();
        self.open_count = self.open_count.saturating_sub(1);
        if self.open_count == 0 {
            self.before += self.open.len();
            self.open.clear();
        }
        line
    }

    fn current(&mut self) -> Option<&mut TrackLine> {
        self.open.get_mut(self.current)?.as_mut()
    }

    fn take_current(&mut self) -> Option<TrackLine> {
        let line = self.open.get_mut(self.current)?.take()?;
        self.kept = self.kept.saturating_sub(line.len());
        Some(line)
    }
}

impl<S: FileSink, F: FnMut(String) -> Result<(), SinkError>> TrackSink for WithLines<'_, S, F> {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.files.start_track(kind)?;
        self.lines.borrow_mut().start();
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.files.switch_track(index)?;
        let mut lines = self.lines.borrow_mut();
        lines.current = index.saturating_sub(lines.before);
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        if let Some(line) = self.lines.borrow_mut().current() {
            line.start_segment();
        }
        self.files.start_segment()
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.lines.borrow_mut().add(fix);
        self.files.fix(fix)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.lines.borrow_mut().add(Fix::without_position());
        self.files.invalid_point()
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.files.note(note)
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        // The end decides about the last fixes.
        self.files.end_track(info)?;
        let line = self.lines.borrow_mut().end();
        match line {
            Some(line) => (self.line)(line.finish(0).to_string()),
            None => Ok(()),
        }
    }
}

impl<S: FileSink, F: FnMut(String) -> Result<(), SinkError>> FileSink for WithLines<'_, S, F> {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        {
            let mut lines = self.lines.borrow_mut();
            lines.open.clear();
            (lines.before, lines.open_count, lines.current, lines.kept) = (0, 0, 0, 0);
        }
        self.files.start_file(name)
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.files.end_file(end)
    }
}
