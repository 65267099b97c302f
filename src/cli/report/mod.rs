//! The report of measured tracks: aligned text for people, JSON lines and CSV for programs. Each track is one row,
//! written at once, and the total is the last row.
//!
//! `table` has the rows for people and `machine` those for programs, made of `row`. `text` formats numbers and names
//! for a terminal, and `units` formats lengths and speeds. `headline` is a total on one line.

mod headline;
mod machine;
mod row;
mod table;
mod text;
mod units;
mod windows;

use std::io::{self, Write};

use serde::Serialize;

pub(super) use self::headline::headline;
pub(super) use self::machine::reason_name;
use self::table::Table;
pub(super) use self::text::{Keep, Names, escape_control, grouped, pluralize};
pub(super) use self::units::Units;
pub(super) use self::windows::unit_name;
use crate::client::StoredPath;
use crate::formats::{Note, TrackInfo};
use crate::measure::{Metric, Options, PathSummary};

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One row per track.
    Text,
    /// Further rows under each track: filters, climb, times and speed.
    Details,
    Json,
    Csv,
}

/// The options of a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportOptions {
    pub style: Style,
    /// The options of the measurement.
    pub measure: Options,
    /// The units of geographic lengths and speeds.
    pub units: Units,
    pub names: Names,
}

impl ReportOptions {
    fn metric(&self) -> Metric {
        self.measure.metric()
    }
}

/// One measured track.
pub(super) struct Track<'a> {
    pub file: &'a str,
    /// The number of the track in its file, from 1.
    pub number: u64,
    pub info: &'a TrackInfo,
    pub summary: PathSummary,
    /// The notes on the track.
    pub notes: &'a [Note],
}

/// A note on a file.
#[derive(Clone, Debug)]
pub(super) struct FileNote {
    pub file: String,
    pub note: Note,
}

/// The total of all tracks.
pub(super) struct Total<'a> {
    pub file_count: u64,
    pub failed_file_count: u64,
    pub track_count: u64,
    pub summary: PathSummary,
    /// The notes on files, up to a limit.
    pub notes: &'a [FileNote],
    /// The number of notes on files that are not in `notes`.
    pub more_note_count: u64,
}

/// Writes rows in a [`Style`].
pub(super) struct Report<W> {
    out: W,
    options: ReportOptions,
    table: Table,
    has_header: bool,
}

/// Writes a recording in a state as one JSON object.
pub(super) fn json_recording(
    out: &mut impl Write,
    path: &StoredPath,
    state: &'static str,
) -> io::Result<()> {
    let mut row = machine::json_recording(path, path.measure_options().as_ref(), state);
    if let Some(summary) = &path.summary {
        windows::extend_json(&mut row, summary, Units::M);
    }
    serde_json::to_writer(&mut *out, &row)?;
    writeln!(out)
}

impl<W: Write> Report<W> {
    /// Creates a report on these files. Their names determine the width of the first column.
    pub(super) fn new<'a>(
        out: W,
        options: ReportOptions,
        files: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self { out, options, table: Table::new(options, files), has_header: false }
    }

    /// Gives the column of the files its largest width, because their names are not all known.
    pub(super) fn widen_files(&mut self) {
        self.table.widen_files();
    }

    /// Writes the details of a recording as text. `summary` is that of `path`.
    pub(super) fn recording(
        out: W,
        state: &str,
        path: &StoredPath,
        summary: &PathSummary,
        names: Names,
    ) -> io::Result<()> {
        let measure = path.measure_options().unwrap_or(Options::new(summary.metric));
        let options =
            ReportOptions { style: Style::Details, measure, units: Units::default(), names };
        let mut report = Self::new(out, options, [state].into_iter());
        report.table.set_heads(["state", "recording"]);
        report.begin(summary)?;
        let name = path.name.as_str();
        report.table.rows(&mut report.out, [state, name], summary, Some(summary.displacement))?;
        if let Some(trips) = &summary.trips {
            report.table.trips(&mut report.out, trips)?;
        }
        if let Some(fix) = path.last_fix {
            for (label, value) in text::last_point(fix) {
                report.table.wide_detail(&mut report.out, label, &value)?;
            }
        }
        for (label, unix_ms) in [
            ("created", path.create_unix_ms),
            ("last changed", path.update_unix_ms),
            ("expires", path.expire_unix_ms),
        ] {
            if let Some(time) = unix_ms.and_then(text::utc) {
                report.table.detail(&mut report.out, label, "", &time)?;
            }
        }
        windows::text(&mut report.out, &report.table, summary)?;
        report.out.flush()
    }

    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes a track.
    pub(super) fn track(&mut self, track: &Track<'_>) -> io::Result<()> {
        self.begin(&track.summary)?;
        match self.options.style {
            Style::Text | Style::Details => {
                self.table.track(&mut self.out, track)?;
                windows::text(&mut self.out, &self.table, &track.summary)
            }
            Style::Json => {
                let mut row = machine::json_track(track, &self.options);
                windows::extend_json(&mut row, &track.summary, self.options.units);
                self.json(&row)
            }
            Style::Csv => {
                let options = self.options;
                windows::csv_rows(Some(track), &track.summary, &options, |row| self.csv(row))
            }
        }
    }

    /// Writes the total.
    pub(super) fn total(&mut self, total: &Total<'_>) -> io::Result<()> {
        self.begin(&total.summary)?;
        match self.options.style {
            Style::Text | Style::Details => {
                self.table.total(&mut self.out, total)?;
                windows::text(&mut self.out, &self.table, &total.summary)
            }
            Style::Json => {
                let mut row = machine::json_total(total, &self.options);
                windows::extend_json_total(&mut row, total, self.options.units);
                self.json(&row)
            }
            Style::Csv => {
                let options = self.options;
                windows::csv_rows(None, &total.summary, &options, |row| self.csv(row))
            }
        }
    }

    /// Writes the header, once.
    fn begin(&mut self, summary: &PathSummary) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        match self.options.style {
            Style::Text | Style::Details => self.table.header(&mut self.out),
            Style::Json => Ok(()),
            Style::Csv => {
                let mut header = machine::csv_header(summary, self.options.units);
                windows::extend_csv_header(&mut header, &self.options);
                self.csv(&header)
            }
        }
    }

    fn json(&mut self, row: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")
    }

    fn csv(&mut self, row: &[String]) -> io::Result<()> {
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(&mut self.out);
        csv.write_record(row)?;
        csv.flush()
    }
}

#[cfg(test)]
mod tests;
