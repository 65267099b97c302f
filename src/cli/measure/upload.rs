//! Sends the tracks of files to a server. Turns the events of the track reader into parts of paths, and lists
//! the answers to expect. It knows no connection: `remote.rs` makes the call.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::input::{FileEnd, Input, Stdin};
use crate::cli::progress::Progress;
use crate::cli::stall_detector::StallDetector;
use crate::cli::track_queue::{PART_FIXES, QueuedPart, TrackEnd, TrackQueue};
use crate::cli::track_reader::{ReadRequest, ReaderEvent, TrackReader};
use crate::client::PathPart;
use crate::formats::{Note, ReadOptions, TrackInfo};
use crate::measure::{Fix, Options};

/// Maximum number of parts that wait for the connection.
const PARTS_MAX: usize = 4;
/// Maximum number of tracks that were sent and not reported yet.
const EXPECTED_MAX: usize = 1024;

/// Inputs to send, and how to read and measure them.
pub(super) struct Upload {
    pub inputs: Vec<Input>,
    pub stdin: Stdin,
    pub options: Options,
    pub read_options: ReadOptions,
    pub progress: Arc<Progress>,
    pub stall_detector: Arc<StallDetector>,
}

/// An answer to expect, or an event of the input between answers, in the order of the input.
#[derive(Debug, PartialEq)]
pub(super) enum ExpectedAnswer {
    FileStart(String),
    /// An answer about a complete track.
    Track {
        path_id: String,
        number: u64,
        info: Box<TrackInfo>,
        notes: Vec<Note>,
    },
    /// An answer, at any later time, about a track whose last part is not sent.
    Unfinished {
        path_id: String,
    },
    /// A note on the file.
    Note(Box<Note>),
    FileEnd(FileEnd),
    /// All files of an input were sent.
    InputEnd,
}

/// The call has ended, so nothing more can be sent. The receiver of the answers reports the reason.
#[derive(Debug)]
struct CallEnded;

/// Starts to send files. Returns the parts for the call, and the answers to expect.
pub(super) fn start(
    upload: Upload,
) -> (impl Stream<Item = PathPart> + Send + use<>, mpsc::Receiver<ExpectedAnswer>) {
    let stall_detector = Arc::clone(&upload.stall_detector);
    let (parts, received_parts) = mpsc::channel(PARTS_MAX);
    let (expected, received_expected) = mpsc::channel(EXPECTED_MAX);
    tokio::spawn(async move {
        let _ = send_files(upload, &parts, &expected).await;
        // The stream of parts ends last: when the call ends regularly, all expected answers are known.
        drop(expected);
        drop(parts);
    });
    (count_taken(received_parts, stall_detector), received_expected)
}

/// Reports each part to the stall detector when the connection takes it.
fn count_taken(
    parts: mpsc::Receiver<PathPart>,
    stall_detector: Arc<StallDetector>,
) -> impl Stream<Item = PathPart> + Send + use<> {
    ReceiverStream::new(parts).inspect(move |_| stall_detector.part_taken())
}

async fn send_files(
    upload: Upload,
    parts: &mpsc::Sender<PathPart>,
    expected: &mpsc::Sender<ExpectedAnswer>,
) -> Result<(), CallEnded> {
    let Upload { inputs, stdin, options, read_options, progress, stall_detector } = upload;
    let mut sender =
        Sender { parts, expected, options, stall_detector, path_count: 0, sent_path_id: None };
    for input in inputs {
        let (stdin, options, progress) =
            (stdin.clone(), read_options.clone(), Arc::clone(&progress));
        let reader = TrackReader::start(ReadRequest { input, stdin, options, progress });
        sender.send_input(reader).await?;
    }
    Ok(())
}

/// The sending ends of both channels.
struct Sender<'a> {
    parts: &'a mpsc::Sender<PathPart>,
    expected: &'a mpsc::Sender<ExpectedAnswer>,
    options: Options,
    stall_detector: Arc<StallDetector>,
    path_count: u64,
    /// The path of the first track in the queue, if a part of it was sent.
    sent_path_id: Option<String>,
}

impl Sender<'_> {
    async fn send_input(&mut self, mut reader: TrackReader) -> Result<(), CallEnded> {
        let (mut queue, mut name) = (TrackQueue::default(), String::new());
        // Whether the rest of the current file is ignored.
        let mut is_given_up = false;
        loop {
            match reader.next().await {
                ReaderEvent::FileStart(file) => {
                    (queue, name, is_given_up) = (TrackQueue::default(), file.clone(), false);
                    self.expect(ExpectedAnswer::FileStart(file)).await?;
                }
                ReaderEvent::InputEnd => return self.expect(ExpectedAnswer::InputEnd).await,
                _ if is_given_up => {}
                ReaderEvent::TrackStart { .. } => queue.start(),
                ReaderEvent::Fixes { track, fixes } => {
                    queue.add(track, fixes);
                    self.send_ready(&mut queue).await?;
                    if let Some(message) = queue.overflow(&name) {
                        self.end_file(FileEnd::Failed(message)).await?;
                        is_given_up = true;
                    }
                }
                ReaderEvent::TrackEnd { track, info, notes } => {
                    queue.end(track, TrackEnd { info, notes });
                    self.send_ready(&mut queue).await?;
                }
                ReaderEvent::Note(note) => self.expect(ExpectedAnswer::Note(note)).await?,
                // The error of the call is reported instead of that of the file.
                ReaderEvent::FileEnd(FileEnd::Failed(_)) if self.parts.is_closed() => {
                    return Err(CallEnded);
                }
                ReaderEvent::FileEnd(end) => self.end_file(end).await?,
            }
        }
    }

    async fn end_file(&mut self, end: FileEnd) -> Result<(), CallEnded> {
        if let Some(path_id) = self.sent_path_id.take() {
            self.expect(ExpectedAnswer::Unfinished { path_id }).await?;
        }
        self.expect(ExpectedAnswer::FileEnd(end)).await
    }

    /// Sends the full parts of the first track and, after its end, the rest of it and the next track.
    async fn send_ready(&mut self, queue: &mut TrackQueue) -> Result<(), CallEnded> {
        while let Some(part) = queue.take_part(PART_FIXES) {
            let path_id = match &self.sent_path_id {
                Some(path_id) => path_id.clone(),
                None => {
                    self.path_count += 1;
                    self.path_count.to_string()
                }
            };
            match part {
                QueuedPart::Fixes(fixes) => {
                    self.sent_path_id = Some(path_id.clone());
                    self.part(path_id, fixes, false).await?;
                }
                QueuedPart::End(number, TrackEnd { info, notes }) => {
                    self.sent_path_id = None;
                    self.part(path_id.clone(), Vec::new(), true).await?;
                    self.expect(ExpectedAnswer::Track { path_id, number, info, notes }).await?;
                }
            }
        }
        Ok(())
    }

    async fn part(&self, path_id: String, fixes: Vec<Fix>, is_last: bool) -> Result<(), CallEnded> {
        let part = PathPart { path_id, options: self.options, fixes, is_last };
        self.stall_detector.part_offered();
        self.parts.send(part).await.map_err(|_| CallEnded)
    }

    async fn expect(&self, answer: ExpectedAnswer) -> Result<(), CallEnded> {
        self.expected.send(answer).await.map_err(|_| CallEnded)
    }
}

#[cfg(test)]
mod tests;
