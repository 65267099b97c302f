//! `waywiser record --name`: writes one track into a recording, and reconnects until it is finished.
//!
//! The file is always read from its start; [`Recorder`](crate::client::Recorder) skips the points that the server has
//! already. `survey` checks a regular file before anything is sent. That is not possible for standard input, whose
//! recording stays unfinished if the input is broken or has more than one track.

use std::io::{self, Write};
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::args::RecordArgs;
use super::survey::{Survey, missing_track};
use crate::cli::flags;
use crate::cli::input::{self, Input, Stdin};
use crate::cli::notes::{self, NoteList, PresetCheck, track_label};
use crate::cli::outage::{self, Outage};
use crate::cli::policy::FilledOptions;
use crate::cli::progress::Progress;
use crate::cli::report::{
    Names, Report, ReportOptions, Style, Track, Units, escape_control, pluralize,
};
use crate::cli::track_reader::{ReadRequest, ReaderEvent, TrackReader};
use crate::cli::{Outcome, fail, terminal};
use crate::client::{ClientError, RecordError, RecordEvent, RetryPolicy};
use crate::formats::{Note, TrackInfo};
use crate::measure::Fix;
use crate::recording::RecordingName;

/// Records the file and prints the summary.
///
/// # Errors
/// If standard output cannot be written.
pub(super) async fn record(
    args: &RecordArgs,
    options: FilledOptions,
    name: &RecordingName,
    url: &str,
) -> io::Result<Outcome> {
    let client = args
        .connect
        .client(url)
        .and_then(|builder| builder.connect_lazy().map_err(|error| args.connect.explain(&error)));
    let client = match client {
        Ok(client) => client,
        Err(error) => return fail(format_args!("{error}")),
    };
    let input = Input::named(&args.file);
    let file = input::display_name(&args.file);
    let read_options = args.read_options();
    let wanted = args.track.map(|number| number as u64);
    if input.is_regular_file() {
        let (input, options, wanted) = (input.clone(), read_options.clone(), wanted);
        let check = move || Survey::check(&input, &options, wanted);
        let stopped = |_| Err(format!("{file}: reading stopped unexpectedly"));
        if let Err(error) = tokio::task::spawn_blocking(check).await.unwrap_or_else(stopped) {
            return fail(format_args!("{error}"));
        }
    }
    let is_strict = read_options.is_strict;
    let reader = TrackReader::start(ReadRequest {
        input,
        stdin: Stdin::of_process(),
        options: read_options,
        progress: Arc::new(Progress::hidden()),
    });
    let (failed, mut failures) = mpsc::channel(1);
    let (ended, mut tracks) = mpsc::channel(1);
    let source = Source {
        reader,
        file: file.clone(),
        options,
        is_strict,
        notes: NoteList::default(),
        name: name.clone(),
        wanted,
        track_count: 0,
        file_track: 0,
        failed,
        ended,
    };
    let bar = status_line();
    let mut status = Status { bar: bar.clone(), outage: Outage::default() };
    let policy = RetryPolicy::default();
    let retry_for = args.retry_for.map(|time| time.0);
    let recorder = client
        .recorder(name.clone(), options.all)
        .retry_policy(RetryPolicy { budget: retry_for.unwrap_or(policy.budget), ..policy })
        .first_connection_budget(retry_for.unwrap_or_default())
        .on_event(move |event| status.show(&event));
    let outcome = tokio::select! {
        outcome = recorder.record(source.fixes()) => outcome.map_err(|error| explain(args, &error)),
        // The sender is dropped at the end of the file.
        Some(error) = failures.recv() => Err(error),
    };
    bar.finish_and_clear();
    match outcome {
        Ok(recorded) => {
            let mut out = io::stdout();
            let style = if args.json { Style::Json } else { Style::Details };
            let names = Names::on(&out);
            let options =
                ReportOptions { style, measure: options.all, units: Units::default(), names };
            let mut report = Report::new(&mut out, options, [&*file].into_iter());
            let summary = recorded.summary;
            // Missing if the recording was finished before the end of the file was read.
            let (mut info, mut notes) = tracks.try_recv().unwrap_or_default();
            info.name = Some(name.as_str().to_owned());
            if let Some(note) = notes::rejected_points(None, &summary) {
                super::note(&notes::text(&file, Some(name.as_str()), &note));
                notes.push(note);
            }
            report.track(&Track { file: &file, number: 1, info: &info, summary, notes: &notes })?;
            out.flush()?;
            Ok(Outcome::Done)
        }
        Err(error) => fail(format_args!("{error}")),
    }
}

/// Returns the message of an error, with what to do about it.
fn explain(args: &RecordArgs, error: &RecordError) -> String {
    let text = flags::explain(error);
    match error {
        RecordError::Refused { source: source @ ClientError::Connect { .. }, .. }
            if args.retry_for.is_none() && source.is_refused() =>
        {
            format!("{text} --retry-for 5m waits for it")
        }
        RecordError::Refused { source, .. }
        | RecordError::RetryTooLate { source, .. }
        | RecordError::TimedOut { source, .. } => match args.connect.credentials().advice(source) {
            Some(advice) => format!("{text}; {advice}"),
            None => text,
        },
        _ => text,
    }
}

/// Returns the line of a terminal that shows the progress. It is hidden elsewhere.
fn status_line() -> ProgressBar {
    if !terminal::can_update(&io::stderr()) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The progress of a recording: one line on a terminal. Elsewhere only outages are printed, so that logs stay short.
struct Status {
    bar: ProgressBar,
    outage: Outage,
}

impl Status {
    fn show(&mut self, event: &RecordEvent) {
        match event {
            RecordEvent::Connected { committed_points } => {
                if self.outage.end() && self.bar.is_hidden() {
                    let points = pluralize(*committed_points, "point");
                    super::note(&format!("connected again; the server has {points}"));
                }
                self.bar.set_message(match committed_points {
                    0 => "recording".to_owned(),
                    points => {
                        format!(
                            "resuming after {} that the server has",
                            pluralize(*points, "point")
                        )
                    }
                });
            }
            RecordEvent::Committed { committed_points } => {
                self.bar.set_message(format!("{} recorded", pluralize(*committed_points, "point")));
            }
            RecordEvent::Retrying { wait, reason } => {
                let note = self.outage.note(reason, *wait);
                match self.bar.is_hidden() {
                    true => note.iter().for_each(|note| super::note(note)),
                    false => self.bar.set_message(
                        escape_control(&outage::retry_text(reason, *wait)).into_owned(),
                    ),
                }
            }
        }
        self.bar.tick();
    }
}

/// The fixes of one track of a file.
struct Source {
    reader: TrackReader,
    /// The current file.
    file: String,
    options: FilledOptions,
    is_strict: bool,
    notes: NoteList,
    name: RecordingName,
    /// The number of the track, from 1. Without it, the file must have only one track.
    wanted: Option<u64>,
    track_count: u64,
    /// The number of tracks in the files before the current one.
    file_track: u64,
    /// Receives the error of the file.
    failed: mpsc::Sender<String>,
    /// Receives the properties of the recorded track and the notes on it.
    ended: mpsc::Sender<(TrackInfo, Vec<Note>)>,
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
                ReaderEvent::FileStart(file) => {
                    (self.file, self.file_track) = (file, self.track_count);
                }
                ReaderEvent::TrackStart { .. } => {
                    self.track_count += 1;
                    if self.track_count > 1 && self.wanted.is_none() {
                        return Err(self.several_tracks());
                    }
                }
                ReaderEvent::Fixes { track, fixes } => {
                    if self.is_wanted(track) {
                        return Ok(Some(fixes));
                    }
                }
                ReaderEvent::TrackEnd { track, info, notes } => {
                    if self.is_wanted(track) {
                        self.add_notes(track, &info, &notes)?;
                    }
                }
                ReaderEvent::Note(note) => self.notes.add(notes::text(&self.file, None, &note)),
                ReaderEvent::FileEnd(end) => {
                    self.notes.take(&self.file).iter().for_each(|text| super::note(text));
                    if let Some(error) = super::file_failure(&self.file, end, self.is_strict) {
                        return Err(error);
                    }
                }
                ReaderEvent::InputEnd => {
                    return match self.wanted {
                        Some(wanted) if wanted > self.track_count => {
                            let message = missing_track(wanted, self.track_count);
                            Err(format!("{}: {message}", self.file))
                        }
                        _ => Ok(None),
                    };
                }
            }
        }
    }

    /// Returns whether a track of the current file is recorded.
    fn is_wanted(&self, track: usize) -> bool {
        self.wanted.is_none_or(|wanted| wanted == self.file_track + track as u64 + 1)
    }

    /// Adds the notes on the recorded track.
    ///
    /// # Errors
    /// With --strict, if a filter has no effect.
    fn add_notes(&mut self, track: usize, info: &TrackInfo, notes: &[Note]) -> Result<(), String> {
        let label = track_label(track as u64 + 1, info);
        self.notes.add_all(&self.file, Some(&label), notes);
        let unused = notes::unused_options(Some(track), info, &self.options.given);
        if self.is_strict
            && let Some(note) = unused.first()
        {
            let text = notes::text(&self.file, Some(&label), note);
            return Err(format!("{text}; --strict makes this an error"));
        }
        self.notes.add_all(&self.file, Some(&label), &unused);
        let mut preset_check = PresetCheck::default();
        preset_check.add(info);
        self.notes.add_all(&self.file, None, preset_check.note(&self.options).as_slice());
        // There is one recorded track, so the channel has space for it.
        let _ = self.ended.try_send((info.clone(), [notes, &unused].concat()));
        Ok(())
    }

    fn several_tracks(&self) -> String {
        let Self { file, name, .. } = self;
        format!(
            "{file}: the file has several tracks, and a recording has one; choose a track with --track 1, 2, ...; \
             waywiser paths delete {name} deletes what was recorded of the first track"
        )
    }
}
