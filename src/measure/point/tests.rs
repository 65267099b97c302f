//! Tests of points and their rounding.

use num_rational::BigRational;
use proptest::prelude::Strategy as _;

use super::*;
use crate::measure::scale::Scale;

fn magnitude(value: &BigRational) -> BigRational {
    if *value < BigRational::from_integer(0.into()) { -value } else { value.clone() }
}

#[test]
fn a_longitude_is_reduced_modulo_360() {
    let x = |deg| Point::geographic(0.0, deg).unwrap().x();
    assert_eq!(x(190.0), -170.0);
    assert_eq!(x(-190.0), 170.0);
    assert_eq!(x(360.0), 0.0);
    assert_eq!(x(540.0), 180.0);
    assert_eq!(x(1e300), (1e300 % 360.0) - if 1e300 % 360.0 > 180.0 { 360.0 } else { 0.0 });
    assert_eq!(Point::from_e7(0, 1_900_000_000).unwrap().x(), -170.0);
    assert_eq!(Point::from_e7(0, i32::MIN).unwrap().x(), 145.251_635_2);
}

#[test]
fn the_latitudes_of_the_poles_are_the_limits() {
    assert!(Point::geographic(90.0, 0.0).is_ok());
    assert!(Point::from_e7(-900_000_000, 0).is_ok());
    assert_eq!(
        Point::from_e7(900_000_001, 0).unwrap_err().to_string(),
        "latitude 90.0000001 is not between -90 and 90 degrees"
    );
    assert!(Point::geographic(90.0_f64.next_up(), 0.0).is_err());
}

#[test]
fn a_coordinate_that_is_not_finite_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Point::planar(bad, 0.0).is_err());
        assert!(Point::planar(0.0, bad).is_err());
        assert!(Point::geographic(bad, 0.0).is_err());
        assert!(Point::geographic(0.0, bad).is_err());
    }
    assert!(Point::planar(PLANAR_MAX, -PLANAR_MAX).is_ok());
    assert!(Point::planar(PLANAR_MAX.next_up(), 0.0).is_err());
}

proptest::proptest! {
    #[test]
    fn rounding_equals_the_standard_library(value in -1.8e9..=1.8e9_f64, half: i16) {
        for value in [value, f64::from(half) / 2.0, f64::from(half) / 2.0 + 1e-12] {
            proptest::prop_assert_eq!(f64::from(round(value)), value.round());
        }
    }

    #[test]
    fn degrees_of_seven_decimals_become_whole_e7(
        latitude in -900_000_000..=900_000_000_i32,
        longitude in proptest::prop_oneof![
            -1_800_000_000..=1_800_000_000_i64,
            -3_700_000_000..=3_700_000_000_i64,
            -1_i64 << 49..=1 << 49,
        ],
    ) {
        let degrees = |e7: i64| format!("{e7}e-7").parse::<f64>().unwrap();
        let latitude_deg = degrees(latitude.into());
        let point = Point::geographic(latitude_deg, degrees(longitude)).unwrap();
        proptest::prop_assert_eq!(point, Point::from_wide_e7(latitude.into(), longitude).unwrap());
        proptest::prop_assert_eq!(point.y(), latitude_deg);
    }

    #[test]
    fn columns_of_fewer_decimals_become_whole_e7(
        latitude in -90_000_i64..=90_000, longitude in -1_000_000_i64..=1_000_000, digits in 3..7_u32,
    ) {
        let scale = Scale::new(format!("1e-{digits}").parse().unwrap());
        let (finer, e7) = (10_i64.pow(digits - 3), 10_i64.pow(7 - digits));
        let (latitude, longitude) = (latitude * finer, longitude * finer - 1);
        let point = Point::geographic(scale.apply(latitude as f64), scale.apply(longitude as f64));
        proptest::prop_assert_eq!(point, Point::from_wide_e7(latitude * e7, longitude * e7));
    }

    #[test]
    fn other_degrees_are_rounded_once(
        degrees in proptest::prop_oneof![
            -400.0..=400.0_f64,
            // Near a number of seven decimals.
            (-4_000_000_000..=4_000_000_000_i64, -3..=3_i64).prop_map(|(e7, ulps)| {
                f64::from_bits((e7 as f64 / 1e7).to_bits().wrapping_add_signed(ulps))
            }),
            -1e17..1e17_f64,
        ].prop_filter("a number", |degrees| degrees.is_finite()),
    ) {
        let (stored, _) = Point::geographic(0.0, degrees).unwrap().canonical();
        // The error, modulo a turn.
        let exact = |value: f64| BigRational::from_float(value).unwrap();
        let turn = exact(TURN_E7);
        let difference = exact(degrees) * exact(1e7) - exact(stored);
        let error = &difference - (&difference / &turn).round() * &turn;
        if stored == stored.trunc() && ((stored / 1e7 == degrees) || degrees.abs() > 180.0) {
            // `degrees` is the `f64` nearest to a number of seven decimals.
            let ulp = degrees.abs().next_up() - degrees.abs();
            proptest::prop_assert!(magnitude(&error) <= exact(ulp / 2.0) * exact(1e7), "{} {}", degrees, stored);
        } else {
            proptest::prop_assert!(magnitude(&error) <= exact(2_f64.powi(-23)), "{} {}", degrees, stored);
        }
    }
}

#[test]
fn a_neighbour_of_a_number_of_seven_decimals_stays_different() {
    let x = |deg| Point::geographic(0.0, deg).unwrap().canonical().0;
    assert_eq!(x(164.832_491_2), 1_648_324_912.0);
    assert_ne!(x(164.832_491_199_999_96), 1_648_324_912.0);
    assert_eq!(x(179.123_456_7), 1_791_234_567.0);
    assert_ne!(x(179.123_456_7_f64.next_up()), 1_791_234_567.0);
    assert_eq!(x(350.1), -99_000_000.0);
    assert_eq!(x(-9.9), -99_000_000.0);
}

#[test]
fn minus_zero_is_zero() {
    let (x, y) = Point::planar(-0.0, -0.0).unwrap().canonical();
    assert!(x.is_sign_positive() && y.is_sign_positive());
    let (x, y) = Point::geographic(-0.0, -360.0).unwrap().canonical();
    assert!(x.is_sign_positive() && y.is_sign_positive());
}

#[test]
fn e7_round_trips() {
    for e7 in [(1, -1), (464_397_123, 137_433_321), (-900_000_000, 1_800_000_000)] {
        assert_eq!(Point::from_e7(e7.0, e7.1).unwrap().to_e7(), Some(e7));
    }
    assert_eq!(Point::planar(1.0, 2.0).unwrap().to_e7(), None);
}

#[test]
fn the_conversion_without_a_division_has_the_same_bits() {
    let same = |degrees: f64| {
        let (with, without) = (to_e7(degrees) + 0.0, to_e7_in_range(degrees) + 0.0);
        assert_eq!(with.to_bits(), without.to_bits(), "{degrees:e}");
    };
    let near = |degrees: f64| {
        let (mut above, mut below) = (degrees, degrees);
        for _ in 0..4 {
            same(above);
            same(below);
            (above, below) = (above.next_up(), below.next_down());
        }
    };
    for exponent in -1074..=7 {
        near(2_f64.powi(exponent));
        near(-2_f64.powi(exponent));
    }
    near(0.0);
    near(180.0);
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    for _ in 0..200_000 {
        // Whole numbers of E7, also small ones, the halves between them, and any other number.
        let whole = (random() % 1_800_000_001) as f64;
        let small = (random() % 1000) as f64;
        near(whole / 1e7);
        near(-small / 1e7);
        near((whole + 0.5) / 1e7);
        same(random() as f64 / (1_u64 << 53) as f64 * 180.0);
        same(f64::from_bits(random() % 180_f64.to_bits()));
    }
}
