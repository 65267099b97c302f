//! The content of the database file: a table of recordings, one of numbers, and one with the number of recordings of
//! each namespace. This file knows redb and the bytes of a record. `rules.rs` has the conditions, `writer.rs` the transactions.

use std::ops::Bound;

use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition,
    WriteTransaction,
};

use crate::recording::{
    Checkpoint, CommitPrecondition, ExportQuery, Exported, ListQuery, Namespace, OpenRequest, Page,
    RecordingName, Removed, StoreError, Sweep,
};
use crate::store::codec::{self, Record};
use crate::store::export_step::ExportStep;
use crate::store::key;
use crate::store::rules::{self, Header, OpenDecision};

/// The version of the tables, their keys and the meaning of the numbers. The bytes of a record have a version of
/// their own.
pub(super) const FORMAT: u64 = 1;

/// Records by the key of the recording; see [`key`].
pub(super) const RECORDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("recordings");
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The number of recordings of each namespace that has any. The default namespace has an empty key. Programs before
/// namespaces do not maintain it, so that it is compared with the recordings whenever a store is opened.
pub(super) const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("namespaces");

/// The version of the tables.
pub(super) const FORMAT_KEY: &str = "format";
/// The last epoch that was assigned.
pub(super) const EPOCH_KEY: &str = "epoch";
/// The number of transactions that changed something. Shows whether a given transaction is in the file. The key is
/// part of the file format.
const TRANSACTION_KEY: &str = "turn";

/// The result of a request inside a transaction. The outer error is an error of the database, which aborts the whole
/// transaction.
pub(super) type Applied<T> = Result<Result<T, StoreError>, redb::Error>;

/// The tables in a write transaction.
pub(super) struct Tables<'t> {
    recordings: Table<'t, &'static str, &'static [u8]>,
    numbers: Table<'t, &'static str, u64>,
    counts: Table<'t, &'static str, u64>,
    /// Whether there is a change to commit.
    pub(super) is_changed: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn open_in(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let recordings = transaction.open_table(RECORDINGS)?;
        let numbers = transaction.open_table(NUMBERS)?;
        let counts = transaction.open_table(COUNTS)?;
        Ok(Self { recordings, numbers, counts, is_changed: false })
    }

    /// Stores the number of this transaction.
    pub(super) fn set_transaction(&mut self, transaction: u64) -> Result<(), redb::Error> {
        self.numbers.insert(TRANSACTION_KEY, transaction)?;
        Ok(())
    }

    /// Returns the number of recordings. The file has it, so that nothing is counted.
    pub(super) fn recording_count(&self) -> Result<u64, redb::Error> {
        Ok(self.recordings.len()?)
    }

    /// Opens a recording and returns its record. The fold of an existing recording is copied and not decoded. The
    /// caller decodes it outside of the transaction.
    pub(super) fn open(
        &mut self,
        name: &RecordingName,
        request: &OpenRequest,
        max_recordings: u64,
    ) -> Applied<Vec<u8>> {
        let epoch = self.last_epoch()? + 1;
        let stored = self.recordings.get(&*key::of(name))?.map(|bytes| bytes.value().to_vec());
        let is_new = stored.is_none();
        if is_new {
            let (in_namespace, in_store) = (self.count(name)?, self.recordings.len()?);
            let space = rules::check_space(request, in_namespace, in_store, max_recordings);
            if let Err(error) = space {
                return Ok(Err(error));
            }
        }
        match opened(name, stored, request, epoch) {
            Ok(Opened::Store(bytes)) => {
                self.numbers.insert(EPOCH_KEY, epoch)?;
                self.put(name, &bytes)?;
                if is_new {
                    self.set_count(name, self.count(name)? + 1)?;
                }
                Ok(Ok(bytes))
            }
            Ok(Opened::Keep(bytes)) => Ok(Ok(bytes)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Stores `bytes`, whose header is `next`.
    pub(super) fn commit(
        &mut self,
        name: &RecordingName,
        precondition: CommitPrecondition,
        next: Header,
        bytes: &[u8],
    ) -> Applied<()> {
        let stored = self.recordings.get(&*key::of(name))?;
        let stored = stored.map(|bytes| header(name, bytes.value()));
        let checked =
            stored.transpose().and_then(|stored| rules::check_commit(stored, precondition, next));
        if let Err(error) = checked {
            return Ok(Err(error));
        }
        self.put(name, bytes)?;
        Ok(Ok(()))
    }

    fn put(&mut self, name: &RecordingName, bytes: &[u8]) -> Result<(), redb::Error> {
        self.recordings.insert(&*key::of(name), bytes)?;
        self.is_changed = true;
        Ok(())
    }

    /// Returns the number of recordings in the namespace of a recording.
    fn count(&self, name: &RecordingName) -> Result<u64, redb::Error> {
        Ok(self.counts.get(count_key(name))?.map_or(0, |count| count.value()))
    }

    fn set_count(&mut self, name: &RecordingName, count: u64) -> Result<(), redb::Error> {
        match count {
            0 => self.counts.remove(count_key(name))?,
            _ => self.counts.insert(count_key(name), count)?,
        };
        Ok(())
    }

    /// Removes a recording from its namespace.
    fn count_removal(&mut self, name: &RecordingName) -> Result<(), redb::Error> {
        self.is_changed = true;
        self.set_count(name, self.count(name)?.saturating_sub(1))
    }

    /// Deletes a recording and returns its epoch.
    pub(super) fn delete(&mut self, name: &RecordingName) -> Applied<Option<u64>> {
        let removed = self.recordings.remove(&*key::of(name))?;
        let Some(header) = removed.map(|bytes| header(name, bytes.value())) else {
            return Ok(Ok(None));
        };
        self.count_removal(name)?;
        let epoch = match header {
            Ok(header) => header.epoch,
            // A damaged record has no readable epoch. It is not newer than the last one that was assigned.
            Err(_) => self.last_epoch()?,
        };
        Ok(Ok(Some(epoch)))
    }

    fn last_epoch(&self) -> Result<u64, redb::Error> {
        Ok(self.numbers.get(EPOCH_KEY)?.map_or(0, |epoch| epoch.value()))
    }

    /// Removes those of `names` that `sweep` still selects.
    pub(super) fn remove_selected(
        &mut self,
        names: &[RecordingName],
        sweep: &Sweep,
    ) -> Applied<Vec<Removed>> {
        let mut removed = Vec::new();
        for name in names {
            let epoch = match self.recordings.get(&*key::of(name))? {
                Some(bytes) => selected_epoch(name, bytes.value(), sweep),
                None => None,
            };
            if let Some(epoch) = epoch {
                self.recordings.remove(&*key::of(name))?;
                self.count_removal(name)?;
                removed.push(Removed { name: name.clone(), epoch });
            }
        }
        Ok(Ok(removed))
    }
}

/// Returns the key of a namespace in [`COUNTS`].
pub(super) fn count_key(name: &RecordingName) -> &str {
    name.namespace().map_or("", Namespace::as_str)
}

fn borrowed((start, end): &(Bound<String>, Bound<String>)) -> (Bound<&str>, Bound<&str>) {
    (start.as_ref().map(String::as_str), end.as_ref().map(String::as_str))
}

/// The record of an opened recording.
enum Opened {
    /// It has to be stored.
    Store(Vec<u8>),
    /// It is stored already.
    Keep(Vec<u8>),
}

fn opened(
    name: &RecordingName,
    stored: Option<Vec<u8>>,
    request: &OpenRequest,
    epoch: u64,
) -> Result<Opened, StoreError> {
    let bytes = stored.unwrap_or_default();
    let record = match bytes.is_empty() {
        true => None,
        false => Some(Record::read(name, &bytes)?),
    };
    let stored = || record.ok_or(StoreError::NotFound);
    let options = || Ok(stored()?.options()?);
    match rules::open(record.map(|record| record.header()), options, request, epoch)? {
        OpenDecision::Create(checkpoint) => Ok(Opened::Store(codec::encode(name, &checkpoint))),
        OpenDecision::Resume(header) => Ok(Opened::Store(stored()?.with_header(name, &header)?)),
        OpenDecision::Finished => Ok(Opened::Keep(bytes)),
    }
}

fn header(name: &RecordingName, bytes: &[u8]) -> Result<Header, StoreError> {
    Ok(Record::read(name, bytes)?.header())
}

fn checkpoint(name: &RecordingName, bytes: &[u8]) -> Result<Checkpoint, StoreError> {
    Ok(codec::decode(name, bytes)?)
}

/// Returns the epoch of a recording if `sweep` selects it. A damaged record has no readable expiry: it stays until
/// a client deletes it.
fn selected_epoch(name: &RecordingName, bytes: &[u8], sweep: &Sweep) -> Option<u64> {
    let header = header(name, bytes).ok()?;
    rules::is_selected(sweep, name, header).then_some(header.epoch)
}

pub(super) fn load(
    transaction: &ReadTransaction,
    name: &RecordingName,
) -> Result<Option<Result<Checkpoint, StoreError>>, redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    Ok(recordings.get(&*key::of(name))?.map(|bytes| checkpoint(name, bytes.value())))
}

/// Returns up to `limit` recordings that `query` selects, in the order of their names.
pub(super) fn list(
    transaction: &ReadTransaction,
    query: &ListQuery,
    limit: usize,
) -> Result<Page, redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    let mut page = Page::new();
    for entry in recordings.range::<&str>(borrowed(&key::selected(query)))? {
        if page.len() >= limit {
            break;
        }
        let (key, bytes) = entry?;
        // Only valid names are stored. Another key is damage, which the check at the start has reported.
        let Some(name) = key::name(key.value()) else { continue };
        let checkpoint = checkpoint(&name, bytes.value());
        page.push((name, checkpoint));
    }
    Ok(page)
}

/// Checks up to `limit` recordings. Returns the names that `sweep` selects, and the last name that was checked
/// if there may be more.
pub(super) fn select(
    transaction: &ReadTransaction,
    after: Option<&RecordingName>,
    limit: usize,
    sweep: &Sweep,
) -> Result<(Vec<RecordingName>, Option<RecordingName>), redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    let (mut checked, mut selected, mut next) = (0, Vec::new(), None);
    for entry in recordings.range::<&str>(borrowed(&key::swept(sweep, after)))? {
        if checked == limit || selected.len() == sweep.removals_max() {
            return Ok((selected, next));
        }
        checked += 1;
        let (key, bytes) = entry?;
        let Some(name) = key::name(key.value()) else { continue };
        if selected_epoch(&name, bytes.value(), sweep).is_some() {
            selected.push(name.clone());
        }
        next = Some(name);
    }
    Ok((selected, None))
}

/// Returns the next records as they are stored.
pub(super) fn export(
    transaction: &ReadTransaction,
    query: &ExportQuery,
) -> Result<Exported, redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    let mut step = ExportStep::new(query);
    for entry in recordings.range::<&str>(borrowed(&key::after(query.after.as_ref())))? {
        if step.is_full() {
            return Ok(step.full());
        }
        let (key, bytes) = entry?;
        let Some(name) = key::name(key.value()) else { continue };
        let header = header(&name, bytes.value());
        step.add(name, header, |_| bytes.value().to_vec());
    }
    Ok(step.last())
}

/// Returns the number of the last transaction that is in the file.
pub(super) fn last_transaction(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    let numbers = transaction.open_table(NUMBERS)?;
    Ok(numbers.get(TRANSACTION_KEY)?.map_or(0, |number| number.value()))
}
