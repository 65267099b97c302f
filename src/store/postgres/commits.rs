//! A batch of commits: one statement that locks the rows, decides for each, and replaces those that continue.
//!
//! The decision is taken under the lock, so the stored epoch of a refused commit is in the same answer. Rows that another
//! transaction holds are skipped: one row that is locked for long, for example by a person, delays only its own
//! recording. Without waiting for locks there are no deadlocks either.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};

use super::failure::Failure;
use super::link::{BARRIER, Link, Statement};
use super::request::Commit;
use super::row::{self, Key};
use crate::recording::StoreError;

const COMMIT: &str = "\
WITH held AS MATERIALIZED (
  SELECT c.*, r.epoch AS stored,
    c.is_valid AND r.epoch = c.epoch AND r.points = c.was AND NOT r.complete AS continues
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::boolean[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::float8[], $12::float8[], $13::float8[], $14::bytea[])
    AS c(namespace, id, epoch, was, is_valid, points, complete, create_ms, update_ms, expire_ms, length_m,
         estimated_length_m, moving_s, state)
  JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
  ORDER BY r.namespace, r.id FOR NO KEY UPDATE OF r SKIP LOCKED),
done AS (
  UPDATE waywiser_recording r
  SET points = c.points, complete = c.complete, create_ms = c.create_ms, update_ms = c.update_ms,
      expire_ms = c.expire_ms, length_m = c.length_m, estimated_length_m = c.estimated_length_m,
      moving_s = c.moving_s, state = c.state
  FROM held c WHERE r.namespace = c.namespace AND r.id = c.id AND c.continues)
SELECT namespace, id, stored, continues FROM held";

/// Returns which of some recordings exist.
pub(super) const EXIST: &str = "\
SELECT r.namespace, r.id FROM unnest($1::text[], $2::text[]) AS c(namespace, id)
JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id";

/// The result of one request of a batch: `None` if another transaction holds its row.
pub(super) type Outcome<T> = Option<Result<T, StoreError>>;

/// Carries out commits with distinct names. Returns their results in the same order.
///
/// # Errors
/// If the transaction fails.
pub(super) async fn run(
    link: &Link,
    commits: &[Commit],
    deadline: Instant,
) -> Result<Vec<Outcome<()>>, Failure> {
    let decided = decide(link, commits, deadline).await?;
    let missing = commits.iter().map(|commit| row::key(&commit.name));
    let missing: Vec<Key> = missing.filter(|key| !decided.contains_key(key)).collect();
    // A failure from here on does not change what was decided.
    let existing = existing(link, &missing, deadline).await;
    let outcome = |commit: &Commit| {
        let key = row::key(&commit.name);
        match (decided.get(&key), &existing) {
            (Some(&(_, true)), _) => Some(Ok(())),
            (Some(&(epoch, false)), _) => Some(Err(StoreError::Fenced { epoch })),
            (None, Ok(existing)) if existing.contains(&key) => None,
            (None, Ok(_)) => Some(Err(StoreError::NotFound)),
            (None, Err(failure)) => Some(Err(failure.of_read())),
        }
    };
    Ok(commits.iter().map(outcome).collect())
}

/// Returns the stored epoch of each row that could be locked, and whether its commit was carried out.
async fn decide(
    link: &Link,
    commits: &[Commit],
    deadline: Instant,
) -> Result<HashMap<Key, (u64, bool)>, Failure> {
    let number = |of: fn(&Commit) -> u64| -> Vec<i64> {
        // Stored epochs and numbers of points fit. A larger one matches no row.
        commits.iter().map(|commit| i64::try_from(of(commit)).unwrap_or(-1)).collect()
    };
    let time = |of: fn(&Commit) -> i64| -> Vec<i64> { commits.iter().map(of).collect() };
    let length =
        |of: fn(&Commit) -> Option<f64>| -> Vec<Option<f64>> { commits.iter().map(of).collect() };
    let is_valid = |commit: &Commit| {
        let Commit { precondition, next, .. } = commit;
        next.epoch == precondition.epoch
            && next.committed_points >= precondition.committed_points
            && i64::try_from(next.committed_points).is_ok()
    };
    let namespaces: Vec<_> = commits.iter().map(|commit| row::namespace(&commit.name)).collect();
    let ids: Vec<_> = commits.iter().map(|commit| commit.name.id()).collect();
    let epochs = number(|commit| commit.precondition.epoch);
    let was = number(|commit| commit.precondition.committed_points);
    let valid: Vec<_> = commits.iter().map(is_valid).collect();
    let points = number(|commit| commit.next.committed_points);
    let complete: Vec<_> = commits.iter().map(|commit| commit.next.complete).collect();
    let create = time(|commit| commit.next.create_unix_ms);
    let update = time(|commit| commit.next.update_unix_ms);
    let expire = time(|commit| commit.next.expire_unix_ms);
    let lengths = length(|commit| commit.shown.length_m);
    let estimates = length(|commit| commit.shown.estimated_length_m);
    let moving = length(|commit| commit.shown.moving_s);
    let states: Vec<_> = commits.iter().map(|commit| commit.state.as_slice()).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&namespaces, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&epochs, Type::INT8_ARRAY),
        (&was, Type::INT8_ARRAY),
        (&valid, Type::BOOL_ARRAY),
        (&points, Type::INT8_ARRAY),
        (&complete, Type::BOOL_ARRAY),
        (&create, Type::INT8_ARRAY),
        (&update, Type::INT8_ARRAY),
        (&expire, Type::INT8_ARRAY),
        (&lengths, Type::FLOAT8_ARRAY),
        (&estimates, Type::FLOAT8_ARRAY),
        (&moving, Type::FLOAT8_ARRAY),
        (&states, Type::BYTEA_ARRAY),
    ];
    let rows = link.transaction(&[Statement::new(COMMIT, parameters)], deadline).await?;
    let decision = |row| {
        let epoch: i64 = row::get(row, 2)?;
        Ok((row::get_key(row)?, (epoch.cast_unsigned(), row::get(row, 3)?)))
    };
    // The rows were committed, so an answer that cannot be read is not an error without an effect.
    let decided: Result<_, Failure> = rows.iter().flatten().map(decision).collect();
    decided.map_err(|failure| Failure::Unknown(format!("{failure:?}")))
}

/// Returns those of the keys that have a row. What is missing is missing on the synchronous standbys, too.
///
/// # Errors
/// If the transaction fails.
pub(super) async fn existing(
    link: &Link,
    keys: &[Key],
    deadline: Instant,
) -> Result<HashSet<Key>, Failure> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let namespaces: Vec<_> = keys.iter().map(|(namespace, _)| namespace.as_str()).collect();
    let ids: Vec<_> = keys.iter().map(|(_, id)| id.as_str()).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&namespaces, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)];
    let statements = [Statement::new(EXIST, parameters), Statement::new(BARRIER, Vec::new())];
    let rows = link.transaction(&statements, deadline).await?;
    let rows = rows.first().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(row::get_key).collect()
}
