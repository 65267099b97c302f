//! Files on their way to a server: a thread reads them, cuts their tracks into parts, and says which answers
//! are to come. It knows no connection; `remote.rs` has both ends of it meet.
//!
//! A server takes one path after another. Rows of a table may go from track to track, so the first track that
//! is open is on its way and further ones are held until it ends, as many fixes as [`HELD_MAX`].

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::flow::Flow;
use crate::cli::input;
use crate::cli::progress::Progress;
use crate::client::PathPart;
use crate::formats::{self, ReadOptions, SinkError, TrackSink};
use crate::measure::{Fix, Options};

/// Fixes in a part, and parts that may wait for the connection.
const PART_FIXES: usize = 1000;
const PARTS_MAX: usize = 4;
/// Tracks that may be on their way, or measured and not reported yet.
const TICKETS_MAX: usize = 1024;
/// Fixes of mixed tracks that are held: some 80 MB.
const HELD_MAX: usize = 1 << 20;

/// What is to be uploaded, and how it is to be read.
pub(super) struct Files {
    pub files: Vec<(PathBuf, String)>,
    pub options: Options,
    pub read_options: ReadOptions,
    pub progress: Arc<Progress>,
    pub flow: Arc<Flow>,
}

/// What `remote.rs` is to expect or to tell, in the order of the input.
#[derive(Debug, PartialEq)]
pub(super) enum Ticket {
    /// An answer about a whole track.
    Track { path_id: String, number: u64, name: Option<String> },
    /// At some time an answer about a track that was begun and is not ended, because its file is broken.
    Left { path_id: String },
    /// A remark on the file.
    Remark(String),
    /// Why the file could not be read on.
    Broken(String),
    /// The next file follows, or none.
    EndOfFile,
}

/// Starts to read. Returns the parts for the call, and the tickets.
pub(super) fn begin(
    files: Files,
) -> (impl Stream<Item = PathPart> + Send + use<>, mpsc::Receiver<Ticket>) {
    let flow = Arc::clone(&files.flow);
    let (parts, received_parts) = mpsc::channel(PARTS_MAX);
    let (tickets, received_tickets) = mpsc::channel(TICKETS_MAX);
    tokio::task::spawn_blocking(move || {
        // Nobody listens any more when the call has failed; that is told where it is known.
        let _ = read(&files, &parts, &tickets, io::stdin());
        // The stream is closed last, so that nobody takes its end for a loss.
        drop(tickets);
        drop(parts);
    });
    (count_taken(received_parts, flow), received_tickets)
}

/// Parts that the flow counts when the connection takes them.
fn count_taken(
    parts: mpsc::Receiver<PathPart>,
    flow: Arc<Flow>,
) -> impl Stream<Item = PathPart> + Send + use<> {
    ReceiverStream::new(parts).inspect(move |_| flow.taken())
}

fn read(
    files: &Files,
    parts: &mpsc::Sender<PathPart>,
    tickets: &mpsc::Sender<Ticket>,
    stdin: impl io::Read + Send,
) -> Result<(), SinkError> {
    let (options, flow) = (files.options, &*files.flow);
    let mut sender = Sender { parts, tickets, options, flow, path_count: 0 };
    let mut stdin = Some(stdin);
    for (file, name) in &files.files {
        let mut tracks = Tracks::new(&mut sender);
        let outcome = match input::open(file, &mut stdin) {
            Ok(input) => {
                let input = input::buffered(files.progress.count(input));
                formats::read(input, &files.read_options, &mut tracks)
            }
            Err(error) => Err(error),
        };
        let Tracks { remarks, refusal, begun, .. } = tracks;
        if outcome.is_err() && refusal.is_none() && parts.is_closed() {
            // The call has ended, which is why reading stopped. Its error is reported, not one of the file.
            return Err(SinkError::Stop);
        }
        for remark in remarks {
            sender.ticket(Ticket::Remark(remark))?;
        }
        if let Err(error) = outcome {
            let why = refusal.map(|refusal| format!("{name}: {refusal}"));
            let why = why.unwrap_or_else(|| error.in_file(name));
            sender.ticket(Ticket::Broken(why))?;
        }
        if let Some(path_id) = begun {
            sender.ticket(Ticket::Left { path_id })?;
        }
        sender.ticket(Ticket::EndOfFile)?;
    }
    Ok(())
}

/// Where parts and tickets go.
struct Sender<'a> {
    parts: &'a mpsc::Sender<PathPart>,
    tickets: &'a mpsc::Sender<Ticket>,
    options: Options,
    flow: &'a Flow,
    path_count: u64,
}

impl Sender<'_> {
    fn ticket(&self, ticket: Ticket) -> Result<(), SinkError> {
        self.tickets.blocking_send(ticket).map_err(|_| SinkError::Stop)
    }

    fn part(&self, path_id: &str, fixes: &[Fix], is_last: bool) -> Result<(), SinkError> {
        let (path_id, fixes) = (path_id.to_owned(), fixes.to_vec());
        let part = PathPart { path_id, options: self.options, fixes, is_last };
        self.flow.offered();
        self.parts.blocking_send(part).map_err(|_| SinkError::Stop)
    }
}

/// The tracks of one file.
struct Tracks<'a, 'b> {
    sender: &'a mut Sender<'b>,
    /// Those that are open, or wait for one before them.
    tracks: VecDeque<Held>,
    /// How many came before these.
    before: usize,
    /// The count of the current one.
    current: usize,
    held: usize,
    /// The id of the path that was begun and is not ended.
    begun: Option<String>,
    remarks: Vec<String>,
    /// Why the file is not for this command.
    refusal: Option<String>,
}

/// A track, and its fixes that were not sent.
#[derive(Default)]
struct Held {
    fixes: Vec<Fix>,
    /// The next fix starts a segment.
    is_break: bool,
    is_ended: bool,
    name: Option<String>,
}

impl<'a, 'b> Tracks<'a, 'b> {
    fn new(sender: &'a mut Sender<'b>) -> Self {
        Self {
            sender,
            tracks: VecDeque::new(),
            before: 0,
            current: 0,
            held: 0,
            begun: None,
            remarks: Vec::new(),
            refusal: None,
        }
    }

    fn current(&mut self) -> Option<&mut Held> {
        self.tracks.get_mut(self.current.checked_sub(self.before)?)
    }

    /// Sends what can be sent: the fixes of the first track, and after its end those of the next.
    fn send(&mut self) -> Result<(), SinkError> {
        while let Some(track) = self.tracks.front_mut() {
            if track.fixes.is_empty() && !track.is_ended {
                break;
            }
            let path_id = self.begun.get_or_insert_with(|| {
                self.sender.path_count += 1;
                self.sender.path_count.to_string()
            });
            let fixes = std::mem::take(&mut track.fixes);
            self.held -= fixes.len();
            for part in fixes.chunks(PART_FIXES) {
                self.sender.part(path_id, part, false)?;
            }
            if !track.is_ended {
                break;
            }
            let (number, name) = (self.before as u64 + 1, track.name.take());
            self.sender.part(path_id, &[], true)?;
            let path_id = std::mem::take(path_id);
            (self.begun, self.before) = (None, self.before + 1);
            self.tracks.pop_front();
            self.sender.ticket(Ticket::Track { path_id, number, name })?;
        }
        Ok(())
    }
}

impl TrackSink for Tracks<'_, '_> {
    fn start_track(&mut self) -> Result<(), SinkError> {
        self.current = self.before + self.tracks.len();
        self.tracks.push_back(Held::default());
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.current = index;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        if let Some(track) = self.current() {
            track.is_break = true;
        }
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let is_first = self.current == self.before;
        let Some(track) = self.current() else { return Ok(()) };
        let is_break = std::mem::take(&mut track.is_break);
        track.fixes.push(if is_break { fix.starting_segment() } else { fix });
        let is_due = is_first && track.fixes.len() >= PART_FIXES;
        self.held += 1;
        if is_due {
            return self.send();
        }
        if self.held > HELD_MAX {
            self.refusal = Some(format!(
                "its tracks are mixed, and more than {HELD_MAX} points would have to be held to send one \
                 after another; sort it by track, or measure it without --server"
            ));
            return Err(SinkError::Stop);
        }
        Ok(())
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }

    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError> {
        if let Some(track) = self.current() {
            track.is_ended = true;
            track.name = name.map(str::to_owned);
        }
        self.send()
    }
}

#[cfg(test)]
mod tests;
