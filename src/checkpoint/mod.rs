//! Where recordings are kept: one [`Checkpoint`] a name, replaced as a whole, durably and on
//! conditions.
//!
//! [`CheckpointStore`] says what a store must do; [`contract`] is a test suite that holds each one to
//! it. [`MemoryStore`] keeps checkpoints as long as the process lives, [`EmbeddedStore`] in a file.
//! Nothing here knows a protocol, and nobody here folds a point.

use std::future::Future;
use std::pin::Pin;

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
    /// There is no room for another recording. Nothing was changed; deleting some helps, or waiting until some
    /// expire.
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

    /// Deletes a recording, damaged or not; tells whether there was one.
    fn delete(&self, name: PathName) -> StoreFuture<'_, bool>;

    /// Deletes what has expired by `now_unix_ms`, and tells the names.
    fn expire(&self, now_unix_ms: i64) -> StoreFuture<'_, Vec<PathName>>;
}
