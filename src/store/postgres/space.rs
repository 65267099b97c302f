//! Creates recordings, up to the maximum of the store and of each namespace.
//!
//! Counting all rows takes time, so the store counts rarely: after a count it may create an eighth of what is left
//! without another one. Other servers do not see this number, so together they can exceed the maximum, each by up to an
//! eighth of it. When little is left, each batch counts
//! once, and a lock makes the batches of all servers wait for each other. If the database refuses the batch, its parts use
//! the same count. A store that is full is not counted again for a while,
//! or until this server deletes a recording. The rows of a namespace with a maximum are always counted, up to the
//! maximum and under a lock. If a row prevents the count of all recordings, their maximum is not enforced, because every
//! client would be affected. If it prevents the count of a namespace with a maximum, this namespace gets no new recordings.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};

use super::commits::{EXIST, existing};
use super::failure::{Failure, Refusal};
use super::link::{BARRIER, Link, Statement};
use super::request::Opening;
use super::row::{self, Key};
use crate::recording::StoreError;
use crate::store::rules;

/// A store that is full is not counted again for this long, and for this many times the duration of the last count.
const FULL: Duration = Duration::from_secs(1);
const FULL_COUNTS: u32 = 20;

/// The time between two warnings that a count has failed.
const WARNING: Duration = Duration::from_secs(60);

/// The part of the space that is left which may be used without another count.
const UNCOUNTED_PART: u64 = 8;

/// Locks the count of all recordings until the end of the transaction. The first number stands for this use of locks.
const LOCK_ALL: &str = "SELECT pg_advisory_xact_lock(2002873707, 0)";

/// Locks the counts of namespaces, in an order that all servers share.
const LOCK_NAMESPACES: &str = "\
SELECT pg_advisory_xact_lock(2002873708, k) FROM (
  SELECT DISTINCT hashtext(n) AS k FROM unnest($1::text[]) AS n ORDER BY k OFFSET 0) AS keys";

/// Makes the count end before the transaction does. A scan of the whole table is the fastest way to count.
const LIMIT_COUNT: &str =
    "SELECT set_config('statement_timeout', '2s', true), set_config('enable_seqscan', 'on', true)";

const COUNT_ALL: &str = "SELECT count(*) FROM waywiser_recording";

/// Number of recordings that can be created without another count if a count takes too long.
const WITHOUT_COUNT: u64 = 1_000;

const COUNT_NAMESPACES: &str = "\
SELECT n.namespace, (
  SELECT count(*) FROM (
    SELECT FROM waywiser_recording r WHERE r.namespace = n.namespace LIMIT n.max) AS counted)
FROM (
  SELECT namespace, max(max) AS max FROM unnest($1::text[], $2::bigint[]) AS u(namespace, max) GROUP BY namespace) AS n";

/// The time for which a creation waits for another transaction that creates the same recording, or has just created it.
const LIMIT_WAIT: &str = "SELECT set_config('lock_timeout', '5ms', true)";

/// Rows that exist are excluded, because the statement would wait for a transaction that changes one of them.
const CREATE: &str = "\
INSERT INTO waywiser_recording
  (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model, length_m, options, state)
SELECT o.namespace, o.id, waywiser_next_epoch(), 0, false, o.now_ms, o.now_ms, o.expire_ms, o.model, o.length_m,
  o.options, o.state
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::float8[], $7::bytea[], $8::bytea[])
  AS o(namespace, id, now_ms, expire_ms, model, length_m, options, state)
WHERE NOT EXISTS (SELECT FROM waywiser_recording r WHERE r.namespace = o.namespace AND r.id = o.id)
ORDER BY o.namespace COLLATE \"C\", o.id COLLATE \"C\"
ON CONFLICT (namespace, id) DO NOTHING
RETURNING namespace, id, epoch";

/// The epochs of created recordings and the errors of refused ones, by the index of the opening. A recording that is
/// missing exists.
pub(super) type Created = HashMap<usize, Result<u64, StoreError>>;

/// The space for new recordings.
#[derive(Debug)]
pub(super) struct Space {
    max_recordings: u64,
    /// Number of recordings that can be created without a count.
    uncounted: u64,
    /// The store was full at its last count, and is not counted again before this time.
    full_until: Option<Instant>,
    /// All recordings were counted for the current batch.
    is_counted: bool,
    /// The time of the last warning that a count has failed.
    warned_at: Option<Instant>,
    /// Number of times that a creation waited for another transaction without success.
    pub(super) conflicts: usize,
}

impl Space {
    pub(super) fn new(max_recordings: u64) -> Self {
        Self {
            max_recordings,
            uncounted: 0,
            full_until: None,
            is_counted: false,
            warned_at: None,
            conflicts: 0,
        }
    }

    /// Ends a batch. All of its parts have used the same count; other batches may use a part of what is left.
    pub(super) fn end_batch(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            self.uncounted /= UNCOUNTED_PART;
        }
    }

    /// Reports that recordings were deleted.
    pub(super) fn freed(&mut self) {
        self.full_until = None;
    }

    /// Creates the recordings of the openings with these indices.
    ///
    /// # Errors
    /// If the transaction fails.
    pub(super) async fn create(
        &mut self,
        link: &Link,
        openings: &[Opening],
        indices: &[usize],
        deadline: Instant,
    ) -> Result<Created, Failure> {
        if indices.is_empty() {
            return Ok(Created::new());
        }
        let needed = indices.len() as u64;
        let is_limited = |&index: &usize| openings[index].request.max_in_namespace.is_some();
        let limited: Vec<_> = indices.iter().copied().filter(is_limited).collect();
        if limited.is_empty() && needed <= self.uncounted {
            return self.create_uncounted(link, openings, indices, deadline).await;
        }
        if self.full_until.is_some_and(|until| Instant::now() < until) {
            return self.refuse(link, openings, indices, deadline).await;
        }
        let start = Instant::now();
        let is_whole = needed > self.uncounted && !self.is_counted;
        let mut counts = self.count(link, openings, indices, &limited, is_whole, deadline).await;
        if is_whole
            && let Err(Failure::Refused(refusal)) = &counts
            && (refusal.is_of_rows() || refusal.code == "57014")
        {
            let refusal = refusal.clone();
            if limited.is_empty() {
                self.skip_count(&refusal, needed);
                return self.create_uncounted(link, openings, indices, deadline).await;
            }
            // The maximum of a namespace does not depend on the other rows.
            counts = self.count(link, openings, indices, &limited, false, deadline).await;
            if counts.is_ok() {
                self.skip_count(&refusal, needed);
            }
        }
        let counts = match counts {
            // Other counts take long. All openings wait for them.
            Err(Failure::Refused(refusal)) if refusal.is_conflict() => return Ok(Created::new()),
            // Without the count, anyone could exceed the maximum of a damaged namespace. A larger batch is split.
            Err(Failure::Refused(refusal))
                if refusal.is_of_rows() && indices == limited.as_slice() && indices.len() == 1 =>
            {
                self.warn(&refusal, "the recordings of a namespace cannot be counted, so no new ones are created in it");
                let text = "the recordings of the namespace cannot be counted, because one of them cannot be read";
                return Ok(Created::from([(
                    indices[0],
                    Err(StoreError::Unavailable(text.into())),
                )]));
            }
            // The row of the recording, or of another one on its page, is damaged.
            Err(Failure::Refused(refusal)) if refusal.is_of_rows() && indices.len() == 1 => {
                let rows = insert(link, openings, indices, Part::Whole, deadline).await?;
                return Ok(rows.into_iter().map(|(index, epoch)| (index, Ok(epoch))).collect());
            }
            counts => counts?,
        };
        let (mut created, admitted) = self.admit(openings, indices, counts, start);
        if admitted.is_empty() {
            link.finish(&[Statement::new(BARRIER, Vec::new())], deadline).await?;
            return Ok(created);
        }
        let rows = insert(link, openings, &admitted, Part::Last, deadline).await;
        if matches!(rows, Err(Failure::Refused(_))) {
            // Nothing was created. The parts of the batch use the same count.
            self.uncounted += admitted.len() as u64;
        }
        created.extend(rows?.into_iter().map(|(index, epoch)| (index, Ok(epoch))));
        Ok(created)
    }

    /// Creates recordings, which are at most as many as need no count.
    async fn create_uncounted(
        &mut self,
        link: &Link,
        openings: &[Opening],
        indices: &[usize],
        deadline: Instant,
    ) -> Result<Created, Failure> {
        let rows = insert(link, openings, indices, Part::Whole, deadline).await;
        if !matches!(rows, Err(Failure::Refused(_))) {
            self.uncounted = self.uncounted.saturating_sub(indices.len() as u64);
        }
        Ok(rows?.into_iter().map(|(index, epoch)| (index, Ok(epoch))).collect())
    }

    /// Makes the next creations do without a count of all recordings, which has failed.
    fn skip_count(&mut self, refusal: &Refusal, needed: u64) {
        self.uncounted = WITHOUT_COUNT.max(needed);
        self.warn(refusal, "the recordings cannot be counted, so the maximum is not enforced now");
    }

    /// Logs that a count has failed, unless that was logged a short time ago.
    fn warn(&mut self, refusal: &Refusal, message: &str) {
        let now = Instant::now();
        if self.warned_at.is_none_or(|warned_at| now >= warned_at + WARNING) {
            self.warned_at = Some(now);
            tracing::error!(max_recordings = self.max_recordings, error = %refusal, "{message}");
        }
    }

    /// Refuses the openings of recordings that do not exist, without a count.
    async fn refuse(
        &self,
        link: &Link,
        openings: &[Opening],
        indices: &[usize],
        deadline: Instant,
    ) -> Result<Created, Failure> {
        let keys: Vec<Key> = indices.iter().map(|&index| row::key(&openings[index].name)).collect();
        let existing = existing(link, &keys, deadline).await?;
        let missing = indices.iter().zip(keys).filter(|(_, key)| !existing.contains(key));
        let refused = missing.filter_map(|(&index, _)| {
            let request = &openings[index].request;
            let result = rules::check_space(request, 0, self.max_recordings, self.max_recordings);
            Some((index, Err(result.err()?)))
        });
        Ok(refused.collect())
    }

    /// Begins a transaction, locks and counts: the recordings of the limited namespaces, and all if `is_whole`.
    async fn count(
        &self,
        link: &Link,
        openings: &[Opening],
        indices: &[usize],
        limited: &[usize],
        is_whole: bool,
        deadline: Instant,
    ) -> Result<Counts, Failure> {
        let names = |of: &[usize]| -> Vec<&str> {
            of.iter().map(|&index| row::namespace(&openings[index].name)).collect()
        };
        let limits = limited.iter().map(|&index| openings[index].request.max_in_namespace);
        let limits: Vec<i64> =
            limits.map(|max| i64::try_from(max.unwrap_or(0)).unwrap_or(i64::MAX)).collect();
        let (limited, namespaces) = (names(limited), names(indices));
        let ids: Vec<_> = indices.iter().map(|&index| openings[index].name.id()).collect();
        let mut statements = Vec::new();
        if is_whole {
            statements.push(Statement::new(LOCK_ALL, Vec::new()));
        }
        let limited = &limited as &(dyn ToSql + Sync);
        statements.push(Statement::new(LOCK_NAMESPACES, vec![(limited, Type::TEXT_ARRAY)]));
        let existing = vec![
            (&namespaces as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
            (&ids as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
        ];
        statements.push(Statement::new(EXIST, existing));
        let counted = vec![(limited, Type::TEXT_ARRAY), (&limits as _, Type::INT8_ARRAY)];
        statements.push(Statement::new(COUNT_NAMESPACES, counted));
        if is_whole {
            statements.push(Statement::new(LIMIT_COUNT, Vec::new()));
            statements.push(Statement::new(COUNT_ALL, Vec::new()));
        }
        let rows = link.start(&statements, deadline).await?;
        let read = || {
            let mut rows = rows.iter().skip(statements.len() - if is_whole { 4 } else { 2 });
            let existing = rows.next().into_iter().flatten().map(row::get_key);
            let existing = existing.collect::<Result<_, Failure>>()?;
            let count = |row| Ok((row::get(row, 0)?, row::get::<i64>(row, 1)?.cast_unsigned()));
            let of_namespaces = rows.next().into_iter().flatten().map(count);
            let of_namespaces = of_namespaces.collect::<Result<_, Failure>>()?;
            // The row of LIMIT_COUNT is before the last one.
            let in_store = match rows.nth(1).and_then(|rows| rows.first()) {
                Some(row) => Some(row::get::<i64>(row, 0)?.cast_unsigned()),
                None => None,
            };
            Ok(Counts { existing, of_namespaces, in_store })
        };
        match read() {
            Ok(counts) => Ok(counts),
            Err(failure) => {
                link.roll_back(deadline).await;
                Err(failure)
            }
        }
    }

    /// Decides which recordings are created, after a count that began at `start`. Returns the errors of the others.
    fn admit(
        &mut self,
        openings: &[Opening],
        indices: &[usize],
        counts: Counts,
        start: Instant,
    ) -> (Created, Vec<usize>) {
        let Counts { existing, mut of_namespaces, in_store } = counts;
        let (mut refused, mut admitted) = (Created::new(), Vec::new());
        // Without a count, the number that may be created without one stands for the rest of the space.
        let mut used = in_store.unwrap_or(self.max_recordings.saturating_sub(self.uncounted));
        for &index in indices {
            let opening = &openings[index];
            if existing.contains(&row::key(&opening.name)) {
                continue;
            }
            let in_namespace = of_namespaces.get_mut(row::namespace(&opening.name));
            let count = in_namespace.as_deref().copied().unwrap_or_default();
            match rules::check_space(&opening.request, count, used, self.max_recordings) {
                Ok(()) => {
                    used += 1;
                    if let Some(count) = in_namespace {
                        *count += 1;
                    }
                    admitted.push(index);
                }
                Err(error) => drop(refused.insert(index, Err(error))),
            }
        }
        let left = self.max_recordings.saturating_sub(used);
        self.uncounted = left;
        self.is_counted |= in_store.is_some();
        if in_store.is_some_and(|in_store| in_store >= self.max_recordings) {
            let now = Instant::now();
            self.full_until = Some(now + FULL.max(FULL_COUNTS * (now - start)));
        }
        (refused, admitted)
    }
}

/// What was counted.
struct Counts {
    /// The recordings that exist: they need no space.
    existing: HashSet<Key>,
    of_namespaces: HashMap<String, u64>,
    in_store: Option<u64>,
}

/// The place of a statement in its transaction.
enum Part {
    Whole,
    Last,
}

/// Creates recordings that do not exist. Returns their epochs with the indices of the openings.
async fn insert(
    link: &Link,
    openings: &[Opening],
    indices: &[usize],
    part: Part,
    deadline: Instant,
) -> Result<Vec<(usize, u64)>, Failure> {
    let all = || indices.iter().map(|&index| &openings[index]);
    let namespaces: Vec<_> = all().map(|opening| row::namespace(&opening.name)).collect();
    let ids: Vec<_> = all().map(|opening| opening.name.id()).collect();
    let now: Vec<_> = all().map(|opening| opening.request.now_unix_ms).collect();
    let expire: Vec<_> = all().map(|opening| opening.request.expire_unix_ms).collect();
    let models: Vec<_> = all().map(|opening| opening.shown.model).collect();
    let lengths: Vec<_> = all().map(|opening| opening.shown.length_m).collect();
    let options: Vec<_> = all().map(|opening| opening.options_bytes.as_slice()).collect();
    let states: Vec<_> = all().map(|opening| opening.state.as_slice()).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&namespaces, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&now, Type::INT8_ARRAY),
        (&expire, Type::INT8_ARRAY),
        (&models, Type::TEXT_ARRAY),
        (&lengths, Type::FLOAT8_ARRAY),
        (&options, Type::BYTEA_ARRAY),
        (&states, Type::BYTEA_ARRAY),
    ];
    // If all recordings exist, nothing is inserted. The transaction still has to wait for the standbys, so that an
    // isolated old primary is detected.
    let statements = [
        Statement::new(LIMIT_WAIT, Vec::new()),
        Statement::new(CREATE, parameters),
        Statement::new(BARRIER, Vec::new()),
    ];
    let rows = match part {
        Part::Whole => link.transaction(&statements, deadline).await?,
        Part::Last => link.finish(&statements, deadline).await?,
    };
    let by_key: HashMap<Key, usize> =
        indices.iter().map(|&index| (row::key(&openings[index].name), index)).collect();
    let created = rows.get(1).into_iter().flatten().map(|row| {
        let (key, epoch) = (row::get_key(row)?, row::get::<i64>(row, 2)?.cast_unsigned());
        Ok(by_key.get(&key).map(|&index| (index, epoch)))
    });
    let created: Result<Vec<_>, Failure> = created.filter_map(Result::transpose).collect();
    created.map_err(|failure| Failure::Unknown(format!("{failure:?}")))
}
