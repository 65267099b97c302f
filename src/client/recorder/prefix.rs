//! The fixes of a recording that the server has made durable.
//!
//! When the server first has points, those of the source are compared with them, so that the recorder does not take the
//! points of another client for its own. Later the last durable point is compared, which costs nothing.

use super::RecordError;
use crate::measure::{
    Bounds, Fix, FixBlock, Options, PathAccumulator, PathSummary, Rejection, RejectionReason, Space,
};
use crate::recording::RecordingName;

/// The relative tolerance for equal lengths. Another platform may compute other last bits of long legs.
const LENGTH_TOLERANCE: f64 = 1e-9;
/// The relative tolerance for equal coordinates. They are sent in another unit than that of the calculation.
const COORDINATE_TOLERANCE: f64 = 1e-12;

/// The first fixes of the source, in order: those that were removed from the buffer or skipped, because the server has
/// them. They are measured only for a comparison, because that costs a fifth to a half of the time of sending.
pub(super) struct DurablePrefix {
    name: RecordingName,
    options: Options,
    count: u64,
    comparison: Option<Box<Comparison>>,
    /// A number of durable points and the last of them.
    last: Option<(u64, Fix)>,
}

/// The summary of the server for its points, and the first fixes of the source, until they are as many.
struct Comparison {
    stored: PathSummary,
    /// The last checked point of the server. An earlier version does not send it.
    stored_last: Option<Fix>,
    accumulator: PathAccumulator,
    /// The last fixes, which are not in the accumulator.
    block: FixBlock,
}

impl DurablePrefix {
    pub(super) fn new(name: RecordingName, options: Options) -> Self {
        Self { name, options, count: 0, comparison: None, last: None }
    }

    /// Sets the summary and the last checked point of the server, if no fix was added yet. Earlier fixes are not known
    /// any more.
    pub(super) fn expect(&mut self, stored: PathSummary, stored_last: Option<Fix>) {
        let metric = self.options.metric();
        // The options were compared before.
        if self.count == 0 && stored.point_count > 0 && stored.metric == metric {
            let (accumulator, block) = (PathAccumulator::new(self.options), FixBlock::new(metric));
            self.comparison =
                Some(Box::new(Comparison { stored, stored_last, accumulator, block }));
        }
    }

    /// Sets the last checked point of the first `count` ones. With filters or a new order, it need not be the last one that
    /// was sent.
    pub(super) fn expect_last(&mut self, count: u64, last: Option<Fix>) {
        if count > self.count && !self.options.is_selective() {
            self.last = last.map(|last| (count, last));
        }
    }

    /// Appends the next fix. After as many fixes as the server has, compares them with its summary.
    ///
    /// # Errors
    /// The fixes differ from the points of the server.
    pub(super) fn push(&mut self, fix: Fix) -> Result<(), RecordError> {
        self.count += 1;
        let differs = || RecordError::SourceDiffers { name: self.name.clone(), stored: self.count };
        if let Some((_, last)) = self.last.take_if(|(count, _)| *count == self.count)
            && fix.point().is_some()
            && !is_same_fix(&last, &fix)
        {
            return Err(differs());
        }
        let Some(comparison) = &mut self.comparison else { return Ok(()) };
        let Comparison { stored, stored_last, accumulator, block } = &mut **comparison;
        let differs =
            || RecordError::SourceDiffers { name: self.name.clone(), stored: stored.point_count };
        block.push(fix).map_err(|_| differs())?;
        let is_last = self.count == stored.point_count;
        if block.is_full() || is_last {
            accumulator.fold(block).map_err(|_| differs())?;
        }
        if is_last {
            if !is_same(stored, stored_last.as_ref(), accumulator) {
                return Err(differs());
            }
            self.comparison = None;
        }
        Ok(())
    }
}

/// Returns whether what a server has stored can be of the path of an accumulator.
fn is_same(stored: &PathSummary, stored_last: Option<&Fix>, path: &PathAccumulator) -> bool {
    let (measured, options) = (&path.summary(), path.options());
    let is_near = |stored: f64, length: f64| {
        (stored - length).abs() <= LENGTH_TOLERANCE * measured.raw_length
    };
    let has_same_positions = stored.point_count == measured.point_count
        && invalid_count(stored) == invalid_count(measured)
        && is_near(stored.raw_length, measured.raw_length);
    let Some(stored_last) = stored_last else {
        // An older server accepts other fixes where times decrease, and the bounds are those of the accepted fixes.
        let has_same_filter = options.max_speed().is_none();
        return has_same_positions && (!has_same_filter || can_be_same_box(stored, measured));
    };
    has_same_positions
        && can_be_same_box(stored, measured)
        && path.last_fix().is_some_and(|last| is_same_fix(stored_last, &last))
        && stored.elapsed_ns == measured.elapsed_ns
        && stored.accepted_count == measured.accepted_count
        && stored.segment_count == measured.segment_count
        && counts(stored).eq(counts(measured))
        && is_near(stored.length, measured.length)
        && is_near(stored.displacement, measured.displacement)
        && are_near(stored.raw_ascent, measured.raw_ascent)
        && are_near(stored.raw_descent, measured.raw_descent)
        && windows(stored).eq(windows(measured))
}

/// Returns whether two fixes have the same position and the same time. A path may not have kept the time of its last fix.
fn is_same_fix(stored: &Fix, fix: &Fix) -> bool {
    let (Some(stored_point), Some(point)) = (stored.point(), fix.point()) else { return false };
    let is_near = |stored: f64, value: f64| {
        (stored - value).abs() <= COORDINATE_TOLERANCE * stored.abs().max(value.abs())
    };
    let (stored_at, at) = (stored_point.canonical(), point.canonical());
    stored_point.space() == point.space()
        && is_near(stored_at.0, at.0)
        && is_near(stored_at.1, at.1)
        && stored.unix_ns().is_none_or(|time| fix.unix_ns() == Some(time))
}

/// Returns whether two sums of differences of elevation are equal or both unknown.
fn are_near(stored: Option<f64>, measured: Option<f64>) -> bool {
    match (stored, measured) {
        (Some(stored), Some(measured)) => {
            (stored - measured).abs() <= LENGTH_TOLERANCE * measured.max(1.0)
        }
        (stored, measured) => stored == measured,
    }
}

/// Returns what is known of the rejected fixes, without lengths.
fn counts(summary: &PathSummary) -> impl Iterator<Item = (RejectionReason, u64, u64)> {
    summary.rejections.iter().map(|rejection| {
        let Rejection { reason, count, first_offset, .. } = *rejection;
        (reason, count, first_offset)
    })
}

/// Returns the starts and the counts of fixes of the windows.
fn windows(summary: &PathSummary) -> impl Iterator<Item = (i64, u64)> {
    let windows = summary.windows.iter().flat_map(|windows| &windows.windows);
    windows.map(|window| (window.start_unix_s, window.point_count))
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
        can_be_same_box(&stored, measured)
    }

    #[test]
    fn the_last_durable_point_is_compared_with_the_source() {
        let at = |x: f64, second: i64| {
            Fix::new(Point::geographic(46.0, x).unwrap())
                .at_unix_ns(second * 1_000_000_000)
                .unwrap()
        };
        let name: RecordingName = "paths/a".parse().unwrap();
        let plain = Options::new(Metric::Geodesic);
        for (last, is_same) in [
            (at(14.2, 2), true),
            (Fix::new(Point::geographic(46.0, 14.2).unwrap()), true),
            (at(14.2, 3), false),
            (at(14.200_000_1, 2), false),
        ] {
            let mut prefix = DurablePrefix::new(name.clone(), plain);
            prefix.expect_last(2, Some(last));
            prefix.push(at(14.1, 1)).unwrap();
            assert_eq!(prefix.push(at(14.2, 2)).is_ok(), is_same, "{last:?}");
            // It was compared.
            prefix.expect_last(2, Some(at(0.0, 0)));
            prefix.push(at(14.3, 3)).unwrap();
        }
        // With filters, the last point that no rule rejects may be an earlier one.
        let filtered = Options::builder(Metric::Geodesic).max_speed(1.0).build().unwrap();
        let mut prefix = DurablePrefix::new(name, filtered);
        prefix.expect_last(1, Some(at(14.2, 2)));
        prefix.push(at(14.1, 1)).unwrap();
    }

    #[test]
    fn the_box_of_an_older_server_is_recognized() {
        let local = summary(Metric::Geodesic, &[(10.0, 50.0), (11.0, 50.0), (10.5, 49.0)]);
        assert!(can_be_same_box(&local, &local));
        // The points alone.
        assert!(is_same_with(&local, [10.0, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.1, 50.0]));
        assert!(!is_same_with(&local, [9.9, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 48.9, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.0, 50.1]));
        let mut none = local.clone();
        none.bounds = None;
        assert!(can_be_same_box(&none, &local));
        assert!(!can_be_same_box(&local, &none));
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
