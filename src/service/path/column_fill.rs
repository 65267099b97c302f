//! Adds a part of decoded columns to a block, with an error that names the first invalid entry.

use std::ops::Range;

use crate::measure::{ColumnError, Fix, FixBlock, Options};
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::wire::{self, ColumnBlock};

use super::fix::axis;

/// Adds a range of decoded points to a block with enough remaining capacity.
///
/// # Errors
/// An invalid point, with its index in the range. The block is then unchanged.
pub(super) fn fill(
    block: &mut FixBlock,
    read: &ColumnBlock,
    range: Range<usize>,
    options: &Options,
) -> Result<(), ColumnError> {
    let from = block.len();
    let starts_segment = read.starts_segment && range.start == 0 && !range.is_empty();
    let (x, y) = (&read.x[range.clone()], &read.y[range.clone()]);
    let filled = block
        .extend_scaled(x, y, options.xy_resolution())
        .and_then(|()| set_attributes(block, read, range, from, options))
        .inspect_err(|_| block.truncate(from));
    if starts_segment && filled.is_ok() {
        block.start_segment_at(from);
    }
    filled
}

/// Sets the attributes of a range of decoded points, which begins at the index `from` of the block.
#[inline]
fn set_attributes(
    block: &mut FixBlock,
    read: &ColumnBlock,
    range: Range<usize>,
    from: usize,
    options: &Options,
) -> Result<(), ColumnError> {
    if read.has_z {
        block.set_z_scaled(from, &read.z[range.clone()], options.z_resolution())?;
    }
    if read.has_time {
        block.set_times_ms(from, &read.time_ms[range.clone()])?;
    }
    if read.has_accuracy {
        block.set_accuracy_mm(from, &read.accuracy_mm[range]);
    }
    Ok(())
}

/// Adds a range of decoded points one by one. Points with an invalid position are added as fixes without one.
///
/// # Errors
/// An invalid attribute, with the index of its point in the range. The points before it were added.
pub(super) fn fill_each(
    block: &mut FixBlock,
    read: &ColumnBlock,
    range: Range<usize>,
    options: &Options,
) -> Result<(), (usize, ColumnError)> {
    for (index, at) in range.enumerate() {
        match fill(block, read, at..at + 1, options) {
            Ok(()) => {}
            Err(ColumnError::Point { .. }) => {
                check_attributes(block, read, at, options).map_err(|error| (index, error))?;
                let fix = Fix::without_position();
                let is_start = read.starts_segment && at == 0;
                let fix = if is_start { fix.starting_segment() } else { fix };
                // A fix without a position fits every space.
                let _ = block.push(fix);
            }
            Err(error) => return Err((index, error)),
        }
    }
    Ok(())
}

/// Checks the attributes of a point whose position is invalid, on a valid point that is removed again.
fn check_attributes(
    block: &mut FixBlock,
    read: &ColumnBlock,
    at: usize,
    options: &Options,
) -> Result<(), ColumnError> {
    let from = block.len();
    let placed = block.push_xy(0.0, 0.0);
    let placed = placed.map_err(|source| ColumnError::Point { index: 0, source });
    let checked = placed.and_then(|()| set_attributes(block, read, at..at + 1, from, options));
    block.truncate(from);
    checked
}

/// Returns the error of an invalid entry of the point `at`. The first point of the message has the offset `base`.
pub(super) fn invalid(base: u64, at: usize, error: &ColumnError) -> RpcError {
    let field = match error {
        ColumnError::Point { source, .. } => axis(source),
        ColumnError::Z { .. } => "z",
        ColumnError::Time { .. } => "time_ms",
        ColumnError::Accuracy { .. } => "accuracy_mm",
    };
    let violation = FieldViolation::new(format!("columns.{field}[{at}]"), error.to_string());
    RpcError::Fix { offset: base + at as u64, violation }
}

/// Returns the error of inconsistent columns. The first point of the message has the offset `base`.
pub(super) fn misfit(error: &wire::ColumnError, base: u64) -> RpcError {
    match error {
        wire::ColumnError::Overflow { column, index } => {
            let why = "the sum of the differences up to here leaves 64 bits";
            let violation = FieldViolation::new(format!("columns.{column}[{index}]"), why);
            RpcError::Fix { offset: base + *index as u64, violation }
        }
        wire::ColumnError::Start { index, start, points } => {
            let why = format!("it is {start}; the entries ascend and are below {points}");
            let field = format!("columns.segment_starts[{index}]");
            FieldViolation::new(field, why).at(MessageRef::From(base))
        }
    }
}
