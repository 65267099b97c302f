//! The content of the database file: a table of recordings, and a table of numbers. This file knows redb and the bytes of
//! a record. `rules.rs` has the conditions, `writer.rs` the transactions.

use std::ops::Bound::{Excluded, Unbounded};

use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition,
    WriteTransaction,
};

use crate::recording::{
    Checkpoint, CommitPrecondition, OpenRequest, Page, RecordingName, Removed, StoreError, Sweep,
};
use crate::store::codec::{self, Record};
use crate::store::rules::{self, Header, OpenDecision};

/// The version of the tables, their keys and the meaning of the numbers. The bytes of a record have a version of
/// their own.
pub(super) const FORMAT: u64 = 1;

/// Records by the ID of the recording. IDs have the same order as names.
pub(super) const RECORDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("recordings");
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The version of the tables.
pub(super) const FORMAT_KEY: &str = "format";
/// The last epoch that was assigned.
const EPOCH_KEY: &str = "epoch";
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
    /// Whether there is a change to commit.
    pub(super) is_changed: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn open_in(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let recordings = transaction.open_table(RECORDINGS)?;
        let numbers = transaction.open_table(NUMBERS)?;
        Ok(Self { recordings, numbers, is_changed: false })
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
        let stored = self.recordings.get(name.id())?.map(|bytes| bytes.value().to_vec());
        if stored.is_none() && self.recordings.len()? >= max_recordings {
            return Ok(Err(rules::full(max_recordings)));
        }
        match opened(name, stored, request, epoch) {
            Ok(Opened::Store(bytes)) => {
                self.numbers.insert(EPOCH_KEY, epoch)?;
                self.put(name, &bytes)?;
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
        let stored = self.recordings.get(name.id())?;
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
        self.recordings.insert(name.id(), bytes)?;
        self.is_changed = true;
        Ok(())
    }

    /// Deletes a recording and returns its epoch.
    pub(super) fn delete(&mut self, name: &RecordingName) -> Applied<Option<u64>> {
        let removed = self.recordings.remove(name.id())?;
        let Some(header) = removed.map(|bytes| header(name, bytes.value())) else {
            return Ok(Ok(None));
        };
        self.is_changed = true;
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
            let epoch = match self.recordings.get(name.id())? {
                Some(bytes) => selected_epoch(name, bytes.value(), sweep),
                None => None,
            };
            if let Some(epoch) = epoch {
                self.recordings.remove(name.id())?;
                self.is_changed = true;
                removed.push(Removed { name: name.clone(), epoch });
            }
        }
        Ok(Ok(removed))
    }
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
    Ok(recordings.get(name.id())?.map(|bytes| checkpoint(name, bytes.value())))
}

/// Returns up to `limit` recordings after `after`, in the order of their names.
pub(super) fn list(
    transaction: &ReadTransaction,
    after: Option<&RecordingName>,
    limit: usize,
) -> Result<Page, redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    let start = after.map_or(Unbounded, |name| Excluded(name.id()));
    let mut page = Page::new();
    for entry in recordings.range::<&str>((start, Unbounded))? {
        if page.len() >= limit {
            break;
        }
        let (id, bytes) = entry?;
        // Only valid names are stored. Another key is damage, which the check at the start has reported.
        let Ok(name) = RecordingName::from_id(id.value()) else { continue };
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
    let start = after.map_or(Unbounded, |name| Excluded(name.id()));
    let (mut checked, mut selected, mut next) = (0, Vec::new(), None);
    for entry in recordings.range::<&str>((start, Unbounded))? {
        if checked == limit || selected.len() == sweep.removals_max() {
            return Ok((selected, next));
        }
        checked += 1;
        let (id, bytes) = entry?;
        let Ok(name) = RecordingName::from_id(id.value()) else { continue };
        if selected_epoch(&name, bytes.value(), sweep).is_some() {
            selected.push(name.clone());
        }
        next = Some(name);
    }
    Ok((selected, None))
}

/// Returns the number of the last transaction that is in the file.
pub(super) fn last_transaction(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    let numbers = transaction.open_table(NUMBERS)?;
    Ok(numbers.get(TRANSACTION_KEY)?.map_or(0, |number| number.value()))
}
