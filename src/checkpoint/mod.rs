//! Where recordings are kept: one [`Checkpoint`] a name, replaced as a whole, durably and on
//! conditions.
//!
//! [`CheckpointStore`] says what a store must do; [`contract`] is a test suite that holds each one to
//! it. [`MemoryStore`] keeps checkpoints as long as the process lives, [`EmbeddedStore`] in a file.
//! Nothing here knows a protocol, and nobody here folds a point.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::measure::{Measurement, Options};

pub mod contract;
mod embedded;
mod memory;
mod name;
#[doc(hidden)]
pub mod record;
mod rules;

pub use embedded::{EmbeddedStore, StoreOpenError, StoreStats};
pub use memory::MemoryStore;
pub use name::{NameError, PathName};

/// All there is of a recording: what its fold holds, and who may go on with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Rises each time a writer opens the recording, and is never given out twice, not even after the
    /// recording was deleted and begun again; a commit under an older one is refused.
    pub epoch: u64,
    /// Whether it is finished.
    pub complete: bool,
    /// The fold with its options; its point count is the committed offset.
    pub measurement: Measurement,
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
        self.measurement.point_count()
    }
}

/// What a writer brings when it opens a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
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
pub struct Guard {
    /// The epoch under which the recording was opened.
    pub epoch: u64,
    /// The committed offset that the commit goes on from.
    pub committed_points: u64,
}

/// Why a store did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer has opened the recording since, or it has moved on by other hands.
    #[error("a newer writer has taken over (epoch {epoch})")]
    Fenced {
        /// The epoch that is stored.
        epoch: u64,
    },
    /// There is no such recording; it was deleted or has expired.
    #[error("there is no such recording")]
    NotFound,
    /// The options are not those that the recording was begun with.
    #[error("the options differ from those that the recording was begun with")]
    OptionsDiffer,
    /// What is stored cannot be read. The recording is lost; others are not.
    #[error("its checkpoint is damaged: {0}")]
    Damaged(String),
    /// Nothing was changed. Trying again later may help.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store holds its maximum number of recordings. Nothing was changed. Delete recordings, or wait until
    /// some expire.
    #[error("the store is full: {0}")]
    Full(String),
    /// It may or may not have been done: load the checkpoint and compare before going on.
    #[error("the store did not say whether it was done: {0}")]
    Unknown(String),
}

impl From<record::RecordError> for StoreError {
    fn from(error: record::RecordError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// What a store will answer.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One page of recordings; a damaged one does not hide the others.
pub type Page = Vec<(PathName, Result<Checkpoint, StoreError>)>;

/// Keeps checkpoints. Each method is atomic, and what it has answered is durable as far as the store is.
///
/// Dropping a future does not take the request back: what was asked may still be done.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Opens a recording for writing, and begins it if there is none or it has expired. Raises the epoch, so that all
    /// writers before are fenced; a finished recording is given as it is. Nothing else changes but that
    /// a recording which would expire before [`Opening::expire_unix_ms`] is kept until then.
    ///
    /// # Errors
    /// [`StoreError::OptionsDiffer`], with nothing changed; else as any.
    fn open(&self, name: PathName, opening: Opening) -> StoreFuture<'_, Checkpoint>;

    /// Replaces the checkpoint if epoch and offset are still those of `guard`, it is not finished, and
    /// `next` is of the same epoch and has no fewer points.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if not, [`StoreError::NotFound`] if it is gone. A refusal with the epoch of
    /// the guard means that another commit under it came first, perhaps one whose answer was lost.
    fn commit(&self, name: PathName, guard: Guard, next: Checkpoint) -> StoreFuture<'_, ()>;

    /// The checkpoint as it is stored.
    fn load(&self, name: PathName) -> StoreFuture<'_, Option<Checkpoint>>;

    /// Up to `limit` recordings in the order of their names, behind `after`.
    fn list(&self, after: Option<PathName>, limit: usize) -> StoreFuture<'_, Page>;

    /// Deletes a recording, damaged or not. Returns its epoch, or `None` if there was no such recording. Every
    /// checkpoint of this name with this epoch or an older one is gone; a recording that is begun afterwards
    /// has a newer epoch. For a damaged recording this is the last epoch that the store has assigned.
    fn delete(&self, name: PathName) -> StoreFuture<'_, Option<u64>>;

    /// Checks up to [`SWEEP_STEP`] recordings in the order of their names, starting after `after`, and removes
    /// those that `sweep` selects. The caller continues from [`Swept::next`] until it is `None`. A step is one
    /// short request, so that other requests are served between two steps.
    fn sweep(&self, sweep: Sweep, after: Option<PathName>) -> StoreFuture<'_, Swept>;
}

/// Maximum number of recordings that one step of a sweep checks.
pub const SWEEP_STEP: usize = 1_000;

/// Selects the recordings that a sweep removes.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The time, in milliseconds since 1970-01-01T00:00:00Z. Recordings that have expired by then are removed.
    pub now_unix_ms: i64,
    /// Abandoned recordings are removed, too, if this is set.
    pub abandoned: Option<Abandoned>,
}

impl Sweep {
    /// Selects the recordings that have expired by `now_unix_ms`.
    pub fn expired(now_unix_ms: i64) -> Self {
        Self { now_unix_ms, abandoned: None }
    }

    /// Maximum number of recordings that one step selects.
    pub(crate) fn removals_max(&self) -> usize {
        self.abandoned.as_ref().map_or(SWEEP_STEP, |abandoned| abandoned.removals_max.max(1))
    }
}

/// Selects abandoned recordings: small, not finished, not grown for some time, and without a writer.
#[derive(Clone)]
pub struct Abandoned {
    /// The recording last grew at this time or earlier, in milliseconds since 1970-01-01T00:00:00Z.
    pub update_unix_ms: i64,
    /// The recording has at most this many points.
    pub points_max: u64,
    /// A step ends when it has selected this many recordings, expired ones included.
    pub removals_max: usize,
    /// Returns whether a stream writes to this recording now. Called while the store decides, so it must
    /// return at once.
    pub has_writer: Arc<dyn Fn(&PathName) -> bool + Send + Sync>,
}

impl fmt::Debug for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Abandoned")
            .field("update_unix_ms", &self.update_unix_ms)
            .field("points_max", &self.points_max)
            .field("removals_max", &self.removals_max)
            .finish_non_exhaustive()
    }
}

/// A recording that was removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed {
    /// Its name.
    pub name: PathName,
    /// Its epoch; see [`CheckpointStore::delete`].
    pub epoch: u64,
}

/// The result of one step of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The recordings that were removed.
    pub removed: Vec<Removed>,
    /// The last name that was checked, if there may be more after it.
    pub next: Option<PathName>,
}
