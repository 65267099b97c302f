//! The options of the command line for measuring a path: its metric and its filters. A command that measures
//! paths flattens [`PolicyArgs`] into its arguments, after the others.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::measure::{
    Elevation, InvalidPoints, Metric, Options, OptionsError, PLANAR_MAX, REANCHOR_COUNT,
};

/// A metric on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Model {
    /// Straight lines in a plane, in the unit of the coordinates
    Planar,
    /// Great circles on a sphere, in metres, with errors of up to 0.56 %
    Haversine,
    /// Shortest lines on the WGS84 ellipsoid, in metres
    Geodesic,
}

impl Model {
    pub(super) fn metric(self) -> Metric {
        match self {
            Model::Planar => Metric::Planar,
            Model::Haversine => Metric::Haversine,
            Model::Geodesic => Metric::Geodesic,
        }
    }
}

/// The use of elevations.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ElevationMode {
    /// Lengths in two dimensions only
    Ignored,
    /// Also the length in three dimensions
    #[value(name = "3d")]
    ThreeDimensional,
}

/// Filters for points, and limits that start a segment. All are off by default.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filters (in metres and m/s, or in the unit of planar coordinates)")]
pub(super) struct PolicyArgs {
    /// Use of elevations
    #[arg(long, value_enum, value_name = "MODE", default_value_t = ElevationMode::Ignored)]
    elevation: ElevationMode,

    /// Start a segment after a gap in time longer than this, such as 30s
    ///
    /// The gap is the time between a point and the last accepted one before it.
    #[arg(long, value_name = "TIME", value_parser = gap_time, allow_hyphen_values = true)]
    max_gap_time: Option<u64>,

    /// Start a segment after a gap in distance longer than this
    ///
    /// The gap is the distance between a point and the last accepted one before it.
    #[arg(long, value_name = "DISTANCE", value_parser = positive, allow_negative_numbers = true)]
    max_gap: Option<f64>,

    /// Reject a point that can only be reached at a higher speed
    ///
    /// The speed is that from the last accepted point. Two different positions at the same time need infinite
    /// speed. A point without a time is never rejected for its speed.
    #[arg(long, value_name = "SPEED", value_parser = positive, allow_negative_numbers = true)]
    max_speed: Option<f64>,

    /// Accept the Nth of consistent rejected points in a row
    ///
    /// Points that were rejected for time or speed are consistent if each one passes both filters relative to
    /// the one before it. Then they are right, and the last accepted point was wrong. The Nth point starts a
    /// segment.
    #[arg(
        long, value_name = "N", default_value_t = REANCHOR_COUNT,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    reanchor_count: u32,

    /// Reject a point nearer than this to the last accepted one
    #[arg(long, value_name = "DISTANCE", value_parser = positive, allow_negative_numbers = true)]
    min_step: Option<f64>,

    /// Reject a point with an accuracy radius, in metres, above this
    #[arg(long, value_name = "METRES", value_parser = positive, allow_negative_numbers = true)]
    max_accuracy: Option<f64>,

    /// Reject a point with a time before that of the last accepted one
    #[arg(long)]
    reject_backward_time: bool,

    /// Exclude legs slower than this from the moving time
    #[arg(long, value_name = "SPEED", value_parser = positive, allow_negative_numbers = true)]
    stopped_speed: Option<f64>,
}

impl PolicyArgs {
    /// Returns the options for the points of a file. The reader decides about points without a valid position, so they
    /// are counted and cause no error.
    ///
    /// # Errors
    /// If an option is out of range.
    pub(super) fn options_for_files(&self, metric: Metric) -> Result<Options, OptionsError> {
        self.options(metric)?.to_builder().invalid_points(InvalidPoints::Skip).build()
    }

    /// Returns the options. The parsers of the arguments already check the ranges.
    pub(super) fn options(&self, metric: Metric) -> Result<Options, OptionsError> {
        Options::builder(metric)
            .elevation(match self.elevation {
                ElevationMode::Ignored => Elevation::Ignored,
                ElevationMode::ThreeDimensional => Elevation::ThreeDimensional,
            })
            .max_gap_time_ns(self.max_gap_time)
            .max_gap(self.max_gap)
            .max_speed(self.max_speed)
            .reanchor_count(self.reanchor_count)
            .min_step(self.min_step)
            .max_accuracy_m(self.max_accuracy)
            .reject_backward_time(self.reject_backward_time)
            .stopped_speed(self.stopped_speed)
            .build()
    }

    /// Returns the first argument whose value is not the default.
    pub(super) fn first_set(&self) -> Option<&'static str> {
        let set = [
            (self.elevation != ElevationMode::Ignored, "--elevation"),
            (self.max_gap_time.is_some(), "--max-gap-time"),
            (self.max_gap.is_some(), "--max-gap"),
            (self.max_speed.is_some(), "--max-speed"),
            (self.reanchor_count != REANCHOR_COUNT, "--reanchor-count"),
            (self.min_step.is_some(), "--min-step"),
            (self.max_accuracy.is_some(), "--max-accuracy"),
            (self.reject_backward_time, "--reject-backward-time"),
            (self.stopped_speed.is_some(), "--stopped-speed"),
        ];
        set.into_iter().find_map(|(is_set, argument)| is_set.then_some(argument))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= PLANAR_MAX => Ok(value),
        Ok(_) => Err("must be above 0 and at most 2^40".to_owned()),
        Err(_) => Err("must be a number without a unit".to_owned()),
    }
}

/// Parses a time above 0. Returns nanoseconds.
fn gap_time(text: &str) -> Result<u64, String> {
    let time: Duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 30s or 5min"))?;
    match u64::try_from(time.as_nanos()) {
        Ok(0) => Err("must be above 0".to_owned()),
        Ok(ns) => Ok(ns),
        Err(_) => Err("must be below 584 years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        args: PolicyArgs,
    }

    fn parsed(arguments: &str) -> Result<Options, String> {
        let words = ["x"].into_iter().chain(arguments.split_whitespace());
        let wrapper = Wrapper::try_parse_from(words).map_err(|error| error.to_string())?;
        wrapper.args.options(Metric::Geodesic).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_has_an_argument() {
        assert_eq!(parsed(""), Ok(Options::default()));
        let all = "--elevation 3d --max-gap-time 1m30s --max-gap 500 --max-speed 60 --reanchor-count 5 \
                   --min-step 2.5 --max-accuracy 30 --reject-backward-time --stopped-speed 0.3";
        let expected = Options::builder(Metric::Geodesic)
            .elevation(Elevation::ThreeDimensional)
            .max_gap_time_ns(90_000_000_000_u64)
            .max_gap(500.0)
            .max_speed(60.0)
            .reanchor_count(5)
            .min_step(2.5)
            .max_accuracy_m(30.0)
            .reject_backward_time(true)
            .stopped_speed(0.3)
            .build();
        assert_eq!(parsed(all), expected.map_err(|error| error.to_string()));
    }

    #[test]
    fn the_first_set_argument_is_found() {
        let first_set = |arguments: &str| {
            let arguments = ["x"].into_iter().chain(arguments.split_whitespace());
            Wrapper::parse_from(arguments).args.first_set()
        };
        assert_eq!(first_set("--elevation ignored"), None);
        for argument in [
            "--elevation 3d",
            "--max-gap-time 1s",
            "--max-gap 1",
            "--max-speed 1",
            "--reanchor-count 1",
            "--min-step 1",
            "--max-accuracy 1",
            "--reject-backward-time",
            "--stopped-speed 1",
        ] {
            assert_eq!(first_set(argument), argument.split(' ').next(), "{argument}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for bad in [
            "--min-step 0",
            "--min-step -1",
            "--max-speed NaN",
            "--max-gap inf",
            "--max-gap 5km",
            "--max-gap-time 0s",
            "--max-gap-time 30",
            "--max-gap-time 600years",
            "--reanchor-count 0",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
