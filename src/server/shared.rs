//! The state that all connections of a server share.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call_log::LogObserver;
use super::config::Config;
use super::failed_checks::FailedChecks;
use super::forwarded::TrustedProxies;
use super::log_limit::{LineKind, LogLimit};
use super::memory::Memory;
use super::monitor::{Monitor, Monitored};
use super::observer::CallObserver;
use super::quota::Quotas;
use super::system_memory;
use crate::auth::Authenticator;
use crate::service::{CreationLimit, Load, RpcError};

/// The stages of a shutdown, as every connection and call observes them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stages {
    /// Cancelled when no new streams are accepted any more.
    pub(super) draining: CancellationToken,
    /// Cancelled when open streams end with UNAVAILABLE.
    pub(super) closing: CancellationToken,
    /// The calls that the drain waits for: those of the measuring services, except watches.
    pub(super) calls: TaskTracker,
}

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) stages: Stages,
    pub(super) memory: Arc<Memory>,
    pub(super) log: Arc<LogLimit>,
    pub(super) creations: Arc<CreationLimit>,
    pub(super) load: Arc<Load>,
    pub(super) quotas: Quotas,
    pub(super) failed_checks: FailedChecks,
    pub(super) proxies: TrustedProxies,
    pub(super) monitored: Arc<Monitored>,
    /// The log of calls, and the observers that the caller has added.
    pub(super) observers: Vec<Arc<dyn CallObserver>>,
    /// Checks the credentials of calls. Without it, all calls are accepted.
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        observers: Vec<Arc<dyn CallObserver>>,
        authenticator: Option<Arc<dyn Authenticator>>,
        monitor: &Monitor,
    ) -> Arc<Self> {
        let memory = config.max_memory_bytes.unwrap_or_else(system_memory::default_budget);
        let log = Arc::new(LogLimit::new(config.max_log_rate));
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        let call_log = LogObserver::new(Arc::clone(&log), config.log_sample);
        let call_log: Arc<dyn CallObserver> = Arc::new(call_log);
        Arc::new(Self {
            stages: Stages::default(),
            memory: Memory::new(memory),
            log,
            quotas: Quotas::new(
                config.principal_quota,
                config.peer_quota,
                config.max_connections_per_peer,
            ),
            failed_checks: FailedChecks::default(),
            proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            load: Arc::new(Load::new(threads)),
            creations: CreationLimit::new(config.max_new_recordings_per_minute),
            monitored: Arc::clone(monitor.state()),
            observers: std::iter::once(call_log).chain(observers).collect(),
            authenticator,
            config,
        })
    }

    /// Ends the largest consumer of memory if too little is left.
    pub(super) fn relieve(&self) {
        if let Some((peer, bytes)) = self.memory.relieve()
            && let Some(suppressed) = self.log.admit(LineKind::Capacity)
        {
            let suppressed = (suppressed > 0).then_some(suppressed);
            tracing::warn!(
                %peer,
                bytes,
                suppressed,
                "closed the connection that held most memory: unread input and unsent replies are at their limit"
            );
        }
    }

    /// Logs that a connection was refused because of a limit.
    pub(super) fn log_refused(&self, peer: SocketAddr, limit: &'static str) {
        if let Some(suppressed) = self.log.admit(LineKind::Capacity) {
            let suppressed = (suppressed > 0).then_some(suppressed);
            tracing::warn!(%peer, limit, suppressed, "refused a connection: the limit is reached");
        }
    }

    /// Returns the error of a call that the server ends: [`RpcError::Evicted`] if only its connection is closing.
    pub(super) fn end_error(&self, error: RpcError) -> RpcError {
        match error {
            RpcError::ShuttingDown { .. } if !self.stages.closing.is_cancelled() => {
                RpcError::Evicted
            }
            error => error,
        }
    }
}
