//! The lines of the tracks of a file that a client sends, for drawing, up to limits.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::POINTS_MAX;
use crate::cli::measure::track_lines::{LineCollector, OpenLines};
use crate::formats::SinkError;
use crate::http::MeasureControl;
use crate::measure::{Fix, Metric};

/// Maximum number of lines.
pub(super) const LINES_MAX: usize = 256;

/// The lines of the tracks of all files, up to limits.
pub(super) struct Lines {
    open: OpenLines,
    control: Arc<MeasureControl>,
    /// The number of bytes of the rows so far.
    rows_len: Rc<Cell<usize>>,
    /// The lines that have ended, as JSON objects with commas between them.
    pub(super) finished: String,
    finished_count: usize,
    pub(super) left_out: u64,
    pub(super) points: u64,
}

impl Lines {
    pub(super) fn new(
        metric: Metric,
        control: Arc<MeasureControl>,
        rows_len: Rc<Cell<usize>>,
    ) -> Self {
        Self {
            open: OpenLines::new(metric),
            control,
            rows_len,
            finished: String::new(),
            finished_count: 0,
            left_out: 0,
            points: 0,
        }
    }

    /// Reports the memory of the measurement. Buffers can have twice the size of their content, and the answer is a copy of
    /// the texts.
    fn report_memory(&self) {
        let text = self.finished.capacity() + self.finished.len() + 3 * self.rows_len.get();
        self.control.set_memory_bytes((text + 2 * self.open.heap_bytes()) as u64);
    }
}

impl LineCollector for Lines {
    fn open(&mut self) -> &mut OpenLines {
        &mut self.open
    }

    fn start(&mut self) {
        let is_drawn = self.finished_count + self.open.count() < LINES_MAX;
        let has_line = self.open.start(is_drawn);
        self.left_out += u64::from(!has_line);
    }

    /// Stops the reader after too many points, and after the client has left.
    fn add(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.points += 1;
        let is_checked = self.points.is_multiple_of(1024);
        if is_checked {
            self.report_memory();
        }
        if self.points > POINTS_MAX || (is_checked && self.control.is_cancelled()) {
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
            if self.finished_count > 0 {
                self.finished.push(',');
            }
            self.finished.push_str(&line.to_string());
            self.finished_count += 1;
        }
        self.report_memory();
        Ok(())
    }
}
