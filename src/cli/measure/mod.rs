//! `waywiser measure`: the lengths of the tracks in files. This file has the arguments. `local.rs` measures
//! in this process, `remote.rs` sends the tracks to a server; `account.rs` makes the same report of both.

mod account;
mod answers;
pub(super) mod flow;
mod local;
mod remote;
mod upload;

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::input::{self, ReadingArgs};
use super::policy::{Model, PolicyArgs};
use super::progress::Progress;
use super::report::Style;
use super::{Outcome, server_url};
use crate::formats::ReadOptions;
use crate::measure::Options;

/// Measure the tracks and routes in GPX, GeoJSON and CSV files.
///
/// Prints one line a track and their total. Each segment is measured by itself, from point to
/// point, in the two dimensions of the map; no leg joins the end of one segment or track to the
/// beginning of the next. A policy may keep points out; what they would have added is told beside. Lengths are in metres, except with --model planar: then they are in the
/// unit of the coordinates.
///
/// GPX: tracks and routes; waypoints are passed over. GeoJSON: every Feature (or geometry without
/// one) that has a LineString or MultiLineString; points and polygons are passed over. CSV: one
/// row a point, with column names in the first line; the columns are found by their usual names
/// (lat, latitude, y; lon, lng, longitude, x; time, timestamp; ele, altitude, z; accuracy; ...). The format is told from the content, not from
/// the name of the file.
///
/// A file that is broken is reported with line and column, and the others are still measured; of a
/// broken file, the tracks before the broken one count.
///
/// With --server a server measures the tracks, each as a path of its own and as many at a time as the
/// connection carries; the files are read here. Report, total and complaints are the same to the byte.
/// A server that keeps the connection and for five minutes neither takes nor answers anything is given up.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct MeasureArgs {
    /// Files to measure; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Have the server measure them, such as http://127.0.0.1:50051
    #[arg(long, value_name = "URL", value_parser = server_url)]
    server: Option<String>,

    /// What a leg between two points is
    #[arg(long, value_enum, default_value_t = Model::Geodesic)]
    model: Model,

    /// Print one JSON object a line: the tracks in the order of the input, then {"total": ...}
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print a CSV table: the tracks in the order of the input, then the total
    #[arg(long)]
    csv: bool,

    /// Print all that is known of each track: what was kept out and why, climb, time and speed
    ///
    /// The first row of a track tells the points and legs that were accepted. Below stand all points
    /// with all legs, and of those that were rejected for one reason how many there are, the place of
    /// the first, counted from 0, and the sum of the legs that led to them. On by itself where a policy
    /// is set.
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    details: bool,

    #[command(flatten)]
    reading: ReadingArgs,

    /// CSV: the column that says which track a row belongs to; rows may come in any order
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

Exit status: 0 when every file was measured, 1 when one was not, 2 when the arguments are wrong.";

impl MeasureArgs {
    fn style(&self) -> Style {
        match (self.json, self.csv) {
            (true, _) => Style::Json,
            (_, true) => Style::Csv,
            _ if self.details || self.options() != Options::new(self.model.metric()) => {
                Style::Details
            }
            _ => Style::Text,
        }
    }

    fn options(&self) -> Options {
        self.policy.options(self.model.metric())
    }

    fn read_options(&self) -> ReadOptions {
        ReadOptions {
            track_column: self.track_column.clone(),
            ..self.reading.options(self.model.metric().space())
        }
    }

    /// The files as they are named in the report.
    fn names(&self) -> Vec<Cow<'_, str>> {
        self.files.iter().map(|file| file.to_string_lossy()).collect()
    }
}

/// Measures the files and prints the report on standard output, complaints on standard error.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn run(args: &MeasureArgs) -> io::Result<Outcome> {
    let stdout = io::stdout();
    match stdout.is_terminal() {
        true => measure(args, stdout),
        false => measure(args, BufWriter::new(stdout)),
    }
}

fn measure(args: &MeasureArgs, out: impl Write) -> io::Result<Outcome> {
    let complaints = &mut io::stderr();
    match &args.server {
        Some(url) => remote::measure(args, url, out, complaints),
        None => {
            let progress = Progress::new(input::bytes_of(&args.files));
            local::measure(args, io::stdin(), out, complaints, &progress)
        }
    }
}

#[cfg(test)]
mod tests;
