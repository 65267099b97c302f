//! Adapters of [`CheckpointStore`](crate::recording::CheckpointStore): where recordings are kept.
//!
//! [`MemoryStore`] keeps checkpoints as long as the process lives, [`RedbStore`] in a file. [`contract`] is a
//! test suite that every store has to pass. Stores know no protocol and fold no points.

#[cfg(feature = "redb")]
#[doc(hidden)]
pub mod codec;
#[cfg(any(test, feature = "store-contract"))]
pub mod contract;
mod memory;
#[cfg(feature = "redb")]
mod redb;
mod rules;

pub use memory::MemoryStore;
#[cfg(feature = "redb")]
pub use redb::{RedbStore, StoreOpenError, StoreStats};
