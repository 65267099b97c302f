//! Reads an input on a thread and passes its content through a bounded channel.
//!
//! Every command that sends tracks to a server uses this reader. A slow consumer slows the reading down, and
//! a consumer that drops the [`TrackReader`] stops it. The file is never in memory as a whole.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::input::{self, FileEnd, FileSink, Input, Reading, Stdin};
use super::progress::Progress;
use crate::formats::{Note, ReadOptions, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::Fix;

/// Maximum number of fixes and events in a batch.
const BATCH_SIZE_MAX: usize = 1024;
/// Maximum number of batches that wait for the consumer.
const BATCHES_MAX: usize = 4;

/// An input to read.
pub(super) struct ReadRequest {
    pub input: Input,
    pub stdin: Stdin,
    pub options: ReadOptions,
    /// Counts the bytes that are read.
    pub progress: Arc<Progress>,
}

/// A part of the content of an input. The tracks of each file are counted from 0.
#[derive(Debug, PartialEq)]
pub(super) enum ReaderEvent {
    /// The start of a file. An input has several files if it is an archive.
    FileStart(String),
    TrackStart {
        track: usize,
        kind: TrackKind,
    },
    /// The next fixes of a track, at least one. Only the first can start a segment, and the first fix of a
    /// track with a valid position always does ([`Fix::starts_segment`]).
    Fixes {
        track: usize,
        fixes: Vec<Fix>,
    },
    TrackEnd {
        track: usize,
        info: Box<TrackInfo>,
        /// The notes on the track.
        notes: Vec<Note>,
    },
    /// A note on the file.
    Note(Box<Note>),
    FileEnd(FileEnd),
    /// The last event.
    InputEnd,
}

/// The receiving end of an input that is being read.
pub(super) struct TrackReader {
    name: String,
    batches: mpsc::Receiver<Vec<ReaderEvent>>,
    batch: VecDeque<ReaderEvent>,
    is_in_file: bool,
}

impl TrackReader {
    /// Starts to open and read the input on a blocking thread of the current runtime.
    pub(super) fn start(request: ReadRequest) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let name = request.input.name().to_owned();
        let reader = Self { name, batches, batch: VecDeque::new(), is_in_file: false };
        tokio::task::spawn_blocking(move || read(&request, sender));
        reader
    }

    /// Returns the next event. Must not be called after the last event of the input.
    ///
    /// Cancel-safe: if the future is dropped, no event is lost.
    pub(super) async fn next(&mut self) -> ReaderEvent {
        loop {
            if let Some(event) = self.batch.pop_front() {
                match event {
                    ReaderEvent::FileStart(_) => self.is_in_file = true,
                    ReaderEvent::FileEnd(_) => self.is_in_file = false,
                    _ => {}
                }
                return event;
            }
            match self.batches.recv().await {
                Some(batch) => self.batch = batch.into(),
                // The thread has panicked, or the last event was received before.
                None => {
                    let name = &self.name;
                    if !self.is_in_file {
                        self.batch.push_back(ReaderEvent::FileStart(name.clone()));
                    }
                    let message = format!("{name}: reading stopped unexpectedly");
                    self.batch.push_back(ReaderEvent::FileEnd(FileEnd::Failed(message)));
                    self.batch.push_back(ReaderEvent::InputEnd);
                }
            }
        }
    }
}

fn read(request: &ReadRequest, sender: mpsc::Sender<Vec<ReaderEvent>>) {
    let outbox = Rc::new(RefCell::new(Outbox { sender, batch: Vec::new(), size: 0 }));
    let mut sink = EventSink::new(Rc::clone(&outbox));
    let reading = Reading {
        options: &request.options,
        stdin: &request.stdin,
        progress: &request.progress,
        // A pipe may be silent for a long time.
        before_read: &|| outbox.borrow_mut().flush().map_err(io::Error::other),
    };
    // Fails if the reader was dropped, which needs no report.
    let _ = input::read(&request.input, &reading, &mut sink).map(|()| {
        request.progress.file_done();
        let mut outbox = outbox.borrow_mut();
        outbox.push(ReaderEvent::InputEnd).and_then(|()| outbox.flush())
    });
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

/// Turns the calls of a format reader into events.
struct EventSink {
    outbox: Rc<RefCell<Outbox>>,
    track_count: usize,
    /// The current track.
    track: usize,
    /// Whether the next fix starts a segment.
    starts_segment: bool,
    /// The notes on the track that ends next.
    notes: Vec<Note>,
}

impl EventSink {
    fn new(outbox: Rc<RefCell<Outbox>>) -> Self {
        Self { outbox, track_count: 0, track: 0, starts_segment: false, notes: Vec::new() }
    }
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
        // The next fix starts the segment.
        self.outbox.borrow_mut().push_fix(self.track, Fix::without_position())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        if note.track.is_some() {
            self.notes.push(note.clone());
            return Ok(());
        }
        self.outbox.borrow_mut().push(ReaderEvent::Note(Box::new(note.clone())))
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        let (track, info) = (self.track, Box::new(info.clone()));
        let notes = std::mem::take(&mut self.notes);
        self.outbox.borrow_mut().push(ReaderEvent::TrackEnd { track, info, notes })
    }
}

impl FileSink for EventSink {
    fn start_file(&mut self, name: &str) -> Result<(), SinkError> {
        *self = Self::new(Rc::clone(&self.outbox));
        self.outbox.borrow_mut().push(ReaderEvent::FileStart(name.to_owned()))
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        self.outbox.borrow_mut().push(ReaderEvent::FileEnd(end))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;
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
        TrackReader::start(ReadRequest {
            input: Input::named(Path::new("-")),
            stdin: Stdin::new(input),
            options,
            progress: Arc::new(Progress::hidden()),
        })
    }

    /// Returns the events of a table up to the last one, as text.
    async fn events(table: &'static str, track_column: Option<&str>) -> String {
        let mut reader = start(table.as_bytes(), track_column);
        let mut text = String::new();
        loop {
            text += &match reader.next().await {
                ReaderEvent::Fixes { track, fixes } => {
                    let starts = if fixes[0].starts_segment() { "starts" } else { "continues" };
                    let x: Vec<_> =
                        fixes.iter().map(|fix| fix.point().map(|point| point.x())).collect();
                    format!("track {track} {starts} {x:?}\n")
                }
                ReaderEvent::TrackEnd { track, info, notes } => {
                    let notes: Vec<_> = notes.iter().map(|note| note.kind.id()).collect();
                    format!("end of track {track} {:?} {notes:?}\n", info.name)
                }
                ReaderEvent::Note(note) => format!("note: {note}\n"),
                ReaderEvent::InputEnd => return text,
                event => format!("{event:?}\n"),
            };
        }
    }

    #[tokio::test]
    async fn rows_of_mixed_tracks_become_events_of_each_track() {
        insta::assert_snapshot!(events("id,lon,lat\nb,1,0\nb,2,0\na,3,0\nb,4,0\n", Some("id")).await, @r#"
        FileStart("-")
        TrackStart { track: 0, kind: Track }
        track 0 starts [Some(1.0), Some(2.0)]
        TrackStart { track: 1, kind: Track }
        track 1 starts [Some(3.0)]
        track 0 continues [Some(4.0)]
        end of track 0 Some("b") []
        end of track 1 Some("a") []
        FileEnd(Complete)
        "#);
    }

    #[tokio::test]
    async fn a_point_without_a_position_keeps_its_place() {
        insta::assert_snapshot!(events("lon,lat\n,0\n1,0\n-,9\n2,0\n", None).await, @r#"
        FileStart("-")
        TrackStart { track: 0, kind: Track }
        track 0 continues [None]
        track 0 starts [Some(1.0), None, Some(2.0)]
        end of track 0 None ["invalid_position"]
        FileEnd(Complete)
        "#);
    }

    #[tokio::test]
    async fn an_error_comes_after_the_fixes_before_it() {
        let cut = "<gpx><trk><trkseg><trkpt lat='0' lon='1'/>\n<trk";
        let events = events(cut, None).await;
        let lines: Vec<_> = events.lines().collect();
        assert_eq!(lines[2..4], ["track 0 starts [Some(1.0)]", "end of track 0 None []"]);
        // The option for tables causes a note.
        assert_eq!(lines[4], "note: --track-column had no effect: the file is not a table");
        assert!(lines[5].starts_with("FileEnd(Failed(\"-:2:1: "), "{events}");
        assert_eq!(lines.len(), 6);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_an_error() {
        let mut reader = TrackReader::start(ReadRequest {
            input: Input::named(Path::new("nowhere.gpx")),
            stdin: Stdin::new(io::empty()),
            options: ReadOptions::default(),
            progress: Arc::new(Progress::hidden()),
        });
        assert_eq!(reader.next().await, ReaderEvent::FileStart("nowhere.gpx".to_owned()));
        let message = "nowhere.gpx: cannot be read: there is no such file".to_owned();
        assert_eq!(reader.next().await, ReaderEvent::FileEnd(FileEnd::Failed(message)));
        assert_eq!(reader.next().await, ReaderEvent::InputEnd);
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_an_error() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("a fault of the reader")
            }
        }
        let mut reader = start(Panics, None);
        assert_eq!(reader.next().await, ReaderEvent::FileStart("-".to_owned()));
        let message = "-: reading stopped unexpectedly".to_owned();
        assert_eq!(reader.next().await, ReaderEvent::FileEnd(FileEnd::Failed(message)));
        assert_eq!(reader.next().await, ReaderEvent::InputEnd);
    }

    /// Returns the bytes that it receives, and waits for them. Drops its sender with itself.
    struct Pipe {
        received: blocking::Receiver<&'static [u8]>,
        rest: &'static [u8],
        _alive: oneshot::Sender<()>,
    }

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.rest.is_empty() {
                self.rest = self.received.recv().unwrap_or_default();
            }
            self.rest.read(out)
        }
    }

    #[tokio::test]
    async fn fixes_are_sent_before_the_input_waits_and_a_dropped_reader_stops() {
        let (bytes, received) = blocking::channel::<&[u8]>();
        let (_alive, ended) = oneshot::channel();
        let mut reader = start(Pipe { received, rest: b"", _alive }, None);
        bytes.send(b"lon,lat\n1,0\n2,0\n").unwrap();
        assert_eq!(reader.next().await, ReaderEvent::FileStart("-".to_owned()));
        assert_eq!(
            reader.next().await,
            ReaderEvent::TrackStart { track: 0, kind: TrackKind::Track }
        );
        // The input waits after the second fix: the sender is still open.
        let mut count = 0;
        while count < 2 {
            let ReaderEvent::Fixes { fixes, .. } = reader.next().await else { panic!() };
            count += fixes.len();
        }
        drop(reader);
        bytes.send(b"3,0\n").unwrap();
        assert!(ended.await.is_err());
    }
}
