//! The lines of the tracks of a file that a client sends, for drawing, up to limits.

use std::cell::{RefCell, RefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use super::POINTS_MAX;
use crate::cli::input::{FileEnd, FileSink};
use crate::cli::measure::profile::TrackLine;
use crate::formats::{Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, Metric, RejectedFix};

/// Maximum number of points that are kept for lines.
const LINE_POINTS_MAX: usize = 256 * 1024;
/// Maximum number of lines.
pub(super) const LINES_MAX: usize = 256;

/// The lines of the tracks of all files, up to limits.
pub(super) struct Lines {
    metric: Metric,
    is_cancelled: Arc<AtomicBool>,
    /// The tracks of the current file; `None` if ended or left out.
    open: Vec<Option<TrackLine>>,
    current: usize,
    pub(super) finished: Vec<Value>,
    pub(super) left_out: u64,
    pub(super) points: u64,
    /// The points that the lines hold.
    kept: usize,
}

impl Lines {
    pub(super) fn new(metric: Metric, is_cancelled: Arc<AtomicBool>) -> Self {
        let (open, finished) = (Vec::new(), Vec::new());
        Self { metric, is_cancelled, open, current: 0, finished, left_out: 0, points: 0, kept: 0 }
    }

    pub(super) fn start(&mut self) {
        self.current = self.open.len();
        let open = self.open.iter().flatten().count();
        let has_space = self.finished.len() + open < LINES_MAX && self.kept < LINE_POINTS_MAX;
        self.left_out += u64::from(!has_space);
        self.open.push(has_space.then(|| TrackLine::new(self.metric)));
    }

    fn line(&mut self) -> Option<&mut TrackLine> {
        self.open.get_mut(self.current)?.as_mut()
    }

    /// Marks rejected fixes in the line of a track, if there is one.
    pub(super) fn mark_rejected(&mut self, track: usize, fixes: &[RejectedFix]) {
        if let Some(Some(line)) = self.open.get_mut(track) {
            fixes.iter().for_each(|&fix| line.mark_rejected(fix));
        }
    }

    pub(super) fn add(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.points += 1;
        if self.points > POINTS_MAX
            || (self.points.is_multiple_of(1024) && self.is_cancelled.load(Relaxed))
        {
            return Err(SinkError::Stop);
        }
        let before = self.line().map_or(0, |line| line.len());
        let Some(line) = self.line() else { return Ok(()) };
        line.add(fix);
        let after = line.len();
        self.kept = (self.kept + after).saturating_sub(before);
        if self.kept > LINE_POINTS_MAX
            && let Some(line) = self.open.get_mut(self.current).and_then(Option::take)
        {
            self.kept -= line.len();
            self.left_out += 1;
        }
        Ok(())
    }

    fn end(&mut self) {
        let index = self.current as u64;
        if let Some(line) = self.open.get_mut(self.current).and_then(Option::take) {
            self.kept -= line.len();
            self.finished.push(line.finish(index));
        }
    }
}

/// Passes the calls of a reader to the measurement and to the lines.
pub(super) struct Tee<'a, S> {
    pub(super) files: S,
    /// Shared with the function that `files` calls for rejected fixes.
    pub(super) lines: &'a RefCell<Lines>,
}

impl<S> Tee<'_, S> {
    fn lines(&self) -> RefMut<'_, Lines> {
        self.lines.borrow_mut()
    }
}

impl<S: FileSink> TrackSink for Tee<'_, S> {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.lines().start();
        self.files.start_track(kind)
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.lines().current = index;
        self.files.switch_track(index)
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        if let Some(line) = self.lines().line() {
            line.start_segment();
        }
        self.files.start_segment()
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.lines().add(fix)?;
        self.files.fix(fix)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        if let Some(line) = self.lines().line() {
            line.add(Fix::without_position());
        }
        self.files.invalid_point()
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.files.note(note)
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        // The end decides about the last fixes.
        self.files.end_track(info)?;
        self.lines().end();
        Ok(())
    }
}

impl<S: FileSink> FileSink for Tee<'_, S> {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        self.lines().open.clear();
        self.files.start_file(name)
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.files.end_file(end)
    }
}
