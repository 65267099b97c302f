//! Measures in this process: reads the files and folds each track into a path of its own. A track is reported
//! when it ends.

use std::io::{self, Read, Write};

use super::MeasureArgs;
use super::measure_run::{MeasureRun, TrackError};
use crate::cli::Outcome;
use crate::cli::input;
use crate::cli::progress::Progress;
use crate::cli::report::Track;
use crate::formats::{self, Note, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::{Fix, FixBlock, Options, PathAccumulator};

/// Measures the files of the arguments.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    stdin: impl Read + Send,
    out: impl Write,
    messages: &mut dyn Write,
    progress: &Progress,
) -> io::Result<Outcome> {
    let read_options = args.read_options();
    let names = args.names();
    let mut run = MeasureRun::new(args, &names, out, messages, progress);
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => {
            run.error(&error.to_string());
            return Ok(Outcome::Failed);
        }
    };
    let mut stdin = Some(stdin);

    for (file, name) in args.files.iter().zip(&names) {
        let mut tracks = Tracks::new(name, options, &mut run);
        let outcome = match input::open(file, &mut stdin) {
            Ok(input) => {
                let input = input::buffered(progress.count(input));
                formats::read(input, &read_options, &mut tracks)
            }
            Err(error) => Err(error),
        };
        if let Some(error) = tracks.report_failure {
            return run.abort(error);
        }
        let remarks = std::mem::take(&mut tracks.remarks);
        for remark in remarks {
            run.note(name, &remark);
        }
        if let Err(error) = outcome {
            run.error(&error.in_file(name));
            run.file_failed();
        }
    }
    run.finish()
}

/// Measures and reports the tracks of one file.
struct Tracks<'a, 'b, W> {
    file: &'a str,
    options: Options,
    run: &'a mut MeasureRun<'b, W>,
    /// Fixes of the current track that are not folded into its path yet.
    block: FixBlock,
    /// The tracks since the last time that no track was open; `None` if ended.
    paths: Vec<Option<PathAccumulator>>,
    /// The number of tracks before `paths`.
    before: usize,
    open_count: usize,
    current: usize,
    /// The remarks of the reader, a few at most.
    remarks: Vec<String>,
    /// The error of the report, if it has stopped the reading.
    report_failure: Option<io::Error>,
}

impl<'a, 'b, W: Write> Tracks<'a, 'b, W> {
    fn new(file: &'a str, options: Options, run: &'a mut MeasureRun<'b, W>) -> Self {
        Self {
            file,
            options,
            run,
            block: FixBlock::new(options.metric()),
            paths: Vec::new(),
            before: 0,
            open_count: 0,
            current: 0,
            remarks: Vec::new(),
            report_failure: None,
        }
    }

    /// Folds the fixes of the block into the path of the current track.
    fn fold(&mut self) -> Result<(), SinkError> {
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.fold(&mut self.block)?;
        }
        Ok(())
    }
}

impl<W: Write> TrackSink for Tracks<'_, '_, W> {
    fn start_track(&mut self, _: TrackKind) -> Result<(), SinkError> {
        self.fold()?;
        self.current = self.paths.len();
        self.paths.push(Some(PathAccumulator::new(self.options)));
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

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.remarks.push(note.to_string());
        Ok(())
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        self.fold()?;
        let Some(path) = self.paths.get_mut(self.current).and_then(Option::take) else {
            return Ok(());
        };
        let number = (self.before + self.current) as u64 + 1;
        let track = Track { file: self.file, number, info, summary: path.summary(), notes: &[] };
        match self.run.track(&track) {
            Ok(()) => {}
            Err(TrackError::Total(error)) => return Err(error.into()),
            Err(TrackError::Report(error)) => {
                self.report_failure = Some(error);
                return Err(SinkError::Stop);
            }
        }
        self.open_count -= 1;
        if self.open_count == 0 {
            self.before += self.paths.len();
            self.paths.clear();
        }
        Ok(())
    }
}
