//! Fills an empty table with the recordings of a backup or of another store, in one transaction.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::{ToSql, Type};

use super::connect::{self, Purpose};
use super::error::PostgresOpenError;
use super::failure::Failure;
use super::link::{BARRIER, Link, Statement};
use super::row::{self, Shown};
use super::schema;
use super::settings::PostgresSettings;
use crate::recording::{RecordingName, StoreError};
use crate::store::backup::BackupError;
use crate::store::codec::columns::{self, Columns};
use crate::store::rules::Header;

/// Maximum number of recordings in one statement.
const BATCH_MAX: usize = 1_000;
/// A statement ends when its recordings have this size.
const BATCH_BYTES: usize = 8 << 20;
/// The time limit of one statement.
const STATEMENT: Duration = Duration::from_secs(120);

/// The rows are locked against all others that write. The limits of the other transactions are too short for the lock. If
/// the backup does not continue, or this machine disappears, the lock ends after some minutes.
const BEGIN: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '10s';
SET LOCAL idle_in_transaction_session_timeout = '5min';
LOCK TABLE waywiser_recording IN EXCLUSIVE MODE";

const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM waywiser_recording)";

const INSERT: &str = "\
INSERT INTO waywiser_recording (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model,
  length_m, estimated_length_m, moving_s, options, state)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::text[], $10::float8[], $11::float8[], $12::float8[], $13::bytea[], $14::bytea[])";

/// Returns the last statements. New epochs are larger than those of all recordings. The sequence may be ahead already.
fn end(epoch: i64) -> String {
    format!(
        "SELECT setval('waywiser_epoch', greatest(last_value, ({epoch}::bigint >> 20) + 1)) FROM waywiser_epoch; COMMIT"
    )
}

/// Waits until the transaction of a lost connection has ended.
const LOCK: &str = "LOCK TABLE waywiser_recording IN EXCLUSIVE MODE";

/// Returns whether one of the recordings is stored as it was restored, and whether there are any.
const FOUND: &str = "\
SELECT EXISTS (
  SELECT FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS c(namespace, id, epoch, create_ms)
  JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
  WHERE r.epoch = c.epoch AND r.create_ms = c.create_ms),
  EXISTS (SELECT FROM waywiser_recording)";

/// The time limit to find out whether a commit was carried out, as a multiple of the time limit to connect to one host.
const LOOKUP_CONNECTS: u32 = 4;
/// The pause between two attempts to find out.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

/// The reason why recordings were not restored. Nothing is stored then, except after
/// [`Unknown`](PostgresRestoreError::Unknown).
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
    /// The answer to the commit was lost, and the database could not be asked afterwards whether it was carried out.
    #[error(
        "the database may have all {count} recordings, or none: the answer to the commit was lost ({reason}); when the \
         database can be reached, count its recordings with `waywiser store check --store URL`"
    )]
    Unknown {
        /// The number of recordings.
        count: u64,
        /// The reason why it is unknown.
        reason: String,
    },
}

/// Stores recordings, and returns their number. If the answer to the commit is lost, finds out whether it was carried
/// out.
///
/// # Errors
/// If a recording is an error, if the table is not empty, or if the database fails.
pub(super) async fn restore(
    settings: &PostgresSettings,
    recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> + Send,
) -> Result<u64, PostgresRestoreError> {
    let opened = connect::open(settings, 0, Purpose::Store).await;
    let opened = opened.map_err(PostgresOpenError::from)?;
    let stored = store(&opened.link, recordings).await;
    if !matches!(stored, Ok(Stored { is_certain: Ok(()), .. })) {
        opened.link.give_up("the restore has failed");
    }
    drop(opened);
    let Stored { count, sample, is_certain } = stored?;
    match is_certain {
        Ok(()) => Ok(count),
        Err(_) if count == 0 => Ok(0),
        Err(reason) => {
            tracing::warn!(
                "the answer to the commit was lost ({reason}), so the database is asked for its result"
            );
            match find_result(settings, &sample).await {
                Ok(true) => Ok(count),
                Ok(false) => Err(StoreError::Unavailable(reason.into()).into()),
                Err(reason) => Err(PostgresRestoreError::Unknown { count, reason }),
            }
        }
    }
}

/// Returns whether the recordings were stored.
///
/// # Errors
/// The reason why this is unknown.
async fn find_result(settings: &PostgresSettings, sample: &Sample) -> Result<bool, String> {
    let deadline = Instant::now() + LOOKUP_CONNECTS * settings.connect_timeout;
    loop {
        let reason = match look_up(settings, sample).await {
            Ok((true, _)) => return Ok(true),
            // The table was empty, and nothing else was stored since.
            Ok((false, false)) => return Ok(false),
            Ok((false, true)) => {
                return Err("the database has other recordings now".to_owned());
            }
            Err(reason) => reason,
        };
        if Instant::now() >= deadline {
            return Err(reason);
        }
        sleep(LOOKUP_PAUSE).await;
    }
}

/// Asks the database once: whether it has recordings of the sample, and whether it has any.
async fn look_up(settings: &PostgresSettings, sample: &Sample) -> Result<(bool, bool), String> {
    let opened = connect::open(settings, 0, Purpose::Store).await;
    let link = opened.map_err(|failure| PostgresOpenError::from(failure).to_string())?.link;
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&sample.namespaces, Type::TEXT_ARRAY),
        (&sample.ids, Type::TEXT_ARRAY),
        (&sample.epochs, Type::INT8_ARRAY),
        (&sample.creations, Type::INT8_ARRAY),
    ];
    let statements = [
        Statement::new(LOCK, Vec::new()),
        Statement::new(FOUND, parameters),
        Statement::new(BARRIER, Vec::new()),
    ];
    let rows = link.transaction(&statements, Instant::now() + STATEMENT).await;
    let rows = rows.map_err(|failure| failure.of_read().to_string())?;
    let row = rows.get(1).and_then(|rows| rows.first());
    let row = row.ok_or("the answer of the database is not complete")?;
    let column = |index| row::get(row, index).map_err(|failure| failure.of_read().to_string());
    Ok((column(0)?, column(1)?))
}

/// Some of the recordings, by which the database shows that it has stored them.
#[derive(Debug, Default)]
struct Sample {
    namespaces: Vec<String>,
    ids: Vec<String>,
    epochs: Vec<i64>,
    creations: Vec<i64>,
}

impl Sample {
    fn add(&mut self, name: &RecordingName, header: &Header) {
        if self.ids.len() < BATCH_MAX {
            let (namespace, id) = row::key(name);
            self.namespaces.push(namespace);
            self.ids.push(id);
            self.epochs.push(header.epoch.cast_signed());
            self.creations.push(header.create_unix_ms);
        }
    }
}

/// The recordings of a transaction whose commit was sent.
#[derive(Debug)]
struct Stored {
    count: u64,
    sample: Sample,
    /// Whether the commit was carried out, or the reason why this is unknown.
    is_certain: Result<(), String>,
}

/// Stores recordings on a connection. An error means that nothing was stored.
async fn store(
    link: &Link,
    mut recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> + Send,
) -> Result<Stored, PostgresRestoreError> {
    // The backup may arrive long after the command starts. The table is not locked until then.
    let first = recordings.next().transpose()?;
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
    let (mut batch, mut sample) = (Vec::new(), Sample::default());
    for recording in first.map(Ok).into_iter().chain(recordings) {
        let (name, record) = recording?;
        let columns = columns::from_record(&name, &record);
        let columns =
            columns.map_err(|source| BackupError::Record { name: name.clone(), source })?;
        epoch = epoch.max(columns.header.epoch);
        sample.add(&name, &columns.header);
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
    let end = end(number(epoch)?);
    let is_certain = match run(link.client().batch_execute(&end)).await {
        Err(failure @ Failure::Refused(_)) => return Err(failure.of_write().into()),
        Err(Failure::Unknown(reason) | Failure::NotSent(reason)) => Err(reason),
        Ok(()) => {
            // Waits for the disk and the synchronous standbys, whatever the settings of the database are.
            let barrier = [Statement::new(BARRIER, Vec::new())];
            let durable = link.transaction(&barrier, Instant::now() + STATEMENT).await;
            durable.map(drop).map_err(|failure| failure.of_read().to_string())
        }
    };
    Ok(Stored { count, sample, is_certain })
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
