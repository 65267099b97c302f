//! The coefficients of the series for short geodesics at one latitude, from the derivatives of the metric
//! tensor of WGS84. All units are radians and metres.
//!
//! `docs/geodesic.md` has the derivation and `docs/geodesic/derive.py` computes it. The code uses only
//! + - * / and no library functions, so that the table is identical on every machine.

use std::ops::{Add, Div, Mul, Sub};

/// The equatorial radius in metres and the flattening of WGS84: NIMA (2000), TR8350.2, table 3.1.
pub(super) const EQUATORIAL_RADIUS_M: f64 = 6_378_137.0;
const FLATTENING: f64 = 1.0 / 298.257_223_563;
/// The squared eccentricity.
const E2: f64 = FLATTENING * (2.0 - FLATTENING);

/// The number of coefficients of a Taylor series.
pub(super) const TERMS: usize = 6;

/// A Taylor series: powers of the distance from the latitude of expansion, in radians.
pub(super) type Taylor = [f64; TERMS];

fn product(a: &Taylor, b: &Taylor) -> Taylor {
    std::array::from_fn(|n| (0..=n).map(|k| a[k] * b[n - k]).sum())
}

/// Returns 1 / a.
fn reciprocal(a: &Taylor) -> Taylor {
    let mut inverse = [0.0; TERMS];
    inverse[0] = 1.0 / a[0];
    for n in 1..TERMS {
        let sum: f64 = (1..=n).map(|k| a[k] * inverse[n - k]).sum();
        inverse[n] = -sum * inverse[0];
    }
    inverse
}

/// Returns E and G of ds^2 = E dphi^2 + G dlambda^2: the squares of the radius of curvature of the meridian
/// and of the radius of the parallel.
///
/// The arguments are the sine and the cosine of the latitude. Near a pole, the relative error of G is that
/// of the cosine.
pub(super) fn metric(sine: f64, cosine: f64) -> (Taylor, Taylor) {
    // cos^2 is (1 + cos 2 phi) / 2, whose derivatives are sines and cosines of 2 phi.
    let (sine2, cosine2) = (2.0 * sine * cosine, (cosine - sine) * (cosine + sine));
    let cosine_squared = [
        cosine * cosine,
        -sine2,
        -cosine2,
        2.0 / 3.0 * sine2,
        1.0 / 3.0 * cosine2,
        -2.0 / 15.0 * sine2,
    ];
    // w = 1 - e^2 sin^2
    let mut w = cosine_squared.map(|term| E2 * term);
    w[0] += 1.0 - E2;
    let inverse_w = reciprocal(&w);
    let a2 = EQUATORIAL_RADIUS_M * EQUATORIAL_RADIUS_M;
    let cube = product(&inverse_w, &product(&inverse_w, &inverse_w));
    let e = cube.map(|term| a2 * (1.0 - E2) * (1.0 - E2) * term);
    let g = product(&cosine_squared, &inverse_w).map(|term| a2 * term);
    (e, g)
}

/// A value and its derivative with respect to the latitude.
#[derive(Clone, Copy)]
pub(super) struct Dual(pub(super) f64, pub(super) f64);

impl Add for Dual {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Self(self.0 + b.0, self.1 + b.1)
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        Self(self.0 - b.0, self.1 - b.1)
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Self(self.0 * b.0, self.0 * b.1 + self.1 * b.0)
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let quotient = self.0 / b.0;
        Self(quotient, (self.1 - quotient * b.1) / b.0)
    }
}

impl Mul<Dual> for f64 {
    type Output = Dual;
    fn mul(self, b: Dual) -> Dual {
        Dual(self * b.0, self * b.1)
    }
}

/// The coefficients of the series other than E and G; c, d12 and d03 are divided by G.
pub(super) struct Higher {
    pub(super) a: Dual,
    pub(super) b: Dual,
    pub(super) c: Dual,
    pub(super) d21: f64,
    pub(super) d12: f64,
    pub(super) d03: f64,
}

/// Returns the coefficients of the fourth and sixth order, as derived by the script.
pub(super) fn higher(e: &Taylor, g: &Taylor) -> Higher {
    const FACTORIAL: [f64; TERMS] = [1.0, 1.0, 2.0, 6.0, 24.0, 120.0];
    let derivatives = |taylor: &Taylor| -> [Dual; TERMS - 1] {
        std::array::from_fn(|n| Dual(taylor[n] * FACTORIAL[n], taylor[n + 1] * FACTORIAL[n + 1]))
    };
    let [e0, e1, e2, ..] = derivatives(e);
    let [g0, g1, g2, ..] = derivatives(g);
    let a = (2.0 * (e0 * e2) - e1 * e1) / (48.0 * e0);
    let b = (e0 * g0 * g2 - 2.0 * (e0 * g1 * g1) + e1 * g0 * g1) / (24.0 * (e0 * g0));
    let c = -1.0 * (g1 * g1) / (48.0 * (e0 * g0));
    let (d21, d12, d03) = sixth_order(derivatives(e).map(|it| it.0), derivatives(g).map(|it| it.0));
    Higher { a, b, c, d21, d12, d03 }
}

/// Returns d21, d12 / G and d03 / G. It uses the logarithmic derivatives of G, which stay moderate near a
/// pole, where G approaches zero.
fn sixth_order(e: [f64; 5], g: [f64; 5]) -> (f64, f64, f64) {
    let [e0, e1, e2, e3, _] = e;
    let [g0, g1, g2, g3, g4] = g;
    let (g1, g2, g3, g4) = (g1 / g0, g2 / g0, g3 / g0, g4 / g0);
    let scale = 5760.0 * e0 * e0 * e0;
    let d03 = g1 * g1 * (6.0 * e0 * g2 - 2.0 * e0 * g1 * g1 - 3.0 * e1 * g1) * g0 * g0 / scale;
    let d12 = -(e0 * e0 * (6.0 * g1 * g3 + 2.0 * g2 * g2 - 24.0 * g1 * g1 * g2)
        + 4.0 * e0 * e0 * g1 * g1 * g1 * g1
        + 4.0 * e0 * e1 * g1 * g2
        + 12.0 * e0 * e1 * g1 * g1 * g1
        - 3.0 * e0 * e2 * g1 * g1
        - e1 * e1 * g1 * g1)
        * g0
        / scale;
    let d21 = (e0 * e0 * e0 * (3.0 * g4 - 24.0 * g1 * g3 - 8.0 * g2 * g2 + 68.0 * g1 * g1 * g2)
        - 32.0 * e0 * e0 * e0 * g1 * g1 * g1 * g1
        + e0 * e0 * e1 * (6.0 * g3 - 16.0 * g1 * g2 - 4.0 * g1 * g1 * g1)
        + e0 * e0 * e2 * (4.0 * g2 - 8.0 * g1 * g1)
        + 6.0 * e0 * e0 * e3 * g1
        + e0 * e1 * e1 * (14.0 * g1 * g1 - 2.0 * g2)
        - 14.0 * e0 * e1 * e2 * g1
        + 7.0 * e1 * e1 * e1 * g1)
        * g0
        / scale;
    (d21, d12, d03)
}
