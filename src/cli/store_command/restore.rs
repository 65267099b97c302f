//! `waywiser store restore`: fills a data directory or a database with the recordings of a backup.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::check::{self, OpenBackup};
use super::{Failure, now_unix_ms, recordings, runtime, warn};
use crate::cli::stderr;
use crate::cli::store_database::{self, PasswordArgs};
use crate::cli::store_url::StoreUrl;
use crate::cli::units::Time;
use crate::store::{
    PostgresRestoreError, PostgresSettings, PostgresStore, RedbStore, Renewal, RestoredExpiry,
};

/// Fill a data directory or a database with the recordings of a backup
///
/// Verifies the whole backup first, or while it restores if it reads standard input. If the backup is damaged, nothing
/// is restored. The directory must be empty or new, and the database must be migrated and have no
/// recordings. Start the server with it afterwards; writers resume their unfinished recordings at the points of the
/// backup.
///
/// A restored recording expires after the time that it had left when the backup was made.
///
/// Without --data-dir and --store, the target is that of WAYWISER_STORE or WAYWISER_DATA_DIR.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target"))]
pub(super) struct RestoreArgs {
    /// Backup to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Directory for the recordings; it is created if it does not exist
    #[arg(long, value_name = "DIR", group = "target")]
    data_dir: Option<PathBuf>,

    /// Store for the recordings: postgres://USER@HOST/DATABASE, or redb:DIRECTORY
    #[arg(long, value_name = "URL", group = "target")]
    store: Option<StoreUrl>,

    #[command(flatten)]
    password: PasswordArgs,

    /// Keep every recording for at least this time from now
    #[arg(long, value_name = "TIME", conflicts_with = "keep_expiry")]
    retention: Option<Time>,

    /// Keep the times of expiry in the backup, and leave out the recordings that have expired since
    #[arg(long)]
    keep_expiry: bool,
}

type Backup = Renewal<OpenBackup>;

/// Restores a backup.
pub(super) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let target = match (&args.store, &args.data_dir) {
        (Some(store), _) => Some(store.clone()),
        (None, Some(directory)) => Some(StoreUrl::Directory(directory.clone())),
        (None, None) => StoreUrl::of_environment().map_err(Failure::Misused)?,
    };
    let target = match target {
        Some(StoreUrl::Memory) => {
            return Err(Failure::Misused(
                "a backup cannot be restored to memory, which is lost when the command ends: use a directory or a \
                 database"
                    .to_owned(),
            ));
        }
        Some(target) => target,
        None => {
            return Err(Failure::Misused(
                "use --data-dir or --store, or set WAYWISER_STORE".to_owned(),
            ));
        }
    };
    let file = &args.file;
    if !check::is_stdin(file) {
        check::verify_backup(file)?;
    }
    let expiry = match args.keep_expiry {
        true => RestoredExpiry::Keep,
        false => RestoredExpiry::Renew {
            at_least: args.retention.map_or(Duration::ZERO, |Time(retention)| retention),
        },
    };
    let backup = check::open_backup(file)?;
    let created_unix_ms = backup.created_unix_ms();
    let mut backup = Renewal::new(backup, created_unix_ms, now_unix_ms(), expiry);
    let restored = match &target {
        StoreUrl::Database(settings) => {
            to_database(file, &args.password.apply(settings, warn), &mut backup)
        }
        StoreUrl::Directory(directory) => to_directory(file, directory, &mut backup),
        StoreUrl::Memory => Ok(0),
    };
    let count = restored?;
    let place = match &target {
        StoreUrl::Directory(directory) => directory.display().to_string(),
        other => other.to_string(),
    };
    stderr::print(format_args!("restored {} to {place}", recordings(count)));
    if backup.renewed() > 0 {
        stderr::print(format_args!(
            "{} of them had expired since the backup and got a new time of expiry",
            backup.renewed()
        ));
    }
    if let Some(retention) = args.retention {
        stderr::print(format_args!(
            "{} of them would expire earlier than {retention} from now, and got this time (--retention)",
            backup.extended()
        ));
    }
    if backup.left_out() > 0 {
        let left_out = recordings(backup.left_out());
        stderr::print(format_args!("left out {left_out} that had expired since the backup"));
    }
    Ok(())
}

fn failed(file: &Path, error: impl Display) -> String {
    format!("{} was not restored: {error}", check::shown(file))
}

fn to_directory(file: &Path, directory: &Path, backup: &mut Backup) -> Result<u64, String> {
    RedbStore::restore(directory, backup).map_err(|error| failed(file, error))
}

fn to_database(
    file: &Path,
    settings: &PostgresSettings,
    backup: &mut Backup,
) -> Result<u64, String> {
    runtime()?.block_on(async {
        let store = PostgresStore::connect(settings.clone()).await;
        let refused = |error| failed(file, store_database::refusal(settings, &error));
        store.map_err(refused)?.restore(backup).await.map_err(|error| match error {
            PostgresRestoreError::Unknown { .. } => format!("{}: {error}", check::shown(file)),
            error => failed(file, error),
        })
    })
}
