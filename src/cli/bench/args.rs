//! The arguments of `waywiser bench`, and the servers and loads that they describe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::call::{CallArgs, MethodName, Vary};
use crate::cli::connect::{CredentialArgs, server_url};
use crate::cli::input::{self, Stdin};
use crate::cli::reading::FileFormat;
use crate::cli::report::pluralize;
use crate::cli::units::{Time, at_least_one, positive_time, whole};
use crate::client::Client;
use crate::load::drive::Load;
use crate::load::live::Schedule;
use crate::load::paced::Pace;
use crate::load::target::Target;
use crate::load::track::{self, Track};

/// Measure the throughput and the CPU time of a server
///
/// Sends a track over many streams as fast as flow control permits, and checks every reply. The track is a
/// generated walk of points about 15 m apart, or the track in FILE; it is repeated as often as needed. It is
/// encoded once, before the measurement. A reply must have the number of points sent and the length that this
/// program computes. The first wrong reply ends the run.
///
/// The report has points per second, bytes per second, and CPU time per point: of this process, and of the server
/// if it runs in this process or --server-pid names it. On a machine with other load, CPU time is more reliable
/// than throughput. Values of several rounds are printed as median, least and greatest. The ceiling is the
/// throughput to a server that only counts bytes; a server close to it is limited by this program.
///
/// Without --server, the server runs in this process on its own threads.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct BenchArgs {
    /// Track file whose track is sent; - for standard input [default: a generated walk]
    pub(super) file: Option<PathBuf>,

    /// Format of the file [default: detected from the content]
    #[arg(long, value_enum, requires = "file")]
    pub(super) format: Option<FileFormat>,

    #[command(flatten)]
    pub(super) call: CallArgs,

    /// Accepted relative error of the length in a reply; inf checks only the number of points
    ///
    /// A server that uses another radius of the Earth needs about 1e-5.
    #[arg(long, value_name = "RATIO", value_parser = ratio, default_value = "1e-9")]
    pub(super) length_tolerance: f64,

    /// Accepted absolute error of the length in a reply, in addition to --length-tolerance
    ///
    /// In metres, or in the unit of the coordinates with planar points. A server that truncates each leg to whole
    /// metres needs up to one metre per leg of a stream.
    #[arg(long, value_name = "LENGTH", value_parser = ratio, default_value = "0")]
    pub(super) length_tolerance_abs: f64,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,

    /// Alternate with a second load that differs in these settings, and print ratios
    ///
    /// Example: --vary model=planar,layout=rows. The keys are method, model, layout, points-per-message, times and
    /// named. With --compare, the second server receives the second load.
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_parser = Vary::parse,
        value_delimiter = ',',
        conflicts_with_all = ["live", "rate", "ceiling"]
    )]
    pub(super) vary: Vec<Vary>,

    #[command(flatten)]
    pub(super) servers: ServerArgs,

    #[command(flatten)]
    pub(super) credentials: CredentialArgs,

    #[command(flatten)]
    pub(super) load: LoadArgs,

    #[command(flatten)]
    pub(super) live: LiveArgs,

    #[command(flatten)]
    pub(super) paced: PacedArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Servers")]
pub(super) struct ServerArgs {
    /// URL of the server, http:// or https:// [default: a server in this process]
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(super) server: Option<String>,

    /// Process of the server on this machine, for its CPU time and memory
    #[arg(long, value_name = "PID", value_parser = at_least_one::<u32>, requires = "server")]
    pub(super) server_pid: Option<u32>,

    /// URL of a second server; rounds alternate between the servers, and ratios are printed
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(super) compare: Option<String>,

    /// Process of the second server on this machine
    #[arg(long, value_name = "PID", value_parser = at_least_one::<u32>, requires = "compare")]
    pub(super) compare_pid: Option<u32>,

    /// Measure only the ceiling: a server in this process that counts bytes
    #[arg(long, conflicts_with_all = ["server", "live"])]
    pub(super) ceiling: bool,

    /// Skip the rounds that measure the ceiling
    #[arg(long)]
    pub(super) no_ceiling: bool,

    /// Directory for the recordings of a server in this process [default: memory]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "ceiling"])]
    pub(super) data_dir: Option<PathBuf>,

    /// Threads of a server in this process
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = thread_count)]
    pub(super) server_threads: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Concurrent streams
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = at_least_one::<usize>)]
    pub(super) streams: usize,

    /// Connections that share the streams
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = at_least_one::<usize>)]
    pub(super) connections: usize,

    /// Points per stream and round [default: the number in FILE, or 1000000]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u64>)]
    pub(super) points: Option<u64>,

    /// Size of the chunks that a stream passes to its connection
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = at_least_one::<usize>)]
    pub(super) chunk_bytes: usize,

    /// Threads that send
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = thread_count)]
    pub(super) threads: usize,

    /// Fail if the server makes no progress on any stream for this long
    #[arg(
        long,
        value_name = "TIME",
        value_parser = positive_time,
        default_value_t = Time(Duration::from_secs(60))
    )]
    pub(super) stall_timeout: Time,

    /// Rounds before the measured ones
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = whole::<usize>)]
    pub(super) warm_up: usize,

    /// Measured rounds
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = at_least_one::<usize>)]
    pub(super) repeats: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Live streams")]
pub(super) struct LiveArgs {
    /// Open COUNT streams that each send one point per interval, instead of rounds at full speed
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = at_least_one::<usize>,
        conflicts_with_all = ["compare", "streams", "points", "chunk_bytes", "warm_up", "repeats"]
    )]
    pub(super) live: Option<usize>,

    /// Time between two points of a live stream
    #[arg(
        long,
        value_name = "TIME",
        value_parser = positive_time,
        default_value_t = Time(Duration::from_secs(1))
    )]
    pub(super) interval: Time,

    /// How long the live streams send (at least three intervals), or calls start with --rate
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_secs(60)))]
    pub(super) duration: Time,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Fixed rate")]
pub(super) struct PacedArgs {
    /// Start COUNT calls per second for --duration, and print percentiles of their times
    ///
    /// Each call sends --points points (default 100). Its time counts from its scheduled start to the end of its reply,
    /// so that calls that wait for a slow server count in full.
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = rate,
        conflicts_with_all = ["live", "compare", "streams", "warm_up", "repeats", "ceiling"]
    )]
    pub(super) rate: Option<f64>,

    /// Maximum number of calls that are open at the same time with --rate; further ones start late
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = at_least_one::<usize>, requires = "rate")]
    pub(super) max_open: usize,
}

const EXAMPLES: &str = "\
Examples:
  Client and server in one process, each on one thread:
    waywiser bench
  Four streams on two connections, planar, to a server in another process:
    waywiser serve &
    waywiser bench --server http://127.0.0.1:50051 --server-pid $! \\
        --method path-length --streams 4 --connections 2
  The cost of one server relative to another:
    waywiser bench --server http://127.0.0.1:50051 --server-pid 4711 \\
        --compare http://127.0.0.1:50052 --compare-pid 4712 --repeats 9
  The cost of recordings on disk, and of geodesics:
    waywiser bench --method record-path --data-dir /tmp/recordings --named \\
        --vary named=false
    waywiser bench --method record-path --vary model=planar --repeats 15
  The ceiling of the load generator alone:
    waywiser bench --ceiling
  Ten thousand trackers on a hundred connections for five minutes:
    waywiser bench --live 10000 --connections 100 --duration 5m
  The same trackers with recordings on disk:
    waywiser serve --data-dir /tmp/recordings &
    waywiser bench --server http://127.0.0.1:50051 --server-pid $! \\
        --live 10000 --connections 100 --method record-path --named
  The times of 200 short calls per second, as percentiles:
    waywiser bench --rate 200 --duration 30s --method record-path --points 50
  A track file, with a report in JSON:
    waywiser bench examples/hill-walk.gpx --points 5000000 --json

Exit status: 0 if every reply was right, 1 if not, 2 for a usage error.";

/// Maximum number of threads; a system may not allow more.
const THREADS_MAX: usize = 256;

fn thread_count(text: &str) -> Result<usize, String> {
    at_least_one(text)
        .ok()
        .filter(|&count| count <= THREADS_MAX)
        .ok_or_else(|| format!("must be a whole number from 1 to {THREADS_MAX}"))
}

/// Maximum number of calls of a run at a fixed rate. Their names have eight digits.
const CALLS_MAX: f64 = 1e8;

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&rate: &f64| (1e-3..=1e6).contains(&rate))
        .ok_or_else(|| "must be a number of calls per second, from 0.001 to 1000000".to_owned())
}

fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&ratio: &f64| ratio >= 0.0)
        .ok_or_else(|| "must be a ratio such as 1e-6, or inf".to_owned())
}

impl BenchArgs {
    /// Returns the error message if the arguments contradict each other.
    pub(super) fn contradiction(&self) -> Option<String> {
        let stream_count = match self.pace() {
            Some(pace) => pace.call_count(),
            None => self.live.live.unwrap_or(self.load.streams),
        };
        if self.load.connections > stream_count {
            let connections = self.load.connections;
            let streams = pluralize(stream_count as u64, "stream");
            return Some(format!("--connections {connections} is more than the {streams}"));
        }
        let calls = self.calls();
        if calls.iter().all(|call| call.method != MethodName::RecordPath)
            && let Some(option) = calls.iter().find_map(CallArgs::record_path_option)
        {
            return Some(format!("{option} needs --method record-path"));
        }
        if let Some(pace) = self.pace()
            && pace.rate * pace.duration.as_secs_f64() > CALLS_MAX
        {
            return Some(format!("--rate times --duration is more than {CALLS_MAX} calls"));
        }
        let LiveArgs { live, interval, duration } = self.live;
        (live.is_some() && duration.0 < interval.0.saturating_mul(3)).then(|| {
            format!("--duration {duration} is less than three times --interval {interval}")
        })
    }

    /// Returns the schedule of live streams.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule { interval: self.live.interval.0, duration: self.live.duration.0 }
    }

    /// Returns the pace of calls at a fixed rate.
    pub(super) fn pace(&self) -> Option<Pace> {
        let (duration, open_max) = (self.live.duration.0, self.paced.max_open);
        self.paced.rate.map(|rate| Pace { rate, duration, open_max })
    }

    /// Returns the arguments of the call, and of the second one with `--vary`.
    fn calls(&self) -> Vec<CallArgs> {
        match &self.vary[..] {
            [] => vec![self.call],
            settings => vec![self.call, self.call.with(settings)],
        }
    }

    /// Returns one or two servers, and starts those that run in this process.
    ///
    /// # Errors
    /// If a URL or a credential is not valid, or a server cannot start.
    pub(super) fn targets(&self) -> Result<Vec<Target>, String> {
        let servers = &self.servers;
        let client = |url: &String| self.credentials.apply(Client::builder(url));
        let first = match &servers.server {
            Some(url) => Target::remote(client(url)?, servers.server_pid)?,
            None if servers.ceiling => Target::counter(servers.server_threads)?,
            None => Target::embedded(servers.server_threads, servers.data_dir.as_deref())?,
        };
        let mut targets = vec![first];
        if let Some(url) = &servers.compare {
            targets.push(Target::remote(client(url)?, servers.compare_pid)?);
        }
        Ok(targets)
    }

    /// Returns one load, or two with `--vary`.
    ///
    /// # Errors
    /// If the file cannot be read or its track cannot be sent by the call.
    pub(super) fn loads(
        &self,
        stream_count: usize,
        point_count: Option<u64>,
    ) -> Result<Vec<Arc<Load>>, String> {
        let points = match &self.file {
            Some(file) => {
                let points = input::open(file, &Stdin::of_process()).and_then(|input| {
                    track::read(input::buffered(input), self.format.map(FileFormat::format))
                });
                points.map_err(|error| error.in_file(&file.to_string_lossy()))?
            }
            None => track::walk(point_count.unwrap_or(1_000_000)),
        };
        let point_count = point_count.unwrap_or(points.len() as u64);
        let unix_time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let run_id = format!("{}-{}", std::process::id(), unix_time.as_millis());
        let load = |args: &CallArgs| {
            let call = args.call(self.live.live.is_some());
            Ok(Arc::new(Load {
                call,
                track: Track::new(&call, &points, point_count)?,
                run_id: run_id.clone(),
                stream_count,
                chunk_bytes: self.load.chunk_bytes,
                length_tolerance: self.length_tolerance,
                length_tolerance_abs: self.length_tolerance_abs,
                stall_timeout: self.load.stall_timeout.0,
            }))
        };
        self.calls().iter().map(load).collect()
    }
}
