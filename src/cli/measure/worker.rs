//! Measures the tracks of one input, and sends the results through a bounded channel. `local.rs` runs one worker per
//! thread.

use std::cell::RefCell;
use std::sync::mpsc::SyncSender;

use super::file_result::{FileResult, MeasuredTrack};
use super::plot_lines::PlotLines;
use super::track_lines::{LineCollector as _, WithLines};
use crate::cli::input::{self, FileEnd, FileSink, Input, Reading};
use crate::formats::{Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, FixBlock, Options, PathAccumulator, RejectedFix};

/// Measures the files of an input, and sends the results until the receiver is dropped. With `has_lines`, the line of each
/// track follows its result.
pub(super) fn measure(
    input: &Input,
    reading: &Reading<'_>,
    options: Options,
    has_lines: bool,
    results: SyncSender<FileResult>,
) {
    let send = |result| results.send(result).map_err(|_| SinkError::Stop);
    let mut files = Files::new(options, send);
    // It stops only if the receiver was dropped, which needs no report.
    let _ = match has_lines {
        false => input::read(input, reading, &mut files),
        true => {
            let line = |line| send(FileResult::Line(line));
            let lines = RefCell::new(PlotLines::new(options.metric(), line));
            let files = files.with_rejected(Box::new(|track, fixes| {
                lines.borrow_mut().open().mark_rejected(track, fixes);
            }));
            input::read(input, reading, &mut WithLines { files, lines: &lines })
        }
    };
}

/// Measures the tracks of one file after another, and passes the results to a function.
pub(super) struct Files<'a, F> {
    options: Options,
    results: F,
    /// Fixes of the current track that are not folded into its path yet.
    block: FixBlock,
    /// The tracks since the last time that no track was open; `None` if ended.
    paths: Vec<Option<PathAccumulator>>,
    /// The number of tracks before `paths`.
    before: usize,
    open_count: usize,
    current: usize,
    /// The notes on the track that ends next.
    notes: Vec<Note>,
    /// Receives the number of a track in its file, from 0, and fixes of it that were rejected.
    rejected: Option<RejectedSink<'a>>,
}

/// Receives rejected fixes.
pub(super) type RejectedSink<'a> = Box<dyn FnMut(usize, &[RejectedFix]) + 'a>;

impl<'a, F: FnMut(FileResult) -> Result<(), SinkError>> Files<'a, F> {
    pub(super) fn new(options: Options, results: F) -> Self {
        Self {
            options,
            results,
            block: FixBlock::new(options.metric()),
            paths: Vec::new(),
            before: 0,
            open_count: 0,
            current: 0,
            notes: Vec::new(),
            rejected: None,
        }
    }

    /// Also passes the rejected fixes with a position to a function, soon after they are decided.
    pub(super) fn with_rejected(mut self, rejected: RejectedSink<'a>) -> Self {
        self.rejected = Some(rejected);
        self
    }

    fn send(&mut self, result: FileResult) -> Result<(), SinkError> {
        (self.results)(result)
    }

    /// Folds the fixes of the block into the path of the current track.
    fn fold(&mut self) -> Result<(), SinkError> {
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.fold(&mut self.block)?;
            if let Some(rejected) = &mut self.rejected {
                rejected(self.before + self.current, &path.take_rejected());
            }
        }
        Ok(())
    }
}

impl<F: FnMut(FileResult) -> Result<(), SinkError>> TrackSink for Files<'_, F> {
    fn start_track(&mut self, _: TrackKind) -> Result<(), SinkError> {
        self.fold()?;
        self.current = self.paths.len();
        let path = PathAccumulator::new(self.options);
        self.paths.push(Some(match self.rejected {
            Some(_) => path.listing_rejected(),
            None => path,
        }));
        self.open_count += 1;
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.fold()?;
        self.current = index - self.before;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.fold()?;
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.start_segment();
        }
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        if self.block.is_full() {
            self.fold()?;
        }
        Ok(self.block.push(fix)?)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.fix(Fix::without_position())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        match note.track {
            Some(_) => {
                self.notes.push(note.clone());
                Ok(())
            }
            None => self.send(FileResult::Note(Box::new(note.clone()))),
        }
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        self.fold()?;
        let Some(path) = self.paths.get_mut(self.current).and_then(Option::take) else {
            return Ok(());
        };
        if let Some(rejected) = &mut self.rejected {
            rejected(self.before + self.current, &path.rejected_at_end());
        }
        let track = MeasuredTrack {
            number: (self.before + self.current) as u64 + 1,
            info: Box::new(info.clone()),
            summary: path.summary(),
            notes: std::mem::take(&mut self.notes),
        };
        self.send(FileResult::Track(Box::new(track)))?;
        self.open_count -= 1;
        if self.open_count == 0 {
            self.before += self.paths.len();
            self.paths.clear();
        }
        Ok(())
    }
}

impl<F: FnMut(FileResult) -> Result<(), SinkError>> FileSink for Files<'_, F> {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        self.block.clear();
        self.paths.clear();
        self.notes.clear();
        (self.before, self.open_count, self.current) = (0, 0, 0);
        self.send(FileResult::Start(name.to_owned()))
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.send(FileResult::End(end))
    }
}
