//! The report, the total and the messages of one run of `waywiser measure`. Both ways of measuring use it. It
//! depends on neither files nor servers.

use std::borrow::Cow;
use std::io::{self, Write};

use super::MeasureArgs;
use crate::cli::Outcome;
use crate::cli::progress::Progress;
use crate::cli::report::{Report, Total, Track, escape_control};
use crate::measure::{PathError, Totals};

/// The state of a run.
pub(super) struct MeasureRun<'a, W> {
    report: Report<W>,
    total: Totals,
    /// The output for notes and errors.
    messages: &'a mut dyn Write,
    progress: &'a Progress,
    file_count: u64,
    failed_file_count: u64,
    track_count: u64,
}

/// An error that prevents the report of a track.
#[derive(Debug)]
pub(super) enum TrackError {
    /// The total would be out of range.
    Total(PathError),
    /// The report cannot be written.
    Report(io::Error),
}

impl<'a, W: Write> MeasureRun<'a, W> {
    pub(super) fn new(
        args: &MeasureArgs,
        names: &[Cow<'_, str>],
        out: W,
        messages: &'a mut dyn Write,
        progress: &'a Progress,
    ) -> Self {
        let metric = args.model.metric();
        let report = Report::new(out, args.report_options(), names.iter().map(|name| &**name));
        let file_count = names.len() as u64;
        let total = Totals::new(metric);
        Self { report, total, messages, progress, file_count, failed_file_count: 0, track_count: 0 }
    }

    /// Prints a track and adds it to the total.
    ///
    /// # Errors
    /// If the total would be out of range or the report cannot be written.
    pub(super) fn track(&mut self, track: &Track<'_>) -> Result<(), TrackError> {
        self.total.add(&track.summary).map_err(TrackError::Total)?;
        self.track_count += 1;
        let report = &mut self.report;
        self.progress.aside(|| report.track(track)).map_err(TrackError::Report)
    }

    /// Prints a note about a file that is measured.
    pub(super) fn note(&mut self, file: &str, note: &str) {
        self.message("note", &format!("{file}: {note}"));
    }

    /// Prints an error.
    pub(super) fn error(&mut self, error: &str) {
        self.message("error", error);
    }

    fn message(&mut self, kind: &str, message: &str) {
        // Flushes the report first, because both may go to one terminal or file. The next write of the report
        // returns an error of the flush again.
        let _ = self.report.out().flush();
        let messages = &mut self.messages;
        let _ = self.progress.aside(|| writeln!(messages, "{kind}: {}", escape_control(message)));
    }

    /// Counts a file that was not measured completely.
    pub(super) fn file_failed(&mut self) {
        self.failed_file_count += 1;
    }

    /// Prints the total.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Outcome> {
        let total = Total {
            file_count: self.file_count,
            failed_file_count: self.failed_file_count,
            track_count: self.track_count,
            summary: self.total.summary(),
            notes: &[],
            more_note_count: 0,
        };
        let report = &mut self.report;
        let written = self.progress.aside(|| {
            report.total(&total)?;
            report.out().flush()
        });
        match written {
            Err(error) => self.abort(error),
            Ok(()) if self.failed_file_count == 0 => Ok(Outcome::Done),
            Ok(()) => Ok(Outcome::Failed),
        }
    }

    /// Ends without a total, because the report cannot be written.
    ///
    /// # Errors
    /// Returns `error`, except for a closed output after a file has failed: then the outcome is a failure.
    pub(super) fn abort(self, error: io::Error) -> io::Result<Outcome> {
        match error.kind() {
            io::ErrorKind::BrokenPipe if self.failed_file_count > 0 => Ok(Outcome::Failed),
            _ => Err(error),
        }
    }
}
