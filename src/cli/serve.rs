//! `waywiser serve`: runs the server until a signal stops it.

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::net::TcpListener;

use super::store::{Opened, StoreArgs};
use super::{Outcome, fail, usage_error};
use crate::recording::CheckpointStore;
use crate::server::{self, Config, ConfigError};
use crate::telemetry::{self, LogFormat};

/// Serve the gRPC services until SIGINT, SIGTERM or SIGHUP.
///
/// Services: waywiser.v1.PathService, my_package.DisplacementService (computeDisplacement,
/// computePathLength), routeguide.RouteGuide (RecordRoute), grpc.health.v1.Health, and server
/// reflection.
///
/// Paths that clients record by name are stored on disk. They survive a restart, also after the process
/// was killed. Only one process at a time can use a directory.
///
/// Once it accepts connections it prints one line on standard output, "listening on ADDRESS". The
/// log is written to standard error, one line per stream. There is no TLS: run it on a trusted network or
/// behind a proxy that terminates TLS.
///
/// At exit it logs the number of commits, transactions and disk syncs, and how long a commit took.
///
/// The first of these signals, SIGHUP included, drains: health answers NOT_SERVING, no new connection or
/// stream is accepted, and connections without streams are closed at once. Open streams may continue for
/// the drain time and then end with UNAVAILABLE. The second signal ends the process at once.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Threads that serve; 0 takes one a core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    threads: usize,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,

    /// What is logged, in the syntax of RUST_LOG: info, debug, waywiser=trace,h2=debug, ...
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_filter: String,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Connections at one time; a further one takes the place of the one that was idle longest
    #[arg(long, value_name = "N", default_value_t = Config::default().max_connections)]
    max_connections: usize,

    /// Connections of one address (IPv6: /64 network) at one time; raise it behind a proxy
    #[arg(long, value_name = "N", default_value_t = Config::default().max_connections_per_peer)]
    max_connections_per_peer: usize,

    /// How long a connection without streams stays open
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    connection_idle_timeout: Duration,

    /// Memory for unread input and unsent replies of all clients (64MiB, 2GiB); by default a
    /// quarter of the memory that the process may use
    #[arg(long = "max-memory", value_name = "SIZE", value_parser = size)]
    max_memory_bytes: Option<u64>,

    /// New recordings per minute and client address; twice as many may be created at once
    #[arg(long, value_name = "N", default_value_t = Config::default().max_new_recordings_per_minute)]
    max_new_recordings_per_minute: u32,

    /// Log lines per second of each kind that clients cause; suppressed lines are counted
    #[arg(long, value_name = "N", default_value_t = Config::default().max_log_rate)]
    max_log_rate: u32,

    /// Streams at one time on a connection
    #[arg(long, value_name = "N", default_value_t = Config::default().max_streams_per_connection)]
    max_streams_per_connection: u32,

    /// The largest message, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_message_bytes)]
    max_message_bytes: usize,

    /// How many times their size the compressed messages of a stream may inflate to, after the first 1 MiB; 1033
    /// and more is no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = Config::default().max_inflation_ratio,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_inflation_ratio: u32,

    /// The largest header list of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_header_bytes)]
    max_header_bytes: u32,

    /// Streams that a connection may lose to its own errors before it is closed
    #[arg(long, value_name = "N", default_value_t = Config::default().max_error_resets)]
    max_error_resets: usize,

    /// Streams that a client may reset before the server starts them, at one time
    #[arg(long, value_name = "N", default_value_t = Config::default().max_pending_resets)]
    max_pending_resets: usize,

    /// Bytes of a stream that a client may send before they are read
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().stream_window_bytes)]
    stream_window_bytes: u32,

    /// Bytes of all streams of a connection that a client may send before they are read
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().connection_window_bytes)]
    connection_window_bytes: u32,

    /// What small DATA frames of a connection may cost that wait to be read; each costs what its
    /// payload lacks to 256 bytes
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().data_frame_budget_bytes)]
    data_frame_budget_bytes: usize,

    /// How long a stream may send nothing, or leave a reply unread (30s, 5m, 1h)
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    stream_idle_timeout: Duration,

    /// How long a connection may take to begin speaking HTTP/2
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    handshake_timeout: Duration,

    /// How long a connection may be silent before its client is pinged
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    keepalive_interval: Duration,

    /// How long the client may take to answer a ping
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "20s")]
    keepalive_timeout: Duration,

    /// How long after its first point that is not durable a recording is committed
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    checkpoint_interval: Duration,

    /// After how many points that are not durable a recording is committed at once
    #[arg(long, value_name = "N", default_value_t = Config::default().checkpoint_points)]
    checkpoint_points: u64,

    /// How long a recording is kept after it last grew or was finished
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "7d")]
    retention: Duration,

    /// How long open streams may continue after the signal to stop
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    drain_timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  waywiser serve
  waywiser serve --listen 0.0.0.0:50051 --log-format json
  waywiser serve --stream-idle-timeout 1h --drain-timeout 30s
  grpcurl -plaintext -d '{\"end\": {\"x\": 3, \"y\": 4}}' 127.0.0.1:50051 \\
      my_package.DisplacementService/computeDisplacement

Exit status: 0 after a drain, 1 when the server could not run, 2 when the arguments are wrong.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let advice = "write a host and a port: 127.0.0.1:50051, [::1]:50051, localhost:50051";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; {advice}"))?;
    found.next().ok_or_else(|| format!("no address; {advice}"))
}

fn threads(text: &str) -> Result<usize, String> {
    const THREADS_MAX: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= THREADS_MAX => Ok(threads),
        _ => Err(format!("it is a number from 0 to {THREADS_MAX}")),
    }
}

/// Parses a time option.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; a time looks like 30s or 5m"))
}

/// A number of bytes with a unit.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit_bytes) = unit.unwrap_or((text, 1));
    let bytes = number.trim_end().parse::<u64>().ok().and_then(|n| n.checked_mul(unit_bytes));
    bytes.ok_or_else(|| "a size looks like 512MiB or 2GiB".to_owned())
}

impl LimitArgs {
    fn config(&self) -> Config {
        Config {
            max_connections: self.max_connections,
            max_streams_per_connection: self.max_streams_per_connection,
            max_message_bytes: self.max_message_bytes,
            max_inflation_ratio: self.max_inflation_ratio,
            max_header_bytes: self.max_header_bytes,
            max_error_resets: self.max_error_resets,
            stream_idle_timeout: self.stream_idle_timeout,
            handshake_timeout: self.handshake_timeout,
            keepalive_interval: self.keepalive_interval,
            keepalive_timeout: self.keepalive_timeout,
            max_pending_resets: self.max_pending_resets,
            stream_window_bytes: self.stream_window_bytes,
            connection_window_bytes: self.connection_window_bytes,
            data_frame_budget_bytes: self.data_frame_budget_bytes,
            max_connections_per_peer: self.max_connections_per_peer,
            connection_idle_timeout: self.connection_idle_timeout,
            max_memory_bytes: self.max_memory_bytes,
            max_new_recordings_per_minute: self.max_new_recordings_per_minute,
            max_log_rate: self.max_log_rate,
            checkpoint_interval: self.checkpoint_interval,
            checkpoint_points: self.checkpoint_points,
            retention: self.retention,
            drain_timeout: self.drain_timeout,
            ..Config::default()
        }
    }
}

/// After how many polls a busy thread looks at its sockets and timers; the default of tokio is 61. A poll of a
/// stream with long legs takes up to a millisecond, and a new request waits for this many of them.
const EVENT_INTERVAL: u32 = 4;

/// Serves. Standard output gets one line, once connections are accepted.
///
/// # Errors
/// When the listener has no address.
pub(super) fn run(args: &ServeArgs) -> io::Result<Outcome> {
    let config = args.limits.config();
    if let Err(ConfigError { setting, value, bounds }) = config.check() {
        let option = match setting {
            "max_memory_bytes" => "max-memory".to_owned(),
            setting => setting.replace('_', "-"),
        };
        return usage_error(format_args!("--{option} is {value}, and must be {bounds}"));
    }
    let format = match args.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let _log = match telemetry::log_to_stderr(format, &args.log_filter) {
        Ok(guard) => guard,
        Err(error) => {
            let log = &args.log_filter;
            return usage_error(format_args!(
                "the log filter {log:?} (--log-filter or RUST_LOG): {error}"
            ));
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if args.threads > 0 {
        runtime.worker_threads(args.threads);
    }
    // A busy connection never lets its thread sleep; this makes the thread check sockets and timers regardless.
    runtime.event_interval(EVENT_INTERVAL);
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("the server cannot start: {error}")),
    };
    // First: a server that cannot listen leaves no directory behind.
    let listener = match runtime.block_on(listen(args.listen)) {
        Ok(listener) => listener,
        Err(error) => return fail(format_args!("{error}")),
    };
    let Opened { store, logged } = match args.store.open() {
        Ok(store) => store,
        Err(error) => return fail(format_args!("{error}")),
    };
    let outcome = runtime.block_on(serve(listener, config, store));
    // Handlers that still run have no receiver for their results.
    runtime.shutdown_background();
    if let Some(logged) = logged {
        logged.log();
    }
    outcome
}

/// Listens, or returns why that failed and what to do.
async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; is another server running there? stop it, or choose a port with --listen"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
            io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
            _ => "",
        };
        format!("cannot listen on {address}: {error}{advice}")
    })
}

async fn serve(
    listener: TcpListener,
    config: Config,
    store: Arc<dyn CheckpointStore>,
) -> io::Result<Outcome> {
    // Before the line is printed: its reader may send a signal at once.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("signals cannot be received: {error}")),
    };
    let mut stdout = io::stdout();
    // Standard output may be closed; the server runs without it.
    let _ = writeln!(stdout, "listening on {}", listener.local_addr()?);
    let _ = stdout.flush();
    match server::run(listener, config, store, signals.first()).await {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => fail(format_args!("the server stopped: {error}")),
    }
}

/// SIGINT, SIGTERM and SIGHUP, or their equivalents.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// The terminal was closed.
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Completes at the first signal. The second one ends the process.
    async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("second signal: ending without a drain");
            std::process::exit(1);
        });
    }
}
