//! Matches the answers of a server with the expected ones, in the order of the input, and reports them.
//! `upload.rs` sends the expected answers, and `remote.rs` makes the call.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::pin::{Pin, pin};

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tonic::Code;

use super::file_result::MeasuredTrack;
use super::measure_run::MeasureRun;
use super::upload::ExpectedAnswer;
use crate::cli::Outcome;
use crate::cli::connect::CredentialArgs;
use crate::cli::input::{FileEnd, Input};
use crate::cli::report::pluralize;
use crate::cli::stall_detector::StallDetector;
use crate::client::{ClientError, PathAnswer, read_to_end};

/// The inputs, files and tracks that were reported.
#[derive(Default)]
struct Reported {
    /// The inputs that were reported completely.
    input_count: usize,
    /// The files of the current input that were reported completely.
    file_count: usize,
    is_in_file: bool,
    /// The tracks of the current file that have a result.
    track_count: u64,
}

/// Matches the `answers` of the server at `url` with the `expected` ones. Reports the tracks and the total.
///
/// # Errors
/// If the report cannot be written.
pub(super) async fn report<W: Write>(
    mut run: MeasureRun<'_, W>,
    url: &str,
    credentials: &CredentialArgs,
    inputs: &[Input],
    expected: mpsc::Receiver<ExpectedAnswer>,
    answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
    stall_detector: &StallDetector,
) -> io::Result<Outcome> {
    let mut reported = Reported::default();
    let collected =
        collect(&mut run, &mut reported, inputs.len(), expected, answers, stall_detector).await;
    let error = match collected {
        Ok(error) => error,
        Err(error) => return run.abort(error),
    };
    if reported.input_count == inputs.len() {
        return run.finish();
    }
    if error.as_ref().is_some_and(is_unimplemented) {
        run.error(&format!(
            "the server at {url} does not implement waywiser.v1.PathService/MeasurePaths; use a newer server, \
             or measure without --server"
        ));
        return Ok(Outcome::Failed);
    }
    run.error(&match error {
        Some(error) => match credentials.advice(&error) {
            Some(advice) => format!("{}; {advice}", explain(url, &error)),
            None => explain(url, &error),
        },
        None => "reading the files stopped unexpectedly".to_owned(),
    });
    report_missing(&mut run, inputs, &reported);
    run.finish()
}

/// Reports the expected answers until there are no more, or until the call ends before an answer. Returns the
/// error of the call, if it has ended.
async fn collect<W: Write>(
    run: &mut MeasureRun<'_, W>,
    reported: &mut Reported,
    input_count: usize,
    mut expected: mpsc::Receiver<ExpectedAnswer>,
    answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
    stall_detector: &StallDetector,
) -> io::Result<Option<ClientError>> {
    let mut answers = pin!(answers);
    let mut stalled = pin!(stall_detector.stalled());
    // An answer that arrived before it was expected.
    let mut early = None;
    // The paths of tracks without an end. The answers about them are refusals.
    let mut unfinished = VecDeque::new();
    // The error or the regular end of the call.
    let mut end = None;
    loop {
        let item = match end {
            None => tokio::select! {
                biased;
                answer = expected.recv() => answer,
                answer = answers.next(), if early.is_none() => {
                    match received(answer) {
                        Ok(answer) => {
                            stall_detector.answer_received();
                            early = Some(answer);
                        }
                        Err(error) => end = Some(error),
                    }
                    continue;
                }
                () = &mut stalled => return Ok(Some(ClientError::Timeout)),
            },
            // The upload closes `expected` before the stream of parts. So after a regular end of the call all
            // expected answers are in the queue, also those sent after the poll above.
            Some(_) => match expected.try_recv() {
                Ok(answer) => Some(answer),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => return Ok(end),
            },
        };
        let (path_id, number, info, notes) = match item {
            None => {
                // The upload has stopped before the last file, because the call has failed. Waits for the
                // error of the call.
                if end.is_none() && reported.input_count == input_count {
                    read_to_end(answers).await;
                    return Ok(None);
                }
                while end.is_none() {
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
            Some(ExpectedAnswer::FileStart(name)) => {
                run.start_file(&name);
                (reported.is_in_file, reported.track_count) = (true, 0);
                continue;
            }
            Some(ExpectedAnswer::Track { path_id, number, info, notes }) => {
                (path_id, number, info, notes)
            }
            Some(ExpectedAnswer::Unfinished { path_id }) => {
                // If there is an answer about it, it comes before that of the next track.
                unfinished.push_back(path_id);
                continue;
            }
            Some(ExpectedAnswer::Note(note)) => {
                run.file_note(*note);
                continue;
            }
            Some(ExpectedAnswer::FileEnd(end)) => {
                run.end_file(end);
                reported.file_count += 1;
                reported.is_in_file = false;
                continue;
            }
            Some(ExpectedAnswer::InputEnd) => {
                let input_count = reported.input_count + 1;
                *reported = Reported { input_count, ..Reported::default() };
                continue;
            }
        };
        let answer = loop {
            let answer = match (early.take(), end.take()) {
                (Some(answer), ended) => {
                    end = ended;
                    answer
                }
                (None, Some(error)) => return Ok(Some(error)),
                (None, None) => {
                    match next_answer(stall_detector, answers.as_mut(), stalled.as_mut()).await {
                        Ok(answer) => answer,
                        Err(error) => return Ok(Some(error)),
                    }
                }
            };
            if unfinished.front() != Some(&answer.path_id) {
                break answer;
            }
            unfinished.pop_front();
        };
        if answer.path_id != path_id {
            let text = format!(
                "the server answered path {:?}, but path {path_id} is next",
                answer.path_id
            );
            return Ok(Some(ClientError::reply(text)));
        }
        match answer.outcome {
            Ok(summary) => {
                run.track(MeasuredTrack { number, info, summary, notes })?;
                reported.track_count += 1;
            }
            Err(refusal) => {
                let message = format!("{}: track {number}: {refusal}", run.file());
                run.track_failed(&message);
            }
        }
    }
}

/// Prints and counts the inputs without all results.
fn report_missing<W: Write>(run: &mut MeasureRun<'_, W>, inputs: &[Input], reported: &Reported) {
    let mut missing = inputs[reported.input_count.min(inputs.len())..].iter();
    if reported.is_in_file {
        missing.next();
        let name = run.file();
        let message = match reported.track_count {
            0 => format!("{name}: no result"),
            track_count => format!("{name}: results of only {}", pluralize(track_count, "track")),
        };
        run.end_file(FileEnd::Failed(message));
    } else if reported.file_count > 0
        && let Some(input) = missing.next()
    {
        let name = input.name();
        run.start_file(name);
        run.end_file(FileEnd::Failed(format!("{name}: results of only a part of its files")));
    }
    for input in missing {
        let name = input.name();
        run.start_file(name);
        run.end_file(FileEnd::Failed(format!("{name}: no result")));
    }
}

/// Waits for the answer about a path that was sent completely.
async fn next_answer(
    stall_detector: &StallDetector,
    mut answers: Pin<&mut impl Stream<Item = Result<PathAnswer, ClientError>>>,
    stalled: Pin<&mut impl Future<Output = ()>>,
) -> Result<PathAnswer, ClientError> {
    stall_detector.set_awaits_answer(true);
    let answer = tokio::select! {
        biased;
        answer = answers.next() => received(answer),
        () = stalled => Err(ClientError::Timeout),
    };
    stall_detector.answer_received();
    stall_detector.set_awaits_answer(false);
    answer
}

/// Turns the end of the answers into an error.
fn received(answer: Option<Result<PathAnswer, ClientError>>) -> Result<PathAnswer, ClientError> {
    let ended = || Err(ClientError::reply("the call ended before the last answer"));
    answer.unwrap_or_else(ended)
}

/// Returns the message for an error of the call.
fn explain(url: &str, error: &ClientError) -> String {
    match error.transport_failure() {
        Some(reason) => format!("the connection to {url} was lost: {reason}"),
        // The error contains the URL.
        None if matches!(error, ClientError::Connection { .. } | ClientError::Connect { .. }) => {
            error.to_string()
        }
        None => format!("{url}: {error}"),
    }
}

fn is_unimplemented(error: &ClientError) -> bool {
    matches!(error, ClientError::Status(status) if status.code() == Code::Unimplemented)
}

#[cfg(test)]
mod tests;
