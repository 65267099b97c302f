//! `waywiser record`: a track file through the real RPC, point by point.
//!
//! A thread reads the file and hands batches of points to the task that streams them, through a
//! channel of a few batches: a slow server slows the reading down, and the file is never in memory.

mod recording;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::iter;
use tokio_stream::wrappers::ReceiverStream;

use super::input::{self, ReadingArgs};
use super::policy::{Model, PolicyArgs};
use super::progress::Progress;
use super::report::{Keep, grouped, pad_or_truncate, pluralize};
use super::{Outcome, fail, server_url, usage_error};
use crate::client::{Client, ClientError, Route};
use crate::formats::{self, FormatError, SinkError, TrackSink};
use crate::measure::{Fix, Metric, Options, Point, Space};
use crate::recording::RecordingName;
use crate::server::{self, Config};
use crate::store::MemoryStore;

/// Points in a batch. One batch is being read, a few wait, one is being sent.
const BATCH_POINTS: usize = 1024;
/// Batches that may wait.
const BATCHES_MAX: usize = 4;

/// Stream a track to a server and print its replies.
///
/// Sends the tracks and routes of a GPX, GeoJSON or CSV file point by point through
/// routeguide.RouteGuide/RecordRoute, one stream a segment, since no leg joins two segments.
/// Positions are rounded to 1e-7 degree (1.1 cm) and lengths to whole metres a reply, as that
/// contract has it; the lengths are great-circle ones (haversine). For exact lengths of files use
/// waywiser measure.
///
/// Without --server it starts a server in this process, on a free loopback port.
///
/// With --name the track becomes a recording of waywiser.v1, which survives lost connections and restarts:
/// nothing is rounded, segments, elevations and times are kept, a policy may be set, and lengths are those
/// of waywiser measure. Killed half-way, the same command on the same file goes on where the server is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RecordArgs {
    /// The file to send; - is standard input
    pub(super) file: PathBuf,

    /// The server to send it to, such as http://127.0.0.1:50051
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(super) server: Option<String>,

    /// Keep the track on the server as the recording paths/NAME, of all that is known of its points
    #[arg(long, value_name = "paths/NAME", requires = "server")]
    name: Option<RecordingName>,

    /// Which track of the file, counted from 1; needed where it has several
    #[arg(long, value_name = "N", requires = "name", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) track: Option<u64>,

    /// What a leg between two points is: geodesic unless set
    #[arg(long, value_enum, requires = "name")]
    model: Option<Model>,

    /// Print what the recording comes to as one JSON object
    #[arg(long, requires = "name")]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) reading: ReadingArgs,

    #[command(flatten)]
    pub(super) policy: PolicyArgs,
}

impl RecordArgs {
    /// How a recording is measured.
    pub(super) fn metric(&self) -> Metric {
        self.model.map_or(Options::default().metric(), Model::metric)
    }
}

const EXAMPLES: &str = "\
Examples:
  waywiser record examples/hill-walk.gpx
  waywiser record --server http://127.0.0.1:50051 walk.gpx
  waywiser record --server http://127.0.0.1:50051 --name paths/walk --min-step 2 walk.gpx

Exit status: 0 when everything was sent and answered, 1 when not, 2 when the arguments are wrong.";

/// What the reading thread finds, piece by piece.
enum Piece {
    Segment,
    Points(Vec<Point>),
    EndOfTrack(Option<String>),
    EndOfFile,
    Failed(String),
}

/// Sends the file and prints the replies.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn run(args: &RecordArgs) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("no threads to work with: {error}")),
    };
    let outcome = runtime.block_on(record(args));
    // The reading thread may be waiting for standard input, which may never end.
    runtime.shutdown_background();
    outcome
}

async fn record(args: &RecordArgs) -> io::Result<Outcome> {
    // A name comes with a server.
    if let (Some(name), Some(url)) = (&args.name, &args.server) {
        return recording::record(args, name, url).await;
    }
    if let Some(option) = args.policy.first_set() {
        return usage_error(format_args!(
            "{option} is for recordings; name one with --name paths/..."
        ));
    }
    let mut pieces = match read(args) {
        Ok(pieces) => pieces,
        Err(error) => return fail(format_args!("{}: {error}", args.file.display())),
    };
    // A file that is no track needs no server.
    let first = pieces.recv().await;
    if let Some(Piece::Failed(error)) = first {
        return fail(format_args!("{}{error}", args.file.display()));
    }
    let mut embedded = None;
    let url = match &args.server {
        Some(url) => url.clone(),
        None => match Embedded::start().await {
            Ok(server) => {
                let url = server.url.clone();
                embedded = Some(server);
                url
            }
            Err(error) => {
                return fail(format_args!("the embedded server cannot start: {error}"));
            }
        },
    };
    let client = match Client::connect(&url).await {
        Ok(client) => client,
        Err(error) => return fail(format_args!("{error}")),
    };
    let place = if embedded.is_some() { "a server in this process" } else { "the server" };
    let mut out = io::stdout();
    writeln!(out, "recording {} with {place} at {url}", args.file.display())?;
    let outcome = send(&client, first, pieces, &mut out).await?;
    drop(client);
    if let Some(server) = embedded {
        server.stop().await;
    }
    match outcome {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => fail(format_args!("{}{error}", args.file.display())),
    }
}

/// A server in this process, for as long as it is needed.
struct Embedded {
    url: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<io::Result<()>>,
}

impl Embedded {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let store = Arc::new(MemoryStore::default());
        let served = tokio::spawn(server::run(listener, Config::default(), store, async {
            let _ = stopped.await;
        }));
        Ok(Self { url, stop, served })
    }

    async fn stop(self) {
        // Whatever goes wrong in ending it, the replies are in.
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}

/// Starts to read the file, on a thread of its own.
fn read(args: &RecordArgs) -> Result<mpsc::Receiver<Piece>, FormatError> {
    let progress_bytes = input::bytes_of(std::slice::from_ref(&args.file));
    let input = input::open(&args.file, &mut Some(io::stdin()))?;
    let options = args.reading.options(Space::Geographic);
    let (pieces, received) = mpsc::channel(BATCHES_MAX);
    tokio::task::spawn_blocking(move || {
        let progress = Progress::new(progress_bytes);
        let mut batches = Batches { pieces, batch: Vec::with_capacity(BATCH_POINTS) };
        let input = input::buffered(progress.count(input));
        let last = match formats::read(input, &options, &mut batches) {
            Ok(()) => Piece::EndOfFile,
            Err(error) => Piece::Failed(error.in_file("")),
        };
        // Nobody listens any more when a call has failed.
        let _ = batches.pieces.blocking_send(last);
    });
    Ok(received)
}

/// Hands on what the reader finds, in batches.
struct Batches {
    pieces: mpsc::Sender<Piece>,
    batch: Vec<Point>,
}

impl Batches {
    fn send(&mut self, piece: Piece) -> Result<(), SinkError> {
        // Nobody receives any more when the call has failed; that is told where it is known.
        self.pieces.blocking_send(piece).map_err(|_| SinkError::Stop)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_POINTS));
        self.send(Piece::Points(batch))
    }
}

impl TrackSink for Batches {
    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.send(Piece::Segment)
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.batch.push(fix.point());
        if self.batch.len() == BATCH_POINTS { self.flush() } else { Ok(()) }
    }

    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError> {
        self.flush()?;
        self.send(Piece::EndOfTrack(name.map(str::to_owned)))
    }
}

/// A segment on its way to the server.
struct Upload {
    points: mpsc::Sender<Vec<Point>>,
    reply: tokio::task::JoinHandle<Result<Route, ClientError>>,
    sent: u64,
}

impl Upload {
    fn begin(client: &Client) -> Self {
        let (points, batches) = mpsc::channel(1);
        let client = client.clone();
        let reply = tokio::spawn(async move { client.record_route(points_of(batches)).await });
        Self { points, reply, sent: 0 }
    }

    /// Sends a batch on. When the call is over already, its outcome tells why.
    async fn send(&mut self, batch: Vec<Point>) -> bool {
        self.sent += batch.len() as u64;
        self.points.send(batch).await.is_ok()
    }

    /// Resets the stream. Its source must outlive the call: if it ended first, the stream would be
    /// closed instead.
    async fn give_up(self) {
        self.reply.abort();
        let _ = self.reply.await;
        drop(self.points);
    }

    /// Closes the stream and waits for the reply.
    async fn finish(self) -> Result<(u64, Route), String> {
        drop(self.points);
        let route = match self.reply.await {
            Ok(Ok(route)) => route,
            Ok(Err(error)) => return Err(format!(": {error}")),
            Err(error) => return Err(format!(": the stream ended without a reply: {error}")),
        };
        if u64::from(route.point_count) == self.sent {
            Ok((self.sent, route))
        } else {
            let (sent, counted) = (self.sent, route.point_count);
            Err(format!(": {sent} points were sent and the server counted {counted}"))
        }
    }
}

fn points_of(batches: mpsc::Receiver<Vec<Point>>) -> impl tokio_stream::Stream<Item = Point> {
    futures::StreamExt::flat_map(ReceiverStream::new(batches), iter)
}

const TRACK_WIDTH: usize = 32;

/// Streams the pieces, a call a segment, and prints each reply.
async fn send(
    client: &Client,
    first: Option<Piece>,
    mut pieces: mpsc::Receiver<Piece>,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let started = Instant::now();
    let mut track_number = 1_u64;
    let mut segments: Vec<(u64, Route)> = Vec::new();
    let mut total = (0_u64, 0_u64, 0_u64);
    let mut upload: Option<Upload> = None;

    writeln!(out, "\n{:TRACK_WIDTH$}{:>10}{:>13}{:>20}", "track", "segment", "points", "length")?;
    let mut next = first;
    loop {
        // The file's end is told; a reader that is silent has broken down.
        let unfinished = || Piece::Failed(": reading it stopped half-way".to_owned());
        let piece = next.unwrap_or_else(unfinished);
        if !matches!(piece, Piece::Points(_) | Piece::Failed(_))
            && let Some(upload) = upload.take()
        {
            match upload.finish().await {
                Ok(segment) => segments.push(segment),
                Err(error) => return Ok(Err(error)),
            }
        }
        match piece {
            Piece::Segment => {}
            Piece::EndOfFile => break,
            Piece::Points(batch) => {
                let upload_now = upload.get_or_insert_with(|| Upload::begin(client));
                if !upload_now.send(batch).await
                    && let Some(upload) = upload.take()
                {
                    let error = upload.finish().await.err();
                    let unexplained = || ": the server answered before the end".to_owned();
                    return Ok(Err(error.unwrap_or_else(unexplained)));
                }
            }
            Piece::EndOfTrack(name) => {
                let name = name.unwrap_or_else(|| track_number.to_string());
                for (number, (points, route)) in (1..).zip(segments.drain(..)) {
                    row(out, &name, number, points, route.distance_m.into())?;
                    total.0 += 1;
                    total.1 += points;
                    total.2 += u64::from(route.distance_m);
                }
                track_number += 1;
            }
            Piece::Failed(error) => {
                // Not closed but given up: half a segment must not be answered as a whole one.
                if let Some(upload) = upload {
                    upload.give_up().await;
                }
                return Ok(Err(error));
            }
        }
        next = pieces.recv().await;
    }
    let elapsed = started.elapsed();
    let (segment_count, points, distance_m) = total;
    row(out, "total", segment_count, points, distance_m)?;
    writeln!(out, "\n{}", rate(points, elapsed))?;
    Ok(Ok(()))
}

fn row(out: &mut impl Write, name: &str, segment: u64, points: u64, m: u64) -> io::Result<()> {
    let [segment, points, m] = [segment, points, m].map(|n| grouped(&n.to_string()));
    writeln!(
        out,
        "{}{segment:>10}{points:>13}{:>20}",
        pad_or_truncate(name, TRACK_WIDTH, Keep::Start),
        m + " m"
    )
}

fn rate(points: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let per_second = grouped(&format!("{:.0}", points as f64 / seconds.max(1e-9)));
    format!("sent {} in {seconds:.3} s, {per_second} points/s", pluralize(points, "point"))
}
