//! What latitudes that are out of range may be: advice in exceptions and warnings.

use pyo3::prelude::*;

use crate::column::{BLOCK, Block, Column, Columns};
use crate::error::warn;

/// What the values of coordinates may be, if latitudes are out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// All longitudes fit the range of latitudes.
    Swapped,
    /// The latitudes are large whole numbers.
    ScaledE7,
}

impl Suspicion {
    /// Returns what the values may be, if latitudes are out of range.
    pub(crate) fn of(columns: &Columns) -> Option<Self> {
        let limit = match columns {
            Columns::Float(..) => 90.0,
            Columns::Int(..) => 90.0e7,
        };
        // A smaller whole number is treated as a wrong latitude in degrees: 0.01 degrees in units of 1e-7 degree.
        const E7_MIN: f64 = 1e5;
        let (mut x_exceeds, mut y_exceeds) = (false, false);
        let (mut is_whole, mut y_max) = (true, 0.0_f64);
        for from in (0..columns.len()).step_by(BLOCK) {
            let range = from..columns.len().min(from + BLOCK);
            match columns {
                Columns::Float(x, y) => {
                    let mut block = Block::new();
                    let x = x.read(range.clone(), &mut block);
                    x_exceeds |= x.iter().any(|value| value.abs() > limit);
                    for &value in y.read(range, &mut Block::new()) {
                        y_exceeds |= value.abs() > limit;
                        is_whole &= value.is_nan() || value.fract() == 0.0;
                        y_max = y_max.max(value.abs());
                    }
                }
                Columns::Int(x, y) => {
                    let exceeds = |column: &Column<i32>, range| {
                        let mut block = Block::new();
                        column
                            .read(range, &mut block)
                            .iter()
                            .any(|&value| f64::from(value).abs() > limit)
                    };
                    x_exceeds |= exceeds(x, range.clone());
                    y_exceeds |= exceeds(y, range);
                }
            }
            if x_exceeds && !is_whole {
                return None;
            }
        }
        match () {
            () if !y_exceeds => None,
            () if is_whole && (E7_MIN..=90.0e7).contains(&y_max) => Some(Self::ScaledE7),
            () if x_exceeds => None,
            () => Some(Self::Swapped),
        }
    }

    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Swapped => {
                "latitudes are outside -90 to 90 and no longitude is: the arguments may be swapped (longitude comes first)"
            }
            Self::ScaledE7 => {
                "latitudes are whole numbers outside -90 to 90: units of 1e-7 degree must have the type int32, and \
                 projected coordinates need metric=\"planar\""
            }
        }
    }
}

/// Warns of coordinates that may have another meaning.
pub(crate) fn warn_suspicion(py: Python<'_>, suspicion: Option<Suspicion>) -> PyResult<()> {
    suspicion.map_or(Ok(()), |suspicion| warn(py, suspicion.advice()))
}
