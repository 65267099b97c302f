//! The report of measured tracks: aligned text for people, JSON lines and CSV for programs. Each track is one row,
//! written at once, and the total is the last row.
//!
//! `machine` has the rows for programs, and `text` formats numbers and names for a terminal.

mod machine;
mod text;

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

pub(super) use self::text::{Keep, escape_control, grouped, pad_or_truncate, pluralize};
use crate::client::StoredPath;
use crate::measure::{Metric, PathSummary, RejectionReason, Space};

/// Maximum width of the name of a file or track.
const NAME_WIDTH_MAX: usize = 32;
const POINTS_WIDTH: usize = 13;
const SEGMENTS_WIDTH: usize = 9;
const LENGTH_WIDTH: usize = 18;

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

/// One measured track.
pub(super) struct Track<'a> {
    pub file: &'a str,
    /// The number of the track in its file, from 1.
    pub number: u64,
    pub name: Option<&'a str>,
    pub summary: PathSummary,
}

/// The total of all tracks.
pub(super) struct Total {
    pub file_count: u64,
    pub failed_file_count: u64,
    pub track_count: u64,
    pub summary: PathSummary,
}

/// Writes rows in a [`Style`].
pub(super) struct Report<W> {
    out: W,
    style: Style,
    metric: Metric,
    /// The headers of the first two columns.
    heads: [&'static str; 2],
    file_width: usize,
    has_header: bool,
}

/// Writes a recording as one JSON object.
pub(super) fn json_recording(out: &mut impl Write, path: &StoredPath) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &machine::json_recording(path))?;
    writeln!(out)
}

impl<W: Write> Report<W> {
    /// Creates a report on these files. Their names determine the width of the first column.
    pub(super) fn new<'a>(
        out: W,
        style: Style,
        metric: Metric,
        files: impl Iterator<Item = &'a str>,
    ) -> Self {
        let widest = files.map(|file| escape_control(file).width()).max().unwrap_or_default();
        let file_width = widest.clamp("total".len(), NAME_WIDTH_MAX);
        Self { out, style, metric, heads: ["file", "track"], file_width, has_header: false }
    }

    /// Writes the details of a recording as text. `summary` is that of `path`.
    pub(super) fn recording(
        out: W,
        state: &str,
        path: &StoredPath,
        summary: &PathSummary,
    ) -> io::Result<()> {
        let report = Self::new(out, Style::Details, summary.metric, [state].into_iter());
        let mut report = Self { heads: ["state", "recording"], ..report };
        report.begin(summary)?;
        report.text_rows(state, &path.name, summary, Some(summary.displacement))?;
        for (label, unix_ms) in [
            ("created", path.create_unix_ms),
            ("last changed", path.update_unix_ms),
            ("expires", path.expire_unix_ms),
        ] {
            if let Some(time) = unix_ms.and_then(text::utc) {
                report.detail(label, "", &time)?;
            }
        }
        report.out.flush()
    }

    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes a track.
    pub(super) fn track(&mut self, track: &Track<'_>) -> io::Result<()> {
        self.begin(&track.summary)?;
        match self.style {
            Style::Text | Style::Details => {
                let number;
                let name = match track.name {
                    Some(name) => name,
                    None => {
                        number = track.number.to_string();
                        &number
                    }
                };
                let summary = &track.summary;
                self.text_rows(track.file, name, summary, Some(summary.displacement))
            }
            Style::Json => self.json(&machine::json_track(track)),
            Style::Csv => self.csv(&machine::csv_fields(Some(track), &track.summary)),
        }
    }

    /// Writes the total.
    pub(super) fn total(&mut self, total: &Total) -> io::Result<()> {
        self.begin(&total.summary)?;
        match self.style {
            Style::Text | Style::Details => {
                let tracks = pluralize(total.track_count, "track");
                let name = match total.failed_file_count {
                    0 => tracks,
                    failed => format!("{tracks}; {} failed", pluralize(failed, "file")),
                };
                self.text_rows("total", &name, &total.summary, None)
            }
            Style::Json => self.json(&machine::json_total(total)),
            Style::Csv => self.csv(&machine::csv_fields(None, &total.summary)),
        }
    }

    /// Writes the header, once.
    fn begin(&mut self, summary: &PathSummary) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        match self.style {
            Style::Text | Style::Details => {
                let [file, track] = self.heads;
                self.text_line([file, track, "points", "segments", "length"])
            }
            Style::Json => Ok(()),
            Style::Csv => self.csv(&machine::csv_header(summary)),
        }
    }

    /// Writes the row of a track or total, and the rows of its details. A total has no displacement.
    fn text_rows(
        &mut self,
        file: &str,
        name: &str,
        summary: &PathSummary,
        displacement: Option<f64>,
    ) -> io::Result<()> {
        let is_detailed = self.style == Style::Details;
        let is_total = displacement.is_none();
        // The points whose legs add up to the length in the same row.
        let points = if is_detailed { summary.accepted_count } else { summary.point_count };
        let segments = grouped(&summary.segment_count.to_string());
        let length = self.length(summary.length);
        self.text_line([file, name, &grouped(&points.to_string()), &segments, &length])?;
        if !is_detailed {
            return Ok(());
        }
        let raw = self.length(summary.raw_length);
        self.detail("all points, unfiltered", &grouped(&summary.point_count.to_string()), &raw)?;
        for rejection in &summary.rejections {
            let what = match rejection.reason {
                RejectionReason::BackwardTime => "back in time",
                RejectionReason::Accuracy => "inaccurate",
                RejectionReason::Speed => "too fast",
                RejectionReason::Step => "too near",
                RejectionReason::InvalidPosition => "without a position",
            };
            // A total has no offsets.
            let first = match is_total {
                true => String::new(),
                false => format!(", first at {}", grouped(&rejection.first_offset.to_string())),
            };
            let label = format!("- {what}{first}");
            let length = self.length(rejection.rejected_length);
            self.detail(&label, &grouped(&rejection.count.to_string()), &length)?;
        }
        if let Some(length_3d) = summary.length_3d {
            let length_3d = self.length(length_3d);
            self.detail("in three dimensions", "", &length_3d)?;
        }
        if let Some(displacement) = displacement {
            let displacement = self.length(displacement);
            self.detail("from first to last", "", &displacement)?;
        }
        for (label, climb) in [("ascent", summary.ascent), ("descent", summary.descent)] {
            if let Some(climb) = climb {
                let climb = self.length(climb);
                self.detail(label, "", &climb)?;
            }
        }
        for (label, time_ns) in
            [("elapsed time", summary.elapsed_ns), ("moving time", summary.moving_ns)]
        {
            if let Some(time_ns) = time_ns {
                // Receivers record times in milliseconds.
                let time = Duration::from_millis(time_ns / 1_000_000);
                self.detail(label, "", &humantime::format_duration(time).to_string())?;
            }
        }
        if let Some(max_speed) = summary.max_speed {
            let max_speed = self.length(max_speed) + "/s";
            self.detail("highest speed", "", &max_speed)?;
        }
        Ok(())
    }

    fn length(&self, length: f64) -> String {
        match self.metric.space() {
            Space::Planar => grouped(&format!("{length:.6}")),
            Space::Geographic => grouped(&format!("{length:.3}")) + " m",
        }
    }

    fn detail(&mut self, label: &str, points: &str, value: &str) -> io::Result<()> {
        // The value may take the columns of the segments and the length.
        const VALUE_WIDTH: usize = SEGMENTS_WIDTH + 2 + LENGTH_WIDTH;
        writeln!(
            self.out,
            "{:2$}  {}{points:>POINTS_WIDTH$} {value:>VALUE_WIDTH$}",
            "",
            pad_or_truncate(&format!("  {label}"), NAME_WIDTH_MAX, Keep::Start),
            self.file_width,
        )
    }

    fn text_line(&mut self, [file, name, points, segments, length]: [&str; 5]) -> io::Result<()> {
        writeln!(
            self.out,
            "{}  {}{points:>POINTS_WIDTH$} {segments:>SEGMENTS_WIDTH$}  {length:>LENGTH_WIDTH$}",
            pad_or_truncate(file, self.file_width, Keep::End),
            pad_or_truncate(name, NAME_WIDTH_MAX, Keep::Start),
        )
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
