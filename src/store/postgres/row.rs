//! The rows of the table, and the names of recordings as two columns.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::failure::{Failure, Refusal};
use crate::measure::{Metric, PathAccumulator};
use crate::recording::{Checkpoint, Namespace, RecordingName, StoreError};
use crate::store::codec::columns;
use crate::store::rules::Header;

/// Returns the column `namespace` of a recording. It is empty for the default namespace.
pub(super) fn namespace(name: &RecordingName) -> &str {
    name.namespace().map_or("", Namespace::as_str)
}

/// A name as it is in the table.
pub(super) type Key = (String, String);

pub(super) fn key(name: &RecordingName) -> Key {
    (namespace(name).to_owned(), name.id().to_owned())
}

/// Reads a column.
///
/// # Errors
/// If it has another type, so that the table is not that of this program.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Failure> {
    row.try_get(index).map_err(|error| {
        let message = format!("a column has an unexpected type ({error})");
        Failure::Refused(Refusal { code: "42804".to_owned(), message })
    })
}

/// Reads the name in the first two columns.
pub(super) fn get_key(row: &Row) -> Result<Key, Failure> {
    Ok((get(row, 0)?, get(row, 1)?))
}

/// Returns the name of a key, or `None` if it is not one that this program has stored.
pub(super) fn name((namespace, id): &Key) -> Option<RecordingName> {
    let namespace = match namespace.as_str() {
        "" => None,
        text => Some(text.parse::<Namespace>().ok()?),
    };
    RecordingName::in_namespace(namespace.as_ref(), id).ok()
}

/// Reads the header from six columns, starting at `first`: epoch, points, complete, and the times of creation, of the
/// last change and of expiry. [`checkpoint`] and [`record`] refuse negative numbers, so that one damaged row is an error
/// of its own.
pub(super) fn get_header(row: &Row, first: usize) -> Result<Header, Failure> {
    Ok(Header {
        epoch: get::<i64>(row, first)?.cast_unsigned(),
        committed_points: get::<i64>(row, first + 1)?.cast_unsigned(),
        complete: get(row, first + 2)?,
        create_unix_ms: get(row, first + 3)?,
        update_unix_ms: get(row, first + 4)?,
        expire_unix_ms: get(row, first + 5)?,
    })
}

/// Decodes a checkpoint from its columns.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(super) fn checkpoint(
    name: &RecordingName,
    header: &Header,
    state: &[u8],
) -> Result<Checkpoint, StoreError> {
    check(header)?;
    Ok(columns::checkpoint(name, header, state)?)
}

/// Returns the record of a recording from its columns.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(super) fn record(
    name: &RecordingName,
    header: &Header,
    state: &[u8],
) -> Result<Vec<u8>, StoreError> {
    check(header)?;
    Ok(columns::record(name, header, state)?)
}

/// Checks that no column was negative that must not be.
fn check(header: &Header) -> Result<(), StoreError> {
    match i64::try_from(header.epoch.max(header.committed_points)) {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::Damaged("its epoch or number of points is negative".into())),
    }
}

/// The columns for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) model: &'static str,
    /// Missing if the unit of lengths is not the metre.
    pub(super) length_m: Option<f64>,
    pub(super) estimated_length_m: Option<f64>,
    pub(super) moving_s: Option<f64>,
}

impl Shown {
    pub(super) fn of(accumulator: &PathAccumulator) -> Self {
        let summary = accumulator.summary();
        let model = match summary.metric {
            Metric::Planar => "planar",
            Metric::Haversine => "haversine",
            Metric::Geodesic => "geodesic",
        };
        Self {
            model,
            length_m: (summary.metric != Metric::Planar).then_some(summary.length),
            estimated_length_m: summary.estimate.map(|estimate| estimate.length_m),
            moving_s: summary.moving_ns.map(|ns| ns as f64 / 1e9),
        }
    }
}
