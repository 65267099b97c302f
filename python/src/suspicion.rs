//! What unusual coordinates may be: advice in exceptions and warnings.

use std::ops::Range;

use pyo3::prelude::*;
use waywiser::Metric;

use crate::column::{BLOCK, Block, Column, Columns};
use crate::error::warn;
use crate::work::{self, Stopped};

/// The number of points of which `of_units` reads x before y.
const UNITS_POINTS: usize = 16;

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
    /// Returns what the values may be, if latitudes are out of range. It handles signals.
    pub(crate) fn of(py: Python<'_>, metric: Metric, columns: &Columns) -> PyResult<Option<Self>> {
        if metric == Metric::Planar {
            return Ok(None);
        }
        let mut seen = Seen { is_whole: true, ..Seen::default() };
        let outcome = work::in_order(py, columns.len(), |range: Range<usize>| {
            for from in range.clone().step_by(BLOCK) {
                seen.add(columns, from..range.end.min(from + BLOCK))?;
            }
            Ok(())
        });
        match outcome {
            Ok(()) => Ok(seen.suspicion()),
            Err(Stopped::Error(Harmless)) => Ok(None),
            Err(Stopped::Exception(exception)) => Err(exception),
        }
    }

    /// Returns whether whole degrees may have been passed as units of 1e-7 degree. Most paths are decided by their first
    /// points. It handles signals.
    fn of_units(py: Python<'_>, metric: Metric, columns: &Columns) -> PyResult<Option<Self>> {
        let Columns::Int(x, y) = columns else { return Ok(None) };
        if metric == Metric::Planar {
            return Ok(None);
        }
        let mut is_any_nonzero = false;
        let outcome = work::in_order(py, columns.len(), |range: Range<usize>| {
            let mut block = Block::new();
            for from in range.clone().step_by(UNITS_POINTS) {
                for (column, limit) in [(x, 180), (y, 90)] {
                    let range = from..range.end.min(from + UNITS_POINTS);
                    for &value in column.read(range, &mut block) {
                        if value.unsigned_abs() > limit {
                            return Err(Harmless);
                        }
                        is_any_nonzero |= value != 0;
                    }
                }
            }
            Ok(())
        });
        match outcome {
            Ok(()) => Ok(is_any_nonzero.then_some(Self::WholeDegrees)),
            Err(Stopped::Error(Harmless)) => Ok(None),
            Err(Stopped::Exception(exception)) => Err(exception),
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
            Self::WholeDegrees => {
                "coordinates of the type int32 are units of 1e-7 degree, and all of these are within the first 180 units: \
                 convert whole degrees to float64"
            }
        }
    }
}

/// The coordinates are not unusual.
struct Harmless;

/// What was seen of coordinates.
#[derive(Default)]
struct Seen {
    /// Whether longitudes are outside the range of latitudes.
    x_exceeds: bool,
    /// Whether latitudes are out of range.
    y_exceeds: bool,
    /// Whether all latitudes are whole numbers of degrees.
    is_whole: bool,
    /// The largest absolute value of the latitudes in degrees.
    y_max: f64,
}

impl Seen {
    /// Adds at most [`BLOCK`] points.
    fn add(&mut self, columns: &Columns, range: Range<usize>) -> Result<(), Harmless> {
        match columns {
            Columns::Float(x, y) => {
                let mut block = Block::new();
                let x = x.read(range.clone(), &mut block);
                self.x_exceeds |= x.iter().any(|value| value.abs() > 90.0);
                for &value in y.read(range, &mut Block::new()) {
                    self.y_exceeds |= value.abs() > 90.0;
                    self.is_whole &= value.is_nan() || value.fract() == 0.0;
                    self.y_max = self.y_max.max(value.abs());
                }
            }
            Columns::Int(x, y) => {
                let exceeds = |column: &Column<i32>, range| {
                    let mut block = Block::new();
                    let values = column.read(range, &mut block);
                    values.iter().any(|&value| value.unsigned_abs() > 900_000_000)
                };
                self.is_whole = false;
                self.x_exceeds |= exceeds(x, range.clone());
                self.y_exceeds |= exceeds(y, range);
            }
        }
        match self.x_exceeds && !self.is_whole {
            true => Err(Harmless),
            false => Ok(()),
        }
    }

    fn suspicion(&self) -> Option<Suspicion> {
        // A smaller whole number is treated as a wrong latitude in degrees: 0.01 degrees in units of 1e-7 degree.
        const E7_MIN: f64 = 1e5;
        match () {
            () if !self.y_exceeds => None,
            () if self.is_whole && (E7_MIN..=90.0e7).contains(&self.y_max) => {
                Some(Suspicion::ScaledE7)
            }
            () if self.x_exceeds => None,
            () => Some(Suspicion::Swapped),
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
        true => Suspicion::of(py, metric, columns)?,
        false => Suspicion::of_units(py, metric, columns)?,
    };
    suspicion.map_or(Ok(()), |suspicion| warn(py, suspicion.advice()))
}
