//! The table of the series: the coefficients for every cell of latitude, in the units of the kernel. The
//! table is built once, at the first geodesic leg.

use std::sync::LazyLock;

use super::series::{self, Dual, EQUATORIAL_RADIUS_M, TERMS, Taylor};
use crate::measure::point::POLE_E7;

/// The width of a cell, in the sum of two latitudes in E7: 2^20, which is 0.052 degrees or 5.8 km of the
/// middle latitude.
const CELL_E7: f64 = (1_u64 << CELL_BITS) as f64;
const CELL_BITS: i32 = 20;

/// The number of cells north of the cell that is centred on the equator, and also the number south of it.
const CELLS_TO_POLE: usize = ((2.0 * POLE_E7) / CELL_E7) as usize + 1;
const CELLS: usize = 2 * CELLS_TO_POLE + 1;

/// The largest latitude for which the series is used.
const SERIES_MAX_E7: f64 = 880_000_000.0;
/// The longest leg that the series measures.
const REACH_M: f64 = 10_000.0;
/// The longest leg relative to a / tan(latitude), the radius of geodesic curvature of the parallel.
const REACH_OF_TURN: f64 = 0.02;

/// The largest error of a short leg that comes from leaving out the higher terms, in metres.
const SHORT_ERROR_M: f64 = 1e-10;

/// Radians in an E7 unit.
const RAD_PER_E7: f64 = std::f64::consts::PI / 1_800_000_000.0;

/// The series in one cell. u and v are the squares of the differences of latitude and longitude in E7, and d is
/// the distance of the sum of the latitudes from the centre of the cell:
///
/// s^2 = u (e + a u + b v) + v g (1 + c v)
///
/// in metres. e, g, a, b, c are polynomials in d; b and c also have terms in u and v. The leading order is
/// u e + v g without the cubic term of e.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) e: [f64; 3],
    pub(super) g: [f64; 4],
    /// The largest squared length of a short leg, in the leading order. Negative if there is no series.
    pub(super) short2_m2: f64,
    /// The largest squared length for which the series is valid, in the leading order. Negative if there is no
    /// series.
    pub(super) reach2_m2: f64,
    pub(super) a: [f64; 2],
    pub(super) b: [f64; 2],
    pub(super) c: [f64; 2],
    pub(super) b_u: f64,
    pub(super) c_u: f64,
    pub(super) c_v: f64,
    /// The cubic term of e, which short legs do not need.
    pub(super) e_cubic: f64,
}

pub(super) type Table = [Row; CELLS];

/// Returns the table. It has half a megabyte; a track uses a few cache lines of it.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Box<Table>> = LazyLock::new(|| {
        let mut rows = vec![Row::NEVER; CELLS].into_boxed_slice();
        for cell in 0..=CELLS_TO_POLE {
            let row = Row::of(cell);
            rows[CELLS_TO_POLE - cell] = row.mirrored();
            rows[CELLS_TO_POLE + cell] = row;
        }
        rows.try_into().unwrap_or_else(|_| Box::new([Row::NEVER; CELLS]))
    });
    &TABLE
}

/// Adding this rounds a sum of latitudes to a whole number of cells, ties to even, and puts that number into
/// the low bits.
const ROUND: f64 = 1.5 * CELL_E7 * (1_u64 << 52) as f64;

/// The cell of a leg. It depends only on the sum of the latitudes.
#[derive(Clone, Copy)]
pub(super) struct Cell(f64);

impl Cell {
    /// Returns 0 if both are the same cell.
    #[inline(always)]
    pub(super) fn differs(self, other: Self) -> u64 {
        self.0.to_bits() ^ other.0.to_bits()
    }

    #[inline(always)]
    pub(super) fn of(sum_e7: f64) -> Self {
        Self(sum_e7 + ROUND)
    }

    /// Returns the sum of latitudes at the centre, exactly.
    #[inline(always)]
    pub(super) fn centre_e7(self) -> f64 {
        self.0 - ROUND
    }

    #[inline(always)]
    pub(super) fn row(self, table: &Table) -> &Row {
        let first = ROUND.to_bits() - CELLS_TO_POLE as u64;
        let index = self.0.to_bits().wrapping_sub(first) as usize;
        // A sum of two latitudes is never beyond the last cell.
        &table[index.min(CELLS - 1)]
    }
}

impl Row {
    const NEVER: Self = Self {
        e: [0.0; 3],
        g: [0.0; 4],
        short2_m2: -1.0,
        reach2_m2: -1.0,
        a: [0.0; 2],
        b: [0.0; 2],
        c: [0.0; 2],
        b_u: 0.0,
        c_u: 0.0,
        c_v: 0.0,
        e_cubic: 0.0,
    };

    #[inline(always)]
    pub(super) fn e(&self, d: f64) -> f64 {
        (self.e[0] + d * self.e[1]) + (d * d) * self.e[2]
    }

    #[inline(always)]
    pub(super) fn g(&self, d: f64) -> f64 {
        (self.g[0] + d * self.g[1]) + (d * d) * (self.g[2] + d * self.g[3])
    }

    /// Returns the difference between `e` and the polynomial of degree 3. It is a multiple of the Chebyshev
    /// polynomial of degree 3, which the economisation removed.
    #[inline(always)]
    pub(super) fn e_rest(&self, d: f64) -> f64 {
        const LINEAR: f64 = 3.0 / 4.0 * (CELL_E7 / 2.0) * (CELL_E7 / 2.0);
        self.e_cubic * (d * (d * d - LINEAR))
    }

    fn of(cell: usize) -> Self {
        // Exact: a whole number of 2^19.
        let latitude_e7 = cell as f64 * (CELL_E7 / 2.0);
        if latitude_e7 > SERIES_MAX_E7 {
            return Self::NEVER;
        }
        let sine = sine(latitude_e7 * RAD_PER_E7);
        // The distance to the pole is exact, so that the relative error of the cosine is small.
        let cosine = self::sine((POLE_E7 - latitude_e7) * RAD_PER_E7);
        let (e, g) = series::metric(sine, cosine);
        let higher = series::higher(&e, &g);

        let r = RAD_PER_E7;
        let r2 = r * r;
        let linear = |it: Dual| [it.0 * (r2 * r2), it.1 * (r2 * r2) * (0.5 * r)];
        let reach_m = REACH_M.min(REACH_OF_TURN * EQUATORIAL_RADIUS_M * cosine / sine);
        let [.., cubic] = economised::<4>(&e);
        let row = Self {
            e: economised(&e).map(|term| term * r2),
            g: economised(&g).map(|term| term * r2),
            short2_m2: 0.0,
            reach2_m2: reach_m * reach_m,
            a: linear(higher.a),
            b: linear(higher.b),
            // Divided by G, which has the factor r^2 itself.
            c: linear(higher.c).map(|term| term / r2),
            b_u: higher.d21 * (r2 * r2 * r2),
            c_u: higher.d12 * (r2 * r2),
            c_v: higher.d03 * (r2 * r2),
            e_cubic: cubic * r2,
        };
        let short_m = row.short_m();
        Self { short2_m2: short_m * short_m, ..row }
    }

    /// Returns the row of the cell on the other side of the equator. Every coefficient is an even function of
    /// the latitude.
    fn mirrored(mut self) -> Self {
        let polynomials: [&mut [f64]; 5] =
            [&mut self.e, &mut self.g, &mut self.a, &mut self.b, &mut self.c];
        for polynomial in polynomials {
            polynomial.iter_mut().skip(1).step_by(2).for_each(|term| *term = -*term);
        }
        self.e_cubic = -self.e_cubic;
        self
    }

    /// Returns the largest length for which the error of the leading order is at most [`SHORT_ERROR_M`].
    fn short_m(&self) -> f64 {
        // (a u^2 + b u v + c g v^2) / s^4 is a quadratic form in the parts of s^2 along the meridian and along the
        // parallel. As a Bernstein polynomial, it is at most the largest of its coefficients.
        let (e, g) = (self.e[0], self.g[0]);
        let fourth = (self.a[0].abs() / (e * e))
            .max(self.b[0].abs() / (2.0 * e * g))
            .max(self.c[0].abs() / g);
        let mut short_m = 64.0;
        // ds = d(s^2) / 2 s
        while 0.5 * fourth * short_m * short_m * short_m > SHORT_ERROR_M {
            short_m *= 0.875;
        }
        short_m
    }
}

/// Converts a Taylor series in radians to a polynomial of `N` terms in the distance from the centre of the
/// cell, in the unit of the sum (half an E7). The polynomial is close to the best approximation over the cell.
/// The function removes the higher terms one by one and replaces each by the lower terms of a Chebyshev
/// polynomial: economisation (Lanczos 1938).
fn economised<const N: usize>(taylor: &Taylor) -> [f64; N] {
    // T_n without its leading term, over 2^(n - 1), for n = 3, 4, 5.
    const REST: [[f64; 4]; 3] = [
        [0.0, -3.0 / 4.0, 0.0, 0.0],
        [1.0 / 8.0, 0.0, -1.0, 0.0],
        [0.0, 5.0 / 16.0, 0.0, -5.0 / 4.0],
    ];
    let half_cell_rad = 0.5 * CELL_E7 * (0.5 * RAD_PER_E7);
    let mut scale = 1.0;
    let mut terms = taylor.map(|term| {
        let scaled = term * scale;
        scale *= half_cell_rad;
        scaled
    });
    for n in (N..TERMS).rev() {
        for k in 0..4 {
            terms[k] -= terms[n] * REST[n - 3][k];
        }
    }
    // The factors are powers of two, so the products are exact.
    let mut scale = 1.0;
    std::array::from_fn(|n| {
        let term = terms[n] * scale;
        scale *= 2.0 / CELL_E7;
        term
    })
}

/// Returns the sine of an angle between 0 and pi/2 from its Taylor series. The omitted terms are below 2e-20.
fn sine(angle: f64) -> f64 {
    let square = angle * angle;
    let mut sum = 1.0;
    for k in (1..=11_u32).rev() {
        sum = 1.0 - sum * square / f64::from(2 * k * (2 * k + 1));
    }
    angle * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_approximate_the_metric_tensor() {
        let mut off = [0.0_f64; 3];
        for cell in (-1678..=1678).step_by(7) {
            let centre_e7 = f64::from(cell) * CELL_E7;
            let row = Cell::of(centre_e7).row(table());
            for d in [-1.0, -0.7, 0.2, 1.0].map(|part| part * CELL_E7 / 2.0) {
                let latitude = (centre_e7 + d) / 2.0 * RAD_PER_E7;
                let (e, g) = series::metric(latitude.sin(), latitude.cos());
                let r2 = RAD_PER_E7 * RAD_PER_E7;
                let errors = [
                    row.e(d) / (e[0] * r2) - 1.0,
                    (row.e(d) + row.e_rest(d)) / (e[0] * r2) - 1.0,
                    (row.g(d) / (g[0] * r2) - 1.0) * latitude.cos().powi(2),
                ];
                off = std::array::from_fn(|i| off[i].max(errors[i].abs()));
            }
        }
        // The degrees are 2, 3 and 3.
        let [short, whole, g] = off;
        assert!(short > 1e-13 && short < 4e-13 && whole < 5e-15 && g < 2e-13, "{off:?}");
    }
}
