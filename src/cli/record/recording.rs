//! `waywiser record --name`: a track file into a recording, again and again until it is there.
//!
//! A thread reads the file from its start and hands batches on; [`Recorder`](crate::client::Recorder)
//! passes over what the server has. A file is looked through before anything is sent; standard input cannot be,
//! and leaves its recording unfinished where it is broken or has more than one track.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::rc::Rc;

use futures::StreamExt as _;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_stream::iter;

use super::RecordArgs;
use crate::cli::input;
use crate::cli::report::{Report, Style, Track, pluralize};
use crate::cli::{Outcome, fail, retry_note, stderr};
use crate::client::{Client, RecordEvent};
use crate::formats::{self, ReadOptions, SinkError, TrackSink};
use crate::measure::{Fix, Space};
use crate::recording::RecordingName;

/// Fixes in a batch, and batches that may wait.
const BATCH_FIXES: usize = 1024;
const BATCHES_MAX: usize = 4;

/// What the reading thread finds.
enum Piece {
    Fixes(Vec<Fix>),
    End,
    Failed(String),
}

/// Records the file and prints what it comes to.
pub(super) async fn record(
    args: &RecordArgs,
    name: &RecordingName,
    url: &str,
) -> io::Result<Outcome> {
    let client = match Client::connect_lazy(url) {
        Ok(client) => client,
        Err(error) => return fail(format_args!("{error}")),
    };
    let file = args.file.to_string_lossy();
    let metric = args.metric();
    if args.file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        let (path, options) = (args.file.clone(), args.reading.options(metric.space()));
        let look = move || Survey::of(&path, &options);
        let refusal = match tokio::task::spawn_blocking(look).await {
            Ok(survey) => survey.refusal(args.track),
            Err(_) => Some(": reading it stopped half-way".to_owned()),
        };
        if let Some(refusal) = refusal {
            return fail(format_args!("{file}{refusal}"));
        }
    }
    let pieces = match read(args, name, metric.space()) {
        Ok(pieces) => pieces,
        Err(error) => return fail(format_args!("{file}: {error}")),
    };
    let (failed, mut failures) = mpsc::channel::<String>(1);
    let fixes = futures::stream::unfold((pieces, failed), |(mut pieces, failed)| async {
        let why = match pieces.recv().await {
            Some(Piece::Fixes(fixes)) => return Some((iter(fixes), (pieces, failed))),
            Some(Piece::End) => return None,
            Some(Piece::Failed(why)) => why,
            None => ": reading it stopped half-way".to_owned(),
        };
        let _ = failed.send(why).await;
        // Never the end: that would finish the recording.
        std::future::pending().await
    });
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let line = bar.clone();
    let options = match args.policy.options(metric) {
        Ok(options) => options,
        Err(error) => return fail(format_args!("{error}")),
    };
    let recorder = client.recorder(name.clone(), options);
    let recorder = recorder.on_event(move |event| tell(&line, &event));
    let outcome = tokio::select! {
        outcome = recorder.record(fixes.flatten()) => outcome.map_err(|error| error.to_string()),
        // The reader hangs up when it is done, which is no failure.
        Some(why) = failures.recv() => Err(format!("{file}{why}")),
    };
    bar.finish_and_clear();
    match outcome {
        Ok(recorded) => {
            let mut out = io::stdout();
            let style = if args.json { Style::Json } else { Style::Details };
            let mut report = Report::new(&mut out, style, metric, [&*file].into_iter());
            let summary = recorded.summary;
            report.track(&Track { file: &file, number: 1, name: Some(name.as_str()), summary })?;
            out.flush()?;
            Ok(Outcome::Done)
        }
        Err(error) => fail(format_args!("{error}")),
    }
}

/// One line that changes on a terminal; elsewhere only what went wrong, so that logs stay short.
fn tell(bar: &ProgressBar, event: &RecordEvent) {
    match event {
        RecordEvent::Connected { committed_points: 0 } => bar.set_message("recording"),
        RecordEvent::Connected { committed_points } => {
            let points = pluralize(*committed_points, "point");
            bar.set_message(format!("going on behind {points} that the server has"));
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

/// What a file has, as far as is needed to say which track to choose.
struct Survey {
    /// The names of the first tracks and how many points they have.
    tracks: Vec<(Option<String>, u64)>,
    track_count: u64,
    point_count: u64,
    /// What is wrong with the file.
    error: Option<String>,
}

impl Survey {
    /// Tracks that are listed.
    const TRACKS_MAX: usize = 10;

    fn of(file: &Path, options: &ReadOptions) -> Self {
        let (tracks, error) = (Vec::new(), None);
        let mut survey = Self { tracks, track_count: 0, point_count: 0, error };
        let outcome = input::open(file, &mut None::<io::Stdin>)
            .and_then(|input| formats::read(input::buffered(input), options, &mut survey));
        survey.error = outcome.err().map(|error| error.in_file(""));
        survey
    }

    /// Why there is nothing to record, or more than one thing.
    fn refusal(self, wanted: Option<u64>) -> Option<String> {
        if self.error.is_some() {
            return self.error;
        }
        match wanted {
            Some(wanted) if wanted > self.track_count => return Some(too_few(self.track_count)),
            None if self.track_count > 1 => {}
            _ => return None,
        }
        let mut text = format!(
            ": it has {}, and a recording is one; choose one:",
            pluralize(self.track_count, "track")
        );
        for (number, (name, point_count)) in (1..).zip(&self.tracks) {
            let name = name.as_ref().map_or_else(String::new, |name| format!("{name}, "));
            text += &format!(" --track {number} ({name}{}),", pluralize(*point_count, "point"));
        }
        match self.track_count - self.tracks.len() as u64 {
            0 => drop(text.pop()),
            more => text += &format!(" or one of {more} more"),
        }
        Some(text)
    }
}

impl TrackSink for Survey {
    fn start_track(&mut self) -> Result<(), SinkError> {
        self.track_count += 1;
        self.point_count = 0;
        Ok(())
    }

    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        self.point_count += 1;
        Ok(())
    }

    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError> {
        if self.tracks.len() < Self::TRACKS_MAX {
            self.tracks.push((name.map(str::to_owned), self.point_count));
        }
        Ok(())
    }
}

/// There is no track of the wanted number.
fn too_few(track_count: u64) -> String {
    format!(": it has {} only", pluralize(track_count, "track"))
}

fn read(
    args: &RecordArgs,
    name: &RecordingName,
    space: Space,
) -> Result<mpsc::Receiver<Piece>, formats::FormatError> {
    let input = input::open(&args.file, &mut Some(io::stdin()))?;
    let options = args.reading.options(space);
    let (pieces, received) = mpsc::channel(BATCHES_MAX);
    let (name, wanted) = (name.clone(), args.track);
    tokio::task::spawn_blocking(move || {
        let outbox = Rc::new(RefCell::new(Outbox { pieces, batch: Vec::new() }));
        let input = HandsOn { input, outbox: Rc::clone(&outbox) };
        let mut sink = Fixes { outbox, name, wanted, track: 0, is_break: false, refusal: None };
        let read = formats::read(input::buffered(input), &options, &mut sink);
        let last = match (sink.refusal.take(), read) {
            (Some(refusal), _) => Piece::Failed(refusal),
            (None, Err(error)) => Piece::Failed(error.in_file("")),
            (None, Ok(())) if sink.wanted.is_some_and(|wanted| wanted > sink.track) => {
                Piece::Failed(too_few(sink.track))
            }
            (None, Ok(())) => Piece::End,
        };
        // Nobody listens any more when the recording has failed.
        let mut outbox = sink.outbox.borrow_mut();
        let _ = outbox.flush().and_then(|()| outbox.send(last));
    });
    Ok(received)
}

/// What was found and is not handed on yet.
struct Outbox {
    pieces: mpsc::Sender<Piece>,
    batch: Vec<Fix>,
}

impl Outbox {
    fn send(&self, piece: Piece) -> Result<(), SinkError> {
        self.pieces.blocking_send(piece).map_err(|_| SinkError::Stop)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        match std::mem::take(&mut self.batch) {
            batch if batch.is_empty() => Ok(()),
            batch => self.send(Piece::Fixes(batch)),
        }
    }
}

/// Hands on what was found before it reads more: a pipe may be silent for as long as it likes.
struct HandsOn<R> {
    input: R,
    outbox: Rc<RefCell<Outbox>>,
}

impl<R: Read> Read for HandsOn<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let stopped = |_| io::Error::other("nobody records it any more");
        self.outbox.borrow_mut().flush().map_err(stopped)?;
        self.input.read(bytes)
    }
}

/// Hands on the fixes of one track.
struct Fixes {
    outbox: Rc<RefCell<Outbox>>,
    name: RecordingName,
    /// Its count from 1; without one the file may have no other.
    wanted: Option<u64>,
    /// The count of the current track.
    track: u64,
    /// The next fix starts a segment.
    is_break: bool,
    /// Why the file is not for this command.
    refusal: Option<String>,
}

impl TrackSink for Fixes {
    fn start_track(&mut self) -> Result<(), SinkError> {
        self.track += 1;
        if self.track > 1 && self.wanted.is_none() {
            let name = &self.name;
            self.refusal = Some(format!(
                ": it has several tracks, and a recording is one: choose with --track 1, 2, ...; what the server \
                 has of the first as {name} goes with waywiser paths delete {name}"
            ));
            return Err(SinkError::Stop);
        }
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.is_break = true;
        Ok(())
    }

    fn fix(&mut self, mut fix: Fix) -> Result<(), SinkError> {
        if self.wanted.is_some_and(|wanted| wanted != self.track) {
            return Ok(());
        }
        if std::mem::take(&mut self.is_break) {
            fix = fix.starting_segment();
        }
        let mut outbox = self.outbox.borrow_mut();
        outbox.batch.push(fix);
        if outbox.batch.len() == BATCH_FIXES { outbox.flush() } else { Ok(()) }
    }
}
