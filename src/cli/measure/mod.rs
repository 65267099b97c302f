//! `waywiser measure`: the lengths of the tracks in files. This file defines the arguments. `local.rs` measures
//! in this process, with a `worker.rs` on each thread, and `remote.rs` sends the tracks to a server. Both report
//! through `measure_run.rs`. `posted.rs` measures files for the HTTP listener of a server, and `profile.rs` makes the lines
//! that it draws. `track_lines.rs` collects them while a file is read. `plot` draws a picture of them, `plot_lines.rs` selects
//! those of the picture, and `plot_file.rs` writes the file. `report_file.rs` writes the page of the server with the tracks in it.

mod answers;
mod file_result;
mod local;
mod measure_run;
mod plot;
mod plot_file;
mod plot_lines;
mod posted;
mod profile;
mod remote;
mod report_file;
mod track_lines;
mod upload;
mod worker;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::RangedI64ValueParser;
use clap::{Args, ValueEnum, value_parser};

use self::plot_file::PlotFile;
pub(super) use self::posted::PostedFiles;
use self::report_file::ReportFile;
use super::connect::ConnectArgs;
use super::input::{self, Stdin};
use super::policy::{FilledOptions, Model, PolicyArgs, PolicyError};
use super::progress::Progress;
use super::reading::ReadingArgs;
use super::report::{Names, ReportOptions, Style, Units};
use super::units::at_least_one;
use super::{Outcome, fail, usage_error};
use crate::formats::ReadOptions;
use crate::measure::{EstimateOptions, Options, Space, WindowOptions, WindowUnit};

/// The order of the rows of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SortKey {
    /// The longest track first
    Length,
    /// The earliest track first, and tracks without a time last
    Date,
    /// By name, and tracks without a name last
    Name,
}

/// Measure the tracks and routes in files and folders.
///
/// Prints one line per track, and the total. The length of a segment is the sum of the legs between its
/// points, in two dimensions. No leg joins two segments or two tracks. Filters may reject points; the length
/// of all points is then printed next to the length of the accepted ones. Lengths are in metres, or with
/// --model planar in the unit of the coordinates.
///
/// The length includes the noise of the receiver. --estimate and --preset also print an estimate of the true
/// length, with a 90 % interval.
///
/// Formats, which are detected from the content and not from the file name:
///
///   GPS devices and apps   GPX, TCX, FIT, KML, NMEA 0183, IGC, OziExplorer PLT
///
///   Location histories     Google Timeline, OwnTracks, Overland
///
///   Maps and databases     GeoJSON, WKT, encoded polylines
///
///   Tables                 CSV, and Parquet if the program is built with it
///
///   Compressed files       gzip, zip, KMZ
///
/// docs/formats.md lists what is read from each format.
///
/// A folder stands for all files in it and in the folders in it, sorted by name. Hidden files and files of other
/// formats are skipped. Each file of a zip archive is measured like a file in a folder.
///
/// Notes on standard error report what was ignored, guessed, skipped or assumed, at most 20 for each file. An
/// error in a file is reported with its position. The other files are still measured, and so is everything before
/// the error.
///
/// With --server a server measures the tracks. The files are read here, and each track is sent as one path.
/// The output is byte-identical. The command fails if the server keeps the connection open but makes no
/// progress for five minutes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct MeasureArgs {
    /// Files and folders to measure; - is standard input
    #[arg(required = true, value_name = "PATH")]
    files: Vec<PathBuf>,

    /// How to measure the leg between two points
    #[arg(long, value_enum, default_value_t = Model::Geodesic)]
    model: Model,

    /// Number of files that are measured at the same time [default: number of cores]
    ///
    /// The output is the same for any number. The files are then measured here, also if WAYWISER_SERVER is set.
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    jobs: Option<usize>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    #[command(flatten)]
    reading: ReadingArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// How names that are wider than their column are written. It depends on standard output.
    #[arg(skip)]
    names: Names,
}

/// Options for the report.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Print one JSON object per track and line, and then {"total": ...}
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print a CSV table: one row per track, and then the total
    #[arg(long)]
    csv: bool,

    /// Also print rejected points, ascent, descent, times, speeds and the length by the device
    ///
    /// The first row of a track has its accepted points and legs. The next row has all points and legs. One row for
    /// each reason of rejection has the number of points, the offset of the first one (from 0), and the length that
    /// their rejection removes. The gaps between segments are a row too. The difference is the length in the first
    /// row. The default if an argument other than --preset sets a filter.
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    details: bool,

    /// Print the trips and the stops between them, at most 1000 of each
    ///
    /// Turns --estimate on. A stop lasts at least --min-stop-time. A trip is what lies between two stops.
    #[arg(long, conflicts_with = "csv")]
    trips: bool,

    /// Also print the length by hour, day, week, month or year
    ///
    /// The days are those of --timezone; a day in which the clocks change has 23 or 25 hours. Weeks start on Monday.
    /// A leg that crosses midnight is divided in proportion to time, so that the lengths sum to that of the track,
    /// exactly before each of them is rounded. At most 100 000 windows for each track, and 1 000
    /// with --server. Points without a time belong to no window. A leg to or from such a point belongs to the window of
    /// its other end.
    ///
    /// --json has them in "windows". --csv has a row for each of them: its kind is the unit, such as day, and
    /// total_day for all tracks.
    #[arg(long, value_enum, value_name = "UNIT")]
    by: Option<WindowBy>,

    /// Keep only the latest N windows of --by, of each track and of the total
    ///
    /// Without N, as many as are possible: 100000, or 1000 with --server. All earlier windows are in one row, from the
    /// start of the first to the end of the last one. A leg that lasts at least 64 windows (64 hours, days or weeks, 64
    /// months of 31 days, or 64 years of 366 days) is not divided, and is in the row without a time. The lengths still
    /// sum to that of the track. By default, a track with too many windows has none.
    #[arg(
        long,
        value_name = "N",
        requires = "by",
        num_args = 0..=1,
        require_equals = true,
        value_parser = windows_kept()
    )]
    keep_latest_windows: Option<Option<u32>>,

    /// Unit of lengths; speeds are in m/s, km/h, mph, knots or ft/s
    #[arg(long, value_enum, value_name = "UNIT", default_value_t = Units::M)]
    units: Units,

    /// Sort the tracks of all files, instead of the order of the input
    ///
    /// All tracks are then kept in memory until the end, at most 131072. If there are more, the command fails.
    #[arg(long, value_enum, value_name = "KEY")]
    sort: Option<SortKey>,

    /// Also write a picture of the tracks to this file: a map and the profiles, as SVG
    ///
    /// The map has no background. The tracks are simplified to what can be seen. At most 256 tracks are drawn. An
    /// existing file is replaced when the picture is complete. The files are then measured here, also if
    /// WAYWISER_SERVER is set.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Also write a page to this file, with a map, profiles and tables, as one HTML file
    ///
    /// A browser opens the file without a server and without a network. It has the same numbers as --json. At most 256
    /// tracks have a line on the map. An existing file is replaced when the page is complete. The files are then
    /// measured here, also if WAYWISER_SERVER is set.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Returns the parser of the number of the latest windows.
fn windows_kept() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(1..=WindowOptions::WINDOWS_MAX.into())
}

/// A period of time on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WindowBy {
    /// From one full hour to the next one
    Hour,
    /// From midnight to midnight
    Day,
    /// From Monday to Sunday
    Week,
    /// Calendar months
    Month,
    /// Calendar years
    Year,
}

impl WindowBy {
    fn unit(self) -> WindowUnit {
        match self {
            WindowBy::Hour => WindowUnit::Hour,
            WindowBy::Day => WindowUnit::Day,
            WindowBy::Week => WindowUnit::Week,
            WindowBy::Month => WindowUnit::Month,
            WindowBy::Year => WindowUnit::Year,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  waywiser measure walk.gpx
  waywiser measure --preset walk walk.gpx
  waywiser measure --preset car --trips trip.gpx
  waywiser measure --min-step 5 --max-speed 15 --max-gap-time 5min walk.gpx
  waywiser measure --units km --sort length Tracks/
  waywiser measure --preset walk --plot walk.svg walk.gpx
  waywiser measure --by month --timezone Europe/Ljubljana --units km Tracks/
  waywiser measure --json *.gpx | jq 'select(.track).length_m'
  curl -s https://example.org/tracks.geojson | waywiser measure -
  waywiser measure --server http://127.0.0.1:50051 --min-step 5 *.gpx
  waywiser measure --track-column bus --x-column px --y-column py --model planar buses.csv

Exit status: 0 if all files were measured, 1 if a file failed, 2 if the arguments are invalid.";

impl MeasureArgs {
    /// Returns the option because of which the files are measured here.
    fn local_option(&self) -> Option<&'static str> {
        match (&self.jobs, &self.output.plot, &self.output.report) {
            (Some(_), ..) => Some("--jobs"),
            (_, Some(_), _) => Some("--plot"),
            (.., Some(_)) => Some("--report"),
            _ => None,
        }
    }

    /// Returns the URL of the server that measures the files. With such an option, one of the environment is not used.
    fn server(&self) -> Option<&str> {
        self.connect.server().filter(|_| self.local_option().is_none())
    }

    fn style(&self) -> Style {
        match (self.output.json, self.output.csv) {
            (true, _) => Style::Json,
            (_, true) => Style::Csv,
            _ if self.output.details || self.output.trips => Style::Details,
            _ if self.policy.needs_details() => Style::Details,
            _ => Style::Text,
        }
    }

    fn report_options(&self, measure: Options) -> ReportOptions {
        ReportOptions { style: self.style(), measure, units: self.output.units, names: self.names }
    }

    fn options(&self) -> Result<FilledOptions, PolicyError> {
        let metric = self.model.metric();
        let max_windows = match self.server() {
            Some(_) => WindowOptions::REPLY_WINDOWS_MAX,
            None => WindowOptions::WINDOWS_MAX,
        };
        let keep_latest = self.output.keep_latest_windows;
        let windows = self.output.by.map(|by| WindowOptions {
            max_windows: keep_latest.flatten().unwrap_or(max_windows),
            keep_latest: keep_latest.is_some(),
            ..WindowOptions::new(by.unit(), self.reading.zone())
        });
        let given = self.policy.given_for_files(metric, self.reading.invalid_points())?;
        let mut given = given.to_builder().windows(windows).build()?;
        if self.output.trips {
            if metric.space() == Space::Planar {
                return Err(PolicyError::not_planar("--trips"));
            }
            let estimate = given.estimate().unwrap_or_default();
            let max_trips = EstimateOptions::TRIPS_MAX;
            given =
                given.to_builder().estimate(EstimateOptions { max_trips, ..estimate }).build()?;
        }
        Ok(self.policy.fill(given))
    }

    fn read_options(&self) -> ReadOptions {
        let options = self.reading.options(self.model.metric().space());
        ReadOptions { shares_timezone: self.output.by.is_some(), ..options }
    }
}

/// Measures the files. Prints the report on standard output and messages on standard error.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn run(args: MeasureArgs) -> io::Result<Outcome> {
    let stdout = io::stdout();
    let args = &MeasureArgs { names: Names::on(&stdout), ..args };
    match stdout.is_terminal() {
        true => measure(args, stdout),
        false => measure(args, BufWriter::new(stdout)),
    }
}

fn measure(args: &MeasureArgs, out: impl Write) -> io::Result<Outcome> {
    let messages = &mut io::stderr();
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => return usage_error(format_args!("{error}")),
    };
    if let Some(here) = args.local_option()
        && args.connect.server().is_some()
        && !args.connect.is_from_environment()
    {
        return usage_error(format_args!("{here} cannot be used with --server"));
    }
    let windows_max = WindowOptions::REPLY_WINDOWS_MAX;
    let max_windows = options.given.windows().map_or(0, |windows| windows.max_windows);
    if args.server().is_some() && max_windows > windows_max {
        return usage_error(format_args!(
            "--keep-latest-windows is {max_windows}, and must be at most {windows_max} with --server"
        ));
    }
    let plot = match args.output.plot.as_deref().map(PlotFile::create).transpose() {
        Ok(plot) => plot.map(|plot| plot.with_units(args.output.units)),
        Err(error) => return fail(format_args!("--plot: {error}")),
    };
    let inputs = input::expand(&args.files);
    let page = args.output.report.as_deref();
    let page = page.map(|path| ReportFile::create(path, args.report_options(options.all), &inputs));
    let page = match page.transpose() {
        Ok(page) => page,
        Err(error) => return fail(format_args!("--report: {error}")),
    };
    let progress = Arc::new(Progress::new(inputs.len(), input::bytes_of(&inputs)));
    match args.server() {
        Some(url) => remote::measure(args, options, &inputs, url, out, messages, progress),
        None => {
            let stdin = Stdin::of_process();
            local::measure(args, options, &inputs, stdin, (out, messages, plot, page), progress)
        }
    }
}

#[cfg(test)]
mod tests;
