//! Matches the answers of a server with the tracks that they are about, in the order of the input, and puts
//! them into the account. `upload.rs` sends the tickets, `remote.rs` makes the call.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::pin::{Pin, pin};

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tonic::Code;

use super::account::{Account, AccountError};
use super::flow::Flow;
use super::upload::Ticket;
use crate::cli::Outcome;
use crate::cli::report::Track;
use crate::client::{ClientError, PathAnswer};

/// How many files and tracks were reported.
#[derive(Default)]
struct Standing {
    /// Files that are reported completely.
    ended: usize,
    /// Tracks of the next file that have a result.
    results: u64,
    /// One of its tracks was refused.
    is_refused: bool,
    /// It cannot be read further, and that was reported.
    is_broken: bool,
}

/// Reports the tracks of `tickets` with their `answers` from the server at `url`, and at last the total.
///
/// # Errors
/// When the report cannot be written.
pub(super) async fn report<W: Write>(
    mut account: Account<'_, W>,
    url: &str,
    names: &[Cow<'_, str>],
    tickets: mpsc::Receiver<Ticket>,
    answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
    flow: &Flow,
) -> io::Result<Outcome> {
    let mut standing = Standing::default();
    let lost = match collect(&mut account, &mut standing, names, tickets, answers, flow).await {
        Ok(lost) => lost,
        Err(error) => return account.cut_short(error),
    };
    if standing.ended == names.len() {
        return account.finish();
    }
    if lost.as_ref().is_some_and(is_unknown) {
        account.fail(&format!(
            "the server at {url} does not know waywiser.v1.PathService/MeasurePaths; use a newer one, or \
             measure without --server"
        ));
        return Ok(Outcome::Failed);
    }
    account.fail(&match lost {
        Some(error) => explain(url, &error),
        None => "the files were not read to the end".to_owned(),
    });
    report_rest(&mut account, names, &standing);
    account.finish()
}

/// Reports tickets until there are no more, or until an answer is missing. Returns how the answers ended, if
/// they did.
async fn collect<W: Write>(
    account: &mut Account<'_, W>,
    standing: &mut Standing,
    names: &[Cow<'_, str>],
    mut tickets: mpsc::Receiver<Ticket>,
    answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
    flow: &Flow,
) -> io::Result<Option<ClientError>> {
    let mut answers = pin!(answers);
    let mut stalled = pin!(flow.stalled());
    // An answer that arrived before the ticket of its track.
    let mut ahead = None;
    // Tracks that were begun and not ended; the answers about them are refusals.
    let mut left = VecDeque::new();
    // How the answers ended.
    let mut end = None;
    loop {
        let ticket = match end {
            None => tokio::select! {
                biased;
                ticket = tickets.recv() => ticket,
                answer = answers.next(), if ahead.is_none() => {
                    match some(answer) {
                        Ok(answer) => {
                            flow.answered();
                            ahead = Some(answer);
                        }
                        Err(error) => end = Some(error),
                    }
                    continue;
                }
                () = &mut stalled => return Ok(Some(ClientError::Timeout)),
            },
            // The reader closes its tickets before the stream of points. So a regular end of the answers
            // finds all tickets in the queue, also those sent after the poll above.
            Some(_) => match tickets.try_recv() {
                Ok(ticket) => Some(ticket),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => return Ok(end),
            },
        };
        let (path_id, number, name) = match ticket {
            None => {
                // The reader stops before the last file when the call has failed; this waits for the error.
                while end.is_none() && standing.ended < names.len() {
                    let answer = tokio::select! {
                        biased;
                        answer = answers.next() => answer,
                        () = &mut stalled => Some(Err(ClientError::Timeout)),
                    };
                    match answer {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => end = Some(error),
                        None => break,
                    }
                }
                return Ok(end);
            }
            Some(Ticket::Track { path_id, number, name }) => (path_id, number, name),
            Some(Ticket::Left { path_id }) => {
                // Its answer comes before that of the next track, if there is one.
                left.push_back(path_id);
                continue;
            }
            Some(Ticket::Remark(remark)) => {
                account.remark(&names[standing.ended], &remark);
                continue;
            }
            Some(Ticket::Broken(why)) => {
                account.fail(&why);
                standing.is_broken = true;
                continue;
            }
            Some(Ticket::EndOfFile) => {
                if standing.is_refused || standing.is_broken {
                    account.file_failed();
                }
                *standing = Standing { ended: standing.ended + 1, ..Standing::default() };
                continue;
            }
        };
        let answer = loop {
            let answer = match (ahead.take(), end.take()) {
                (Some(answer), ended) => {
                    end = ended;
                    answer
                }
                (None, Some(error)) => return Ok(Some(error)),
                (None, None) => match next(flow, answers.as_mut(), stalled.as_mut()).await {
                    Ok(answer) => answer,
                    Err(error) => return Ok(Some(error)),
                },
            };
            if left.front() != Some(&answer.path_id) {
                break answer;
            }
            left.pop_front();
        };
        if answer.path_id != path_id {
            let text = format!("it is about path {:?}, not {path_id}", answer.path_id);
            return Ok(Some(ClientError::reply(text)));
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
        account.fail(&format!("{file}: track {number}: {refusal}"));
        standing.is_refused = true;
    }
}

/// Reports and counts the files that do not have all results.
fn report_rest<W: Write>(
    account: &mut Account<'_, W>,
    names: &[Cow<'_, str>],
    standing: &Standing,
) {
    for (file, name) in names.iter().enumerate().skip(standing.ended) {
        account.file_failed();
        let is_current = file == standing.ended;
        match standing.results {
            _ if is_current && standing.is_broken => {}
            results @ 1.. if is_current => {
                account.fail(&format!("{name}: only {results} of its tracks have a result"));
            }
            _ => account.fail(&format!("{name}: no result")),
        }
    }
}

/// The answer to a path that was sent completely.
async fn next(
    flow: &Flow,
    mut answers: Pin<&mut impl Stream<Item = Result<PathAnswer, ClientError>>>,
    stalled: Pin<&mut impl Future<Output = ()>>,
) -> Result<PathAnswer, ClientError> {
    flow.awaited(true);
    let answer = tokio::select! {
        biased;
        answer = answers.next() => some(answer),
        () = stalled => Err(ClientError::Timeout),
    };
    flow.answered();
    flow.awaited(false);
    answer
}

fn some(answer: Option<Result<PathAnswer, ClientError>>) -> Result<PathAnswer, ClientError> {
    let ended = || Err(ClientError::reply("it ended before the last answer"));
    answer.unwrap_or_else(ended)
}

/// Why there are no more answers.
fn explain(url: &str, error: &ClientError) -> String {
    match error.transport_failure() {
        Some(reason) => format!("the connection to {url} was lost: {reason}"),
        None => format!("{url}: {error}"),
    }
}

fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Status(status) if status.code() == Code::Unimplemented)
}

#[cfg(test)]
mod tests;
