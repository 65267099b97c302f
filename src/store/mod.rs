//! Adapters of [`CheckpointStore`](crate::recording::CheckpointStore): places where recordings are stored.
//!
//! | module | content |
//! |---|---|
//! | [`MemoryStore`] | keeps checkpoints until the process ends |
//! | [`RedbStore`] | keeps checkpoints in a file, for one server |
//! | [`PostgresStore`] | keeps checkpoints in a PostgreSQL database, which several servers share |
//! | [`BackupWriter`], [`BackupReader`], [`Renewal`] | write, read and restore the file of a backup |
//! | `codec` | the bytes of a stored checkpoint |
//! | `export_step` | one step of an export while it is filled |
//! | `key` | the keys of recordings, and the ranges that queries select |
//! | [`StoreCheck`] | the result of a check of all recordings |
//! | `rules` | the conditions that all stores check |
//! | `contract` | a test suite that every store must pass (feature `store-contract`) |
//!
//! A store knows no protocol and folds no points.

#[cfg(feature = "_codec")]
mod backup;
#[cfg(feature = "_codec")]
pub(crate) mod codec;
#[cfg(any(test, feature = "store-contract"))]
pub mod contract;
#[cfg(feature = "_codec")]
mod export_step;
mod key;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
mod rules;
#[cfg(feature = "_codec")]
mod store_check;

#[cfg(feature = "_codec")]
pub use backup::{BackupError, BackupReader, BackupWriter, Renewal, RestoredExpiry};
#[cfg(feature = "_codec")]
pub use codec::{RecordError as StateBytesError, path_from_bytes, path_to_bytes};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{
    Migration, PostgresOpenError, PostgresRestoreError, PostgresSettings, PostgresSettingsError,
    PostgresStats, PostgresStatus, PostgresStore,
};
#[cfg(feature = "redb")]
pub use redb::{RedbStore, RestoreError, StoreOpenError, StoreStats};
#[cfg(feature = "_codec")]
pub use store_check::StoreCheck;
