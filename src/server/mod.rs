//! The server: a listener, limits on all resources, and a shutdown within the drain time.
//!
//! [`run`] takes the listener, the [`Config`] and the signal to stop from its caller, so that programs and tests
//! bring their own. It accepts connections and drives h2 itself instead of leaving that to tonic and hyper: the
//! limits on connections, on memory and on the time to stop need what those do not show.

mod accept;
mod body;
mod call;
mod config;
mod connection;
mod cutoff;
mod frames;
mod handle;
mod health;
mod keepalive;
mod log_limit;
mod memory;
mod message_limit;
mod peer;
mod preface;
mod routes;
pub(crate) mod socket;
mod stream;
mod system_memory;
mod trim;
mod write_stall;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::recording::CheckpointStore;
use crate::service::PathService;
use call::Shared;
use health::HealthReporter;
use trim::Trimmer;

pub use config::{Config, ConfigError};

/// How long before the end of the drain time the open streams are ended with UNAVAILABLE, so that the status
/// still reaches their clients: this, or a tenth of the drain time if that is shorter.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// How often recordings that have expired are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The stages of an end, as every connection and call sees them.
#[derive(Clone, Debug, Default)]
struct Stages {
    /// No new streams from here on.
    draining: CancellationToken,
    /// Open streams are answered UNAVAILABLE from here on.
    closing: CancellationToken,
    /// The calls that the drain waits for: all but health watches and reflection.
    calls: TaskTracker,
}

/// Serves until `shutdown` completes, then drains: health answers NOT_SERVING, no new connection and no new
/// stream is accepted, and connections without streams are closed at once. Open streams may continue until
/// shortly before [`Config::drain_timeout`] has passed; then they end with UNAVAILABLE. Returns when all
/// connections are closed, and at the latest after the drain time, whatever the clients do. If the points of
/// recordings are not durable and the store does not answer, it returns up to ten seconds later.
///
/// ```no_run
/// use tokio::net::TcpListener;
/// use waywiser::store::MemoryStore;
/// use waywiser::server::{self, Config};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:50051").await?;
/// let store = std::sync::Arc::new(MemoryStore::default());
/// server::run(listener, Config::default(), store, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the configuration is not valid, or the listener becomes unusable.
pub async fn run(
    listener: TcpListener,
    config: Config,
    store: Arc<dyn CheckpointStore>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (shared, routes, paths, health) = parts(config, store);
    health.set_serving(true);

    tracing::info!(address = %listener.local_addr()?, "listening");
    tracing::info!(
        bytes = shared.memory.limit(),
        "memory limit for unread input and unsent replies (--max-memory)"
    );
    let mut connections = accept::Connections::new(Arc::clone(&shared), routes);
    let served = tokio::select! {
        result = connections.accept(&listener) => result,
        () = shutdown => Ok(()),
        // These two never complete.
        () = paths.expire(EXPIRY_INTERVAL) => Ok(()),
        () = housekeeping(&shared) => Ok(()),
    };

    let stages = &shared.stages;
    let drain_timeout = shared.config.drain_timeout;
    let end = Instant::now() + drain_timeout;
    let farewell = FAREWELL_TIME.min(drain_timeout / 10);
    tracing::info!(
        connections = connections.len(),
        drain_time_s = drain_timeout.as_secs_f64(),
        "draining"
    );
    health.set_serving(false);
    drop(listener);
    stages.draining.cancel();
    stages.calls.close();
    // A timeout is not an error: the streams that are still open then are ended with a status.
    let _ = timeout_at(end - farewell, stages.calls.wait()).await;
    stages.closing.cancel();
    let cut = connections.close_by(end).await;
    // What the streams that were cut had folded is committed; the commits have a time limit of their own.
    paths.settled().await;
    shared.log.flush();
    tracing::info!(connections_cut = cut, "stopped");
    served
}

/// Serves one connection over any byte stream, as [`run`] does for those it accepts, until it is over. For tests
/// and fuzzing of whole connections.
#[doc(hidden)]
pub async fn serve_pipe<S>(io: S, config: Config, store: Arc<dyn CheckpointStore>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (shared, routes, paths, health) = parts(config, store);
    health.set_serving(true);
    let peer = SocketAddr::from(([127, 0, 0, 1], 0));
    connection::serve(io, shared, routes, handle::Handle::new(peer)).await;
    paths.settled().await;
}

/// What the connections of a server share, its routes, its recordings and its health.
fn parts(
    config: Config,
    store: Arc<dyn CheckpointStore>,
) -> (Arc<Shared>, Routes, PathService, HealthReporter) {
    let paths = PathService::new(config.stream_limits(), store, config.pace());
    let (routes, health) = routes::routes(&config, paths.clone());
    (Shared::new(config), routes, paths, health)
}

/// Every second: ends the largest consumer when memory is short, returns freed memory to the system, and reports
/// suppressed log lines. Never completes.
async fn housekeeping(shared: &Shared) {
    let mut trimmer = Trimmer::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.log.flush();
        shared.relieve();
        if trimmer.is_due(&shared.memory) {
            // A panic in it is not possible, and nothing depends on it.
            let _ = tokio::task::spawn_blocking(trim::trim).await;
        }
    }
}
