//! Reads all recordings of a store, one after another.

use std::collections::VecDeque;
use std::sync::Arc;

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

/// Returns whether two records have the same content. A store may write a record of an older program in its own format.
pub(super) fn are_same(name: &RecordingName, one: &[u8], other: &[u8]) -> bool {
    let canonical =
        |record| codec::decode(name, record).map(|checkpoint| codec::encode(name, &checkpoint));
    one == other || canonical(one).is_ok_and(|one| canonical(other) == Ok(one))
}
