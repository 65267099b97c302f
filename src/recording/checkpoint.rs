//! The stored data of a recording, and the requests to open it and to commit to it.

use crate::measure::{Options, PathAccumulator};

/// Everything that a store keeps of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The epoch of the current writer. Each opening assigns a larger one. No epoch is assigned twice, even if the
    /// recording is deleted and created again. A commit with an older epoch is refused.
    pub epoch: u64,
    /// Whether the recording is finished.
    pub complete: bool,
    /// The accumulator with its options. Its number of points is the committed offset.
    pub accumulator: PathAccumulator,
    /// The time when the first stream was opened, in milliseconds since 1970-01-01T00:00:00Z.
    pub create_unix_ms: i64,
    /// The time when the recording last grew or was finished.
    pub update_unix_ms: i64,
    /// The time when the recording expires. It may be deleted from then on.
    pub expire_unix_ms: i64,
}

impl Checkpoint {
    /// Returns the number of committed points, which is the offset of the next point.
    pub fn committed_points(&self) -> u64 {
        self.accumulator.point_count()
    }
}

/// A request to open a recording for writing.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRequest {
    /// The options of the path. `None` keeps the options of an existing recording, and uses the default
    /// options for a new one.
    pub options: Option<Options>,
    /// The time, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_unix_ms: i64,
    /// The expiry of a new recording. An existing recording expires at this time or at its stored expiry, whichever is
    /// later.
    pub expire_unix_ms: i64,
    /// Maximum number of recordings in the namespace of this one, expired ones included. It limits new recordings only.
    pub max_in_namespace: Option<u64>,
}

/// The condition of a commit. The store refuses the commit if the stored checkpoint has other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPrecondition {
    /// The epoch that the writer got when it opened the recording.
    pub epoch: u64,
    /// The committed offset from which the commit continues.
    pub committed_points: u64,
}
