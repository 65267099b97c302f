//! Adds a part of decoded columns to a block, with an error that names the first invalid entry.

use std::ops::Range;

use crate::measure::{ColumnError, FixBlock, Options};
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::wire::{self, ColumnBlock};

use super::fix::axis;

/// Adds a range of decoded points to a block with enough remaining capacity.
///
/// # Errors
/// An invalid point: its index in the range, the column, and the reason. The block is then unchanged.
pub(super) fn fill(
    block: &mut FixBlock,
    read: &ColumnBlock,
    range: Range<usize>,
    options: &Options,
) -> Result<(), (usize, &'static str, String)> {
    let of = |error: ColumnError, field| (error.index(), field, error.to_string());
    let from = block.len();
    let starts_segment = read.starts_segment && range.start == 0 && !range.is_empty();
    let mut filled = || {
        block
            .extend_scaled(&read.x[range.clone()], &read.y[range.clone()], options.xy_resolution())
            .map_err(|error| match &error {
                ColumnError::Point { source, .. } if axis(source) == "y" => of(error, "y"),
                _ => of(error, "x"),
            })?;
        if read.has_z {
            let z = &read.z[range.clone()];
            block.set_z_scaled(from, z, options.z_resolution()).map_err(|error| of(error, "z"))?;
        }
        if read.has_time {
            let times_ms = &read.time_ms[range.clone()];
            block.set_times_ms(from, times_ms).map_err(|error| of(error, "time_ms"))?;
        }
        if read.has_accuracy {
            block.set_accuracy_mm(from, &read.accuracy_mm[range.clone()]);
        }
        if starts_segment {
            block.start_segment_at(from);
        }
        Ok(())
    };
    filled().inspect_err(|_| block.truncate(from))
}

/// Returns the error of an invalid entry. The first point of the message has the offset `base`.
pub(super) fn invalid(base: u64, field: &str, at: usize, why: String) -> RpcError {
    let violation = FieldViolation::new(format!("columns.{field}[{at}]"), why);
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
