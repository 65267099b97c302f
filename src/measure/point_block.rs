//! A block: a short run of points in columns, the input format of [`Metric`](super::Metric).

use super::level::{Level, kernel};
use super::point::{
    E7_DEG, HALF_TURN_E7, PLANAR_MAX, POLE_E7, Point, PointError, Space, to_e7_in_range,
};
use super::scale::Scale;

/// A run of up to [`PointBlock::CAPACITY`] points of one space, in two columns.
///
/// A decoder or a file reader fills the block, and a `Polyline` folds and clears it.
/// The results are bit-identical for every division of the points into blocks. So a block may be folded
/// at any time, for example if it is full or at the end of a network frame.
#[derive(Clone, Debug)]
pub struct PointBlock {
    space: Space,
    len: usize,
    /// The first element is reserved for the point before the block, which the path writes when it folds.
    /// The metric then receives one contiguous column.
    x: [f64; PointBlock::CAPACITY + 1],
    y: [f64; PointBlock::CAPACITY + 1],
}

kernel! {
    /// Converts integers to `f64`, exactly. Returns 0, the number of values out of range.
    fn convert(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 = convert_body
}

kernel! {
    /// Converts E7 coordinates to `f64`. Returns the number of values out of range. The output is valid only if
    /// it is 0.
    fn convert_geographic(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 =
        convert_geographic_body
}

kernel! {
    /// Converts whole numbers on a scale to `f64`. Returns the number of values that are inexact or whose
    /// magnitude is above `limits` (of x and of y). The output is valid only if it is 0.
    fn convert_scaled(
        x: &[i64], y: &[i64], scale: Scale, limits: (f64, f64), x_out: &mut [f64], y_out: &mut [f64],
    ) -> u64 = convert_scaled_body
}

kernel! {
    /// Converts degrees to E7 as [`Point::geographic`] does. Returns the number of values out of range or not finite,
    /// and of longitudes that must be wrapped. The output is valid only if it is 0.
    fn convert_degrees(x: &[f64], y: &[f64], x_out: &mut [f64], y_out: &mut [f64]) -> u64 =
        convert_degrees_body
}

kernel! {
    /// Copies planar coordinates. Returns the number of values out of range or not finite. The output is valid only if
    /// it is 0.
    fn copy_planar(x: &[f64], y: &[f64], x_out: &mut [f64], y_out: &mut [f64]) -> u64 =
        copy_planar_body
}

#[inline(always)]
fn convert_degrees_body(x: &[f64], y: &[f64], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    checked(x, 180.0, x_out, to_e7_in_range) + checked(y, 90.0, y_out, to_e7_in_range)
}

#[inline(always)]
fn copy_planar_body(x: &[f64], y: &[f64], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    checked(x, PLANAR_MAX, x_out, |value| value) + checked(y, PLANAR_MAX, y_out, |value| value)
}

/// Converts values. Returns the number of those that are not a number, or whose magnitude is above `limit`.
#[inline(always)]
fn checked(values: &[f64], limit: f64, out: &mut [f64], convert: impl Fn(f64) -> f64) -> u64 {
    let mut invalid = 0;
    for (out, &value) in out.iter_mut().zip(values) {
        *out = convert(value) + 0.0;
        invalid += u64::from(value.abs() > limit) | u64::from(value.is_nan());
    }
    invalid
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
    let mut invalid = 0;
    for &value in x {
        invalid += u32::from(value > HALF_TURN) | u32::from(value < -HALF_TURN);
    }
    for &value in y {
        invalid += u32::from(value > POLE) | u32::from(value < -POLE);
    }
    invalid.into()
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
    // One loop per scale, so that the loops have no branches.
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
    /// 1.5 * 2^52. Adding a whole number of magnitude up to 2^51 to the bits of this `f64` adds it to its
    /// value. Few processors have an instruction that converts lanes of 64 bits.
    const MAGIC: f64 = (3_u64 << 51) as f64;
    const EXACT: u64 = 1 << 51;
    let mut invalid = 0;
    for (out, &value) in out.iter_mut().zip(values) {
        let near = f64::from_bits((value as u64).wrapping_add(MAGIC.to_bits()));
        *out = scale(near - MAGIC) + 0.0;
        invalid += u64::from((value as u64).wrapping_add(EXACT) > 2 * EXACT);
        invalid += u64::from(out.abs() > limit) | u64::from(out.is_nan());
    }
    invalid
}

impl PointBlock {
    /// The maximum number of points. Two columns of 256 points have 2 KiB each and stay in the first-level
    /// cache, together with their legs.
    pub const CAPACITY: usize = 256;

    /// Returns an empty block for points of `space`.
    pub fn new(space: Space) -> Self {
        Self { space, len: 0, x: [0.0; Self::CAPACITY + 1], y: [0.0; Self::CAPACITY + 1] }
    }

    /// Returns the space of the points.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Returns the number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the block has no points.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether the block has no capacity left.
    pub fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Adds a point from a pair of `int32`: x and y in a planar block, longitude and latitude in E7 in a
    /// geographic block.
    ///
    /// # Errors
    /// See [`Point::from_e7`]. Every pair is a valid planar point.
    ///
    /// # Panics
    /// Panics if the block is full; see [`PointBlock::is_full`].
    #[inline]
    pub fn push_i32(&mut self, x: i32, y: i32) -> Result<(), PointError> {
        let (x, y) = match self.space {
            Space::Planar => (f64::from(x), f64::from(y)),
            Space::Geographic => Point::from_e7(y, x)?.canonical(),
        };
        self.push_canonical(x, y);
        Ok(())
    }

    /// Adds a point: x and y in the caller's unit, or longitude and latitude in degrees.
    ///
    /// # Errors
    /// See [`Point::new`]. The block is then unchanged.
    ///
    /// # Panics
    /// Panics if the block is full; see [`PointBlock::is_full`].
    #[inline]
    pub fn push_xy(&mut self, x: f64, y: f64) -> Result<(), PointError> {
        let (x, y) = Point::new(self.space, x, y)?.canonical();
        self.push_canonical(x, y);
        Ok(())
    }

    /// Returns the number of points that can be added.
    #[inline]
    pub fn remaining_capacity(&self) -> usize {
        Self::CAPACITY - self.len
    }

    /// Adds points from columns of `int32`; see [`PointBlock::push_i32`].
    ///
    /// # Errors
    /// Returns the index of the first invalid pair and the error. The pairs before it were added.
    ///
    /// # Panics
    /// Panics if the columns differ in length or are longer than [`PointBlock::remaining_capacity`].
    pub fn extend_i32(&mut self, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        self.extend_at(Level::best(), x, y)
    }

    fn extend_at(&mut self, level: Level, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        assert!(x.len() == y.len() && x.len() <= self.remaining_capacity());
        let from = self.len + 1;
        let to = from + x.len();
        let columns = (&mut self.x[from..to], &mut self.y[from..to]);
        let invalid = match self.space {
            Space::Planar => convert(level, x, y, columns.0, columns.1),
            Space::Geographic => convert_geographic(level, x, y, columns.0, columns.1),
        };
        if invalid == 0 {
            self.len += x.len();
            return Ok(());
        }
        // Slow path: some longitude must be wrapped or some latitude is invalid.
        for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
            self.push_i32(x, y).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Adds points from columns: x and y in the caller's unit, or longitude and latitude in degrees; see
    /// [`PointBlock::push_xy`].
    ///
    /// # Errors
    /// Returns the index of the first invalid pair and the error. The pairs before it were added.
    ///
    /// # Panics
    /// See [`PointBlock::extend_i32`].
    pub fn extend_xy(&mut self, x: &[f64], y: &[f64]) -> Result<(), (usize, PointError)> {
        self.extend_xy_at(Level::best(), x, y)
    }

    fn extend_xy_at(
        &mut self,
        level: Level,
        x: &[f64],
        y: &[f64],
    ) -> Result<(), (usize, PointError)> {
        assert!(x.len() == y.len() && x.len() <= self.remaining_capacity());
        let from = self.len + 1;
        let to = from + x.len();
        let columns = (&mut self.x[from..to], &mut self.y[from..to]);
        let invalid = match self.space {
            Space::Planar => copy_planar(level, x, y, columns.0, columns.1),
            Space::Geographic => convert_degrees(level, x, y, columns.0, columns.1),
        };
        if invalid == 0 {
            self.len += x.len();
            return Ok(());
        }
        // Slow path: some longitude must be wrapped or some value is invalid.
        for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
            self.push_xy(x, y).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Adds points from columns of whole numbers of `resolution`; see
    /// [`FixBlock::extend_scaled`](super::FixBlock::extend_scaled).
    ///
    /// # Errors
    /// Returns the index of the first invalid pair and the error. The pairs before it were added.
    ///
    /// # Panics
    /// See [`PointBlock::extend_i32`].
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
        // Slow path: degrees that need rounding, a longitude that must be wrapped, or an invalid point.
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

    /// Adds checked coordinates in the canonical unit.
    #[inline]
    pub(super) fn push_canonical(&mut self, x: f64, y: f64) {
        debug_assert!(self.space == Space::Planar || x.abs() <= HALF_TURN_E7);
        self.len += 1;
        self.x[self.len] = x;
        self.y[self.len] = y;
    }

    /// Returns the columns of the points.
    pub(super) fn columns(&self) -> (&[f64], &[f64]) {
        (&self.x[1..=self.len], &self.y[1..=self.len])
    }

    /// Returns the columns of the points, with the point `before` as the first element.
    pub(super) fn columns_after(&mut self, before: (f64, f64)) -> (&[f64], &[f64]) {
        (self.x[0], self.y[0]) = before;
        (&self.x[..=self.len], &self.y[..=self.len])
    }

    /// Returns the columns with the point before the block, which [`PointBlock::columns_after`] has set, as the first
    /// element. The elements after the last point are finite, and belong to no point.
    #[inline]
    pub(super) fn columns_with_previous(&self) -> (&[f64], &[f64]) {
        (&self.x, &self.y)
    }

    /// Keeps the first `len` points and removes the others.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Removes all points.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests;
