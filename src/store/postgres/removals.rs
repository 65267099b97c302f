//! Batches that delete recordings: by name, selected by a sweep, and expired ones.

use std::collections::HashMap;

use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::commits::{Outcome, existing};
use super::failure::Failure;
use super::link::{Link, Statement};
use super::request::Deletion;
use super::row::{self, Key};
use crate::recording::{RecordingName, Removed, SWEEP_STEP};
use crate::store::rules::Header;

const DELETE: &str = "\
WITH held AS MATERIALIZED (
  SELECT r.namespace, r.id, r.epoch FROM unnest($1::text[], $2::text[]) AS c(namespace, id)
  JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
  ORDER BY r.namespace, r.id FOR UPDATE OF r SKIP LOCKED),
done AS (
  DELETE FROM waywiser_recording r USING held h WHERE r.namespace = h.namespace AND r.id = h.id)
SELECT namespace, id, epoch FROM held";

/// Deletes rows that have not changed. Opening a recording changes its epoch.
const DELETE_UNCHANGED: &str = "\
WITH held AS MATERIALIZED (
  SELECT r.namespace, r.id, r.epoch
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS c(namespace, id, epoch, points, update_ms)
  JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
  WHERE r.epoch = c.epoch AND r.points = c.points AND r.update_ms = c.update_ms
  ORDER BY r.namespace, r.id FOR UPDATE OF r SKIP LOCKED),
done AS (
  DELETE FROM waywiser_recording r USING held h WHERE r.namespace = h.namespace AND r.id = h.id)
SELECT namespace, id, epoch FROM held";

/// A server whose clock is ahead of that of the database deletes nothing too early.
const EXPIRE: &str = "\
WITH due AS MATERIALIZED (
  SELECT namespace, id FROM waywiser_recording
  WHERE expire_hour <= $1::bigint / 3600000
    AND expire_ms <= least($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
  LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM waywiser_recording r USING due WHERE r.namespace = due.namespace AND r.id = due.id
RETURNING r.namespace, r.id, r.epoch";

/// Deletes recordings with distinct names. Returns the epochs in the same order.
///
/// # Errors
/// If the transaction fails.
pub(super) async fn delete(
    link: &Link,
    deletions: &[Deletion],
    deadline: Instant,
) -> Result<Vec<Outcome<Option<u64>>>, Failure> {
    let namespaces: Vec<_> =
        deletions.iter().map(|deletion| row::namespace(&deletion.name)).collect();
    let ids: Vec<_> = deletions.iter().map(|deletion| deletion.name.id()).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&namespaces, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)];
    let rows = link.transaction(&[Statement::new(DELETE, parameters)], deadline).await?;
    let deleted: HashMap<Key, u64> = epochs(&rows)?.into_iter().collect();
    let missing = deletions.iter().map(|deletion| row::key(&deletion.name));
    let missing: Vec<Key> = missing.filter(|key| !deleted.contains_key(key)).collect();
    // A failure from here on does not change what was deleted.
    let existing = existing(link, &missing, deadline).await;
    let outcome = |deletion: &Deletion| {
        let key = row::key(&deletion.name);
        match (deleted.get(&key), &existing) {
            (Some(&epoch), _) => Some(Ok(Some(epoch))),
            (None, Ok(existing)) if existing.contains(&key) => None,
            (None, Ok(_)) => Some(Ok(None)),
            (None, Err(failure)) => Some(Err(failure.of_read())),
        }
    };
    Ok(deletions.iter().map(outcome).collect())
}

/// Deletes the selected recordings that have not changed and that no other transaction has locked.
///
/// # Errors
/// If the transaction fails.
pub(super) async fn remove(
    link: &Link,
    selected: &[(RecordingName, Header)],
    deadline: Instant,
) -> Result<Vec<Removed>, Failure> {
    let namespaces: Vec<_> = selected.iter().map(|(name, _)| row::namespace(name)).collect();
    let ids: Vec<_> = selected.iter().map(|(name, _)| name.id()).collect();
    let epochs: Vec<_> = selected.iter().map(|(_, header)| header.epoch.cast_signed()).collect();
    let points: Vec<_> =
        selected.iter().map(|(_, header)| header.committed_points.cast_signed()).collect();
    let updates: Vec<_> = selected.iter().map(|(_, header)| header.update_unix_ms).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&namespaces, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&epochs, Type::INT8_ARRAY),
        (&points, Type::INT8_ARRAY),
        (&updates, Type::INT8_ARRAY),
    ];
    let rows = link.transaction(&[Statement::new(DELETE_UNCHANGED, parameters)], deadline).await?;
    removed(&rows)
}

/// Deletes up to [`SWEEP_STEP`] recordings that have expired and that no other transaction
/// has locked.
///
/// # Errors
/// If the transaction fails.
pub(super) async fn expire(
    link: &Link,
    now_unix_ms: i64,
    deadline: Instant,
) -> Result<Vec<Removed>, Failure> {
    let limit = SWEEP_STEP as i64;
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&now_unix_ms, Type::INT8), (&limit, Type::INT8)];
    let rows = link.transaction(&[Statement::new(EXPIRE, parameters)], deadline).await?;
    removed(&rows)
}

/// Reads the keys and the epochs of deleted rows.
fn epochs(rows: &[Vec<Row>]) -> Result<Vec<(Key, u64)>, Failure> {
    let epoch = |row| Ok((row::get_key(row)?, row::get::<i64>(row, 2)?.cast_unsigned()));
    let epochs: Result<_, Failure> = rows.iter().flatten().map(epoch).collect();
    // The rows are deleted, so an answer that cannot be read is not an error without an effect.
    epochs.map_err(|failure| Failure::Unknown(format!("{failure:?}")))
}

fn removed(rows: &[Vec<Row>]) -> Result<Vec<Removed>, Failure> {
    let mut removed: Vec<_> = epochs(rows)?
        .into_iter()
        .filter_map(|(key, epoch)| Some(Removed { name: row::name(&key)?, epoch }))
        .collect();
    removed.sort();
    Ok(removed)
}
