//! The task of the reading connection. Loads are collected into batches; other requests are one query each.
//!
//! What a query returns is durable, because its transaction ends with [`BARRIER`]. When the wait of a writer for the
//! synchronous standby is cancelled, PostgreSQL shows its commit to readers. Without the barrier, a server could report
//! this commit as durable, although the standby has not received it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::commits::EXIST;
use super::failure::{Failure, Refusal};
use super::link::{BARRIER, Link, Statement, TRANSACTION};
use super::row::{self, Key};
use super::splitting::Splitting;
use super::stats::Counters;
use super::ticket::Ticket;
use super::unproven::Unproven;
use super::worker::{Request, Work};
use crate::recording::{RecordingName, StoreError};
use crate::store::rules::Header;

/// Maximum number of recordings in a batch of loads.
const BATCH_MAX: usize = 128;

const LOAD: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state
FROM unnest($1::text[], $2::text[]) AS c(namespace, id)
JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id";

/// Loads rows that no transaction is changing.
const PROVE: &str = "\
SELECT r.namespace, r.id, r.epoch, r.points, r.complete, r.create_ms, r.update_ms, r.expire_ms, r.state
FROM unnest($1::text[], $2::text[]) AS c(namespace, id)
JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
ORDER BY r.namespace, r.id FOR NO KEY UPDATE OF r SKIP LOCKED";

/// The header and the state of a row.
pub(super) type Stored = (Header, Vec<u8>);

/// A request that changes nothing.
#[derive(Debug)]
pub(super) enum Read {
    Load { name: RecordingName, ticket: Ticket<Option<Stored>> },
    Query(Box<Query>),
}

/// A query with its parameters.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) sql: &'static str,
    pub(super) parameters: Vec<Parameter>,
    /// Whether the answer must be durable.
    pub(super) is_durable: bool,
    pub(super) ticket: Ticket<Result<Vec<Row>, Failure>>,
}

/// A parameter of a query.
#[derive(Debug)]
pub(super) enum Parameter {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Numbers(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
}

impl Parameter {
    fn as_sql(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(value) => (value, Type::TEXT),
            Self::Texts(values) => (values, Type::TEXT_ARRAY),
            Self::Number(value) => (value, Type::INT8),
            Self::Numbers(values) => (values, Type::INT8_ARRAY),
            Self::Flags(values) => (values, Type::BOOL_ARRAY),
        }
    }
}

impl Request for Read {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Load { ticket, .. } => ticket.is_abandoned(),
            Self::Query(query) => query.ticket.is_abandoned(),
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Load { ticket, .. } => ticket.answer(Err(error)),
            Self::Query(query) => query.ticket.answer(Err(error)),
        }
    }
}

/// Carries out the requests that change nothing.
pub(super) struct Reader {
    pub(super) counters: Arc<Counters>,
    pub(super) unproven: Arc<Unproven>,
}

impl Work for Reader {
    type Request = Read;

    /// Takes a query, or loads up to the next query.
    fn take_batch(&mut self, waiting: &mut VecDeque<Read>) -> Vec<Read> {
        if matches!(waiting.front(), Some(Read::Query(_))) {
            return waiting.pop_front().into_iter().collect();
        }
        let is_load = |read: &Read| matches!(read, Read::Load { .. });
        let loads = waiting.iter().take_while(|read| is_load(read)).take(BATCH_MAX).count();
        waiting.drain(..loads).collect()
    }

    async fn run(&mut self, link: &Link, batch: Vec<Read>) -> Vec<Read> {
        let mut loads = HashMap::<RecordingName, Vec<Ticket<Option<Stored>>>>::new();
        for read in batch {
            match read {
                Read::Load { name, ticket } if ticket.send() => {
                    loads.entry(name).or_default().push(ticket);
                }
                Read::Query(query) if query.ticket.send() => run_query(link, *query).await,
                Read::Load { .. } | Read::Query(_) => {}
            }
        }
        let (proofs, plain): (Vec<_>, Vec<_>) =
            loads.keys().cloned().partition(|name| self.unproven.contains(name));
        let mut again = Vec::new();
        for (names, is_proof) in [(plain, false), (proofs, true)] {
            let (mut parts, mut splitting) = (vec![names], Splitting::new());
            while let Some(mut part) = parts.pop() {
                if part.is_empty() {
                    continue;
                }
                if !splitting.may_continue() {
                    for name in part {
                        let tickets = loads.remove(&name).into_iter().flatten();
                        again.extend(tickets.map(|ticket| put_back(name.clone(), ticket)));
                    }
                    continue;
                }
                let result = match is_proof {
                    true => self.prove(link, &part).await,
                    false => load(link, &part).await,
                };
                splitting.count(&result);
                let refusal = result.as_ref().err().and_then(Failure::refusal);
                let is_of_one = refusal.is_some_and(Refusal::is_of_one_request);
                let is_hopeless = is_of_one && splitting.is_hopeless();
                if is_hopeless {
                    part.extend(parts.drain(..).flatten());
                }
                if part.len() > 1 && is_of_one && !is_hopeless {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                    continue;
                }
                for name in part {
                    let answer = match &result {
                        Ok(found) => found.get(&row::key(&name)).cloned().transpose(),
                        Err(failure) if is_hopeless => Err(failure.of_group()),
                        Err(failure) => Err(failure.of_read()),
                    };
                    for ticket in loads.remove(&name).into_iter().flatten() {
                        ticket.answer(answer.clone());
                    }
                }
            }
        }
        again
    }
}

fn put_back(name: RecordingName, ticket: Ticket<Option<Stored>>) -> Read {
    ticket.put_back();
    Read::Load { name, ticket }
}

/// What was found of each recording. A recording that is missing does not exist.
type Found = HashMap<Key, Result<Stored, StoreError>>;

impl Reader {
    /// Loads recordings whose last write has an unknown result. A recording whose row another transaction holds, maybe
    /// that write, is not available.
    async fn prove(&self, link: &Link, names: &[RecordingName]) -> Result<Found, Failure> {
        let keys = Keys::of(names);
        let statements = [
            Statement::new(PROVE, keys.parameters()),
            Statement::new(EXIST, keys.parameters()),
            Statement::new(BARRIER, Vec::new()),
        ];
        let rows = link.transaction(&statements, Instant::now() + TRANSACTION).await?;
        let [proven, existing, _] = &rows[..] else {
            return Err(Failure::NotSent("the answer of the database is not complete".to_owned()));
        };
        let mut found = read(proven)?;
        let existing: HashSet<Key> =
            existing.iter().map(row::get_key).collect::<Result<_, Failure>>()?;
        for name in names {
            let key = row::key(name);
            if found.contains_key(&key) || !existing.contains(&key) {
                self.unproven.remove(name);
                self.counters.proofs.fetch_add(1, Relaxed);
            } else {
                let locked =
                    "another transaction holds its row, maybe the last write of this server";
                found.insert(key, Err(StoreError::Unavailable(locked.into())));
            }
        }
        Ok(found)
    }
}

async fn load(link: &Link, names: &[RecordingName]) -> Result<Found, Failure> {
    let keys = Keys::of(names);
    let statements = [Statement::new(LOAD, keys.parameters()), Statement::new(BARRIER, Vec::new())];
    let rows = link.transaction(&statements, Instant::now() + TRANSACTION).await?;
    read(rows.first().map(Vec::as_slice).unwrap_or_default())
}

/// The names of a batch as two arrays.
struct Keys<'a> {
    namespaces: Vec<&'a str>,
    ids: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(names: &'a [RecordingName]) -> Self {
        let (namespaces, ids) = names.iter().map(|name| (row::namespace(name), name.id())).unzip();
        Self { namespaces, ids }
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        vec![(&self.namespaces, Type::TEXT_ARRAY), (&self.ids, Type::TEXT_ARRAY)]
    }
}

fn read(rows: &[Row]) -> Result<Found, Failure> {
    let found = rows.iter().map(|row| Ok((row::get_key(row)?, Ok(stored(row)?))));
    found.collect()
}

/// Reads the header and the state of a row, which follow its name.
///
/// # Errors
/// If the columns have other types.
pub(super) fn stored(row: &Row) -> Result<Stored, Failure> {
    Ok((row::get_header(row, 2)?, row::get(row, 8)?))
}

async fn run_query(link: &Link, query: Query) {
    let parameters = query.parameters.iter().map(Parameter::as_sql).collect();
    let mut statements = vec![Statement::new(query.sql, parameters)];
    if query.is_durable {
        statements.push(Statement::new(BARRIER, Vec::new()));
    }
    let rows = link.transaction(&statements, Instant::now() + TRANSACTION).await;
    let rows = rows.map(|rows| rows.into_iter().next().unwrap_or_default());
    query.ticket.answer(Ok(rows));
}
