//! `waywiser measure`: the lengths of the tracks in files, without any server. It opens the files,
//! gives each track of [`formats`] a path of its own, and prints a row when a track is whole.

use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::input::{self, ReadingArgs};
use super::policy::{Model, PolicyArgs};
use super::progress::Progress;
use super::report::{Report, Style, Total, Track, harmless};
use crate::formats::{self, Fix, ReadOptions, SinkError, TrackSink};
use crate::measure::{FixBlock, Measurement, Options, Totals};

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
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct MeasureArgs {
    /// Files to measure; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

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
}

/// Measures the files and prints the report on standard output, complaints on standard error.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn run(args: &MeasureArgs) -> io::Result<Outcome> {
    let progress = Progress::new(input::bytes_of(&args.files));
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return measure(args, io::stdin(), stdout, &mut io::stderr(), &progress);
    }
    measure(args, io::stdin(), BufWriter::new(stdout), &mut io::stderr(), &progress)
}

fn measure(
    args: &MeasureArgs,
    stdin: impl Read + Send,
    out: impl Write,
    complaints: &mut dyn Write,
    progress: &Progress,
) -> io::Result<Outcome> {
    let metric = args.model.metric();
    let options = args.options();
    let read_options = args.read_options();
    let names: Vec<_> = args.files.iter().map(|file| file.to_string_lossy()).collect();
    let mut report = Report::new(out, args.style(), metric, names.iter().map(|name| &**name));
    let mut total = Totals::new(metric);
    let (mut track_count, mut failed_file_count) = (0, 0);
    let mut stdin = Some(stdin);

    for (file, name) in args.files.iter().zip(&names) {
        let mut tracks = Tracks::new(name, options, &mut report, &mut total, progress);
        let outcome = match input::open(file, &mut stdin) {
            Ok(input) => {
                let input = input::buffered(progress.count(input));
                formats::read(input, &read_options, &mut tracks)
            }
            Err(error) => Err(error),
        };
        track_count += tracks.track_count;
        if let Some(error) = tracks.report_failure {
            return Err(error);
        }
        let remarks = std::mem::take(&mut tracks.remarks);
        for remark in remarks {
            report.out().flush()?;
            let message = format!("{name}: {remark}");
            let _ = progress.aside(|| writeln!(complaints, "note: {}", harmless(&message)));
        }
        if let Err(error) = outcome {
            failed_file_count += 1;
            // What was printed so far comes first, where both go to one terminal or file.
            report.out().flush()?;
            let place = error.place().map_or(String::new(), |place| format!(":{place}"));
            let message = format!("{name}{place}: {error}");
            let _ = progress.aside(|| writeln!(complaints, "error: {}", harmless(&message)));
        }
    }
    let summary = total.summary();
    let file_count = args.files.len() as u64;
    progress.aside(|| {
        report.total(&Total { file_count, failed_file_count, track_count, summary })?;
        report.out().flush()
    })?;
    Ok(if failed_file_count == 0 { Outcome::Done } else { Outcome::Failed })
}

/// The tracks of one file: measures each, adds it to the total and reports it.
struct Tracks<'a, W> {
    file: &'a str,
    options: Options,
    report: &'a mut Report<W>,
    total: &'a mut Totals,
    progress: &'a Progress,
    /// Fixes of the current track that are not in its path yet.
    block: FixBlock,
    /// The tracks since none was open; `None` once ended.
    paths: Vec<Option<Measurement>>,
    /// How many tracks came before these.
    before: usize,
    open_count: usize,
    current: usize,
    track_count: u64,
    /// What the reader remarked on; a reader does so a few times at the most.
    remarks: Vec<String>,
    /// Why a row could not be written, if that is why reading stopped.
    report_failure: Option<io::Error>,
}

impl<'a, W: Write> Tracks<'a, W> {
    fn new(
        file: &'a str,
        options: Options,
        report: &'a mut Report<W>,
        total: &'a mut Totals,
        progress: &'a Progress,
    ) -> Self {
        Self {
            file,
            options,
            report,
            total,
            progress,
            block: FixBlock::new(options.metric),
            paths: Vec::new(),
            before: 0,
            open_count: 0,
            current: 0,
            track_count: 0,
            remarks: Vec::new(),
            report_failure: None,
        }
    }

    /// Puts the points at hand into the path they belong to.
    fn fold(&mut self) -> Result<(), SinkError> {
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.fold(&mut self.block)?;
        }
        Ok(())
    }

    fn print(&mut self, name: Option<&str>, path: &Measurement) -> Result<(), SinkError> {
        let number = (self.before + self.current) as u64 + 1;
        let track = Track { file: self.file, number, name, summary: path.summary() };
        let report = &mut self.report;
        self.progress.aside(|| report.track(&track)).map_err(|error| {
            self.report_failure = Some(error);
            SinkError::Stop
        })
    }
}

impl<W: Write> TrackSink for Tracks<'_, W> {
    fn start_track(&mut self) -> Result<(), SinkError> {
        self.fold()?;
        self.current = self.paths.len();
        self.paths.push(Some(Measurement::new(self.options)));
        self.open_count += 1;
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.fold()?;
        self.current = index - self.before;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.fold()?;
        if let Some(Some(path)) = self.paths.get_mut(self.current) {
            path.start_segment();
        }
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        if self.block.is_full() {
            self.fold()?;
        }
        Ok(self.block.push(fix.checked(self.options.metric.space())?)?)
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }

    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError> {
        self.fold()?;
        let Some(path) = self.paths.get_mut(self.current).and_then(Option::take) else {
            return Ok(());
        };
        self.total.add(&path.summary())?;
        self.track_count += 1;
        self.open_count -= 1;
        self.print(name, &path)?;
        if self.open_count == 0 {
            self.before += self.paths.len();
            self.paths.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
