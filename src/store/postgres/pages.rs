//! Requests that read recordings in the order of their names: pages, exports, the check of all rows, and the selection
//! of a sweep.

use tokio_postgres::Row;

use super::reader::{Read, stored};
use super::row;
use super::scan::{Entry, Names, Range, scan};
use super::ticket::Queue;
use crate::recording::{
    ExportQuery, Exported, ListQuery, Page, RecordingName, SWEEP_STEP, StoreError, Sweep,
};
use crate::store::StoreCheck;
use crate::store::codec::columns;
use crate::store::export_step::ExportStep;
use crate::store::rules::{self, Header};

/// Number of rows that one query reads of an export, and of the check of all rows.
const ROWS: usize = 500;

const ROWS_OF_RANGE: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state
FROM waywiser_recording r
WHERE (r.namespace, r.id) >= ($1::text, $2::text) AND (r.namespace, r.id) < ($3::text, $4::text)
ORDER BY r.namespace, r.id LIMIT $5::bigint";

/// Also returns the options.
const CHECKED: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state, r.options
FROM waywiser_recording r
WHERE (r.namespace, r.id) >= ($1::text, $2::text) AND (r.namespace, r.id) < ($3::text, $4::text)
ORDER BY r.namespace, r.id LIMIT $5::bigint";

/// Returns the time of the database instead of the state.
const HEADERS: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms,
  (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM waywiser_recording r
WHERE (r.namespace, r.id) >= ($1::text, $2::text) AND (r.namespace, r.id) < ($3::text, $4::text)
ORDER BY r.namespace, r.id LIMIT $5::bigint";

/// Returns up to `count` recordings.
///
/// # Errors
/// If the database fails.
pub(super) async fn list(
    reader: &Queue<Read>,
    query: &ListQuery,
    count: usize,
) -> Result<Page, StoreError> {
    let Some(range) = Range::selected(query) else { return Ok(Page::new()) };
    let mut page = Page::new();
    for entry in scan(reader, ROWS_OF_RANGE, &range, count, Names::Valid, true).await? {
        match entry {
            Entry::Row(row) => {
                let (name, header, state) = columns_of(&row)?;
                let Some(name) = name else { continue };
                let checkpoint = row::checkpoint(&name, &header, &state);
                page.push((name, checkpoint));
            }
            Entry::Unreadable(key, error) => {
                page.extend(row::name(&key).map(|name| (name, Err(error))));
            }
        }
    }
    Ok(page)
}

/// Reads a row. The name is `None` if it is not valid.
fn columns_of(row: &Row) -> Result<(Option<RecordingName>, Header, Vec<u8>), StoreError> {
    let read = row::get_key(row).and_then(|key| {
        let (header, state) = stored(row)?;
        Ok((row::name(&key), header, state))
    });
    read.map_err(|failure| failure.of_read())
}

/// Returns the records of the next recordings.
///
/// # Errors
/// If the database fails.
pub(super) async fn export(
    reader: &Queue<Read>,
    query: &ExportQuery,
) -> Result<Exported, StoreError> {
    let mut step = ExportStep::new(query);
    let Some(range) = Range::selected(&ListQuery::all().after(query.after.clone())) else {
        return Ok(step.last());
    };
    let count = ROWS.min(SWEEP_STEP);
    let entries = scan(reader, ROWS_OF_RANGE, &range, count, Names::Valid, false).await?;
    let is_last = entries.len() < count;
    for entry in entries {
        if step.is_full() {
            return Ok(step.full());
        }
        match entry {
            Entry::Row(row) => {
                let (name, header, state) = columns_of(&row)?;
                let Some(name) = name else { continue };
                match row::record(&name, &header, &state) {
                    Ok(record) => step.add(name, Ok(header), |_| record),
                    Err(error) => step.add(name, Err(error), |_| Vec::new()),
                }
            }
            Entry::Unreadable(key, error) => {
                if let Some(name) = row::name(&key) {
                    step.add(name, Err(error), |_| Vec::new());
                }
            }
        }
    }
    Ok(if is_last { step.last() } else { step.full() })
}

/// Reads and verifies all rows.
///
/// # Errors
/// If the database fails.
pub(super) async fn check(reader: &Queue<Read>) -> Result<StoreCheck, StoreError> {
    let (mut check, mut range) = (StoreCheck::default(), Range::all());
    loop {
        let entries = scan(reader, CHECKED, &range, ROWS, Names::All, false).await?;
        let is_last = entries.len() < ROWS;
        for entry in entries {
            check.recordings += 1;
            let (key, is_valid) = match entry {
                Entry::Row(row) => {
                    let key = row::get_key(&row).map_err(|failure| failure.of_read())?;
                    let name = row::name(&key);
                    let is_valid = name.map(|name| is_valid(&name, &row)).transpose()?;
                    (key, is_valid.unwrap_or(false))
                }
                Entry::Unreadable(key, _) => (key, false),
            };
            range.continue_after(&key);
            if !is_valid {
                let name = row::name(&key);
                let text = name.map_or_else(|| format!("{key:?}"), |name| name.to_string());
                check.damaged.push(text);
            }
        }
        if is_last {
            return Ok(check);
        }
    }
}

/// Returns whether the state and the options of a row can be decoded, and whether the options are those of the state.
fn is_valid(name: &RecordingName, row: &Row) -> Result<bool, StoreError> {
    let (header, state) = stored(row).map_err(|failure| failure.of_read())?;
    let options: &[u8] = row::get(row, 9).map_err(|failure| failure.of_read())?;
    let checkpoint = row::checkpoint(name, &header, &state);
    Ok(checkpoint.is_ok_and(|checkpoint| {
        columns::read_options(name, options).as_ref() == Ok(checkpoint.accumulator.options())
    }))
}

/// The result of one step of a selection: the selected recordings, and the last name that was checked if there may be
/// more.
pub(super) type Selection = (Vec<(RecordingName, Header)>, Option<RecordingName>);

/// Checks the next recordings for those that a sweep removes.
///
/// # Errors
/// If the database fails.
pub(super) async fn select(
    reader: &Queue<Read>,
    sweep: &Sweep,
    after: Option<RecordingName>,
) -> Result<Selection, StoreError> {
    let query = match &sweep.abandoned {
        None => ListQuery::all(),
        Some(abandoned) => ListQuery::namespace(abandoned.namespace.clone()),
    };
    let (mut selected, mut next) = (Vec::new(), None);
    let Some(range) = Range::selected(&query.after(after)) else { return Ok((selected, next)) };
    let entries = scan(reader, HEADERS, &range, SWEEP_STEP, Names::Valid, true).await?;
    let is_last = entries.len() < SWEEP_STEP;
    for entry in entries {
        if selected.len() >= sweep.removals_max() {
            return Ok((selected, next));
        }
        let row = match entry {
            Entry::Row(row) => row,
            Entry::Unreadable(key, _) => {
                next = row::name(&key).or(next);
                continue;
            }
        };
        let read = row::get_key(&row).and_then(|key| {
            let now: i64 = row::get(&row, 8)?;
            Ok((row::name(&key), row::get_header(&row, 2)?, now))
        });
        let (name, header, now) = read.map_err(|failure| failure.of_read())?;
        let Some(name) = name else { continue };
        // A server whose clock is ahead of that of the database deletes nothing too early.
        let sweep = Sweep { now_unix_ms: sweep.now_unix_ms.min(now), ..sweep.clone() };
        if rules::is_selected(&sweep, &name, header) {
            selected.push((name.clone(), header));
        }
        next = Some(name);
    }
    Ok((selected, next.filter(|_| !is_last)))
}
