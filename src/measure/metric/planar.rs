//! The straight line in the plane.

use crate::measure::level::kernel;

kernel! {
    /// `sqrt(dx^2 + dy^2)` in `f64`, without fused multiply-add, which every target has to the same
    /// bits.
    ///
    /// Differences of `int32` are exact (33 bits), their squares are rounded (66 bits), the root is
    /// correctly rounded: the leg is within one unit in the last place. Coordinates are at most 2^40,
    /// so nothing overflows.
    pub(super) fn legs(x: &[f64], y: &[f64], legs: &mut [f64]) = body
}

#[inline(always)]
fn body(x: &[f64], y: &[f64], legs: &mut [f64]) {
    let n = legs.len();
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    for i in 0..n {
        let (dx, dy) = (x1[i] - x0[i], y1[i] - y0[i]);
        legs[i] = (dx * dx + dy * dy).sqrt();
    }
}
