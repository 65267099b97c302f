//! The report and the total of the tracks that are measured, and the complaints beside them: one account
//! for both ways of measuring. It knows neither files nor servers.

use std::borrow::Cow;
use std::io::{self, Write};

use super::MeasureArgs;
use crate::cli::Outcome;
use crate::cli::progress::Progress;
use crate::cli::report::{Report, Total, Track, escape_control};
use crate::measure::{PathError, Totals};

/// What has been found so far.
pub(super) struct Account<'a, W> {
    report: Report<W>,
    total: Totals,
    complaints: &'a mut dyn Write,
    progress: &'a Progress,
    file_count: u64,
    failed_file_count: u64,
    track_count: u64,
}

/// Why a track is not in the account.
#[derive(Debug)]
pub(super) enum AccountError {
    /// The total would leave its range.
    Total(PathError),
    /// The report cannot be written.
    Report(io::Error),
}

impl<'a, W: Write> Account<'a, W> {
    /// Nothing yet.
    pub(super) fn new(
        args: &MeasureArgs,
        names: &[Cow<'_, str>],
        out: W,
        complaints: &'a mut dyn Write,
        progress: &'a Progress,
    ) -> Self {
        let metric = args.model.metric();
        let report = Report::new(out, args.style(), metric, names.iter().map(|name| &**name));
        let file_count = names.len() as u64;
        let total = Totals::new(metric);
        Self {
            report,
            total,
            complaints,
            progress,
            file_count,
            failed_file_count: 0,
            track_count: 0,
        }
    }

    /// Prints a track and adds it to the total.
    ///
    /// # Errors
    /// When either cannot be done.
    pub(super) fn track(&mut self, track: &Track<'_>) -> Result<(), AccountError> {
        self.total.add(&track.summary).map_err(AccountError::Total)?;
        self.track_count += 1;
        let report = &mut self.report;
        self.progress.aside(|| report.track(track)).map_err(AccountError::Report)
    }

    /// Prints a note about a file that is measured.
    pub(super) fn remark(&mut self, file: &str, remark: &str) {
        self.say("note", &format!("{file}: {remark}"));
    }

    /// Prints what went wrong.
    pub(super) fn fail(&mut self, message: &str) {
        self.say("error", message);
    }

    fn say(&mut self, kind: &str, message: &str) {
        // The report comes first, for the case that both go to one terminal or file. An error of the
        // report returns with its next write: the message is printed in any case.
        let _ = self.report.out().flush();
        let complaints = &mut self.complaints;
        let _ = self.progress.aside(|| writeln!(complaints, "{kind}: {}", escape_control(message)));
    }

    /// Counts a file of which not everything was measured.
    pub(super) fn file_failed(&mut self) {
        self.failed_file_count += 1;
    }

    /// Prints the total.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Outcome> {
        let total = Total {
            file_count: self.file_count,
            failed_file_count: self.failed_file_count,
            track_count: self.track_count,
            summary: self.total.summary(),
        };
        let report = &mut self.report;
        let written = self.progress.aside(|| {
            report.total(&total)?;
            report.out().flush()
        });
        match written {
            Err(error) => self.cut_short(error),
            Ok(()) if self.failed_file_count == 0 => Ok(Outcome::Done),
            Ok(()) => Ok(Outcome::Failed),
        }
    }

    /// Ends without a total because the report cannot be written.
    ///
    /// # Errors
    /// `error`, except that a closed output does not hide that a file failed before.
    pub(super) fn cut_short(self, error: io::Error) -> io::Result<Outcome> {
        match error.kind() {
            io::ErrorKind::BrokenPipe if self.failed_file_count > 0 => Ok(Outcome::Failed),
            _ => Err(error),
        }
    }
}
