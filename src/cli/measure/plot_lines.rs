//! The lines of tracks for a picture: each is sent after the result of its track.

use super::plot::TRACKS_MAX;
use super::track_lines::{LineCollector, OpenLines};
use crate::formats::SinkError;
use crate::measure::{Fix, Metric};

/// Passes the line of each track to a function, up to a number of lines.
pub(super) struct PlotLines<F> {
    open: OpenLines,
    line_count: usize,
    line: F,
}

impl<F: FnMut(String) -> Result<(), SinkError>> PlotLines<F> {
    pub(super) fn new(metric: Metric, line: F) -> Self {
        Self { open: OpenLines::new(metric), line_count: 0, line }
    }
}

impl<F: FnMut(String) -> Result<(), SinkError>> LineCollector for PlotLines<F> {
    fn open(&mut self) -> &mut OpenLines {
        &mut self.open
    }

    fn start(&mut self) {
        let has_line = self.open.start(self.line_count < TRACKS_MAX);
        self.line_count += usize::from(has_line);
    }

    fn add(&mut self, fix: Fix) -> Result<(), SinkError> {
        // A line with too many points is left out.
        self.open.add(fix);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        match self.open.end() {
            (_, Some(line)) => (self.line)(line.finish(0).to_string()),
            (_, None) => Ok(()),
        }
    }
}
