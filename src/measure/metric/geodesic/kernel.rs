//! Legs by the series, in blocks. It knows no longitude but as a difference: which legs cross the
//! antimeridian or are too long for the series it only marks.
//!
//! There is no fused multiply-add: the rounding of the series is a thousandth of its error, and
//! without one the portable level is fast and has the same bits.

use super::table::{Cell, Row, Table};
use crate::measure::level::kernel;

/// A run of fewer legs in one cell is not worth its preparation.
const RUN_MIN: usize = 4;
/// The longest run that is looked at in one go.
const RUN_MAX: usize = 128;
/// The most lanes of any level. A run is measured in whole vectors: what that writes past its end is
/// written again, by the next run.
const LANES: usize = 8;

kernel! {
    /// All legs by the series, and NaN where it does not hold. Gives 0 if it holds for all.
    pub(super) fn legs(table: &Table, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 = body
}

#[inline(always)]
fn body(table: &Table, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    let mut at = 0;
    while at < n {
        let cell = Cell::of(y0[at] + y1[at]);
        let probe = at + RUN_MIN - 1;
        if probe >= n || cell.differs(Cell::of(y0[probe] + y1[probe])) != 0 {
            legs[at] = single(table, x1[at] - x0[at], y1[at] - y0[at], y0[at] + y1[at]);
            at += 1;
            continue;
        }
        let end = n.min(at + RUN_MAX);
        let columns = [&x0[at..end], &x1[at..end], &y0[at..end], &y1[at..end]];
        at += run_of_legs(cell, cell.row(table), columns, &mut legs[at..end]);
    }
    let mut past = 0;
    for leg in legs {
        past += u64::from(leg.is_nan());
    }
    past
}

/// The legs from the first on that are in `cell`; gives how many there are.
///
/// Two short loops keep a processor busier than a long one: more of their chains of arithmetic are
/// under way at a time. What the first has found waits in `legs`.
#[inline(always)]
fn run_of_legs(cell: Cell, row: &Row, columns: [&[f64]; 4], legs: &mut [f64]) -> usize {
    let n = legs.len();
    let [x0, x1, y0, y1] = columns.map(|column| &column[..n]);
    let centre = cell.centre_e7();
    let mut differs = 0;
    for i in 0..n {
        let sum = y0[i] + y1[i];
        differs |= cell.differs(Cell::of(sum));
        legs[i] = row.g(sum.abs() - centre);
    }
    let run = if differs == 0 {
        n
    } else {
        let sums = y0.iter().zip(y1).map(|(y0, y1)| y0 + y1);
        sums.take_while(|&sum| cell.differs(Cell::of(sum)) == 0).count()
    };
    let whole = n.min(run.next_multiple_of(LANES));
    for i in 0..whole {
        let d = (y0[i] + y1[i]).abs() - centre;
        legs[i] = square(row, d, legs[i], x1[i] - x0[i], y1[i] - y0[i]).sqrt();
    }
    run
}

/// One leg from the differences of its longitudes and latitudes and the sum of its latitudes, all in
/// E7: its length in metres, or NaN where the series does not hold.
#[inline(always)]
pub(super) fn single(table: &Table, dx: f64, dy: f64, sum: f64) -> f64 {
    let cell = Cell::of(sum);
    let row = cell.row(table);
    let d = sum.abs() - cell.centre_e7();
    square(row, d, row.g(d), dx, dy).sqrt()
}

#[inline(always)]
fn square(row: &Row, d: f64, g: f64, dx: f64, dy: f64) -> f64 {
    let (u, v) = (dy * dy, dx * dx);
    let e = row.e[0] + d * (row.e[1] + d * row.e[2]);
    let a = row.a[0] + d * row.a[1];
    let b = (row.b[0] + d * row.b[1]) + row.b_u * u;
    let c = (row.c[0] + d * row.c[1]) + (row.c_u * u + row.c_v * v);
    let w = v * g;
    let leading = u * e + w;
    let square = leading + (u * (a * u + b * v) + (c * v) * w);
    if leading <= row.reach2_m2 { square } else { f64::NAN }
}
