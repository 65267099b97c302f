//! What is in the file: a table of recordings and one of whole numbers about all of them. Knows redb and
//! the bytes of a record; the conditions are in `rules.rs`, when to commit is in `writer.rs`.

use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition,
    WriteTransaction,
};

use crate::recording::{
    Checkpoint, CommitPrecondition, OpenRequest, RecordingName, Removed, StoreError, Sweep,
};
use crate::store::codec;
use crate::store::rules::{self, Opened, Standing};

/// The layout of the file: tables, keys, what the numbers mean. The bytes of a record have a version of
/// their own.
pub(super) const FORMAT: u64 = 1;

/// By the part of the name after `paths/`, which has the order of the names.
pub(super) const RECORDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("recordings");
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The layout of the file.
pub(super) const FORMAT_KEY: &str = "format";
/// The last epoch given out.
const EPOCH_KEY: &str = "epoch";
/// How many transactions changed something: tells whether a given one is in the file.
const TURN_KEY: &str = "turn";

/// What comes of a request inside of a transaction: the outer error is one of the file, and with it the
/// whole transaction falls.
pub(super) type Applied<T> = Result<Result<T, StoreError>, redb::Error>;

/// The tables in a transaction that may change them.
pub(super) struct Tables<'t> {
    recordings: Table<'t, &'static str, &'static [u8]>,
    numbers: Table<'t, &'static str, u64>,
    /// Whether there is anything to commit.
    pub(super) is_changed: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn of(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let recordings = transaction.open_table(RECORDINGS)?;
        let numbers = transaction.open_table(NUMBERS)?;
        Ok(Self { recordings, numbers, is_changed: false })
    }

    /// Makes this the transaction `turn`.
    pub(super) fn mark(&mut self, turn: u64) -> Result<(), redb::Error> {
        self.numbers.insert(TURN_KEY, turn)?;
        Ok(())
    }

    pub(super) fn open(
        &mut self,
        name: &RecordingName,
        opening: &OpenRequest,
        max_recordings: u64,
    ) -> Applied<Checkpoint> {
        let stored = match self.recordings.get(name.id())? {
            Some(bytes) => match codec::decode(name, bytes.value()) {
                Ok(stored) => Some(stored),
                Err(error) => return Ok(Err(error.into())),
            },
            None => None,
        };
        let is_stored = stored.is_some();
        let epoch = self.last_epoch()? + 1;
        let checkpoint = match rules::open(stored, opening, epoch) {
            Ok(Opened::Finished(checkpoint)) => return Ok(Ok(checkpoint)),
            Ok(Opened::Stored { checkpoint }) => checkpoint,
            Err(error) => return Ok(Err(error)),
        };
        if !is_stored && self.recordings.len()? >= max_recordings {
            return Ok(Err(rules::full(max_recordings)));
        }
        let bytes = match codec::encode(name, &checkpoint) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error.into())),
        };
        self.numbers.insert(EPOCH_KEY, epoch)?;
        self.put(name, &bytes)?;
        Ok(Ok(checkpoint))
    }

    /// Stores `bytes`, whose standing is `next`.
    pub(super) fn commit(
        &mut self,
        name: &RecordingName,
        precondition: CommitPrecondition,
        next: Standing,
        bytes: &[u8],
    ) -> Applied<()> {
        let stored = self.recordings.get(name.id())?;
        let stored = stored.map(|bytes| codec::Head::read(name, bytes.value()));
        let stored = match stored.transpose() {
            Ok(head) => head.map(|head| head.standing),
            Err(error) => return Ok(Err(error.into())),
        };
        if let Err(error) = rules::check_commit(stored, precondition, next) {
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
        let Some(head) = self
            .recordings
            .remove(name.id())?
            .map(|bytes| codec::Head::read(name, bytes.value()).ok())
        else {
            return Ok(Ok(None));
        };
        self.is_changed = true;
        let epoch = match head {
            Some(head) => head.standing.epoch,
            // A damaged record has no readable epoch; it is not newer than the last one assigned.
            None => self.last_epoch()?,
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

/// The epoch of a recording that `sweep` selects. A damaged record does not say when it expires: it stays until
/// a client deletes it.
fn selected_epoch(name: &RecordingName, bytes: &[u8], sweep: &Sweep) -> Option<u64> {
    let head = codec::Head::read(name, bytes).ok()?;
    let (updated, expires) = (head.update_unix_ms, head.expire_unix_ms);
    rules::is_selected(sweep, name, head.standing, updated, expires).then_some(head.standing.epoch)
}

fn read(name: &RecordingName, bytes: &[u8]) -> Result<Checkpoint, StoreError> {
    Ok(codec::decode(name, bytes)?)
}

pub(super) fn load(
    transaction: &ReadTransaction,
    name: &RecordingName,
) -> Result<Option<Result<Checkpoint, StoreError>>, redb::Error> {
    let recordings = transaction.open_table(RECORDINGS)?;
    Ok(recordings.get(name.id())?.map(|bytes| read(name, bytes.value())))
}

/// Up to `limit` recordings after `after`, in the order of their names.
fn scan<T>(
    transaction: &ReadTransaction,
    after: Option<&RecordingName>,
    limit: usize,
    read: impl Fn(&RecordingName, &[u8]) -> T,
) -> Result<Vec<(RecordingName, T)>, redb::Error> {
    use std::ops::Bound::{Excluded, Unbounded};
    let recordings = transaction.open_table(RECORDINGS)?;
    let start = after.map_or(Unbounded, |name| Excluded(name.id()));
    let mut found = Vec::new();
    for entry in recordings.range::<&str>((start, Unbounded))? {
        if found.len() >= limit {
            break;
        }
        let (id, bytes) = entry?;
        // Only names were stored; what is none has been damaged.
        let Ok(name) = RecordingName::from_id(id.value()) else { continue };
        let read = read(&name, bytes.value());
        found.push((name, read));
    }
    Ok(found)
}

pub(super) fn list(
    transaction: &ReadTransaction,
    after: Option<&RecordingName>,
    limit: usize,
) -> Result<crate::recording::Page, redb::Error> {
    scan(transaction, after, limit, read)
}

/// Checks up to `limit` recordings. Returns the names that `sweep` selects, and the last name that was checked
/// if there may be more.
pub(super) fn select(
    transaction: &ReadTransaction,
    after: Option<&RecordingName>,
    limit: usize,
    sweep: &Sweep,
) -> Result<(Vec<RecordingName>, Option<RecordingName>), redb::Error> {
    use std::ops::Bound::{Excluded, Unbounded};
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

/// The number of the last transaction that is in the file.
pub(super) fn turn(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    let numbers = transaction.open_table(NUMBERS)?;
    Ok(numbers.get(TURN_KEY)?.map_or(0, |turn| turn.value()))
}
