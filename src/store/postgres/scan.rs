//! Reads rows in the order of their names, past rows that cannot be read.
//!
//! If a page of the table is damaged or on a bad part of the disk, each query that reads one of its rows fails, and the
//! error does not name the row.
//! The scan then asks for fewer rows, down to one. If that one cannot be read, it searches the name. A query for the
//! names before `b` reads the damaged row only if its name is before `b`, and fails only then. This takes about seven
//! queries for each character of the name.

use tokio_postgres::Row;

use super::failure::{Failure, Refusal};
use super::reader::{Parameter, Query, Read};
use super::row::{self, Key};
use super::ticket::Queue;
use crate::recording::{ListQuery, ListScope, StoreError};

/// Precedes all characters of names.
const BEFORE: char = '\u{1}';
/// Follows all characters of names.
const AFTER: char = '\u{7f}';
/// The characters of names in their order.
const CHARACTERS: &[u8] = b"-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
/// Maximum number of characters of a part of a name.
const LENGTH_MAX: usize = 128;
/// Maximum number of rows that are searched for one page.
const UNREADABLE_MAX: usize = 32;
/// The number of rows of a query after others whose names are not valid.
const SKIPPED_STEP: usize = 64;
/// Maximum number of queries for the rows of one page, without those that search a row.
const QUERIES_MAX: usize = 1_024;

const PROBE: &str = "\
SELECT md5(r.state), md5(r.options) FROM waywiser_recording r
WHERE (r.namespace, r.id) >= ($1::text, $2::text) AND (r.namespace, r.id) < ($3::text, $4::text)
ORDER BY r.namespace, r.id LIMIT 1";

/// A range of names: from the first key, to the key before the second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    from: Key,
    to: Key,
}

impl Range {
    /// Returns the range of all names. It has ASCII characters only, because a database may have another encoding.
    pub(super) fn all() -> Self {
        Self { from: (String::new(), String::new()), to: (AFTER.to_string(), String::new()) }
    }

    /// Returns the range that a query selects, or `None` if it selects nothing.
    pub(super) fn selected(query: &ListQuery) -> Option<Self> {
        let mut range = match &query.scope {
            ListScope::All => Self::all(),
            scope if !scope.is_possible() => return None,
            ListScope::Namespace { namespace, id_prefix } => {
                let namespace = namespace.as_ref().map_or("", |namespace| namespace.as_str());
                Self {
                    from: (namespace.to_owned(), id_prefix.clone()),
                    to: (namespace.to_owned(), format!("{id_prefix}{AFTER}")),
                }
            }
        };
        if let Some(after) = &query.after {
            range.continue_after(&row::key(after));
        }
        (range.from < range.to).then_some(range)
    }

    /// Removes the names up to this one.
    pub(super) fn continue_after(&mut self, (namespace, id): &Key) {
        let next = (namespace.clone(), format!("{id}{BEFORE}"));
        if self.from < next {
            self.from = next;
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let parts = [&self.from.0, &self.from.1, &self.to.0, &self.to.1];
        parts.map(|part| Parameter::Text(part.clone())).into()
    }
}

/// One row of a scan.
pub(super) enum Entry {
    Row(Row),
    /// A row that cannot be read.
    Unreadable(Key, StoreError),
}

/// The failure of a query.
pub(super) struct QueryError {
    pub(super) error: StoreError,
    /// Whether queries of other rows can succeed.
    pub(super) is_of_rows: bool,
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self { error, is_of_rows: false }
    }
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        error.error
    }
}

/// Runs a query on the reading connection.
///
/// # Errors
/// If the database fails.
pub(super) async fn ask(
    reader: &Queue<Read>,
    sql: &'static str,
    parameters: Vec<Parameter>,
    is_durable: bool,
) -> Result<Vec<Row>, QueryError> {
    let query = |ticket| Read::Query(Box::new(Query { sql, parameters, is_durable, ticket }));
    let rows: Result<Vec<Row>, Failure> = reader.ask(1, query).await?;
    rows.map_err(|failure| QueryError {
        is_of_rows: failure.refusal().is_some_and(Refusal::is_of_rows),
        error: failure.of_read(),
    })
}

/// The rows of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The rows whose names are valid. Others were not stored by this program, and do not count.
    Valid,
    /// All rows.
    All,
}

/// Returns the first `limit` rows of a range. `sql` has five parameters: the two keys of the range, and the limit. Its
/// first two columns are the name.
///
/// # Errors
/// If the database fails, except for rows that cannot be read.
pub(super) async fn scan(
    reader: &Queue<Read>,
    sql: &'static str,
    range: &Range,
    limit: usize,
    names: Names,
    is_durable: bool,
) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut range) = (Vec::new(), range.clone());
    let is_counted = |key: &Key| names == Names::All || row::name(key).is_some();
    let (mut step, mut unreadable, mut skipped, mut queries) = (limit, 0, 0_usize, 0);
    while entries.len() < limit {
        if queries == QUERIES_MAX {
            return Err(StoreError::Unavailable(
                "the table has too many rows that waywiser has not stored; delete them".into(),
            ));
        }
        queries += 1;
        let missing = limit - entries.len();
        let count = step.min(if skipped > 0 { missing.max(SKIPPED_STEP) } else { missing });
        let mut parameters = range.parameters();
        parameters.push(Parameter::Number(i64::try_from(count).unwrap_or(i64::MAX)));
        match ask(reader, sql, parameters, is_durable).await {
            Ok(rows) => {
                let is_end = rows.len() < count;
                for row in rows {
                    let key = row::get_key(&row).map_err(|failure| failure.of_read())?;
                    range.continue_after(&key);
                    match is_counted(&key) {
                        true => entries.push(Entry::Row(row)),
                        false => skipped += 1,
                    }
                }
                if is_end {
                    break;
                }
                step = step.saturating_mul(2);
            }
            Err(QueryError { is_of_rows: true, .. }) if count > 1 => step = count / 2,
            Err(QueryError { is_of_rows: true, error }) if unreadable < UNREADABLE_MAX => {
                let Some(key) = unreadable_key(reader, &range).await? else { return Err(error) };
                tracing::error!(namespace = key.0, id = key.1, %error, "a recording cannot be read");
                range.continue_after(&key);
                if is_counted(&key) {
                    entries.push(Entry::Unreadable(key, error));
                }
                unreadable += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    entries.truncate(limit);
    Ok(entries)
}

/// Searches the name of the first row of a range, which cannot be read. Returns `None` if it can be read now, or if the
/// reason is not a row.
async fn unreadable_key(reader: &Queue<Read>, range: &Range) -> Result<Option<Key>, StoreError> {
    let mut namespace = Search::default();
    while let Some(text) = namespace.next() {
        let to = (text, String::new());
        namespace.answer(is_readable(reader, range, to).await?);
    }
    let mut id = Search::default();
    while let Some(text) = id.next() {
        let to = (namespace.text.clone(), text);
        id.answer(is_readable(reader, range, to).await?);
    }
    if id.text.is_empty() {
        return Ok(None);
    }
    let key = (namespace.text, id.text);
    let mut after = range.clone();
    after.continue_after(&key);
    Ok((!is_readable(reader, range, after.from).await?).then_some(key))
}

/// The search for the largest text for which a condition is true. It is true for all texts up to that one.
#[derive(Debug)]
struct Search {
    /// The characters that are known.
    text: String,
    /// The next character is one of these, or the name ends here. All characters before them are too small.
    candidates: std::ops::Range<usize>,
}

impl Default for Search {
    fn default() -> Self {
        Self { text: String::new(), candidates: 0..CHARACTERS.len() }
    }
}

impl Search {
    /// Returns the next text to check, or `None` at the end.
    fn next(&mut self) -> Option<String> {
        if self.candidates.is_empty() {
            let last = self.candidates.start.checked_sub(1)?;
            if self.text.len() >= LENGTH_MAX {
                return None;
            }
            self.text.push(char::from(*CHARACTERS.get(last)?));
            self.candidates = 0..CHARACTERS.len();
        }
        let next = char::from(*CHARACTERS.get(self.middle())?);
        Some(format!("{}{next}", self.text))
    }

    /// Continues with the result for the last text.
    fn answer(&mut self, is_true: bool) {
        let middle = self.middle();
        match is_true {
            true => self.candidates.start = middle + 1,
            false => self.candidates.end = middle,
        }
    }

    fn middle(&self) -> usize {
        self.candidates.start.midpoint(self.candidates.end)
    }
}

/// Returns whether the first row of a part of a range can be read, or the part has no rows.
async fn is_readable(reader: &Queue<Read>, range: &Range, to: Key) -> Result<bool, StoreError> {
    let part = Range { from: range.from.clone(), to };
    match ask(reader, PROBE, part.parameters(), false).await {
        Ok(_) => Ok(true),
        Err(QueryError { is_of_rows: true, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_found_by_comparisons(name in "[-.0-9A-Z_a-z~]{1,128}") {
            let (mut search, mut count) = (Search::default(), 0);
            while let Some(text) = search.next() {
                count += 1;
                search.answer(text <= name);
            }
            let found = search.text;
            prop_assert_eq!(&found, &name);
            prop_assert!(count <= 7 * (name.len() + 1), "{} queries", count);
        }
    }

    #[test]
    fn a_range_starts_after_the_last_name() {
        let list = |after: Option<&str>| {
            let scope = ListScope::Namespace { namespace: None, id_prefix: "ab".to_owned() };
            let after = after.map(|name| name.parse().unwrap());
            Range::selected(&ListQuery { scope, after })
        };
        let from = |after| list(after).map(|range| range.from.1);
        assert_eq!(from(None).as_deref(), Some("ab"));
        assert_eq!(from(Some("paths/a")).as_deref(), Some("ab"));
        assert_eq!(from(Some("paths/ab")).as_deref(), Some("ab\u{1}"));
        assert_eq!(from(Some("paths/abc")).as_deref(), Some("abc\u{1}"));
        assert_eq!(from(Some("paths/ac")), None);
        assert_eq!(from(Some("namespaces/n/paths/a")), None);
        let scope = ListScope::Namespace { namespace: None, id_prefix: "/".to_owned() };
        assert_eq!(Range::selected(&ListQuery { scope, after: None }), None);
    }
}
