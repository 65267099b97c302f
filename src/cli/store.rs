//! The store of `waywiser serve`: a data directory on disk, or memory.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::logged_store::LoggedStore;
use super::units::at_least_one;
use crate::recording::CheckpointStore;
use crate::store::{MemoryStore, RedbStore};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Recordings")]
pub(super) struct StoreArgs {
    /// Directory for recordings; it is created if it does not exist [default: waywiser in XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,

    /// Keep recordings in memory; they are lost when the server stops
    #[arg(long)]
    ephemeral: bool,

    /// Maximum number of recordings [default: 1000000 on disk, 100000 in memory]
    ///
    /// A recording takes about 1 KiB. When the maximum is reached, unfinished recordings of up to 1000 points that
    /// have not grown for 10 minutes are deleted to make space for new ones.
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

const ADVICE: &str =
    "choose a directory with --data-dir, or keep recordings in memory with --ephemeral";

impl StoreArgs {
    /// Checks that there is a directory for recordings, without reading the disk.
    ///
    /// # Errors
    /// If there is none. The message says what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.ephemeral {
            true => Ok(()),
            false => self.directory().map(drop),
        }
    }

    fn directory(&self) -> Result<PathBuf, String> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let directory = self.data_dir.clone().or_else(|| default_directory(variable));
        directory.ok_or_else(|| format!("there is no home directory for recordings; {ADVICE}"))
    }

    /// Opens the store. Blocks while it reads the disk.
    ///
    /// # Errors
    /// If the store cannot be opened. The message says what to do.
    pub(super) fn open(&self) -> Result<Opened, String> {
        if self.ephemeral {
            let max =
                self.max_recordings.map(|max| usize::try_from(max.get()).unwrap_or(usize::MAX));
            let store = MemoryStore::new(max.unwrap_or(MemoryStore::RECORDINGS_MAX));
            return Ok(Opened::new(LoggedStore::in_memory(store)));
        }
        let directory = self.directory()?;
        let store = RedbStore::open(&directory).map_err(|error| match self.data_dir {
            Some(_) => error.to_string(),
            None => format!("{error}; {ADVICE}"),
        })?;
        let max = self.max_recordings.map_or(RedbStore::RECORDINGS_MAX, NonZeroU64::get);
        let store = store.with_max_recordings(max);
        tracing::info!(directory = %directory.display(), max_recordings = max, "opened the store of recordings");
        Ok(Opened::new(LoggedStore::on_disk(store)))
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
