//! Tests of columns of points against single points.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn columns_add_the_same_points_as_single_pairs_on_every_level(
        pairs in prop::collection::vec(
            (prop_oneof![any::<i32>(), -1_800_000_001..=1_800_000_001_i32],
             prop_oneof![20 => -900_000_000..=900_000_000_i32, 1 => any::<i32>()]),
            0..=PointBlock::CAPACITY,
        ),
        space in prop::sample::select(vec![Space::Planar, Space::Geographic]),
    ) {
        let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let mut singly = PointBlock::new(space);
        let expected = (0..)
            .zip(&pairs)
            .try_for_each(|(i, &(x, y))| singly.push_i32(x, y).map_err(|error| (i, error)));
        for level in Level::all() {
            let mut block = PointBlock::new(space);
            prop_assert_eq!(block.extend_at(level, &x, &y), expected);
            prop_assert_eq!(block.columns(), singly.columns());
        }
    }
}

/// Generates coordinates in degrees or in a plane: with seven decimals, with more, near the limits, and invalid ones.
fn decimal(limit: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        30 => (-1_800_000_000..=1_800_000_000_i64).prop_map(move |e7| e7 as f64 / 1e7 * (limit / 180.0)),
        20 => -limit..=limit,
        1 => prop::sample::select(vec![
            0.0, -0.0, 90.0, -90.0, 180.0, -180.0, 190.1, 359.9, 90.0_f64.next_up(), 180.0_f64.next_up(), PLANAR_MAX,
            PLANAR_MAX.next_up(), f64::NAN, f64::INFINITY, -f64::INFINITY, f64::MIN_POSITIVE, f64::MAX,
        ]),
    ]
}

proptest! {
    #[test]
    fn columns_of_decimals_add_the_same_points_as_single_points_on_every_level(
        pairs in prop::collection::vec((decimal(180.0), decimal(90.0)), 0..=40),
        space in prop::sample::select(vec![Space::Planar, Space::Geographic]),
    ) {
        let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let mut singly = PointBlock::new(space);
        let expected = (0..)
            .zip(&pairs)
            .try_for_each(|(i, &(x, y))| singly.push_xy(x, y).map_err(|error| (i, error)));
        for level in Level::all() {
            let mut block = PointBlock::new(space);
            // NaN is not equal to itself.
            let outcome = block.extend_xy_at(level, &x, &y);
            prop_assert_eq!(format!("{outcome:?}"), format!("{expected:?}"));
            let bits = |column: &[f64]| column.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(block.columns().0), bits(singly.columns().0));
            prop_assert_eq!(bits(block.columns().1), bits(singly.columns().1));
        }
    }
}

/// Generates coordinates, many of them near the limits.
fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -2_000_000_000..=2_000_000_000_i64,
        1 => any::<i64>(),
        1 => (-2..=2_i64, -1..=1_i64).prop_map(|(high, low)| (high << 51) + low),
        1 => (-2..=2_i64, -1..=1_i64).prop_map(|(high, low)| high * 900_000_000 + low),
    ]
}

proptest! {
    #[test]
    fn scaled_columns_add_the_same_points_as_single_points_on_every_level(
        pairs in prop::collection::vec(
            (whole(), prop_oneof![20 => -900_000_000..=900_000_000_i64, 1 => whole()]),
            0..=40,
        ),
        space in prop::sample::select(vec![Space::Planar, Space::Geographic]),
        resolution in prop::sample::select(vec![1e-7, 1e-6, 1e-3, 1.0, 0.3, 2.5, 1e300]),
    ) {
        let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let mut singly = PointBlock::new(space);
        let scale = Scale::new(resolution);
        let expected: Result<(), (usize, PointError)> = (0_usize..).zip(&pairs).try_for_each(|(i, &(x, y))| {
            let (x_scaled, y_scaled) = (scale.apply(x as f64), scale.apply(y as f64));
            let point = if (space, resolution) == (Space::Geographic, 1e-7) {
                let whole_turns = (x as i128 + 1_800_000_000).div_euclid(3_600_000_000);
                let wrapped = (x as i128 - whole_turns * 3_600_000_000) as i32;
                let is_antimeridian = wrapped == -1_800_000_000 && x > 0;
                let wrapped = if is_antimeridian { -wrapped } else { wrapped };
                match i32::try_from(y) {
                    Ok(y) => Point::from_e7(y, wrapped),
                    Err(_) => Err(PointError::Latitude { latitude_deg: y as f64 / 1e7 }),
                }
            } else {
                Point::new(space, x_scaled, y_scaled)
            };
            let (x, y) = point.map_err(|error| (i, error))?.canonical();
            singly.push_canonical(x, y);
            Ok(())
        });
        for level in Level::all() {
            let mut block = PointBlock::new(space);
            let outcome = block.extend_scaled_at(level, &x, &y, resolution);
            prop_assert_eq!(format!("{outcome:?}"), format!("{expected:?}"));
            prop_assert_eq!(block.columns(), singly.columns());
        }
    }
}

#[test]
fn an_invalid_point_is_refused_and_not_added() {
    let mut block = PointBlock::new(Space::Geographic);
    block.push_xy(190.0, 46.0).unwrap();
    assert!(block.push_xy(0.0, 91.0).is_err());
    assert!(block.push_xy(f64::NAN, 0.0).is_err());
    assert_eq!(block.columns(), (&[-170.0e7][..], &[46.0e7][..]));
}
