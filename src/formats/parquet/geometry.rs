//! The geometries of a batch: WKB, or the separate coordinates of GeoArrow.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};

use super::wkb::{self, Coordinates, Geometry};

/// The encoding of a geometry column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Wkb,
    Point,
    Line,
    MultiLine,
}

impl Encoding {
    /// Returns the encoding with a name of GeoParquet.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "wkb" => Encoding::Wkb,
            "point" => Encoding::Point,
            "linestring" => Encoding::Line,
            "multilinestring" => Encoding::MultiLine,
            _ => return None,
        })
    }
}

/// Returns the geometry in a row, or `None` if it is null.
///
/// # Errors
/// A message, if the value is not a geometry in this encoding.
pub(super) fn geometry(
    column: &ArrayRef,
    encoding: Encoding,
    row: usize,
) -> Result<Option<Geometry>, String> {
    if column.is_null(row) {
        return Ok(None);
    }
    let unreadable = || "the geometry does not have the encoding of its column".to_owned();
    let geometry = match encoding {
        Encoding::Wkb => {
            let bytes = match column.as_binary_opt::<i32>() {
                Some(array) => array.value(row),
                None => column.as_binary_opt::<i64>().ok_or_else(unreadable)?.value(row),
            };
            wkb::parse(bytes)?
        }
        Encoding::Point => {
            point(column.as_ref(), row).map(Geometry::Point).ok_or_else(unreadable)?
        }
        Encoding::Line => {
            let line = list_value(column, row).ok_or_else(unreadable)?;
            Geometry::Lines(vec![points(&line).ok_or_else(unreadable)?])
        }
        Encoding::MultiLine => {
            let lines = list_value(column, row).ok_or_else(unreadable)?;
            let line = |index| points(&list_value(&lines, index)?);
            let lines: Option<Vec<_>> = (0..lines.len()).map(line).collect();
            Geometry::Lines(lines.ok_or_else(unreadable)?)
        }
    };
    Ok(Some(geometry))
}

fn list_value(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    match array.as_list_opt::<i32>() {
        Some(list) => Some(list.value(row)),
        None => array.as_list_opt::<i64>().map(|list| list.value(row)),
    }
}

fn points(array: &ArrayRef) -> Option<Vec<Coordinates>> {
    (0..array.len()).map(|row| point(array.as_ref(), row)).collect()
}

/// Returns the point in a row: a struct with x and y, or a list of coordinates.
fn point(array: &dyn Array, row: usize) -> Option<Coordinates> {
    if let Some(fields) = array.as_struct_opt() {
        let value = |name: &str| {
            let column = fields.column_by_name(name)?.as_primitive_opt::<Float64Type>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        return Some([value("x")?, value("y")?, value("z").unwrap_or(f64::NAN)]);
    }
    let values = match array.as_fixed_size_list_opt() {
        Some(list) => list.value(row),
        None => array.as_list_opt::<i32>()?.value(row),
    };
    let values = values.as_primitive_opt::<Float64Type>()?.values();
    Some([*values.first()?, *values.get(1)?, values.get(2).copied().unwrap_or(f64::NAN)])
}
