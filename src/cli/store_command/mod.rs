//! `waywiser store`: backs up, restores, checks and copies recordings, and prepares databases. One file per command.

mod backup;
mod check;
mod copy;
mod export;
mod migrate;
mod restore;

use std::io;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use tokio::runtime::Runtime;

use super::{Outcome, fail, stderr, usage_error};

/// Back up, restore, check and copy recordings, and prepare databases for them
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StoreCommandArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Check(check::CheckArgs),
    Migrate(migrate::MigrateArgs),
    Copy(copy::CopyArgs),
}

const EXAMPLES: &str = "\
Examples:
  waywiser store backup recordings.backup
  waywiser store backup - | age -r RECIPIENT > recordings.backup.age
  waywiser store check recordings.backup
  waywiser store restore recordings.backup --data-dir /var/lib/waywiser
  age -d recordings.backup.age | waywiser store restore - --data-dir /var/lib/waywiser
  waywiser store migrate --store postgres://waywiser@db.example.org/waywiser
  waywiser store copy redb:/var/lib/waywiser postgres://waywiser@db.example.org/waywiser

Exit status: 0 for success, 1 for a failure, 2 for a usage error; 129 (SIGHUP), 130 (SIGINT) or 143 (SIGTERM) if a
signal stops a backup.";

/// Why a command has failed.
enum Failure {
    Message(String),
    /// The arguments violate a rule that clap does not check.
    Misused(String),
    /// A signal has stopped a backup. A process that the signal ends has this exit status.
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
        Action::Backup(args) => backup::run(args),
        Action::Restore(args) => restore::run(args),
        Action::Check(args) => check::run(args),
        Action::Migrate(args) => migrate::run(args),
        Action::Copy(args) => copy::run(args),
    };
    match done {
        Ok(()) => Ok(Outcome::Done),
        Err(Failure::Message(message)) => fail(format_args!("{message}")),
        Err(Failure::Misused(message)) => usage_error(format_args!("{message}")),
        Err(Failure::Interrupted(exit_status)) => {
            fail(format_args!("interrupted by a signal: no backup was written"))?;
            Ok(Outcome::Interrupted(exit_status))
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Prints a warning of a command.
fn warn(warning: &str) {
    stderr::print(format_args!("warning: {}", super::report::escape_control(warning)));
}

fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn recordings(count: u64) -> String {
    format!("{count} recording{}", if count == 1 { "" } else { "s" })
}
