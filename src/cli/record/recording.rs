//! `waywiser record --name`: writes one track into a recording, and reconnects until it is finished.
//!
//! The file is always read from its start; [`Recorder`](crate::client::Recorder) skips the points that the server has
//! already. `survey` checks a regular file before anything is sent. That is not possible for standard input, whose
//! recording stays unfinished if the input is broken or has more than one track.

use std::io::{self, IsTerminal, Write};

use futures::{Stream, StreamExt as _, stream};
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::args::RecordArgs;
use super::survey::{Survey, missing_track};
use crate::cli::input;
use crate::cli::report::{Report, ReportOptions, Style, Track, Units, pluralize};
use crate::cli::track_reader::{ReadRequest, ReaderEvent, TrackReader};
use crate::cli::{Outcome, fail, retry_note, stderr};
use crate::client::{Client, RecordEvent};
use crate::formats::TrackInfo;
use crate::measure::Fix;
use crate::recording::RecordingName;

/// Records the file and prints the summary.
///
/// # Errors
/// If standard output cannot be written.
pub(super) async fn record(
    args: &RecordArgs,
    name: &RecordingName,
    url: &str,
) -> io::Result<Outcome> {
    let client = match Client::connect_lazy(url) {
        Ok(client) => client,
        Err(error) => return fail(format_args!("{error}")),
    };
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => return fail(format_args!("{error}")),
    };
    let file = args.file.to_string_lossy();
    let metric = args.metric();
    let read_options = args.reading.options(metric.space());
    let is_file = args.file.metadata().is_ok_and(|metadata| metadata.is_file());
    if is_file && !input::is_stdin(&args.file) {
        let (path, options, wanted) = (args.file.clone(), read_options.clone(), args.track);
        let check = move || Survey::check(&path, &options, wanted);
        let stopped = |_| Err(format!("{file}: reading stopped unexpectedly"));
        if let Err(error) = tokio::task::spawn_blocking(check).await.unwrap_or_else(stopped) {
            return fail(format_args!("{error}"));
        }
    }
    let reader = TrackReader::start(ReadRequest {
        file: args.file.clone(),
        stdin: Some(Box::new(io::stdin())),
        options: read_options,
        progress: None,
    });
    let (failed, mut failures) = mpsc::channel(1);
    let source = Source {
        reader,
        file: file.clone().into_owned(),
        name: name.clone(),
        wanted: args.track,
        track_count: 0,
        failed,
    };
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let line = bar.clone();
    let recorder = client.recorder(name.clone(), options);
    let recorder = recorder.on_event(move |event| show(&line, &event));
    let outcome = tokio::select! {
        outcome = recorder.record(source.fixes()) => outcome.map_err(|error| error.to_string()),
        // The sender is dropped at the end of the file.
        Some(error) = failures.recv() => Err(error),
    };
    bar.finish_and_clear();
    match outcome {
        Ok(recorded) => {
            let mut out = io::stdout();
            let style = if args.json { Style::Json } else { Style::Details };
            let options = ReportOptions { style, metric, units: Units::default() };
            let mut report = Report::new(&mut out, options, [&*file].into_iter());
            let summary = recorded.summary;
            let info = TrackInfo { name: Some(name.as_str().to_owned()), ..TrackInfo::default() };
            report.track(&Track { file: &file, number: 1, info: &info, summary, notes: &[] })?;
            out.flush()?;
            Ok(Outcome::Done)
        }
        Err(error) => fail(format_args!("{error}")),
    }
}

/// Shows the progress on one line of a terminal. Elsewhere, prints only errors, so that logs stay short.
fn show(bar: &ProgressBar, event: &RecordEvent) {
    match event {
        RecordEvent::Connected { committed_points: 0 } => bar.set_message("recording"),
        RecordEvent::Connected { committed_points } => {
            let points = pluralize(*committed_points, "point");
            bar.set_message(format!("resuming after {points} that the server has"));
        }
        RecordEvent::Committed { committed_points } => {
            bar.set_message(format!("{} recorded", pluralize(*committed_points, "point")));
        }
        RecordEvent::Retrying { wait, reason } => {
            let text = retry_note(reason, *wait);
            match bar.is_hidden() {
                true => stderr::print(format_args!("note: {text}")),
                false => bar.set_message(text),
            }
        }
    }
    bar.tick();
}

/// The fixes of one track of a file.
struct Source {
    reader: TrackReader,
    file: String,
    name: RecordingName,
    /// The number of the track, from 1. Without it, the file must have only one track.
    wanted: Option<u64>,
    track_count: u64,
    /// Receives the error of the file.
    failed: mpsc::Sender<String>,
}

impl Source {
    /// Returns the fixes. The stream ends at the end of the file. After an error it stays pending, because its end
    /// would finish the recording.
    fn fixes(self) -> impl Stream<Item = Fix> + Send {
        let batches = stream::unfold(self, |mut source| async move {
            match source.next_batch().await {
                Ok(batch) => Some((stream::iter(batch?), source)),
                Err(error) => {
                    let _ = source.failed.send(error).await;
                    std::future::pending().await
                }
            }
        });
        batches.flatten()
    }

    /// Returns the next fixes of the track, or `None` at the end of the file. An error contains the name of the file.
    async fn next_batch(&mut self) -> Result<Option<Vec<Fix>>, String> {
        loop {
            match self.reader.next().await {
                ReaderEvent::TrackStart { .. } => {
                    self.track_count += 1;
                    if self.track_count > 1 && self.wanted.is_none() {
                        return Err(self.several_tracks());
                    }
                }
                ReaderEvent::Fixes { fixes, .. } => {
                    if self.wanted.is_none_or(|wanted| wanted == self.track_count) {
                        return Ok(Some(fixes));
                    }
                }
                ReaderEvent::TrackEnd { .. } => {}
                ReaderEvent::Note(remark) => {
                    stderr::print(format_args!("note: {}: {remark}", self.file));
                }
                ReaderEvent::FileEnd => {
                    return match self.wanted {
                        Some(wanted) if wanted > self.track_count => {
                            let message = missing_track(wanted, self.track_count);
                            Err(format!("{}: {message}", self.file))
                        }
                        _ => Ok(None),
                    };
                }
                ReaderEvent::Failed(error) => return Err(error),
            }
        }
    }

    fn several_tracks(&self) -> String {
        let Self { file, name, .. } = self;
        format!(
            "{file}: the file has several tracks, and a recording has one; choose a track with --track 1, 2, ...; \
             waywiser paths delete {name} deletes what was recorded of the first track"
        )
    }
}
