//! LegBatch by the series, in blocks. It knows no longitude but as a difference: which legs cross the
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
        let scan = y0[at..].first_chunk::<SCAN>().zip(y1[at..].first_chunk::<SCAN>());
        if scan.is_none_or(|(y0, y1)| differs(cell, y0, y1) != 0) {
            let scanned = at..n.min(at + SCAN);
            let columns = [&x0, &x1, &y0, &y1].map(|column| &column[scanned.clone()]);
            single_legs(table, columns, &mut legs[scanned.clone()]);
            past += count_nan(&legs[scanned.clone()]);
            at = scanned.end;
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
        let (run, past_in_run) =
            run_of_legs(cell, cell.row(table), run, columns, &mut legs[at..end]);
        past += past_in_run;
        at += run;
    }
    past
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

/// The legs from the first on that are in `cell`: `run` of them, or less if it says all; gives how many
/// there are, and for how many the series does not hold.
///
/// Most tracks have legs of one kind: if the first is short, all are taken for short, until they are seen not to be.
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

/// The leading order of all legs, which is the length of those that are short. Gives 0 if all of them are in
/// `cell`, and 0 if all are short.
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

/// LegBatch of which each may have another cell. Short ones need so little of their row that they are fastest one by
/// one; what follows the first that is longer goes in vectors, though its rows have to be gathered.
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

/// One leg from the differences of its longitudes and latitudes and the sum of its latitudes, all in
/// E7: its length in metres, or NaN where the series does not hold.
#[inline(always)]
pub(super) fn single(table: &Table, dx: f64, dy: f64, sum: f64) -> f64 {
    let cell = Cell::of(sum);
    any(cell.row(table), sum - cell.centre_e7(), dx, dy).sqrt()
}

/// The same, if it is short.
#[inline(always)]
fn short(table: &Table, dx: f64, dy: f64, sum: f64) -> Option<f64> {
    let cell = Cell::of(sum);
    let row = cell.row(table);
    let leading = Leading::of(row, sum - cell.centre_e7(), dx, dy);
    leading.is_short(row).then(|| leading.square.sqrt())
}

/// A leg in the leading order.
struct Leading {
    /// The squares of the differences of latitude and longitude.
    u: f64,
    v: f64,
    /// The part of the squared length that is along the parallel.
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

    /// What the squared length has beside the leading order.
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

/// The squared length of any leg; NaN where the series does not hold.
#[inline(always)]
fn any(row: &Row, d: f64, dx: f64, dy: f64) -> f64 {
    let leading = Leading::of(row, d, dx, dy);
    let (square, higher) = (leading.square, leading.higher(row, d));
    // Computed for all, short or not, and chosen by bits: of a loop without branches the compiler makes vectors.
    let length = square + f64::from_bits(higher.to_bits() & ones(!leading.is_short(row)));
    f64::from_bits(length.to_bits() | ones(square > row.reach2_m2))
}

/// All bits if it is so, which are also those of a NaN.
#[inline(always)]
fn ones(is_so: bool) -> u64 {
    u64::from(is_so).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::super::table::table;
    use super::*;

    #[test]
    fn a_leg_that_is_barely_short_is_off_by_a_tenth_of_a_nanometre_at_most() {
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
        // A bound that is far from what there is would hold nothing.
        assert!((0.07e-9..0.1e-9).contains(&largest_m), "{largest_m}");
    }
}
