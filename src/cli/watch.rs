//! `waywiser watch`: prints the progress of a recording until it is finished.
//!
//! On a terminal one line is updated; elsewhere each update is a line. The command opens a new connection each time,
//! so that a failed connection is reported differently from a lost one.

use std::io::{self, Write};

use clap::Args;
use futures::StreamExt as _;
use tokio_stream::Stream;
use tonic::Code;

use super::connect::ConnectArgs;
use super::outage::Outage;
use super::recording_row;
use super::report::{Names, escape_control};
use super::{Outcome, fail, stderr, terminal};
use crate::client::reauthentication::Reauthentication;
use crate::client::retry::{Retry, is_transient};
use crate::client::{ClientError, RetryPolicy, StoredPath, read_to_end};
use crate::recording::RecordingName;

/// Watch a recording until it is finished
///
/// Prints one line that is updated on a terminal, and one line per update elsewhere. If the recording does not exist
/// yet, the command prints a message and waits for it. If it is deleted, the command fails. If the server is not
/// available, the command retries for five minutes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct WatchArgs {
    /// Name of the recording, such as paths/morning-walk
    name: RecordingName,

    /// Print one JSON object per update
    ///
    /// Its member "state" is waiting, growing, finished, damaged or deleted.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

const EXAMPLES: &str = "\
Examples:
  waywiser watch paths/morning-walk
  waywiser watch --server https://paths.example.org --json paths/morning-walk

Exit status: 0 when the recording is finished, 1 for a failure, 2 for a usage error.";

/// Runs `waywiser watch`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &WatchArgs) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start the runtime: {error}")),
    };
    let builder = match args.connect.client(args.connect.server_or_default()) {
        Ok(builder) => builder,
        Err(error) => return fail(format_args!("{error}")),
    };
    let mut out = io::stdout();
    let is_line = !args.json && terminal::can_update(&out);
    let names = Names::on(&out);
    let screen =
        Screen { out: &mut out, name: &args.name, json: args.json, names, is_line, is_open: false };
    let token = Reauthentication::new(builder.token_source());
    let open = async |allows_missing| {
        let client = builder.clone().connect().await?;
        Ok((client.watch_path(&args.name, allows_missing).await?, client))
    };
    match runtime.block_on(follow(open, screen, token)) {
        Ok(Ok(End::Finished)) => Ok(Outcome::Done),
        Ok(Ok(End::Deleted)) => fail(format_args!("{} was deleted", args.name)),
        Ok(Err(error)) => Err(error),
        Err(error) => fail(format_args!("{}", args.connect.explain(&error))),
    }
}

/// The end of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Deleted,
}

/// Prints the states of a recording.
struct Screen<'a, W> {
    out: &'a mut W,
    name: &'a RecordingName,
    json: bool,
    names: Names,
    /// One line is updated.
    is_line: bool,
    /// The line is printed and not ended.
    is_open: bool,
}

impl<W: Write> Screen<'_, W> {
    fn update(&mut self, path: &StoredPath) -> io::Result<()> {
        if !self.is_line {
            recording_row::write(self.out, path, self.json, self.names)?;
            return self.out.flush();
        }
        self.line(&recording_row::text(path, self.names))?;
        match path.is_complete {
            true => self.end_line(),
            false => Ok(()),
        }
    }

    /// Prints the state of a recording that does not exist.
    fn missing(&mut self, state: &str) -> io::Result<()> {
        if self.json {
            let state = serde_json::json!({ "name": self.name.to_string(), "state": state });
            writeln!(self.out, "{state}")?;
            return self.out.flush();
        }
        match self.is_line {
            true => {
                let name = recording_row::name(self.name.as_str(), self.names);
                self.line(&format!("{name}  {state}"))
            }
            false => Ok(()),
        }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.is_open = true;
        write!(self.out, "\r\x1b[K{text}")?;
        self.out.flush()
    }

    /// Ends the updated line, so that a message is printed below it.
    fn end_line(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.is_open) {
            true => writeln!(self.out),
            false => Ok(()),
        }
    }
}

/// Prints the updates of a watch and opens it again when it is lost. Returns the error when the server stays
/// unavailable for longer than the budget of [`RetryPolicy`].
async fn follow<S, C>(
    mut open: impl AsyncFnMut(bool) -> Result<(S, C), ClientError>,
    mut screen: Screen<'_, impl Write>,
    mut token: Reauthentication,
) -> Result<io::Result<End>, ClientError>
where
    S: Stream<Item = Result<StoredPath, ClientError>> + Unpin,
{
    let mut retry = Retry::new(RetryPolicy::default());
    let mut outage = Outage::default();
    let mut shown = None;
    // Whether the watch waits for a recording that does not exist yet.
    let mut is_waiting = false;
    loop {
        let opened = match token.begin() {
            Ok(()) => open(is_waiting).await,
            Err(error) => Err(error),
        };
        let error = match opened {
            Ok((mut updates, _client)) => loop {
                // The server answers, so a watch without updates spends no budget. A recording that does not exist
                // yet has no updates.
                retry.pause();
                token.accepted();
                if outage.end() {
                    stderr::print(format_args!("note: the server is available again"));
                }
                match updates.next().await {
                    Some(Ok(path)) => {
                        retry.reset();
                        let now = (path.committed_points, path.is_complete);
                        if shown.replace(now) == Some(now) && !path.is_complete {
                            continue;
                        }
                        match screen.update(&path) {
                            Err(error) => return Ok(Err(error)),
                            Ok(()) if path.is_complete => {
                                read_to_end(updates).await;
                                return Ok(Ok(End::Finished));
                            }
                            Ok(()) => {}
                        }
                    }
                    Some(Err(error)) => break error,
                    None => break ClientError::reply("it ended before the recording"),
                }
            },
            Err(error) => error,
        };
        if is_missing(&error) {
            let state = if shown.is_some() { "deleted" } else { "waiting" };
            let written = screen.missing(state).and_then(|()| match shown {
                Some(_) => screen.end_line(),
                None => Ok(()),
            });
            match (written, shown) {
                (Err(error), _) => return Ok(Err(error)),
                (Ok(()), Some(_)) => return Ok(Ok(End::Deleted)),
                // A recording that is created and deleted at once is reported as missing again.
                (Ok(()), None) if !std::mem::replace(&mut is_waiting, true) => {
                    if !screen.is_line && !screen.json {
                        let name = screen.name;
                        stderr::print(format_args!(
                            "note: {name} does not exist yet; waiting for it"
                        ));
                    }
                    continue;
                }
                (Ok(()), None) => {}
            }
        }
        let is_expired = token.is_expired(&error);
        if !(is_transient(&error) || is_expired || is_missing(&error)) {
            return Err(error);
        }
        let Some(wait) = retry.next_wait_after(&error) else { return Err(error) };
        if let Err(error) = screen.end_line() {
            return Ok(Err(error));
        }
        if !is_missing(&error)
            && let Some(note) = outage.note(&error.to_string(), wait)
        {
            stderr::print(format_args!("note: {}", escape_control(&note)));
        }
        tokio::time::sleep(wait).await;
    }
}

fn is_missing(error: &ClientError) -> bool {
    matches!(error, ClientError::Status(status) if status.code() == Code::NotFound)
}

#[cfg(test)]
mod tests;
