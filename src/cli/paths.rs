//! `waywiser paths` and `waywiser watch`: the recordings that a server has, and one of them growing.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use futures::StreamExt as _;
use serde::Serialize;

use super::report::{Keep, Report, Style, Track, fitted, grouped, harmless};
use super::{Outcome, complain};
use crate::checkpoint::PathName;
use crate::client::retry::{Retry, is_passing};
use crate::client::{Client, ClientError, Patience, StoredPath};
use crate::measure::Space;

const NAME_WIDTH: usize = 40;

/// Where, and how it is printed.
#[derive(Clone, Debug, Args)]
struct ServerArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    server: String,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// List, show and delete the recordings of a server.
#[derive(Debug, Args)]
#[command(after_long_help = PATHS_EXAMPLES)]
pub(super) struct PathsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All recordings, in the order of their names
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// What is known of one recording
    Show {
        /// The recording, such as paths/morning-walk
        name: PathName,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete one recording; whoever writes it is told at the next commit, or when it is done
    Delete {
        /// The recording, such as paths/morning-walk
        name: PathName,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Watch a recording grow until it is finished.
///
/// One line that changes on a terminal, one line a change elsewhere. A recording that does not exist yet is
/// waited for, and a server that is away is asked again for five minutes.
#[derive(Debug, Args)]
#[command(after_long_help = WATCH_EXAMPLES)]
pub(super) struct WatchArgs {
    /// The recording, such as paths/morning-walk
    name: PathName,

    #[command(flatten)]
    server: ServerArgs,
}

const PATHS_EXAMPLES: &str = "\
Examples:
  waywiser paths list
  waywiser paths show paths/morning-walk --json
  waywiser paths delete --server http://127.0.0.1:50051 paths/morning-walk

Exit status: 0 when it was done, 1 when not, 2 when the arguments are wrong.";

const WATCH_EXAMPLES: &str = "\
Examples:
  waywiser watch paths/morning-walk
  waywiser watch --server http://127.0.0.1:50051 --json paths/morning-walk

Exit status: 0 when the recording is finished, 1 when it cannot be watched any more, 2 when the arguments are wrong.";

/// Lists, shows or deletes.
///
/// # Errors
/// When standard output cannot be written.
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

/// Watches.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn watch(args: &WatchArgs) -> io::Result<Outcome> {
    block_on(follow(&args.name, &args.server))
}

/// What went wrong with the server, or with standard output.
type Done = Result<io::Result<()>, ClientError>;

fn block_on(done: impl Future<Output = Done>) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(format_args!("no runtime to work with: {error}")),
    };
    match runtime.block_on(done) {
        Ok(written) => written.map(|()| Outcome::Done),
        Err(error) => complain(format_args!("{error}")),
    }
}

async fn list(server: &ServerArgs) -> Done {
    let client = Client::connect(&server.server).await?;
    let mut out = io::stdout();
    let mut page_token = None;
    if !server.json {
        let header =
            writeln!(out, "{:NAME_WIDTH$}{:>13}{:>20}  state", "recording", "points", "length");
        if header.is_err() {
            return Ok(header);
        }
    }
    loop {
        let page = client.list_paths(page_token).await?;
        for path in &page.paths {
            let written = row(&mut out, path, server.json);
            if written.is_err() {
                return Ok(written);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(Ok(()));
        }
    }
}

async fn show(name: &PathName, server: &ServerArgs) -> Done {
    let path = Client::connect(&server.server).await?.path(name).await?;
    let mut out = io::stdout();
    let Some(summary) = path.summary.clone().filter(|_| !server.json) else {
        return Ok(row(&mut out, &path, server.json));
    };
    let state = state(&path);
    let mut report = Report::new(&mut out, Style::Details, summary.metric, [state].into_iter());
    let track = Track { file: state, number: 1, name: Some(&path.name), summary };
    Ok(report.track(&track).and_then(|()| out.flush()))
}

async fn follow(name: &PathName, server: &ServerArgs) -> Done {
    let client = Client::connect_lazy(&server.server)?;
    let mut retry = Retry::new(Patience::default());
    let mut out = io::stdout();
    let is_line = out.is_terminal() && !server.json;
    let mut shown = None;
    loop {
        let error = match client.watch_path(name, true).await {
            Ok(mut told) => loop {
                match told.next().await {
                    Some(Ok(path)) => {
                        retry.progress();
                        let now = (path.committed_points, path.is_complete);
                        if shown.replace(now) == Some(now) && !path.is_complete {
                            continue;
                        }
                        let mut written = if is_line { write!(out, "\r\x1b[K") } else { Ok(()) };
                        written = written.and_then(|()| match is_line && !path.is_complete {
                            true => write!(out, "{}", text(&path)),
                            false => row(&mut out, &path, server.json),
                        });
                        written = written.and_then(|()| out.flush());
                        if written.is_err() || path.is_complete {
                            return Ok(written);
                        }
                    }
                    Some(Err(error)) => break error,
                    None => break ClientError::Reply("it ended before the recording".to_owned()),
                }
            },
            Err(error) => error,
        };
        match retry.next_wait().filter(|_| is_passing(&error)) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(error),
        }
    }
}

fn state(path: &StoredPath) -> &'static str {
    if path.is_complete { "finished" } else { "growing" }
}

fn text(path: &StoredPath) -> String {
    let length =
        path.summary.as_ref().map_or_else(String::new, |summary| match summary.metric.space() {
            Space::Planar => grouped(&format!("{:.6}", summary.length)),
            Space::Geographic => grouped(&format!("{:.3}", summary.length)) + " m",
        });
    let points = grouped(&path.committed_points.to_string());
    let name = fitted(&harmless(&path.name), NAME_WIDTH, Keep::End);
    format!("{name}{points:>13}{length:>20}  {}", state(path))
}

fn row(out: &mut impl Write, path: &StoredPath, json: bool) -> io::Result<()> {
    if !json {
        return writeln!(out, "{}", text(path));
    }
    let of = |space: Space| {
        let summary = path.summary.as_ref();
        summary.filter(|summary| summary.metric.space() == space).map(|summary| summary.length)
    };
    let json = JsonPath {
        name: &path.name,
        complete: path.is_complete,
        committed_points: path.committed_points,
        length_m: of(Space::Geographic),
        length: of(Space::Planar),
        model: path.summary.as_ref().map(|summary| summary.metric.to_string()),
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

#[derive(Serialize)]
struct JsonPath<'a> {
    name: &'a str,
    complete: bool,
    committed_points: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    length_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}
