//! The straight line in the plane.

use crate::measure::level::kernel;

kernel! {
    /// Computes `sqrt(dx^2 + dy^2)` in `f64`, without fused multiply-add. The result is bit-identical on
    /// every target.
    ///
    /// The rounding error, with u = 2^-53 / (1 + 2^-53): each square and the sum are rounded by a factor of
    /// at most 1 + u. The root halves these errors and adds a factor of at most 1 + u.
    /// - If the differences are exact, as those of `int32` are (33 bits), the relative error of a leg is at
    ///   most (1 + u)^2 - 1 < 2^-52.
    /// - If the differences are rounded, it is at most (1 + u)^3 - 1 < 3 * 2^-53.
    /// - If the differences are whole numbers and the sum of their squares is at most 2^53, only the root is
    ///   rounded, and the leg is the `f64` nearest to the true length.
    ///
    /// Coordinates are at most 2^40, so nothing overflows. The bounds do not hold for legs below 2^-480,
    /// whose squares underflow.
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
