//! The methods that are compared: lengths of one path of fixes.

use waywiser::measure::{
    EstimateOptions, EstimatedLength, Fix, Metric, Options, PathAccumulator, PathSummary,
};

/// The names of the methods, in the order of [`Lengths::all`].
pub const METHODS: [&str; 5] = ["raw", "min-step 5", "min-step 10", "Traccar", "estimate"];
/// The index of the estimate.
pub const ESTIMATE: usize = 4;

/// The lengths of a path in metres.
pub struct Lengths {
    filtered: [f64; 4],
    pub estimate: EstimatedLength,
}

impl Lengths {
    /// Returns the lengths, or `None` if the path has no estimate.
    pub fn of(fixes: &[Fix]) -> Option<Self> {
        let options =
            |min_step: f64| Options::builder(Metric::Geodesic).min_step(min_step).build().unwrap();
        let estimated = summary(estimating(), fixes);
        Some(Self {
            filtered: [
                estimated.raw_length,
                summary(options(5.0), fixes).length,
                summary(options(10.0), fixes).length,
                traccar(fixes),
            ],
            estimate: estimated.estimate?,
        })
    }

    pub fn all(&self) -> [f64; METHODS.len()] {
        let [raw, step_5, step_10, traccar] = self.filtered;
        [raw, step_5, step_10, traccar, self.estimate.length_m]
    }
}

/// Returns the options of the estimate.
pub fn estimating() -> Options {
    Options::builder(Metric::Geodesic).estimate(EstimateOptions::default()).build().unwrap()
}

fn summary(options: Options, fixes: &[Fix]) -> PathSummary {
    let mut path = PathAccumulator::new(options);
    path.extend(fixes).unwrap();
    path.summary()
}

/// The settings of Traccar's filter. Its documentation suggests no values for the first two.
const FILTER_DISTANCE_M: f64 = 15.0;
const FILTER_SKIP_LIMIT_S: f64 = 300.0;
const FILTER_MAX_SPEED_KNOTS: f64 = 25_000.0;
const KNOT_MPS: f64 = 1852.0 / 3600.0;

/// Returns the length of the path that the filter of the tracking server Traccar leaves, as its documentation describes
/// the settings `filter.distance`, `filter.skipLimit` and `filter.maxSpeed`:
/// <https://www.traccar.org/configuration-file/>.
///
/// A position that is nearer to the last one than the distance is ignored, and so is one that needs a higher speed. A
/// position that is received later than the skip limit after the last one is never ignored.
fn traccar(fixes: &[Fix]) -> f64 {
    let mut length_m = 0.0;
    let mut last: Option<Fix> = None;
    for &fix in fixes {
        let Some(before) = last.filter(|_| !fix.starts_segment()) else {
            last = Some(fix);
            continue;
        };
        let (Some(from), Some(to)) = (before.point(), fix.point()) else { continue };
        let (Some(from_ns), Some(to_ns)) = (before.unix_ns(), fix.unix_ns()) else { continue };
        let distance_m = Metric::Geodesic.distance(from, to).unwrap();
        let elapsed_s = (to_ns - from_ns) as f64 / 1e9;
        let is_filtered = distance_m < FILTER_DISTANCE_M
            || distance_m > FILTER_MAX_SPEED_KNOTS * KNOT_MPS * elapsed_s;
        if elapsed_s > FILTER_SKIP_LIMIT_S || !is_filtered {
            length_m += distance_m;
            last = Some(fix);
        }
    }
    length_m
}
