//! `waywiser record --name`: a track file into a recording, again and again until it is there.
//!
//! A thread reads the file from its start and hands batches on; [`Recorder`](crate::client::Recorder)
//! passes over what the server has. A file that turns out to be broken leaves its recording unfinished.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use futures::StreamExt as _;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_stream::iter;

use super::input;
use super::record::RecordArgs;
use super::report::{Report, Style, Track, counted, harmless};
use super::{Outcome, complain};
use crate::checkpoint::PathName;
use crate::client::{Client, RecordEvent};
use crate::formats::{self, SinkError, TrackSink};
use crate::measure::{Fix, Space};

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
pub(super) async fn record(args: &RecordArgs, name: &PathName) -> io::Result<Outcome> {
    let Some(url) = &args.server else {
        let what = "a recording is kept by a server; say which one, as in --server";
        return complain(format_args!("{what} http://127.0.0.1:50051"));
    };
    let client = match Client::connect_lazy(url) {
        Ok(client) => client,
        Err(error) => return complain(format_args!("{error}")),
    };
    let file = args.file.to_string_lossy();
    let metric = args.metric();
    let pieces = match read(&args.file, args, metric.space()) {
        Ok(pieces) => pieces,
        Err(error) => return complain(format_args!("{file}: {error}")),
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
    let recorder = client.recorder(name.clone(), args.policy.options(metric));
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
        Err(error) => complain(format_args!("{error}")),
    }
}

/// One line that changes on a terminal; elsewhere only what went wrong, so that logs stay short.
fn tell(bar: &ProgressBar, event: &RecordEvent) {
    match event {
        RecordEvent::Connected { committed_points: 0 } => bar.set_message("recording"),
        RecordEvent::Connected { committed_points } => {
            let points = counted(*committed_points, "point");
            bar.set_message(format!("going on behind {points} that the server has"));
        }
        RecordEvent::Committed { committed_points } => {
            bar.set_message(format!("{} recorded", counted(*committed_points, "point")));
        }
        RecordEvent::Retrying { wait, reason } => {
            let text = format!("{}; trying again in {:.1} s", harmless(reason), wait.as_secs_f64());
            match bar.is_hidden() {
                true => eprintln!("note: {text}"),
                false => bar.set_message(text),
            }
        }
    }
    bar.tick();
}

fn read(
    file: &Path,
    args: &RecordArgs,
    space: Space,
) -> Result<mpsc::Receiver<Piece>, formats::FormatError> {
    let input = input::open(file, &mut Some(io::stdin()))?;
    let options = args.reading.options(space);
    let (pieces, received) = mpsc::channel(BATCHES_MAX);
    let mut sink = Fixes {
        pieces,
        batch: Vec::new(),
        space,
        wanted: args.track,
        track: 0,
        is_break: false,
        refusal: None,
    };
    tokio::task::spawn_blocking(move || {
        let read = formats::read(input::buffered(input), &options, &mut sink);
        let last = match (sink.refusal.take(), read) {
            (Some(refusal), _) => Piece::Failed(refusal),
            (None, Err(error)) => {
                let place = error.place().map_or(String::new(), |place| format!(":{place}"));
                Piece::Failed(format!("{place}: {error}"))
            }
            (None, Ok(())) if sink.wanted.is_some_and(|wanted| wanted > sink.track) => {
                Piece::Failed(format!(": it has {} only", counted(sink.track, "track")))
            }
            (None, Ok(())) => Piece::End,
        };
        // Nobody listens any more when the recording has failed.
        let _ = sink.flush().and_then(|()| sink.send(last));
    });
    Ok(received)
}

/// Hands on the fixes of one track.
struct Fixes {
    pieces: mpsc::Sender<Piece>,
    batch: Vec<Fix>,
    space: Space,
    /// Its count from 1; without one the file may have no other.
    wanted: Option<u64>,
    /// The count of the current track.
    track: u64,
    /// The next fix starts a segment.
    is_break: bool,
    /// Why the file is not for this command.
    refusal: Option<String>,
}

impl Fixes {
    fn send(&mut self, piece: Piece) -> Result<(), SinkError> {
        self.pieces.blocking_send(piece).map_err(|_| SinkError::Stop)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        match std::mem::take(&mut self.batch) {
            batch if batch.is_empty() => Ok(()),
            batch => self.send(Piece::Fixes(batch)),
        }
    }
}

impl TrackSink for Fixes {
    fn start_track(&mut self) -> Result<(), SinkError> {
        self.track += 1;
        if self.track > 1 && self.wanted.is_none() {
            let text =
                ": it has several tracks, and a recording is one; choose with --track 1, 2, ...";
            self.refusal = Some(text.to_owned());
            return Err(SinkError::Stop);
        }
        Ok(())
    }

    /// Only rows of a table with a column of tracks go from track to track, and none is asked for.
    fn switch_track(&mut self, _: usize) -> Result<(), SinkError> {
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.is_break = true;
        Ok(())
    }

    fn fix(&mut self, fix: formats::Fix) -> Result<(), SinkError> {
        let mut fix = fix.checked(self.space)?;
        if self.wanted.is_some_and(|wanted| wanted != self.track) {
            return Ok(());
        }
        if std::mem::take(&mut self.is_break) {
            fix = fix.starting_segment();
        }
        self.batch.push(fix);
        if self.batch.len() == BATCH_FIXES { self.flush() } else { Ok(()) }
    }

    fn end_track(&mut self, _: Option<&str>) -> Result<(), SinkError> {
        Ok(())
    }
}
