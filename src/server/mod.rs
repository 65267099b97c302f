//! The server: a listener, bounds on everything, and an end that comes in time.
//!
//! [`run`] takes the listener, the [`Config`] and the signal to stop from its caller, so that
//! programs and tests bring their own. It accepts connections itself instead of leaving that to
//! tonic, because three of the promises need it: no more connections than configured, no
//! connection that never speaks, and an end of the process that waits for nobody past its bound.

mod accept;
mod call;
mod config;
mod cutoff;
mod routes;
pub(crate) mod socket;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::checkpoint::CheckpointStore;
use crate::service::PathService;
use routes::ServingStatus;

pub use config::{Config, ConfigError};

/// How long before the end of the drain time the open streams are told, so that what they are told
/// still reaches them: this, or a tenth of the drain time where that is shorter.
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

/// Serves until `shutdown` completes, then drains: health answers NOT_SERVING, no connection and
/// no stream is taken any more, open streams may go on until shortly before
/// [`Config::drain_time`] has passed and are then answered UNAVAILABLE. It returns when all is
/// closed and at the latest after the drain time, whatever the clients do; if recordings are left whose
/// points are not durable and the store does not answer, up to ten seconds later.
///
/// ```no_run
/// use tokio::net::TcpListener;
/// use waywiser::checkpoint::MemoryStore;
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
/// When the configuration is not valid, or the listener is beyond use.
pub async fn run(
    listener: TcpListener,
    config: Config,
    store: Arc<dyn CheckpointStore>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let config = Arc::new(config);
    let stages = Stages::default();
    let paths = PathService::new(config.stream_limits(), store, config.pace());
    let (routes, health) = routes::routes(&config, paths.clone());
    health.set(ServingStatus::Serving).await;

    tracing::info!(address = %listener.local_addr()?, "listening");
    let mut connections = accept::Connections::new(Arc::clone(&config), stages.clone(), routes);
    let served = tokio::select! {
        result = connections.accept(&listener) => result,
        () = shutdown => Ok(()),
        () = paths.expire(EXPIRY_INTERVAL) => Ok(()), // which never comes
    };

    let end = Instant::now() + config.drain_time;
    let farewell = FAREWELL_TIME.min(config.drain_time / 10);
    tracing::info!(
        connections = connections.len(),
        drain_time_s = config.drain_time.as_secs_f64(),
        "draining"
    );
    health.set(ServingStatus::NotServing).await;
    drop(listener);
    stages.draining.cancel();
    stages.calls.close();
    // Not an error: the streams that are still open then are cut off, and told so.
    let _ = timeout_at(end - farewell, stages.calls.wait()).await;
    stages.closing.cancel();
    let cut = connections.close_by(end).await;
    // What the streams that were cut had folded is committed; the commits give up by themselves.
    paths.settled().await;
    tracing::info!(connections_cut = cut, "stopped");
    served
}
