//! What a store keeps of a recording, and what a writer sends to open and to commit one.

use crate::measure::{Options, PathAccumulator};

/// All there is of a recording: what its fold holds, and who may go on with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Rises each time a writer opens the recording, and is never given out twice, not even after the
    /// recording was deleted and begun again; a commit under an older one is refused.
    pub epoch: u64,
    /// Whether it is finished.
    pub complete: bool,
    /// The fold with its options; its point count is the committed offset.
    pub accumulator: PathAccumulator,
    /// Milliseconds since 1970-01-01T00:00:00Z: when its first stream was opened.
    pub create_unix_ms: i64,
    /// When it last grew or was finished.
    pub update_unix_ms: i64,
    /// From when on it may be deleted.
    pub expire_unix_ms: i64,
}

impl Checkpoint {
    /// The offset of the first point that is not durable.
    pub fn committed_points(&self) -> u64 {
        self.accumulator.point_count()
    }
}

/// What a writer brings when it opens a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRequest {
    /// How it measures, or nothing to go on as the recording was begun; a new recording is then
    /// measured by the default model.
    pub options: Option<Options>,
    /// The time, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_unix_ms: i64,
    /// From when on a recording may be deleted that is new or would expire before.
    pub expire_unix_ms: i64,
}

/// What a commit takes for granted, and is refused without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPrecondition {
    /// The epoch under which the recording was opened.
    pub epoch: u64,
    /// The committed offset that the commit goes on from.
    pub committed_points: u64,
}
