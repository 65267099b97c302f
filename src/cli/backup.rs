//! `waywiser store`: backs up the recordings of a running server, restores a backup, and checks backups and data
//! directories.

use std::fs::{self, File};
use std::future::{Future, pending};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::connect::ConnectArgs;
use super::interrupt::Interrupt;
use super::new_file::NewFile;
use super::progress::Progress;
use super::report::escape_control;
use super::units::Time;
use super::{Outcome, fail, stderr, usage_error, without_path};
use crate::client::ClientError;
use crate::store::{BackupReader, BackupWriter, RedbStore, Renewal, RestoredExpiry};

/// Back up, restore and check recordings
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StoreCommandArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Check(CheckArgs),
}

/// Write all recordings of a running server to a file
///
/// The server continues to work. Each recording is in the state of one moment. A recording that was finished before
/// the backup is part of it. The file appears when it is complete, and replaces a file with the same name. If a signal
/// stops the command, or it fails, the older file stays and no part of the new one is left.
///
/// The server accepts the call from administrators. Without authentication it accepts it from its own machine only.
#[derive(Debug, Args)]
struct BackupArgs {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    connect: ConnectArgs,
}

/// Create a data directory from a backup
///
/// Verifies the whole backup first. The directory must be empty or new. Start the server with this directory
/// afterwards; writers resume their unfinished recordings at the points of the backup.
///
/// A restored recording expires after the time that it had left when the backup was made.
#[derive(Debug, Args)]
struct RestoreArgs {
    /// Backup to read
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Directory for the recordings; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    /// Keep every recording for at least this time from now
    #[arg(long, value_name = "TIME", conflicts_with = "keep_expiry")]
    retention: Option<Time>,

    /// Keep the times of expiry in the backup, and leave out the recordings that have expired since
    #[arg(long)]
    keep_expiry: bool,
}

/// Verify all bytes of a backup or of a data directory
///
/// A data directory must not be in use.
#[derive(Debug, Args)]
struct CheckArgs {
    /// Backup or data directory
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  waywiser store backup recordings.backup
  waywiser store backup - | age -r RECIPIENT > recordings.backup.age
  waywiser store check recordings.backup
  waywiser store restore recordings.backup --data-dir /var/lib/waywiser

Exit status: 0 for success, 1 for a failure, 2 for a usage error; 129 (SIGHUP), 130 (SIGINT) or 143 (SIGTERM) if a
signal stops a backup.";

/// Why a backup is not complete.
enum Failure {
    Message(String),
    /// A signal has stopped it. A process that the signal ends has this exit status.
    Interrupted(u8),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

/// Runs `waywiser store`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &StoreCommandArgs) -> io::Result<Outcome> {
    let done = match &args.action {
        Action::Backup(args) if args.file == Path::new("-") => {
            if io::stdout().is_terminal() {
                return usage_error(format_args!(
                    "a backup is not text: redirect standard output to a file, or name a file"
                ));
            }
            // Nothing is left to remove, so signals end the process.
            runtime()
                .map_err(Failure::Message)
                .and_then(|runtime| back_up(runtime, &args.connect, io::stdout(), pending()))
                .map(|(_, count)| report_backup(count))
        }
        Action::Backup(args) => back_up_to_file(args),
        Action::Restore(args) => restore(args).map_err(Failure::Message),
        Action::Check(args) => check(&args.path).map_err(Failure::Message),
    };
    match done {
        Ok(()) => Ok(Outcome::Done),
        Err(Failure::Message(message)) => fail(format_args!("{message}")),
        Err(Failure::Interrupted(exit_status)) => {
            fail(format_args!("interrupted by a signal: no backup was written"))?;
            Ok(Outcome::Interrupted(exit_status))
        }
    }
}

/// Writes a backup to a new file, which gets its name when it is complete and on the disk.
fn back_up_to_file(args: &BackupArgs) -> Result<(), Failure> {
    let runtime = runtime()?;
    let interrupt = {
        let _context = runtime.enter();
        Interrupt::listen()
    };
    let mut interrupt =
        interrupt.map_err(|error| format!("signals cannot be received: {error}"))?;
    let file = NewFile::create(&args.file)?;
    let (file, count) = back_up(runtime, &args.connect, file, interrupt.received())?;
    // A signal no longer matters: the backup is complete.
    file.finish()?;
    report_backup(count);
    Ok(())
}

fn report_backup(count: u64) {
    stderr::print(format_args!("backed up {}", recordings(count)));
}

fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Reads all recordings of a server and writes them, unless `interrupted` completes first. Returns the output and the
/// number of recordings.
fn back_up<W: Write>(
    runtime: Runtime,
    connect: &ConnectArgs,
    out: W,
    interrupted: impl Future<Output = u8>,
) -> Result<(W, u64), Failure> {
    let written = |error| format!("the backup cannot be written: {}", without_path(&error));
    let progress = Progress::new(0, None);
    let transfer = async {
        let failed = |error: ClientError| connect.explain(&error);
        let client = connect.client(connect.server_or_default())?;
        let client = client.connect().await.map_err(failed)?;
        let mut pages = pin!(client.backup_store().await.map_err(failed)?);
        let mut backup = BackupWriter::new(BufWriter::new(out), now_unix_ms()).map_err(written)?;
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            for name in page.damaged {
                progress.aside(|| stderr::print(format_args!("{}", damaged_text(&name))));
            }
            for (name, record) in page.records {
                let before = backup.bytes();
                backup.add(name, &record).map_err(|error| format!("the backup: {error}"))?;
                progress.add(backup.bytes() - before);
            }
        }
        Ok::<_, Failure>(backup)
    };
    let backup = runtime.block_on(async {
        tokio::select! {
            biased;
            exit_status = interrupted => Err(Failure::Interrupted(exit_status)),
            backup = transfer => backup,
        }
    });
    progress.finish();
    // Does not wait for the resolver, which may take long.
    runtime.shutdown_background();
    let backup = backup?;
    let count = backup.count();
    let out = backup.finish().map_err(written)?;
    let out = out.into_inner().map_err(|error| written(error.into_error()))?;
    Ok((out, count))
}

fn restore(args: &RestoreArgs) -> Result<(), String> {
    let (file, directory) = (&args.file, args.data_dir.display());
    verify(file)?;
    let expiry = match args.keep_expiry {
        true => RestoredExpiry::Keep,
        false => RestoredExpiry::Renew {
            at_least: args.retention.map_or(Duration::ZERO, |Time(retention)| retention),
        },
    };
    let backup = open(file)?;
    let created_unix_ms = backup.created_unix_ms();
    let mut backup = Renewal::new(backup, created_unix_ms, now_unix_ms(), expiry);
    let count = RedbStore::restore(&args.data_dir, backup.by_ref())
        .map_err(|error| format!("{} was not restored: {error}", file.display()))?;
    stderr::print(format_args!("restored {} to {directory}", recordings(count)));
    if backup.renewed() > 0 {
        stderr::print(format_args!(
            "{} of them had expired since the backup and got a new time of expiry",
            backup.renewed()
        ));
    }
    if backup.left_out() > 0 {
        let left_out = recordings(backup.left_out());
        stderr::print(format_args!("left out {left_out} that had expired since the backup"));
    }
    Ok(())
}

fn check(path: &Path) -> Result<(), String> {
    if !path.is_dir() {
        let count = verify(path)?;
        stderr::print(format_args!(
            "{} is a complete backup of {}",
            path.display(),
            recordings(count)
        ));
        return Ok(());
    }
    if !RedbStore::is_in(path) {
        return Err(format!("{} is not a data directory: it has no recordings", path.display()));
    }
    let store = RedbStore::open(path).map_err(|error| error.to_string())?;
    let checked = store.checked();
    if checked.damaged.is_empty() {
        let count = recordings(checked.recordings);
        stderr::print(format_args!("{} has {count}, all of them valid", path.display()));
        return Ok(());
    }
    for name in &checked.damaged {
        stderr::print(format_args!("{name} is damaged"));
    }
    let (damaged, all) = (checked.damaged.len(), recordings(checked.recordings));
    Err(format!(
        "{damaged} of {all} in {} are damaged: delete them and record them again, or restore a backup",
        path.display()
    ))
}

/// Verifies a whole backup and returns its number of recordings.
fn verify(path: &Path) -> Result<u64, String> {
    let bytes = fs::metadata(path).ok().map(|metadata| metadata.len());
    let progress = Progress::new(0, bytes);
    let mut backup = open(path)?;
    let mut result = Ok(());
    for recording in backup.by_ref() {
        match recording {
            Ok((_, record)) => progress.add(record.len() as u64),
            Err(error) => result = Err(format!("{}: {error}", path.display())),
        }
    }
    progress.finish();
    result.map(|()| backup.recordings())
}

fn open(path: &Path) -> Result<BackupReader<BufReader<File>>, String> {
    let file =
        File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    BackupReader::new(BufReader::new(file)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns the warning about a recording that is damaged. Its name comes from the server.
fn damaged_text(name: &str) -> String {
    format!("warning: {} is damaged and not in the backup", escape_control(name))
}

fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn recordings(count: u64) -> String {
    format!("{count} recording{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_server_does_not_control_the_terminal() {
        insta::assert_snapshot!(
            damaged_text("paths/a\u{1b}[2J\nb"),
            @r"warning: paths/a\u{1b}[2J\nb is damaged and not in the backup"
        );
    }
}
