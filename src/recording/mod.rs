//! One named recording, exactly once: which points of a message are new, what is durable, when the next
//! checkpoint is due, and what an answer of the store means.
//!
//! The module is sans-IO: it knows no clock, no runtime and no protocol. The caller passes the time, sends each
//! [`Commit`] to the store and reports the result. The caller also folds the points into the
//! [`PathAccumulator`](crate::measure::PathAccumulator) inside.
//!
//! The rules, and where they are enforced:
//! - a stream sends one contiguous range of offsets: only its first message chooses where it starts, and that
//!   message must say so if the path already has points ([`Recording::admit`]);
//! - points that were durable when the stream was opened are skipped and counted
//!   ([`Recording::skipped_points`]); a gap is refused, and so are points past the end of a finished path or past
//!   the end that the stream itself has set;
//! - only [`Recording::finish`] finishes a path, when a stream that has set the end is closed. If the stream ends
//!   otherwise, the points that were folded are committed and the path stays open;
//! - points count as committed when the store has said so, and never fewer than before
//!   ([`Recording::committed_points`]);
//! - folding never waits: at most one commit is on its way, and points that are folded later go into the next one;
//! - a commit whose outcome is unknown is neither done nor undone: the stored checkpoint is loaded and
//!   compared before anything else is committed ([`Recording::reconcile`]);
//! - a newer writer ends this one ([`NextStep::Fenced`]), and nothing is committed afterwards.
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
//! let opening = OpenRequest { options, now_unix_ms, expire_unix_ms: now_unix_ms + 1 };
//! let opened = store.open(name, opening).await?;
//!
//! let mut recording = Recording::resume(opened, CheckpointPolicy::default());
//! let points = [Fix::new(Point::planar(0.0, 0.0)?), Fix::new(Point::planar(3.0, 4.0)?)];
//! // The first point, and then the second, which continues there.
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
mod machine;
mod name;
mod position;
mod store;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CommitPrecondition, OpenRequest};
pub use error::RecordingError;
pub use machine::{CheckpointPolicy, Commit, NextStep, Recording};
pub use name::{RecordingName, RecordingNameError};
pub use position::Admitted;
pub use store::{
    Abandoned, Change, CheckpointStore, Page, Removed, SWEEP_STEP, StoreError, StoreEvent,
    StoreEvents, StoreFuture, Sweep, Swept,
};
