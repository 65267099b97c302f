//! The geodesic on the WGS84 ellipsoid.
//!
//! Karney (2013), "Algorithms for geodesics", Journal of Geodesy 87, 43-55, section 4, as
//! implemented by geographiclib-rs. It converges everywhere, also near the antipode, and is within
//! 15 nm of the true length.

use std::sync::LazyLock;

use geographiclib_rs::{Geodesic, InverseGeodesic};

static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// Geodesic legs in metres of points in E7 units.
pub(super) fn legs(x: &[f64], y: &[f64], legs: &mut [f64]) {
    let wgs84 = &*WGS84;
    for ((leg, x), y) in legs.iter_mut().zip(x.windows(2)).zip(y.windows(2)) {
        *leg = inverse(wgs84, (y[0], x[0]), (y[1], x[1]));
    }
}

/// One leg. The two ends are put in one order first: the solution of a leg and of its reverse
/// agree to nanometres only, and a metric is symmetric to the bit.
fn inverse(wgs84: &Geodesic, a: (f64, f64), b: (f64, f64)) -> f64 {
    if a == b {
        return 0.0;
    }
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    // Dividing is correctly rounded, so a coordinate of seven decimals is the f64 nearest to them.
    let deg = |e7: f64| e7 / 1e7;
    let length_m: f64 = wgs84.inverse(deg(a.0), deg(a.1), deg(b.0), deg(b.1));
    length_m.max(0.0)
}
