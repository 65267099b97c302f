//! Tests of expected and received answers in every order in which they can arrive.

use std::task::Poll;

use clap::Parser as _;
use futures::stream;

use super::super::tests::Wrapper;
use super::*;
use crate::cli::input;
use crate::cli::progress::Progress;
use crate::cli::stall_detector::STALL_TIMEOUT;
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
    let refusal = PathRefusal { code, reason, message: "an invalid point".to_owned() };
    Ok(PathAnswer { path_id: path_id.to_owned(), outcome: Err(refusal) })
}

fn unimplemented() -> Answer {
    Err(Box::new(tonic::Status::unimplemented("no such method")).into())
}

fn track(path_id: &str, number: u64) -> ExpectedAnswer {
    ExpectedAnswer::Track {
        path_id: path_id.to_owned(),
        number,
        info: Box::default(),
        notes: Vec::new(),
    }
}

fn start(name: &str) -> ExpectedAnswer {
    ExpectedAnswer::FileStart(name.to_owned())
}

/// Returns the end of a file that was sent completely.
fn ends() -> Vec<ExpectedAnswer> {
    vec![ExpectedAnswer::FileEnd(FileEnd::Complete), ExpectedAnswer::InputEnd]
}

/// Returns a file that cannot be read.
fn fails() -> Vec<ExpectedAnswer> {
    let end = FileEnd::Failed("a: nothing to measure".to_owned());
    vec![start("a"), ExpectedAnswer::FileEnd(end), ExpectedAnswer::InputEnd]
}

/// Returns a file with these tracks.
fn file(name: &str, tracks: Vec<ExpectedAnswer>) -> Vec<ExpectedAnswer> {
    [vec![start(name)], tracks, ends()].into_iter().flatten().collect()
}

/// The result of one poll of the answers, and the expected answers that are sent before it returns.
struct Step {
    expected: Vec<ExpectedAnswer>,
    /// Whether the channel of expected answers is closed.
    closes: bool,
    /// `None` ends the answers.
    answer: Option<Answer>,
}

fn end(expected: Vec<ExpectedAnswer>, closes: bool) -> Step {
    Step { expected, closes, answer: None }
}

/// Reports answers of a server to a caller without credentials.
async fn report_with(
    run: MeasureRun<'_, &mut Vec<u8>>,
    inputs: &[Input],
    expected: mpsc::Receiver<ExpectedAnswer>,
    answers: impl Stream<Item = Answer>,
    stall_detector: &StallDetector,
) -> io::Result<Outcome> {
    let credentials = CredentialArgs::default();
    report(run, "http://s", &credentials, inputs, expected, answers, stall_detector).await
}

/// Reports the files a and b. First come the answers expected in `first`, and then a step for each poll.
async fn run(first: Vec<ExpectedAnswer>, steps: Vec<Step>) -> (Outcome, String, String) {
    let (sender, expected) = mpsc::channel(16);
    first.into_iter().for_each(|answer| sender.try_send(answer).unwrap());
    let mut sender = Some(sender);
    let mut steps = steps.into_iter();
    let answers = stream::poll_fn(move |_| {
        let Some(step) = steps.next() else { return Poll::Pending };
        for answer in step.expected {
            sender.as_ref().unwrap().try_send(answer).unwrap();
        }
        if step.closes {
            sender = None;
        }
        Poll::Ready(step.answer)
    });
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a", "b"]).args;
    let (inputs, progress) = (input::expand(&args.files), Progress::hidden());
    let (mut out, mut messages) = (vec![], vec![]);
    let options = args.options().unwrap();
    let measure_run = MeasureRun::new(&args, &inputs, options, &mut out, &mut messages, &progress);
    let outcome = report_with(measure_run, &inputs, expected, answers, &StallDetector::default())
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (outcome, text(out), text(messages))
}

#[tokio::test]
async fn a_regular_end_between_two_polls_is_not_an_error() {
    // `expected` is polled and empty. Before `answers` is polled, the upload sends the expected answers and the
    // server ends the call.
    let expected = || fails().into_iter().chain(fails());
    for first in 0..=6 {
        let mut later: Vec<_> = expected().collect();
        let rest = later.split_off(first);
        let (outcome, out, messages) = run(later, vec![end(rest, true)]).await;
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(messages, "error: a: nothing to measure\n".repeat(2), "{first}");
        assert!(out.contains("0 tracks; 2 files failed"), "{out}");
    }
    // The call also ends regularly after an answer.
    let first = vec![start("a"), track("1", 1)];
    let answered = Step { expected: vec![], closes: false, answer: Some(answer("1")) };
    let unfinished = ExpectedAnswer::Unfinished { path_id: "2".to_owned() };
    let rest = ends().into_iter().chain(file("b", vec![unfinished])).collect();
    let (outcome, out, messages) = run(first, vec![answered, end(rest, true)]).await;
    assert_eq!((outcome, messages.as_str()), (Outcome::Done, ""));
    assert!(out.contains("5.000000"), "{out}");
}

#[tokio::test]
async fn an_error_after_the_last_answer_is_ignored() {
    let expected = vec![start("a"), track("1", 1)];
    let answered = Step { expected, closes: false, answer: Some(answer("1")) };
    let expected = ends().into_iter().chain(file("b", vec![])).collect();
    let failed = Step { expected, closes: true, answer: Some(Err(ClientError::Timeout)) };
    let (outcome, _, messages) = run(vec![], vec![answered, failed]).await;
    assert_eq!((outcome, messages.as_str()), (Outcome::Done, ""));
    // An error of a server without the method is ignored, too, if there is nothing to measure.
    let expected = fails().into_iter().chain(fails()).collect();
    let failed = Step { expected, closes: true, answer: Some(unimplemented()) };
    let (_, _, messages) = run(vec![], vec![failed]).await;
    assert_eq!(messages, "error: a: nothing to measure\n".repeat(2));
}

/// A call that is dropped before its end counts as cancelled at the server.
#[tokio::test]
async fn the_call_is_read_to_its_end_after_the_last_answer() {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (inputs, progress) = (input::expand(&args.files), Progress::hidden());
    let (sender, expected) = mpsc::channel(16);
    file("a", vec![track("1", 1)]).into_iter().for_each(|one| sender.try_send(one).unwrap());
    drop(sender);
    let is_at_end = std::cell::Cell::new(false);
    let end = stream::poll_fn(|_| {
        is_at_end.set(true);
        Poll::Ready(None)
    });
    let answers = stream::iter([answer("1")]).chain(end);
    let (mut out, mut messages) = (vec![], vec![]);
    let options = args.options().unwrap();
    let run = MeasureRun::new(&args, &inputs, options, &mut out, &mut messages, &progress);
    let detector = StallDetector::default();
    let outcome = report_with(run, &inputs, expected, answers, &detector).await.unwrap();
    assert_eq!((outcome, messages.as_slice()), (Outcome::Done, &b""[..]));
    assert!(is_at_end.get());
}

#[tokio::test]
async fn an_end_before_the_last_answer_is_an_error() {
    let error = ClientError::reply("the call ended before the last answer");
    let lost = format!("error: http://s: {error}\n");
    // The call ends while the files are read.
    let (outcome, _, messages) = run(file("a", vec![]), vec![end(vec![], false)]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(messages, format!("{lost}error: b: no result\n"));
    // It ends after they were read, with a track that has no answer.
    for first in 0..=2 {
        let mut first_file = file("a", vec![track("1", 1)]);
        let rest = first_file.split_off(first).into_iter().chain(file("b", vec![])).collect();
        let first = first_file;
        let (_, out, messages) = run(first, vec![end(rest, true)]).await;
        assert_eq!(messages, format!("{lost}error: a: no result\nerror: b: no result\n"));
        assert!(out.contains("0 tracks; 2 files failed"), "{out}");
    }
    // It ends after the first of two tracks of a file.
    let answered = Step { expected: vec![], closes: false, answer: Some(answer("1")) };
    let first = file("a", vec![track("1", 1), track("2", 2)]);
    let (_, out, messages) = run(first, vec![answered, end(vec![], true)]).await;
    let some = "error: a: results of only 1 track\n";
    assert_eq!(messages, format!("{lost}{some}error: b: no result\n"));
    assert!(out.contains("1 track; 2 files failed"), "{out}");
    // The upload has stopped without an error of the call.
    let (_, _, messages) = run(
        fails(),
        vec![
            Step { expected: vec![], closes: true, answer: Some(answer("1")) },
            end(vec![], false),
        ],
    )
    .await;
    let unread = "error: reading the files stopped unexpectedly\n";
    assert_eq!(messages, format!("error: a: nothing to measure\n{unread}error: b: no result\n"));
    // The server does not implement the method.
    let failed = Step { expected: vec![], closes: true, answer: Some(unimplemented()) };
    let (outcome, out, messages) = run(vec![], vec![failed]).await;
    assert_eq!((outcome, out.as_str()), (Outcome::Failed, ""));
    assert!(messages.contains("does not implement waywiser.v1.PathService/MeasurePaths"));
    assert_eq!(messages.lines().count(), 1, "{messages}");
}

#[tokio::test]
async fn a_refused_path_does_not_fail_the_others() {
    let step = |answer| Step { expected: vec![], closes: false, answer: Some(answer) };
    let steps = vec![
        step(answer("1")),
        step(refusal("2")),
        step(answer("3")),
        // This answer is about a track of a broken file.
        step(refusal("4")),
        step(answer("5")),
        end(vec![], true),
    ];
    let unfinished = ExpectedAnswer::Unfinished { path_id: "4".to_owned() };
    let first = file("a", vec![track("1", 1), track("2", 2), track("3", 3), unfinished]);
    let first = first.into_iter().chain(file("b", vec![track("5", 1)])).collect();
    let (outcome, out, messages) = run(first, steps).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(messages, "error: a: track 2: an invalid point\n");
    assert!(out.contains("3 tracks; 1 file failed") && out.contains("15.000000"), "{out}");
}

#[tokio::test]
async fn an_answer_about_another_path_is_an_error_of_the_server() {
    let step = Step { expected: vec![], closes: false, answer: Some(answer("7")) };
    let (outcome, _, messages) = run(vec![start("a"), track("1", 1)], vec![step]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(messages.contains("the server answered path \"7\", but path 1 is next"), "{messages}");
}

/// Reports the file a with a server that never answers. Returns the messages, or `None` if the run does not end
/// within twice the timeout.
async fn run_without_answers(
    expected: mpsc::Receiver<ExpectedAnswer>,
    detector: &StallDetector,
) -> Option<String> {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (inputs, progress) = (input::expand(&args.files), Progress::hidden());
    let (mut out, mut messages) = (vec![], vec![]);
    let options = args.options().unwrap();
    let measure_run = MeasureRun::new(&args, &inputs, options, &mut out, &mut messages, &progress);
    let reported = report_with(measure_run, &inputs, expected, stream::pending(), detector);
    let _ = tokio::time::timeout(2 * STALL_TIMEOUT, reported).await.ok()?;
    Some(String::from_utf8(messages).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_stalled_server_is_an_error() {
    let silent = "does not answer";
    // The server does not take a part.
    let (_sender, expected) = mpsc::channel(1);
    let detector = StallDetector::default();
    detector.part_offered();
    assert!(run_without_answers(expected, &detector).await.unwrap().contains(silent));
    // It does not answer about a track.
    let (sender, expected) = mpsc::channel(1);
    sender.try_send(track("1", 1)).unwrap();
    assert!(
        run_without_answers(expected, &StallDetector::default()).await.unwrap().contains(silent)
    );
    // It has no work: the input is a pipe without data.
    let (_sender, expected) = mpsc::channel(1);
    assert_eq!(run_without_answers(expected, &StallDetector::default()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_work_does_not_stall() {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (inputs, progress) = (input::expand(&args.files), Progress::hidden());
    let (mut out, mut messages) = (vec![], vec![]);
    let options = args.options().unwrap();
    let measure_run = MeasureRun::new(&args, &inputs, options, &mut out, &mut messages, &progress);
    let (sender, expected) = mpsc::channel(1);
    sender.try_send(track("1", 1)).unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(3 * STALL_TIMEOUT).await;
        for event in ends() {
            sender.send(event).await.unwrap();
        }
    });
    let answers = stream::iter([answer("1")]).chain(stream::pending());
    let outcome =
        report_with(measure_run, &inputs, expected, answers, &StallDetector::default()).await;
    assert_eq!((outcome.unwrap(), messages.len()), (Outcome::Done, 0));
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_is_progress() {
    let args = Wrapper::parse_from(["measure", "--model", "planar", "a"]).args;
    let (inputs, progress) = (input::expand(&args.files), Progress::hidden());
    let (mut out, mut messages) = (vec![], vec![]);
    let options = args.options().unwrap();
    let measure_run = MeasureRun::new(&args, &inputs, options, &mut out, &mut messages, &progress);
    let (sender, expected) = mpsc::channel(2);
    tokio::spawn(async move {
        tokio::time::sleep(3 * STALL_TIMEOUT / 2).await;
        sender.send(track("1", 1)).await.unwrap();
        for event in ends() {
            sender.send(event).await.unwrap();
        }
    });
    let later = async {
        tokio::time::sleep(3 * STALL_TIMEOUT / 4).await;
        answer("1")
    };
    let detector = StallDetector::default();
    detector.part_offered();
    let answers = stream::once(later).chain(stream::pending());
    let outcome = report_with(measure_run, &inputs, expected, answers, &detector).await;
    assert_eq!((outcome.unwrap(), messages.len()), (Outcome::Done, 0));
}
