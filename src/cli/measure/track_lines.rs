//! Collects the lines of the tracks that are open while a file is read, up to limits.
//!
//! [`WithLines`] passes the calls of a reader to the measurement and to a [`LineCollector`], which decides what happens to a
//! line at its end.

use std::cell::RefCell;

use super::profile::TrackLine;
use crate::cli::input::{FileEnd, FileSink};
use crate::formats::{Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, Metric, RejectedFix};

/// Maximum number of points that the open lines keep.
const POINTS_MAX: usize = 256 * 1024;

/// The lines of the tracks of a file that are open.
pub(super) struct OpenLines {
    metric: Metric,
    file: String,
    /// The tracks since the last time that no track was open; `None` if ended or without a line.
    open: Vec<Option<TrackLine>>,
    /// The number of tracks of the file before `open`.
    before: usize,
    open_count: usize,
    /// The index of the current track in `open`.
    current: usize,
    /// The points that the open lines hold.
    kept: usize,
}

impl OpenLines {
    pub(super) fn new(metric: Metric) -> Self {
        let (file, open, before, open_count, current, kept) = Default::default();
        Self { metric, file, open, before, open_count, current, kept }
    }

    /// Returns the number of open lines.
    pub(super) fn count(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Returns the number of bytes of the points of the open lines.
    pub(super) fn heap_bytes(&self) -> usize {
        self.kept * TrackLine::POINT_BYTES
    }

    /// Starts a track. Returns whether it has a line: only if `is_drawn` and the limit permits.
    pub(super) fn start(&mut self, is_drawn: bool) -> bool {
        let has_line = is_drawn && self.kept < POINTS_MAX;
        self.current = self.open.len();
        self.open.push(has_line.then(|| TrackLine::new(self.metric)));
        self.open_count += 1;
        has_line
    }

    /// Adds a fix to the line of the current track. Returns false if the lines have too many points, so that this one is
    /// dropped.
    pub(super) fn add(&mut self, fix: Fix) -> bool {
        let Some(line) = self.current() else { return true };
        let before = line.len();
        line.add(fix);
        let after = line.len();
        self.kept = (self.kept + after).saturating_sub(before);
        let has_space = self.kept <= POINTS_MAX;
        if !has_space {
            self.take_current();
        }
        has_space
    }

    /// Ends the current track. Returns its index in the file, and its line if it has one.
    pub(super) fn end(&mut self) -> (u64, Option<TrackLine>) {
        let index = (self.before + self.current) as u64;
        let line = self.take_current();
        self.open_count = self.open_count.saturating_sub(1);
        if self.open_count == 0 {
            self.before += self.open.len();
            self.open.clear();
        }
        (index, line)
    }

    /// Marks rejected fixes in the line of a track of the file, if there is one.
    pub(super) fn mark_rejected(&mut self, track: usize, fixes: &[RejectedFix]) {
        let index = track.checked_sub(self.before);
        if let Some(Some(line)) = index.and_then(|index| self.open.get_mut(index)) {
            fixes.iter().for_each(|&fix| line.mark_rejected(fix));
        }
    }

    /// Returns the name of the current file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    fn start_file(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        self.open.clear();
        (self.before, self.open_count, self.current, self.kept) = (0, 0, 0, 0);
    }

    fn switch(&mut self, index: usize) {
        self.current = index.saturating_sub(self.before);
    }

    fn start_segment(&mut self) {
        if let Some(line) = self.current() {
            line.start_segment();
        }
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

/// Decides which tracks have lines, and receives the lines.
pub(super) trait LineCollector {
    /// Returns the open lines.
    fn open(&mut self) -> &mut OpenLines;

    /// Starts a track.
    fn start(&mut self);

    /// Adds a fix to the current track.
    ///
    /// # Errors
    /// To stop the reader.
    fn add(&mut self, fix: Fix) -> Result<(), SinkError>;

    /// Ends the current track, after its result.
    ///
    /// # Errors
    /// To stop the reader.
    fn end(&mut self) -> Result<(), SinkError>;
}

/// A measurement with lines.
pub(super) struct WithLines<'a, S, L> {
    pub(super) files: S,
    /// Shared with the function that `files` calls for rejected fixes.
    pub(super) lines: &'a RefCell<L>,
}

impl<S: FileSink, L: LineCollector> TrackSink for WithLines<'_, S, L> {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.files.start_track(kind)?;
        self.lines.borrow_mut().start();
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.files.switch_track(index)?;
        self.lines.borrow_mut().open().switch(index);
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.lines.borrow_mut().open().start_segment();
        self.files.start_segment()
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.lines.borrow_mut().add(fix)?;
        self.files.fix(fix)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        // The line counts it, and has no point for it.
        self.lines.borrow_mut().open().add(Fix::without_position());
        self.files.invalid_point()
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.files.note(note)
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        // The end decides about the last fixes.
        self.files.end_track(info)?;
        self.lines.borrow_mut().end()
    }
}

impl<S: FileSink, L: LineCollector> FileSink for WithLines<'_, S, L> {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        self.lines.borrow_mut().open().start_file(name);
        self.files.start_file(name)
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.files.end_file(end)
    }
}
