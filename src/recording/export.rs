//! A step of an export: the stored bytes of some recordings, for a backup.

use super::{RecordingName, StoreError};

/// Selects the recordings of one step of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportQuery {
    /// The step starts with the first name after this one.
    pub after: Option<RecordingName>,
    /// The time, in milliseconds since 1970-01-01T00:00:00Z. Recordings that have expired by then are left out.
    pub now_unix_ms: i64,
    /// The step ends when its records have this many bytes. It has at least one recording if there is one.
    pub bytes_max: usize,
}

/// The result of one step of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The recordings in the order of their names. A damaged one is an error and does not hide the others.
    pub records: Vec<(RecordingName, Result<Vec<u8>, StoreError>)>,
    /// The last name that was checked, if there may be more after it.
    pub next: Option<RecordingName>,
}
