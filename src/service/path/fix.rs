//! Converts a row of a message to a checked fix, with an error that names the invalid field.

use crate::measure::{self, Fix, FixBlock, FixError, Point, PointError, Space};
use crate::service::violation::FieldViolation;
use crate::wire::Row;

use super::convert;

/// Adds a row to a block that is not full. Returns whether the row is valid; [`fix`] returns the error.
#[inline]
pub(super) fn push(block: &mut FixBlock, row: &Row) -> bool {
    let index = block.len();
    let unix_ns = row.time.map(convert::unix_ns);
    if unix_ns == Some(None) || block.push_xy(row.x, row.y).is_err() {
        return false;
    }
    let is_z = row.z.is_none_or(|z| block.set_z_at(index, z).is_ok());
    let is_accuracy = row.accuracy_m.is_none_or(|it| block.set_accuracy_m_at(index, it).is_ok());
    let is_time = unix_ns.flatten().is_none_or(|it| block.set_unix_ns_at(index, it).is_ok());
    if !(is_z && is_accuracy && is_time) {
        block.truncate(index);
        return false;
    }
    if row.starts_segment {
        block.start_segment_at(index);
    }
    true
}

/// Converts a row to a fix. With `allows_invalid`, an invalid position gives a fix without one.
///
/// # Errors
/// The first invalid field of the row, by its path under `at`.
pub(super) fn fix(
    space: Space,
    row: &Row,
    allows_invalid: bool,
    at: &dyn std::fmt::Display,
) -> Result<Fix, FieldViolation> {
    let violation = |field: &str, why: String| FieldViolation::new(format!("{at}.{field}"), why);
    let mut fix = match Point::new(space, row.x, row.y) {
        Ok(point) => Fix::new(point),
        Err(_) if allows_invalid => Fix::without_position(),
        Err(error) => return Err(violation(axis(&error), error.to_string())),
    };
    if let Some(z) = row.z {
        fix = fix.with_z(z).map_err(|error| violation("z", error.to_string()))?;
    }
    if let Some(time) = row.time {
        let unix_ns = convert::unix_ns(time).ok_or_else(|| violation("time", bad_time(time)))?;
        fix = fix.at_unix_ns(unix_ns).map_err(|error| violation("time", error.to_string()))?;
    }
    if let Some(accuracy_m) = row.accuracy_m {
        let with = fix.with_accuracy_m(accuracy_m);
        fix = with.map_err(|error: FixError| violation("accuracy_m", error.to_string()))?;
    }
    Ok(if row.starts_segment { fix.starting_segment() } else { fix })
}

/// Returns the field of the invalid coordinate.
pub(super) fn axis(error: &PointError) -> &'static str {
    match error {
        PointError::Latitude { .. } => "y",
        PointError::NotFinite { axis, .. } | PointError::PlanarRange { axis, .. } => match *axis {
            "y" | "latitude" => "y",
            _ => "x",
        },
    }
}

/// Returns the error text of an invalid time, for its seconds or else for its nanoseconds.
fn bad_time((seconds, nanos): (i64, i32)) -> String {
    match measure::unix_ns(seconds, 0) {
        Err(error) => error.to_string(),
        Ok(_) => format!("nanos {nanos} is not a number from 0 to 999999999"),
    }
}
