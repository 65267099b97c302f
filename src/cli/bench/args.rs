//! The arguments of `waywiser bench`, and what they ask for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::cli::input::FileFormat;
use crate::cli::report::pluralize;
use crate::cli::{serve, server_url};
use crate::load::call::{self, CallArgs, Change, MethodName};
use crate::load::drive::Load;
use crate::load::target::Target;
use crate::load::track::{self, Track};

/// Load a server with streams of points, check its replies and tell what it cost.
///
/// A realistic track (a walk of fixes some 15 m apart, or the one in FILE, repeated as needed) is
/// encoded once, one point a message or, for record-path, many, and sent over N streams on C
/// connections as fast as flow control lets it. Every reply must count the points that were sent
/// and have the length that waywiser itself finds for them; a wrong one ends the run.
///
/// CPU time is what counts on a machine that others use too: it is told per point for the load
/// generator, and for the server when that is in this process or --server-pid names it. Times of
/// several rounds are told as their median, least and greatest. What the load generator itself
/// could do, with a server that only counts bytes, is told first.
///
/// Without --server it drives a server in this process, on threads of its own.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct BenchArgs {
    /// Send the track of this GPX, GeoJSON or CSV file instead of a walk; - is standard input
    pub(super) file: Option<PathBuf>,

    /// Take the file for this format, whatever it looks like
    #[arg(long, value_enum, requires = "file")]
    pub(super) format: Option<FileFormat>,

    #[command(flatten)]
    pub(super) call: CallArgs,

    /// How far the length in a reply may be off, relative to it: 1e-5 for servers with another
    /// radius of the Earth, inf to check the number of points alone
    #[arg(long, value_name = "RATIO", value_parser = ratio, default_value = "1e-9")]
    pub(super) length_tolerance: f64,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) servers: ServerArgs,

    /// A second load, driven in turns with the first: what it has otherwise, such as model=planar or
    /// named,layout=rows; its figures are told as ratios too. With --compare it is the second server's
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_parser = call::change,
        value_delimiter = ',',
        conflicts_with_all = ["live", "ceiling"]
    )]
    pub(super) vary: Vec<Change>,

    #[command(flatten)]
    pub(super) load: LoadArgs,

    #[command(flatten)]
    pub(super) live: LiveArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Servers")]
pub(super) struct ServerArgs {
    /// The server to drive, such as http://127.0.0.1:50051
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(super) server: Option<String>,

    /// Its process, if it runs on this machine: its CPU time and memory are told
    #[arg(long, value_name = "PID", requires = "server")]
    pub(super) server_pid: Option<u32>,

    /// A second server, driven in turns with the first; its figures are told as ratios too
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(super) compare: Option<String>,

    /// The process of the second server
    #[arg(long, value_name = "PID", requires = "compare")]
    pub(super) compare_pid: Option<u32>,

    /// Drive a server in this process that only counts bytes: the most this load generator can do
    #[arg(long, conflicts_with_all = ["server", "live"])]
    pub(super) ceiling: bool,

    /// Leave out the short rounds that find out how much this load generator can do
    #[arg(long)]
    pub(super) no_ceiling: bool,

    /// The directory in which a server in this process keeps recordings; memory unless given
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "ceiling"])]
    pub(super) data_dir: Option<PathBuf>,

    /// Threads of a server in this process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = thread_count)]
    pub(super) server_threads: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Streams at one time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub(super) streams: usize,

    /// Connections that they share
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = at_least_one)]
    pub(super) connections: usize,

    /// Points a stream sends in a round; the number in FILE, or a million
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) points: Option<u64>,

    /// Bytes handed to a connection at once
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = at_least_one)]
    pub(super) chunk_bytes: usize,

    /// Threads that send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = thread_count)]
    pub(super) threads: usize,

    /// How long a server may let everything wait before the run fails
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "60s")]
    pub(super) patience: Duration,

    /// Rounds before those that count
    #[arg(long, value_name = "ROUNDS", default_value_t = 1)]
    pub(super) warm_up: usize,

    /// Rounds that count
    #[arg(long, value_name = "ROUNDS", default_value_t = 5, value_parser = at_least_one)]
    pub(super) repeats: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Live streams")]
pub(super) struct LiveArgs {
    /// Instead of rounds at full speed: N streams, each sending one point an interval as a DATA
    /// frame of its own
    #[arg(
        long,
        value_name = "N",
        value_parser = at_least_one,
        conflicts_with_all = ["compare", "streams", "points", "chunk_bytes", "warm_up", "repeats"]
    )]
    pub(super) live: Option<usize>,

    /// The time between two points of a stream
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "1s")]
    pub(super) interval: Duration,

    /// How long the streams live; at least three intervals
    #[arg(long, value_name = "TIME", value_parser = serve::time, default_value = "60s")]
    pub(super) duration: Duration,
}

const EXAMPLES: &str = "\
Examples:
  What this machine does, client and server on a core each:
    waywiser bench
  Four streams on two connections, planar, against a server that is being profiled:
    waywiser serve &
    waywiser bench --server http://127.0.0.1:50051 --server-pid $! \\
        --method path-length --streams 4 --connections 2
  Two servers in turns, and the ratio of what they cost:
    waywiser bench --server http://127.0.0.1:50051 --server-pid 4711 \\
        --compare http://127.0.0.1:50052 --compare-pid 4712 --repeats 9
  What it costs that a path is a recording on the disk, and what geodesics cost:
    waywiser bench --method record-path --data-dir /tmp/recordings --named --vary named=false
    waywiser bench --method record-path --vary model=planar --repeats 15
  What the load generator itself could do; a server near it is not the bottleneck:
    waywiser bench --ceiling
  Ten thousand trackers on a hundred connections for five minutes:
    waywiser bench --live 10000 --connections 100 --duration 5m
  The same as recordings that are committed once a second:
    waywiser serve --data-dir /tmp/recordings &
    waywiser bench --server http://127.0.0.1:50051 --server-pid $! \\
        --live 10000 --connections 100 --method record-path --named
  One's own track, for a program to read:
    waywiser bench examples/hill-walk.gpx --points 5000000 --json

Exit status: 0 when every reply was right, 1 when not, 2 when the arguments are wrong.";

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "it is a number from 1".to_owned())
}

/// More threads than that help nobody, and a system may not have them.
const THREADS_MAX: usize = 256;

fn some_time(text: &str) -> Result<Duration, String> {
    match serve::time(text)? {
        Duration::ZERO => Err("it must be more than nothing".to_owned()),
        time => Ok(time),
    }
}

fn thread_count(text: &str) -> Result<usize, String> {
    at_least_one(text)
        .ok()
        .filter(|&count| count <= THREADS_MAX)
        .ok_or_else(|| format!("it is a number from 1 to {THREADS_MAX}"))
}

fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&ratio: &f64| ratio >= 0.0)
        .ok_or_else(|| "a ratio looks like 1e-6, or is inf".to_owned())
}

impl BenchArgs {
    /// Why the arguments do not fit together, if they do not.
    pub(super) fn misfit(&self) -> Option<String> {
        let stream_count = self.live.live.unwrap_or(self.load.streams);
        if self.load.connections > stream_count {
            let connections = self.load.connections;
            let streams = pluralize(stream_count as u64, "stream");
            return Some(format!("{streams} cannot use --connections {connections}"));
        }
        let calls = self.calls();
        if calls.iter().all(|call| call.method != MethodName::RecordPath)
            && let Some(option) = calls.iter().find_map(CallArgs::of_paths)
        {
            return Some(format!("{option} means something to --method record-path alone"));
        }
        let LiveArgs { live, interval, duration } = self.live;
        (live.is_some() && duration < interval.saturating_mul(3)).then(|| {
            let [duration, interval] = [duration, interval].map(humantime::format_duration);
            format!("--duration {duration} is less than three times --interval {interval}")
        })
    }

    /// What is called: once or, with --vary, in two ways.
    fn calls(&self) -> Vec<CallArgs> {
        match &self.vary[..] {
            [] => vec![self.call],
            changes => vec![self.call, self.call.with(changes)],
        }
    }

    /// The servers to drive, one or two.
    ///
    /// # Errors
    /// When an address is none or a server cannot start.
    pub(super) fn targets(&self) -> Result<Vec<Target>, String> {
        let servers = &self.servers;
        let first = match &servers.server {
            Some(url) => Target::at(url, servers.server_pid)?,
            None if servers.ceiling => Target::counter(servers.server_threads)?,
            None => Target::embedded(servers.server_threads, servers.data_dir.as_deref())?,
        };
        let mut targets = vec![first];
        if let Some(url) = &servers.compare {
            targets.push(Target::at(url, servers.compare_pid)?);
        }
        Ok(targets)
    }

    /// What to send them: one load or, with --vary, two.
    ///
    /// # Errors
    /// When the file cannot be read or is nothing to this call.
    pub(super) fn loads(
        &self,
        stream_count: usize,
        point_count: Option<u64>,
    ) -> Result<Vec<Arc<Load>>, String> {
        let walk_points = point_count.unwrap_or(1_000_000);
        let points = match &self.file {
            Some(file) => track::read(file, self.format.map(FileFormat::format))?,
            None => track::walk(walk_points),
        };
        let point_count = point_count.unwrap_or(points.len() as u64);
        let unix_time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let run = format!("{}-{}", std::process::id(), unix_time.as_millis());
        let load = |args: &CallArgs| {
            let call = args.call(self.live.live.is_some());
            Ok(Arc::new(Load {
                call,
                track: Track::new(&call, &points, point_count)?,
                run: run.clone(),
                stream_count,
                chunk_bytes: self.load.chunk_bytes,
                length_tolerance: self.length_tolerance,
                patience: self.load.patience,
            }))
        };
        self.calls().iter().map(load).collect()
    }
}
