//! The port for stores: the trait that each store of checkpoints implements.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream};

use super::{
    Checkpoint, CommitPrecondition, ExportQuery, Exported, ListQuery, Namespace, OpenRequest,
    RecordingName, StoreError,
};

/// The future result of a request to a store.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One page of recordings. A damaged recording is an error in the page and does not hide the others.
pub type Page = Vec<(RecordingName, Result<Checkpoint, StoreError>)>;

/// Keeps checkpoints. Each method is atomic. After a method has returned, its effect is as durable as the store is.
///
/// Dropping a future does not cancel the request: the store may still carry it out.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Opens a recording for writing. Creates it if it does not exist or has expired. Raises the epoch, which fences
    /// all earlier writers, and moves the expiry to [`OpenRequest::expire_unix_ms`] if that is later. A finished
    /// recording is returned without a change.
    ///
    /// # Errors
    /// [`StoreError::OptionsDiffer`] if the recording has other options than the request, [`StoreError::NamespaceFull`]
    /// if a new recording would exceed [`OpenRequest::max_in_namespace`], and [`StoreError::Full`] if it would exceed
    /// the maximum of the store. Nothing is changed then.
    fn open(&self, name: RecordingName, request: OpenRequest) -> StoreFuture<'_, Checkpoint>;

    /// Replaces the checkpoint of an unfinished recording. Epoch and number of points must be those of
    /// `precondition`. `next` must have the same epoch and no fewer points.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if a condition is not met, [`StoreError::NotFound`] if the recording does not exist.
    /// `Fenced` with the epoch of `precondition` means that another commit of this writer was carried out first,
    /// possibly one whose answer was lost.
    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()>;

    /// Returns the stored checkpoint, or `None` if there is no such recording.
    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>>;

    /// Returns up to `limit` recordings that `query` selects, in the order of their names. The cost depends on the
    /// recordings that are returned, not on others.
    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page>;

    /// Deletes a recording, damaged or not. Returns its epoch, or `None` if there was no such recording. All
    /// checkpoints of this name up to this epoch are deleted. A recording that is created afterwards has a larger
    /// epoch. For a damaged recording this is the last epoch that the store has assigned.
    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>>;

    /// Checks up to [`SWEEP_STEP`] recordings in the order of their names, starting after `after`, and removes those
    /// that `sweep` selects. With [`Sweep::abandoned`] it checks and removes only recordings of that namespace. Without
    /// it, a store that finds expired recordings with an index may skip all others, and ignore the order. The caller
    /// continues from [`Swept::next`] until it is `None`. A step is one short request, so that other requests are served
    /// between two steps.
    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept>;

    /// Returns the stored bytes of the next recordings of all namespaces, for a backup. A step checks up to
    /// [`SWEEP_STEP`] recordings. The caller continues from [`Exported::next`] until it is `None`. Each recording is
    /// consistent by itself.
    ///
    /// A store that wraps another one forwards this call. By default the store has no export.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store has no export.
    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        let _ = query;
        let error = StoreError::Unavailable("it cannot be backed up".into());
        Box::pin(ready(Err(error)))
    }

    /// Returns whether several servers can use the store at the same time. A recording can then have a writer that this
    /// server does not know. A store that wraps another one forwards this call.
    fn is_shared(&self) -> bool {
        false
    }

    /// Subscribes to the changes that other users of the same store make to the `watched` recordings. A server reads
    /// them so that its watchers receive the commits of other servers.
    ///
    /// The stream starts with the changes after this call and never ends. It holds a bounded number of events; if the
    /// subscriber is too slow, [`StoreEvent::Missed`] replaces the oldest ones. A store may report changes of recordings
    /// that are not watched, and changes that the subscriber knows, such as its own. A store that has to ask for changes
    /// asks for those of [`WatchedRecordings::now`]. A store that wraps another one forwards this call. By default the
    /// stream yields nothing, for stores that only one server can use.
    fn changes(&self, watched: WatchedRecordings) -> StoreEvents {
        let _ = watched;
        Box::pin(stream::pending())
    }
}

/// A subscription to the changes of a store.
pub type StoreEvents = Pin<Box<dyn Stream<Item = StoreEvent> + Send>>;

/// The recordings that a subscriber watches, which change while it is subscribed. Clones share them.
#[derive(Clone)]
pub struct WatchedRecordings(Arc<dyn Fn() -> Vec<WatchedRecording> + Send + Sync>);

impl WatchedRecordings {
    /// Creates the list from a function that returns the recordings of the moment, in any order and each at most once.
    /// The function must return at once.
    pub fn new(now: impl Fn() -> Vec<WatchedRecording> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the recordings that are watched now.
    pub fn now(&self) -> Vec<WatchedRecording> {
        (self.0)()
    }
}

impl fmt::Debug for WatchedRecordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedRecordings").finish_non_exhaustive()
    }
}

/// A recording that a subscriber watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedRecording {
    /// The name of the recording.
    pub name: RecordingName,
    /// The version that the subscriber knows. `None` if it knows of no such recording.
    pub known: Option<RecordingVersion>,
}

/// Identifies a checkpoint of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingVersion {
    /// The epoch of the checkpoint.
    pub epoch: u64,
    /// The number of points of the checkpoint.
    pub committed_points: u64,
    /// Whether the recording is finished.
    pub complete: bool,
}

/// An event of a subscription. The change that it reports is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreEvent {
    /// A checkpoint was stored.
    Stored {
        /// The name of the recording.
        name: RecordingName,
        /// The epoch of the checkpoint.
        epoch: u64,
        /// The number of points of the checkpoint.
        committed_points: u64,
        /// Whether the recording is finished.
        complete: bool,
    },
    /// A recording was removed. Every checkpoint with its epoch or an older one is gone.
    Removed(Removed),
    /// The store has an older version of a recording than it had before, because a failover of its database lost the last
    /// commits. What the subscriber knows of it does not exist any more.
    Reverted(RecordingName),
    /// Changes were lost, so any recording may have changed.
    Missed,
}

/// Maximum number of recordings that one step of a sweep checks.
pub const SWEEP_STEP: usize = 1_000;

/// Selects the recordings that a sweep checks and removes.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The time, in milliseconds since 1970-01-01T00:00:00Z. Recordings that have expired by then are removed.
    pub now_unix_ms: i64,
    /// If this is set, the sweep checks the recordings of one namespace only, and removes the abandoned ones, too.
    pub abandoned: Option<Abandoned>,
}

impl Sweep {
    /// Selects the recordings of all namespaces that have expired by `now_unix_ms`.
    pub fn expired(now_unix_ms: i64) -> Self {
        Self { now_unix_ms, abandoned: None }
    }

    /// Returns the maximum number of recordings that one step selects.
    pub(crate) fn removals_max(&self) -> usize {
        self.abandoned.as_ref().map_or(SWEEP_STEP, |abandoned| abandoned.removals_max.max(1))
    }
}

/// Selects abandoned recordings: small, not finished, not grown for some time, and without a writer.
#[derive(Clone)]
pub struct Abandoned {
    /// The namespace of the recordings. `None` is the default namespace.
    pub namespace: Option<Namespace>,
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
            .field("namespace", &self.namespace)
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
