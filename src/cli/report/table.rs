//! The report for people: a table that is 80 columns wide.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::text::{
    Keep, duration, escape_control, grouped, pad_or_truncate, pluralize, seconds_utc,
    short_duration, without_negative_zero,
};
use super::{ReportOptions, Style, Total, Track, Units};
use crate::formats::TrackKind;
use crate::measure::{ClimbOptions, EstimatedLength, PathSummary, RejectionReason, Space, Trips};

/// The width of the names of a file and a track, without the gap between them.
const NAMES_WIDTH: usize = 41;
/// Maximum width of the name of a file.
const FILE_WIDTH_MAX: usize = 24;
const POINTS_WIDTH: usize = 11;
const SEGMENTS_WIDTH: usize = 9;
const LENGTH_WIDTH: usize = 16;
const WIDTH: usize = NAMES_WIDTH + 2 + POINTS_WIDTH + 1 + SEGMENTS_WIDTH + LENGTH_WIDTH;

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
        let name = info.name.as_deref().unwrap_or(&number);
        let name = self.options.names.fit(name, width, Keep::Start);
        let name = format!("{}{suffix}", name.trim_end());
        let summary = &track.summary;
        self.rows(out, [track.file, &name], summary, Some(summary.displacement))?;
        if self.options.style != Style::Details {
            return Ok(());
        }
        for (label, unix_ns) in [("start", info.start_unix_ns), ("end", info.end_unix_ns)] {
            if let Some(unix_ns) = unix_ns {
                self.detail(out, label, "", &seconds_utc(unix_ns))?;
            }
        }
        if let Some(trips) = &summary.trips {
            self.trips(out, trips)?;
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
            return self.effects(out, summary);
        }
        self.ledger(out, summary, is_total)?;
        if let Some(length_3d) = summary.length_3d {
            let length_3d = self.length(length_3d);
            self.detail(out, "in three dimensions", "", &length_3d)?;
        }
        if let Some(displacement) = displacement {
            let displacement = self.length(displacement);
            self.detail(out, "from first to last", "", &displacement)?;
        }
        self.estimated_length(out, summary)?;
        let has_trips = |trips: &&Trips| trips.trip_count > 0 || trips.stop_count > 0;
        if let Some(trips) = summary.trips.as_ref().filter(has_trips) {
            let counts = format!(
                "{}, {}",
                pluralize(trips.trip_count, "trip"),
                pluralize(trips.stop_count, "stop")
            );
            self.wide_detail(out, "movement", &counts)?;
            self.wide_detail(out, "stopped time", &duration(trips.stopped_ns))?;
        }
        self.climbs(out, summary)?;
        if let Some(elapsed_ns) = summary.elapsed_ns {
            self.wide_detail(out, "elapsed time", &duration(elapsed_ns))?;
        }
        if let Some(moving_ns) = summary.moving_ns {
            let label = match self.options.measure.stopped_speed() {
                Some(speed) => format!("moving time, at least {}", self.limit(speed, "/s")),
                None => "moving time".to_owned(),
            };
            self.wide_detail(out, &label, &duration(moving_ns))?;
        }
        if let Some(max_speed) = summary.max_speed {
            let max_speed = self.speed(max_speed);
            self.detail(out, "highest speed over 5 s", "", &max_speed)?;
        }
        Ok(())
    }

    /// Writes the rows without details that explain the length: what a preset rejects, and the estimate.
    fn effects(&self, out: &mut impl Write, summary: &PathSummary) -> io::Result<()> {
        // A note reports the points without a valid position, which add no length.
        let is_filter = |reason| reason != RejectionReason::InvalidPosition;
        let rejections = summary.rejections.iter().filter(|one| is_filter(one.reason));
        let rejected_count: u64 = rejections.map(|rejection| rejection.count).sum();
        if rejected_count > 0 {
            let label = format!("length with {}", pluralize(rejected_count, "rejected point"));
            self.detail(out, &label, "", &self.length(summary.raw_length))?;
        }
        self.estimated_length(out, summary)
    }

    /// Writes the estimate. It is missing without times, and in a total with a track that has none.
    fn estimated_length(&self, out: &mut impl Write, summary: &PathSummary) -> io::Result<()> {
        if self.options.measure.estimate().is_none() || summary.point_count == 0 {
            return Ok(());
        }
        let estimate =
            summary.estimate.map_or("not available".to_owned(), |length| self.estimate(length));
        let label = "estimated length, 90 % interval";
        match "    ".len() + label.len() + " ".len() + estimate.len() <= WIDTH {
            true => self.wide_detail(out, label, &estimate),
            false => self.wide_detail(out, "estimate, 90 % interval", &estimate),
        }
    }

    /// Writes the length of all points, and the lengths that lead from it to that of the accepted points.
    fn ledger(
        &self,
        out: &mut impl Write,
        summary: &PathSummary,
        is_total: bool,
    ) -> io::Result<()> {
        let all = grouped(&summary.point_count.to_string());
        self.detail(out, "all points, unfiltered", &all, &self.length(summary.raw_length))?;
        for rejection in &summary.rejections {
            let what = match rejection.reason {
                RejectionReason::BackwardTime => "back in time",
                RejectionReason::Accuracy => "inaccurate",
                RejectionReason::Speed => "too fast",
                RejectionReason::Step => "too near",
                RejectionReason::InvalidPosition => "without a valid position",
                RejectionReason::Late => "late",
                RejectionReason::ZeroPosition => "at 0, 0",
                RejectionReason::Duplicate => "duplicate",
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
        if summary.gap_length != 0.0 {
            let gaps = self.length(summary.gap_length);
            self.detail(out, "- gaps between segments", "", &gaps)?;
        }
        if summary.rejections.is_empty() && summary.gap_length == 0.0 {
            return Ok(());
        }
        let accepted = grouped(&summary.accepted_count.to_string());
        self.detail(out, "= accepted points", &accepted, &self.length(summary.length))
    }

    /// Writes ascent and descent, with their method, and the sums of all rises and falls.
    fn climbs(&self, out: &mut impl Write, summary: &PathSummary) -> io::Result<()> {
        let (Some(ascent), Some(descent)) = (summary.ascent, summary.descent) else {
            return Ok(());
        };
        let ClimbOptions { threshold, smoothing_ns } = self.options.measure.climb();
        // Noise raises the threshold of a track. The tracks of a total may have different ones.
        let (threshold, or_more) = match summary.climb_threshold {
            Some(threshold) => (threshold, ""),
            None => (threshold, " or more"),
        };
        let threshold =
            format!("climbs from {}{or_more}", self.limit((threshold * 10.0).round() / 10.0, ""));
        let method = match smoothing_ns {
            0 => threshold,
            ns => format!("mean of {}, {threshold}", duration(ns.into())),
        };
        self.wide_detail(out, &format!("ascent ({method})"), &self.elevation(ascent))?;
        self.wide_detail(out, "descent", &self.elevation(descent))?;
        for (label, climb) in
            [("raw ascent", summary.raw_ascent), ("raw descent", summary.raw_descent)]
        {
            if let Some(climb) = climb {
                self.wide_detail(out, label, &self.elevation(climb))?;
            }
        }
        Ok(())
    }

    /// Writes the listed trips and stops of a track, in the order of time.
    pub(super) fn trips(&self, out: &mut impl Write, trips: &Trips) -> io::Result<()> {
        let mut rows: Vec<(i64, String, String)> = Vec::new();
        for trip in &trips.trips {
            let value = self.estimate(trip.length);
            let label = span_label("trip", trip.start_unix_ns, trip.end_unix_ns, &value);
            rows.push((trip.start_unix_ns, label, value));
        }
        for stop in &trips.stops {
            let [longitude, latitude] = stop.position;
            let value = format!("{latitude:.6}, {longitude:.6}");
            let (start, end) = (stop.arrival_unix_ns, stop.departure_unix_ns);
            let label = span_label("stop", start, end, &value);
            rows.push((stop.arrival_unix_ns, label, value));
        }
        rows.sort_by_key(|&(unix_ns, ..)| unix_ns);
        for (_, label, value) in &rows {
            self.wide_detail(out, label, value)?;
        }
        let listed = (trips.trips.len() as u64, trips.stops.len() as u64);
        let is_listed =
            self.options.measure.estimate().is_some_and(|options| options.max_trips > 0);
        if is_listed && (listed.0 < trips.trip_count || listed.1 < trips.stop_count) {
            let (trips, stops) = (pluralize(listed.0, "trip"), pluralize(listed.1, "stop"));
            self.wide_detail(out, &format!("only the latest {trips} and {stops} are listed"), "")?;
        }
        Ok(())
    }

    /// Formats an estimate and its interval: `8 012 m (7 871 to 8 154 m)`. Wide numbers have no decimals.
    fn estimate(&self, EstimatedLength { length_m, low_m, high_m }: EstimatedLength) -> String {
        /// Leaves space for the label of a trip.
        const ESTIMATE_WIDTH: usize = 41;
        let text = |format| {
            let lengths = [length_m, low_m, high_m];
            let [length, low, high] = lengths.map(|length| self.quantity(length, format));
            let low = low.strip_suffix(self.options.units.symbol()).unwrap_or(&low).trim_end();
            format!("{length} ({low} to {high})")
        };
        let exact = text(Units::format_estimate);
        match exact.len() <= ESTIMATE_WIDTH {
            true => exact,
            false => text(Units::format_whole),
        }
    }

    /// Formats the value of an option, in metres or in the unit of the coordinates.
    fn limit(&self, value: f64, per: &str) -> String {
        match self.options.metric().space() {
            Space::Planar => format!("{value}{per}"),
            Space::Geographic => format!("{value} m{per}"),
        }
    }

    /// Formats a length. A length that is too wide for its column has no decimals.
    pub(super) fn length(&self, length: f64) -> String {
        let text = self.quantity(length, Units::format_length);
        match text.split_once('.') {
            Some(_) if text.len() > LENGTH_WIDTH => self.quantity(length, Units::format_whole),
            _ => text,
        }
    }

    fn elevation(&self, elevation: f64) -> String {
        self.quantity(elevation, Units::format_elevation)
    }

    fn speed(&self, speed: f64) -> String {
        match self.options.metric().space() {
            Space::Planar => self.length(speed) + "/s",
            Space::Geographic => self.quantity(speed, Units::format_speed),
        }
    }

    /// Formats a quantity in the unit of the report or, for planar paths, in the unit of the coordinates.
    fn quantity(&self, value: f64, format: fn(Units, f64) -> String) -> String {
        match self.options.metric().space() {
            Space::Planar => grouped(without_negative_zero(&format!("{value:.6}"))),
            Space::Geographic => grouped(without_negative_zero(&format(self.options.units, value))),
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

    /// Writes a row whose value may take all columns that the label leaves.
    pub(super) fn wide_detail(
        &self,
        out: &mut impl Write,
        label: &str,
        value: &str,
    ) -> io::Result<()> {
        let label = format!("    {label}");
        let width = WIDTH.saturating_sub(label.width() + 1);
        match value {
            "" => writeln!(out, "{label}"),
            _ => writeln!(out, "{label} {value:>width$}"),
        }
    }

    fn line(
        &self,
        out: &mut impl Write,
        [file, name, points, segments, length]: [&str; 5],
    ) -> io::Result<()> {
        writeln!(
            out,
            "{}  {}{points:>POINTS_WIDTH$}{segments:>SEGMENTS_WIDTH$} {length:>LENGTH_WIDTH$}",
            self.options.names.fit(file, self.file_width, Keep::End),
            self.options.names.fit(name, self.name_width(), Keep::Start),
        )
    }
}

/// Returns the label of a trip or stop: the longest one that leaves space for the value.
fn span_label(kind: &str, start_unix_ns: i64, end_unix_ns: i64, value: &str) -> String {
    let start = seconds_utc(start_unix_ns);
    let duration = short_duration(end_unix_ns.abs_diff(start_unix_ns).into());
    let whole = duration.split(' ').next().unwrap_or_default();
    let used = "    ".len() + " ".len() + value.width();
    let fits = |label: &String| label.len() + used <= WIDTH;
    [format!("{kind}  {start}  {duration}"), format!("{kind} {start} {duration}")]
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| format!("{kind} {start} {whole}"))
}
