//! Recordings: their names, their checkpoints, the port for stores, and the rules of one writer.
//!
//! [`Recording`] decides which points of a message are new, what is durable, when the next checkpoint is due, and what
//! follows from an answer of the store. Each point counts exactly once. [`CheckpointStore`] is the port for stores. Its
//! adapters are in [`store`](crate::store).
//!
//! The module is sans-IO: it knows no clock, no runtime and no protocol. The caller passes the time, sends each
//! [`Commit`] to the store and reports the result. The caller also folds the points into the
//! [`PathAccumulator`](crate::measure::PathAccumulator) of the recording.
//!
//! The rules, and the methods that apply them:
//! - a stream sends one contiguous range of offsets: only its first message chooses where it starts, and that
//!   message must have an offset if the path already has points ([`Recording::admit`]);
//! - points that were durable when the stream was opened are skipped and counted
//!   ([`Recording::skipped_points`]); a gap is refused, and so are points past the end of a finished path or past
//!   the end that the stream itself has set;
//! - only [`Recording::finish`] finishes a path. The caller calls it when a stream that has set the end is closed. If the
//!   stream ends in another way, the folded points are committed and the path stays open;
//! - points count as committed after the store has confirmed them. Their number never decreases
//!   ([`Recording::committed_points`]);
//! - folding never waits: at most one commit is pending, and points that are folded later are part of the next commit;
//! - if the result of a commit is unknown, the stored checkpoint is loaded and compared before the next commit
//!   ([`Recording::reconcile`]);
//! - a newer writer ends this one ([`NextStep::Fenced`]), which commits nothing afterwards.
//!
//! ```
//! # use waywiser::recording::{CheckpointStore, OpenRequest};
//! # use waywiser::store::MemoryStore;
//! # use waywiser::measure::{Fix, Metric, Options, Point};
//! # use waywiser::recording::{CheckpointPolicy, Recording};
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (store, name) = (MemoryStore::default(), "paths/walk".parse()?);
//! let options = Some(Options::new(Metric::Planar));
//! let now_unix_ms = 1_700_000_000_000;
//! let expire_unix_ms = now_unix_ms + 1;
//! let request = OpenRequest { options, now_unix_ms, expire_unix_ms, max_in_namespace: None };
//! let opened = store.open(name, request).await?;
//!
//! let mut recording = Recording::resume(opened, CheckpointPolicy::default());
//! let points = [Fix::new(Point::planar(0.0, 0.0)?), Fix::new(Point::planar(3.0, 4.0)?)];
//! // The first message has an offset. The second continues there.
//! for (write_offset, message) in [(Some(0), &points[..1]), (None, &points[1..])] {
//!     let admitted = recording.admit(write_offset, message.len() as u64)?;
//!     recording.accumulator_mut().extend(&message[admitted.skip as usize..])?;
//!     recording.folded(now_unix_ms);
//! }
//! assert!(recording.admit(Some(3), 1).is_err());
//!
//! recording.end_here()?;
//! recording.finish();
//! while let Some(commit) = recording.next_commit(now_unix_ms, true) {
//!     store.commit("paths/walk".parse()?, commit.precondition, commit.checkpoint).await?;
//!     recording.committed();
//! }
//! assert!(recording.is_complete() && recording.is_settled());
//! assert_eq!((recording.committed_points(), recording.accumulator().summary().length), (2, 5.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod error;
mod export;
mod list_query;
mod machine;
mod name;
mod namespace;
mod policy;
mod position;
mod store;
mod store_error;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CommitPrecondition, OpenRequest};
pub use error::RecordingError;
pub use export::{ExportQuery, Exported};
pub use list_query::{ListQuery, ListScope};
pub use machine::{Commit, NextStep, Recording};
#[cfg(feature = "server")]
pub(crate) use name::NamespacePart;
pub use name::{RecordingName, RecordingNameError};
pub use namespace::{Namespace, NamespaceError};
pub use policy::CheckpointPolicy;
pub use position::Admitted;
pub use store::{
    Abandoned, CheckpointStore, Page, RecordingVersion, Removed, SWEEP_STEP, StoreEvent,
    StoreEvents, StoreFuture, Sweep, Swept, WatchedRecording, WatchedRecordings,
};
pub use store_error::{StoreError, StoreErrorCause};
