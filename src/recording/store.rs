//! The port for stores: what a store of checkpoints must do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream};

use super::{Checkpoint, CommitPrecondition, OpenRequest, RecordingName};

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

/// What a store will answer.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One page of recordings; a damaged one does not hide the others.
pub type Page = Vec<(RecordingName, Result<Checkpoint, StoreError>)>;

/// Keeps checkpoints. Each method is atomic, and what it has answered is durable as far as the store is.
///
/// Dropping a future does not take the request back: what was asked may still be done.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Opens a recording for writing, and begins it if there is none or it has expired. Raises the epoch, so that all
    /// writers before are fenced; a finished recording is given as it is. Nothing else changes but that
    /// a recording which would expire before [`OpenRequest::expire_unix_ms`] is kept until then.
    ///
    /// # Errors
    /// [`StoreError::OptionsDiffer`], with nothing changed; else as any.
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint>;

    /// Replaces the checkpoint if epoch and offset are still those of `guard`, it is not finished, and
    /// `next` is of the same epoch and has no fewer points.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if not, [`StoreError::NotFound`] if it is gone. A refusal with the epoch of
    /// the guard means that another commit under it came first, perhaps one whose answer was lost.
    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()>;

    /// The checkpoint as it is stored.
    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>>;

    /// Up to `limit` recordings in the order of their names, behind `after`.
    fn list(&self, after: Option<RecordingName>, limit: usize) -> StoreFuture<'_, Page>;

    /// Deletes a recording, damaged or not. Returns its epoch, or `None` if there was no such recording. Every
    /// checkpoint of this name with this epoch or an older one is gone; a recording that is begun afterwards
    /// has a newer epoch. For a damaged recording this is the last epoch that the store has assigned.
    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>>;

    /// Checks up to [`SWEEP_STEP`] recordings in the order of their names, starting after `after`, and removes
    /// those that `sweep` selects. The caller continues from [`Swept::next`] until it is `None`. A step is one
    /// short request, so that other requests are served between two steps.
    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept>;

    /// Subscribes to the changes that other users of the same store make. A server reads them so that its watchers
    /// receive the commits of other servers.
    ///
    /// The stream starts with the changes after this call and never ends. It holds a bounded number of events; if the
    /// subscriber is too slow, [`StoreEvent::Missed`] replaces the oldest ones. A store that cannot distinguish its
    /// users may also report the subscriber's own changes. A store that wraps another one forwards this call. By default
    /// the stream yields nothing, for stores that only one server can use.
    fn changes(&self) -> StoreEvents {
        Box::pin(stream::pending())
    }
}

/// A subscription to the changes of a store.
pub type StoreEvents = Pin<Box<dyn Stream<Item = StoreEvent> + Send>>;

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// A recording has changed.
    Changed(Change),
    /// Changes were lost, so any recording may have changed.
    Missed,
}

/// A change of a recording that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the recording.
    pub name: RecordingName,
    /// The epoch of the checkpoint that was stored or removed.
    pub epoch: u64,
    /// Whether the recording was removed. Every checkpoint with this epoch or an older one is gone then.
    pub removed: bool,
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
    pub has_writer: Arc<dyn Fn(&RecordingName) -> bool + Send + Sync>,
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
    pub name: RecordingName,
    /// Its epoch; see [`CheckpointStore::delete`].
    pub epoch: u64,
}

/// The result of one step of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The recordings that were removed.
    pub removed: Vec<Removed>,
    /// The last name that was checked, if there may be more after it.
    pub next: Option<RecordingName>,
}
