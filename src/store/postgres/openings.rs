//! A batch of openings. One statement locks the rows, and takes over each recording or replaces it if it has expired.
//! Another statement creates the recordings that do not exist.
//!
//! The decision is taken under the lock. Rows that another transaction holds are skipped and tried again; see
//! `commits.rs`. If another transaction is creating one of the recordings, the statement would have to wait for its end.
//! It waits for a moment only. The batch is then split, so that this transaction delays no other recording.

use std::collections::HashMap;

use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::commits::Outcome;
use super::failure::{Failure, Refusal};
use super::link::{Link, Statement};
use super::request::Opening;
use super::row::{self, Key};
use super::space::{Created, Space};
use super::splitting::Splitting;
use crate::measure::PathAccumulator;
use crate::recording::{Checkpoint, StoreError};
use crate::store::codec::columns;
use crate::store::rules::Header;

/// The options are compared by their bytes. Bytes of an older version are compared by the caller, who asks again with
/// them. Columns 2 and following: whether it was opened, the header, the state, the options.
const OPEN: &str = "\
WITH held AS MATERIALIZED (
  SELECT o.namespace, o.id, o.now_ms, o.expire_ms AS new_expire_ms, o.wanted, o.options AS new_options,
    o.state AS new_state, o.model AS new_model, o.length_m AS new_length_m,
    r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.options, r.state,
    r.expire_ms <= least(o.now_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS is_expired
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[],
              $9::float8[])
    AS o(namespace, id, now_ms, expire_ms, wanted, options, state, model, length_m)
  JOIN waywiser_recording r ON r.namespace = o.namespace AND r.id = o.id
  ORDER BY r.namespace, r.id FOR NO KEY UPDATE OF r SKIP LOCKED),
done AS (
  UPDATE waywiser_recording r SET
    epoch = waywiser_next_epoch(),
    points = CASE WHEN h.is_expired THEN 0 ELSE r.points END,
    complete = r.complete AND NOT h.is_expired,
    create_ms = CASE WHEN h.is_expired THEN h.now_ms ELSE r.create_ms END,
    update_ms = CASE WHEN h.is_expired THEN h.now_ms ELSE r.update_ms END,
    expire_ms = CASE WHEN h.is_expired THEN h.new_expire_ms ELSE greatest(r.expire_ms, h.new_expire_ms) END,
    model = CASE WHEN h.is_expired THEN h.new_model ELSE r.model END,
    length_m = CASE WHEN h.is_expired THEN h.new_length_m ELSE r.length_m END,
    estimated_length_m = CASE WHEN h.is_expired THEN NULL ELSE r.estimated_length_m END,
    moving_s = CASE WHEN h.is_expired THEN NULL ELSE r.moving_s END,
    options = CASE WHEN h.is_expired THEN h.new_options ELSE r.options END,
    state = CASE WHEN h.is_expired THEN h.new_state ELSE r.state END
  FROM held h
  WHERE r.namespace = h.namespace AND r.id = h.id
    AND (h.is_expired OR NOT h.complete AND (h.wanted IS NULL OR h.options = h.wanted))
  RETURNING r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state)
SELECT h.namespace, h.id, d.epoch IS NOT NULL AS is_opened,
  coalesce(d.epoch, h.epoch), coalesce(d.points, h.points), coalesce(d.complete, h.complete),
  coalesce(d.create_ms, h.create_ms), coalesce(d.update_ms, h.update_ms), coalesce(d.expire_ms, h.expire_ms),
  coalesce(d.state, h.state), h.options
FROM held h LEFT JOIN done d ON d.namespace = h.namespace AND d.id = h.id";

/// Maximum number of times that a batch waits for transactions that create the same recordings. It is enough to find three
/// recordings in a full batch. The recordings that are left are tried again.
const CONFLICTS_MAX: usize = 32;

/// The result of opening one recording.
enum Opened {
    /// This checkpoint, or an error.
    Done(Box<Result<Checkpoint, StoreError>>),
    /// The stored options are equal, but have these other bytes.
    OtherBytes(Vec<u8>),
}

/// Opens recordings with distinct names. Returns the results in the same order. Changes the bytes of the wanted options
/// if a recording has other bytes for the same options.
///
/// # Errors
/// If the first transaction fails.
pub(super) async fn run(
    link: &Link,
    openings: &mut [Opening],
    space: &mut Space,
    splitting: &mut Splitting,
) -> Result<Vec<Outcome<Checkpoint>>, Failure> {
    let rows = open(link, openings, splitting.deadline()).await?;
    let mut held: HashMap<Key, Opened> = HashMap::new();
    let by_key: HashMap<Key, &Opening> =
        openings.iter().map(|opening| (row::key(&opening.name), opening)).collect();
    for row in rows.iter().flatten() {
        let read = row::get_key(row).and_then(|key| {
            let opened = by_key.get(&key).map(|opening| opened(row, opening)).transpose()?;
            Ok(opened.map(|opened| (key, opened)))
        });
        // The rows were changed, so an answer that cannot be read is not an error without an effect.
        let read = read.map_err(|failure| Failure::Unknown(format!("{failure:?}")))?;
        held.extend(read);
    }
    let missing: Vec<usize> = (0..openings.len())
        .filter(|&index| !held.contains_key(&row::key(&openings[index].name)))
        .collect();
    // A failure from here on does not change what was opened.
    let mut created = create(link, openings, missing, space, splitting).await;
    let mut outcomes = Vec::with_capacity(openings.len());
    for (index, opening) in openings.iter_mut().enumerate() {
        outcomes.push(match held.remove(&row::key(&opening.name)) {
            Some(Opened::Done(result)) => Some(*result),
            Some(Opened::OtherBytes(bytes)) => {
                opening.wanted = Some(bytes);
                None
            }
            // It is missing if it exists now, or did before and was locked.
            None => created.remove(&index).map(|result| result.map(|epoch| new(opening, epoch))),
        });
    }
    Ok(outcomes)
}

/// Creates the recordings of the openings with these indices. Splits the batch if one recording makes the database refuse
/// it. An opening that is missing in the result was not carried out.
async fn create(
    link: &Link,
    openings: &[Opening],
    mut missing: Vec<usize>,
    space: &mut Space,
    splitting: &mut Splitting,
) -> Created {
    // If many recordings are left over each time, others are the first ones next time.
    let first = space.conflicts.checked_rem(missing.len()).unwrap_or(0);
    missing.rotate_left(first);
    let (mut created, mut parts, mut conflicts) = (Created::new(), vec![missing], 0);
    let (mut is_first, mut has_created) = (true, false);
    while let Some(mut part) = parts.pop() {
        // An opening after the end of its caller would fence a writer on another server.
        part.retain(|&index| openings[index].ticket.send());
        if part.is_empty() {
            continue;
        }
        if !is_first && !splitting.may_continue() {
            break;
        }
        is_first = false;
        let result = space.create(link, openings, &part, splitting.deadline()).await;
        let failure = match result {
            Ok(results) => {
                has_created = true;
                created.extend(results);
                continue;
            }
            Err(failure) => failure,
        };
        let is_conflict = failure.refusal().is_some_and(Refusal::is_conflict);
        let is_of_one = failure.refusal().is_some_and(Refusal::is_of_one_request);
        if is_of_one {
            splitting.count(&Err::<(), _>(&failure));
            if !has_created && splitting.has_failed_often() {
                let rest = part.into_iter().chain(parts.into_iter().flatten());
                created.extend(rest.map(|index| (index, Err(failure.of_group()))));
                break;
            }
        }
        if is_conflict {
            conflicts += 1;
            if conflicts == CONFLICTS_MAX {
                break;
            }
        }
        if part.len() > 1 && (is_conflict || is_of_one) {
            let second = part.split_off(part.len() / 2);
            parts.extend([second, part]);
        } else if !is_conflict {
            created.extend(part.into_iter().map(|index| (index, Err(failure.of_write()))));
        }
    }
    space.conflicts = space.conflicts.wrapping_add(conflicts);
    created
}

async fn open(
    link: &Link,
    openings: &[Opening],
    deadline: Instant,
) -> Result<Vec<Vec<Row>>, Failure> {
    let namespaces: Vec<_> = openings.iter().map(|opening| row::namespace(&opening.name)).collect();
    let ids: Vec<_> = openings.iter().map(|opening| opening.name.id()).collect();
    let now: Vec<_> = openings.iter().map(|opening| opening.request.now_unix_ms).collect();
    let expire: Vec<_> = openings.iter().map(|opening| opening.request.expire_unix_ms).collect();
    let wanted: Vec<_> = openings.iter().map(|opening| opening.wanted.as_deref()).collect();
    let options: Vec<_> = openings.iter().map(|opening| opening.options_bytes.as_slice()).collect();
    let states: Vec<_> = openings.iter().map(|opening| opening.state.as_slice()).collect();
    let models: Vec<_> = openings.iter().map(|opening| opening.shown.model).collect();
    let lengths: Vec<_> = openings.iter().map(|opening| opening.shown.length_m).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&namespaces, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&now, Type::INT8_ARRAY),
        (&expire, Type::INT8_ARRAY),
        (&wanted, Type::BYTEA_ARRAY),
        (&options, Type::BYTEA_ARRAY),
        (&states, Type::BYTEA_ARRAY),
        (&models, Type::TEXT_ARRAY),
        (&lengths, Type::FLOAT8_ARRAY),
    ];
    link.transaction(&[Statement::new(OPEN, parameters)], deadline).await
}

/// Reads the row of a recording that exists.
fn opened(row: &Row, opening: &Opening) -> Result<Opened, Failure> {
    let name = &opening.name;
    let is_opened: bool = row::get(row, 2)?;
    let header: Header = row::get_header(row, 3)?;
    let state: &[u8] = row::get(row, 9)?;
    let options: &[u8] = row::get(row, 10)?;
    let done = |result| Opened::Done(Box::new(result));
    let checkpoint = || done(row::checkpoint(name, &header, state));
    if is_opened {
        return Ok(checkpoint());
    }
    let differing = opening.wanted.as_ref().filter(|wanted| wanted.as_slice() != options);
    if differing.is_none() {
        return Ok(checkpoint());
    }
    Ok(match columns::read_options(name, options) {
        Err(error) => done(Err(error.into())),
        Ok(stored) if stored != opening.options => done(Err(StoreError::OptionsDiffer)),
        Ok(_) if header.complete => checkpoint(),
        Ok(_) => Opened::OtherBytes(options.to_vec()),
    })
}

/// Returns the checkpoint of a new recording.
fn new(opening: &Opening, epoch: u64) -> Checkpoint {
    Checkpoint {
        epoch,
        complete: false,
        accumulator: PathAccumulator::new(opening.options),
        create_unix_ms: opening.request.now_unix_ms,
        update_unix_ms: opening.request.now_unix_ms,
        expire_unix_ms: opening.request.expire_unix_ms,
    }
}
