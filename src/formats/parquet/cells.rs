//! The values of the columns of a batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::super::value::{number, unix_ns};

/// The values of a column: each is present, missing, or invalid for the reason in the message.
pub(super) type Cells<T> = Vec<Result<Option<T>, String>>;

/// Returns whether a column of this type can have numbers.
pub(super) fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Float32
                | DataType::Float64
                | DataType::Decimal128(..)
                | DataType::Utf8
                | DataType::LargeUtf8
        )
}

/// Returns whether a column of this type can have times.
pub(super) fn is_temporal(data_type: &DataType) -> bool {
    is_numeric(data_type) || matches!(data_type, DataType::Timestamp(..) | DataType::Date64)
}

/// Returns whether a column of this type can identify tracks.
pub(super) fn is_identifier(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

fn primitive<P: ArrowPrimitiveType, T>(
    array: &ArrayRef,
    convert: impl Fn(P::Native) -> Result<Option<T>, String>,
) -> Option<Cells<T>> {
    let array = array.as_primitive_opt::<P>()?;
    let cell = |value: Option<P::Native>| value.map_or(Ok(None), &convert);
    Some(array.iter().map(cell).collect())
}

/// Returns the text in a row of a column with text or integers, or `None` if it is missing.
pub(super) fn text(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    if let Some(array) = array.as_string_opt::<i32>() {
        return Some(array.value(row).to_owned());
    }
    if let Some(array) = array.as_string_opt::<i64>() {
        return Some(array.value(row).to_owned());
    }
    macro_rules! integer {
        ($($kind:ty),*) => {
            $(if let Some(array) = array.as_primitive_opt::<$kind>() {
                return Some(array.value(row).to_string());
            })*
        };
    }
    integer!(
        Int64Type, Int32Type, Int16Type, Int8Type, UInt64Type, UInt32Type, UInt16Type, UInt8Type
    );
    let array = array.as_primitive_opt::<Decimal128Type>()?;
    Some(array.value_as_string(row))
}

/// Returns the numbers of a column. Text is parsed.
pub(super) fn numbers(what: &str, array: &ArrayRef) -> Cells<f64> {
    let cells = match array.data_type() {
        DataType::Float64 => primitive::<Float64Type, _>(array, |value| Ok(Some(value))),
        DataType::Float32 => primitive::<Float32Type, _>(array, |value| Ok(Some(f64::from(value)))),
        _ => None,
    };
    cells.unwrap_or_else(|| {
        let cell = |row| match text(array, row) {
            Some(text) => number(what, text.as_bytes()),
            None => Ok(None),
        };
        (0..array.len()).map(cell).collect()
    })
}

/// Returns the times of a column in nanoseconds since 1970.
pub(super) fn times(array: &ArrayRef) -> Cells<i64> {
    let scaled = |factor: i64| {
        move |value: i64| match value.checked_mul(factor) {
            Some(unix_ns) => Ok(Some(unix_ns)),
            None => Err(format!("the time {value} is out of range")),
        }
    };
    let cells = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive::<TimestampSecondType, _>(array, scaled(1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<TimestampMillisecondType, _>(array, scaled(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<TimestampMicrosecondType, _>(array, scaled(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive::<TimestampNanosecondType, _>(array, scaled(1))
        }
        DataType::Date64 => primitive::<Date64Type, _>(array, scaled(1_000_000)),
        DataType::Float64 => primitive::<Float64Type, _>(array, number_time),
        DataType::Float32 => {
            primitive::<Float32Type, _>(array, |value| number_time(f64::from(value)))
        }
        _ => None,
    };
    cells.unwrap_or_else(|| {
        let cell = |row| match text(array, row) {
            Some(text) => unix_ns(text.as_bytes(), None),
            None => Ok(None),
        };
        (0..array.len()).map(cell).collect()
    })
}

fn number_time(value: f64) -> Result<Option<i64>, String> {
    if value.is_nan() { Ok(None) } else { unix_ns(value.to_string().as_bytes(), None) }
}
