//! Reads a track file on a thread and passes its content through a bounded channel.
//!
//! Every command that sends tracks to a server uses this reader. A slow consumer slows the reading down, and
//! a consumer that drops the [`TrackReader`] stops it. The file is never in memory as a whole.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::vec;

use tokio::sync::mpsc;

use super::input;
use super::progress::Progress;
use crate::formats::{
    self, FormatError, Note, ReadOptions, SinkError, TrackInfo, TrackKind, TrackSink,
};
use crate::measure::Fix;

/// Maximum number of fixes and events in a batch.
const BATCH_SIZE_MAX: usize = 1024;
/// Maximum number of batches that wait for the consumer.
const BATCHES_MAX: usize = 4;

/// A file to read.
pub(super) struct ReadRequest {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// Standard input, or `None` if another request has used it.
    pub stdin: Option<Box<dyn Read + Send>>,
    pub options: ReadOptions,
    /// Counts the bytes that are read.
    pub progress: Option<Arc<Progress>>,
}

/// A part of the content of a file. Tracks are counted from 0.
#[derive(Debug, PartialEq)]
pub(super) enum ReaderEvent {
    TrackStart {
        track: usize,
        kind: TrackKind,
    },
    /// The next fixes of a track, at least one. Only the first can start a segment, and the first fix of a
    /// track always does ([`Fix::starts_segment`]).
    Fixes {
        track: usize,
        fixes: Vec<Fix>,
    },
    TrackEnd {
        track: usize,
        info: Box<TrackInfo>,
    },
    /// Something that was ignored, guessed, skipped or assumed.
    Note(Box<Note>),
    /// The last event of a file that was read completely.
    FileEnd,
    /// The last event of another file: an error message with the name of the file and the position.
    Failed(String),
}

/// The receiving end of a file that is being read.
pub(super) struct TrackReader {
    name: String,
    batches: mpsc::Receiver<Vec<ReaderEvent>>,
    batch: vec::IntoIter<ReaderEvent>,
}

impl TrackReader {
    /// Starts to open and read the file on a blocking thread of the current runtime.
    pub(super) fn start(request: ReadRequest) -> Self {
        let ReadRequest { file, mut stdin, options, progress } = request;
        let name = file.to_string_lossy().into_owned();
        Self::start_with(name, options, progress, move || input::open(&file, &mut stdin))
    }

    fn start_with(
        name: String,
        options: ReadOptions,
        progress: Option<Arc<Progress>>,
        open: impl FnOnce() -> Result<Box<dyn Read + Send>, FormatError> + Send + 'static,
    ) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let reader = Self { name: name.clone(), batches, batch: Vec::new().into_iter() };
        tokio::task::spawn_blocking(move || {
            let outbox = Rc::new(RefCell::new(Outbox { sender, batch: Vec::new(), size: 0 }));
            let read = open().and_then(|input| read(input, &options, progress, &outbox));
            let last = match read {
                Ok(()) => ReaderEvent::FileEnd,
                Err(error) => ReaderEvent::Failed(error.in_file(&name)),
            };
            let mut outbox = outbox.borrow_mut();
            // Fails if the reader was dropped, which needs no report.
            let _ = outbox.push(last).and_then(|()| outbox.flush());
        });
        reader
    }

    /// Returns the next event. Must not be called after the last event of the file.
    ///
    /// Cancel-safe: if the future is dropped, no event is lost.
    pub(super) async fn next(&mut self) -> ReaderEvent {
        loop {
            if let Some(event) = self.batch.next() {
                return event;
            }
            match self.batches.recv().await {
                Some(batch) => self.batch = batch.into_iter(),
                // The thread has panicked, or the last event was received before.
                None => {
                    let message = format!("{}: reading stopped unexpectedly", self.name);
                    return ReaderEvent::Failed(message);
                }
            }
        }
    }
}

fn read(
    input: impl Read,
    options: &ReadOptions,
    progress: Option<Arc<Progress>>,
    outbox: &Rc<RefCell<Outbox>>,
) -> Result<(), FormatError> {
    let mut sink =
        EventSink { outbox: Rc::clone(outbox), track_count: 0, track: 0, starts_segment: false };
    let input = FlushBeforeRead { input, outbox: Rc::clone(outbox) };
    match progress {
        Some(progress) => formats::read(input::buffered(progress.count(input)), options, &mut sink),
        None => formats::read(input::buffered(input), options, &mut sink),
    }
}

/// Collects events and sends them in batches.
struct Outbox {
    sender: mpsc::Sender<Vec<ReaderEvent>>,
    batch: Vec<ReaderEvent>,
    /// The events and fixes in the batch.
    size: usize,
}

impl Outbox {
    fn push(&mut self, event: ReaderEvent) -> Result<(), SinkError> {
        self.batch.push(event);
        self.grow()
    }

    fn push_fix(&mut self, track: usize, fix: Fix) -> Result<(), SinkError> {
        match self.batch.last_mut() {
            Some(ReaderEvent::Fixes { track: last, fixes })
                if *last == track && !fix.starts_segment() =>
            {
                fixes.push(fix);
            }
            _ => self.batch.push(ReaderEvent::Fixes { track, fixes: vec![fix] }),
        }
        self.grow()
    }

    fn grow(&mut self) -> Result<(), SinkError> {
        self.size += 1;
        if self.size < BATCH_SIZE_MAX { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.size = 0;
        let batch = std::mem::take(&mut self.batch);
        self.sender.blocking_send(batch).map_err(|_| SinkError::Stop)
    }
}

/// Sends the collected events before each read, because a pipe may be silent for a long time.
struct FlushBeforeRead<R> {
    input: R,
    outbox: Rc<RefCell<Outbox>>,
}

impl<R: Read> Read for FlushBeforeRead<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.outbox.borrow_mut().flush().map_err(io::Error::other)?;
        self.input.read(bytes)
    }
}

/// Turns the calls of a format reader into events.
struct EventSink {
    outbox: Rc<RefCell<Outbox>>,
    track_count: usize,
    /// The current track.
    track: usize,
    /// Whether the next fix starts a segment.
    starts_segment: bool,
}

impl TrackSink for EventSink {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.track = self.track_count;
        self.track_count += 1;
        self.outbox.borrow_mut().push(ReaderEvent::TrackStart { track: self.track, kind })
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.track = index;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.starts_segment = true;
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let starts_segment = std::mem::take(&mut self.starts_segment);
        let fix = if starts_segment { fix.starting_segment() } else { fix };
        self.outbox.borrow_mut().push_fix(self.track, fix)
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.fix(Fix::without_position())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.outbox.borrow_mut().push(ReaderEvent::Note(Box::new(note.clone())))
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        let info = Box::new(info.clone());
        self.outbox.borrow_mut().push(ReaderEvent::TrackEnd { track: self.track, info })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use tokio::sync::oneshot;

    use super::*;
    use crate::formats::TrackColumn;
    use crate::measure::Space;

    fn start(input: impl Read + Send + 'static, track_column: Option<&str>) -> TrackReader {
        let options = ReadOptions {
            space: Space::Planar,
            track_column: track_column
                .map_or(TrackColumn::None, |name| TrackColumn::Named(name.to_owned())),
            ..Default::default()
        };
        TrackReader::start_with("f".to_owned(), options, None, move || Ok(Box::new(input)))
    }

    /// Returns the events of a table up to the last one, as text.
    async fn events(table: &'static str, track_column: Option<&str>) -> String {
        let mut reader = start(table.as_bytes(), track_column);
        let mut text = String::new();
        loop {
            let event = reader.next().await;
            text += &match &event {
                ReaderEvent::Fixes { track, fixes } => {
                    let starts = if fixes[0].starts_segment() { "starts" } else { "continues" };
                    let x: Vec<_> = fixes.iter().map(|fix| fix.point().unwrap().x()).collect();
                    format!("track {track} {starts} {x:?}\n")
                }
                event => format!("{event:?}\n"),
            };
            if matches!(event, ReaderEvent::FileEnd | ReaderEvent::Failed(_)) {
                return text;
            }
        }
    }

    #[tokio::test]
    async fn rows_of_mixed_tracks_become_events_of_each_track() {
        insta::assert_snapshot!(events("id,x,y\nb,1,0\nb,2,0\na,3,0\nb,4,0\n", Some("id")).await, @r#"
        TrackStart { track: 0 }
        track 0 starts [1.0, 2.0]
        TrackStart { track: 1 }
        track 1 starts [3.0]
        track 0 continues [4.0]
        TrackEnd { track: 0, name: Some("b") }
        TrackEnd { track: 1, name: Some("a") }
        FileEnd
        "#);
    }

    #[tokio::test]
    async fn an_error_comes_after_the_fixes_before_it() {
        insta::assert_snapshot!(events("x,y,trip\n1,0,9\n2,-,9\n", None).await, @r#"
        Remark("all rows are read as one track; if the column \"trip\" identifies tracks, add --track-column \"trip\"")
        TrackStart { track: 0 }
        track 0 starts [1.0]
        Failed("f:3:2: the y \"-\" is not a number, in the column \"y\"")
        "#);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_an_error() {
        let file = PathBuf::from("nowhere.gpx");
        let options = ReadOptions::default();
        let mut reader =
            TrackReader::start(ReadRequest { file, stdin: None, options, progress: None });
        let message = "nowhere.gpx: cannot be read: there is no such file".to_owned();
        assert_eq!(reader.next().await, ReaderEvent::Failed(message));
    }

    /// Returns the bytes that it receives, and waits for them. Drops its sender with itself.
    struct Pipe(blocking::Receiver<&'static [u8]>, #[allow(dead_code)] oneshot::Sender<()>);

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.recv().unwrap_or_default();
            out[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[tokio::test]
    async fn fixes_are_sent_before_the_input_waits_and_a_dropped_reader_stops() {
        let (bytes, received) = blocking::channel::<&[u8]>();
        let (alive, ended) = oneshot::channel();
        let mut reader = start(Pipe(received, alive), None);
        bytes.send(b"x,y\n1,0\n2,0\n").unwrap();
        assert_eq!(
            reader.next().await,
            ReaderEvent::TrackStart { track: 0, kind: TrackKind::Track }
        );
        // The input waits now: the sender is still open.
        let ReaderEvent::Fixes { fixes, .. } = reader.next().await else { panic!() };
        assert_eq!(fixes.len(), 2);
        drop(reader);
        bytes.send(b"3,0\n").unwrap();
        assert!(ended.await.is_err());
    }
}
