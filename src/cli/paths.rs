//! `waywiser paths` and `waywiser watch`: lists, shows, deletes and watches the recordings of a server.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use futures::StreamExt as _;
use tokio_stream::Stream;

use super::report::{self, Keep, Report, grouped, pad_or_truncate};
use super::{Outcome, fail, notes, retry_note, server_url, stderr};
use crate::client::retry::{Retry, is_transient};
use crate::client::{Client, ClientError, RetryPolicy, StoredPath};
use crate::measure::Space;
use crate::recording::RecordingName;

const NAME_WIDTH: usize = 40;

/// The options that all these commands share.
#[derive(Clone, Debug, Args)]
struct ServerArgs {
    /// URL of the server
    #[arg(long, value_name = "URL", value_parser = server_url, default_value = "http://127.0.0.1:50051")]
    server: String,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// List, show and delete the recordings of a server
#[derive(Debug, Args)]
#[command(after_long_help = PATHS_EXAMPLES)]
pub(super) struct PathsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all recordings, ordered by name
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one recording
    Show {
        /// Name of the recording, such as paths/morning-walk
        name: RecordingName,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete one recording; a client that writes it receives an error at its next commit
    Delete {
        /// Name of the recording, such as paths/morning-walk
        name: RecordingName,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Watch a recording until it is finished
///
/// Prints one line that is updated on a terminal, and one line per update elsewhere. If the recording does not exist
/// yet, the command waits for it. If the server is not available, the command retries for five minutes.
#[derive(Debug, Args)]
#[command(after_long_help = WATCH_EXAMPLES)]
pub(super) struct WatchArgs {
    /// Name of the recording, such as paths/morning-walk
    name: RecordingName,

    #[command(flatten)]
    server: ServerArgs,
}

const PATHS_EXAMPLES: &str = "\
Examples:
  waywiser paths list
  waywiser paths show paths/morning-walk --json
  waywiser paths delete --server http://127.0.0.1:50051 paths/morning-walk

Exit status: 0 for success, 1 for a failure, 2 for a usage error.";

const WATCH_EXAMPLES: &str = "\
Examples:
  waywiser watch paths/morning-walk
  waywiser watch --server http://127.0.0.1:50051 --json paths/morning-walk

Exit status: 0 when the recording is finished, 1 for a failure, 2 for a usage error.";

/// Runs `waywiser paths`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &PathsArgs) -> io::Result<Outcome> {
    block_on(async {
        match &args.action {
            Action::List { server } => list(server).await,
            Action::Show { name, server } => show(name, server).await,
            Action::Delete { name, server } => {
                let client = Client::connect(&server.server).await?;
                client.delete_path(name).await?;
                Ok(Ok(()))
            }
        }
    })
}

/// Runs `waywiser watch`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn watch(args: &WatchArgs) -> io::Result<Outcome> {
    block_on(follow(&args.name, &args.server))
}

/// The outer error is one of the server, the inner one is one of standard output.
type Done = Result<io::Result<()>, ClientError>;

fn block_on(done: impl Future<Output = Done>) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(done) {
        Ok(written) => written.map(|()| Outcome::Done),
        Err(error) => fail(format_args!("{error}")),
    }
}

async fn list(server: &ServerArgs) -> Done {
    let client = Client::connect(&server.server).await?;
    let mut out = io::stdout();
    let mut page_token = None;
    let mut is_headed = server.json;
    loop {
        let page = client.list_paths("", page_token).await?;
        let mut written = Ok(());
        if !std::mem::replace(&mut is_headed, true) {
            let [name, points, length] = ["recording", "points", "length"];
            written = writeln!(out, "{name:NAME_WIDTH$}  {points:>11}  {length:>18}  state");
        }
        let rows = |()| page.paths.iter().try_for_each(|path| row(&mut out, path, server.json));
        let written = written.and_then(rows);
        if written.is_err() {
            return Ok(written);
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(Ok(()));
        }
    }
}

async fn show(name: &RecordingName, server: &ServerArgs) -> Done {
    let path = Client::connect(&server.server).await?.get_path(name).await?;
    let mut out = io::stdout();
    Ok(match &path.summary {
        Some(summary) if !server.json => {
            let written = Report::recording(out, state(&path), &path, summary);
            for note in notes::of_recording(&path.name, summary) {
                stderr::print(format_args!("note: {note}"));
            }
            written
        }
        _ => row(&mut out, &path, server.json),
    })
}

async fn follow(name: &RecordingName, server: &ServerArgs) -> Done {
    // Opens a new connection each time, so that a failed connection is reported differently from a lost one.
    let open = || async {
        let client = Client::connect(&server.server).await?;
        Ok((client.watch_path(name, true).await?, client))
    };
    let mut out = io::stdout();
    let is_line = out.is_terminal() && !server.json;
    print_updates(open, &mut out, is_line, server.json).await
}

/// Prints the updates of a watch and opens it again when it is lost. Returns the error when the server stays
/// unavailable for longer than the budget of [`RetryPolicy`].
async fn print_updates<S, C>(
    mut open: impl AsyncFnMut() -> Result<(S, C), ClientError>,
    out: &mut impl Write,
    is_line: bool,
    json: bool,
) -> Done
where
    S: Stream<Item = Result<StoredPath, ClientError>> + Unpin,
{
    let mut retry = Retry::new(RetryPolicy::default());
    let mut shown = None;
    loop {
        let error = match open().await {
            Ok((mut updates, _client)) => loop {
                // The server answers, so a watch without updates spends no budget. A recording that does not exist
                // yet has no updates.
                retry.pause();
                match updates.next().await {
                    Some(Ok(path)) => {
                        retry.reset();
                        let now = (path.committed_points, path.is_complete);
                        if shown.replace(now) == Some(now) && !path.is_complete {
                            continue;
                        }
                        let mut written = if is_line { write!(out, "\r\x1b[K") } else { Ok(()) };
                        written = written.and_then(|()| match is_line && !path.is_complete {
                            true => write!(out, "{}", text(&path)),
                            false => row(out, &path, json),
                        });
                        written = written.and_then(|()| out.flush());
                        if written.is_err() || path.is_complete {
                            return Ok(written);
                        }
                    }
                    Some(Err(error)) => break error,
                    None => break ClientError::reply("it ended before the recording"),
                }
            },
            Err(error) => error,
        };
        match retry.next_wait().filter(|_| is_transient(&error)) {
            Some(wait) => {
                // The note is printed below the updated line.
                let written = if is_line && shown.is_some() { writeln!(out) } else { Ok(()) };
                if written.is_err() {
                    return Ok(written);
                }
                stderr::print(format_args!("note: {}", retry_note(&error.to_string(), wait)));
                tokio::time::sleep(wait).await;
            }
            None => return Err(error),
        }
    }
}

fn state(path: &StoredPath) -> &'static str {
    match &path.summary {
        // The server cannot read it. It has to be deleted and recorded again.
        None => "damaged",
        Some(_) if path.is_complete => "finished",
        Some(_) => "growing",
    }
}

fn text(path: &StoredPath) -> String {
    let (points, length) = match &path.summary {
        None => Default::default(),
        Some(summary) => {
            let length = match summary.metric.space() {
                Space::Planar => grouped(&format!("{:.6}", summary.length)),
                Space::Geographic => grouped(&format!("{:.3}", summary.length)) + " m",
            };
            (grouped(&path.committed_points.to_string()), length)
        }
    };
    let name = pad_or_truncate(&path.name, NAME_WIDTH, Keep::End);
    format!("{name}  {points:>11}  {length:>18}  {}", state(path))
}

fn row(out: &mut impl Write, path: &StoredPath, json: bool) -> io::Result<()> {
    match json {
        true => report::json_recording(out, path),
        false => writeln!(out, "{}", text(path)),
    }
}

#[cfg(test)]
mod tests;
