//! Sends each segment of a file through a published contract, as one stream of points.

use std::io::{self, Write};
use std::time::Instant;

use futures::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::args::{PublishedMethod, RecordArgs};
use super::report::{SegmentTable, footer};
use super::{Events, ReaderEvent};
use crate::cli::connect::ConnectArgs;
use crate::cli::input;
use crate::cli::notes::{self, NoteList, track_label};
use crate::cli::report::Names;
use crate::cli::stall_detector::STALL_TIMEOUT;
use crate::client::{Client, ClientError};
use crate::measure::{Fix, Point};

/// Maximum number of replies that wait for the name of their track. Further ones are printed with its number.
const REPLIES_MAX: usize = 1 << 16;

/// The reply to a segment.
struct Reply {
    point_count: u64,
    length: f64,
}

/// The segments that were printed.
struct Printed {
    /// The number of the next segment in its track.
    first: u64,
    segment_count: u64,
    point_count: u64,
    length: f64,
}

impl Printed {
    /// Prints the replies to segments of a track, and removes them.
    fn print<W: Write>(
        &mut self,
        table: &mut SegmentTable<W>,
        track: &str,
        replies: &mut Vec<Reply>,
    ) -> io::Result<()> {
        for reply in replies.drain(..) {
            table.row(track, self.first, reply.point_count, reply.length)?;
            self.first += 1;
            self.segment_count += 1;
            self.point_count += reply.point_count;
            self.length += reply.length;
        }
        Ok(())
    }
}

/// A segment that is being sent.
struct Upload {
    batches: mpsc::Sender<Vec<Point>>,
    reply: JoinHandle<Result<Reply, ClientError>>,
    sent: u64,
}

impl Upload {
    fn start(client: &Client, method: PublishedMethod) -> Self {
        let (batches, received) = mpsc::channel(1);
        let client = client.clone();
        let reply = tokio::spawn(async move { call(&client, method, points(received)).await });
        Self { batches, reply, sent: 0 }
    }

    /// Passes a batch to the stream. Returns whether the call is still open.
    ///
    /// # Errors
    /// The server has taken no batch for [`STALL_TIMEOUT`].
    async fn send(&mut self, batch: Vec<Point>) -> Result<bool, String> {
        self.sent += batch.len() as u64;
        match timeout(STALL_TIMEOUT, self.batches.send(batch)).await {
            Ok(sent) => Ok(sent.is_ok()),
            Err(_) => Err(ClientError::Timeout.to_string()),
        }
    }

    /// Resets the stream. The source is dropped after the call, because its end would close the stream.
    async fn reset(self) {
        self.reply.abort();
        let _ = self.reply.await;
        drop(self.batches);
    }

    /// Closes the stream and waits for the reply, at most for [`STALL_TIMEOUT`].
    async fn finish(self, connect: &ConnectArgs) -> Result<Reply, String> {
        drop(self.batches);
        let stopped = self.reply.abort_handle();
        let reply = match timeout(STALL_TIMEOUT, self.reply).await {
            Ok(Ok(Ok(reply))) => reply,
            Ok(Ok(Err(error))) => return Err(connect.explain(&error)),
            Ok(Err(error)) => return Err(format!("the stream ended without a reply: {error}")),
            Err(_) => {
                stopped.abort();
                return Err(ClientError::Timeout.to_string());
            }
        };
        match reply.point_count == self.sent {
            true => Ok(reply),
            false => Err(format!(
                "{} points were sent and the server counted {}",
                self.sent, reply.point_count
            )),
        }
    }
}

async fn call(
    client: &Client,
    method: PublishedMethod,
    points: impl Stream<Item = Point> + Send + 'static,
) -> Result<Reply, ClientError> {
    Ok(match method {
        PublishedMethod::RecordRoute => {
            let route = client.record_route(points).await?;
            Reply { point_count: route.point_count.into(), length: route.distance_m.into() }
        }
        PublishedMethod::PathLength => {
            let path = client.path_length(points).await?;
            Reply { point_count: path.point_count, length: path.length }
        }
    })
}

fn points(batches: mpsc::Receiver<Vec<Point>>) -> impl Stream<Item = Point> + Send + 'static {
    ReceiverStream::new(batches).flat_map(stream::iter)
}

/// Sends the segments one after another and prints their replies. The inner error is that of the file or the server.
///
/// # Errors
/// If `out` cannot be written.
pub(super) async fn send(
    client: &Client,
    args: &RecordArgs,
    method: PublishedMethod,
    mut events: Events,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let started = Instant::now();
    let mut file = input::display_name(&args.file);
    let is_strict = args.read_options().is_strict;
    let mut notes = NoteList::default();
    let mut table =
        SegmentTable::new(&mut *out, method.metric().space(), Names::on(&io::stdout()))?;
    // The replies to the segments of the current track. Its name is known at its end.
    let mut replies: Vec<Reply> = Vec::new();
    let mut totals = Printed { first: 1, segment_count: 0, point_count: 0, length: 0.0 };
    // The index of the current track.
    let mut track_number = 0;
    let mut upload: Option<Upload> = None;
    loop {
        let event = events.next().await;
        let ends_segment = match &event {
            ReaderEvent::Fixes { fixes, .. } => {
                fixes.first().is_some_and(|fix| fix.starts_segment())
            }
            // The last segment of an incomplete track may be incomplete too.
            ReaderEvent::TrackEnd { info, .. } => !info.is_incomplete,
            _ => false,
        };
        if ends_segment && let Some(upload) = upload.take() {
            match upload.finish(&args.connect).await {
                Ok(reply) => {
                    replies.push(reply);
                    if replies.len() == REPLIES_MAX {
                        // The name of the track is not known yet.
                        let name = (track_number + 1).to_string();
                        totals.print(&mut table, &name, &mut replies)?;
                    }
                }
                Err(error) => return Ok(Err(format!("{file}: {error}"))),
            }
        }
        match event {
            ReaderEvent::FileStart(name) => file = name,
            ReaderEvent::TrackStart { .. } => totals.first = 1,
            ReaderEvent::Note(note) => notes.add(notes::text(&file, None, &note)),
            ReaderEvent::Fixes { fixes, track } => {
                track_number = track;
                // Published contracts have no points without a position.
                let batch: Vec<_> = fixes.into_iter().filter_map(Fix::point).collect();
                if batch.is_empty() {
                    continue;
                }
                let current = upload.get_or_insert_with(|| Upload::start(client, method));
                let is_open = match current.send(batch).await {
                    Ok(is_open) => is_open,
                    Err(error) => {
                        if let Some(upload) = upload.take() {
                            upload.reset().await;
                        }
                        return Ok(Err(format!("{file}: {error}")));
                    }
                };
                if !is_open && let Some(upload) = upload.take() {
                    let error = upload.finish(&args.connect).await.err();
                    let early = || "the server replied before the end of the segment".to_owned();
                    return Ok(Err(format!("{file}: {}", error.unwrap_or_else(early))));
                }
            }
            ReaderEvent::TrackEnd { track, info, notes: of_track } => {
                notes.add_all(&file, Some(&track_label(track as u64 + 1, &info)), &of_track);
                let name = info.name.unwrap_or_else(|| (track + 1).to_string());
                totals.print(&mut table, &name, &mut replies)?;
            }
            ReaderEvent::FileEnd(end) => {
                notes.take(&file).iter().for_each(|text| super::note(text));
                if let Some(error) = super::file_failure(&file, end, is_strict) {
                    // Resets the stream, so that the server does not measure a part of a segment as a complete one.
                    if let Some(upload) = upload {
                        upload.reset().await;
                    }
                    return Ok(Err(error));
                }
            }
            ReaderEvent::InputEnd => break,
        }
    }
    table.row("total", totals.segment_count, totals.point_count, totals.length)?;
    footer(out, totals.point_count, started.elapsed(), false)?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that takes nothing and never ends.
    fn stalled() -> (Upload, mpsc::Receiver<Vec<Point>>) {
        let (batches, received) = mpsc::channel(1);
        let reply = tokio::spawn(std::future::pending());
        (Upload { batches, reply, sent: 0 }, received)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_or_does_not_answer_is_reported() {
        let started = tokio::time::Instant::now();
        let (mut upload, _received) = stalled();
        assert_eq!(upload.send(Vec::new()).await, Ok(true));
        let error = upload.send(Vec::new()).await.unwrap_err();
        assert!(error.contains("the server does not answer"), "{error}");
        assert!(started.elapsed() < STALL_TIMEOUT * 2);

        let (upload, _received) = stalled();
        let error = upload.finish(&ConnectArgs::default()).await.map(|_| ()).unwrap_err();
        assert!(error.contains("the server does not answer"), "{error}");
    }

    #[test]
    fn replies_are_printed_with_the_numbers_of_their_segments() {
        let mut out = Vec::new();
        let mut table =
            SegmentTable::new(&mut out, crate::measure::Space::Planar, Names::Truncated).unwrap();
        let mut printed = Printed { first: 1, segment_count: 0, point_count: 0, length: 0.0 };
        for track in ["1", "a"] {
            let mut replies = vec![Reply { point_count: 2, length: 1.5 }];
            printed.print(&mut table, track, &mut replies).unwrap();
            assert!(replies.is_empty());
        }
        assert_eq!((printed.segment_count, printed.point_count, printed.length), (2, 4, 3.0));
        let out = String::from_utf8(out).unwrap();
        let numbers = out.lines().skip(1).map(|row| row.split_whitespace().nth(1).unwrap());
        assert_eq!(numbers.collect::<Vec<_>>(), ["1", "2"]);
    }
}
