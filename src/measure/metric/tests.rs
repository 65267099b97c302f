//! Reference values with their sources, and property tests of every metric.
//!
//! Geodesic reference values are from GeodSolve of GeographicLib (Karney 2013) unless another source is
//! given. Two of them are closed formulas: a degree along the equator is a pi/180, and the quarter meridian
//! of WGS84 is 10 001 965.7293 m.

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::haversine::MEAN_EARTH_RADIUS_M;
use super::*;

fn distance(metric: Metric, from: (f64, f64), to: (f64, f64)) -> f64 {
    let point = |(y, x)| Point::new(metric.space(), x, y).unwrap();
    metric.distance(point(from), point(to)).unwrap()
}

fn assert_close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected} +- {tolerance}");
}

#[test]
fn geodesic_lengths_equal_those_of_geographiclib() {
    let m = |from, to| distance(Metric::Geodesic, from, to);
    let tenth_mm = 0.000_05; // the reference values are rounded to this
    assert_close(m((1.0, 1.0), (2.0, 2.0)), 156_876.149, 0.0005);
    assert_close(m((0.0, 0.0), (0.0, 1.0)), 111_319.490_8, tenth_mm);
    assert_close(m((0.0, 0.0), (90.0, 0.0)), 10_001_965.729_3, tenth_mm);
    // From pole to pole, for any meridians.
    assert_close(m((-90.0, 17.0), (90.0, -120.0)), 2.0 * 10_001_965.729_3, 2.0 * tenth_mm);
    // Across the antimeridian.
    assert_close(m((0.0, 179.5), (0.0, -179.5)), 111_319.490_8, tenth_mm);
    // All meridians meet at a pole.
    assert_eq!(m((90.0, 0.0), (90.0, 123.0)), 0.0);
}

#[test]
fn a_near_antipodal_geodesic_converges() {
    // Karney (2013), table 4 and its text: Vincenty's method fails for this example.
    // phi1 = -30, lambda12 = 179.8, phi2 = 29.9: s12 = 19 989 832.827 610 m.
    let length_m = distance(Metric::Geodesic, (-30.0, 0.0), (29.9, 179.8));
    assert_close(length_m, 19_989_832.827_610, 0.000_001);
}

#[test]
fn haversine_lengths_equal_arcs_of_the_mean_sphere() {
    let m = |from, to| distance(Metric::Haversine, from, to);
    let degree_m = MEAN_EARTH_RADIUS_M * std::f64::consts::PI / 180.0;
    let nm = 1e-9;
    assert_close(m((0.0, 0.0), (0.0, 1.0)), degree_m, nm);
    assert_close(m((50.0, 7.0), (51.0, 7.0)), degree_m, nm);
    assert_close(m((0.0, 179.5), (0.0, -179.5)), degree_m, nm);
    assert_close(m((0.0, 0.0), (90.0, 77.0)), 90.0 * degree_m, 10.0 * nm);
    // Antipodes: half the circumference. The haversine is flat there; the error is about a decimetre.
    assert_close(m((30.0, 0.0), (-30.0, 180.0)), 180.0 * degree_m, 0.2);
    // A leg of one E7 unit, 11 mm.
    assert_close(m((0.0, 0.0), (0.0, 1e-7)), degree_m * 1e-7, 1e-15);
}

#[test]
fn planar_lengths_are_exact_at_the_limits_of_int32() {
    let (low, high) = (f64::from(i32::MIN), f64::from(i32::MAX));
    assert_eq!(distance(Metric::Planar, (0.0, 0.0), (4.0, 3.0)), 5.0);
    // The diagonal of a square with sides of 2^32 - 1: the `f64` nearest to (2^32 - 1) sqrt 2.
    let diagonal = distance(Metric::Planar, (low, low), (high, high));
    assert_eq!(diagonal, 6_074_000_998.537_886);
}

const METRICS: [Metric; 3] = [Metric::Planar, Metric::Haversine, Metric::Geodesic];

/// Generates positions in degrees, many at a limit and many in whole E7.
fn position() -> impl Strategy<Value = (f64, f64)> {
    let latitude = prop_oneof![
        -90.0..=90.0_f64,
        prop::sample::select(vec![-90.0, 90.0, 0.0]),
        (-900_000_000..=900_000_000_i32).prop_map(|e7| f64::from(e7) / 1e7),
    ];
    let longitude = prop_oneof![
        -180.0..=180.0_f64,
        prop::sample::select(vec![-180.0, 180.0, 0.0, 90.0, 179.999_999_9]),
        (-1_800_000_000..=1_800_000_000_i32).prop_map(|e7| f64::from(e7) / 1e7),
    ];
    (latitude, longitude)
}

/// Generates pairs of positions; the second is anywhere, near the first, or near its antipode.
fn pair() -> impl Strategy<Value = ((f64, f64), (f64, f64))> {
    (position(), position(), -1e-4..1e-4_f64, -1e-4..1e-4_f64, 0..3).prop_map(
        |(a, anywhere, dy, dx, kind)| {
            let near = |(y, x): (f64, f64)| ((y + dy).clamp(-90.0, 90.0), x + dx);
            let b = match kind {
                0 => anywhere,
                1 => near(a),
                _ => near((-a.0, a.1 + 180.0)),
            };
            (a, b)
        },
    )
}

fn exact(value: f64) -> BigRational {
    BigRational::from_float(value).unwrap()
}

fn magnitude(value: BigRational) -> BigRational {
    if value < exact(0.0) { -value } else { value }
}

/// Generates longitudes in E7 with all bits of an `f64`, many of them on both sides of the antimeridian.
fn longitudes() -> impl Strategy<Value = (f64, f64)> {
    let half = HALF_TURN_E7;
    let distance = prop_oneof![Just(0.0), 0.0..1.0_f64, 0.0..1e6_f64, 0.0..9e8_f64];
    prop_oneof![
        (-half..=half, -half..=half),
        (-half..=half).prop_map(|a| (a, if a < 0.0 { a + HALF_TURN_E7 } else { a - HALF_TURN_E7 })),
        (distance.clone(), distance).prop_map(|(a, b)| (HALF_TURN_E7 - a, b - HALF_TURN_E7)),
    ]
}

#[test]
fn a_leg_of_ten_metres_across_the_antimeridian_is_accurate_to_picometres() {
    // Computed from the difference of longitudes with 50 digits: 10.884519576266 m along the equator.
    let ends = ((0.0, 179.999_951_951_176_06), (0.0, -179.999_950_271_521));
    let sphere_m = 10.884_519_576_266 * MEAN_EARTH_RADIUS_M / 6_378_137.0;
    assert_close(distance(Metric::Geodesic, ends.0, ends.1), 10.884_519_576_266, 1e-12);
    assert_close(distance(Metric::Haversine, ends.0, ends.1), sphere_m, 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_difference_of_longitudes_is_exact_for_short_legs((a, b) in longitudes()) {
        let measured = longitude_between(a, b);
        prop_assert_eq!(measured.to_bits(), longitude_between(b, a).to_bits());
        prop_assert_eq!(measured.to_bits(), longitude_between(-a, -b).to_bits());
        prop_assert!((0.0..=HALF_TURN_E7).contains(&measured));
        let difference = magnitude(exact(a) - exact(b));
        let crosses = difference > exact(HALF_TURN_E7);
        let expected = if crosses { exact(2.0 * HALF_TURN_E7) - difference } else { difference };
        let error = magnitude(exact(measured) - &expected);
        let bound = if crosses && measured <= HALF_TURN_E7 / 2.0 {
            0.0
        } else if crosses {
            2_f64.powi(-22)
        } else {
            measured * f64::EPSILON / 2.0
        };
        prop_assert!(error <= exact(bound), "{} {}: {}", a, b, measured);
    }

    #[test]
    fn the_error_of_a_planar_leg_is_within_its_bound(
        (from, to) in prop_oneof![
            // Whole numbers of 32 and 16 bits, and arbitrary numbers.
            (any::<[i32; 2]>(), any::<[i32; 2]>()).prop_map(|(a, b)| (a.map(f64::from), b.map(f64::from))),
            (any::<[i16; 2]>(), any::<[i16; 2]>()).prop_map(|(a, b)| (a.map(f64::from), b.map(f64::from))),
            (-1e12..1e12_f64, -1e12..1e12_f64, -1e3..1e3_f64, -1e12..1e12_f64)
                .prop_map(|(x0, y0, x1, y1)| ([x0, y0], [x1, y1])),
            (-1e3..1e3_f64, -1e3..1e3_f64, -1.0..1.0_f64, -1.0..1.0_f64, -100..0_i32)
                .prop_map(|(x, y, dx, dy, exponent)| {
                    let step = 2_f64.powi(exponent);
                    ([x, y], [x + dx * step, y + dy * step])
                }),
        ],
    ) {
        let leg = exact(Metric::Planar.canonical_distance(from.into(), to.into()));
        let [dx, dy] = [0, 1].map(|axis| exact(to[axis]) - exact(from[axis]));
        let is_exact = |rounded: f64, difference: &BigRational| exact(rounded) == *difference;
        let are_exact = is_exact(to[0] - from[0], &dx) && is_exact(to[1] - from[1], &dy);
        let square = &dx * &dx + &dy * &dy;
        // |leg - s| <= bound s, with both sides squared to avoid the root.
        let unit = exact(2_f64.powi(-53));
        let bound = unit * BigRational::from_integer(BigInt::from(if are_exact { 2 } else { 3 }));
        let one = exact(1.0);
        let (low, high) = (&one - &bound, &one + &bound);
        prop_assert!(&leg * &leg <= &high * &high * &square);
        prop_assert!(&leg * &leg >= &low * &low * &square);
        let is_small = square.is_integer() && square <= exact(2_f64.powi(53));
        if is_small && dx.is_integer() && dy.is_integer() && square > exact(0.0) {
            // Correctly rounded: the root is nearer to the leg than to its neighbours.
            let leg = Metric::Planar.canonical_distance(from.into(), to.into());
            let middle = |a: f64, b: f64| (exact(a) + exact(b)) / BigInt::from(2);
            let (low, high) = (middle(leg, leg.next_down()), middle(leg, leg.next_up()));
            prop_assert!(&low * &low <= square && square <= &high * &high);
        }
    }

    #[test]
    fn every_metric_is_symmetric_finite_and_not_negative((a, b) in pair()) {
        for metric in METRICS {
            let there = distance(metric, a, b);
            let back = distance(metric, b, a);
            prop_assert_eq!(there.to_bits(), back.to_bits(), "{}", metric);
            prop_assert!(there.is_finite() && there.is_sign_positive(), "{}: {}", metric, there);
            prop_assert_eq!(distance(metric, a, a).to_bits(), 0.0_f64.to_bits());
        }
    }

    #[test]
    fn every_level_gives_identical_bits_at_every_position_in_a_column(
        pairs in prop::collection::vec(pair(), 1..40), lead in 0..9_usize,
    ) {
        for metric in METRICS {
            let points: Vec<_> = pairs
                .iter()
                .flat_map(|&(a, b)| [a, b])
                .map(|(y, x)| Point::new(metric.space(), x, y).unwrap().canonical())
                .collect();
            let (x, y): (Vec<_>, Vec<_>) = points[lead.min(points.len() - 1)..].iter().copied().unzip();
            let alone: Vec<_> = (1..x.len())
                .map(|i| metric.canonical_distance((x[i - 1], y[i - 1]), (x[i], y[i])).to_bits())
                .collect();
            for level in Level::all() {
                let mut legs = vec![0.0; x.len() - 1];
                metric.legs(level, &x, &y, &mut legs);
                let legs: Vec<_> = legs.into_iter().map(f64::to_bits).collect();
                prop_assert_eq!(&legs, &alone, "{} {:?}", metric, level);
            }
        }
    }

    #[test]
    fn the_sphere_and_the_ellipsoid_differ_by_at_most_0_57_percent((a, b) in pair()) {
        // The mean sphere differs by at most 0.56 %: Earle (2006), "Sphere to spheroid comparisons".
        let sphere = distance(Metric::Haversine, a, b);
        let ellipsoid = distance(Metric::Geodesic, a, b);
        prop_assert!((sphere - ellipsoid).abs() <= 0.0057 * ellipsoid + 1e-9, "{sphere} {ellipsoid}");
    }
}
