//! The lines of the tracks of a file that a client sends, for drawing, up to limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use super::POINTS_MAX;
use crate::cli::measure::track_lines::{LineCollector, OpenLines};
use crate::formats::SinkError;
use crate::measure::{Fix, Metric};

/// Maximum number of lines.
pub(super) const LINES_MAX: usize = 256;

/// The lines of the tracks of all files, up to limits.
pub(super) struct Lines {
    open: OpenLines,
    is_cancelled: Arc<AtomicBool>,
    pub(super) finished: Vec<Value>,
    pub(super) left_out: u64,
    pub(super) points: u64,
}

impl Lines {
    pub(super) fn new(metric: Metric, is_cancelled: Arc<AtomicBool>) -> Self {
        let (open, finished) = (OpenLines::new(metric), Vec::new());
        Self { open, is_cancelled, finished, left_out: 0, points: 0 }
    }
}

impl LineCollector for Lines {
    fn open(&mut self) -> &mut OpenLines {
        &mut self.open
    }

    fn start(&mut self) {
        let is_drawn = self.finished.len() + self.open.count() < LINES_MAX;
        let has_line = self.open.start(is_drawn);
        self.left_out += u64::from(!has_line);
    }

    /// Stops the reader after too many points, and after the client has left.
    fn add(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.points += 1;
        if self.points > POINTS_MAX
            || (self.points.is_multiple_of(1024) && self.is_cancelled.load(Relaxed))
        {
            return Err(SinkError::Stop);
        }
        let has_space = self.open.add(fix);
        self.left_out += u64::from(!has_space);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        let (index, line) = self.open.end();
        if let Some(line) = line {
            let mut line = line.finish(index);
            line["file"] = self.open.file().into();
            self.finished.push(line);
        }
        Ok(())
    }
}
