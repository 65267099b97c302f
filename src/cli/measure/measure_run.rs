//! The report, the total and the messages of one run of `waywiser measure`. Both ways of measuring use it. It
//! depends on neither files nor servers.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::file_result::{FileResult, MeasuredTrack};
use super::plot_file::PlotFile;
use super::report_file::ReportFile;
use super::{MeasureArgs, SortKey};
use crate::cli::Outcome;
use crate::cli::input::{FileEnd, Input};
use crate::cli::notes::{self, NoteList, PresetCheck, track_label};
use crate::cli::policy::FilledOptions;
use crate::cli::progress::Progress;
use crate::cli::report::{FileNote, Report, Total, Track, escape_control, pluralize};
use crate::formats::{Note, NoteKind};
use crate::measure::Totals;

/// What the error says that counts the files with errors.
pub(super) const INCOMPLETE: &str = "could not be measured completely";
/// A part of each note on files that were skipped.
pub(super) const SKIPPED: &str = " skipped: ";

/// Maximum number of notes on files in the total.
const FILE_NOTES_MAX: usize = 1000;
/// Maximum number of files that are named in a list at the end.
const LISTED_MAX: usize = 10;
/// Maximum number of tracks that can be sorted.
const SORTED_MAX: usize = 1 << 17;

/// A row that waits to be sorted.
struct SortedRow {
    file: String,
    track: MeasuredTrack,
}

/// The state of a run.
pub(super) struct MeasureRun<'a, W> {
    report: Report<W>,
    options: FilledOptions,
    is_strict: bool,
    sort: Option<SortKey>,
    rows: Vec<SortedRow>,
    total: Totals,
    /// The output for notes and errors.
    messages: &'a mut dyn Write,
    progress: &'a Progress,
    file: CurrentFile,
    input_count: u64,
    file_count: u64,
    failed_file_count: u64,
    track_count: u64,
    file_notes: Vec<FileNote>,
    more_file_note_count: u64,
    /// Whether files were found in folders.
    finds_files: bool,
    failed: FileList,
    unsupported: FileList,
    /// The number of files that were skipped for another reason.
    skipped_file_count: u64,
    /// Whether something failed that is not a file.
    has_failed: bool,
    /// The picture, if one is requested.
    plot: Option<PlotFile>,
    /// The report as a page, if one is requested.
    page: Option<ReportFile>,
    /// The index in its file of the last track.
    track_index: u64,
}

/// The file whose tracks are reported.
#[derive(Default)]
struct CurrentFile {
    name: String,
    /// Printed at the end of the file.
    notes: NoteList,
    preset_check: PresetCheck,
    has_failed: bool,
}

/// Names of files, up to a limit.
#[derive(Default)]
struct FileList {
    names: Vec<String>,
    count: u64,
}

impl FileList {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.names.len() < LISTED_MAX {
            self.names.push(name.to_owned());
        }
    }

    fn text(&self) -> String {
        let names = self.names.join(", ");
        match self.count - self.names.len() as u64 {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

impl<'a, W: Write> MeasureRun<'a, W> {
    pub(super) fn new(
        args: &MeasureArgs,
        inputs: &[Input],
        options: FilledOptions,
        out: W,
        messages: &'a mut dyn Write,
        progress: &'a Progress,
    ) -> Self {
        let mut report =
            Report::new(out, args.report_options(options.all), inputs.iter().map(Input::name));
        if inputs.iter().any(Input::may_have_members) {
            report.widen_files();
        }
        Self {
            report,
            options,
            is_strict: args.read_options().is_strict,
            sort: args.output.sort,
            rows: Vec::new(),
            total: Totals::new(options.all.metric()),
            messages,
            progress,
            file: CurrentFile::default(),
            input_count: inputs.len() as u64,
            file_count: 0,
            failed_file_count: 0,
            track_count: 0,
            file_notes: Vec::new(),
            more_file_note_count: 0,
            finds_files: inputs.iter().any(Input::is_in_folder),
            failed: FileList::default(),
            unsupported: FileList::default(),
            skipped_file_count: 0,
            has_failed: false,
            plot: None,
            page: None,
            track_index: 0,
        }
    }

    /// Sets the picture and the page, which are written at the end.
    pub(super) fn set_files(&mut self, plot: Option<PlotFile>, page: Option<ReportFile>) {
        (self.plot, self.page) = (plot, page);
    }

    /// Adds a part of the result of an input.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub(super) fn add(&mut self, result: FileResult) -> io::Result<()> {
        match result {
            FileResult::Start(name) => self.start_file(&name),
            FileResult::Track(track) => self.track(*track)?,
            FileResult::Line(line) => {
                if let Some(plot) = &mut self.plot {
                    plot.add(&line);
                }
                if let Some(page) = &mut self.page {
                    page.add(&self.file.name, self.track_index, line);
                }
            }
            FileResult::Note(note) => self.file_note(*note),
            FileResult::End(end) => self.end_file(end),
        }
        Ok(())
    }

    /// Starts a file. The tracks and notes up to its end belong to it.
    pub(super) fn start_file(&mut self, name: &str) {
        self.file = CurrentFile { name: name.to_owned(), ..CurrentFile::default() };
    }

    /// Returns the name of the current file.
    pub(super) fn file(&self) -> &str {
        &self.file.name
    }

    /// Prints a track and adds it to the total.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub(super) fn track(&mut self, mut track: MeasuredTrack) -> io::Result<()> {
        let label = track_label(track.number, &track.info);
        self.file.notes.add_all(&self.file.name, Some(&label), &track.notes);
        let index = track.number.saturating_sub(1) as usize;
        self.track_index = index as u64;
        if let Some(plot) = &mut self.plot {
            plot.set_track(&self.file.name, track.number, track.info.name.as_deref());
        }
        self.file.preset_check.add(&track.info);
        let unused = notes::unused_options(Some(index), &track.info, &self.options.given);
        let windows = track.summary.windows.as_ref();
        let dropped = windows.and_then(|windows| notes::dropped_windows(Some(index), windows));
        let rejected = notes::rejected_points(Some(index), &track.summary);
        for note in unused.into_iter().chain(dropped).chain(rejected) {
            let text = notes::text(&self.file.name, Some(&label), &note);
            match self.is_strict {
                true => self.track_failed(&format!("{text}; --strict makes this an error")),
                false => self.file.notes.add(text),
            }
            track.notes.push(note);
        }
        if let Err(error) = self.total.add(&track.summary) {
            let file = &self.file.name;
            let message = format!("{file}: track {label}: the total cannot be computed: {error}");
            self.track_failed(&message);
            return Ok(());
        }
        self.track_count += 1;
        if self.sort.is_none() {
            let file = self.file.name.clone();
            return self.write_track(&SortedRow { file, track });
        }
        if self.rows.len() < SORTED_MAX {
            self.rows.push(SortedRow { file: self.file.name.clone(), track });
        }
        Ok(())
    }

    fn write_track(&mut self, row: &SortedRow) -> io::Result<()> {
        let MeasuredTrack { number, info, summary, notes } = &row.track;
        let track =
            Track { file: &row.file, number: *number, info, summary: summary.clone(), notes };
        if let Some(page) = &mut self.page {
            page.track(&track)?;
        }
        let report = &mut self.report;
        self.progress.aside(|| report.track(&track))
    }

    /// Prints an error about a track of the current file. The file has failed.
    pub(super) fn track_failed(&mut self, message: &str) {
        self.error(message);
        self.file.has_failed = true;
    }

    /// Adds a note on the current file.
    pub(super) fn file_note(&mut self, note: Note) {
        self.file.notes.add(notes::text(&self.file.name, None, &note));
        self.keep_file_note(FileNote { file: self.file.name.clone(), note });
    }

    fn keep_file_note(&mut self, note: FileNote) {
        if self.file_notes.len() < FILE_NOTES_MAX {
            self.file_notes.push(note);
        } else {
            self.more_file_note_count += 1;
        }
    }

    /// Ends the current file, and prints its notes and its error.
    pub(super) fn end_file(&mut self, end: FileEnd) {
        match &end {
            FileEnd::Unsupported => {
                let name = self.file.name.clone();
                self.unsupported.add(&name);
                // The note on all of these files is printed at the end.
                let message = "skipped: it is in no supported format".to_owned();
                let kind = NoteKind::IgnoredContent;
                let note = Note { kind, message, position: None, count: 1, track: None };
                self.keep_file_note(FileNote { file: name, note });
            }
            FileEnd::Skipped(reason) if !self.is_strict => {
                self.skipped_file_count += 1;
                let (kind, message) = (NoteKind::IgnoredContent, format!("skipped: {reason}"));
                self.file_note(Note { kind, message, position: None, count: 1, track: None });
            }
            _ => {}
        }
        let unused = self.file.preset_check.note(&self.options);
        let strict_error = unused.as_ref().filter(|_| self.is_strict).map(|note| {
            let text = notes::text(&self.file.name, None, note);
            format!("{text}; --strict makes this an error")
        });
        if let Some(note) = unused.filter(|_| !self.is_strict) {
            self.file_note(note);
        }
        let CurrentFile { name, mut notes, has_failed, .. } = std::mem::take(&mut self.file);
        for note in notes.take(&name) {
            self.message("note", &note);
        }
        let error = match end {
            FileEnd::Failed(error) => Some(error),
            FileEnd::Skipped(reason) if self.is_strict => {
                Some(format!("{name}: skipped: {reason}; --strict makes this an error"))
            }
            FileEnd::Skipped(_) | FileEnd::Unsupported => return,
            FileEnd::Complete => strict_error,
        };
        self.file_count += 1;
        if let Some(error) = &error {
            self.error(error);
        }
        if has_failed || error.is_some() {
            self.file_failed(&name);
        }
    }

    /// Prints an error that is not about the current file.
    pub(super) fn error(&mut self, error: &str) {
        if let Some(page) = &mut self.page {
            page.error(error);
        }
        self.message("error", error);
    }

    fn message(&mut self, kind: &str, message: &str) {
        // Flushes the report first, because both may go to one terminal or file. The next write of the report
        // returns an error of the flush again.
        let _ = self.report.out().flush();
        let messages = &mut self.messages;
        let _ = self.progress.aside(|| writeln!(messages, "{kind}: {}", escape_control(message)));
    }

    fn file_failed(&mut self, name: &str) {
        self.failed_file_count += 1;
        self.failed.add(name);
    }

    /// Prints the sorted tracks, the lists of files, and the total.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Outcome> {
        let written = self.write_end();
        match written {
            Err(error) => self.abort(error),
            Ok(()) if self.failed_file_count == 0 && !self.has_failed => Ok(Outcome::Done),
            Ok(()) => Ok(Outcome::Failed),
        }
    }

    fn write_end(&mut self) -> io::Result<()> {
        self.progress.finish();
        self.write_sorted()?;
        if self.unsupported.count > 0 {
            let count = self.unsupported.count;
            let (files, were) = (pluralize(count, "file"), if count == 1 { "was" } else { "were" });
            let list = self.unsupported.text();
            let message = format!("{files} of no supported format {were}{SKIPPED}{list}");
            match self.is_strict {
                true => {
                    self.error(&format!("{message}; --strict makes this an error"));
                    self.has_failed = true;
                }
                false => self.message("note", &message),
            }
        }
        let has_skipped = self.unsupported.count > 0 || self.skipped_file_count > 0;
        if has_skipped && self.file_count == 0 {
            self.error("nothing was measured: no file has a track in a supported format");
            self.has_failed = true;
        }
        let finds_files = self.finds_files || self.file_count > self.input_count;
        if finds_files && self.failed.count > 0 {
            let message = format!(
                "{} of {} {INCOMPLETE}: {}",
                self.failed.count,
                pluralize(self.file_count, "file"),
                self.failed.text()
            );
            self.error(&message);
        }
        let total = Total {
            file_count: self.file_count,
            failed_file_count: self.failed_file_count,
            track_count: self.track_count,
            summary: self.total.summary(),
            notes: &self.file_notes,
            more_note_count: self.more_file_note_count,
        };
        let report = &mut self.report;
        let written = self.progress.aside(|| {
            report.total(&total)?;
            report.out().flush()
        });
        let page = self.page.take().map(|page| page.finish(&total));
        if let Some(Err(error)) = page {
            self.error(&format!("--report: {error}"));
            self.has_failed = true;
        }
        self.write_plot();
        written
    }

    fn write_plot(&mut self) {
        let Some(plot) = self.plot.take() else { return };
        match plot.finish(&self.total.summary(), self.track_count) {
            Ok(None) => {}
            Ok(Some(note)) => self.message("note", &note),
            Err(error) => {
                self.error(&format!("--plot: {error}"));
                self.has_failed = true;
            }
        }
    }

    fn write_sorted(&mut self) -> io::Result<()> {
        let Some(sort) = self.sort else { return Ok(()) };
        if self.track_count > self.rows.len() as u64 {
            self.error(&format!(
                "only the first {SORTED_MAX} of {} can be sorted and printed; measure fewer files, or sort the \
                 output of --csv",
                pluralize(self.track_count, "track")
            ));
            self.has_failed = true;
        }
        let mut rows = std::mem::take(&mut self.rows);
        match sort {
            SortKey::Length => {
                rows.sort_by(|a, b| b.track.summary.length.total_cmp(&a.track.summary.length));
            }
            // Tracks without a time come last.
            SortKey::Date => rows.sort_by_key(|row| {
                let start = row.track.info.start_unix_ns;
                (Reverse(start.is_some()), start)
            }),
            SortKey::Name => rows.sort_by_cached_key(|row| {
                let name = row.track.info.name.clone();
                (name.is_none(), name, row.track.number)
            }),
        }
        rows.iter().try_for_each(|row| self.write_track(row))
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
