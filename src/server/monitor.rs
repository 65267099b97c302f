//! What a server does, for metrics and for checks of its readiness.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tonic::Code;

use super::counters::Counters;
use super::health::StoreAvailability;
use super::log_limit::LogLimit;
use super::memory::Memory;
use super::methods::Methods;
use super::open_calls::OpenCalls;
use crate::auth::{Authenticator, Outage};
use crate::service::{Load, PathActivity};

/// The stage of the life of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The server does not accept connections yet.
    Starting,
    /// The server accepts connections and calls.
    Serving,
    /// The server has received the signal to stop. Open streams may continue for the drain timeout.
    Draining,
    /// The server has ended.
    Stopped,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Starting, Self::Serving, Self::Draining, Self::Stopped];
}

/// A handle of a server that stays valid after the server stops. Clones refer to the same server.
///
/// ```
/// use std::sync::Arc;
/// use waywiser::server::{Config, Phase, Server};
/// use waywiser::store::MemoryStore;
///
/// let server = Server::new(Config::default(), Arc::new(MemoryStore::default()));
/// assert_eq!(server.monitor().phase(), Phase::Starting);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Monitor(Arc<Monitored>);

/// The state that all clones of a [`Monitor`] share.
#[derive(Debug)]
pub(super) struct Monitored {
    phase: AtomicU8,
    pub(super) counters: Arc<Counters>,
    pub(super) calls: Arc<OpenCalls>,
    #[cfg(feature = "http")]
    pub(super) web: Arc<super::web::WebCounters>,
    running: OnceLock<Running>,
}

impl Default for Monitored {
    fn default() -> Self {
        let (phase, counters) = (AtomicU8::new(0), Arc::default());
        Self {
            phase,
            counters,
            calls: OpenCalls::new(),
            #[cfg(feature = "http")]
            web: Arc::default(),
            running: OnceLock::new(),
        }
    }
}

/// The parts of a server that runs.
pub(super) struct Running {
    pub(super) max_connections: u64,
    pub(super) memory: Weak<Memory>,
    pub(super) load: Weak<Load>,
    pub(super) log: Weak<LogLimit>,
    pub(super) paths: Box<dyn Fn() -> PathActivity + Send + Sync>,
    pub(super) authenticator: Option<Weak<dyn Authenticator>>,
    pub(super) store_availability: Option<StoreAvailability>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// What a server has done since its start, and what it does now. All numbers but those that are documented as current
/// only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// The stage of the life of the server.
    pub phase: Phase,
    /// The calls by method, in a fixed order.
    pub methods: Vec<MethodStats>,
    /// The calls that ended with an error: its code, the reason of its ErrorInfo, and the number.
    pub call_errors: Vec<(Code, String, u64)>,
    /// Calls with work left that wait for a thread (current).
    pub calls_competing: u64,
    /// Connections that were accepted.
    pub connections_accepted: u64,
    /// Connections that are open (current).
    pub connections_open: u64,
    /// The maximum number of open connections (current).
    pub connections_max: u64,
    /// Connections that have as many streams as they may have; further streams wait in the client (current).
    pub connections_full: u64,
    /// Connections that were refused, by the name of the limit.
    pub connections_refused: Vec<(&'static str, u64)>,
    /// Connections that have ended, by the reason.
    pub connections_ended: Vec<(&'static str, u64)>,
    /// Failures of the system to accept a connection, such as a lack of file descriptors.
    pub accept_errors: u64,
    /// The memory budget in bytes (current).
    pub memory_limit_bytes: u64,
    /// The bytes of the memory budget that are in use (current).
    pub memory_used_bytes: u64,
    /// The bytes of input that no call has read, as of the last samples (current).
    pub unread_input_bytes: u64,
    /// Log lines that the rate limit has suppressed.
    pub log_lines_suppressed: u64,
    /// Recordings that streams write to (current).
    pub recordings_open: u64,
    /// Recordings that are open, or whose last commit has not ended (current).
    pub recordings_uncommitted: u64,
    /// Streams that wait for updates of a recording (current).
    pub watchers: u64,
}

/// The calls of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodStats {
    /// The name, such as `waywiser.v1.PathService/GetPath`, or `other` for all paths that are not a method.
    pub method: &'static str,
    /// Calls that are open (current).
    pub open: u64,
    /// Points that were added to paths, also by calls that are open.
    pub points: u64,
    /// Bytes of request bodies with their framing.
    pub bytes: u64,
    /// Request messages.
    pub messages: u64,
    /// Time for which quotas have stopped streams, the sum of all streams.
    pub throttled: Duration,
}

impl Monitor {
    pub(super) fn state(&self) -> &Arc<Monitored> {
        &self.0
    }

    /// Returns the stage of the life of the server.
    pub fn phase(&self) -> Phase {
        let phase = usize::from(self.0.phase.load(Relaxed));
        Phase::ALL.get(phase).copied().unwrap_or(Phase::Stopped)
    }

    /// Returns which credentials the server cannot check at the moment.
    pub fn outage(&self) -> Option<Outage> {
        let authenticator = self.0.running.get()?.authenticator.as_ref()?.upgrade()?;
        authenticator.outage()
    }

    /// Returns the reason why the store of recordings is not available. Health reports the same state.
    pub fn store_outage(&self) -> Option<String> {
        let availability = self.0.running.get()?.store_availability.as_ref()?;
        availability.borrow().as_ref().err().cloned()
    }

    /// Returns what the server has done since its start, and what it does now.
    pub fn stats(&self) -> ServerStats {
        let Monitored { counters, calls, running, .. } = &*self.0;
        let running = running.get();
        let memory = running.and_then(|running| running.memory.upgrade());
        let load = running.and_then(|running| running.load.upgrade());
        let log = running.and_then(|running| running.log.upgrade());
        let paths = running.map(|running| (running.paths)()).unwrap_or_default();
        let methods = Methods::get().names().iter().zip(calls.totals());
        ServerStats {
            phase: self.phase(),
            methods: methods
                .map(|(method, total)| MethodStats {
                    method,
                    open: total.open,
                    points: total.points,
                    bytes: total.bytes,
                    messages: total.messages,
                    throttled: total.throttled,
                })
                .collect(),
            call_errors: counters.call_errors(),
            calls_competing: load.map_or(0, |load| load.competing().into()),
            connections_accepted: counters.accepted_count(),
            connections_open: counters.open_count(),
            connections_max: running.map_or(0, |running| running.max_connections),
            connections_full: counters.full_count(),
            connections_refused: counters.refusals(),
            connections_ended: counters.ends(),
            accept_errors: counters.accept_error_count(),
            memory_limit_bytes: memory.as_ref().map_or(0, |memory| memory.limit()),
            memory_used_bytes: memory.as_ref().map_or(0, |memory| memory.used()),
            unread_input_bytes: memory.as_ref().map_or(0, |memory| memory.unread()),
            log_lines_suppressed: log.map_or(0, |log| log.suppressed_total()),
            recordings_open: paths.open_recordings,
            recordings_uncommitted: paths.unfinished_commits,
            watchers: paths.watchers,
        }
    }

    /// Returns the statistics of the HTTP listener.
    #[cfg(feature = "http")]
    pub fn web_stats(&self) -> super::web::WebStats {
        self.0.web.stats()
    }
}

impl Monitored {
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Connects the monitor with a server. Only the first one counts.
    pub(super) fn connect(&self, running: Running) {
        let _ = self.running.set(running);
    }
}
