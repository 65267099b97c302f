//! `waywiser store check`: verifies a backup, a data directory or a database.

use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};

use super::{Failure, recordings, runtime, warn};
use crate::cli::progress::Progress;
use crate::cli::report::escape_control;
use crate::cli::stderr;
use crate::cli::store_database::{self, PasswordArgs};
use crate::cli::store_url::StoreUrl;
use crate::store::{BackupReader, PostgresSettings, PostgresStore, RedbStore, StoreCheck};

/// Verify all bytes of a backup, of a data directory or of the recordings in a database
///
/// A data directory must not be in use. A database may be in use. Without PATH and --store, the store is that of
/// WAYWISER_STORE or WAYWISER_DATA_DIR.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("checked"))]
pub(super) struct CheckArgs {
    /// Backup or data directory; - reads a backup from standard input
    #[arg(value_name = "PATH", group = "checked")]
    path: Option<PathBuf>,

    /// Store to check: postgres://USER@HOST/DATABASE, or redb:DIRECTORY
    #[arg(long, value_name = "URL", group = "checked")]
    store: Option<StoreUrl>,

    #[command(flatten)]
    password: PasswordArgs,
}

/// Checks a backup or a store.
pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let of_environment = match (&args.store, &args.path) {
        (None, None) => StoreUrl::of_environment().map_err(Failure::Misused)?,
        _ => None,
    };
    match (args.store.as_ref().or(of_environment.as_ref()), &args.path) {
        (Some(StoreUrl::Database(settings)), _) => {
            check_database(&args.password.apply(settings, warn))?;
        }
        (Some(StoreUrl::Directory(directory)), _) => check_directory(directory)?,
        (Some(StoreUrl::Memory), _) => {
            return Err(Failure::Misused("a new store in memory is always valid".to_owned()));
        }
        (None, Some(path)) if !is_stdin(path) && path.is_dir() => check_directory(path)?,
        (None, Some(path)) => {
            let count = verify_backup(path)?;
            let (path, count) = (shown(path), recordings(count));
            stderr::print(format_args!("{path} is a complete backup of {count}"));
        }
        (None, None) => {
            return Err(Failure::Misused("use PATH or --store, or set WAYWISER_STORE".to_owned()));
        }
    }
    Ok(())
}

fn check_directory(directory: &Path) -> Result<(), String> {
    let shown = directory.display();
    if !RedbStore::is_in(directory) {
        return Err(format!("{shown} is not a data directory: it has no recordings"));
    }
    let store = RedbStore::open(directory).map_err(|error| error.to_string())?;
    report(&shown, store.checked())
}

fn check_database(settings: &PostgresSettings) -> Result<(), String> {
    let checked = runtime()?.block_on(async {
        let store = PostgresStore::connect(settings.clone()).await;
        let store = store.map_err(|error| store_database::refusal(settings, &error))?;
        store.check().await.map_err(|error| format!("{settings}: {error}"))
    });
    report(settings, &checked?)
}

/// Prints the result of a check.
///
/// # Errors
/// If recordings are damaged.
fn report(store: &dyn std::fmt::Display, checked: &StoreCheck) -> Result<(), String> {
    if checked.damaged.is_empty() {
        let count = recordings(checked.recordings);
        stderr::print(format_args!("{store} has {count}, all of them valid"));
        return Ok(());
    }
    for name in &checked.damaged {
        stderr::print(format_args!("{} is damaged", escape_control(name)));
    }
    let (damaged, all) = (checked.damaged.len(), recordings(checked.recordings));
    Err(format!(
        "{damaged} of {all} in {store} are damaged: delete them and record them again, or restore a backup"
    ))
}

/// Verifies a whole backup and returns its number of recordings.
pub(super) fn verify_backup(path: &Path) -> Result<u64, Failure> {
    let bytes = fs::metadata(path).ok().filter(|_| !is_stdin(path));
    let bytes = bytes.map(|metadata| metadata.len());
    let progress = Progress::new(0, bytes);
    let mut backup = open_backup(path)?;
    let mut result = Ok(());
    for recording in backup.by_ref() {
        match recording {
            Ok((_, record)) => progress.add(record.len() as u64),
            Err(error) => result = Err(format!("{}: {error}", shown(path)).into()),
        }
    }
    progress.finish();
    result.map(|()| backup.recordings())
}

/// A backup that is being read, from a file or from standard input.
pub(super) type OpenBackup = BackupReader<BufReader<Box<dyn Read + Send>>>;

/// Opens a backup.
pub(super) fn open_backup(path: &Path) -> Result<OpenBackup, Failure> {
    let input: Box<dyn Read + Send> = match is_stdin(path) {
        true if io::stdin().is_terminal() => {
            return Err(Failure::Misused(
                "a backup is not text: redirect standard input from a file, or name a file"
                    .to_owned(),
            ));
        }
        true => Box::new(io::stdin()),
        false => {
            let file = File::open(path);
            Box::new(file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?)
        }
    };
    let backup = BackupReader::new(BufReader::new(input));
    Ok(backup.map_err(|error| format!("{}: {error}", shown(path)))?)
}

/// Returns whether the name stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Returns the name of a backup in messages.
pub(super) fn shown(path: &Path) -> String {
    match is_stdin(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}
