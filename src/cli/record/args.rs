//! The arguments of `waywiser record`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::connect::ConnectArgs;
use crate::cli::policy::{FilledOptions, Model, PolicyArgs, PolicyError};
use crate::cli::reading::ReadingArgs;
use crate::cli::units::{Time, at_least_one};
use crate::formats::ReadOptions;
use crate::measure::{Metric, Options};
use crate::recording::RecordingName;

/// Send the points of a track file to a server and print the lengths that it returns
///
/// Sends each track and route of a file as a path of waywiser.v1.PathService/MeasurePaths. Nothing is rounded. The
/// formats, the notes and the lengths are those of waywiser measure, and the options that filter points work in the
/// same way. The tracks of all files in an archive are sent. Without --server, the server runs in this process on a
/// free loopback port.
///
/// With --name and --server, the track becomes a recording on the server, which survives lost connections and
/// restarts. If the command is interrupted, the same command on the same file resumes the recording.
///
/// With --method, the points are sent through a published contract, with one stream per segment. It has no filters,
/// models or JSON output.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct RecordArgs {
    /// Track file to send; - for standard input
    pub(super) file: PathBuf,

    /// Store the track as a recording with this name; needs --server
    #[arg(long, value_name = "paths/NAME", requires = "server")]
    pub(super) name: Option<RecordingName>,

    /// Number of the track in the file, from 1; required with --name if the file has several tracks
    #[arg(long, value_name = "NUMBER", requires = "name", value_parser = at_least_one::<usize>)]
    pub(super) track: Option<usize>,

    /// With --name, how long to retry while no point becomes durable, such as 5m
    ///
    /// By default the command fails at once if it cannot connect to the server at first, and retries for five minutes
    /// when it loses the connection later.
    #[arg(long, value_name = "DURATION", requires = "name")]
    pub(super) retry_for: Option<Time>,

    /// Send the points through a published contract
    #[arg(long, value_enum, conflicts_with = "name")]
    pub(super) method: Option<PublishedMethod>,

    /// Model of the distance between two points [default: geodesic]
    #[arg(long, value_enum)]
    pub(super) model: Option<Model>,

    /// Print one JSON object per line
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    #[command(flatten)]
    pub(super) reading: ReadingArgs,

    #[command(flatten)]
    pub(super) policy: PolicyArgs,
}

/// A method that takes one point per message and returns only a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PublishedMethod {
    /// routeguide.RouteGuide/RecordRoute: positions rounded to 1e-7 degree (1.1 cm), great-circle lengths in whole
    /// metres
    RecordRoute,
    /// my_package.DisplacementService/computePathLength: planar points whose coordinates are whole numbers of 32 bits
    PathLength,
}

impl PublishedMethod {
    /// Returns the metric of the contract.
    pub(super) fn metric(self) -> Metric {
        match self {
            Self::RecordRoute => Metric::Haversine,
            Self::PathLength => Metric::Planar,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  waywiser record examples/hill-walk.gpx
  waywiser record --estimate examples/hill-walk.gpx
  waywiser record --min-step 10 examples/hill-walk.gpx
  waywiser record --server http://127.0.0.1:50051 walk.gpx
  waywiser record --server http://127.0.0.1:50051 --name paths/walk walk.gpx
  waywiser record --method record-route walk.gpx

Exit status: 0 if everything was sent and answered, 1 if not, 2 for a usage error.";

impl RecordArgs {
    /// Returns the metric of the lengths, which also determines the space of the coordinates.
    pub(super) fn metric(&self) -> Metric {
        match (self.method, self.model) {
            (Some(method), _) => method.metric(),
            (None, Some(model)) => model.metric(),
            (None, None) => Options::default().metric(),
        }
    }

    /// Returns the options of the measurement.
    ///
    /// # Errors
    /// If an option is out of range.
    pub(super) fn options(&self) -> Result<FilledOptions, PolicyError> {
        Ok(self
            .policy
            .fill(self.policy.given_for_files(self.metric(), self.reading.invalid_points())?))
    }

    /// Returns the options of the readers.
    pub(super) fn read_options(&self) -> ReadOptions {
        self.reading.options(self.metric().space())
    }

    /// Returns the first given option that published contracts do not support.
    pub(super) fn unsupported_option(&self) -> Option<&'static str> {
        let given = [(self.model.is_some(), "--model"), (self.json, "--json")];
        let given = given.into_iter().find_map(|(is_given, option)| is_given.then_some(option));
        self.method.and(given.or_else(|| self.policy.first_set()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::measure::InvalidPoints;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        record: RecordArgs,
    }

    fn parse(line: &str) -> Option<RecordArgs> {
        let words = ["record"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.record)
    }

    #[test]
    fn published_contracts_have_their_own_metric_and_no_options() {
        let metric = |line| parse(line).unwrap().metric();
        assert_eq!(metric("f"), Metric::Geodesic);
        assert_eq!(metric("f --model planar"), Metric::Planar);
        assert_eq!(metric("f --method record-route"), Metric::Haversine);
        let unsupported = |line| parse(line).unwrap().unsupported_option();
        assert_eq!(unsupported("f --model planar --json --min-step 2"), None);
        assert_eq!(unsupported("f --method path-length"), None);
        assert_eq!(unsupported("f --method path-length --json"), Some("--json"));
        assert_eq!(unsupported("f --method record-route --min-step 2"), Some("--min-step"));
    }

    #[test]
    fn the_treatment_of_invalid_points_is_an_option_of_the_path() {
        let sent = |line| parse(line).unwrap().options().unwrap().all.invalid_points();
        assert_eq!(sent("f"), InvalidPoints::Skip);
        assert_eq!(sent("f --on-invalid skip"), InvalidPoints::Skip);
        assert_eq!(sent("f --on-invalid split"), InvalidPoints::Split);
        assert_eq!(sent("f --on-invalid error"), InvalidPoints::RejectCall);
        assert_eq!(sent("f --preset walk --on-invalid error"), InvalidPoints::RejectCall);
    }

    #[test]
    fn a_recording_needs_a_server_and_no_published_method() {
        assert!(parse("f --name paths/a").is_none());
        assert!(parse("f --name paths/a --server http://h").is_some());
        assert!(parse("f --name paths/a --server http://h --method record-route").is_none());
        assert!(parse("f --track 1").is_none());
    }

    /// The file does not exist, so an error of another status would be about it.
    #[test]
    fn options_that_planar_paths_do_not_have_are_a_usage_error() {
        for option in ["--estimate", "--preset walk", "--min-stop-time 2min"] {
            for target in ["", " --server http://127.0.0.1:1 --name paths/a"] {
                let arguments = format!("missing.csv --model planar {option}{target}");
                let words = ["record"].into_iter().chain(arguments.split(' '));
                let args = Line::parse_from(words).record;
                let outcome = crate::cli::record::run(&args).unwrap();
                assert_eq!(outcome, crate::cli::Outcome::Misused, "{arguments}");
            }
        }
    }
}
