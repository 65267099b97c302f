//! The straight line in the plane.

/// `sqrt(dx^2 + dy^2)` in `f64`, without fused multiply-add, which every target has to the same bits.
///
/// Differences of `int32` are exact (33 bits), their squares are rounded (66 bits), the root is
/// correctly rounded: the leg is within one unit in the last place. Coordinates are at most 2^40,
/// so nothing overflows.
pub(super) fn legs(x: &[f64], y: &[f64], legs: &mut [f64]) {
    for ((leg, x), y) in legs.iter_mut().zip(x.windows(2)).zip(y.windows(2)) {
        let (dx, dy) = (x[1] - x[0], y[1] - y[0]);
        *leg = (dx * dx + dy * dy).sqrt();
    }
}
