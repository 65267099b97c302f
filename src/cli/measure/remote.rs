//! Measuring by a server: every track is a path of one MeasurePaths call. `upload.rs` reads the files; here
//! the answers meet the tracks they are about, and go into the same account as when measured here.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::MeasureArgs;
use super::account::{Account, AccountError};
use super::flow::Flow;
use super::upload::{self, Files, Ticket};
use crate::cli::progress::Progress;
use crate::cli::report::Track;
use crate::cli::{Outcome, complain, input};
use crate::client::{Client, ClientError, PathAnswer};

/// Has the server at `url` measure the files of the arguments.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    url: &str,
    out: impl Write,
    complaints: &mut dyn Write,
) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(format_args!("no threads to work with: {error}")),
    };
    let outcome = runtime.block_on(upload(args, url, out, complaints));
    // The reading thread may be waiting for standard input, which may never end.
    runtime.shutdown_background();
    outcome
}

/// How far the files have got.
#[derive(Default)]
struct Standing {
    /// Files of which everything was told.
    ended: usize,
    /// Tracks of the next one that have a result.
    results: u64,
    /// One of its tracks was refused.
    is_refused: bool,
    /// It cannot be read on, and that was told.
    is_broken: bool,
}

async fn upload(
    args: &MeasureArgs,
    url: &str,
    out: impl Write,
    complaints: &mut dyn Write,
) -> io::Result<Outcome> {
    let progress = Arc::new(Progress::new(input::bytes_of(&args.files)));
    let names = args.names();
    let mut account = Account::new(args, &names, out, complaints, &progress);
    let client = match Client::connect(url).await {
        Ok(client) => client,
        Err(error) => {
            account.complain(&error.to_string())?;
            return Ok(Outcome::Failed);
        }
    };
    let owned_names = names.iter().map(|name| name.clone().into_owned());
    let flow = Arc::<Flow>::default();
    let (parts, mut tickets) = upload::begin(Files {
        files: args.files.iter().cloned().zip(owned_names).collect(),
        options: args.options(),
        read_options: args.read_options(),
        progress: Arc::clone(&progress),
        flow: Arc::clone(&flow),
    });
    let taken = Arc::clone(&flow);
    let parts = ReceiverStream::new(parts).inspect(move |_| taken.taken());
    let call = client.measure_paths(parts);
    let mut answers = pin!(stream::once(call).try_flatten());
    let mut stalled = pin!(flow.stalled());
    // An answer that came before its track was read to the end.
    let mut ahead = None;
    // The tracks that were begun and not ended, and whose answers say so.
    let mut left = VecDeque::new();
    let mut standing = Standing::default();
    let lost = loop {
        let ticket = tokio::select! {
            biased;
            ticket = tickets.recv() => ticket,
            answer = answers.next(), if ahead.is_none() => match some(answer) {
                Ok(answer) => {
                    flow.answered();
                    ahead = Some(answer);
                    continue;
                }
                Err(error) => break Some(error),
            },
            () = &mut stalled => break Some(ClientError::Silent),
        };
        let (path_id, number, name) = match ticket {
            None => break None,
            Some(Ticket::Track { path_id, number, name }) => (path_id, number, name),
            Some(Ticket::Left { path_id }) => {
                // Its answer comes with the next track, and there may be none.
                left.push_back(path_id);
                continue;
            }
            Some(Ticket::Remark(remark)) => {
                account.remark(&names[standing.ended], &remark)?;
                continue;
            }
            Some(Ticket::Broken(why)) => {
                account.complain(&why)?;
                standing.is_broken = true;
                continue;
            }
            Some(Ticket::EndOfFile) => {
                if standing.is_refused || standing.is_broken {
                    account.file_failed();
                }
                standing = Standing { ended: standing.ended + 1, ..Standing::default() };
                continue;
            }
        };
        let answer = loop {
            let answer = match ahead.take() {
                Some(answer) => Ok(answer),
                None => next(&flow, answers.as_mut(), stalled.as_mut()).await,
            };
            match answer {
                Ok(answer) if left.front() == Some(&answer.path_id) => drop(left.pop_front()),
                answer => break answer,
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => break Some(error),
        };
        if answer.path_id != path_id {
            let text = format!("it is about path {:?}, not {path_id}", answer.path_id);
            break Some(ClientError::Reply(text));
        }
        let file = &*names[standing.ended];
        let refusal = match answer.outcome {
            Ok(summary) => {
                let track = Track { file, number, name: name.as_deref(), summary };
                match account.track(&track) {
                    Ok(()) => {
                        standing.results += 1;
                        continue;
                    }
                    Err(AccountError::Report(error)) => return Err(error),
                    Err(AccountError::Total(error)) => error.to_string(),
                }
            }
            Err(refusal) => refusal.to_string(),
        };
        account.complain(&format!("{file}: track {number}: {refusal}"))?;
        standing.is_refused = true;
    };
    if lost.as_ref().is_some_and(is_unknown) {
        account.complain(&format!(
            "the server at {url} does not know waywiser.v1.PathService/MeasurePaths; use a newer one, or \
             measure without --server"
        ))?;
        return Ok(Outcome::Failed);
    }
    if standing.ended < names.len() {
        account.complain(&match lost {
            Some(error) => words(url, &error),
            None => "the files were not read to the end".to_owned(),
        })?;
        tell_rest(&mut account, &names, &standing)?;
    }
    account.finish()
}

/// Tells of which files there are not all results, and counts them.
fn tell_rest<W: Write>(
    account: &mut Account<'_, W>,
    names: &[Cow<'_, str>],
    standing: &Standing,
) -> io::Result<()> {
    for (file, name) in names.iter().enumerate().skip(standing.ended) {
        account.file_failed();
        let is_current = file == standing.ended;
        match standing.results {
            _ if is_current && standing.is_broken => {}
            results @ 1.. if is_current => {
                account.complain(&format!("{name}: only {results} of its tracks have a result"))?;
            }
            _ => account.complain(&format!("{name}: no result"))?,
        }
    }
    Ok(())
}

/// The answer to a path of which the server has all.
async fn next(
    flow: &Flow,
    mut answers: Pin<&mut impl Stream<Item = Result<PathAnswer, ClientError>>>,
    stalled: Pin<&mut impl Future<Output = ()>>,
) -> Result<PathAnswer, ClientError> {
    flow.awaited(true);
    let answer = tokio::select! {
        biased;
        answer = answers.next() => some(answer),
        () = stalled => Err(ClientError::Silent),
    };
    flow.answered();
    flow.awaited(false);
    answer
}

fn some(answer: Option<Result<PathAnswer, ClientError>>) -> Result<PathAnswer, ClientError> {
    let ended = || Err(ClientError::Reply("it ended before the last answer".to_owned()));
    answer.unwrap_or_else(ended)
}

/// Why there are no more answers.
fn words(url: &str, error: &ClientError) -> String {
    match error.lost() {
        Some(reason) => format!("the connection to {url} was lost: {reason}"),
        None => format!("{url}: {error}"),
    }
}

fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Status(status) if status.code() == Code::Unimplemented)
}
