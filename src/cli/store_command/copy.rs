//! `waywiser store copy`: copies all recordings to another store, completely or not at all.
//!
//! A task reads the source and sends its records through a bounded queue to a thread, which restores them into the
//! target in one transaction. Before the end of the transaction, a source that others can write is read again: if it
//! has changed, nothing is copied. At the end, the target is read, and its hash is compared with that of the source.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::export::{Export, Fingerprint};
use super::{Failure, recordings, warn};
use crate::cli::progress::Progress;
use crate::cli::stderr;
use crate::cli::store_database::{self, PasswordArgs};
use crate::cli::store_url::StoreUrl;
use crate::recording::{CheckpointStore, RecordingName};
use crate::store::{BackupError, PostgresRestoreError, PostgresStore, RedbStore, RestoreError};

/// Maximum number of records between the source and the target. Most have about 1 KiB.
const QUEUE: usize = 256;

/// Copy all recordings of a store to another one
///
/// Copies between data directories and PostgreSQL databases in all directions. Stop the servers that use the source
/// first: the copy fails if recordings change meanwhile. A directory that is the target must be empty or new. A database
/// must be migrated and have no recordings.
///
/// The copy is complete, or nothing is copied. Epochs and times stay, so that writers resume at the new store. At the
/// end, the target is read again and compared with the source: the number of recordings, and a SHA-256 of all records.
///
/// A password file, and PGPASSWORD, apply to both databases. If their passwords differ, use ~/.pgpass, or write them
/// into the URLs.
#[derive(Debug, Args)]
pub(super) struct CopyArgs {
    /// Source: postgres://USER@HOST/DATABASE, or redb:DIRECTORY
    #[arg(value_name = "FROM")]
    from: StoreUrl,

    /// Target: postgres://USER@HOST/DATABASE, or redb:DIRECTORY
    #[arg(value_name = "TO")]
    to: StoreUrl,

    #[command(flatten)]
    password: PasswordArgs,
}

type Record = Result<(RecordingName, Vec<u8>), BackupError>;

/// Copies a store.
pub(super) fn run(args: &CopyArgs) -> Result<(), Failure> {
    for (argument, url) in [("FROM", &args.from), ("TO", &args.to)] {
        if matches!(url, StoreUrl::Memory) {
            return Err(Failure::Misused(format!(
                "{argument} is memory:, which has no recordings outside of a server: use a directory or a database"
            )));
        }
    }
    if let (StoreUrl::Directory(from), StoreUrl::Directory(to)) = (&args.from, &args.to)
        && from == to
    {
        return Err(Failure::Misused("FROM and TO are the same directory".to_owned()));
    }
    // One thread blocks while the target is written, and another one serves the connections.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let count = copy(&runtime, args)?;
    stderr::print(format_args!("copied {} from {} to {}", recordings(count), args.from, args.to));
    Ok(())
}

fn copy(runtime: &Runtime, args: &CopyArgs) -> Result<u64, String> {
    let source = runtime.block_on(open(&args.from, &args.password))?;
    let progress = Arc::new(Progress::new(0, None));
    let (sender, records) = sync_channel(QUEUE);
    let reader = {
        let source = Arc::clone(&source);
        let (handle, progress) = (runtime.handle().clone(), Arc::clone(&progress));
        let may_change = matches!(args.from, StoreUrl::Database(_));
        runtime.spawn_blocking(move || {
            let read = handle.block_on(send_all(&source, &sender, &progress, may_change));
            if let Err(error) = &read {
                // The receiver reports it, and drops what it has stored.
                let _ = sender.send(Err(BackupError::Io(io::Error::other(error.clone()))));
            }
            read
        })
    };
    let stored = store(runtime, args, records);
    progress.finish();
    // Ends as soon as there is no receiver.
    let read = runtime.block_on(reader).map_err(|error| error.to_string());
    let count = stored?;
    let expected = read.and_then(|read| read);
    let compared = runtime.block_on(async {
        let target = open(&args.to, &args.password).await?;
        match Fingerprint::of(target).await? == expected? {
            true => Ok(()),
            false => Err("its recordings differ from those of the source".to_owned()),
        }
    });
    compared.map_err(|error: String| {
        format!("{} was written, and cannot be trusted: {error}; delete it and copy again", args.to)
    })?;
    Ok(count)
}

/// Opens a store that exists.
async fn open(url: &StoreUrl, password: &PasswordArgs) -> Result<Arc<dyn CheckpointStore>, String> {
    match url {
        StoreUrl::Database(settings) => {
            let settings = password.apply(settings, warn);
            let store = PostgresStore::connect(settings.clone()).await;
            Ok(Arc::new(store.map_err(|error| store_database::refusal(&settings, &error))?))
        }
        StoreUrl::Directory(directory) if !RedbStore::is_in(directory) => {
            Err(format!("{} is not a data directory: it has no recordings", directory.display()))
        }
        StoreUrl::Directory(directory) => {
            let store = RedbStore::open(directory).map_err(|error| error.to_string())?;
            Ok(Arc::new(store))
        }
        StoreUrl::Memory => Err("memory: cannot be copied".to_owned()),
    }
}

/// Sends all records. If the source may change, reads it twice. Returns the number of recordings and their hash.
///
/// # Errors
/// If it cannot be read, has a damaged recording, or has changed.
async fn send_all(
    source: &Arc<dyn CheckpointStore>,
    records: &SyncSender<Record>,
    progress: &Progress,
    may_change: bool,
) -> Result<(u64, Vec<u8>), String> {
    let (mut export, mut sent) = (Export::new(Arc::clone(source)), Fingerprint::new());
    while let Some((name, record)) = export.next().await? {
        sent.add(&name, &record)?;
        progress.add(record.len() as u64);
        if records.send(Ok((name, record))).is_err() {
            return Err("the target does not accept more recordings".to_owned());
        }
    }
    let sent = sent.finish();
    match !may_change || Fingerprint::of(Arc::clone(source)).await? == sent {
        true => Ok(sent),
        false => Err("the source has changed during the copy: stop its servers first".to_owned()),
    }
}

/// Stores the records in the target in one transaction. Returns their number.
///
/// # Errors
/// Nothing was copied, except if the message says that this is unknown.
fn store(runtime: &Runtime, args: &CopyArgs, records: Receiver<Record>) -> Result<u64, String> {
    let failed = |error: String| format!("nothing was copied: {error}");
    match &args.to {
        StoreUrl::Directory(directory) => {
            let stored = RedbStore::restore(directory, records.into_iter());
            stored.map_err(|error| match error {
                // The error of the source.
                RestoreError::Backup(error) => failed(error.to_string()),
                error => failed(error.to_string()),
            })
        }
        StoreUrl::Database(settings) => {
            let settings = args.password.apply(settings, warn);
            runtime.block_on(async {
                let store = PostgresStore::connect(settings.clone()).await;
                let store =
                    store.map_err(|error| failed(store_database::refusal(&settings, &error)))?;
                store.restore(records.into_iter()).await.map_err(|error| match error {
                    PostgresRestoreError::Backup(error) => failed(error.to_string()),
                    error @ PostgresRestoreError::Unknown { .. } => error.to_string(),
                    error => failed(error.to_string()),
                })
            })
        }
        StoreUrl::Memory => Err(failed("memory: cannot be the target".to_owned())),
    }
}
