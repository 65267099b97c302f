//! What unusual coordinates may be: advice in exceptions and warnings.

use pyo3::prelude::*;
use waywiser::Metric;

use crate::column::{BLOCK, Block, Column, Columns};
use crate::error::warn;

/// What the values of geographic coordinates may be, if they are unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// All longitudes fit the range of latitudes.
    Swapped,
    /// The latitudes are large whole numbers.
    ScaledE7,
    /// The numbers of units of 1e-7 degree are in the range of whole degrees.
    WholeDegrees,
}

impl Suspicion {
    /// Returns what the values may be, if latitudes are out of range.
    pub(crate) fn of(metric: Metric, columns: &Columns) -> Option<Self> {
        if metric == Metric::Planar {
            return None;
        }
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

    /// Returns whether whole degrees may have been passed as units of 1e-7 degree. Most paths are decided by their first
    /// points.
    fn of_units(metric: Metric, columns: &Columns) -> Option<Self> {
        const POINTS: usize = 16;
        let Columns::Int(x, y) = columns else { return None };
        if metric == Metric::Planar {
            return None;
        }
        let (mut block, mut is_any_nonzero) = (Block::new(), false);
        for from in (0..columns.len()).step_by(POINTS) {
            for (column, limit) in [(x, 180), (y, 90)] {
                for &value in column.read(from..columns.len().min(from + POINTS), &mut block) {
                    if value.unsigned_abs() > limit {
                        return None;
                    }
                    is_any_nonzero |= value != 0;
                }
            }
        }
        is_any_nonzero.then_some(Self::WholeDegrees)
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
            Self::WholeDegrees => {
                "coordinates of the type int32 are units of 1e-7 degree, and all of these are within the first 180 units: \
                 convert whole degrees to float64"
            }
        }
    }
}

/// Warns of coordinates that may have another meaning. Invalid points show a wrong order; without them, the values can still
/// be tiny.
pub(crate) fn warn_suspicion(
    py: Python<'_>,
    metric: Metric,
    columns: &Columns,
    is_any_invalid: bool,
) -> PyResult<()> {
    let suspicion = match is_any_invalid {
        true => Suspicion::of(metric, columns),
        false => Suspicion::of_units(metric, columns),
    };
    suspicion.map_or(Ok(()), |suspicion| warn(py, suspicion.advice()))
}
