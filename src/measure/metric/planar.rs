//! The straight line in the plane.

use crate::measure::level::kernel;

kernel! {
    /// `sqrt(dx^2 + dy^2)` in `f64`, without fused multiply-add, which every target has to the same
    /// bits.
    ///
    /// Where the differences are exact, as those of `int32` are (33 bits), the squares, their sum and the
    /// root are rounded: each square and the sum by a factor of 1 + u at most, which the root halves,
    /// and the root by another, with u = 2^-53 / (1 + 2^-53). So a leg is off by at most
    /// (1 + u)^2 - 1 < 2^-52 of it. Differences that are rounded too, as those of any `f64` may be, add a
    /// factor: (1 + u)^3 - 1 < 3 * 2^-53. Where the differences are whole numbers and the sum of their
    /// squares is at most 2^53, nothing but the root is rounded, and the leg is the `f64` nearest to its
    /// true length. Coordinates are at most 2^40, so nothing overflows; only legs below 2^-480, whose
    /// squares underflow, are past the bound.
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
