//! `waywiser record`: sends the points of a track file to a server and prints the lengths that it returns.
//!
//! `args` has the arguments. The track reader reads the file on a thread and passes batches through a bounded channel,
//! so that a slow server slows the reading down. There are three ways to send them: `paths` sends each track as a path
//! of `waywiser.v1` (the default), `segments` sends each segment through a published contract, and `recording` writes
//! a named recording after `survey` has checked the file. `embedded` starts a server in this process, and `report` has
//! the lines that are not those of the shared report.

mod args;
mod embedded;
mod paths;
mod recording;
mod report;
mod segments;
mod survey;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use self::embedded::EmbeddedServer;
use super::input::{self, FileEnd, Input, Stdin};
use super::policy::FilledOptions;
use super::progress::Progress;
use super::report::escape_control;
use super::track_reader::{ReadRequest, ReaderEvent, TrackReader};
use super::{Outcome, fail, stderr, usage_error};
use crate::client::Client;
pub(super) use args::RecordArgs;

/// Sends the file and prints the lengths.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &RecordArgs) -> io::Result<Outcome> {
    if let Some(option) = args.unsupported_option() {
        return usage_error(format_args!("{option} cannot be used with --method"));
    }
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => return usage_error(format_args!("{error}")),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start threads: {error}")),
    };
    let outcome = runtime.block_on(async {
        match (&args.name, args.connect.server()) {
            (Some(name), Some(url)) => recording::record(args, options, name, url).await,
            // The parser requires a server for a name, but the environment may have an empty one.
            (Some(_), None) => usage_error(format_args!("--name needs --server")),
            _ => record(args, options).await,
        }
    });
    // The reader may be waiting for standard input, which may never end.
    runtime.shutdown_background();
    outcome
}

/// Sends all tracks of the file to a server.
async fn record(args: &RecordArgs, options: FilledOptions) -> io::Result<Outcome> {
    let input = Input::named(&args.file);
    let progress = Progress::new(1, input::bytes_of(std::slice::from_ref(&input)));
    let reader = TrackReader::start(ReadRequest {
        input,
        stdin: Stdin::of_process(),
        options: args.read_options(),
        progress: Arc::new(progress),
    });
    let mut events = Events { early: VecDeque::new(), reader };
    // A file that cannot be read needs no server. The first event is the start of the file.
    for _ in 0..2 {
        let event = events.reader.next().await;
        if let ReaderEvent::FileEnd(FileEnd::Failed(error)) = event {
            return fail(format_args!("{error}"));
        }
        events.early.push_back(event);
    }
    let (url, builder, embedded) = match args.connect.server() {
        Some(url) => match args.connect.client(url) {
            Ok(builder) => (url.to_owned(), builder, None),
            Err(error) => return fail(format_args!("{error}")),
        },
        None => match EmbeddedServer::start().await {
            // The server in this process has no use for credentials.
            Ok(server) => (server.url.clone(), Client::builder(&server.url), Some(server)),
            Err(error) => {
                return fail(format_args!("cannot start a server in this process: {error}"));
            }
        },
    };
    let client = match builder.connect().await {
        Ok(client) => client,
        Err(error) => return fail(format_args!("{error}")),
    };
    let mut out = io::stdout();
    if !args.json {
        let server = if embedded.is_some() { "a server in this process" } else { "the server" };
        writeln!(
            out,
            "sending {} to {server} at {url}\n",
            escape_control(&input::display_name(&args.file))
        )?;
    }
    let outcome = match args.method {
        None => paths::send(&client, args, options, events, &mut out).await?,
        Some(method) => segments::send(&client, args, method, events, &mut out).await?,
    };
    out.flush()?;
    drop(client);
    if let Some(server) = embedded {
        server.stop().await;
    }
    match outcome {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => fail(format_args!("{error}")),
    }
}

/// The events of an input, of which the first were read already.
struct Events {
    early: VecDeque<ReaderEvent>,
    reader: TrackReader,
}

impl Events {
    async fn next(&mut self) -> ReaderEvent {
        match self.early.pop_front() {
            Some(event) => event,
            None => self.reader.next().await,
        }
    }
}

/// Returns the error message if the end of a file fails the command. Prints the note about a file that is skipped.
fn file_failure(file: &str, end: FileEnd, is_strict: bool) -> Option<String> {
    let reason = match end {
        FileEnd::Complete => return None,
        FileEnd::Failed(error) => return Some(error),
        FileEnd::Unsupported => "it is in no supported format".to_owned(),
        FileEnd::Skipped(reason) => reason,
    };
    let message = format!("{file}: skipped: {reason}");
    if is_strict {
        return Some(format!("{message}; --strict makes this an error"));
    }
    note(&message);
    None
}

/// Prints a note.
fn note(text: &str) {
    // The note contains names and values of files.
    stderr::print(format_args!("note: {}", escape_control(text)));
}
