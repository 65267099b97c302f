//! The store of `waywiser serve`: a data directory on disk, a PostgreSQL database, or memory.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::runtime::Runtime;

use super::logged_store::LoggedStore;
use super::store_database::{self, Opening, PasswordArgs};
use super::store_url::StoreUrl;
use super::units::at_least_one;
use crate::recording::CheckpointStore;
use crate::store::{MemoryStore, PostgresSettings, RedbStore};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Recordings")]
pub(super) struct StoreArgs {
    /// Where recordings are stored: postgres://USER@HOST/DATABASE, redb:DIRECTORY or memory:
    ///
    /// Several servers can use one PostgreSQL database at the same time. redb:DIRECTORY is the same as --data-dir
    /// DIRECTORY, and memory: is the same as --ephemeral. Do not put a password into the URL on the command line,
    /// because other users of the system can read the arguments of a process.
    #[arg(
        long,
        value_name = "URL",
        conflicts_with_all = ["data_dir", "ephemeral"],
        value_parser = str::parse::<StoreUrl>
    )]
    store: Option<StoreUrl>,

    #[command(flatten)]
    password: PasswordArgs,

    /// Create or upgrade the schema of the database at the start, as `waywiser store migrate` does
    #[arg(long)]
    migrate: bool,

    /// End with exit status 1 if the database cannot be reached at the start, instead of connecting later
    #[arg(long)]
    fail_fast: bool,

    /// Directory for recordings; it is created if it does not exist [default: waywiser in XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,

    /// Keep recordings in memory; they are lost when the server stops
    #[arg(long)]
    ephemeral: bool,

    /// Maximum number of recordings [default: 1000000 on disk or in a database, 100000 in memory]
    ///
    /// A recording takes about 1 KiB. When the maximum is reached, the server deletes unfinished recordings to make
    /// space for new ones. It deletes those of up to 1000 points that have not grown for 10 minutes. It deletes none of
    /// them in a database, because other servers may write them.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<NonZeroU64>)]
    max_recordings: Option<NonZeroU64>,
}

/// An open store.
pub(super) struct Opened {
    pub(super) store: Arc<dyn CheckpointStore>,
    /// The same store, which counts its requests and logs a summary at exit.
    pub(super) logged: Arc<LoggedStore>,
}

impl Opened {
    fn new(logged: LoggedStore) -> Self {
        let logged = Arc::new(logged);
        Self { store: Arc::clone(&logged) as _, logged }
    }
}

/// The kind of a store, and its location.
enum Location<'a> {
    Memory,
    Directory(PathBuf),
    Database(&'a PostgresSettings),
}

const ADVICE: &str =
    "choose a directory with --data-dir, or keep recordings in memory with --ephemeral";

impl StoreArgs {
    /// Checks that there is a place for recordings, without reading a data directory or connecting to a database. Returns
    /// warnings.
    ///
    /// # Errors
    /// If no place is set and the user has no home directory, or a password cannot be read. The message says what to do.
    pub(super) fn check(&self) -> Result<Vec<String>, String> {
        let mut warnings = Vec::new();
        match self.location()? {
            Location::Database(settings) => warnings.extend(self.password.check(settings)?),
            Location::Memory | Location::Directory(_) => {
                let (password, migrate, fail_fast) =
                    (self.password.is_set(), self.migrate, self.fail_fast);
                let flags = [
                    (password, "--store-password-file"),
                    (migrate, "--migrate"),
                    (fail_fast, "--fail-fast"),
                ];
                let without_effect = flags.into_iter().filter(|(is_set, _)| *is_set);
                warnings.extend(without_effect.map(|(_, flag)| {
                    format!("{flag} has no effect without a database (--store postgres://...)")
                }));
            }
        }
        Ok(warnings)
    }

    fn location(&self) -> Result<Location<'_>, String> {
        match &self.store {
            Some(StoreUrl::Database(settings)) => Ok(Location::Database(settings)),
            Some(StoreUrl::Directory(directory)) => Ok(Location::Directory(directory.clone())),
            Some(StoreUrl::Memory) => Ok(Location::Memory),
            None if self.ephemeral => Ok(Location::Memory),
            None => {
                let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
                let directory = self.data_dir.clone().or_else(|| default_directory(variable));
                let missing = || format!("there is no home directory for recordings; {ADVICE}");
                directory.map(Location::Directory).ok_or_else(missing)
            }
        }
    }

    /// Opens the store. Blocks while it reads the disk or connects to the database.
    ///
    /// # Errors
    /// If the store cannot be opened. The message says what to do.
    pub(super) fn open(&self, runtime: &Runtime) -> Result<Opened, String> {
        for warning in self.check()? {
            tracing::warn!("{warning}");
        }
        match self.location()? {
            Location::Memory => {
                let max =
                    self.max_recordings.map(|max| usize::try_from(max.get()).unwrap_or(usize::MAX));
                let store = MemoryStore::new(max.unwrap_or(MemoryStore::RECORDINGS_MAX));
                Ok(Opened::new(LoggedStore::in_memory(store)))
            }
            Location::Directory(directory) => self.open_directory(&directory),
            Location::Database(settings) => runtime.block_on(self.open_database(settings)),
        }
    }

    fn open_directory(&self, directory: &Path) -> Result<Opened, String> {
        let is_chosen = self.data_dir.is_some() || self.store.is_some();
        let store = RedbStore::open(directory).map_err(|error| match is_chosen {
            true => error.to_string(),
            false => format!("{error}; {ADVICE}"),
        })?;
        let max = self.max_recordings.map_or(RedbStore::RECORDINGS_MAX, NonZeroU64::get);
        let store = store.with_max_recordings(max);
        tracing::info!(directory = %directory.display(), max_recordings = max, "opened the store of recordings");
        Ok(Opened::new(LoggedStore::on_disk(store)))
    }

    async fn open_database(&self, settings: &PostgresSettings) -> Result<Opened, String> {
        let max = self.max_recordings.map_or(RedbStore::RECORDINGS_MAX, NonZeroU64::get);
        let settings = self.password.apply(settings, |warning| tracing::warn!("{warning}"));
        let settings = settings.with_max_recordings(max);
        let database = settings.to_string();
        let opening = Opening { migrates: self.migrate, fails_fast: self.fail_fast };
        let (store, missing) = store_database::open(settings, opening).await?;
        let store = LoggedStore::in_database(store);
        match missing {
            None => {
                tracing::info!(database, max_recordings = max, "opened the store of recordings");
            }
            Some(reason) => {
                tracing::error!(
                    database,
                    max_recordings = max,
                    error = reason,
                    "the database cannot be reached; the server connects as soon as it can"
                );
                store.set_down(reason);
            }
        }
        Ok(Opened::new(store))
    }
}

/// Returns the directory for state of the XDG Base Directory Specification, version 0.8.
fn default_directory(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let state = || Some(absolute("HOME")?.join(".local/state"));
    Some(absolute("XDG_STATE_HOME").or_else(state)?.join("waywiser"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory_follows_the_xdg_specification() {
        let with = |state: Option<&str>, home: Option<&str>| {
            let (state, home) = (state.map(PathBuf::from), home.map(PathBuf::from));
            default_directory(move |name| if name == "HOME" { home.clone() } else { state.clone() })
        };
        assert_eq!(with(Some("/s"), Some("/h")), Some("/s/waywiser".into()));
        assert_eq!(with(None, Some("/h")), Some("/h/.local/state/waywiser".into()));
        assert_eq!(with(Some("relative"), Some("/h")), Some("/h/.local/state/waywiser".into()));
        assert_eq!(with(None, None), None);
    }
}
