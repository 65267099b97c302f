//! The fixes of a recording that the server has made durable.
//!
//! When the server first has points, those of the source are compared with them, so that the recorder does not take the
//! points of another client for its own.

use super::RecordError;
use crate::measure::{
    Bounds, Fix, FixBlock, Options, PathAccumulator, PathSummary, Rejection, RejectionReason, Space,
};
use crate::recording::RecordingName;

/// The relative tolerance for equal lengths. Another platform may compute other last bits of long legs.
const LENGTH_TOLERANCE: f64 = 1e-9;

/// The first fixes of the source, in order: those that were removed from the buffer or skipped, because the server has
/// them. They are measured only for a comparison, because that costs a fifth to a half of the time of sending.
pub(super) struct DurablePrefix {
    name: RecordingName,
    options: Options,
    count: u64,
    comparison: Option<Box<Comparison>>,
}

/// The summary of the server for its points, and the first fixes of the source, until they are as many.
struct Comparison {
    stored: PathSummary,
    accumulator: PathAccumulator,
    /// The last fixes, which are not in the accumulator.
    block: FixBlock,
}

impl DurablePrefix {
    pub(super) fn new(name: RecordingName, options: Options) -> Self {
        Self { name, options, count: 0, comparison: None }
    }

    /// Sets the summary of the server for its points, if no fix was added yet. Earlier fixes are not known any more.
    pub(super) fn expect(&mut self, stored: PathSummary) {
        let metric = self.options.metric();
        // The options were compared before.
        if self.count == 0 && stored.point_count > 0 && stored.metric == metric {
            let (accumulator, block) = (PathAccumulator::new(self.options), FixBlock::new(metric));
            self.comparison = Some(Box::new(Comparison { stored, accumulator, block }));
        }
    }

    /// Appends the next fix. After as many fixes as the server has, compares them with its summary.
    ///
    /// # Errors
    /// The fixes differ from the points of the server.
    pub(super) fn push(&mut self, fix: Fix) -> Result<(), RecordError> {
        self.count += 1;
        let Some(comparison) = &mut self.comparison else { return Ok(()) };
        let Comparison { stored, accumulator, block } = &mut **comparison;
        let differs =
            || RecordError::SourceDiffers { name: self.name.clone(), stored: stored.point_count };
        block.push(fix).map_err(|_| differs())?;
        let is_last = self.count == stored.point_count;
        if block.is_full() || is_last {
            accumulator.fold(block).map_err(|_| differs())?;
        }
        if is_last {
            if !is_same(stored, &accumulator.summary(), accumulator.options()) {
                return Err(differs());
            }
            self.comparison = None;
        }
        Ok(())
    }
}

/// Returns whether two summaries can be of the same path. Coordinates are bit-identical on all platforms. Lengths
/// have a tolerance.
fn is_same(stored: &PathSummary, measured: &PathSummary, options: &Options) -> bool {
    let difference = (stored.raw_length - measured.raw_length).abs();
    // An older server accepts other fixes where times decrease, and the bounds are those of the accepted fixes.
    let has_same_filter = options.max_speed().is_none();
    stored.point_count == measured.point_count
        && invalid_count(stored) == invalid_count(measured)
        && (!has_same_filter || can_be_same_box(stored, measured))
        && difference <= LENGTH_TOLERANCE * measured.raw_length
}

/// Returns whether two boxes can be of the same path. They are bit-identical on all platforms, except that a box of an
/// older server contains the points without the legs. It can then be lower than the measured box, and it differs in
/// longitudes only if one of them is at least 180 degrees wide.
fn can_be_same_box(stored: &PathSummary, measured: &PathSummary) -> bool {
    let (Some(stored_box), Some(measured_box)) = (stored.bounds, measured.bounds) else {
        return stored.bounds.is_none();
    };
    if measured.metric.space() == Space::Planar {
        return stored_box == measured_box;
    }
    let ends = |bounds: Bounds| {
        // Both longitudes are the antimeridian.
        [bounds.min_x, bounds.max_x].map(|x| if x == -180.0 { 180.0 } else { x })
    };
    let ([west, east], is_full) =
        (ends(measured_box), measured_box.max_x - measured_box.min_x == 360.0);
    let width = if east < west { east + 360.0 - west } else { east - west };
    (is_full || width >= 180.0 || ends(stored_box) == [west, east])
        && measured_box.min_y <= stored_box.min_y
        && stored_box.max_y <= measured_box.max_y
}

/// Returns the number of fixes without a position.
fn invalid_count(summary: &PathSummary) -> u64 {
    let is_invalid = |rejection: &&Rejection| rejection.reason == RejectionReason::InvalidPosition;
    summary.rejections.iter().find(is_invalid).map_or(0, |rejection| rejection.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, Point};

    fn summary(metric: Metric, points: &[(f64, f64)]) -> PathSummary {
        let mut path = PathAccumulator::new(Options::new(metric));
        let fix = |&(x, y): &(f64, f64)| Fix::new(Point::new(metric.space(), x, y).unwrap());
        path.extend(&points.iter().map(fix).collect::<Vec<_>>()).unwrap();
        path.summary()
    }

    fn is_same_with(measured: &PathSummary, [west, south, east, north]: [f64; 4]) -> bool {
        let mut stored = measured.clone();
        let bounds = stored.bounds.as_mut().unwrap();
        (bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y) = (west, south, east, north);
        is_same(&stored, measured, &Options::new(measured.metric))
    }

    #[test]
    fn the_box_of_an_older_server_is_recognized() {
        let local = summary(Metric::Geodesic, &[(10.0, 50.0), (11.0, 50.0), (10.5, 49.0)]);
        assert!(is_same(&local, &local, &Options::new(Metric::Geodesic)));
        // The points alone.
        assert!(is_same_with(&local, [10.0, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.1, 50.0]));
        assert!(!is_same_with(&local, [9.9, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 48.9, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.0, 50.1]));
        let mut none = local.clone();
        none.bounds = None;
        assert!(is_same(&none, &local, &Options::new(Metric::Geodesic)));
        assert!(!is_same(&local, &none, &Options::new(Metric::Geodesic)));
        // A box of points on the antimeridian, on its other side.
        let antimeridian = summary(Metric::Geodesic, &[(180.0, 1.0), (-170.0, 1.0)]);
        assert!(is_same_with(&antimeridian, [180.0, 1.0, -170.0, 1.0]));
        assert!(!is_same_with(&antimeridian, [-10.0, 1.0, -170.0, 1.0]));
        // Around the Earth, and over a pole.
        let wide = summary(Metric::Geodesic, &[(-85.0, 0.0), (85.0, 0.0), (110.0, 0.0)]);
        assert!(is_same_with(&wide, [85.0, 0.0, -85.0, 0.0]));
        let pole = summary(Metric::Haversine, &[(0.0, 80.0), (180.0, 80.0)]);
        assert!(is_same_with(&pole, [0.0, 80.0, 180.0, 80.0]));
        let planar = summary(Metric::Planar, &[(0.0, 0.0), (4.0, 3.0)]);
        assert!(is_same_with(&planar, [0.0, 0.0, 4.0, 3.0]));
        assert!(!is_same_with(&planar, [0.0, 0.0, 4.0, 2.0]));
    }
}
