//! Sends the tracks of files to a server. Turns the events of the track reader into parts of paths, and lists
//! the answers to expect. It knows no connection: `remote.rs` makes the call.
//!
//! A server receives one path after another, but the rows of a table may alternate between tracks. So the fixes
//! of the first open track are sent, and those of later tracks wait for its end, up to [`QUEUED_FIXES_MAX`].

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::input;
use crate::cli::progress::Progress;
use crate::cli::stall_detector::StallDetector;
use crate::cli::track_reader::{ReadRequest, ReaderEvent, TrackReader};
use crate::client::PathPart;
use crate::formats::{ReadOptions, TrackInfo};
use crate::measure::{Fix, Options};

/// Number of fixes in a part.
const PART_FIXES: usize = 1000;
/// Maximum number of parts that wait for the connection.
const PARTS_MAX: usize = 4;
/// Maximum number of tracks that were sent and not reported yet.
const EXPECTED_MAX: usize = 1024;
/// Maximum number of fixes of mixed tracks that wait: about 80 MB.
const QUEUED_FIXES_MAX: usize = 1 << 20;

/// Files to send, and how to read and measure them.
pub(super) struct Upload {
    pub files: Vec<PathBuf>,
    pub stdin: Option<Box<dyn Read + Send>>,
    pub options: Options,
    pub read_options: ReadOptions,
    pub progress: Arc<Progress>,
    pub stall_detector: Arc<StallDetector>,
}

/// An answer to expect, or a message to print between answers, in the order of the input.
#[derive(Debug, PartialEq)]
pub(super) enum ExpectedAnswer {
    /// An answer about a complete track.
    Track {
        path_id: String,
        number: u64,
        info: Box<TrackInfo>,
    },
    /// An answer, at any later time, about a track that has no end because its file is broken.
    Unfinished {
        path_id: String,
    },
    /// A remark on the file.
    Remark(String),
    /// The file could not be read completely, for this reason.
    FileFailed(String),
    FileEnd,
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
    let Upload { files, mut stdin, options, read_options, progress, stall_detector } = upload;
    let mut sender = Sender { parts, expected, options, stall_detector, path_count: 0 };
    for file in files {
        let name = file.to_string_lossy().into_owned();
        let stdin = if input::is_stdin(&file) { stdin.take() } else { None };
        let (options, progress) = (read_options.clone(), Some(Arc::clone(&progress)));
        let reader = TrackReader::start(ReadRequest { file, stdin, options, progress });
        sender.send_file(reader, &name).await?;
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
}

impl Sender<'_> {
    async fn send_file(&mut self, mut reader: TrackReader, name: &str) -> Result<(), CallEnded> {
        let (mut queue, mut remarks) = (TrackQueue::default(), Vec::new());
        let failure = loop {
            match reader.next().await {
                ReaderEvent::TrackStart { .. } => queue.tracks.push_back(QueuedTrack::default()),
                ReaderEvent::Fixes { track, fixes } => {
                    queue.add(track, fixes);
                    self.send_ready(&mut queue).await?;
                    if queue.fix_count > QUEUED_FIXES_MAX {
                        break Some(format!(
                            "{name}: rows of different tracks are mixed, and more than {QUEUED_FIXES_MAX} \
                             points must wait; sort the file by track, or measure it without --server"
                        ));
                    }
                }
                ReaderEvent::TrackEnd { track, info } => {
                    queue.end(track, info);
                    self.send_ready(&mut queue).await?;
                }
                ReaderEvent::Note(note) => remarks.push(note.to_string()),
                ReaderEvent::FileEnd => break None,
                // The error of the call is reported instead of that of the file.
                ReaderEvent::Failed(_) if self.parts.is_closed() => return Err(CallEnded),
                ReaderEvent::Failed(message) => break Some(message),
            }
        };
        // Stops the reading of a file with too many mixed tracks.
        drop(reader);
        for remark in remarks {
            self.expect(ExpectedAnswer::Remark(remark)).await?;
        }
        if let Some(message) = failure {
            self.expect(ExpectedAnswer::FileFailed(message)).await?;
        }
        if let Some(path_id) = queue.sent_path_id {
            self.expect(ExpectedAnswer::Unfinished { path_id }).await?;
        }
        self.expect(ExpectedAnswer::FileEnd).await
    }

    /// Sends the full parts of the first track and, after its end, the rest of it and the next track.
    async fn send_ready(&mut self, queue: &mut TrackQueue) -> Result<(), CallEnded> {
        while let Some(track) = queue.tracks.front_mut() {
            let ready = match track.is_ended {
                true => track.fixes.len(),
                false => track.fixes.len() - track.fixes.len() % PART_FIXES,
            };
            if ready == 0 && !track.is_ended {
                break;
            }
            let path_id = queue.sent_path_id.get_or_insert_with(|| {
                self.path_count += 1;
                self.path_count.to_string()
            });
            queue.fix_count -= ready;
            for fixes in track.fixes[..ready].chunks(PART_FIXES) {
                self.part(path_id, fixes, false).await?;
            }
            track.fixes.drain(..ready);
            if !track.is_ended {
                break;
            }
            self.part(path_id, &[], true).await?;
            let (path_id, info) = (std::mem::take(path_id), std::mem::take(&mut track.info));
            queue.sent_path_id = None;
            queue.tracks.pop_front();
            queue.ended_count += 1;
            let number = queue.ended_count as u64;
            self.expect(ExpectedAnswer::Track { path_id, number, info }).await?;
        }
        Ok(())
    }

    async fn part(&self, path_id: &str, fixes: &[Fix], is_last: bool) -> Result<(), CallEnded> {
        let (path_id, fixes) = (path_id.to_owned(), fixes.to_vec());
        let part = PathPart { path_id, options: self.options, fixes, is_last };
        self.stall_detector.part_offered();
        self.parts.send(part).await.map_err(|_| CallEnded)
    }

    async fn expect(&self, answer: ExpectedAnswer) -> Result<(), CallEnded> {
        self.expected.send(answer).await.map_err(|_| CallEnded)
    }
}

/// The tracks of a file that are not sent completely.
#[derive(Default)]
struct TrackQueue {
    tracks: VecDeque<QueuedTrack>,
    /// The tracks of the file that were sent completely. They come before the queue.
    ended_count: usize,
    /// The fixes in the queue.
    fix_count: usize,
    /// The path of the first track, if a part of it was sent.
    sent_path_id: Option<String>,
}

/// A track, and its fixes that are not sent.
#[derive(Default)]
struct QueuedTrack {
    fixes: Vec<Fix>,
    is_ended: bool,
    info: Box<TrackInfo>,
}

impl TrackQueue {
    fn get(&mut self, track: usize) -> Option<&mut QueuedTrack> {
        self.tracks.get_mut(track.checked_sub(self.ended_count)?)
    }

    fn add(&mut self, track: usize, mut fixes: Vec<Fix>) {
        let fix_count = fixes.len();
        if let Some(track) = self.get(track) {
            track.fixes.append(&mut fixes);
            self.fix_count += fix_count;
        }
    }

    fn end(&mut self, track: usize, info: Box<TrackInfo>) {
        if let Some(track) = self.get(track) {
            (track.is_ended, track.info) = (true, info);
        }
    }
}

#[cfg(test)]
mod tests;
