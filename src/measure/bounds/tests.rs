//! Boxes of examples, and random paths in comparison with the union of arcs on a circle.

use proptest::prelude::*;

use super::*;
use crate::measure::point_block::PointBlock;
use crate::measure::polyline::Polyline;

mod vertices;

/// Returns the box of segments, whose points are longitude and latitude in degrees.
fn bounds(metric: Metric, segments: &[&[(f64, f64)]]) -> [f64; 4] {
    let mut path = Polyline::new(metric);
    for segment in segments {
        path.start_segment();
        let points = segment.iter().map(|&(x, y)| Point::new(metric.space(), x, y).unwrap());
        path.extend(&points.collect::<Vec<_>>()).unwrap();
    }
    let bounds = path.summary().bounds.unwrap();
    [bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y]
}

/// Returns the western and the eastern longitude of segments on the equator.
fn longitudes(segments: &[&[f64]]) -> (f64, f64) {
    let segments = segments.iter().map(|segment| segment.iter().map(|&x| (x, 0.0)).collect());
    let segments: Vec<Vec<_>> = segments.collect();
    let segments: Vec<&[_]> = segments.iter().map(|segment| &segment[..]).collect();
    let [west, _, east, _] = bounds(Metric::Haversine, &segments);
    (west, east)
}

#[test]
fn the_box_of_one_segment_contains_its_legs() {
    // London, Dubai, Tokyo, Fiji, Samoa.
    assert_eq!(longitudes(&[&[-0.1, 55.3, 139.7, 178.4, -172.1]]), (-0.1, -172.1));
    assert_eq!(longitudes(&[&[-85.0, 85.0, 110.0]]), (-85.0, 110.0));
    assert_eq!(longitudes(&[&[-1.0, 2.0]]), (-1.0, 2.0));
    assert_eq!(longitudes(&[&[179.0, -178.0]]), (179.0, -178.0));
    assert_eq!(longitudes(&[&[179.0, -178.0, 100.0]]), (100.0, -178.0));
    assert_eq!(longitudes(&[&[-100.0, 100.0]]), (100.0, -100.0));
    assert_eq!(longitudes(&[&[100.0, 0.0, -100.0]]), (-100.0, 100.0));
    assert_eq!(longitudes(&[&[-170.0, 170.0, 20.0]]), (20.0, -170.0));
    // Around the Earth, completely and nearly.
    assert_eq!(longitudes(&[&[0.0, 120.0, -120.0, 0.0]]), (-180.0, 180.0));
    assert_eq!(longitudes(&[&[22.5, 120.0, -120.0, 0.0]]), (22.5, 0.0));
    assert_eq!(longitudes(&[&[22.4, 120.0, -120.0, 0.0]]), (-180.0, 180.0));
}

#[test]
fn the_box_of_points_and_segments_leaves_out_the_widest_gap() {
    assert_eq!(longitudes(&[&[-5.0]]), (-5.0, -5.0));
    assert_eq!(longitudes(&[&[-85.0], &[85.0], &[110.0]]), (85.0, -85.0));
    assert_eq!(longitudes(&[&[-100.0], &[0.0], &[100.0]]), (-100.0, 100.0));
    assert_eq!(longitudes(&[&[170.0], &[-170.0]]), (170.0, -170.0));
    assert_eq!(longitudes(&[&[-80.0, 0.0], &[150.0, -150.0]]), (150.0, 0.0));
    // Of two gaps of the same width, the one that begins farthest east.
    assert_eq!(longitudes(&[&[-90.0], &[90.0]]), (-90.0, 90.0));
    assert_eq!(longitudes(&[&[0.0], &[180.0]]), (-180.0, 0.0));
    let everywhere: Vec<f64> = (0..17).map(|i| f64::from(i) * 21.2 - 179.9).collect();
    let points: Vec<&[f64]> = everywhere.iter().map(std::slice::from_ref).collect();
    assert_eq!(longitudes(&points), (-180.0, 180.0));
    let sixteen: Vec<f64> = (0..16).map(|i| f64::from(i) * 22.5 - 175.0).collect();
    let points: Vec<&[f64]> = sixteen.iter().map(std::slice::from_ref).collect();
    assert_eq!(longitudes(&points), (-175.0, 162.5));
}

#[test]
fn the_antimeridian_is_180_in_the_east_and_minus_180_in_the_west() {
    for x in [180.0, -180.0] {
        assert_eq!(longitudes(&[&[x]]), (180.0, 180.0));
        assert_eq!(longitudes(&[&[x, -x]]), (180.0, 180.0));
        assert_eq!(longitudes(&[&[170.0, x]]), (170.0, 180.0));
        assert_eq!(longitudes(&[&[x, -170.0]]), (-180.0, -170.0));
        assert_eq!(longitudes(&[&[x], &[10.0]]), (10.0, 180.0));
        assert_eq!(longitudes(&[&[170.0, x, -170.0]]), (170.0, -170.0));
    }
}

#[test]
fn a_box_with_a_pole_has_all_longitudes() {
    for metric in [Metric::Haversine, Metric::Geodesic] {
        let all = |south, north| [-180.0, south, 180.0, north];
        assert_eq!(bounds(metric, &[&[(10.0, 80.0), (-170.0, 85.0)]]), all(80.0, 90.0));
        assert_eq!(bounds(metric, &[&[(10.0, 20.0), (-170.0, -30.0)]]), all(-90.0, 20.0));
        assert_eq!(bounds(metric, &[&[(10.0, 20.0), (-170.0, -20.0)]]), all(-20.0, 90.0));
        assert_eq!(bounds(metric, &[&[(-170.0, -20.0), (10.0, 20.0)]]), all(-20.0, 90.0));
        assert_eq!(bounds(metric, &[&[(10.0, 90.0)]]), all(90.0, 90.0));
        assert_eq!(bounds(metric, &[&[(10.0, -90.0), (30.0, 20.0)]]), all(-90.0, 20.0));
        // A path around a pole does not contain it.
        let [west, south, east, north] = bounds(
            metric,
            &[&[(0.0, 88.0), (90.0, 88.0), (180.0, 88.0), (-90.0, 88.0), (0.0, 88.0)]],
        );
        assert_eq!([west, south, east], [-180.0, 88.0, 180.0]);
        assert!((88.58..88.6).contains(&north), "{north}");
        // Next to a pole, but not over it.
        let [west, _, east, north] = bounds(metric, &[&[(0.0, 89.0), (179.999, 89.0)]]);
        assert_eq!((west, east), (0.0, 179.999));
        assert!((89.9999..90.0).contains(&north), "{north}");
    }
}

#[test]
fn a_planar_box_has_minima_and_maxima() {
    let segments: [&[(f64, f64)]; 2] = [&[(-400.0, 7.0), (1e9, -3.0)], &[(1e12, 1e3)]];
    assert_eq!(bounds(Metric::Planar, &segments), [-400.0, -3.0, 1e12, 1e3]);
    assert_eq!(Extent::EMPTY.bounds(Space::Planar), None);
    assert_eq!(Extent::EMPTY.bounds(Space::Geographic), None);
}

/// Longitudes in E7: boundaries of sectors and others.
fn longitude() -> impl Strategy<Value = i64> {
    let degrees = |step: f64| move |i: i64| (i as f64 * step * 1e7) as i64;
    prop_oneof![
        (-8..=8_i64).prop_map(degrees(22.5)),
        (-36..=36_i64).prop_map(degrees(5.0)),
        -1_800_000_000..=1_800_000_000_i64,
    ]
}

const TURN: i64 = 3_600_000_000;
const HALF_TURN: i64 = TURN / 2;

/// Returns the longitudes of the box of segments, from the union of arcs.
fn union_of_arcs(segments: &[Vec<i64>]) -> [i64; 2] {
    // Arcs from a longitude at least -180 and below 180 degrees, eastwards.
    let mut arcs = vec![];
    let wrap = |x: i64| (x + HALF_TURN).rem_euclid(TURN) - HALF_TURN;
    for segment in segments {
        arcs.extend(segment.iter().map(|&x| (wrap(x), 0)));
        for leg in segment.windows(2) {
            let eastwards = (leg[1] - leg[0]).rem_euclid(TURN);
            match eastwards.cmp(&HALF_TURN) {
                std::cmp::Ordering::Equal => return [-HALF_TURN, HALF_TURN],
                std::cmp::Ordering::Less => arcs.push((wrap(leg[0]), eastwards)),
                std::cmp::Ordering::Greater => arcs.push((wrap(leg[1]), TURN - eastwards)),
            }
        }
    }
    arcs.sort_unstable();
    // The gap to the first arc that starts after everything before it ended, once around from the first arc.
    let first = arcs[0].0;
    let mut end =
        arcs.iter().map(|(start, width)| start + width - TURN).max().unwrap().max(first - TURN);
    let mut gaps = vec![];
    for (start, width) in arcs {
        if start > end {
            gaps.push((start - end, wrap(end), start));
        }
        end = end.max(start + width);
    }
    match gaps.into_iter().max() {
        Some((gap, east, west)) if gap >= TURN / 16 => match east {
            _ if east == west && east == -HALF_TURN => [HALF_TURN; 2],
            _ if east == -HALF_TURN => [west, HALF_TURN],
            _ => [west, east],
        },
        _ => [-HALF_TURN, HALF_TURN],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn longitudes_equal_the_union_of_arcs(
        segments in prop::collection::vec(prop::collection::vec(longitude(), 1..7), 1..5),
        near: bool,
    ) {
        // Half of the paths are in one part of the Earth, anywhere on it.
        let origin = segments[0][0];
        let place = |x: i64| if near { (origin + x / 8 + TURN + HALF_TURN) % TURN - HALF_TURN } else { x };
        let segments: Vec<Vec<i64>> =
            segments.iter().map(|segment| segment.iter().map(|&x| place(x)).collect()).collect();
        let mut path = Polyline::new(Metric::Haversine);
        for segment in &segments {
            path.start_segment();
            let points: Vec<_> = segment.iter().map(|&x| Point::from_e7(0, x as i32).unwrap()).collect();
            path.extend(&points).unwrap();
        }
        let bounds = path.summary().bounds.unwrap();
        let [west, east] = union_of_arcs(&segments).map(|x| x as f64 / 1e7);
        prop_assert_eq!((bounds.min_x, bounds.max_x), (west, east));
    }
}

/// Points of random legs: metres, kilometres, or across the Earth. Some start a segment.
fn points() -> impl Strategy<Value = Vec<(f64, f64, bool)>> {
    let place = prop_oneof![
        (-1e-3..1e-3_f64, -1e-3..1e-3_f64),
        (-2.0..2.0_f64, -2.0..2.0_f64),
        (-180.0..180.0_f64, -90.0..90.0_f64),
        (
            (-8..8_i32).prop_map(|x| f64::from(x) * 22.5),
            (-2..=2_i32).prop_map(|y| f64::from(y) * 45.0)
        ),
    ];
    let origin = (-180.0..180.0_f64, -85.0..85.0_f64);
    let point = (place, prop::bool::weighted(0.1));
    (origin, prop::collection::vec(point, 1..40)).prop_map(|((x0, y0), points)| {
        let place = |(x, y): (f64, f64)| (x0 + x, (y0 + y).clamp(-90.0, 90.0));
        points.into_iter().map(|(at, starts)| (place(at).0, place(at).1, starts)).collect()
    })
}

fn fold(path: &mut Polyline, points: &[(f64, f64, bool)]) {
    let mut block = PointBlock::new(Space::Geographic);
    let mut starts = IndexSet::EMPTY;
    for (index, &(x, y, is_start)) in points.iter().enumerate() {
        let (x, y) = Point::geographic(y, x).unwrap().canonical();
        block.push_canonical(x, y);
        if is_start {
            starts.insert(index);
        }
    }
    path.fold_legs(&mut block, &starts, &mut [0.0; PointBlock::CAPACITY]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_division_and_grouping_has_the_same_extent(
        points in points(),
        is_geodesic: bool,
        parts in prop::collection::vec((0..9_usize, any::<bool>()), 0..20),
    ) {
        let metric = if is_geodesic { Metric::Geodesic } else { Metric::Haversine };
        let mut whole = Polyline::new(metric);
        fold(&mut whole, &points);
        let mut parted = Polyline::new(metric);
        let mut rest = &points[..];
        for (count, is_merge) in parts.into_iter().chain([(points.len(), false)]) {
            let (part, more) = rest.split_at(count.min(rest.len()));
            rest = more;
            if is_merge {
                let mut next = Polyline::new(metric);
                fold(&mut next, part);
                parted.merge(&next).unwrap();
            } else {
                fold(&mut parted, part);
            }
        }
        prop_assert_eq!(parted.state(), whole.state());
        let Bounds { min_x, min_y, max_x, max_y } = whole.summary().bounds.unwrap();
        for (x, y, _) in points {
            let point = Point::geographic(y, x).unwrap();
            let (x, y) = (point.x(), point.y());
            prop_assert!(min_y <= y && y <= max_y);
            let is_inside = if min_x <= max_x { min_x <= x && x <= max_x } else { min_x <= x || x <= max_x };
            prop_assert!(is_inside || x.abs() == 180.0, "{x} {min_x} {max_x}");
        }
    }
}

#[test]
fn every_level_finds_the_same_extremes() {
    let x: Vec<_> = (0..257).map(|i| f64::from((i * 7919) % 1000 - 500) * 3e6).collect();
    let y: Vec<_> = x.iter().map(|x| x / 2.0).collect();
    for from in 0..9 {
        let (x, y) = (&x[from..], &y[from..]);
        let extremes = |values: &[f64]| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            [low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
        };
        let step = x.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        for level in Level::all() {
            assert_eq!(ranges(level, x, y), [extremes(x), extremes(y)]);
            assert_eq!(largest_step(level, x), step);
            assert_eq!(largest_step(level, &x[..1]), 0.0);
        }
    }
}
