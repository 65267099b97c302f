//! Legs by the series, in blocks. It knows no longitude but as a difference: which legs cross the
//! antimeridian or are too long for the series it only marks.
//!
//! There is no fused multiply-add: the rounding of the series is a thousandth of its error, and
//! without one the portable level is fast and has the same bits.

use super::table::{Cell, Row, Table};
use crate::measure::level::kernel;

/// So many legs are looked at together to find where a run ends; a run of fewer in one cell is not worth
/// its preparation.
const SCAN: usize = 16;
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
    let (mut past, mut at) = (0, 0);
    while at < n {
        let cell = Cell::of(y0[at] + y1[at]);
        let row = cell.row(table);
        let scan = y0[at..].first_chunk::<SCAN>().zip(y1[at..].first_chunk::<SCAN>());
        let scan = scan.zip(legs[at..].first_chunk_mut::<SCAN>());
        if scan.is_none_or(|((y0, y1), legs)| lead(cell, row, y0, y1, legs) != 0) {
            let scanned = n.min(at + SCAN);
            for i in at..scanned {
                legs[i] = single(table, x1[i] - x0[i], y1[i] - y0[i], y0[i] + y1[i]);
                past += u64::from(legs[i].is_nan());
            }
            at = scanned;
            continue;
        }
        let mut end = n.min(at + RUN_MAX);
        let mut run = end - at;
        if cell.differs(Cell::of(y0[end - 1] + y1[end - 1])) != 0 {
            // What is computed past the end of a run is wasted: find it first.
            run = run_length(cell, &y0[at..end], &y1[at..end]);
            end = n.min(at + run.next_multiple_of(LANES));
        }
        let columns = [&x0[at..end], &x1[at..end], &y0[at..end], &y1[at..end]];
        let (run, past_in_run) = run_of_legs(cell, row, run, columns, &mut legs[at..end]);
        past += past_in_run;
        at += run;
    }
    past
}

/// What the measuring of legs in `cell` begins with, which waits in `legs`; gives 0 if all of them are in it.
#[inline(always)]
fn lead(cell: Cell, row: &Row, y0: &[f64], y1: &[f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let (y0, y1) = (&y0[..n], &y1[..n]);
    let centre = cell.centre_e7();
    let mut differs = 0;
    for i in 0..n {
        let sum = y0[i] + y1[i];
        differs |= cell.differs(Cell::of(sum));
        legs[i] = row.g(sum.abs() - centre);
    }
    differs
}

/// 0 if all the legs are in `cell`.
#[inline(always)]
fn differs(cell: Cell, y0: &[f64], y1: &[f64]) -> u64 {
    let mut differs = 0;
    for (y0, y1) in y0.iter().zip(y1) {
        differs |= cell.differs(Cell::of(y0 + y1));
    }
    differs
}

/// The legs from the first on that are in `cell`: `run` of them, or less if it says all; gives how many
/// there are, and 0 if the series holds for all of them.
///
/// The first [`SCAN`] have been through [`lead`]. Two short loops keep a processor busier than a long one:
/// more of their chains of arithmetic are under way at a time.
#[inline(always)]
fn run_of_legs(
    cell: Cell,
    row: &Row,
    run: usize,
    columns: [&[f64]; 4],
    legs: &mut [f64],
) -> (usize, u64) {
    let n = legs.len();
    let [x0, x1, y0, y1] = columns.map(|column| &column[..n]);
    let centre = cell.centre_e7();
    let differs = lead(cell, row, &y0[SCAN..], &y1[SCAN..], &mut legs[SCAN..]);
    let run = if differs == 0 || run < n { run } else { run_length(cell, y0, y1) };
    let whole = n.min(run.next_multiple_of(LANES));
    let mut far_legs = 0;
    for i in 0..whole {
        let d = (y0[i] + y1[i]).abs() - centre;
        let (leading, square) = near(row, d, legs[i], x1[i] - x0[i], y1[i] - y0[i]);
        far_legs |= u64::from(leading > row.near2_m2);
        legs[i] = square.sqrt();
    }
    if far_legs == 0 {
        return (run, 0);
    }
    for i in 0..whole {
        let d = (y0[i] + y1[i]).abs() - centre;
        legs[i] = near_or_far(row, d, row.g(d), x1[i] - x0[i], y1[i] - y0[i]).sqrt();
    }
    (run, count_nan(&legs[..whole]))
}

#[inline(always)]
fn count_nan(legs: &[f64]) -> u64 {
    let mut count = 0;
    for leg in legs {
        count += u64::from(leg.is_nan());
    }
    count
}

/// How many legs from the first on are in `cell`.
#[inline(always)]
fn run_length(cell: Cell, y0: &[f64], y1: &[f64]) -> usize {
    let mut length = 0;
    for (y0, y1) in y0.chunks(SCAN).zip(y1.chunks(SCAN)) {
        if differs(cell, y0, y1) != 0 {
            let sums = y0.iter().zip(y1).map(|(y0, y1)| y0 + y1);
            return length + sums.take_while(|&sum| cell.differs(Cell::of(sum)) == 0).count();
        }
        length += y0.len();
    }
    length
}

/// One leg from the differences of its longitudes and latitudes and the sum of its latitudes, all in
/// E7: its length in metres, or NaN where the series does not hold.
#[inline(always)]
pub(super) fn single(table: &Table, dx: f64, dy: f64, sum: f64) -> f64 {
    let cell = Cell::of(sum);
    let row = cell.row(table);
    let d = sum.abs() - cell.centre_e7();
    near_or_far(row, d, row.g(d), dx, dy).sqrt()
}

/// The leading order of the squared length of a leg, and all of it if the leg is of some hundred metres, for
/// which the higher terms are as good as constant within a cell.
#[inline(always)]
fn near(row: &Row, d: f64, g: f64, dx: f64, dy: f64) -> (f64, f64) {
    let (u, v) = (dy * dy, dx * dx);
    let w = v * g;
    let leading = u * row.e(d) + w;
    (leading, leading + (u * (row.a[0] * u + row.b[0] * v) + (row.c[0] * v) * w))
}

/// The squared length of any leg; NaN where the series does not hold.
#[inline(always)]
fn near_or_far(row: &Row, d: f64, g: f64, dx: f64, dy: f64) -> f64 {
    let (leading, square) = near(row, d, g, dx, dy);
    if leading <= row.near2_m2 { square } else { far(row, d, g, dx, dy) }
}

/// The squared length of a longer leg; NaN where the series does not hold.
#[inline(always)]
fn far(row: &Row, d: f64, g: f64, dx: f64, dy: f64) -> f64 {
    let (u, v) = (dy * dy, dx * dx);
    let a = row.a[0] + d * row.a[1];
    let b = row.b[0] + d * row.b[1] + row.b_u * u;
    let c = row.c[0] + d * row.c[1] + row.c_u * u + row.c_v * v;
    let w = v * g;
    let leading = u * row.e(d) + w;
    let square = leading + (u * (a * u + b * v) + (c * v) * w);
    if leading <= row.reach2_m2 { square } else { f64::NAN }
}
