//! A block: a short run of points as columns, the shape in which a [`Metric`](super::Metric)
//! takes them.

use super::level::{Level, kernel};
use super::point::{E7_DEG, HALF_TURN_E7, PLANAR_MAX, POLE_E7, Point, PointError, Space};
use super::scale::Scale;

/// A run of up to [`PointBlock::CAPACITY`] points of one space, held as two columns.
///
/// Whoever makes points (a decoder, a file reader) pushes them here, and a
/// [`Polyline`](super::Path) folds and empties it. How a run is cut into blocks changes no bit of the
/// result, so a block may be folded when it is full, at the end of a network frame, or whenever.
#[derive(Clone, Debug)]
pub struct PointBlock {
    space: Space,
    len: usize,
    /// Slot 0 is room for the point before the block, which the path fills in when it folds: the
    /// columns it hands to the metric are then one unbroken run.
    x: [f64; PointBlock::CAPACITY + 1],
    y: [f64; PointBlock::CAPACITY + 1],
}

kernel! {
    /// Integers as `f64`, which is exact. Gives 0, the number of those that want a second look.
    fn convert(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 = convert_body
}

kernel! {
    /// The same for E7 positions; gives the number of those out of range, which are not to be used.
    fn convert_geographic(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 =
        convert_geographic_body
}

kernel! {
    /// Whole numbers on some scale, to be at most `limits` of x and of y either way; gives the number of
    /// those that want a second look, and are not to be used.
    fn convert_scaled(
        x: &[i64], y: &[i64], scale: Scale, limits: (f64, f64), x_out: &mut [f64], y_out: &mut [f64],
    ) -> u64 = convert_scaled_body
}

#[inline(always)]
fn convert_body(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    for (out, &value) in x_out.iter_mut().zip(x) {
        *out = f64::from(value);
    }
    for (out, &value) in y_out.iter_mut().zip(y) {
        *out = f64::from(value);
    }
    0
}

#[inline(always)]
fn convert_geographic_body(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    const POLE: i32 = POLE_E7 as i32;
    const HALF_TURN: i32 = HALF_TURN_E7 as i32;
    convert_body(x, y, x_out, y_out);
    let mut odd = 0;
    for &value in x {
        odd += u32::from(value > HALF_TURN) | u32::from(value < -HALF_TURN);
    }
    for &value in y {
        odd += u32::from(value > POLE) | u32::from(value < -POLE);
    }
    odd.into()
}

#[inline(always)]
fn convert_scaled_body(
    x: &[i64],
    y: &[i64],
    scale: Scale,
    limits: (f64, f64),
    x_out: &mut [f64],
    y_out: &mut [f64],
) -> u64 {
    // A loop for each scale, in which nothing is left to decide.
    match scale {
        Scale::Over(parts) => {
            scaled(x, limits.0, x_out, |value| value / parts)
                + scaled(y, limits.1, y_out, |value| value / parts)
        }
        Scale::Times(resolution) => {
            scaled(x, limits.0, x_out, |value| value * resolution)
                + scaled(y, limits.1, y_out, |value| value * resolution)
        }
    }
}

#[inline(always)]
fn scaled(values: &[i64], limit: f64, out: &mut [f64], scale: impl Fn(f64) -> f64) -> u64 {
    /// 1.5 * 2^52: added to the bits, a whole number up to 2^51 lands in the last bits of this `f64`.
    /// Few processors have an instruction that converts lanes of 64 bits.
    const MAGIC: f64 = (3_u64 << 51) as f64;
    const EXACT: u64 = 1 << 51;
    let mut odd = 0;
    for (out, &value) in out.iter_mut().zip(values) {
        let near = f64::from_bits((value as u64).wrapping_add(MAGIC.to_bits()));
        *out = scale(near - MAGIC) + 0.0;
        odd += u64::from((value as u64).wrapping_add(EXACT) > 2 * EXACT);
        odd += u64::from(out.abs() > limit) | u64::from(out.is_nan());
    }
    odd
}

impl PointBlock {
    /// How many points fit: 256, two columns of 2 KiB, which stay in the first-level cache
    /// together with their legs.
    pub const CAPACITY: usize = 256;

    /// An empty block for points of `space`.
    pub fn new(space: Space) -> Self {
        Self { space, len: 0, x: [0.0; Self::CAPACITY + 1], y: [0.0; Self::CAPACITY + 1] }
    }

    /// The space its points lie in.
    pub fn space(&self) -> Space {
        self.space
    }

    /// How many points it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no point.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it takes no further point before it is folded.
    pub fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Adds a pair of `int32`: x and y of the published contract in a planar block, longitude and
    /// latitude in E7 in a geographic one.
    ///
    /// # Errors
    /// As [`Point::from_e7`]; every pair of `int32` is a planar point.
    ///
    /// # Panics
    /// When the block is full. Ask [`PointBlock::is_full`] first; no input can bring this about.
    #[inline]
    pub fn push_i32(&mut self, x: i32, y: i32) -> Result<(), PointError> {
        let (x, y) = match self.space {
            Space::Planar => (f64::from(x), f64::from(y)),
            Space::Geographic => Point::from_e7(y, x)?.canonical(),
        };
        self.push_canonical(x, y);
        Ok(())
    }

    /// Adds what [`Point::new`] takes: x and y in the caller's unit, or longitude and latitude in
    /// degrees.
    ///
    /// # Errors
    /// As [`Point::new`]; the block is then as it was.
    ///
    /// # Panics
    /// When the block is full, as [`PointBlock::push_i32`].
    #[inline]
    pub fn push_xy(&mut self, x: f64, y: f64) -> Result<(), PointError> {
        let (x, y) = Point::new(self.space, x, y)?.canonical();
        self.push_canonical(x, y);
        Ok(())
    }

    /// How many more points fit.
    #[inline]
    pub fn remaining_capacity(&self) -> usize {
        Self::CAPACITY - self.len
    }

    /// Adds many pairs, as [`PointBlock::push_i32`] adds one.
    ///
    /// # Errors
    /// The index of the first pair that is no point, and why. Those before it were added.
    ///
    /// # Panics
    /// When the columns are of different lengths or longer than [`PointBlock::room`]. No input can bring
    /// this about.
    pub fn extend_i32(&mut self, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        self.extend_at(Level::best(), x, y)
    }

    fn extend_at(&mut self, level: Level, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        assert!(x.len() == y.len() && x.len() <= self.remaining_capacity());
        let from = self.len + 1;
        let to = from + x.len();
        let columns = (&mut self.x[from..to], &mut self.y[from..to]);
        let odd = match self.space {
            Space::Planar => convert(level, x, y, columns.0, columns.1),
            Space::Geographic => convert_geographic(level, x, y, columns.0, columns.1),
        };
        if odd == 0 {
            self.len += x.len();
            return Ok(());
        }
        // A longitude to wrap or a latitude to refuse: one by one.
        for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
            self.push_i32(x, y).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Adds many pairs of whole numbers of `resolution`: x and y in the caller's unit, or longitude and
    /// latitude in degrees. See [`FixBlock::extend_scaled`](super::FixBlock::extend_scaled).
    ///
    /// # Errors
    /// The index of the first pair that is no point, and why. Those before it were added.
    ///
    /// # Panics
    /// As [`PointBlock::extend_i32`].
    pub fn extend_scaled(
        &mut self,
        x: &[i64],
        y: &[i64],
        resolution: f64,
    ) -> Result<(), (usize, PointError)> {
        self.extend_scaled_at(Level::best(), x, y, resolution)
    }

    fn extend_scaled_at(
        &mut self,
        level: Level,
        x: &[i64],
        y: &[i64],
        resolution: f64,
    ) -> Result<(), (usize, PointError)> {
        assert!(x.len() == y.len() && x.len() <= self.remaining_capacity());
        let is_e7 = self.space == Space::Geographic && resolution == E7_DEG;
        let scale = if is_e7 { Scale::Over(1.0) } else { Scale::new(resolution) };
        if is_e7 || self.space == Space::Planar {
            let limits = if is_e7 { (HALF_TURN_E7, POLE_E7) } else { (PLANAR_MAX, PLANAR_MAX) };
            let from = self.len + 1;
            let to = from + x.len();
            let columns = (&mut self.x[from..to], &mut self.y[from..to]);
            if convert_scaled(level, x, y, scale, limits, columns.0, columns.1) == 0 {
                self.len += x.len();
                return Ok(());
            }
        }
        // Degrees that take a rounding, a longitude to wrap, or something to refuse: one by one.
        for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
            let point = if is_e7 {
                Point::from_wide_e7(y, x)
            } else {
                Point::new(self.space, scale.apply(x as f64), scale.apply(y as f64))
            };
            let (x, y) = point.map_err(|error| (index, error))?.canonical();
            self.push_canonical(x, y);
        }
        Ok(())
    }

    /// Adds coordinates in the canonical unit that were checked by whoever made them.
    #[inline]
    pub(super) fn push_canonical(&mut self, x: f64, y: f64) {
        debug_assert!(self.space == Space::Planar || x.abs() <= HALF_TURN_E7);
        self.len += 1;
        self.x[self.len] = x;
        self.y[self.len] = y;
    }

    /// The columns of the points alone.
    pub(super) fn columns(&self) -> (&[f64], &[f64]) {
        (&self.x[1..=self.len], &self.y[1..=self.len])
    }

    /// The columns with `before` put in front of them.
    pub(super) fn columns_after(&mut self, before: (f64, f64)) -> (&[f64], &[f64]) {
        (self.x[0], self.y[0]) = before;
        (&self.x[..=self.len], &self.y[..=self.len])
    }

    /// Forgets its points but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets its points.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_pairs_are_added_as_one_by_one_on_every_level(
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

    /// What stands in columns and near their limits.
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
        fn many_whole_numbers_are_added_as_the_points_they_mean_on_every_level(
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
    fn coordinates_are_checked_on_their_way_in() {
        let mut block = PointBlock::new(Space::Geographic);
        block.push_xy(190.0, 46.0).unwrap();
        assert!(block.push_xy(0.0, 91.0).is_err());
        assert!(block.push_xy(f64::NAN, 0.0).is_err());
        assert_eq!(block.columns(), (&[-170.0e7][..], &[46.0e7][..]));
    }
}
