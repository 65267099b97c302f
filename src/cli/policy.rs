//! The options of the command line for measuring a path: its metric and its filters. A command that measures
//! paths flattens [`PolicyArgs`] into its arguments, after the others.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::measure::{
    ClimbOptions, Elevation, EstimateOptions, ExplicitOptions, InvalidPoints, Metric, Options,
    OptionsError, PLANAR_MAX, Preset, REANCHOR_COUNT, REANCHOR_COUNT_MAX, Reorder, Space,
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

/// A preset on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PresetName(Preset);

impl ValueEnum for PresetName {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [PresetName; Preset::ALL.len()] = {
            let mut variants = [PresetName(Preset::Walk); Preset::ALL.len()];
            let mut at = 0;
            while at < variants.len() {
                variants[at] = PresetName(Preset::ALL[at]);
                at += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

/// Filters for points, limits that start a segment, and further results. All are off by default.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filters (in metres and m/s, or in the unit of planar coordinates)")]
pub(super) struct PolicyArgs {
    /// Set the options for this kind of movement
    ///
    /// Options on the command line have priority. Every preset sets --estimate, --reject-zero-position, --max-speed,
    /// --max-accuracy and --stopped-speed: walk 6 m/s, 50 m, 0.3 m/s; run 12, 50, 0.5; bike 30, 50, 0.8; car 70, 100,
    /// 1; boat 40, 100, 0.5; flight 400, 500, 1; phone 400, 200, 0.5 and --reorder 32
    /// --drop-duplicates.
    #[arg(long, value_enum, value_name = "KIND")]
    preset: Option<PresetName>,

    /// Estimate the true length, with a 90 % interval
    ///
    /// The sum of the legs includes the noise of the receiver. The estimate is a model of noise and movement. It needs
    /// times. docs/lengths.md describes it, and when not to use it.
    #[arg(long)]
    estimate: bool,

    /// Shortest stop of the estimate, such as 2min [default: 1min]
    #[arg(long, value_name = "TIME", value_parser = stop_time, allow_hyphen_values = true)]
    min_stop_time: Option<u64>,

    /// Use of elevations
    #[arg(long, value_enum, value_name = "MODE", default_value_t = ElevationMode::Ignored)]
    elevation: ElevationMode,

    /// Start a segment after a gap in time longer than this, such as 30s
    ///
    /// The gap is the time between a point and the last one before it that has a time and that no rule but --min-step
    /// rejects.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    max_gap_time: Option<u64>,

    /// Start a segment after a gap in distance longer than this
    ///
    /// The gap is the distance between a point and the last one before it that no rule but --min-step rejects.
    #[arg(long, value_name = "DISTANCE", value_parser = positive, allow_negative_numbers = true)]
    max_gap: Option<f64>,

    /// Reject a point that can only be reached at a higher speed
    ///
    /// The speed is that from the last point before it that has a time and that no rule but --min-step rejects. It is
    /// infinite if the point is not later, except at the same position and time. A point without a time passes.
    #[arg(long, value_name = "SPEED", value_parser = positive, allow_negative_numbers = true)]
    max_speed: Option<f64>,

    /// Accept N points that were rejected for time or speed and agree
    ///
    /// Points agree if each one is later than the one before it and can be reached from it within --max-speed. They
    /// start a segment. If the segment before it has only one point, that point is rejected.
    #[arg(
        long, value_name = "N", default_value_t = REANCHOR_COUNT,
        value_parser = |text: &str| count(text, REANCHOR_COUNT_MAX)
    )]
    reanchor_count: u32,

    /// Reject a point nearer than this to the last accepted one
    #[arg(long, value_name = "DISTANCE", value_parser = positive, allow_negative_numbers = true)]
    min_step: Option<f64>,

    /// Reject a point with an accuracy radius, in metres, above this
    #[arg(long, value_name = "METRES", value_parser = positive, allow_negative_numbers = true)]
    max_accuracy: Option<f64>,

    /// Reject a point that is earlier than the one before it
    ///
    /// The point before it is the last one that has a time and that no rule but --min-step rejects.
    #[arg(long)]
    reject_backward_time: bool,

    /// Reject a point at 0,0: many receivers without a fix report it
    #[arg(long)]
    reject_zero_position: bool,

    /// Sort points by time, with a buffer of N points
    ///
    /// At most 256. A point that is earlier than one that has left the buffer is rejected as late.
    #[arg(
        long, value_name = "N",
        value_parser = |text: &str| count(text, Reorder::COUNT_MAX)
    )]
    reorder: Option<u32>,

    /// Sort points by time, with a buffer of this duration
    ///
    /// A point leaves the buffer when it is earlier than the latest one by more than this. A point also leaves when
    /// the buffer has more than --reorder points (256 by default).
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    reorder_time: Option<u64>,

    /// Reject a point with the time and the position of another one in the buffer
    ///
    /// Needs --reorder, --reorder-time or --preset phone. Also rejects a point that equals the last one that has left
    /// the buffer. Points with the same time are sorted by position. No length includes a duplicate.
    #[arg(long)]
    drop_duplicates: bool,

    /// Exclude legs slower than this from the moving time [default: 0.3 m/s]
    ///
    /// Planar paths have no default: without this option they have no moving time.
    #[arg(long, value_name = "SPEED", value_parser = positive, allow_negative_numbers = true)]
    stopped_speed: Option<f64>,

    /// Smallest climb that counts for ascent and descent [default: 3 m]
    ///
    /// A climb is the difference in elevation from the last turning point. Where the elevations are noisy, the limit
    /// rises with their noise, to at most five times this.
    #[arg(long, value_name = "HEIGHT", value_parser = positive, allow_negative_numbers = true)]
    min_climb: Option<f64>,

    /// Average elevations over this time; 0s for none [default: 45s]
    ///
    /// At most 10min. The averages are used for ascent and descent only.
    #[arg(long, value_name = "TIME", value_parser = smoothing, allow_hyphen_values = true)]
    climb_smoothing: Option<u64>,
}

/// An option that does not apply to planar paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is for geographic paths; it cannot be used with --model planar")]
pub(super) struct NotPlanar(&'static str);

/// Options that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum PolicyError {
    #[error(transparent)]
    NotPlanar(#[from] NotPlanar),
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(
        "--drop-duplicates compares the points in a buffer; add --reorder, --reorder-time or --preset phone"
    )]
    NoBuffer,
}

impl PolicyError {
    /// Returns the error of a flag that does not apply to planar paths.
    pub(super) fn not_planar(flag: &'static str) -> Self {
        Self::NotPlanar(NotPlanar(flag))
    }
}

/// The options of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FilledOptions {
    /// Those that arguments set.
    pub given: Options,
    /// The name of the preset.
    pub preset: Option<&'static str>,
    /// Those that arguments or the preset set.
    pub all: Options,
}

impl PolicyArgs {
    /// Returns the options for the points of a file, without those of the preset. `invalid_points` is that of the
    /// reader, [`ReadingArgs::invalid_points`](super::reading::ReadingArgs::invalid_points).
    ///
    /// # Errors
    /// If an option is out of range or does not apply to the metric.
    pub(super) fn given_for_files(
        &self,
        metric: Metric,
        invalid_points: InvalidPoints,
    ) -> Result<Options, PolicyError> {
        let options = self.given(metric)?.to_builder().invalid_points(invalid_points);
        Ok(options.build()?)
    }

    /// Sets the options of the preset that no argument sets.
    pub(super) fn fill(&self, given: Options) -> FilledOptions {
        let Some(PresetName(preset)) = self.preset else {
            return FilledOptions { given, preset: None, all: given };
        };
        // The options for reading files set the treatment of invalid points.
        let explicit =
            ExplicitOptions { stopped_speed: self.stopped_speed.is_some(), invalid_points: true };
        FilledOptions { given, preset: Some(preset.name()), all: preset.fill(given, explicit) }
    }

    /// Returns the options without those of the preset. The parsers of the arguments already check the ranges.
    ///
    /// # Errors
    /// If an option is out of range or does not apply to the metric.
    fn given(&self, metric: Metric) -> Result<Options, PolicyError> {
        let geographic_only = [
            (self.preset.is_some(), "--preset"),
            (self.estimate, "--estimate"),
            (self.min_stop_time.is_some(), "--min-stop-time"),
        ];
        if let Some((_, flag)) = geographic_only.into_iter().find(|(is_set, _)| *is_set)
            && metric.space() == Space::Planar
        {
            return Err(PolicyError::not_planar(flag));
        }
        let defaults = Options::new(metric);
        let mut climb = ClimbOptions::default();
        climb.threshold = self.min_climb.unwrap_or(climb.threshold);
        climb.smoothing_ns = self.climb_smoothing.unwrap_or(climb.smoothing_ns);
        let estimate = (self.estimate || self.min_stop_time.is_some()).then(|| {
            let defaults = EstimateOptions::default();
            let min_stop_ns = self.min_stop_time.unwrap_or(defaults.min_stop_ns);
            EstimateOptions { min_stop_ns, ..defaults }
        });
        let reorder = (self.reorder.is_some() || self.reorder_time.is_some()).then(|| Reorder {
            count: self.reorder.unwrap_or(Reorder::COUNT_MAX),
            time_ns: self.reorder_time,
        });
        let presets_reorder = |PresetName(preset): &PresetName| {
            preset.fill(defaults, ExplicitOptions::default()).reorder().is_some()
        };
        if self.drop_duplicates
            && reorder.is_none()
            && !self.preset.as_ref().is_some_and(presets_reorder)
        {
            return Err(PolicyError::NoBuffer);
        }
        Ok(Options::builder(metric)
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
            .reject_zero_position(self.reject_zero_position)
            .reorder(reorder)
            .drop_duplicates(self.drop_duplicates && reorder.is_some())
            .stopped_speed(self.stopped_speed.or(defaults.stopped_speed()))
            .climb(climb)
            .estimate(estimate)
            .build()?)
    }

    /// Returns whether an argument asks for something that only a detailed report shows. The effects of a preset and
    /// the estimate are in each report.
    pub(super) fn needs_details(&self) -> bool {
        Self { preset: None, estimate: false, ..self.clone() }.first_set().is_some()
    }

    /// Returns the first argument whose value is not the default.
    pub(super) fn first_set(&self) -> Option<&'static str> {
        let set = [
            (self.preset.is_some(), "--preset"),
            (self.estimate, "--estimate"),
            (self.min_stop_time.is_some(), "--min-stop-time"),
            (self.elevation != ElevationMode::Ignored, "--elevation"),
            (self.max_gap_time.is_some(), "--max-gap-time"),
            (self.max_gap.is_some(), "--max-gap"),
            (self.max_speed.is_some(), "--max-speed"),
            (self.reanchor_count != REANCHOR_COUNT, "--reanchor-count"),
            (self.min_step.is_some(), "--min-step"),
            (self.max_accuracy.is_some(), "--max-accuracy"),
            (self.reject_backward_time, "--reject-backward-time"),
            (self.reject_zero_position, "--reject-zero-position"),
            (self.reorder.is_some(), "--reorder"),
            (self.reorder_time.is_some(), "--reorder-time"),
            (self.drop_duplicates, "--drop-duplicates"),
            (self.stopped_speed.is_some(), "--stopped-speed"),
            (self.min_climb.is_some(), "--min-climb"),
            (self.climb_smoothing.is_some(), "--climb-smoothing"),
        ];
        set.into_iter().find_map(|(is_set, argument)| is_set.then_some(argument))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= PLANAR_MAX => Ok(value),
        Ok(_) => Err("must be above 0 and at most 1 099 511 627 776".to_owned()),
        Err(_) => Err("must be a number without a unit".to_owned()),
    }
}

/// Parses a whole number from 1 to `max`.
fn count(text: &str, max: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("must be a whole number from 1 to {max}"))
}

/// Parses a time above 0. Returns nanoseconds.
fn time(text: &str) -> Result<u64, String> {
    match nanoseconds(text)? {
        0 => Err("must be above 0".to_owned()),
        ns => Ok(ns),
    }
}

/// Parses the time of a stop. Returns nanoseconds.
fn stop_time(text: &str) -> Result<u64, String> {
    match nanoseconds(text)? {
        ns if ns < 1_000_000_000 => Err("must be at least 1s".to_owned()),
        ns => Ok(ns),
    }
}

/// Parses a smoothing time, which may be 0. Returns nanoseconds.
fn smoothing(text: &str) -> Result<u64, String> {
    match nanoseconds(text)? {
        ns if ns > ClimbOptions::SMOOTHING_MAX_NS => Err("must be at most 10min".to_owned()),
        ns => Ok(ns),
    }
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    let time: Duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 30s or 5min"))?;
    u64::try_from(time.as_nanos()).map_err(|_| "must be below 584 years".to_owned())
}

#[cfg(test)]
mod tests;
