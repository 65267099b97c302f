//! Adapters of [`CheckpointStore`](crate::recording::CheckpointStore): places where recordings are stored.
//!
//! | module | content |
//! |---|---|
//! | [`MemoryStore`] | keeps checkpoints until the process ends |
//! | [`RedbStore`] | keeps checkpoints in a file |
//! | [`BackupWriter`], [`BackupReader`], [`Renewal`] | write, read and restore the file of a backup |
//! | `codec` | the bytes of a stored checkpoint |
//! | `export_step` | one step of an export while it is filled |
//! | `key` | the keys of recordings, and the ranges that queries select |
//! | `rules` | the conditions that all stores check |
//! | `contract` | a test suite that every store must pass (feature `store-contract`) |
//!
//! A store knows no protocol and folds no points.

#[cfg(feature = "redb")]
mod backup;
#[cfg(feature = "redb")]
pub(crate) mod codec;
#[cfg(any(test, feature = "store-contract"))]
pub mod contract;
#[cfg(feature = "redb")]
mod export_step;
mod key;
mod memory;
#[cfg(feature = "redb")]
mod redb;
mod rules;

#[cfg(feature = "redb")]
pub use backup::{BackupError, BackupReader, BackupWriter, Renewal, RestoredExpiry};
pub use memory::MemoryStore;
#[cfg(feature = "redb")]
pub use redb::{RedbStore, RestoreError, StoreCheck, StoreOpenError, StoreStats};
