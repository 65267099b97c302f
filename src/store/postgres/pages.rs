//! Queries that return recordings in the order of their names: pages, exports, the check of all rows, and the selection of a
//! sweep.

use tokio_postgres::Row;

use super::failure::Failure;
use super::reader::{Parameter, Query, Read, stored};
use super::row;
use super::ticket::Queue;
use crate::recording::{
    ExportQuery, Exported, ListQuery, ListScope, Page, RecordingName, SWEEP_STEP, StoreError, Sweep,
};
use crate::store::StoreCheck;
use crate::store::codec::columns;
use crate::store::export_step::ExportStep;
use crate::store::rules::{self, Header};

/// Number of rows that one query reads of an export, and of the check of all rows.
const ROWS: usize = 500;
/// Follows all characters of an ID.
const AFTER_IDS: char = '\u{7f}';

const ALL: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state
FROM waywiser_recording r WHERE (r.namespace, r.id) > ($1::text, $2::text)
ORDER BY r.namespace, r.id LIMIT $3::bigint";

const OF_NAMESPACE: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state
FROM waywiser_recording r WHERE r.namespace = $1::text AND r.id > $2::text AND r.id >= $3::text AND r.id < $4::text
ORDER BY r.namespace, r.id LIMIT $5::bigint";

const HEADERS_OF_NAMESPACE: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms,
  (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM waywiser_recording r WHERE r.namespace = $1::text AND r.id > $2::text
ORDER BY r.namespace, r.id LIMIT $3::bigint";

/// Runs a query on the reading connection.
///
/// # Errors
/// If the database fails.
pub(super) async fn ask(
    reader: &Queue<Read>,
    sql: &'static str,
    parameters: Vec<Parameter>,
    is_durable: bool,
) -> Result<Vec<Row>, StoreError> {
    let query = |ticket| Read::Query(Box::new(Query { sql, parameters, is_durable, ticket }));
    let rows: Result<Vec<Row>, Failure> = reader.ask(1, query).await?;
    rows.map_err(|failure| failure.of_read())
}

fn of_read(failure: &Failure) -> StoreError {
    failure.of_read()
}

fn limit(count: usize) -> Parameter {
    Parameter::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Returns the parameters of a position: all names after it.
fn position(after: Option<&RecordingName>) -> [Parameter; 2] {
    let (namespace, id) = after.map_or(("", ""), |name| (row::namespace(name), name.id()));
    [Parameter::Text(namespace.to_owned()), Parameter::Text(id.to_owned())]
}

/// Returns up to `count` recordings.
///
/// # Errors
/// If the database fails.
pub(super) async fn list(
    reader: &Queue<Read>,
    query: &ListQuery,
    count: usize,
) -> Result<Page, StoreError> {
    let ListScope::Namespace { namespace, id_prefix } = &query.scope else {
        let [namespace, id] = position(query.after.as_ref());
        let rows = ask(reader, ALL, vec![namespace, id, limit(count)], true).await?;
        return page(&rows);
    };
    if !query.scope.is_possible() {
        return Ok(Page::new());
    }
    let after = match &query.after {
        Some(after) if after.namespace() == namespace.as_ref() => after.id(),
        Some(after) if after.namespace() > namespace.as_ref() => return Ok(Page::new()),
        _ => "",
    };
    let namespace = namespace.as_ref().map_or("", |namespace| namespace.as_str());
    let parameters = vec![
        Parameter::Text(namespace.to_owned()),
        Parameter::Text(after.to_owned()),
        Parameter::Text(id_prefix.clone()),
        Parameter::Text(format!("{id_prefix}{AFTER_IDS}")),
        limit(count),
    ];
    page(&ask(reader, OF_NAMESPACE, parameters, true).await?)
}

fn page(rows: &[Row]) -> Result<Page, StoreError> {
    let mut page = Page::new();
    for row in rows {
        let (name, header, state) = entry(row)?;
        // Only valid names are stored. A check reports others.
        let Some(name) = name else { continue };
        let checkpoint = row::checkpoint(&name, &header, &state);
        page.push((name, checkpoint));
    }
    Ok(page)
}

/// Reads a row. The name is `None` if it is not valid.
fn entry(row: &Row) -> Result<(Option<RecordingName>, Header, Vec<u8>), StoreError> {
    let key = row::get_key(row).map_err(|failure| of_read(&failure))?;
    let (header, state) = stored(row).map_err(|failure| of_read(&failure))?;
    Ok((row::name(&key), header, state))
}

/// Returns the records of the next recordings.
///
/// # Errors
/// If the database fails.
pub(super) async fn export(
    reader: &Queue<Read>,
    query: &ExportQuery,
) -> Result<Exported, StoreError> {
    let [namespace, id] = position(query.after.as_ref());
    let count = ROWS.min(SWEEP_STEP);
    let rows = ask(reader, ALL, vec![namespace, id, limit(count)], false).await?;
    let mut step = ExportStep::new(query);
    for row in &rows {
        if step.is_full() {
            return Ok(step.full());
        }
        let (name, header, state) = entry(row)?;
        let Some(name) = name else { continue };
        match columns::record(&name, &header, &state) {
            Ok(record) => step.add(name, Ok(header), |_| record),
            Err(error) => step.add(name, Err(error.into()), |_| Vec::new()),
        }
    }
    Ok(if rows.len() < count { step.last() } else { step.full() })
}

/// Reads and verifies all rows.
///
/// # Errors
/// If the database fails.
pub(super) async fn check(reader: &Queue<Read>) -> Result<StoreCheck, StoreError> {
    let mut check = StoreCheck::default();
    let (mut namespace, mut id) = (String::new(), String::new());
    loop {
        let after =
            vec![Parameter::Text(namespace.clone()), Parameter::Text(id.clone()), limit(ROWS)];
        let rows = ask(reader, ALL, after, false).await?;
        for row in &rows {
            check.recordings += 1;
            let key = row::get_key(row).map_err(|failure| of_read(&failure))?;
            let (header, state) = stored(row).map_err(|failure| of_read(&failure))?;
            match row::name(&key) {
                None => check.damaged.push(format!("{key:?}")),
                Some(name) if row::checkpoint(&name, &header, &state).is_err() => {
                    check.damaged.push(name.to_string());
                }
                Some(_) => {}
            }
            (namespace, id) = key;
        }
        if rows.len() < ROWS {
            return Ok(check);
        }
    }
}

/// The result of one step of a selection: the selected recordings, and the last name that was checked if there may be
/// more.
pub(super) type Selection = (Vec<(RecordingName, Header)>, Option<RecordingName>);

/// Checks the next recordings of the namespace of a sweep for abandoned ones.
///
/// # Errors
/// If the database fails.
pub(super) async fn select(
    reader: &Queue<Read>,
    sweep: &Sweep,
    after: Option<&RecordingName>,
) -> Result<Selection, StoreError> {
    let Some(abandoned) = &sweep.abandoned else { return Ok((Vec::new(), None)) };
    let after = match after {
        Some(after) if after.namespace() == abandoned.namespace.as_ref() => after.id(),
        Some(after) if after.namespace() > abandoned.namespace.as_ref() => {
            return Ok((Vec::new(), None));
        }
        _ => "",
    };
    let namespace = abandoned.namespace.as_ref().map_or("", |namespace| namespace.as_str());
    let parameters = vec![
        Parameter::Text(namespace.to_owned()),
        Parameter::Text(after.to_owned()),
        limit(SWEEP_STEP),
    ];
    let rows = ask(reader, HEADERS_OF_NAMESPACE, parameters, true).await?;
    let (mut selected, mut next) = (Vec::new(), None);
    for row in &rows {
        if selected.len() >= sweep.removals_max() {
            return Ok((selected, next));
        }
        let read = row::get_key(row).and_then(|key| {
            let now: i64 = row::get(row, 8)?;
            Ok((row::name(&key), row::get_header(row, 2)?, now))
        });
        let (name, header, now) = read.map_err(|failure| of_read(&failure))?;
        let Some(name) = name else { continue };
        // A server whose clock is ahead of that of the database deletes nothing too early.
        let sweep = Sweep { now_unix_ms: sweep.now_unix_ms.min(now), ..sweep.clone() };
        if rules::is_selected(&sweep, &name, header) {
            selected.push((name.clone(), header));
        }
        next = Some(name);
    }
    Ok((selected, next.filter(|_| rows.len() == SWEEP_STEP)))
}
