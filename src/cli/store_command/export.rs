//! Reads all recordings of a store, one after another, and computes their hash.

use std::collections::VecDeque;
use std::sync::Arc;

use ring::digest;

use crate::recording::{CheckpointStore, ExportQuery, RecordingName, StoreError};
use crate::store::codec;

/// Size of the recordings that are read at once.
const STEP_BYTES: usize = 1 << 20;

/// All recordings of a store in the order of their names, also those that have expired.
pub(super) struct Export {
    store: Arc<dyn CheckpointStore>,
    after: Option<RecordingName>,
    read: VecDeque<(RecordingName, Result<Vec<u8>, StoreError>)>,
    is_last: bool,
}

impl Export {
    pub(super) fn new(store: Arc<dyn CheckpointStore>) -> Self {
        Self { store, after: None, read: VecDeque::new(), is_last: false }
    }

    /// Returns the next recording and its record.
    ///
    /// # Errors
    /// If the store cannot be read, or the recording is damaged. The message says which one.
    pub(super) async fn next(&mut self) -> Result<Option<(RecordingName, Vec<u8>)>, String> {
        while self.read.is_empty() && !self.is_last {
            let after = self.after.take();
            // Nothing has expired at this time.
            let query = ExportQuery { after, now_unix_ms: i64::MIN, bytes_max: STEP_BYTES };
            let step = self.store.export(query).await.map_err(|error| error.to_string())?;
            self.read = step.records.into();
            self.is_last = step.next.is_none();
            self.after = step.next;
        }
        match self.read.pop_front() {
            None => Ok(None),
            Some((name, Ok(record))) => Ok(Some((name, record))),
            Some((name, Err(error))) => Err(format!(
                "{name}: {error}; delete the damaged recording first (`waywiser store check` names all of them)"
            )),
        }
    }
}

/// The SHA-256 of recordings, in their order.
pub(super) struct Fingerprint {
    context: digest::Context,
    count: u64,
}

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self { context: digest::Context::new(&digest::SHA256), count: 0 }
    }

    /// Adds a recording. A store may keep the record of an older program in its own format, so this adds the bytes that
    /// this program writes.
    ///
    /// # Errors
    /// If the record is not valid.
    pub(super) fn add(&mut self, name: &RecordingName, record: &[u8]) -> Result<(), String> {
        let decoded = codec::decode(name, record).map_err(|error| format!("{name}: {error}"))?;
        let record = codec::encode(name, &decoded);
        for part in [name.as_str().as_bytes(), &record] {
            self.context.update(&(part.len() as u64).to_le_bytes());
            self.context.update(part);
        }
        self.count += 1;
        Ok(())
    }

    /// Returns the number of recordings and their hash.
    pub(super) fn finish(self) -> (u64, Vec<u8>) {
        (self.count, self.context.finish().as_ref().to_vec())
    }

    /// Reads all recordings of a store.
    ///
    /// # Errors
    /// If the store cannot be read, or a recording is damaged.
    pub(super) async fn of(store: Arc<dyn CheckpointStore>) -> Result<(u64, Vec<u8>), String> {
        let (mut export, mut found) = (Export::new(store), Self::new());
        while let Some((name, record)) = export.next().await? {
            found.add(&name, &record)?;
        }
        Ok(found.finish())
    }
}
