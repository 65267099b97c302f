//! The life of a server: it accepts connections until the signal to stop, then drains within the drain timeout.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::service::Routes;

use super::accept::Connections;
use super::acceptor::{Acceptor, PlainAcceptor};
use super::config::Config;
use super::connection;
use super::handle::Handle;
use super::health::{Health, HealthReporter, StoreAvailability};
use super::monitor::{Monitor, Phase, Running};
use super::observer::CallObserver;
use super::routes;
use super::shared::Shared;
#[cfg(feature = "tls")]
use super::tls::{TlsAcceptor, TlsSettings};
use super::trim::{self, Trimmer};
#[cfg(feature = "http")]
use super::web::{Site, WebService};
use crate::auth::Authenticator;
use crate::recording::CheckpointStore;
use crate::service::{AdminService, Features, PathService, RouteGuide};

/// Open streams end with UNAVAILABLE this long before the end of the drain timeout, so that the status still
/// reaches their clients. A tenth of the drain timeout applies if that is shorter.
const STATUS_MARGIN: Duration = Duration::from_secs(1);

/// The interval between two searches for recordings that have expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A server that is ready to run.
///
/// ```no_run
/// use std::sync::Arc;
/// use tokio::net::TcpListener;
/// use waywiser::server::{CallObserver, CallReport, Config, Server};
/// use waywiser::store::MemoryStore;
///
/// struct Errors(std::sync::atomic::AtomicU64);
///
/// impl CallObserver for Errors {
///     fn call_ended(&self, report: &CallReport<'_>) {
///         if report.code != tonic::Code::Ok {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         }
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let errors = Arc::new(Errors(0.into()));
/// let listener = TcpListener::bind("127.0.0.1:50051").await?;
/// let store = Arc::new(MemoryStore::default());
/// Server::new(Config::default(), store)
///     .with_observer(errors)
///     .run(listener, std::future::pending())
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    config: Config,
    store: Arc<dyn CheckpointStore>,
    observers: Vec<Arc<dyn CallObserver>>,
    features: Arc<Features>,
    authenticator: Option<Arc<dyn Authenticator>>,
    #[cfg(feature = "tls")]
    tls: Option<TlsSettings>,
    #[cfg(feature = "http")]
    web: Option<(TcpListener, Arc<dyn WebService>)>,
    monitor: Monitor,
    store_availability: Option<StoreAvailability>,
}

impl Server {
    /// Returns a server with these settings that keeps its recordings in `store`. [`Server::run`] checks the settings.
    pub fn new(config: Config, store: Arc<dyn CheckpointStore>) -> Self {
        Self {
            config,
            store,
            observers: Vec::new(),
            features: Arc::default(),
            authenticator: None,
            monitor: Monitor::default(),
            store_availability: None,
            #[cfg(feature = "http")]
            web: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Requires TLS of all clients. The server follows the changes of the files.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, settings: TlsSettings) -> Self {
        self.tls = Some(settings);
        self
    }

    /// Answers HTTP/1.1 and HTTP/2 on another listener, with the certificates, the authenticator, the limits and the drain
    /// of this server.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_http(mut self, listener: TcpListener, service: Arc<dyn WebService>) -> Self {
        self.web = Some((listener, service));
        self
    }

    /// Adds an observer of calls. The server logs calls in any case.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets the features of `routeguide.RouteGuide`. By default there are none.
    #[must_use]
    pub fn with_features(mut self, features: Features) -> Self {
        self.features = Arc::new(features);
        self
    }

    /// Makes the server accept only calls whose credentials the authenticator accepts. Health checks need none.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Makes health report NOT_SERVING for the server, and for the services that need the store, while the value is an
    /// error. The error is the reason, for [`Monitor::store_outage`] and so for operators only. By default the store
    /// counts as available.
    #[must_use]
    pub fn with_store_availability(
        mut self,
        availability: watch::Receiver<Result<(), String>>,
    ) -> Self {
        self.store_availability = Some(availability);
        self
    }

    /// Returns a view of the server, for metrics and for checks of its readiness.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Serves until `shutdown` completes, then drains: health answers NOT_SERVING, no new connection and no new
    /// stream is accepted, and connections without streams are closed at once. Open streams may continue until
    /// shortly before [`Config::drain_timeout`] has passed; then they end with UNAVAILABLE. Returns when all
    /// connections are closed, and at the latest after the drain timeout. If the points of recordings are not durable
    /// and the store does not answer, it returns up to ten seconds later.
    ///
    /// # Errors
    /// If the configuration is not valid, or the listener becomes unusable.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            let threads = tokio::runtime::Handle::current().metrics().num_workers();
            let acceptor = TlsAcceptor::new(tls.clone(), threads);
            #[cfg(feature = "http")]
            let for_web = Some(acceptor.for_any_http());
            #[cfg(not(feature = "http"))]
            let for_web = None;
            return tokio::select! {
                result = self.run_with(listener, address, (acceptor, for_web), shutdown) => result,
                never = tls.follow_files() => match never {},
            };
        }
        let acceptors = (PlainAcceptor, Some(PlainAcceptor));
        self.run_with(listener, address, acceptors, shutdown).await
    }

    /// Serves with an acceptor, and another one for the HTTP listener.
    #[cfg_attr(not(feature = "http"), allow(unused_mut))]
    async fn run_with<A: Acceptor<TcpStream>>(
        mut self,
        listener: TcpListener,
        address: SocketAddr,
        (acceptor, for_web): (A, Option<A>),
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let store_availability = self.store_availability.clone();
        #[cfg(feature = "http")]
        let web = self.web.take();
        let Parts { shared, routes, paths, health } = self.into_parts();
        health.set(health_of(&shared));
        shared.monitored.set_phase(Phase::Serving);

        tracing::info!(%address, "listening");
        tracing::info!(
            bytes = shared.memory.limit(),
            "memory limit for unread input, unsent replies and open recordings (--max-memory)"
        );
        let mut connections = Connections::new(Arc::clone(&shared), routes, acceptor);
        #[cfg(feature = "http")]
        let web_listener = match (web, for_web) {
            (Some((listener, service)), Some(acceptor)) => {
                let address = listener.local_addr()?;
                tracing::info!(%address, "listening for HTTP");
                connections.set_web(acceptor, Site { service, address });
                Some(listener)
            }
            _ => None,
        };
        #[cfg(not(feature = "http"))]
        let web_listener: Option<TcpListener> = for_web.and(None);
        let result = tokio::select! {
            result = connections.accept(&listener, web_listener.as_ref()) => result,
            () = shutdown => Ok(()),
            // These never complete.
            () = paths.expire(EXPIRY_INTERVAL) => Ok(()),
            () = paths.follow_store() => Ok(()),
            () = health.follow_store(store_availability) => Ok(()),
            () = housekeeping(&shared, &health) => Ok(()),
        };

        let stages = &shared.stages;
        let drain_timeout = shared.config.drain_timeout;
        let end = Instant::now() + drain_timeout;
        let margin = STATUS_MARGIN.min(drain_timeout / 10);
        tracing::info!(
            connections = connections.len(),
            drain_timeout_s = drain_timeout.as_secs_f64(),
            "draining"
        );
        shared.monitored.set_phase(Phase::Draining);
        health.set(Health::NotServing("the server drains"));
        drop((listener, web_listener));
        stages.draining.cancel();
        stages.calls.close();
        // A timeout is not an error: the streams that are still open then end with a status.
        let _ = timeout_at(end - margin, stages.calls.wait()).await;
        stages.closing.cancel();
        let cut = connections.close_by(end).await;
        // Commits the points of streams that were cut. The commits have a time limit of their own.
        paths.flushed().await;
        shared.log.flush();
        shared.monitored.set_phase(Phase::Stopped);
        tracing::info!(connections_cut = cut, "stopped");
        result
    }

    fn into_parts(self) -> Parts {
        let Self { config, store, observers, features, authenticator, monitor, .. } = self;
        let store_availability = self.store_availability;
        let limits = config.stream_limits();
        let shared = Shared::new(config, observers, authenticator, &monitor);
        let admin = AdminService::new(limits, Arc::clone(&store));
        let (policy, memory) = (shared.config.checkpoint_policy(), Arc::clone(&shared.memory));
        let paths = PathService::with_memory(limits, store, policy, memory);
        shared.memory.set_release(paths.memory_release());
        let route_guide = RouteGuide::new(limits).with_features(features);
        let (routes, health) = routes::routes(&shared.config, paths.clone(), admin, route_guide);
        shared.monitored.connect(Running {
            max_connections: shared.config.max_connections as u64,
            memory: Arc::downgrade(&shared.memory),
            load: Arc::downgrade(&shared.load),
            log: Arc::downgrade(&shared.log),
            paths: Box::new(paths.activity()),
            authenticator: shared.authenticator.as_ref().map(Arc::downgrade),
            store_availability,
        });
        Parts { shared, routes, paths, health }
    }
}

/// The state that the connections of a server share, its routes, its recordings and its health.
struct Parts {
    shared: Arc<Shared>,
    routes: Routes,
    paths: PathService,
    health: HealthReporter,
}

/// Runs a [`Server`] without additional observers.
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
/// If the configuration is not valid, or the listener becomes unusable.
pub async fn run(
    listener: TcpListener,
    config: Config,
    store: Arc<dyn CheckpointStore>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    Server::new(config, store).run(listener, shutdown).await
}

/// Serves one connection over any byte stream until it ends. For tests and fuzzing of whole connections.
pub async fn serve_pipe<S>(io: S, config: Config, store: Arc<dyn CheckpointStore>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Parts { shared, routes, paths, health } = Server::new(config, store).into_parts();
    health.set(health_of(&shared));
    let peer = SocketAddr::from(([127, 0, 0, 1], 0));
    connection::serve(io, Arc::new(PlainAcceptor), shared, routes, Handle::new(peer)).await;
    paths.flushed().await;
}

/// Returns the health of a server that accepts calls.
fn health_of(shared: &Shared) -> Health {
    let outage = shared.authenticator.as_ref().and_then(|authenticator| authenticator.outage());
    match outage {
        Some(outage) if outage.is_total => {
            Health::NotServing("the server cannot check credentials at the moment")
        }
        _ => Health::Serving,
    }
}

/// Ends the largest consumer when memory is short, returns freed memory to the system, and reports suppressed log
/// lines and the health. Runs every second and never completes.
async fn housekeeping(shared: &Shared, health: &HealthReporter) {
    let mut trimmer = Trimmer::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.log.flush();
        shared.relieve();
        health.set(health_of(shared));
        shared.quotas.sweep();
        shared.failed_checks.sweep();
        if trimmer.is_due(&shared.memory) {
            // Trimming cannot panic, and nothing depends on its result.
            let _ = tokio::task::spawn_blocking(trim::trim).await;
        }
    }
}
