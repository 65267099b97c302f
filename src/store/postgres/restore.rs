//! Fills an empty table with the recordings of a backup or of another store, in one transaction.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};

use super::error::PostgresOpenError;
use super::failure::Failure;
use super::link::{BARRIER, Link, Statement};
use super::row::{self, Shown};
use super::schema;
use crate::recording::{RecordingName, StoreError};
use crate::store::backup::BackupError;
use crate::store::codec::columns::{self, Columns};

/// Maximum number of recordings in one statement.
const BATCH_MAX: usize = 1_000;
/// A statement ends when its recordings have this size.
const BATCH_BYTES: usize = 8 << 20;
/// The time limit of one statement.
const STATEMENT: Duration = Duration::from_secs(120);

/// The rows are locked against all others that write. The limits of the other transactions are too short for the lock.
const BEGIN: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '10s';
LOCK TABLE waywiser_recording IN EXCLUSIVE MODE";

const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM waywiser_recording)";

const INSERT: &str = "\
INSERT INTO waywiser_recording (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model,
  length_m, estimated_length_m, moving_s, options, state)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::text[], $10::float8[], $11::float8[], $12::float8[], $13::bytea[], $14::bytea[])";

/// New epochs are larger than those of all recordings. The sequence may be ahead already.
const RAISE_EPOCH: &str = "\
SELECT setval('waywiser_epoch', greatest(last_value, ($1::bigint >> 20) + 1)) FROM waywiser_epoch";

/// The reason why recordings were not restored. Nothing is stored then, unless the database did not report the result
/// of the last step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresRestoreError {
    /// The backup cannot be read.
    #[error("the backup: {0}")]
    Backup(#[from] BackupError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] PostgresOpenError),
    /// The database has recordings.
    #[error("the database has recordings already: use an empty database")]
    NotEmpty,
    /// The database cannot be written.
    #[error("the database cannot be written: {0}")]
    Database(#[from] StoreError),
}

/// Stores recordings, and returns their number.
///
/// # Errors
/// If a recording is an error, if the table is not empty, or if the database fails.
pub(super) async fn restore(
    link: &Link,
    recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> + Send,
) -> Result<u64, PostgresRestoreError> {
    // An error drops the connection, which rolls the transaction back.
    run(link.client().batch_execute(BEGIN))
        .await
        .map_err(|failure| schema::of_failure(&failure))?;
    let rows = query(link, IS_EMPTY, &[]).await.map_err(|failure| failure.of_write())?;
    let is_empty = rows.first().map(|row| row::get(row, 0)).transpose();
    if is_empty.map_err(|failure| failure.of_write())? != Some(true) {
        return Err(PostgresRestoreError::NotEmpty);
    }
    let (mut count, mut epoch, mut bytes) = (0, 0, 0);
    let mut batch = Vec::new();
    for recording in recordings {
        let (name, record) = recording?;
        let columns = columns::from_record(&name, &record);
        let columns =
            columns.map_err(|source| BackupError::Record { name: name.clone(), source })?;
        epoch = epoch.max(columns.header.epoch);
        bytes += columns.state.len();
        batch.push((name, columns));
        count += 1;
        if batch.len() == BATCH_MAX || bytes >= BATCH_BYTES {
            insert(link, &batch).await?;
            batch.clear();
            bytes = 0;
        }
    }
    insert(link, &batch).await?;
    let epoch = number(epoch)?;
    let raised = query(link, RAISE_EPOCH, &[(&epoch, Type::INT8)]).await;
    raised.map_err(|failure| failure.of_write())?;
    let committed = run(link.client().batch_execute("COMMIT")).await;
    committed.map_err(|failure| failure.of_write())?;
    // Waits for the disk and the synchronous standbys, whatever the settings of the database are.
    let barrier = [Statement::new(BARRIER, Vec::new())];
    let durable = link.transaction(&barrier, Instant::now() + STATEMENT).await;
    durable.map_err(|failure| StoreError::Unknown(format!("{failure:?}").into()))?;
    Ok(count)
}

/// Returns a number as it is stored.
fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value)
        .map_err(|_| StoreError::Damaged("a number is too large to be stored".into()))
}

async fn insert(link: &Link, batch: &[(RecordingName, Columns)]) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let namespaces: Vec<_> = batch.iter().map(|(name, _)| row::namespace(name)).collect();
    let ids: Vec<_> = batch.iter().map(|(name, _)| name.id()).collect();
    let headers: Vec<_> = batch.iter().map(|(_, columns)| columns.header).collect();
    let epochs =
        headers.iter().map(|header| number(header.epoch)).collect::<Result<Vec<_>, _>>()?;
    let points: Result<Vec<_>, _> =
        headers.iter().map(|header| number(header.committed_points)).collect();
    let points = points?;
    let complete: Vec<_> = headers.iter().map(|header| header.complete).collect();
    let create: Vec<_> = headers.iter().map(|header| header.create_unix_ms).collect();
    let update: Vec<_> = headers.iter().map(|header| header.update_unix_ms).collect();
    let expire: Vec<_> = headers.iter().map(|header| header.expire_unix_ms).collect();
    let shown: Vec<_> = batch.iter().map(|(_, columns)| Shown::of(&columns.accumulator)).collect();
    let models: Vec<_> = shown.iter().map(|shown| shown.model).collect();
    let lengths: Vec<_> = shown.iter().map(|shown| shown.length_m).collect();
    let estimates: Vec<_> = shown.iter().map(|shown| shown.estimated_length_m).collect();
    let moving: Vec<_> = shown.iter().map(|shown| shown.moving_s).collect();
    let options: Vec<_> = batch.iter().map(|(_, columns)| columns.options.as_slice()).collect();
    let states: Vec<_> = batch.iter().map(|(_, columns)| columns.state.as_slice()).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 14] = [
        (&namespaces, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&epochs, Type::INT8_ARRAY),
        (&points, Type::INT8_ARRAY),
        (&complete, Type::BOOL_ARRAY),
        (&create, Type::INT8_ARRAY),
        (&update, Type::INT8_ARRAY),
        (&expire, Type::INT8_ARRAY),
        (&models, Type::TEXT_ARRAY),
        (&lengths, Type::FLOAT8_ARRAY),
        (&estimates, Type::FLOAT8_ARRAY),
        (&moving, Type::FLOAT8_ARRAY),
        (&options, Type::BYTEA_ARRAY),
        (&states, Type::BYTEA_ARRAY),
    ];
    query(link, INSERT, &parameters).await.map_err(|failure| failure.of_write())?;
    Ok(())
}

async fn query(
    link: &Link,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<tokio_postgres::Row>, Failure> {
    run(link.client().query_typed(sql, parameters)).await
}

/// Waits for one step.
async fn run<T>(
    step: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match timeout_at(Instant::now() + STATEMENT, step).await {
        Ok(result) => result.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::Unknown("the database did not answer in time".to_owned())),
    }
}
