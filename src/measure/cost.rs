//! Estimates the processor time of folding from the points alone, without a clock.
//!
//! The server uses the estimate to yield to other streams in time. The time per point differs by a factor of
//! 1000: a leg of a few kilometres takes 2 ns in a block, and a leg across the Earth takes 1 us with Karney's
//! algorithm. Therefore the metrics count the legs that they measure one by one.
//!
//! The constants were measured with a release build on an AMD EPYC of 2024 with AVX-512: the least time of many
//! runs, rounded up. Where the time depends on the order of the points, it is that of the worst order. On another
//! processor all of them change by about the same factor, which cancels out if a caller compares sums of them.

use std::ops::{Add, AddAssign};

/// An estimate of processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// Nanoseconds on a current server processor.
    pub(crate) ns: u64,
}

/// The fixed time per block.
pub(super) const BLOCK_NS: u64 = 150;
/// The time per point of a block without a filter, times and elevations.
pub(super) const PLAIN_POINT_NS: u64 = 2;
/// The time per point with a time or an elevation: 25 ns with a time, 40 ns with both.
pub(super) const STATS_POINT_NS: u64 = 40;
/// The time per point with a filter, without the distances that the filter computes.
pub(super) const FILTERED_POINT_NS: u64 = 50;
/// The additional time per point that is put in the order of its time: 30 ns if few are late, and 150 ns if a buffer
/// of 256 reverses them.
pub(super) const REORDERED_POINT_NS: u64 = 150;
/// The additional time per point with windows: 5 ns in order of time, and 110 ns if each leg crosses a boundary. New
/// windows cost more, and so do legs across many boundaries, up to a limit per path.
pub(super) const WINDOWED_POINT_NS: u64 = 110;
/// The additional time per boundary after the first one of a leg, if the latest windows are kept: there is then no limit
/// per path. This one is estimated as twice the time of the first boundary, because a dropped window is computed again.
pub(super) const EXTRA_CROSSING_NS: u64 = 220;
/// The additional time per point with an estimate: 350 ns, and 530 ns if every second interval ends a piece.
pub(super) const ESTIMATED_POINT_NS: u64 = 550;
/// The time per point without a valid position.
pub(super) const INVALID_POINT_NS: u64 = 5;
/// The time per planar distance that a filter computes.
pub(super) const SINGLE_PLANAR_LEG_NS: u64 = 5;
/// The time per geographic distance that a filter computes.
pub(super) const SINGLE_GEOGRAPHIC_LEG_NS: u64 = 25;
/// The additional time per leg that is too long for the series of the haversine.
pub(super) const LONG_HAVERSINE_LEG_NS: u64 = 50;
/// The additional time per leg with Karney's algorithm: 550 ns for 40 km, 850 ns on average across the Earth,
/// 1250 ns at most.
pub(super) const LONG_GEODESIC_LEG_NS: u64 = 1000;
/// The time to find out whether a leg that spans more than half a radian can leave the bounding box.
pub(super) const VERTEX_LIMIT_NS: u64 = 100;
/// The additional time per vertex of a leg on the sphere. Only long legs that can leave the bounding box have one.
pub(super) const HAVERSINE_VERTEX_NS: u64 = 150;
/// The same on the ellipsoid, with an iteration.
pub(super) const GEODESIC_VERTEX_NS: u64 = 800;
/// The same for nearly antipodal points, with a bisection.
pub(super) const ANTIPODAL_VERTEX_NS: u64 = 10_000;

impl Cost {
    /// Returns the cost of a block of `points` points without long legs.
    pub(super) fn of_block(points: usize, point_ns: u64) -> Self {
        Self { ns: BLOCK_NS + points as u64 * point_ns }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ns: self.ns.saturating_add(other.ns) }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::{
        Fix, FixBlock, Metric, Options, PathAccumulator, Point, Polyline, Space, WindowOptions,
        WindowUnit, Zone,
    };

    fn cost(options: Options, fixes: &[Fix]) -> Cost {
        let mut path = PathAccumulator::new(options);
        let mut block = FixBlock::new(options.metric);
        fixes.iter().for_each(|&fix| block.push(fix).unwrap());
        path.fold_with_cost(&mut block).unwrap()
    }

    fn fixes(metric: Metric, step: f64, count: usize) -> Vec<Fix> {
        (0..count)
            .map(|i| {
                let (x, y) = ((i % 2) as f64 * step, 1.0);
                Fix::new(Point::new(metric.space(), x, y).unwrap()).at_unix_ns(i as i64).unwrap()
            })
            .collect()
    }

    #[test]
    fn each_boundary_in_a_leg_adds_to_the_cost_if_the_latest_windows_are_kept() {
        let windows = WindowOptions::new(WindowUnit::Day, Zone::UTC);
        let windows = WindowOptions { max_windows: 3, keep_latest: true, ..windows };
        for max_speed in [None, Some(1e9)] {
            let options = Options::builder(Metric::Planar).windows(windows).max_speed(max_speed);
            let options = options.build().unwrap();
            // Days from one fix to the next one.
            let cost = |days: i64| {
                let fix = |i: i64| {
                    let fix = Fix::new(Point::planar(i as f64, 0.0).unwrap());
                    fix.at_unix_ns((i * days * 86_400 + 43_200) * 1_000_000_000).unwrap()
                };
                cost(options, &(0..11).map(fix).collect::<Vec<_>>())
            };
            assert_eq!(cost(50).ns - cost(1).ns, 10 * 49 * EXTRA_CROSSING_NS);
            // Such a leg is not divided.
            assert_eq!(cost(64), cost(1));
        }
    }

    #[test]
    fn each_long_leg_adds_the_cost_of_its_algorithm() {
        for (metric, leg_ns) in [
            (Metric::Planar, 0),
            // Each leg can leave the bounding box.
            (Metric::Haversine, LONG_HAVERSINE_LEG_NS + VERTEX_LIMIT_NS + HAVERSINE_VERTEX_NS),
            (Metric::Geodesic, LONG_GEODESIC_LEG_NS + VERTEX_LIMIT_NS + GEODESIC_VERTEX_NS),
        ] {
            let options = Options::new(metric);
            let base = cost(options, &fixes(metric, 0.001, 256));
            assert_eq!(base, Cost::of_block(256, STATS_POINT_NS));
            let long = cost(options, &fixes(metric, 170.0, 256));
            assert_eq!(long.ns - base.ns, 255 * leg_ns, "{metric}");
            // A filter adds the cost of the distances from the last accepted fix.
            let options = options.to_builder().max_speed(1e-3).reanchor_count(16).build().unwrap();
            let filtered = cost(options, &fixes(metric, 170.0, 256));
            assert!(filtered.ns > base.ns + 255 * leg_ns, "{metric}");
        }
    }

    proptest! {
        /// Near points are within 0.0072° of longitude, so that no leg is searched for its northernmost point.
        #[test]
        fn a_polyline_and_an_accumulator_have_the_same_cost(
            points in prop::collection::vec((-180_f64..180.0, -90_f64..90.0), 1..256),
            near: bool,
        ) {
            let points: Vec<_> = points
                .into_iter()
                .map(|(x, y)| if near { (x / 5e4, y / 5e4) } else { (x, y) })
                .map(|(x, y)| Point::new(Space::Geographic, x, y).unwrap())
                .collect();
            for metric in [Metric::Haversine, Metric::Geodesic] {
                let fixes: Vec<_> = points.iter().map(|&point| Fix::new(point)).collect();
                let mut block = crate::measure::PointBlock::new(metric.space());
                for point in &points {
                    let (x, y) = point.canonical();
                    block.push_canonical(x, y);
                }
                let by_path = Polyline::new(metric).fold_with_cost(&mut block).unwrap();
                prop_assert_eq!(by_path, cost(Options::new(metric), &fixes));
                prop_assert!(!near || by_path == Cost::of_block(points.len(), PLAIN_POINT_NS));
            }
        }
    }
}
