//! The report for people: a table that is 80 columns wide.

use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::text::{Keep, escape_control, grouped, pad_or_truncate, pluralize, rfc3339};
use super::{ReportOptions, Style, Total, Track, Units};
use crate::formats::TrackKind;
use crate::measure::{PathSummary, RejectionReason, Space};

/// The width of the names of a file and a track, without the gap between them.
const NAMES_WIDTH: usize = 41;
/// Maximum width of the name of a file.
const FILE_WIDTH_MAX: usize = 24;
const POINTS_WIDTH: usize = 11;
const SEGMENTS_WIDTH: usize = 9;
const LENGTH_WIDTH: usize = 16;

/// Formats rows.
pub(super) struct Table {
    options: ReportOptions,
    /// The headers of the first two columns.
    heads: [&'static str; 2],
    file_width: usize,
}

impl Table {
    /// Returns a table on these files. Their names determine the width of the first column.
    pub(super) fn new<'a>(options: ReportOptions, files: impl Iterator<Item = &'a str>) -> Self {
        let widest = files.map(|file| escape_control(file).width()).max().unwrap_or_default();
        let file_width = widest.clamp("total".len(), FILE_WIDTH_MAX);
        Self { options, heads: ["file", "track"], file_width }
    }

    pub(super) fn widen_files(&mut self) {
        self.file_width = FILE_WIDTH_MAX;
    }

    pub(super) fn set_heads(&mut self, heads: [&'static str; 2]) {
        self.heads = heads;
    }

    fn name_width(&self) -> usize {
        NAMES_WIDTH - self.file_width
    }

    pub(super) fn header(&self, out: &mut impl Write) -> io::Result<()> {
        let [file, track] = self.heads;
        self.line(out, [file, track, "points", "segments", "length"])
    }

    /// Writes the rows of a track.
    pub(super) fn track(&self, out: &mut impl Write, track: &Track<'_>) -> io::Result<()> {
        let info = track.info;
        let number = track.number.to_string();
        let mut suffix = String::new();
        if info.kind == TrackKind::Route {
            suffix += " (route)";
        }
        if info.is_incomplete {
            suffix += " (incomplete)";
        }
        // The suffix stays visible when the name is truncated.
        let width = self.name_width().saturating_sub(suffix.len());
        let name = pad_or_truncate(info.name.as_deref().unwrap_or(&number), width, Keep::Start);
        let name = format!("{}{suffix}", name.trim_end());
        let summary = &track.summary;
        self.rows(out, [track.file, &name], summary, Some(summary.displacement))?;
        if self.options.style != Style::Details {
            return Ok(());
        }
        for (label, unix_ns) in [("start", info.start_unix_ns), ("end", info.end_unix_ns)] {
            if let Some(unix_ns) = unix_ns {
                self.detail(out, label, "", &rfc3339(unix_ns))?;
            }
        }
        if let Some(length_m) = info.device_length_m {
            let length = grouped(&self.options.units.format_length(length_m));
            self.detail(out, "length by the device", "", &length)?;
        }
        Ok(())
    }

    /// Writes the rows of the total.
    pub(super) fn total(&self, out: &mut impl Write, total: &Total<'_>) -> io::Result<()> {
        let tracks = pluralize(total.track_count, "track");
        let name = match total.failed_file_count {
            0 => tracks,
            failed => format!("{tracks}; {} failed", pluralize(failed, "file")),
        };
        match name.width() <= self.name_width() {
            true => self.rows(out, ["total", &name], &total.summary, None),
            // The text may take the columns of both names.
            false => {
                let wide = Self { file_width: "total".len(), ..*self };
                wide.rows(out, ["total", &name], &total.summary, None)
            }
        }
    }

    /// Writes the row of a track or total, and the rows of its details. A total has no displacement.
    pub(super) fn rows(
        &self,
        out: &mut impl Write,
        [file, name]: [&str; 2],
        summary: &PathSummary,
        displacement: Option<f64>,
    ) -> io::Result<()> {
        let is_detailed = self.options.style == Style::Details;
        let is_total = displacement.is_none();
        // The points whose legs add up to the length in the same row.
        let points = if is_detailed { summary.accepted_count } else { summary.point_count };
        let segments = grouped(&summary.segment_count.to_string());
        let length = self.length(summary.length);
        self.line(out, [file, name, &grouped(&points.to_string()), &segments, &length])?;
        if !is_detailed {
            return Ok(());
        }
        let raw = self.length(summary.raw_length);
        self.detail(
            out,
            "all points, unfiltered",
            &grouped(&summary.point_count.to_string()),
            &raw,
        )?;
        for rejection in &summary.rejections {
            let what = match rejection.reason {
                RejectionReason::BackwardTime => "back in time",
                RejectionReason::Accuracy => "inaccurate",
                RejectionReason::Speed => "too fast",
                RejectionReason::Step => "too near",
                RejectionReason::InvalidPosition => "without a valid position",
                RejectionReason::Late => "late",
                RejectionReason::ZeroPosition => "at 0, 0",
            };
            // A total has no offsets.
            let first = match is_total {
                true => String::new(),
                false => format!(", first at {}", grouped(&rejection.first_offset.to_string())),
            };
            let label = format!("- {what}{first}");
            let length = self.length(rejection.rejected_length);
            self.detail(out, &label, &grouped(&rejection.count.to_string()), &length)?;
        }
        if let Some(length_3d) = summary.length_3d {
            let length_3d = self.length(length_3d);
            self.detail(out, "in three dimensions", "", &length_3d)?;
        }
        if let Some(displacement) = displacement {
            let displacement = self.length(displacement);
            self.detail(out, "from first to last", "", &displacement)?;
        }
        for (label, climb) in [("ascent", summary.ascent), ("descent", summary.descent)] {
            if let Some(climb) = climb {
                let climb = self.elevation(climb);
                self.detail(out, label, "", &climb)?;
            }
        }
        for (label, time_ns) in
            [("elapsed time", summary.elapsed_ns), ("moving time", summary.moving_ns)]
        {
            if let Some(time_ns) = time_ns {
                // Receivers record times in milliseconds.
                let time_ms = u64::try_from(time_ns / 1_000_000).unwrap_or(u64::MAX);
                let time = Duration::from_millis(time_ms);
                self.detail(out, label, "", &humantime::format_duration(time).to_string())?;
            }
        }
        if let Some(max_speed) = summary.max_speed {
            let max_speed = self.speed(max_speed);
            self.detail(out, "highest speed", "", &max_speed)?;
        }
        Ok(())
    }

    fn length(&self, length: f64) -> String {
        self.quantity(length, Units::format_length)
    }

    fn elevation(&self, elevation: f64) -> String {
        self.quantity(elevation, Units::format_elevation)
    }

    fn speed(&self, speed: f64) -> String {
        match self.options.metric.space() {
            Space::Planar => self.length(speed) + "/s",
            Space::Geographic => self.quantity(speed, Units::format_speed),
        }
    }

    /// Formats a quantity in the unit of the report or, for planar paths, in the unit of the coordinates.
    fn quantity(&self, value: f64, format: fn(Units, f64) -> String) -> String {
        match self.options.metric.space() {
            Space::Planar => grouped(&format!("{value:.6}")),
            Space::Geographic => grouped(&format(self.options.units, value)),
        }
    }

    pub(super) fn detail(
        &self,
        out: &mut impl Write,
        label: &str,
        points: &str,
        value: &str,
    ) -> io::Result<()> {
        // The value may take the columns of the segments and the length.
        const VALUE_WIDTH: usize = SEGMENTS_WIDTH + LENGTH_WIDTH;
        // The label may take the columns of both names.
        let label = pad_or_truncate(&format!("    {label}"), NAMES_WIDTH + 2, Keep::Start);
        writeln!(out, "{label}{points:>POINTS_WIDTH$} {value:>VALUE_WIDTH$}")
    }

    fn line(
        &self,
        out: &mut impl Write,
        [file, name, points, segments, length]: [&str; 5],
    ) -> io::Result<()> {
        writeln!(
            out,
            "{}  {}{points:>POINTS_WIDTH$}{segments:>SEGMENTS_WIDTH$} {length:>LENGTH_WIDTH$}",
            pad_or_truncate(file, self.file_width, Keep::End),
            pad_or_truncate(name, self.name_width(), Keep::Start),
        )
    }
}
