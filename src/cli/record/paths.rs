//! Sends each track of a file as one path of a `MeasurePaths` call, and reports the answers like `waywiser measure`.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

use super::args::RecordArgs;
use super::report::footer;
use super::{Events, ReaderEvent};
use crate::cli::input::{self, FileEnd};
use crate::cli::notes::{self, NoteList, PresetCheck, track_label};
use crate::cli::policy::FilledOptions;
use crate::cli::report::{FileNote, Names, Report, ReportOptions, Style, Total, Track, Units};
use crate::cli::stall_detector::StallDetector;
use crate::cli::track_queue::{QueuedPart, TrackEnd, TrackQueue};
use crate::client::{Client, ClientError, PathAnswer, PathPart};
use crate::measure::{Options, Space, Totals};

/// Maximum number of tracks that were sent and have no answer yet.
const TRACKS_MAX: usize = 1024;
/// Maximum number of notes on files in the total.
const FILE_NOTES_MAX: usize = 1000;

/// An event of the input that the source of points reports, in the order of the input.
enum FileEvent {
    /// All fixes of a track were sent. Its last part follows.
    Sent(SentTrack),
    /// The notes on a track that is not sent completely, because its file is broken.
    Incomplete(SentTrack),
    /// A note on a file.
    Note(FileNote),
    /// A file was sent completely, or was skipped.
    FileEnd(Arc<str>, FileEnd),
    /// The input was sent completely.
    Complete,
    /// The input cannot be read further.
    Failed(String),
}

struct SentTrack {
    path_id: String,
    file: Arc<str>,
    /// The number of the track in its file, from 1.
    number: u64,
    end: TrackEnd,
}

/// The source of points of the call.
struct Source {
    events: Events,
    options: Options,
    file_events: mpsc::Sender<FileEvent>,
    stall_detector: Arc<StallDetector>,
    /// The connection has not taken the last part yet.
    is_offered: bool,
    /// The current file.
    file: Arc<str>,
    queue: TrackQueue,
    path_count: u64,
    /// The path of the first track in the queue, if a part of it was sent.
    sent_path_id: Option<String>,
}

impl Source {
    /// Returns the next part of a path, or `None` at the end of the input. If a file is broken, this never returns,
    /// because the end of the source would close the stream. The caller then drops the call, which resets it.
    async fn next_part(&mut self) -> Option<PathPart> {
        if std::mem::take(&mut self.is_offered) {
            self.stall_detector.part_taken();
        }
        loop {
            if let Some(part) = self.queue.take_part(1) {
                return Some(self.part(part).await);
            }
            if let Some(error) = self.queue.overflow(&self.file) {
                self.fail(error).await;
            }
            match self.events.next().await {
                ReaderEvent::FileStart(file) => {
                    (self.file, self.queue) = (file.into(), TrackQueue::default());
                }
                ReaderEvent::TrackStart { .. } => self.queue.start(),
                ReaderEvent::Fixes { track, fixes } => self.queue.add(track, fixes),
                // The last part is not sent, so that the server does not measure a part of a track as a complete one.
                ReaderEvent::TrackEnd { track, info, notes } if info.is_incomplete => {
                    let (path_id, file) = (String::new(), Arc::clone(&self.file));
                    let (number, end) = (track as u64 + 1, TrackEnd { info, notes });
                    let track = SentTrack { path_id, file, number, end };
                    self.report(FileEvent::Incomplete(track)).await;
                }
                ReaderEvent::TrackEnd { track, info, notes } => {
                    self.queue.end(track, TrackEnd { info, notes });
                }
                ReaderEvent::Note(note) => {
                    let note = FileNote { file: self.file.to_string(), note: *note };
                    self.report(FileEvent::Note(note)).await;
                }
                ReaderEvent::FileEnd(FileEnd::Failed(error)) => self.fail(error).await,
                ReaderEvent::FileEnd(end) => {
                    let event = FileEvent::FileEnd(Arc::clone(&self.file), end);
                    self.report(event).await;
                }
                ReaderEvent::InputEnd => {
                    self.report(FileEvent::Complete).await;
                    return None;
                }
            }
        }
    }

    async fn part(&mut self, part: QueuedPart) -> PathPart {
        let path_id = match &self.sent_path_id {
            Some(path_id) => path_id.clone(),
            None => {
                self.path_count += 1;
                self.path_count.to_string()
            }
        };
        let (fixes, is_last) = match part {
            QueuedPart::Fixes(fixes) => (fixes, false),
            QueuedPart::End(number, end) => {
                let (path_id, file) = (path_id.clone(), Arc::clone(&self.file));
                self.report(FileEvent::Sent(SentTrack { path_id, file, number, end })).await;
                (Vec::new(), true)
            }
        };
        self.sent_path_id = (!is_last).then(|| path_id.clone());
        self.stall_detector.part_offered();
        self.is_offered = true;
        PathPart { path_id, options: self.options, fixes, is_last }
    }

    async fn report(&self, event: FileEvent) {
        // Fails if the call has ended, which ends this future too.
        let _ = self.file_events.send(event).await;
    }

    async fn fail(&self, error: String) {
        self.report(FileEvent::Failed(error)).await;
        std::future::pending::<()>().await;
    }
}

/// Sends the tracks and prints the report. The inner error is that of the file or the server.
///
/// # Errors
/// If `out` cannot be written.
pub(super) async fn send(
    client: &Client,
    args: &RecordArgs,
    options: FilledOptions,
    events: Events,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let started = Instant::now();
    let file = input::display_name(&args.file);
    let style = match (args.json, args.policy.needs_details()) {
        (true, _) => Style::Json,
        (_, false) => Style::Text,
        (_, true) => Style::Details,
    };
    let stall_detector = Arc::<StallDetector>::default();
    let (file_events, received) = mpsc::channel(1);
    let source = Source {
        events,
        options: options.all,
        file_events,
        stall_detector: Arc::clone(&stall_detector),
        is_offered: false,
        file: file.as_str().into(),
        queue: TrackQueue::default(),
        path_count: 0,
        sent_path_id: None,
    };
    let parts = stream::unfold(source, |mut source| async move {
        source.next_part().await.map(|part| (part, source))
    });
    let answers = stream::once(client.measure_paths(parts)).try_flatten();
    let names = Names::on(&io::stdout());
    let report_options =
        ReportOptions { style, measure: options.all, units: Units::default(), names };
    let mut run = Run {
        report: Report::new(&mut *out, report_options, [&*file].into_iter()),
        file: &file,
        options,
        is_strict: args.read_options().is_strict,
        totals: Totals::new(options.all.metric()),
        file_count: 0,
        track_count: 0,
        sent: VecDeque::new(),
        printed_notes: NoteList::default(),
        preset_check: PresetCheck::default(),
        file_notes: Vec::new(),
        explain: &|error| args.connect.explain(error),
    };
    let outcome = run.report_answers(received, answers, &stall_detector).await?;
    run.end();
    if let Err(error) = outcome {
        return Ok(Err(error));
    }
    let Run { mut report, totals, track_count, file_count, file_notes, .. } = run;
    let summary = totals.summary();
    let point_count = summary.point_count;
    report.total(&Total {
        file_count,
        failed_file_count: 0,
        track_count,
        summary,
        notes: &file_notes,
        more_note_count: 0,
    })?;
    if !args.json {
        let is_raw = args.policy.first_set().is_none();
        let is_raw = is_raw && options.all.metric().space() == Space::Geographic;
        footer(out, point_count, started.elapsed(), is_raw)?;
    }
    Ok(Ok(()))
}

/// The report so far.
struct Run<'a, W> {
    report: Report<W>,
    file: &'a str,
    options: FilledOptions,
    is_strict: bool,
    totals: Totals,
    file_count: u64,
    track_count: u64,
    /// The tracks that were sent and have no answer yet.
    sent: VecDeque<SentTrack>,
    printed_notes: NoteList,
    preset_check: PresetCheck,
    file_notes: Vec<FileNote>,
    /// Returns the message of an error of the call.
    explain: &'a dyn Fn(&ClientError) -> String,
}

/// The end of the input.
enum InputEnd {
    Complete,
    Failed(String),
}

impl<W: Write> Run<'_, W> {
    /// Reports the answers until all tracks of the input are answered, or the input or the call fails. In the first
    /// case and after an error of a file, all tracks that were sent completely are in the report.
    async fn report_answers(
        &mut self,
        mut file_events: mpsc::Receiver<FileEvent>,
        answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
        stall_detector: &StallDetector,
    ) -> io::Result<Result<(), String>> {
        let (mut answers, mut stalled) = (pin!(answers), pin!(stall_detector.stalled()));
        let mut end = None;
        let mut is_reading = true;
        loop {
            if self.sent.is_empty()
                && let Some(InputEnd::Failed(error)) = end
            {
                return Ok(Err(error));
            }
            stall_detector.set_awaits_answer(!self.sent.is_empty());
            let answer = tokio::select! {
                // The call drops the sender when it ends.
                biased;
                event = file_events.recv(), if is_reading && self.sent.len() < TRACKS_MAX => {
                    match event {
                        Some(event) => end = self.apply(event).or(end),
                        None => is_reading = false,
                    }
                    continue;
                }
                answer = answers.next() => answer,
                () = &mut stalled => Some(Err(ClientError::Timeout)),
            };
            // The event of a track is sent before its last part, and that of the end before the end of the call. Both
            // may have been sent after the channel was polled above.
            while self.sent.is_empty()
                && let Ok(event) = file_events.try_recv()
            {
                end = self.apply(event).or(end);
            }
            let error = match answer {
                Some(Ok(answer)) => {
                    stall_detector.answer_received();
                    self.answer(answer)?.err()
                }
                Some(Err(error)) => Some((self.explain)(&error)),
                None if matches!(end, Some(InputEnd::Complete)) && self.sent.is_empty() => {
                    return Ok(Ok(()));
                }
                None => {
                    Some("the server ended the call before it answered for all tracks".to_owned())
                }
            };
            if let Some(error) = error {
                return Ok(Err(format!("{}: {error}", self.file)));
            }
        }
    }

    /// Applies an event. Returns the end of the input if it is one.
    fn apply(&mut self, event: FileEvent) -> Option<InputEnd> {
        match event {
            FileEvent::Sent(track) => self.sent.push_back(track),
            FileEvent::Incomplete(SentTrack { file, number, end, .. }) => {
                let label = track_label(number, &end.info);
                self.printed_notes.add_all(&file, Some(&label), &end.notes);
            }
            FileEvent::Note(note) => self.file_note(note),
            FileEvent::FileEnd(file, end) => {
                self.file_count += u64::from(end == FileEnd::Complete);
                let failure = super::file_failure(&file, end, self.is_strict);
                return failure.map(InputEnd::Failed);
            }
            FileEvent::Complete => return Some(InputEnd::Complete),
            FileEvent::Failed(error) => return Some(InputEnd::Failed(error)),
        }
        None
    }

    fn file_note(&mut self, note: FileNote) {
        self.printed_notes.add(notes::text(&note.file, None, &note.note));
        if self.file_notes.len() < FILE_NOTES_MAX {
            self.file_notes.push(note);
        }
    }

    /// Reports the answer to the track that was sent first.
    fn answer(&mut self, answer: PathAnswer) -> io::Result<Result<(), String>> {
        let PathAnswer { path_id, outcome, .. } = answer;
        let Some(track) = self.sent.pop_front().filter(|track| track.path_id == path_id) else {
            return Ok(Err(format!("the server sent an answer for the unknown path {path_id:?}")));
        };
        let SentTrack { file, number, end: TrackEnd { info, mut notes }, .. } = track;
        let summary = match outcome {
            Ok(summary) => summary,
            Err(refusal) => return Ok(Err(format!("track {number}: {refusal}"))),
        };
        if let Err(error) = self.totals.add(&summary) {
            return Ok(Err(format!("track {number}: the total cannot be computed: {error}")));
        }
        self.preset_check.add(&info);
        let index = Some(number as usize - 1);
        let mut unused = notes::unused_options(index, &info, &self.options.given);
        unused.extend(notes::rejected_points(index, &summary));
        if self.is_strict
            && let Some(note) = unused.first()
        {
            let place = format!("track {}", track_label(number, &info));
            let message = format!("{place}: {}; --strict makes this an error", note.message);
            return Ok(Err(message));
        }
        notes.extend(unused);
        self.printed_notes.add_all(&file, Some(&track_label(number, &info)), &notes);
        self.track_count += 1;
        self.report.track(&Track { file: &file, number, info: &info, summary, notes: &notes })?;
        Ok(Ok(()))
    }

    /// Prints the notes.
    fn end(&mut self) {
        if let Some(note) = self.preset_check.note(&self.options) {
            self.file_note(FileNote { file: self.file.to_owned(), note });
        }
        let _ = self.report.out().flush();
        self.printed_notes.take(self.file).iter().for_each(|text| super::note(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, PathAccumulator};

    /// The last part of a track, and the end of the file, may be sent while the call is polled.
    #[tokio::test]
    async fn an_answer_that_arrives_with_its_event_belongs_to_its_track() {
        let (events, received) = mpsc::channel(1);
        let answers = stream::unfold((events, 0), |(events, step)| async move {
            let end = TrackEnd { info: Box::default(), notes: Vec::new() };
            let sent = SentTrack { path_id: "1".to_owned(), file: "f".into(), number: 1, end };
            let event = if step == 0 { FileEvent::Sent(sent) } else { FileEvent::Complete };
            assert!(events.try_send(event).is_ok());
            let summary = PathAccumulator::new(Options::default()).summary();
            let answer = PathAnswer { path_id: "1".to_owned(), outcome: Ok(summary) };
            (step == 0).then_some((Ok(answer), (events, step + 1)))
        });
        let (mut out, file) = (Vec::new(), "walk.gpx");
        let mut run = Run {
            report: Report::new(
                &mut out,
                ReportOptions {
                    style: Style::Json,
                    measure: Options::default(),
                    units: Units::default(),
                    names: Names::Whole,
                },
                [file].into_iter(),
            ),
            file,
            options: FilledOptions {
                given: Options::default(),
                preset: None,
                all: Options::default(),
            },
            is_strict: false,
            totals: Totals::new(Metric::Geodesic),
            file_count: 0,
            track_count: 0,
            sent: VecDeque::new(),
            printed_notes: NoteList::default(),
            preset_check: PresetCheck::default(),
            file_notes: Vec::new(),
            explain: &|error| error.to_string(),
        };
        let stall_detector = StallDetector::default();
        let result = run.report_answers(received, answers, &stall_detector).await.unwrap();
        assert_eq!((result, run.track_count), (Ok(()), 1));
    }
}
