//! Measuring here: opens the files and gives each track of [`formats`] a path of its own, whose row is
//! printed when it is whole. It knows no server.

use std::io::{self, Read, Write};

use super::MeasureArgs;
use super::account::{Account, AccountError};
use crate::cli::Outcome;
use crate::cli::input;
use crate::cli::progress::Progress;
use crate::cli::report::Track;
use crate::formats::{self, SinkError, TrackSink};
use crate::measure::{Fix, FixBlock, Options, PathAccumulator};

/// Measures the files of the arguments.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    stdin: impl Read + Send,
    out: impl Write,
    complaints: &mut dyn Write,
    progress: &Progress,
) -> io::Result<Outcome> {
    let read_options = args.read_options();
    let names = args.names();
    let mut account = Account::new(args, &names, out, complaints, progress);
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => {
            account.fail(&error.to_string());
            return Ok(Outcome::Failed);
        }
    };
    let mut stdin = Some(stdin);

    for (file, name) in args.files.iter().zip(&names) {
        let mut tracks = Tracks::new(name, options, &mut account);
        let outcome = match input::open(file, &mut stdin) {
            Ok(input) => {
                let input = input::buffered(progress.count(input));
                formats::read(input, &read_options, &mut tracks)
            }
            Err(error) => Err(error),
        };
        if let Some(error) = tracks.report_failure {
            return account.cut_short(error);
        }
        let remarks = std::mem::take(&mut tracks.remarks);
        for remark in remarks {
            account.remark(name, &remark);
        }
        if let Err(error) = outcome {
            account.fail(&error.in_file(name));
            account.file_failed();
        }
    }
    account.finish()
}

/// The tracks of one file: measures each, adds it to the total and reports it.
struct Tracks<'a, 'b, W> {
    file: &'a str,
    options: Options,
    account: &'a mut Account<'b, W>,
    /// Fixes of the current track that are not in its path yet.
    block: FixBlock,
    /// The tracks since none was open; `None` once ended.
    paths: Vec<Option<PathAccumulator>>,
    /// How many tracks came before these.
    before: usize,
    open_count: usize,
    current: usize,
    /// What the reader remarked on; a reader does so a few times at the most.
    remarks: Vec<String>,
    /// Why a row could not be written, if that is why reading stopped.
    report_failure: Option<io::Error>,
}

impl<'a, 'b, W: Write> Tracks<'a, 'b, W> {
    fn new(file: &'a str, options: Options, account: &'a mut Account<'b, W>) -> Self {
        Self {
            file,
            options,
            account,
            block: FixBlock::new(options.metric()),
            paths: Vec::new(),
            before: 0,
            open_count: 0,
            current: 0,
            remarks: Vec::new(),
            report_failure: None,
        }
    }

    /// Puts the points at hand into the path they belong to.
    fn fold(&mut self) -> Result<(), SinkError> {
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.fold(&mut self.block)?;
        }
        Ok(())
    }
}

impl<W: Write> TrackSink for Tracks<'_, '_, W> {
    fn start_track(&mut self) -> Result<(), SinkError> {
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

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }

    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError> {
        self.fold()?;
        let Some(path) = self.paths.get_mut(self.current).and_then(Option::take) else {
            return Ok(());
        };
        let number = (self.before + self.current) as u64 + 1;
        let track = Track { file: self.file, number, name, summary: path.summary() };
        match self.account.track(&track) {
            Ok(()) => {}
            Err(AccountError::Total(error)) => return Err(error.into()),
            Err(AccountError::Report(error)) => {
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
