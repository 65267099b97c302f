//! Adapters of [`CheckpointStore`](crate::recording::CheckpointStore): where recordings are kept.
//!
//! [`MemoryStore`] keeps checkpoints as long as the process lives, [`RedbStore`] in a file. [`contract`] is a
//! test suite that every store has to pass. Stores know no protocol and fold no points.

#[doc(hidden)]
pub mod codec;
pub mod contract;
mod memory;
mod redb;
mod rules;

pub use memory::MemoryStore;
pub use redb::{RedbStore, StoreOpenError, StoreStats};
