//! Passes the calls of a reader to the measurement, and collects the line of each track for a picture, up to limits.

use super::plot::{PlotTrack, TRACKS_MAX};
use super::profile::TrackLine;
use crate::cli::input::{FileEnd, FileSink};
use crate::formats::{Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, Metric};

/// Maximum number of points that are kept for the lines of an input.
const POINTS_MAX: usize = 256 * 1024;

/// A measurement with lines.
pub(super) struct WithLines<S, F> {
    files: S,
    metric: Metric,
    /// Receives the line of each track after its result.
    line: F,
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

impl<S, F> WithLines<S, F> {
    pub(super) fn new(files: S, metric: Metric, line: F) -> Self {
        let (open, before, open_count, current, kept, line_count) = Default::default();
        Self { files, metric, line, open, before, open_count, current, kept, line_count }
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

impl<S: FileSink, F: FnMut(PlotTrack) -> Result<(), SinkError>> TrackSink for WithLines<S, F> {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.current = self.open.len();
        let has_space = self.line_count < TRACKS_MAX && self.kept < POINTS_MAX;
        self.line_count += usize::from(has_space);
        self.open.push(has_space.then(|| TrackLine::new(self.metric)));
        self.open_count += 1;
        self.files.start_track(kind)
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.current = index.saturating_sub(self.before);
        self.files.switch_track(index)
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        if let Some(line) = self.current() {
            line.start_segment();
        }
        self.files.start_segment()
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        if let Some(line) = self.current() {
            let before = line.len();
            line.add(fix);
            let after = line.len();
            self.kept = (self.kept + after).saturating_sub(before);
            if self.kept > POINTS_MAX {
                self.take_current();
            }
        }
        self.files.fix(fix)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.files.invalid_point()
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.files.note(note)
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        self.files.end_track(info)?;
        if let Some(line) = self.take_current() {
            (self.line)(PlotTrack::from_line(&line.finish(0)))?;
        }
        self.open_count = self.open_count.saturating_sub(1);
        if self.open_count == 0 {
            self.before += self.open.len();
            self.open.clear();
        }
        Ok(())
    }
}

impl<S: FileSink, F: FnMut(PlotTrack) -> Result<(), SinkError>> FileSink for WithLines<S, F> {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        self.open.clear();
        (self.before, self.open_count, self.current, self.kept) = (0, 0, 0, 0);
        self.files.start_file(name)
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.files.end_file(end)
    }
}
