//! `waywiser measure`: the lengths of the tracks in files. This file defines the arguments. `local.rs` measures
//! in this process, and `remote.rs` sends the tracks to a server. Both report through `measure_run.rs`.

mod answers;
mod local;
mod measure_run;
mod remote;
mod upload;

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::input::{self, ReadingArgs};
use super::policy::{Model, PolicyArgs};
use super::progress::Progress;
use super::report::{ReportOptions, Style, Units};
use super::{Outcome, server_url};
use crate::formats::{ReadOptions, TrackColumn};
use crate::measure::{Options, OptionsError};

/// Measure the tracks and routes in GPX, GeoJSON and CSV files.
///
/// Prints one line per track, and the total. The length of a segment is the sum of the legs between its
/// points, in two dimensions. No leg joins two segments or two tracks. Filters may reject points; the length
/// of all points is then printed next to the length of the accepted ones. Lengths are in metres, or with
/// --model planar in the unit of the coordinates.
///
/// GPX: reads tracks and routes, and ignores waypoints. GeoJSON: reads each Feature (or geometry outside a
/// Feature) with a LineString or MultiLineString, and ignores points and polygons. CSV: reads one point per
/// row, with column names in the first row. Columns are found by their common names (lat, latitude, y; lon,
/// lng, longitude, x; time, timestamp; ele, altitude, z; accuracy; ...). The format is detected from the
/// content, not from the file name.
///
/// An error in a file is reported with line and column. The other files are still measured, and so are the
/// tracks before the error.
///
/// With --server a server measures the tracks. The files are read here, and each track is sent as one path.
/// The output is byte-identical. The command fails if the server keeps the connection open but makes no
/// progress for five minutes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct MeasureArgs {
    /// Files to measure; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Server that measures the files, such as http://127.0.0.1:50051
    #[arg(long, value_name = "URL", value_parser = server_url)]
    server: Option<String>,

    /// How to measure the leg between two points
    #[arg(long, value_enum, default_value_t = Model::Geodesic)]
    model: Model,

    /// Print one JSON object per track and line, and then {"total": ...}
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print a CSV table: one row per track, and then the total
    #[arg(long)]
    csv: bool,

    /// Print also rejected points, ascent, descent, time and speed
    ///
    /// The first row of a track has its accepted points and legs. The next row has all points and legs. Then
    /// comes one row per reason of rejection: the number of points, the offset of the first one (from 0), and
    /// the sum of the legs to them. Default if a filter is set.
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    details: bool,

    #[command(flatten)]
    reading: ReadingArgs,

    /// CSV: column with the identifier of the track
    ///
    /// The rows of different tracks may be mixed.
    #[arg(long, value_name = "NAME")]
    track_column: Option<String>,

    #[command(flatten)]
    policy: PolicyArgs,
}

const EXAMPLES: &str = "\
Examples:
  waywiser measure walk.gpx
  waywiser measure --min-step 5 --max-speed 15 --max-gap-time 5min walk.gpx
  waywiser measure --json *.gpx | jq 'select(.track).length_m'
  curl -s https://example.org/tracks.geojson | waywiser measure -
  waywiser measure --server http://127.0.0.1:50051 --min-step 5 *.gpx
  waywiser measure --track-column bus --x-column px --y-column py --model planar buses.csv

Exit status: 0 if all files were measured, 1 if a file failed, 2 if the arguments are invalid.";

impl MeasureArgs {
    fn style(&self) -> Style {
        match (self.json, self.csv) {
            (true, _) => Style::Json,
            (_, true) => Style::Csv,
            _ if self.details || self.policy.first_set().is_some() => Style::Details,
            _ => Style::Text,
        }
    }

    fn report_options(&self) -> ReportOptions {
        ReportOptions { style: self.style(), metric: self.model.metric(), units: Units::default() }
    }

    fn options(&self) -> Result<Options, OptionsError> {
        self.policy.options(self.model.metric())
    }

    fn read_options(&self) -> ReadOptions {
        ReadOptions {
            track_column: match &self.track_column {
                None => TrackColumn::Auto,
                Some(name) => TrackColumn::Named(name.clone()),
            },
            ..self.reading.options(self.model.metric().space())
        }
    }

    /// Returns the names of the files in the report.
    fn names(&self) -> Vec<Cow<'_, str>> {
        self.files.iter().map(|file| file.to_string_lossy()).collect()
    }
}

/// Measures the files. Prints the report on standard output and messages on standard error.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn run(args: &MeasureArgs) -> io::Result<Outcome> {
    let stdout = io::stdout();
    match stdout.is_terminal() {
        true => measure(args, stdout),
        false => measure(args, BufWriter::new(stdout)),
    }
}

fn measure(args: &MeasureArgs, out: impl Write) -> io::Result<Outcome> {
    let messages = &mut io::stderr();
    match &args.server {
        Some(url) => remote::measure(args, url, out, messages),
        None => {
            let progress = Progress::new(input::bytes_of(&args.files));
            local::measure(args, io::stdin(), out, messages, &progress)
        }
    }
}

#[cfg(test)]
mod tests;
