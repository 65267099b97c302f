//! `waywiser store backup`: writes the recordings of a running server to a file.

use std::future::{Future, pending};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::{Failure, now_unix_ms, recordings, runtime};
use crate::cli::connect::ConnectArgs;
use crate::cli::interrupt::Interrupt;
use crate::cli::new_file::NewFile;
use crate::cli::progress::Progress;
use crate::cli::report::escape_control;
use crate::cli::{stderr, without_path};
use crate::client::ClientError;
use crate::store::BackupWriter;

/// Write all recordings of a running server to a file
///
/// The server continues to work. Each recording is in the state of one moment. A recording that was finished before
/// the backup is part of it. The file appears when it is complete, and replaces a file with the same name. If a signal
/// stops the command, or it fails, the older file stays and no part of the new one is left.
///
/// The server accepts the call from administrators. Without authentication it accepts it from its own machine only.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    connect: ConnectArgs,
}

/// Makes a backup.
pub(super) fn run(args: &BackupArgs) -> Result<(), Failure> {
    if args.file != Path::new("-") {
        return back_up_to_file(args);
    }
    if io::stdout().is_terminal() {
        return Err(Failure::Misused(
            "a backup is not text: redirect standard output to a file, or name a file".to_owned(),
        ));
    }
    // Nothing is left to remove, so signals end the process.
    let (_, count) = back_up(runtime()?, &args.connect, io::stdout(), pending())?;
    report_backup(count);
    Ok(())
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

/// Returns the warning about a recording that is damaged. Its name comes from the server.
fn damaged_text(name: &str) -> String {
    format!("warning: {} is damaged and not in the backup", escape_control(name))
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
