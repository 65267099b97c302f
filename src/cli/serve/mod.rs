//! `waywiser serve`: runs the server until a signal stops it. `limits.rs` has the options that bound it.

mod features;
mod limits;

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};

use clap::{Args, ValueEnum};
use tokio::net::TcpListener;

use self::features::FeatureArgs;
use self::limits::LimitArgs;
use super::store::{Opened, StoreArgs};
use super::{Outcome, fail, usage_error};
use crate::server::Server;
use crate::telemetry::{self, LogFormat};

/// Run the gRPC server
///
/// Services: waywiser.v1.PathService, my_package.DisplacementService (computeDisplacement, computePathLength),
/// routeguide.RouteGuide (the four methods of the gRPC quick start), grpc.health.v1.Health, and server reflection.
///
/// Recordings (paths with a name) are stored on disk. They survive a restart, also after the process was killed.
/// Only one process at a time can use a data directory.
///
/// When the server accepts connections, it prints one line on standard output: "listening on ADDRESS". The log goes
/// to standard error, one line per stream. The server has no TLS: run it on a trusted network, or behind a proxy
/// that terminates TLS.
///
/// SIGINT, SIGTERM or SIGHUP starts a drain: health checks return NOT_SERVING, new connections and streams are
/// refused, and connections without streams are closed. Open streams may continue for the drain timeout and then end
/// with UNAVAILABLE. A second signal ends the process at once. At exit, the server logs the number of commits,
/// transactions and disk syncs, and the duration of commits.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// Address and port to listen on; port 0 selects a free port
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Worker threads; 0 means one per CPU core
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = threads)]
    threads: usize,

    /// Format of log lines
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    log_format: Format,

    /// Log levels in the syntax of RUST_LOG, such as debug or waywiser=trace,h2=info
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_filter: String,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    features: FeatureArgs,
}

const EXAMPLES: &str = "\
Examples:
  waywiser serve
  waywiser serve --listen 0.0.0.0:50051 --log-format json
  waywiser serve --stream-idle-timeout 1h --drain-timeout 30s
  grpcurl -plaintext -d '{\"end\": {\"x\": 3, \"y\": 4}}' 127.0.0.1:50051 \\
      my_package.DisplacementService/computeDisplacement

Exit status: 0 after a drain, 1 if the server could not run, 2 for a usage error.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Aligned text
    Text,
    /// One JSON object per line
    Json,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let advice = "use HOST:PORT, such as 127.0.0.1:50051, [::1]:50051 or localhost:50051";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; {advice}"))?;
    found.next().ok_or_else(|| format!("the host has no address; {advice}"))
}

fn threads(text: &str) -> Result<usize, String> {
    const THREADS_MAX: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= THREADS_MAX => Ok(threads),
        _ => Err(format!("must be a whole number from 0 to {THREADS_MAX}")),
    }
}

/// Number of task polls after which a busy thread checks sockets and timers; the default of tokio is 61. A poll of a
/// stream with long legs takes up to a millisecond, and a new request waits for this many polls.
const EVENT_INTERVAL: u32 = 4;

/// Runs the server. Prints one line on standard output when connections are accepted.
///
/// # Errors
/// If the address of the listener cannot be read.
pub(super) fn run(args: &ServeArgs) -> io::Result<Outcome> {
    let config = args.limits.config();
    if let Err(error) = config.check() {
        return usage_error(format_args!("{}", limits::error_message(&error)));
    }
    let format = match args.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let _log = match telemetry::log_to_stderr(format, &args.log_filter) {
        Ok(guard) => guard,
        Err(error) => {
            let filter = &args.log_filter;
            return usage_error(format_args!(
                "the log filter {filter:?} (--log-filter or RUST_LOG) is invalid: {error}"
            ));
        }
    };
    let features = match args.features.read() {
        Ok(features) => features,
        Err(error) => return fail(format_args!("{error}")),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if args.threads > 0 {
        runtime.worker_threads(args.threads);
    }
    // Without this, a thread with a busy connection would check sockets and timers rarely.
    runtime.event_interval(EVENT_INTERVAL);
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start threads: {error}")),
    };
    // The listener is opened before the store: a server that cannot listen creates no directory.
    let listener = match runtime.block_on(listen(args.listen)) {
        Ok(listener) => listener,
        Err(error) => return fail(format_args!("{error}")),
    };
    let Opened { store, logged } = match args.store.open() {
        Ok(store) => store,
        Err(error) => return fail(format_args!("{error}")),
    };
    let server = Server::new(config, store).with_features(features);
    let outcome = runtime.block_on(serve(listener, server));
    // Handlers that still run have no receiver for their results.
    runtime.shutdown_background();
    if let Some(logged) = logged {
        logged.log();
    }
    outcome
}

/// Opens the listener. The error message says what to do.
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

async fn serve(listener: TcpListener, server: Server) -> io::Result<Outcome> {
    // Signals are registered before the line is printed, because its reader may send a signal at once.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("signals cannot be received: {error}")),
    };
    let mut stdout = io::stdout();
    // Standard output may be closed; the server runs without it.
    let _ = writeln!(stdout, "listening on {}", listener.local_addr()?);
    let _ = stdout.flush();
    match server.run(listener, signals.first()).await {
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
