//! The series for the legs of a block. The kernel uses differences of longitudes only. It marks legs that
//! cross the antimeridian or are too long for the series with NaN.
//!
//! The kernel has no fused multiply-add. The rounding error is a thousandth of the error of the series, and
//! without it the portable level is fast and gives identical bits.

use super::table::{Cell, Row, Table};
use crate::measure::level::kernel;

/// The number of legs that are compared together to find the end of a run. For shorter runs in one cell, the
/// vector code is slower than single legs.
const SCAN: usize = 16;
/// The number of legs that are computed together for a short line.
pub(super) const FEW: usize = SCAN;
/// The maximum length of a run.
const RUN_MAX: usize = 128;
/// The largest number of lanes of any level. A run is measured in whole vectors. The next run overwrites the
/// results past the end of the run.
const LANES: usize = 8;

kernel! {
    /// Computes all legs with the series, or NaN if it is not valid for a leg. Returns the number of these legs.
    pub(super) fn legs(table: &Table, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 = body
}

kernel! {
    /// Computes the first legs of longer columns as [`legs`] does, [`FEW`] or fewer. Returns `false` if they are not short
    /// legs of one cell. Their results are then undefined.
    pub(super) fn few_short_legs(
        table: &Table, x: &[f64; FEW + 1], y: &[f64; FEW + 1], count: usize, legs: &mut [f64; FEW],
    ) -> bool = few_body
}

#[inline(always)]
fn few_body(
    table: &Table,
    x: &[f64; FEW + 1],
    y: &[f64; FEW + 1],
    count: usize,
    legs: &mut [f64; FEW],
) -> bool {
    let cell = Cell::of(y[0] + y[1]);
    let (row, centre) = (cell.row(table), cell.centre_e7());
    let mut other = 0;
    for i in 0..FEW {
        let sum = y[i] + y[i + 1];
        let leading = Leading::of(row, sum - centre, x[i + 1] - x[i], y[i + 1] - y[i]);
        let is_other = cell.differs(Cell::of(sum)) | u64::from(!leading.is_short(row));
        other |= is_other & mask(i < count);
        legs[i] = leading.square.sqrt();
    }
    other == 0
}

#[inline(always)]
fn body(table: &Table, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    let (mut invalid, mut at) = (0, 0);
    while at < n {
        let cell = Cell::of(y0[at] + y1[at]);
        let scan = y0[at..].first_chunk::<SCAN>().zip(y1[at..].first_chunk::<SCAN>());
        if scan.is_none_or(|(y0, y1)| differs(cell, y0, y1) != 0) {
            let scanned = at..n.min(at + SCAN);
            let columns = [&x0, &x1, &y0, &y1].map(|column| &column[scanned.clone()]);
            single_legs(table, columns, &mut legs[scanned.clone()]);
            invalid += count_nan(&legs[scanned.clone()]);
            at = scanned.end;
            continue;
        }
        let mut end = n.min(at + RUN_MAX);
        let mut run = end - at;
        if cell.differs(Cell::of(y0[end - 1] + y1[end - 1])) != 0 {
            // Find the end of the run first, because results past the end are discarded.
            run = run_length(cell, &y0[at..end], &y1[at..end]);
            end = n.min(at + run.next_multiple_of(LANES));
        }
        let columns = [&x0[at..end], &x1[at..end], &y0[at..end], &y1[at..end]];
        let (run, invalid_in_run) =
            run_of_legs(cell, cell.row(table), run, columns, &mut legs[at..end]);
        invalid += invalid_in_run;
        at += run;
    }
    invalid
}

/// Returns 0 if all legs are in `cell`.
#[inline(always)]
fn differs(cell: Cell, y0: &[f64], y1: &[f64]) -> u64 {
    let mut differs = 0;
    for (y0, y1) in y0.iter().zip(y1) {
        differs |= cell.differs(Cell::of(y0 + y1));
    }
    differs
}

/// Returns the number of leading legs that are in `cell`.
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

/// Computes the leading legs that are in `cell`. There are `run` of them, or fewer if `run` is the number of all
/// legs. Returns their number, and the number of legs for which the series is not valid.
///
/// The legs of a track are usually similar. If the first leg is short, the function computes all legs as short
/// legs, and repeats the computation if one is not.
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
    let first = Leading::of(row, (y0[0] + y1[0]) - centre, x1[0] - x0[0], y1[0] - y0[0]);
    let (differs, long) = if first.is_short(row) {
        short_legs(cell, row, columns, legs)
    } else {
        (differs(cell, y0, y1), 1)
    };
    let run = if differs == 0 || run < n { run } else { run_length(cell, y0, y1) };
    if long == 0 {
        return (run, 0);
    }
    let whole = n.min(run.next_multiple_of(LANES));
    for i in 0..whole {
        let d = (y0[i] + y1[i]) - centre;
        legs[i] = any(row, d, x1[i] - x0[i], y1[i] - y0[i]).sqrt();
    }
    (run, count_nan(&legs[..run]))
}

/// Computes the leading order of all legs, which is the length of short legs. Returns 0 as the first value if all
/// legs are in `cell`, and 0 as the second value if all legs are short.
#[inline(always)]
fn short_legs(cell: Cell, row: &Row, columns: [&[f64]; 4], legs: &mut [f64]) -> (u64, u64) {
    let n = legs.len();
    let [x0, x1, y0, y1] = columns.map(|column| &column[..n]);
    let centre = cell.centre_e7();
    let (mut differs, mut long) = (0, 0);
    for i in 0..n {
        let sum = y0[i] + y1[i];
        differs |= cell.differs(Cell::of(sum));
        let leading = Leading::of(row, sum - centre, x1[i] - x0[i], y1[i] - y0[i]);
        long += u64::from(!leading.is_short(row));
        legs[i] = leading.square.sqrt();
    }
    (differs, long)
}

/// Computes legs that may be in different cells. Short legs need few values of their row, so that single
/// computations are fastest. From the first longer leg on, vector code is faster, although it gathers the rows.
#[inline(always)]
fn single_legs(table: &Table, columns: [&[f64]; 4], legs: &mut [f64]) {
    let n = legs.len();
    let [x0, x1, y0, y1] = columns.map(|column| &column[..n]);
    let mut done = 0;
    for i in 0..n {
        match short(table, x1[i] - x0[i], y1[i] - y0[i], y0[i] + y1[i]) {
            Some(leg) => legs[i] = leg,
            None => break,
        }
        done = i + 1;
    }
    for i in done..n {
        legs[i] = single(table, x1[i] - x0[i], y1[i] - y0[i], y0[i] + y1[i]);
    }
}

#[inline(always)]
fn count_nan(legs: &[f64]) -> u64 {
    let mut count = 0;
    for leg in legs {
        count += u64::from(leg.is_nan());
    }
    count
}

/// Returns the length of one leg in metres, or NaN if the series is not valid for it. The arguments are the
/// differences of longitudes and latitudes and the sum of the latitudes, in E7.
#[inline(always)]
pub(super) fn single(table: &Table, dx: f64, dy: f64, sum: f64) -> f64 {
    let cell = Cell::of(sum);
    any(cell.row(table), sum - cell.centre_e7(), dx, dy).sqrt()
}

/// Returns the length of one leg if it is short.
#[inline(always)]
fn short(table: &Table, dx: f64, dy: f64, sum: f64) -> Option<f64> {
    let cell = Cell::of(sum);
    let row = cell.row(table);
    let leading = Leading::of(row, sum - cell.centre_e7(), dx, dy);
    leading.is_short(row).then(|| leading.square.sqrt())
}

/// The leading order of the series for one leg.
struct Leading {
    /// The squares of the differences: `u` of the latitudes, `v` of the longitudes.
    u: f64,
    v: f64,
    /// The part of the squared length along the parallel.
    w: f64,
    square: f64,
}

impl Leading {
    #[inline(always)]
    fn of(row: &Row, d: f64, dx: f64, dy: f64) -> Self {
        let (u, v) = (dy * dy, dx * dx);
        let w = v * row.g(d);
        Self { u, v, w, square: u * row.e(d) + w }
    }

    /// Returns the terms of the squared length above the leading order.
    #[inline(always)]
    fn higher(&self, row: &Row, d: f64) -> f64 {
        let (u, v) = (self.u, self.v);
        let a = row.a[0] + d * row.a[1];
        let b = row.b[0] + d * row.b[1] + row.b_u * u;
        let c = row.c[0] + d * row.c[1] + row.c_u * u + row.c_v * v;
        u * row.e_rest(d) + (u * (a * u + b * v) + (c * v) * self.w)
    }

    #[inline(always)]
    fn is_short(&self, row: &Row) -> bool {
        self.square <= row.short2_m2
    }
}

/// Returns the squared length of a leg, or NaN if the series is not valid for it.
#[inline(always)]
fn any(row: &Row, d: f64, dx: f64, dy: f64) -> f64 {
    let leading = Leading::of(row, d, dx, dy);
    let (square, higher) = (leading.square, leading.higher(row, d));
    // The higher terms are computed for all legs and masked for short legs: the compiler vectorises loops without
    // branches.
    let length = square + f64::from_bits(higher.to_bits() & mask(!leading.is_short(row)));
    f64::from_bits(length.to_bits() | mask(square > row.reach2_m2))
}

/// Returns all one bits if `condition` is true, otherwise 0. All one bits are also a NaN.
#[inline(always)]
fn mask(condition: bool) -> u64 {
    u64::from(condition).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::super::table::table;
    use super::*;

    #[test]
    fn the_error_of_the_longest_short_legs_is_at_most_a_tenth_of_a_nanometre() {
        let half_cell_e7 = f64::from(1 << 19);
        let mut largest_m = 0.0_f64;
        for cell in -1678..=1678 {
            let centre_e7 = f64::from(cell) * 2.0 * half_cell_e7;
            let row = Cell::of(centre_e7).row(table());
            for d in [-1.0, -0.5, 0.0, 0.5, 1.0].map(|part| part * half_cell_e7) {
                for turn in 0..=24 {
                    let (sin, cos) =
                        (f64::from(turn) / 24.0 * std::f64::consts::FRAC_PI_2).sin_cos();
                    let length_m = 0.999 * row.short2_m2.sqrt();
                    let (dx, dy) =
                        (length_m * sin / row.g(d).sqrt(), length_m * cos / row.e(d).sqrt());
                    let leading = Leading::of(row, d, dx, dy);
                    assert!(leading.is_short(row));
                    let whole = leading.square + leading.higher(row, d);
                    largest_m = largest_m.max((leading.square.sqrt() - whole.sqrt()).abs());
                }
            }
        }
        // The lower limit checks that the bound is tight.
        assert!((0.07e-9..0.1e-9).contains(&largest_m), "{largest_m}");
    }
}
