//! The lengths by hour, day, week, month or year, in all styles of a report.
//!
//! In text and CSV, the rows of the windows follow the row of their track, or that of the total. In JSON, they are a
//! member of it. The lengths of the windows of a track sum to its length in any order, and so do those of the total.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::machine;
use super::row::{Row, Value};
use super::table::Table;
use super::text::grouped;
use super::{ReportOptions, Total, Track, Units};
use crate::measure::{PathSummary, WindowOptions, WindowSummary, WindowUnit};

/// Returns the name of a unit, as in `--by day`.
pub(in crate::cli) fn unit_name(unit: WindowUnit) -> &'static str {
    match unit {
        WindowUnit::Hour => "hour",
        WindowUnit::Day => "day",
        WindowUnit::Week => "week",
        WindowUnit::Month => "month",
        WindowUnit::Year => "year",
    }
}

/// Formats the starts of windows in a time zone.
struct Labels {
    unit: WindowUnit,
    rules: TimeZone,
}

impl Labels {
    fn new(options: WindowOptions) -> Self {
        Self { unit: options.unit, rules: options.zone.rules() }
    }

    /// Returns the date, week, month, year or hour that starts at a time.
    fn label(&self, start_unix_s: i64) -> String {
        let Ok(start) = Timestamp::from_second(start_unix_s) else {
            return start_unix_s.to_string();
        };
        let local = self.rules.to_datetime(start);
        let date = local.date();
        match self.unit {
            // An hour that clocks repeat has the same time twice, with two offsets.
            WindowUnit::Hour => {
                let time = local.strftime("%Y-%m-%d %H:%M");
                format!("{time} {}", self.rules.to_offset(start))
            }
            WindowUnit::Day => date.to_string(),
            WindowUnit::Week => {
                let week = date.iso_week_date();
                format!("{}-W{:02}, from {date}", week.year(), week.week())
            }
            WindowUnit::Month => date.strftime("%Y-%m").to_string(),
            WindowUnit::Year => date.strftime("%Y").to_string(),
        }
    }

    /// Formats a time as in RFC 3339, with the offset of the zone. It is in UTC if the offset has seconds, as local
    /// mean times before 1900 do: the format has only minutes.
    fn rfc3339(&self, unix_s: i64) -> String {
        let Ok(time) = Timestamp::from_second(unix_s) else { return unix_s.to_string() };
        let offset = self.rules.to_offset(time);
        match offset.seconds() {
            0 => time.to_string(),
            seconds if seconds % 60 != 0 => time.to_string(),
            _ => time.display_with_offset(offset).to_string(),
        }
    }
}

/// Writes the rows of the windows under the row of a track or of the total.
pub(super) fn text(out: &mut impl Write, table: &Table, summary: &PathSummary) -> io::Result<()> {
    let Some(windows) = &summary.windows else { return Ok(()) };
    let WindowOptions { unit, zone, .. } = windows.options;
    let title = format!("    by {}, {zone}", unit_name(unit));
    if windows.is_dropped {
        return writeln!(out, "{title}: not available, there are too many");
    }
    writeln!(out, "{title}")?;
    let labels = Labels::new(windows.options);
    if let Some(earlier) = &windows.earlier {
        let length = table.length(earlier.length.to_f64());
        table.detail(out, "  earlier", &grouped(&earlier.point_count.to_string()), &length)?;
    }
    for window in &windows.windows {
        let label = format!("  {}", labels.label(window.start_unix_s));
        let length = table.length(window.length.to_f64());
        table.detail(out, &label, &grouped(&window.point_count.to_string()), &length)?;
    }
    let (count, length) = (windows.undated_point_count, windows.undated_length.to_f64());
    if count > 0 || length > 0.0 {
        let points = grouped(&count.to_string());
        table.detail(out, "  without a time", &points, &table.length(length))?;
    }
    Ok(())
}

/// Appends the members of the windows to a JSON object.
pub(super) fn extend_json(row: &mut Row<'_>, summary: &PathSummary, units: Units) {
    let Some(windows) = &summary.windows else { return };
    let labels = Labels::new(windows.options);
    let window = |window: &WindowSummary| {
        let length = window.length.to_f64();
        let mut row = vec![
            ("start".into(), Value::Text(labels.rfc3339(window.start_unix_s).into())),
            ("end".into(), Value::Text(labels.rfc3339(window.end_unix_s).into())),
            (machine::named(summary.metric, "length", "m"), Value::Number(length)),
            ("points".into(), Value::Count(window.point_count)),
        ];
        row.extend(machine::in_units(summary.metric, length, units));
        Row(row)
    };
    let (list, undated) = match windows.is_dropped {
        true => (Value::Null, Value::Null),
        false => (
            Value::Rows(windows.windows.iter().map(window).collect()),
            Value::Number(windows.undated_length.to_f64()),
        ),
    };
    row.0.extend([
        ("window_unit".into(), Value::Text(unit_name(windows.options.unit).into())),
        ("window_time_zone".into(), Value::Text(windows.options.zone.to_string().into())),
        ("windows".into(), list),
        (machine::named(summary.metric, "undated_length", "m"), undated),
    ]);
    if windows.options.keep_latest {
        let earlier = windows.earlier.as_ref();
        let earlier = earlier.map_or(Value::Null, |earlier| Value::Row(window(earlier)));
        row.0.push(("earlier_windows".into(), earlier));
    }
}

/// Appends the members of the windows to the object of the total.
pub(super) fn extend_json_total(row: &mut Row<'_>, total: &Total<'_>, units: Units) {
    if let Some((_, Value::Row(row))) = row.0.last_mut() {
        extend_json(row, &total.summary, units);
    }
}

/// The columns that a table with windows has after the others.
const COLUMNS: [&str; 3] = ["window", "window_start", "window_end"];

/// Appends the names of the columns of the windows.
pub(super) fn extend_csv_header(header: &mut Vec<String>, options: &ReportOptions) {
    if options.measure.windows().is_some() {
        header.extend(COLUMNS.map(str::to_owned));
    }
}

/// Calls `write` with the row of a track or of the total, and then with those of its windows.
///
/// The kind of the row of a window is its unit, such as `day` for a track and `total_day` for the total. Its other
/// fields are empty, except for the names of the file and the track, the model, the points and the length.
///
/// # Errors
/// The first error of `write`.
pub(super) fn csv_rows(
    track: Option<&Track<'_>>,
    summary: &PathSummary,
    options: &ReportOptions,
    mut write: impl FnMut(&[String]) -> io::Result<()>,
) -> io::Result<()> {
    let mut row = machine::csv_fields(track, summary, options.units);
    if options.measure.windows().is_none() {
        return write(&row);
    }
    row.extend([const { String::new() }; COLUMNS.len()]);
    write(&row)?;
    let Some(windows) = summary.windows.as_ref().filter(|windows| !windows.is_dropped) else {
        return Ok(());
    };
    let mut names = machine::csv_header(summary, options.units);
    extend_csv_header(&mut names, options);
    let labels = Labels::new(windows.options);
    let length_name = machine::named(summary.metric, "length", "m");
    let prefix = if track.is_some() { "" } else { "total_" };
    let mut write_part = |kind: &str, points: u64, length: f64, window: [String; 3]| {
        let in_units = machine::in_units(summary.metric, length, options.units);
        for (name, field) in names.iter().zip(&mut row) {
            *field = match name.as_str() {
                "kind" => format!("{prefix}{kind}"),
                "file" | "track" | "model" => continue,
                "points" | "accepted" => points.to_string(),
                name if name == length_name => length.to_string(),
                name => match &in_units {
                    Some((units_name, value)) if units_name == name => value.field(),
                    _ => String::new(),
                },
            };
        }
        let first = row.len().saturating_sub(COLUMNS.len());
        row[first..].clone_from_slice(&window);
        write(&row)
    };
    let unit = unit_name(windows.options.unit);
    let times = |window: &WindowSummary| {
        [window.start_unix_s, window.end_unix_s].map(|unix_s| labels.rfc3339(unix_s))
    };
    if let Some(earlier) = &windows.earlier {
        let [start, end] = times(earlier);
        let times = [String::new(), start, end];
        write_part("earlier", earlier.point_count, earlier.length.to_f64(), times)?;
    }
    for window in &windows.windows {
        let [start, end] = times(window);
        let times = [labels.label(window.start_unix_s), start, end];
        write_part(unit, window.point_count, window.length.to_f64(), times)?;
    }
    let (count, length) = (windows.undated_point_count, windows.undated_length.to_f64());
    if count > 0 || length > 0.0 {
        write_part("undated", count, length, [const { String::new() }; COLUMNS.len()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
