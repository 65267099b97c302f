//! The state of all filters between blocks, rounded to `f32`.
//!
//! The positions are metres from the last fix of the block before, so `f32` resolves micrometres, and a
//! stored state takes half of the space. The state in memory is rounded too, so that a path that was stored and
//! read back has the same bits.

use super::models::{MOVING_COUNT, MOVING_LANES, STILL_COUNT, STILL_LANES};
use super::moving::{self, Moving};
use super::still::{self, Still};

/// The number of values of a bank.
pub(super) const VALUES: usize = MOVING_COUNT * moving::COLUMNS + STILL_COUNT * still::COLUMNS;

/// A bound of every value. Positions and speeds are below 10^6, and variances below their squares.
const VALUE_MAX: f32 = 1e15;

/// The states of all filters, column by column, first the moving models.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bank([f32; VALUES]);

impl Bank {
    /// Returns the state after the first fix of a piece. The velocity has this variance.
    pub(super) fn first(velocity_variance: f64) -> Self {
        let mut bank = Self([0.0; VALUES]);
        bank.store(&Moving::first(velocity_variance), &Still::first());
        bank
    }

    pub(super) fn load(&self) -> (Moving, Still) {
        let (mut moving, mut still) = (Moving::first(0.0), Still::first());
        let (of_moving, of_still) = self.0.split_at(MOVING_COUNT * moving::COLUMNS);
        for (column, values) in moving.columns_mut().into_iter().zip(of_moving.chunks(MOVING_COUNT))
        {
            load_column(column, values);
        }
        for (column, values) in still.columns_mut().into_iter().zip(of_still.chunks(STILL_COUNT)) {
            load_column(column, values);
        }
        (moving, still)
    }

    pub(super) fn store(&mut self, moving: &Moving, still: &Still) {
        let (of_moving, of_still) = self.0.split_at_mut(MOVING_COUNT * moving::COLUMNS);
        for (column, values) in moving.columns().into_iter().zip(of_moving.chunks_mut(MOVING_COUNT))
        {
            store_column(values, column);
        }
        for (column, values) in still.columns().into_iter().zip(of_still.chunks_mut(STILL_COUNT)) {
            store_column(values, column);
        }
    }

    /// Returns whether all values are finite and within the bounds.
    pub(super) fn is_finite(&self) -> bool {
        self.0.iter().all(|value| value.abs() <= VALUE_MAX)
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.0
    }

    /// Restores the state from values. Returns the problem if no path has it.
    pub(super) fn from_values(values: &[f32]) -> Result<Self, &'static str> {
        let values: [f32; VALUES] =
            values.try_into().map_err(|_| "the number of values of the filters is wrong")?;
        let bank = Self(values);
        if !bank.is_finite() || values.iter().any(|value| *value == 0.0 && value.is_sign_negative())
        {
            return Err("a value of the filters is out of range");
        }
        let (moving, still) = bank.load();
        let [_, _, _, _, _, _, pp, pv, pn, vv, vn, nn, _] = moving.columns();
        let mut is_valid = true;
        for k in 0..MOVING_LANES {
            is_valid &= is_covariance(pp[k], pv[k], vv[k]);
            is_valid &= is_covariance(pp[k], pn[k], nn[k]);
            is_valid &= is_covariance(vv[k], vn[k], nn[k]);
        }
        let [_, _, _, _, pp, pn, nn, _] = still.columns();
        for k in 0..STILL_LANES {
            is_valid &= is_covariance(pp[k], pn[k], nn[k]);
        }
        if is_valid { Ok(bank) } else { Err("a covariance of the filters is not possible") }
    }
}

/// Returns whether two variances and their covariance are possible, within the rounding.
fn is_covariance(a: f64, covariance: f64, b: f64) -> bool {
    a >= 0.0 && b >= 0.0 && covariance * covariance <= a * b * 1.001 + 1e-9
}

/// Sets the unused lanes to the last model.
fn load_column<const LANES: usize>(column: &mut [f64; LANES], values: &[f32]) {
    let last = values.last().copied().unwrap_or(0.0);
    for (k, lane) in column.iter_mut().enumerate() {
        *lane = f64::from(values.get(k).copied().unwrap_or(last));
    }
}

/// Adding zero changes -0 to +0, so that equal states have equal bits.
fn store_column<const LANES: usize>(values: &mut [f32], column: &[f64; LANES]) {
    for (value, &lane) in values.iter_mut().zip(column) {
        *value = lane as f32 + 0.0;
    }
}
