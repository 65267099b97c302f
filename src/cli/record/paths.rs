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
use crate::cli::report::{Report, ReportOptions, Style, Total, Track, Units};
use crate::cli::stall_detector::StallDetector;
use crate::cli::stderr;
use crate::client::{Client, ClientError, PathAnswer, PathPart};
use crate::formats::TrackInfo;
use crate::measure::{Options, Space, Totals};

/// Maximum number of tracks that were sent and have no answer yet.
const TRACKS_MAX: usize = 1024;

/// An event of the file that the source of points reports, in the order of the file.
enum FileEvent {
    /// All fixes of a track were sent. Its last part follows.
    Sent(SentTrack),
    /// The file was sent completely.
    Complete,
    /// The file cannot be read further.
    Failed(String),
}

struct SentTrack {
    number: u64,
    info: Box<TrackInfo>,
}

/// The events of the file so far.
#[derive(Default)]
struct FileProgress {
    /// The tracks that were sent and have no answer yet.
    sent: VecDeque<SentTrack>,
    is_complete: bool,
    failure: Option<String>,
}

impl FileProgress {
    fn apply(&mut self, event: FileEvent) {
        match event {
            FileEvent::Sent(track) => self.sent.push_back(track),
            FileEvent::Failed(error) => self.failure = Some(error),
            FileEvent::Complete => self.is_complete = true,
        }
    }
}

/// The source of points of the call.
struct Source {
    events: Events,
    options: Options,
    file_events: mpsc::Sender<FileEvent>,
    stall_detector: Arc<StallDetector>,
    /// The connection has not taken the last part yet.
    is_offered: bool,
    file: String,
}

impl Source {
    /// Returns the next part of a path, or `None` at the end of the file. If the file is broken, this never returns,
    /// because the end of the source would close the stream. The caller then drops the call, which resets it.
    async fn next_part(&mut self) -> Option<PathPart> {
        if std::mem::take(&mut self.is_offered) {
            self.stall_detector.part_taken();
        }
        loop {
            let (track, fixes, is_last) = match self.events.next().await {
                ReaderEvent::TrackStart { .. } => continue,
                ReaderEvent::Note(remark) => {
                    stderr::print(format_args!("note: {}: {remark}", self.file));
                    continue;
                }
                ReaderEvent::Fixes { track, fixes } => (track, fixes, false),
                ReaderEvent::TrackEnd { track, info } => {
                    let sent = SentTrack { number: track as u64 + 1, info };
                    // Fails if the call has ended, which ends this future too.
                    let _ = self.file_events.send(FileEvent::Sent(sent)).await;
                    (track, Vec::new(), true)
                }
                ReaderEvent::FileEnd => {
                    let _ = self.file_events.send(FileEvent::Complete).await;
                    return None;
                }
                ReaderEvent::Failed(error) => {
                    let _ = self.file_events.send(FileEvent::Failed(error)).await;
                    std::future::pending().await
                }
            };
            let path_id = (track + 1).to_string();
            self.stall_detector.part_offered();
            self.is_offered = true;
            return Some(PathPart { path_id, options: self.options, fixes, is_last });
        }
    }
}

/// Sends the tracks and prints the report. The inner error is that of the file or the server.
///
/// # Errors
/// If `out` cannot be written.
pub(super) async fn send(
    client: &Client,
    args: &RecordArgs,
    events: Events,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let started = Instant::now();
    let file = args.file.to_string_lossy().into_owned();
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let is_raw = options == Options::new(options.metric());
    let style = match (args.json, is_raw) {
        (true, _) => Style::Json,
        (_, true) => Style::Text,
        (_, false) => Style::Details,
    };
    let stall_detector = Arc::<StallDetector>::default();
    let (file_events, received) = mpsc::channel(1);
    let source = Source {
        events,
        options,
        file_events,
        stall_detector: Arc::clone(&stall_detector),
        is_offered: false,
        file: file.clone(),
    };
    let parts = stream::unfold(source, |mut source| async move {
        source.next_part().await.map(|part| (part, source))
    });
    let answers = stream::once(client.measure_paths(parts)).try_flatten();
    let mut run = Run {
        report: Report::new(
            &mut *out,
            ReportOptions { style, metric: options.metric(), units: Units::default() },
            [&*file].into_iter(),
        ),
        file: &file,
        totals: Totals::new(options.metric()),
        track_count: 0,
    };
    if let Err(error) = run.report_answers(received, answers, &stall_detector).await? {
        return Ok(Err(error));
    }
    let Run { mut report, totals, track_count, .. } = run;
    let summary = totals.summary();
    let point_count = summary.point_count;
    report.total(&Total {
        file_count: 1,
        failed_file_count: 0,
        track_count,
        summary,
        notes: &[],
        more_note_count: 0,
    })?;
    if !args.json {
        let is_raw = is_raw && options.metric().space() == Space::Geographic;
        footer(out, point_count, started.elapsed(), is_raw)?;
    }
    Ok(Ok(()))
}

/// The report so far.
struct Run<'a, W> {
    report: Report<W>,
    file: &'a str,
    totals: Totals,
    track_count: u64,
}

impl<W: Write> Run<'_, W> {
    /// Reports the answers until all tracks of the file are answered, or the file or the call fails. In the first
    /// case and after an error of the file, all tracks that were sent completely are in the report.
    async fn report_answers(
        &mut self,
        mut file_events: mpsc::Receiver<FileEvent>,
        answers: impl Stream<Item = Result<PathAnswer, ClientError>>,
        stall_detector: &StallDetector,
    ) -> io::Result<Result<(), String>> {
        let (mut answers, mut stalled) = (pin!(answers), pin!(stall_detector.stalled()));
        let mut file = FileProgress::default();
        let mut is_reading = true;
        loop {
            if file.sent.is_empty()
                && let Some(error) = file.failure
            {
                return Ok(Err(error));
            }
            stall_detector.set_awaits_answer(!file.sent.is_empty());
            let answer = tokio::select! {
                // The call drops the sender when it ends.
                biased;
                event = file_events.recv(), if is_reading && file.sent.len() < TRACKS_MAX => {
                    match event {
                        Some(event) => file.apply(event),
                        None => is_reading = false,
                    }
                    continue;
                }
                answer = answers.next() => answer,
                () = &mut stalled => Some(Err(ClientError::Timeout)),
            };
            // The event of a track is sent before its last part, and that of the end before the end of the call. Both
            // may have been sent after the channel was polled above.
            if file.sent.is_empty()
                && let Ok(event) = file_events.try_recv()
            {
                file.apply(event);
            }
            let error = match answer {
                Some(Ok(answer)) => {
                    stall_detector.answer_received();
                    self.answer(file.sent.pop_front(), answer)?.err()
                }
                Some(Err(error)) => Some(error.to_string()),
                None if file.is_complete && file.sent.is_empty() => return Ok(Ok(())),
                None => {
                    Some("the server ended the call before it answered for all tracks".to_owned())
                }
            };
            if let Some(error) = error {
                return Ok(Err(format!("{}: {error}", self.file)));
            }
        }
    }

    /// Reports the answer to a track.
    fn answer(
        &mut self,
        track: Option<SentTrack>,
        answer: PathAnswer,
    ) -> io::Result<Result<(), String>> {
        let PathAnswer { path_id, outcome, .. } = answer;
        let Some(track) = track.filter(|track| track.number.to_string() == path_id) else {
            return Ok(Err(format!("the server sent an answer for the unknown path {path_id:?}")));
        };
        let number = track.number;
        let summary = match outcome {
            Ok(summary) => summary,
            Err(refusal) => return Ok(Err(format!("track {number}: {refusal}"))),
        };
        if let Err(error) = self.totals.add(&summary) {
            return Ok(Err(format!("track {number}: the total cannot be computed: {error}")));
        }
        self.track_count += 1;
        let (file, info) = (self.file, &track.info);
        self.report.track(&Track { file, number, info, summary, notes: &[] })?;
        Ok(Ok(()))
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
            let sent = SentTrack { number: 1, info: Box::default() };
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
                    metric: Metric::Geodesic,
                    units: Units::default(),
                },
                [file].into_iter(),
            ),
            file,
            totals: Totals::new(Metric::Geodesic),
            track_count: 0,
        };
        let stall_detector = StallDetector::default();
        let result = run.report_answers(received, answers, &stall_detector).await.unwrap();
        assert_eq!((result, run.track_count), (Ok(()), 1));
    }
}
