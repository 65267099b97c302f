//! Tickets and answers in every order in which the polls may find them.

use std::task::Poll;

use clap::Parser as _;
use futures::stream;

use super::super::flow::STALL_TIME;
use super::super::tests::Wrapper;
use super::*;
use crate::cli::progress::Progress;
use crate::client::PathRefusal;
use crate::measure::{Fix, Metric, Options, PathAccumulator, PathSummary, Point};

type Answer = Result<PathAnswer, ClientError>;

fn summary() -> PathSummary {
    let mut path = PathAccumulator::new(Options::new(Metric::Planar));
    let points = [(0.0, 0.0), (3.0, 4.0)].map(|(x, y)| Fix::new(Point::planar(x, y).unwrap()));
    path.extend(&points).unwrap();
    path.summary()
}

fn answer(path_id: &str) -> Answer {
    Ok(PathAnswer { path_id: path_id.to_owned(), outcome: Ok(summary()) })
}

fn refusal(path_id: &str) -> Answer {
    let (code, reason) = (Code::InvalidArgument, "POINT_INVALID".to_owned());
    let refusal = PathRefusal { code, reason, message: "a bad point".to_owned() };
    Ok(PathAnswer { path_id: path_id.to_owned(), outcome: Err(refusal) })
}

fn unknown() -> Answer {
    Err(Box::new(tonic::Status::unimplemented("no such method")).into())
}

fn track(path_id: &str, number: u64) -> Ticket {
    Ticket::Track { path_id: path_id.to_owned(), number, name: None }
}

fn broken() -> Ticket {
    Ticket::Broken("a: nothing to measure".to_owned())
}

/// What one poll of the answers returns, and the tickets that the reader sends before it returns.
struct Step {
    tickets: Vec<Ticket>,
    /// The reader closes its tickets.
    closes: bool,
    /// `None` ends the answers.
    answer: Option<Answer>,
}

fn end(tickets: Vec<Ticket>, closes: bool) -> Step {
    Step { tickets, closes, answer: None }
}

/// Reports two files, a and b, whose first tickets are there, and then one step for each poll of the answers.
async fn run(first: Vec<Ticket>, steps: Vec<Step>) -> (Outcome, String, String) {
    let (sender, tickets) = mpsc::channel(16);
    first.into_iter().for_each(|ticket| sender.try_send(ticket).unwrap());
    let mut sender = Some(sender);
    let mut steps = steps.into_iter();
    let answers = stream::poll_fn(move |_| {
        let Some(step) = steps.next() else { return Poll::Pending };
        for ticket in step.tickets {
            sender.as_ref().unwrap().try_send(ticket).unwrap();
        }
        if step.closes {
            sender = None;
        }
        Poll::Ready(step.answer)
    });
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a", "b"]).args;
    let (names, progress) = (args.names(), Progress::hidden());
    let (mut out, mut complaints) = (vec![], vec![]);
    let account = Account::new(&args, &names, &mut out, &mut complaints, &progress);
    let outcome =
        report(account, "http://s", &names, tickets, answers, &Flow::default()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (outcome, text(out), text(complaints))
}

#[tokio::test]
async fn a_regular_end_between_two_polls_is_no_loss() {
    // The tickets are polled and are not there yet. Before the answers are polled, the reader sends the
    // tickets and the server ends the call.
    let tickets = || vec![broken(), Ticket::EndOfFile, broken(), Ticket::EndOfFile];
    for first in 0..=4 {
        let mut later = tickets();
        let rest = later.split_off(first);
        let (outcome, out, complaints) = run(later, vec![end(rest, true)]).await;
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(complaints, "error: a: nothing to measure\n".repeat(2), "{first}");
        assert!(out.contains("0 tracks; 2 files failed"), "{out}");
    }
    // The same after an answer.
    let first = vec![track("1", 1)];
    let answered = Step { tickets: vec![], closes: false, answer: Some(answer("1")) };
    let rest = vec![Ticket::EndOfFile, Ticket::Left { path_id: "2".to_owned() }, Ticket::EndOfFile];
    let (outcome, out, complaints) = run(first, vec![answered, end(rest, true)]).await;
    assert_eq!((outcome, complaints.as_str()), (Outcome::Done, ""));
    assert!(out.contains("5.000000"), "{out}");
}

#[tokio::test]
async fn an_error_after_the_last_answer_is_no_loss() {
    let tickets = vec![track("1", 1)];
    let answered = Step { tickets, closes: false, answer: Some(answer("1")) };
    let tickets = vec![Ticket::EndOfFile, Ticket::EndOfFile];
    let failed = Step { tickets, closes: true, answer: Some(Err(ClientError::Timeout)) };
    let (outcome, _, complaints) = run(vec![], vec![answered, failed]).await;
    assert_eq!((outcome, complaints.as_str()), (Outcome::Done, ""));
    // Nor is a server without the method, when there is nothing to measure.
    let tickets = vec![broken(), Ticket::EndOfFile, broken(), Ticket::EndOfFile];
    let failed = Step { tickets, closes: true, answer: Some(unknown()) };
    let (_, _, complaints) = run(vec![], vec![failed]).await;
    assert_eq!(complaints, "error: a: nothing to measure\n".repeat(2));
}

#[tokio::test]
async fn an_end_before_the_last_answer_is_a_loss() {
    let lost = "error: http://s: the server's reply is invalid: it ended before the last answer\n";
    // While the files are read.
    let (outcome, _, complaints) = run(vec![Ticket::EndOfFile], vec![end(vec![], false)]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(complaints, format!("{lost}error: b: no result\n"));
    // After they were read, with a track that has no answer.
    for first in [vec![], vec![track("1", 1)]] {
        let mut rest = vec![Ticket::EndOfFile, Ticket::EndOfFile];
        if first.is_empty() {
            rest.insert(0, track("1", 1));
        }
        let (_, out, complaints) = run(first, vec![end(rest, true)]).await;
        assert_eq!(complaints, format!("{lost}error: a: no result\nerror: b: no result\n"));
        assert!(out.contains("0 tracks; 2 files failed"), "{out}");
    }
    // After the first of two tracks of a file.
    let answered = Step { tickets: vec![], closes: false, answer: Some(answer("1")) };
    let first = vec![track("1", 1), track("2", 2), Ticket::EndOfFile];
    let (_, out, complaints) = run(first, vec![answered, end(vec![], true)]).await;
    let some = "error: a: only 1 of its tracks have a result\n";
    assert_eq!(complaints, format!("{lost}{some}error: b: no result\n"));
    assert!(out.contains("1 track; 2 files failed"), "{out}");
    // The reader stopped by itself.
    let (_, _, complaints) = run(
        vec![broken()],
        vec![Step { tickets: vec![], closes: true, answer: Some(answer("1")) }, end(vec![], false)],
    )
    .await;
    let unread = "error: the files were not read to the end\n";
    assert_eq!(complaints, format!("error: a: nothing to measure\n{unread}error: b: no result\n"));
    // The method is unknown.
    let failed = Step { tickets: vec![], closes: true, answer: Some(unknown()) };
    let (outcome, out, complaints) = run(vec![], vec![failed]).await;
    assert_eq!((outcome, out.as_str()), (Outcome::Failed, ""));
    assert!(complaints.contains("does not know waywiser.v1.PathService/MeasurePaths"));
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
}

#[tokio::test]
async fn a_path_that_the_server_refuses_fails_alone() {
    let step = |answer| Step { tickets: vec![], closes: false, answer: Some(answer) };
    let steps = vec![
        step(answer("1")),
        step(refusal("2")),
        step(answer("3")),
        // About a track of a broken file that was not ended.
        step(refusal("4")),
        step(answer("5")),
        end(vec![], true),
    ];
    let first = vec![
        track("1", 1),
        track("2", 2),
        track("3", 3),
        Ticket::EndOfFile,
        Ticket::Left { path_id: "4".to_owned() },
        track("5", 1),
        Ticket::EndOfFile,
    ];
    let (outcome, out, complaints) = run(first, steps).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(complaints, "error: a: track 2: a bad point\n");
    assert!(out.contains("3 tracks; 1 file failed") && out.contains("15.000000"), "{out}");
}

#[tokio::test]
async fn an_answer_about_another_path_is_an_error_of_the_server() {
    let step = Step { tickets: vec![], closes: false, answer: Some(answer("7")) };
    let (outcome, _, complaints) = run(vec![track("1", 1)], vec![step]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(complaints.contains("it is about path \"7\", not 1"), "{complaints}");
}

/// Reports one file, a, with a server that never answers, until the clock has passed twice the limit.
async fn silent(tickets: mpsc::Receiver<Ticket>, flow: &Flow) -> Option<String> {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (names, progress) = (args.names(), Progress::hidden());
    let (mut out, mut complaints) = (vec![], vec![]);
    let account = Account::new(&args, &names, &mut out, &mut complaints, &progress);
    let reported = report(account, "http://s", &names, tickets, stream::pending(), flow);
    let _ = tokio::time::timeout(2 * STALL_TIME, reported).await.ok()?;
    Some(String::from_utf8(complaints).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_neither_takes_nor_answers_is_a_loss() {
    let lost = "does not answer";
    // It does not take a part.
    let (_reader, tickets) = mpsc::channel(1);
    let flow = Flow::default();
    flow.offered();
    assert!(silent(tickets, &flow).await.unwrap().contains(lost));
    // It does not answer about a track.
    let (reader, tickets) = mpsc::channel(1);
    reader.try_send(track("1", 1)).unwrap();
    assert!(silent(tickets, &Flow::default()).await.unwrap().contains(lost));
    // It owes nothing: the file is a pipe that is silent.
    let (_reader, tickets) = mpsc::channel(1);
    assert_eq!(silent(tickets, &Flow::default()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_answered_owes_nothing() {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (names, progress) = (args.names(), Progress::hidden());
    let (mut out, mut complaints) = (vec![], vec![]);
    let account = Account::new(&args, &names, &mut out, &mut complaints, &progress);
    let (reader, tickets) = mpsc::channel(1);
    reader.try_send(track("1", 1)).unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(3 * STALL_TIME).await;
        reader.send(Ticket::EndOfFile).await.unwrap();
    });
    let answers = stream::iter([answer("1")]).chain(stream::pending());
    let outcome = report(account, "http://s", &names, tickets, answers, &Flow::default()).await;
    assert_eq!((outcome.unwrap(), complaints.len()), (Outcome::Done, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_its_ticket_is_progress() {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (names, progress) = (args.names(), Progress::hidden());
    let (mut out, mut complaints) = (vec![], vec![]);
    let account = Account::new(&args, &names, &mut out, &mut complaints, &progress);
    let (reader, tickets) = mpsc::channel(2);
    tokio::spawn(async move {
        tokio::time::sleep(3 * STALL_TIME / 2).await;
        reader.send(track("1", 1)).await.unwrap();
        reader.send(Ticket::EndOfFile).await.unwrap();
    });
    let later = async {
        tokio::time::sleep(3 * STALL_TIME / 4).await;
        answer("1")
    };
    let flow = Flow::default();
    flow.offered();
    let answers = stream::once(later).chain(stream::pending());
    let outcome = report(account, "http://s", &names, tickets, answers, &flow).await;
    assert_eq!((outcome.unwrap(), complaints.len()), (Outcome::Done, 0));
}
