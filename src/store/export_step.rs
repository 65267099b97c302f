//! One step of an export while it is filled. Both stores use it.

use crate::recording::{ExportQuery, Exported, RecordingName, SWEEP_STEP, StoreError};
use crate::store::rules::Header;

/// The size that a damaged recording counts.
const DAMAGED_BYTES: usize = 256;

/// A step of an export.
pub(super) struct ExportStep {
    now_unix_ms: i64,
    bytes_left: usize,
    checks_left: usize,
    exported: Exported,
}

impl ExportStep {
    pub(super) fn new(query: &ExportQuery) -> Self {
        Self {
            now_unix_ms: query.now_unix_ms,
            bytes_left: query.bytes_max.max(1),
            checks_left: SWEEP_STEP,
            exported: Exported::default(),
        }
    }

    /// Returns whether the step has no space for another recording.
    pub(super) fn is_full(&self) -> bool {
        self.bytes_left == 0 || self.checks_left == 0
    }

    /// Adds a recording, unless it has expired. `bytes` returns its record.
    pub(super) fn add(
        &mut self,
        name: RecordingName,
        header: Result<Header, StoreError>,
        bytes: impl FnOnce(&RecordingName) -> Vec<u8>,
    ) {
        self.checks_left -= 1;
        self.exported.next = Some(name.clone());
        let record = match header {
            Ok(header) if header.expire_unix_ms <= self.now_unix_ms => return,
            Ok(_) => Ok(bytes(&name)),
            Err(error) => Err(error),
        };
        let len = record.as_ref().map_or(DAMAGED_BYTES, Vec::len);
        self.bytes_left = self.bytes_left.saturating_sub(len);
        self.exported.records.push((name, record));
    }

    /// Returns a step after which there may be more recordings.
    pub(super) fn full(self) -> Exported {
        self.exported
    }

    /// Returns the last step.
    pub(super) fn last(self) -> Exported {
        Exported { next: None, ..self.exported }
    }
}
